/* SPDX-License-Identifier: MIT */
/*
 * Every delivery has a next event: a keeper's steps by chance on a real store, with couriers that
 * die, notices that cannot be queued, an operator, steps of the clock and crashes. After each
 * commit nothing lacks a next event; and when all that goes wrong stops, going from one next event
 * to the next one (store_next(), never further) empties the queue in time.
 */
#include "help.h"
#include "sched/sched.h"

enum {
	STEPS = 3000,
	SEEDS = 2,
	FLIGHTS = 12,
	RETRY = 300 * 1000,
	LIFETIME = 4 * 3600 * 1000,
	HOUR = 3600 * 1000,
	EVENTS_MAX = 20000, /* enough to end whatever there is */
};

struct run {
	struct store *s;
	char path[256];
	uint32_t seed;
	int64_t now;
	int added;
	int64_t flight[FLIGHTS];
	size_t nflight;
	bool calm; /* nothing goes wrong any more */
	struct sched_config config;
};

static uint32_t chance(struct run *r, uint32_t n)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (r->seed >> 8) % n;
}

static bool carried(void *arg, int64_t delivery)
{
	const struct run *r = arg;
	for (size_t i = 0; i < r->nflight; i++) {
		if (r->flight[i] == delivery)
			return true;
	}
	return false;
}

static void check(struct run *r)
{
	struct store_horizon h = {.due = r->now + 2 * LIFETIME,
				  .end = r->now + LIFETIME + HOUR,
				  .carried = carried,
				  .arg = r};
	struct store_lacking lack[4];
	size_t n = 0;
	for (int64_t after = 0, next = 1; next != 0; after = next) {
		CHECK(store_without_next(r->s, &h, after, 4, lack, &n, &next) == STORE_OK);
		if (n > 0)
			fprintf(stderr, "delivery %lld: %s\n", (long long)lack[0].delivery,
				store_lack_name(lack[0].lack));
		CHECK(n == 0);
	}
}

/* --- what a keeper does ---------------------------------------------------------------------- */

static void add(struct run *r)
{
	char id[24], hop[3][32];
	struct store_new_rcpt rcpt[2] = {{.address = "a@x.example"}, {.address = "b@x.example"}};
	struct store_new_delivery d[3] = {0};
	size_t n = 1 + chance(r, 3), first = chance(r, 5);
	snprintf(id, sizeof id, "N%d", ++r->added);
	for (size_t i = 0; i < n; i++) {
		snprintf(hop[i], sizeof hop[i], "d%zu.example", (first + i) % 5);
		d[i] = (struct store_new_delivery){
		    .next_hop = hop[i], .rcpt = rcpt, .nrcpt = 1 + chance(r, 2), .due = r->now};
	}
	struct store_new_message m = {.envelope = {.queue_id = id,
						   .arrived = r->now,
						   .expires = sched_expires_at(&r->config, r->now),
						   .reverse_path = "s@x.example",
						   .origin = "test",
						   .size = 1},
				      .warn = sched_warn_at(&r->config, r->now),
				      .text = {.bytes = SLICE_LIT("x"), .fd = -1},
				      .delivery = d,
				      .ndelivery = n};
	CHECK(store_add(r->s, &m) == STORE_OK);
}

/* Whatever is ready, as far as couriers go. */
static void start(struct run *r)
{
	struct store_destination ready[5];
	struct store_delivery d;
	struct arena mem;
	size_t n = 0, ndue = 0;
	int64_t due[FLIGHTS];
	bool more;
	arena_init(&mem, 1 << 22);
	CHECK(store_ready(r->s, r->now, NULL, 0, 5, &mem, ready, &n) == STORE_OK);
	for (size_t i = 0; i < n; i++) {
		CHECK(store_due(r->s, ready[i].id, r->now, FLIGHTS - r->nflight, 0, due, &ndue,
				&more) == STORE_OK);
		for (size_t k = 0; k < ndue; k++) {
			CHECK(store_take(r->s, due[k], r->now, &mem, &d) == STORE_OK);
			r->flight[r->nflight++] = due[k];
		}
	}
	arena_free(&mem);
}

/* A notice goes out, or it cannot be queued now; never: that is as good as told. */
static bool told(struct run *r)
{
	return r->calm || chance(r, 3) > 0;
}

static void record(struct run *r, int64_t delivery, bool expired, bool told_now)
{
	struct store_delivery d;
	struct store_recorded recorded;
	struct store_rcpt_result rcpt[2];
	struct arena mem;
	size_t n = 0;
	arena_init(&mem, 1 << 20);
	CHECK(store_show(r->s, delivery, &mem, &d) == STORE_OK);
	for (size_t i = 0; i < d.nrcpt; i++) {
		if (d.rcpt[i].state != STORE_PENDING || (!expired && chance(r, 8) == 0))
			continue;
		uint32_t fate = expired ? STORE_FAILED : r->calm ? STORE_PENDING : chance(r, 3);
		if (fate == STORE_FAILED && !told_now)
			fate = STORE_PENDING;
		rcpt[n++] = (struct store_rcpt_result){
		    .n = d.rcpt[i].n, .state = (enum store_rcpt_state)fate, .reason = "timeout"};
	}
	int64_t due = told_now ? sched_retry_at(&r->config, 1, d.id, d.attempts, d.expires, r->now)
			       : r->now + r->config.retry_first;
	struct store_result x = {.delivery = delivery,
				 .at = r->now,
				 .due = due,
				 .reason = "timeout",
				 .rcpt = rcpt,
				 .nrcpt = n};
	CHECK(store_record(r->s, &x, &recorded) == STORE_OK);
	if (chance(r, 3) == 0)
		CHECK(store_back_off(r->s, d.destination, r->now, r->now + RETRY, "timeout", NULL,
				     NULL) == STORE_OK);
	arena_free(&mem);
}

static void land(struct run *r)
{
	if (r->nflight == 0)
		return;
	size_t at = chance(r, (uint32_t)r->nflight);
	int64_t delivery = r->flight[at];
	r->flight[at] = r->flight[--r->nflight];
	record(r, delivery, false, told(r));
}

static void alarms(struct run *r)
{
	struct store_alarm alarm[8];
	struct store_delivery d;
	struct arena mem;
	size_t n = 0;
	CHECK(store_alarms(r->s, r->now, 8, alarm, &n) == STORE_OK);
	for (size_t i = 0; i < n; i++) {
		arena_init(&mem, 1 << 20);
		CHECK(store_show(r->s, alarm[i].delivery, &mem, &d) == STORE_OK);
		if (!alarm[i].expired) {
			CHECK(store_warned(r->s, d.id) == STORE_OK);
		} else if (!told(r)) {
			CHECK(store_postpone(r->s, d.id,
					     sched_notice_at(r->now, d.envelope.expires)) ==
			      STORE_OK);
		} else {
			CHECK(store_take(r->s, d.id, r->now, &mem, &d) == STORE_OK);
			record(r, d.id, true, true);
		}
		arena_free(&mem);
	}
}

static void operate(struct run *r)
{
	struct store_filter any = {0};
	struct store_delivery d[16];
	struct arena mem;
	size_t n = 0;
	int64_t next;
	arena_init(&mem, 1 << 22);
	CHECK(store_list(r->s, &any, 0, 16, &mem, d, &n, &next) == STORE_OK);
	if (n > 0)
		(void)store_change(r->s, (enum store_op)chance(r, 5), d[chance(r, (uint32_t)n)].id,
				   r->now);
	arena_free(&mem);
}

static void step_clock(struct run *r)
{
	int64_t by = ((int64_t)chance(r, 5) - 2) * HOUR;
	struct store_shift x = {
	    .by = by, .due_max = r->now + by + LIFETIME, .expires_max = r->now + by + LIFETIME};
	r->now += by;
	CHECK(store_shift(r->s, &x) == STORE_OK);
}

static void crash(struct run *r)
{
	store_close(&r->s);
	r->s = help_open(r->path, NULL);
	r->nflight = 0;
	CHECK(store_begin(r->s) == STORE_OK);
}

static void one_step(struct run *r)
{
	uint32_t what = chance(r, 100);
	CHECK(store_begin(r->s) == STORE_OK);
	if (what < 20)
		add(r);
	else if (what < 45)
		start(r);
	else if (what < 75)
		land(r);
	else if (what < 87)
		alarms(r);
	else if (what < 93)
		operate(r);
	else if (what < 94)
		step_clock(r);
	else if (what < 96)
		crash(r);
	else
		r->now += (int64_t)chance(r, 2 * HOUR);
	CHECK(store_commit(r->s) == STORE_OK);
	check(r);
}

/* --- and that it ends ------------------------------------------------------------------------ */

static void release_all(struct run *r)
{
	struct store_filter held = {.by_state = true, .state = STORE_HELD};
	struct store_delivery d[64];
	struct arena mem;
	size_t n = 1;
	int64_t next = 0;
	while (n > 0) {
		arena_init(&mem, 1 << 22);
		CHECK(store_list(r->s, &held, 0, 64, &mem, d, &n, &next) == STORE_OK);
		CHECK(store_begin(r->s) == STORE_OK);
		for (size_t i = 0; i < n; i++)
			CHECK(store_change(r->s, STORE_OP_RELEASE, d[i].id, r->now) == STORE_OK);
		CHECK(store_commit(r->s) == STORE_OK);
		arena_free(&mem);
	}
}

/* Nobody takes any mail; time goes from event to event. */
static void run_out(struct run *r)
{
	struct store_totals t = {0};
	int64_t last = r->now + LIFETIME + 2 * HOUR;
	r->calm = true;
	release_all(r);
	for (int i = 0; i < EVENTS_MAX; i++) {
		struct store_next next;
		CHECK(store_begin(r->s) == STORE_OK);
		alarms(r);
		start(r);
		while (r->nflight > 0)
			land(r);
		CHECK(store_commit(r->s) == STORE_OK);
		check(r);
		CHECK(store_totals(r->s, &t) == STORE_OK);
		if (t.messages == 0)
			break;
		CHECK(store_next(r->s, &next) == STORE_OK);
		int64_t at = next.alarm < next.ready ? next.alarm : next.ready;
		CHECK(at != INT64_MAX);
		r->now = at > r->now ? at : r->now + 1;
		CHECK(r->now <= last);
	}
	CHECK(t.messages == 0);
}

int main(void)
{
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct run r = {.seed = seed, .now = T0 + 1000 * (int64_t)HOUR};
		r.config = SCHED_CONFIG_DEFAULT;
		r.config.lifetime = LIFETIME;
		r.config.retry_first = RETRY;
		r.config.warn_after = HOUR;
		help_path(r.path);
		r.s = help_open(r.path, NULL);
		for (int i = 0; i < STEPS; i++)
			one_step(&r);
		run_out(&r);
		store_close(&r.s);
		help_clean(r.path);
	}
	printf("%d seeds of %d steps: every delivery had a next event, and ended\n", SEEDS, STEPS);
	return 0;
}
