/* SPDX-License-Identifier: MIT */
/*
 * The scheduler in a simulated relay: a store, couriers and destinations of several tempers, over
 * thousands of virtual hours. After every step the promises of sched.h are checked.
 */
#include "unit.h"

#include "sched/sched.h"
#include "wire/origin.h"

enum {
	NDEST = 300,
	NDELIVERY = 12000,
	NRUNNING = 64,
	BULK = 6000, /* of one sender to destination 0, all at once */
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
};

enum temper { GOOD, SLOW, DEAD, GREY, FLAKY, RECOVERS, NTEMPERS };
enum state { NEW, WAITING, ACTIVE, SENT, EXPIRED };

struct delivery {
	enum state state;
	uint32_t dest, attempts;
	uint64_t sender;
	int64_t arrived, due, expires, started;
};

struct destination {
	enum temper temper;
	int64_t back_off_until, worked, first_worked; /* 0: never */
	uint32_t failures, running;
	uint32_t *list; /* of its deliveries, by number */
	size_t n, done; /* the first `done` of the list have ended */
};

struct sim {
	struct sched_config c;
	struct sched *s;
	uint64_t random;
	int64_t now, poll;
	struct delivery v[NDELIVERY + 1]; /* id 0 is unused; in order of arrival */
	struct destination d[NDEST];
	uint32_t run[NRUNNING]; /* ids under way */
	int64_t run_end[NRUNNING];
	uint32_t nrun, arrived, expired_to;
	uint64_t starts, hash, keepers;
	int64_t longest_wait[NTEMPERS], longest_first, longest_single, longest_rest;
	uint32_t sent[NTEMPERS], expired[NTEMPERS];
	size_t bytes;
};

static uint64_t draw(struct sim *m, uint64_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % below;
}

static int by_arrival(const void *a, const void *b)
{
	const struct delivery *x = a, *y = b;
	return (x->arrived > y->arrived) - (x->arrived < y->arrived);
}

/* `span`: hours in which everything arrives; the fewer, the more all want at once. */
static void setup(struct sim *m, uint64_t seed, uint64_t span)
{
	memset(m, 0, sizeof(*m));
	m->c = SCHED_CONFIG_DEFAULT;
	m->c.destinations = 48; /* far fewer than there are: everybody must give way in turn */
	m->c.lookahead = 8;
	m->c.slots = 24;
	m->random = seed;
	m->s = sched_new(&m->c, seed);
	assert_non_null(m->s);
	for (size_t i = 0; i < NDEST; i++)
		m->d[i].temper = i == 0 ? GOOD : (enum temper)draw(m, NTEMPERS);
	for (size_t i = 1; i <= NDELIVERY; i++) {
		struct delivery *v = &m->v[i];
		bool bulk = i <= BULK;
		v->dest = bulk || draw(m, 20) == 0 ? 0 : (uint32_t)draw(m, NDEST);
		v->sender = bulk ? 1 : 2 + draw(m, 1000);
		v->arrived = bulk ? 0 : (int64_t)draw(m, span * HOUR);
		v->due = v->arrived;
		v->expires = sched_expires_at(&m->c, v->arrived);
	}
	qsort(m->v + 1, NDELIVERY, sizeof(m->v[0]), by_arrival);
	for (uint32_t i = 1; i <= NDELIVERY; i++) {
		struct destination *d = &m->d[m->v[i].dest];
		if ((d->n & (d->n + 1)) == 0)
			d->list = realloc(d->list, (2 * d->n + 2) * sizeof(*d->list));
		assert_non_null(d->list);
		d->list[d->n++] = i;
	}
}

static void teardown(struct sim *m)
{
	sched_free(&m->s);
	for (size_t i = 0; i < NDEST; i++)
		free(m->d[i].list);
}

/* ---- the store ---- */

static struct sched_delivery brief_of(const struct sim *m, uint32_t id, struct sched_known *known)
{
	const struct delivery *v = &m->v[id];
	const struct destination *d = &m->d[v->dest];
	*known = (struct sched_known){
	    .failures = d->failures, .back_off_until = d->back_off_until, .worked = d->worked};
	return (struct sched_delivery){.id = id,
				       .destination = v->dest,
				       .sender = v->sender << ORIGIN_PATH_BITS,
				       .cost = 1 + id % 3,
				       .attempts = v->attempts,
				       .expires = v->expires};
}

static enum sched_taken offer(struct sim *m, uint32_t id)
{
	struct sched_known k;
	struct sched_delivery e = brief_of(m, id, &k);
	return sched_delivery_due(m->s, m->now, &e, &k);
}

/* Into the longest due, at most per_sender of one sender. False: somebody was left out. */
static bool insert(const struct sim *m, uint32_t *best, uint32_t *n, uint32_t max,
		   uint32_t per_sender, uint32_t id)
{
	uint32_t same = 0, last = UINT32_MAX, out, at;

	for (uint32_t i = 0; i < *n; i++) {
		if (m->v[best[i]].sender == m->v[id].sender) {
			same++;
			last = i;
		}
	}
	out = same == per_sender ? last : *n == max ? *n - 1 : *n;
	if (out < *n && m->v[best[out]].due <= m->v[id].due)
		return false;
	bool whole = out == *n;
	*n += whole;
	for (at = out; at > 0 && m->v[best[at - 1]].due > m->v[id].due; at--)
		best[at] = best[at - 1];
	best[at] = id;
	return whole;
}

/* The longest due first, few of each sender. Returns whether there are more. */
static bool offer_due(struct sim *m, uint32_t dest, uint32_t max)
{
	struct destination *d = &m->d[dest];
	uint32_t n = 0, best[64], per_sender = (max + 1) / 2;
	bool more = false;

	assert_true(max <= 64);
	while (d->done < d->n && m->v[d->list[d->done]].state >= SENT)
		d->done++;
	for (size_t i = d->done; i < d->n; i++) {
		const struct delivery *v = &m->v[d->list[i]];
		if (v->state == NEW)
			break;
		if (v->state != WAITING || v->due > m->now)
			continue;
		more |= !insert(m, best, &n, max, per_sender, d->list[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		offer(m, best[i]);
	return more;
}

static int64_t ready_at(struct sim *m, uint32_t dest)
{
	struct destination *d = &m->d[dest];
	int64_t due = INT64_MAX;

	for (size_t i = d->done; i < d->n && m->v[d->list[i]].state != NEW; i++) {
		const struct delivery *v = &m->v[d->list[i]];
		if (v->state == WAITING && v->due < due)
			due = v->due;
	}
	return due == INT64_MAX || due > d->back_off_until ? due : d->back_off_until;
}

/* As store_ready(): the longest ready first, without the busy ones. */
static void offer_destinations(struct sim *m, uint32_t max)
{
	int64_t busy[2 * 64], ready[NDEST];
	uint32_t given = 0;

	assert_true(sched_busy_max(m->s) <= ROWS(busy));
	size_t n = sched_busy(m->s, busy, ROWS(busy));
	for (uint32_t i = 0; i < NDEST; i++)
		ready[i] = ready_at(m, i);
	for (size_t i = 0; i < n; i++)
		ready[busy[i]] = INT64_MAX;
	for (; given < max; given++) {
		uint32_t best = 0;
		for (uint32_t i = 1; i < NDEST; i++) {
			if (ready[i] < ready[best])
				best = i;
		}
		if (ready[best] > m->now)
			break;
		ready[best] = INT64_MAX;
		offer_due(m, best, m->c.lookahead);
	}
	sched_destinations_told(m->s, given == max);
}

/* ---- the couriers ---- */

static int64_t duration(struct sim *m, enum temper t)
{
	switch (t) {
	case GOOD:
	case GREY:
	case FLAKY:
		return 200 + (int64_t)draw(m, 3 * SECOND);
	case SLOW:
		return 2 * MINUTE + (int64_t)draw(m, 6 * MINUTE);
	case DEAD:
	case RECOVERS:
	case NTEMPERS:
		return 30 * SECOND;
	}
	return 0;
}

static enum sched_class judge(struct sim *m, const struct delivery *v)
{
	uint64_t r = draw(m, 100);

	switch (m->d[v->dest].temper) {
	case GOOD:
	case SLOW:
		return SCHED_SENT;
	case DEAD:
		return SCHED_HOST_TROUBLE;
	case GREY:
		return v->attempts > 0 ? SCHED_SENT : SCHED_RECIPIENT_TROUBLE;
	case FLAKY:
		return r < 25   ? SCHED_HOST_TROUBLE
		       : r < 27 ? SCHED_LOCAL_TROUBLE
		       : r < 29 ? SCHED_POSSIBLY_DELIVERED
				: SCHED_SENT;
	case RECOVERS:
		return m->now < 100ll * HOUR ? SCHED_HOST_TROUBLE : SCHED_SENT;
	case NTEMPERS:
		break;
	}
	return SCHED_SENT;
}

static void note_wait(struct sim *m, const struct delivery *v)
{
	enum temper t = m->d[v->dest].temper;
	int64_t wait = m->now - v->due;

	bool first =
	    t == GOOD && (m->d[v->dest].first_worked == 0 || v->due < m->d[v->dest].first_worked);
	if (v->sender != 1 && first && wait > m->longest_first)
		m->longest_first = wait;
	if (v->sender != 1 && !first && wait > m->longest_wait[t])
		m->longest_wait[t] = wait;
	if (v->dest == 0 && v->sender != 1 && wait > m->longest_single)
		m->longest_single = wait;
}

static void start(struct sim *m, const struct sched_wish *w)
{
	struct delivery *v = &m->v[w->delivery];
	struct destination *d = &m->d[v->dest];
	struct sched_destination look;

	assert_int_equal(w->destination, v->dest);
	assert_int_equal(v->state, WAITING);
	assert_true(m->now >= v->due && m->now >= d->back_off_until);
	assert_true(sched_look(m->s, v->dest, &look));
	d->running++;
	assert_int_equal(look.running, d->running);
	assert_true(w->probe || look.running <= look.window);
	assert_true(look.window >= 1 && look.window <= m->c.limit);
	assert_true(m->nrun < m->c.slots);
	note_wait(m, v);
	v->state = ACTIVE;
	v->started = m->now;
	m->run[m->nrun] = (uint32_t)w->delivery;
	m->run_end[m->nrun++] = m->now + duration(m, d->temper);
	m->starts++;
	m->hash = (m->hash ^ (uint64_t)w->delivery) * 0x100000001b3u;
	m->hash = (m->hash ^ (uint64_t)m->now) * 0x100000001b3u;
	sched_started(m->s, w->delivery, 1 + (uint32_t)(w->delivery % 7));
}

static void check_due(const struct sim *m, const struct delivery *v, int64_t due)
{
	int64_t wait = m->c.retry_first;

	for (uint32_t i = 1; i < v->attempts && wait < m->c.retry_max; i++)
		wait *= 2;
	wait = wait < m->c.retry_max ? wait : m->c.retry_max;
	int64_t gap = due - m->now;
	bool last = due == v->expires || due == v->expires - m->c.retry_first;
	assert_true(due <= v->expires);
	assert_true(gap <= wait + wait / 10);
	assert_true(last || gap >= wait - wait / 10);
}

static void end(struct sim *m, uint32_t k)
{
	uint32_t id = m->run[k];
	struct delivery *v = &m->v[id];
	struct destination *d = &m->d[v->dest];
	struct sched_end e = {.class = judge(m, v)};
	struct sched_verdict out;

	m->run[k] = m->run[--m->nrun];
	m->run_end[k] = m->run_end[m->nrun];
	e.pending = e.class != SCHED_SENT;
	e.keep_until = e.class == SCHED_SENT ? m->now + 5 * SECOND : 0;
	assert_true(sched_ended(m->s, m->now, id, &e, &out));
	assert_int_equal(out.destination, v->dest);
	d->running--;
	v->attempts++;
	if (out.news == SCHED_NEWS_WORKS)
		d->failures = 0, d->back_off_until = 0, d->worked = m->now;
	if (d->first_worked == 0)
		d->first_worked = d->worked;
	if (out.news == SCHED_NEWS_BACK_OFF) {
		d->failures = out.failures;
		d->back_off_until = out.back_off_until;
		if (d->back_off_until - m->now > m->longest_rest)
			m->longest_rest = d->back_off_until - m->now;
	}
	if (out.fate == SCHED_FATE_RETRY) {
		check_due(m, v, out.due);
		v->due = out.due;
		v->state = WAITING;
	} else {
		assert_int_equal(out.fate, e.pending ? SCHED_FATE_EXPIRED : SCHED_FATE_DONE);
		v->state = e.pending ? EXPIRED : SENT;
		m->sent[d->temper] += !e.pending;
		m->expired[d->temper] += e.pending;
	}
}

/* ---- the keeper ---- */

static void fulfil(struct sim *m)
{
	struct sched_wish w;

	for (sched_next(m->s, m->now, &w); w.kind != SCHED_WISH_NONE;
	     sched_next(m->s, m->now, &w)) {
		if (w.kind == SCHED_WISH_START)
			start(m, &w);
		else if (w.kind == SCHED_WISH_DELIVERIES)
			sched_deliveries_told(m->s, w.destination,
					      offer_due(m, (uint32_t)w.destination, w.max));
		else
			offer_destinations(m, w.max);
	}
}

static void expire(struct sim *m)
{
	while (m->expired_to < m->arrived && m->v[m->expired_to + 1].expires <= m->now) {
		struct delivery *v = &m->v[m->expired_to + 1];
		if (v->state == ACTIVE)
			break;
		m->expired_to++;
		if (v->state != WAITING)
			continue;
		sched_forget(m->s, m->expired_to);
		v->state = EXPIRED;
		m->expired[m->d[v->dest].temper]++;
	}
}

static void check_counts(const struct sim *m)
{
	struct sched_counts n;

	sched_count(m->s, &n);
	assert_int_equal(n.bytes, m->bytes);
	assert_int_equal(n.running, m->nrun);
	assert_true(n.destinations <= m->c.destinations && n.resting <= n.destinations);
	assert_true(n.waiting <= m->c.destinations * m->c.lookahead);
}

static int64_t next_time(const struct sim *m)
{
	int64_t t = sched_next_wakeup(m->s);

	for (uint32_t k = 0; k < m->nrun; k++)
		t = m->run_end[k] < t ? m->run_end[k] : t;
	if (m->arrived < NDELIVERY && m->v[m->arrived + 1].arrived < t)
		t = m->v[m->arrived + 1].arrived;
	t = m->poll < t ? m->poll : t;
	return t > m->now ? t : m->now;
}

static void step(struct sim *m)
{
	m->now = next_time(m);
	for (uint32_t k = 0; k < m->nrun;) {
		if (m->run_end[k] <= m->now)
			end(m, k);
		else
			k++;
	}
	while (m->arrived < NDELIVERY && m->v[m->arrived + 1].arrived <= m->now) {
		m->v[++m->arrived].state = WAITING;
		offer(m, m->arrived);
	}
	expire(m);
	if (m->poll <= m->now) {
		sched_destinations_due(m->s);
		m->poll = m->now + MINUTE;
	}
	fulfil(m);
	check_counts(m);
}

/* A keeper dies, and its successor adopts what couriers have. */
static void replace_keeper(struct sim *m)
{
	sched_free(&m->s);
	m->s = sched_new(&m->c, ++m->keepers);
	assert_non_null(m->s);
	for (uint32_t k = 0; k < m->nrun; k++) {
		struct sched_known known;
		struct sched_delivery v = brief_of(m, m->run[k], &known);
		assert_true(sched_adopt(m->s, m->now, &v, &known, 1 + m->run[k] % 7));
		assert_false(sched_adopt(m->s, m->now, &v, &known, 1));
		assert_int_equal(sched_delivery_due(m->s, m->now, &v, &known), SCHED_KNOWN);
	}
	check_counts(m);
	sched_destinations_due(m->s);
}

static void run(struct sim *m, uint64_t seed, uint64_t span)
{
	struct sched_counts n;

	setup(m, seed, span);
	sched_count(m->s, &n);
	m->bytes = n.bytes;
	while (m->now < 600ll * HOUR)
		step(m);
	assert_int_equal(m->nrun, 0);
}

static struct sim sim_a, sim_b;

static void a_world_of_destinations(void **state)
{
	(void)state;
	static const uint64_t spans[] = {400, 400, 10, 2, 1};
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct sim *m = &sim_a;
		run(m, seed, spans[seed - 1]);
		for (uint32_t i = 1; i <= NDELIVERY; i++) {
			const struct delivery *v = &m->v[i];
			enum temper t = m->d[v->dest].temper;
			assert_true(v->state == SENT || v->state == EXPIRED);
			if (t == GOOD || t == SLOW || t == GREY)
				assert_int_equal(v->state, SENT);
			if (t == DEAD)
				assert_int_equal(v->state, EXPIRED);
		}
		for (enum temper t = GOOD; t < NTEMPERS; t++)
			print_message("seed %d temper %d: sent %u expired %u longest wait %lld s\n",
				      (int)seed, (int)t, m->sent[t], m->expired[t],
				      (long long)m->longest_wait[t] / SECOND);
		print_message("starts %llu, single sender beside the bulk: %lld s\n",
			      (unsigned long long)m->starts, (long long)m->longest_single / SECOND);
		assert_int_equal(m->expired[RECOVERS], 0);
		assert_true(m->longest_rest <= m->c.back_off_max + m->c.back_off_max / 10);
		/* Bounded waiting: a sender with one message is not behind 6,000 of another. Within
		 * 2 hours arrives what the slots need some 6 hours for: then all wait, but in turn.
		 */
		bool overload = spans[seed - 1] <= 2;
		assert_true(m->longest_single < (overload ? 5 * HOUR : MINUTE));
		assert_true(m->longest_wait[GOOD] < (overload ? 5 * HOUR : MINUTE));
		/* Who has never taken anything waits with all others of whom nothing is known: in
		 * the first hour of this world these are all three hundred. */
		assert_true(m->longest_first < (overload ? 5 * HOUR : 15 * MINUTE));
		assert_true(m->longest_wait[SLOW] < (overload ? 5 * HOUR : HOUR));
		teardown(m);
	}
}

/* Whatever was under way at each death is judged at its end like all else, and nothing begins
 * beside it that would not have begun. */
static void keepers_come_and_go(void **state)
{
	(void)state;
	struct sim *m = &sim_a;
	struct sched_counts n;
	setup(m, 9, 10);
	sched_count(m->s, &n);
	m->bytes = n.bytes;
	for (uint64_t i = 1; m->now < 600ll * HOUR; i++) {
		step(m);
		if (i % 200 == 0)
			replace_keeper(m);
	}
	assert_true(m->keepers > 100);
	assert_int_equal(m->nrun, 0);
	for (uint32_t i = 1; i <= NDELIVERY; i++) {
		enum temper t = m->d[m->v[i].dest].temper;
		if (t == GOOD || t == SLOW || t == GREY)
			assert_int_equal(m->v[i].state, SENT);
		if (t == DEAD)
			assert_int_equal(m->v[i].state, EXPIRED);
	}
	assert_int_equal(m->expired[RECOVERS], 0);
	assert_true(m->longest_rest <= m->c.back_off_max + m->c.back_off_max / 10);
	teardown(m);
}

/* It takes a slot and a place of its origin's, and its trouble is learnt. */
static void what_is_adopted_counts(void **state)
{
	(void)state;
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	struct sched_delivery v = {.id = 7, .destination = 3, .cost = 1, .expires = HOUR};
	struct sched_known known = {.failures = 2, .back_off_until = 2 * MINUTE};
	struct sched_end lost = {.class = SCHED_HOST_TROUBLE, .pending = true};
	struct sched_verdict verdict;
	struct sched_counts n;
	c.slots = c.start = 2;
	struct sched *s = sched_new(&c, 1);
	assert_non_null(s);
	assert_true(sched_adopt(s, MINUTE, &v, &known, 1));
	v.id = 8;
	v.destination = 4;
	assert_true(sched_adopt(s, MINUTE, &v, NULL, 1));
	v.id = 9;
	assert_false(sched_adopt(s, MINUTE, &v, NULL, 1)); /* all slots are taken */
	sched_count(s, &n);
	assert_int_equal(n.running, 2);
	assert_int_equal(n.of_share[SHARE_NEW], 2);
	assert_int_equal(n.resting, 1);
	/* It began before the rest: no second one for the same trouble. */
	assert_true(sched_ended(s, MINUTE, 7, &lost, &verdict));
	assert_int_equal(verdict.news, SCHED_NEWS_NONE);
	assert_int_equal(verdict.fate, SCHED_FATE_RETRY);
	lost.class = SCHED_POSSIBLY_DELIVERED;
	assert_true(sched_ended(s, 2 * HOUR, 8, &lost, &verdict));
	assert_int_equal(verdict.news, SCHED_NEWS_BACK_OFF);
	assert_int_equal(verdict.fate, SCHED_FATE_EXPIRED);
	sched_count(s, &n);
	assert_int_equal(n.running + n.of_share[SHARE_NEW], 0);
	assert_int_equal(n.octets, 0);
	sched_free(&s);
}

static void equal_seeds_equal_worlds(void **state)
{
	(void)state;
	run(&sim_a, 7, 20);
	run(&sim_b, 7, 20);
	assert_true(sim_a.hash == sim_b.hash && sim_a.starts == sim_b.starts);
	teardown(&sim_b);
	run(&sim_b, 8, 20);
	assert_true(sim_a.hash != sim_b.hash);
	teardown(&sim_a);
	teardown(&sim_b);
}

/* A clock that ran a year ahead is set right: who rests does not rest for a year. */
static void a_clock_set_back(void **state)
{
	(void)state;
	const int64_t year = (int64_t)365 * 24 * HOUR, now = 50 * year;
	struct sched *s = sched_new(&SCHED_CONFIG_DEFAULT, 1);
	struct sched_delivery v = {.id = 7, .destination = 3, .cost = 1, .expires = now + 2 * year};
	struct sched_end lost = {.class = SCHED_POSSIBLY_DELIVERED, .pending = true};
	struct sched_verdict verdict;
	struct sched_wish w;
	assert_non_null(s);
	assert_int_equal(sched_delivery_due(s, now + year, &v, NULL), SCHED_TAKEN);
	sched_next(s, now + year, &w);
	assert_int_equal(w.kind, SCHED_WISH_START);
	assert_true(sched_ended(s, now + year, 7, &lost, &verdict));
	assert_int_equal(verdict.news, SCHED_NEWS_BACK_OFF);
	sched_next(s, now, &w); /* the clock is set back here */
	assert_in_range(sched_next_wakeup(s) - now, 1, HOUR);
	assert_int_equal(sched_delivery_due(s, now + HOUR, &v, NULL), SCHED_TAKEN);
	sched_next(s, now + HOUR, &w);
	assert_int_equal(w.kind, SCHED_WISH_START);
	assert_true(sched_ended(s, now + HOUR, 7, &lost, &verdict));
	assert_in_range(verdict.due - now, HOUR, 24 * HOUR);
	sched_free(&s);
}

/* A clock that jumps past the lifetime ends nobody's: not of what is under way, not of what rests.
 */
static void a_clock_that_moves(void **state)
{
	(void)state;
	const int64_t day = 24 * HOUR, now = 1000 * day;
	struct sched *s = sched_new(&SCHED_CONFIG_DEFAULT, 1);
	struct sched_delivery v = {.id = 7, .destination = 3, .cost = 1, .expires = now + 5 * day};
	struct sched_end lost = {.class = SCHED_HOST_TROUBLE, .pending = true};
	struct sched_verdict verdict;
	struct sched_wish w;
	assert_non_null(s);
	assert_int_equal(sched_delivery_due(s, now, &v, NULL), SCHED_TAKEN);
	sched_next(s, now, &w);
	assert_int_equal(w.kind, SCHED_WISH_START);
	sched_clock_moved(s, 6 * day);
	assert_true(sched_ended(s, now + 6 * day, 7, &lost, &verdict));
	assert_int_equal(verdict.fate, SCHED_FATE_RETRY);
	assert_in_range(verdict.due - now - 6 * day, 1, HOUR);
	sched_clock_moved(s, -6 * day);
	assert_int_equal(sched_delivery_due(s, now + HOUR, &v, NULL), SCHED_TAKEN);
	sched_next(s, now + HOUR, &w);
	assert_int_equal(w.kind, SCHED_WISH_START);
	assert_true(sched_ended(s, now + 5 * day, 7, &lost, &verdict));
	assert_int_equal(verdict.fate, SCHED_FATE_EXPIRED);
	sched_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_world_of_destinations), cmocka_unit_test(keepers_come_and_go),
	    cmocka_unit_test(what_is_adopted_counts),  cmocka_unit_test(equal_seeds_equal_worlds),
	    cmocka_unit_test(a_clock_set_back),        cmocka_unit_test(a_clock_that_moves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
