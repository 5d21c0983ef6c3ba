/* SPDX-License-Identifier: MIT */
/*
 * One destination as its attempts show it: how many at a time, and when nobody.
 *
 * Knows the classes of outcomes. Refuses to know deliveries beyond their start.
 *
 *   OPEN     sent: one more at a time, after trouble one now and then. Host trouble: half as many,
 *            and when a whole window failed in a row: RESTING. Turned away while others are served:
 *            as many as are served
 *   RESTING  time is up: PROBE        PROBE    one starts: PROBING
 *   PROBING  it got an answer: OPEN   host trouble: RESTING, twice as long
 * Any answer of the destination ends a back-off. News of attempts that began before the last
 * halving or back-off is old: it was counted already.
 */
#include "sched/room.h"

#include "wire/origin.h"

enum {
	PROVEN_MS = 7 * 24 * 3600 * 1000, /* so long after its last success it still is known */
	SLOW_MS = 30000,                  /* an attempt on average: slow */
	TELL_MS = 3600 * 1000,            /* the store is told of success, again after */
	SERVES_MS = 60000,                /* a session that works, after the last success */
	CAREFUL_MS = 10000,               /* after trouble no growth, and then by one each: */
	CAREFUL_ROUNDS = 4,               /* so many windows of successes */
	BUSY_REST_MS = 2000,              /* turned away although nothing else runs */
	MESSAGE_REST_MS = 60000,          /* it answers: messages of several origins end sessions */
	BUSY_SLACK = 8, /* sessions turned away without a success beside the limit: trouble */
	RISING = 2,
	HIGH = 8, /* times the best time: no growth; too many */
	RISING_MS = 500,
	HIGH_MS = 2000, /* and so much more: what a network does by chance */
	QUICK_MS = 20,  /* who replies so soon is not faster for more sessions than these: each
			   costs a handshake and waits for our processor */
	QUICK_WINDOW = 8,
	SMOOTH = 8, /* attempts that the average remembers */
};

bool host_may_start(const struct sched *s, const struct dest *d)
{
	(void)s;
	switch (d->state) {
	case DEST_OPEN:
		return d->running < d->window;
	case DEST_PROBE:
		return true;
	case DEST_FREE:
	case DEST_RESTING:
	case DEST_PROBING:
		return false;
	}
	return false;
}

bool host_is_proven(const struct sched *s, const struct dest *d)
{
	return d->worked != 0 && s->now - d->worked < PROVEN_MS && d->failures == 0;
}

bool host_is_slow(const struct dest *d)
{
	return d->smooth >= SLOW_MS;
}

bool host_is_blamed(const struct dest *d, uint64_t origin)
{
	for (uint32_t i = 0; i < d->nblamed; i++) {
		if (d->blamed[i] == origin)
			return true;
	}
	return false;
}

static void set_state(struct sched *s, struct dest *d, enum dest_state state)
{
	s->resting -= d->state == DEST_RESTING;
	s->resting += state == DEST_RESTING;
	d->state = state;
}

void host_started(struct sched *s, struct dest *d, struct entry *e)
{
	if (d->state == DEST_PROBE)
		set_state(s, d, DEST_PROBING);
	e->epoch = d->epoch;
	if (d->running > d->peak)
		d->peak = d->running;
}

static void rest(struct sched *s, struct dest *d, int64_t until)
{
	set_state(s, d, DEST_RESTING);
	d->epoch++;
	d->back_off_until = until;
	if (until < s->wake)
		s->wake = until;
}

void host_rests(struct sched *s, struct dest *d, int64_t until)
{
	rest(s, d, until);
}

void host_adopted(struct sched *s, struct dest *d, struct entry *e)
{
	host_started(s, d, e);
	if (d->state == DEST_RESTING)
		e->epoch--; /* it began before the rest */
}

static void back_off(struct sched *s, struct dest *d, int64_t most, struct sched_verdict *out)
{
	d->failures++;
	int64_t wait = sched_double(s->c.back_off_first, s->c.back_off_max, d->failures);
	wait = wait < most ? wait : most;
	uint64_t h = sched_mix(~s->seed, (uint64_t)d->id, d->failures);
	rest(s, d, s->now + sched_jitter(wait, s->c.jitter, h));
	d->window = 1;
	d->bad = 0;
	d->hasten = 0;
	out->news = SCHED_NEWS_BACK_OFF;
	out->back_off_until = d->back_off_until;
	out->failures = d->failures;
}

/* After a back-off those who wait for later need not: what they wait for is over. */
static void answered(struct sched *s, struct dest *d, struct sched_verdict *out)
{
	if (d->failures > 0) {
		out->news = SCHED_NEWS_WORKS;
		d->told = s->now;
		d->hasten = s->now != 0 ? s->now : 1;
		d->fill = d->waiting;
	}
	if (d->state != DEST_OPEN) {
		set_state(s, d, DEST_OPEN);
		if (d->failures > 0)
			d->window = s->c.start;
		d->back_off_until = 0;
		d->good = 0;
	}
	d->failures = 0;
	d->bad = 0;
	d->busy = 0;
}

static void shrink(const struct sched *s, struct dest *d, uint32_t window)
{
	d->careful = true;
	d->trouble = s->now;
	d->good = 0;
	if (window < d->window)
		d->window = d->peak = window > 0 ? window : 1;
}

static void smooth(int64_t *average, int64_t ms)
{
	*average += *average == 0 ? ms : (ms - *average) / SMOOTH;
}

/* How long it takes to reply: with more at a time than it can do it takes longer. */
static void feel(struct sched *s, struct dest *d, const struct entry *e, int64_t reply_ms)
{
	smooth(&d->smooth, s->now > e->started ? s->now - e->started : 1);
	if (reply_ms <= 0)
		return;
	smooth(&d->reply, reply_ms);
	if (d->best == 0 || d->reply < d->best)
		d->best = d->reply;
	if (e->epoch == d->epoch && d->window > s->c.start && d->reply > HIGH * d->best + HIGH_MS) {
		shrink(s, d, d->window / 4 * 3);
		d->epoch++;
		d->best += d->best / SMOOTH + 1; /* perhaps it is slower now */
	}
}

static void grow(const struct sched *s, struct dest *d)
{
	bool used = 2 * d->peak > d->window;
	bool quick = d->reply > 0 && d->reply < QUICK_MS && d->window >= QUICK_WINDOW;
	bool rising = d->reply > RISING * d->best + RISING_MS;
	uint32_t wanted = d->careful ? CAREFUL_ROUNDS * d->window : 1;

	if (d->careful && s->now - d->trouble < CAREFUL_MS)
		return;
	if (++d->good >= wanted && used && !rising && !quick && d->window < s->c.limit) {
		d->window++;
		d->good = 0;
	}
}

static void sent(struct sched *s, struct dest *d, const struct entry *e, int64_t reply_ms,
		 struct sched_verdict *out)
{
	answered(s, d, out);
	d->worked = s->now != 0 ? s->now : 1;
	d->nblamed = 0;
	if (d->told == 0 || s->now - d->told >= TELL_MS) {
		d->told = s->now;
		out->news = SCHED_NEWS_WORKS;
	}
	feel(s, d, e, reply_ms);
	grow(s, d);
}

static void host_trouble(struct sched *s, struct dest *d, const struct entry *e,
			 struct sched_verdict *out)
{
	if (e->epoch != d->epoch && d->state != DEST_OPEN)
		return;
	d->bad++;
	d->good = 0;
	d->careful = true;
	d->trouble = s->now;
	if (e->epoch == d->epoch && d->window > 1) {
		d->window /= 2;
		d->epoch += d->state == DEST_OPEN;
	}
	if (d->state == DEST_PROBING || d->bad >= d->window)
		back_off(s, d, INT64_MAX, out);
}

/* Others are served, or were a moment ago; or some are under way and none of them says otherwise.
 */
static bool serves(const struct sched *s, const struct dest *d, const struct entry *e)
{
	bool lately = d->worked != 0 && (d->worked >= e->started || s->now - d->worked < SERVES_MS);

	return d->state == DEST_OPEN && d->failures == 0 &&
	       (lately || (d->running > 0 && d->bad == 0)) && d->busy < s->c.limit + BUSY_SLACK;
}

/* As many as are not turned away are what it takes. */
static void turned_away(struct sched *s, struct dest *d, struct sched_verdict *out)
{
	d->busy++;
	shrink(s, d, d->running);
	d->more = true;
	out->uncounted = true;
	out->due = s->now;
	if (d->running == 0) {
		rest(s, d, s->now + BUSY_REST_MS);
		out->due = d->back_off_until;
	}
}

static void blame(struct dest *d, uint64_t origin)
{
	if (d->nblamed == BLAMED_MAX) {
		for (uint32_t i = 1; i < BLAMED_MAX; i++)
			d->blamed[i - 1] = d->blamed[i];
		d->nblamed--;
	}
	d->blamed[d->nblamed++] = origin;
}

/* The host works, but not with this message: of another origin than the last such, it is the host
 * after all. */
static void message_trouble(struct sched *s, struct dest *d, const struct entry *e,
			    struct sched_verdict *out)
{
	uint64_t origin = origin_of_sender(e->sender);

	if (host_is_blamed(d, origin) || d->nblamed == 0) {
		if (d->nblamed == 0)
			blame(d, origin);
		if (d->state == DEST_PROBING) {
			answered(s, d, out);
			d->hasten = 0; /* nothing went: the others are no better off */
			d->window = 1;
		}
		return;
	}
	blame(d, origin);
	if (e->epoch == d->epoch || d->state == DEST_OPEN) {
		d->failures -= d->failures > 0; /* whoever has many origins does not add them up */
		back_off(s, d, MESSAGE_REST_MS, out);
	}
}

void host_ended(struct sched *s, struct dest *d, const struct entry *e, const struct sched_end *end,
		struct sched_verdict *out)
{
	switch (end->class) {
	case SCHED_SENT:
		sent(s, d, e, end->reply_ms, out);
		return;
	case SCHED_RECIPIENT_TROUBLE:
		answered(s, d, out);
		return;
	case SCHED_HOST_BUSY:
		if (serves(s, d, e) && out->fate == SCHED_FATE_RETRY) {
			turned_away(s, d, out);
			return;
		}
		host_trouble(s, d, e, out);
		return;
	case SCHED_HOST_TROUBLE:
		host_trouble(s, d, e, out);
		return;
	case SCHED_MESSAGE_TROUBLE:
		message_trouble(s, d, e, out);
		return;
	case SCHED_POSSIBLY_DELIVERED:
		/* The next message might be doubled too: rest at once, however the others do. */
		if (e->epoch == d->epoch || d->state == DEST_OPEN)
			back_off(s, d, INT64_MAX, out);
		return;
	case SCHED_LOCAL_TROUBLE:
		if (d->state == DEST_PROBING && e->epoch == d->epoch)
			rest(s, d, s->now + s->c.local_rest);
		else if (d->state == DEST_OPEN)
			rest(s, d, s->now + s->c.local_rest);
		return;
	}
}

void host_known(struct sched *s, struct dest *d, const struct sched_known *k)
{
	d->window = s->c.start;
	set_state(s, d, DEST_OPEN);
	if (k == NULL)
		return;
	d->worked = d->told = k->worked;
	d->own = k->own;
	if (k->failures == 0)
		return;
	d->failures = k->failures;
	d->window = 1;
	set_state(s, d, DEST_PROBE);
}

void host_sweep(struct sched *s)
{
	if (s->now < s->wake)
		return;
	s->wake = INT64_MAX;
	for (uint32_t i = 0; i < s->dests_used; i++) {
		struct dest *d = &s->dest[i];
		if (d->state != DEST_RESTING)
			continue;
		if (d->back_off_until <= s->now) {
			set_state(s, d, DEST_PROBE);
			d->back_off_until = 0;
			s->stuck = false;
			dest_settle(s, d);
		} else if (d->back_off_until < s->wake) {
			s->wake = d->back_off_until;
		}
	}
}
