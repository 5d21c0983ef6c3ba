/* SPDX-License-Identifier: MIT */
/*
 * One destination as its attempts show it: how many at a time, and when nobody.
 *
 * Knows the classes of outcomes. Refuses to know deliveries beyond their start.
 *
 *   OPEN     sent: one more at a time per window of successes. Host trouble: half as many, and when
 *            a whole window failed in a row: RESTING
 *   RESTING  time is up: PROBE        PROBE    one starts: PROBING
 *   PROBING  it got an answer: OPEN   host trouble: RESTING, twice as long
 * Any answer of the destination ends a back-off. News of attempts that began before the last
 * halving or back-off is old: it was counted already.
 */
#include "sched/room.h"

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
}

static void rest(struct sched *s, struct dest *d, int64_t until)
{
	set_state(s, d, DEST_RESTING);
	d->epoch++;
	d->back_off_until = until;
	if (until < s->wake)
		s->wake = until;
}

static void back_off(struct sched *s, struct dest *d, struct sched_verdict *out)
{
	d->failures++;
	int64_t wait = sched_double(s->c.back_off_first, s->c.back_off_max, d->failures);
	uint64_t h = sched_mix(~s->seed, (uint64_t)d->id, d->failures);
	rest(s, d, s->now + sched_jitter(wait, s->c.jitter, h));
	d->window = 1;
	d->bad = 0;
	out->news = SCHED_NEWS_BACK_OFF;
	out->back_off_until = d->back_off_until;
	out->failures = d->failures;
}

static void answered(struct sched *s, struct dest *d, struct sched_verdict *out)
{
	if (d->failures > 0)
		out->news = SCHED_NEWS_WORKS;
	if (d->state != DEST_OPEN) {
		set_state(s, d, DEST_OPEN);
		d->window = s->c.start;
		d->back_off_until = 0;
		d->good = 0;
	}
	d->failures = 0;
	d->bad = 0;
}

static void grow(const struct sched *s, struct dest *d)
{
	if (++d->good >= d->window && d->window < s->c.limit) {
		d->window++;
		d->good = 0;
	}
}

static void host_trouble(struct sched *s, struct dest *d, const struct entry *e,
			 struct sched_verdict *out)
{
	if (e->epoch != d->epoch && d->state != DEST_OPEN)
		return;
	d->bad++;
	d->good = 0;
	if (e->epoch == d->epoch && d->window > 1) {
		d->window /= 2;
		d->epoch += d->state == DEST_OPEN;
	}
	if (d->state == DEST_PROBING || d->bad >= d->window)
		back_off(s, d, out);
}

void host_ended(struct sched *s, struct dest *d, const struct entry *e, enum sched_class class,
		struct sched_verdict *out)
{
	switch (class) {
	case SCHED_SENT:
		answered(s, d, out);
		grow(s, d);
		return;
	case SCHED_RECIPIENT_TROUBLE:
		answered(s, d, out);
		return;
	case SCHED_HOST_TROUBLE:
		host_trouble(s, d, e, out);
		return;
	case SCHED_POSSIBLY_DELIVERED:
		/* The next message might be doubled too: rest at once, however the others do. */
		if (e->epoch == d->epoch || d->state == DEST_OPEN)
			back_off(s, d, out);
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
	if (k == NULL || k->failures == 0)
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
	for (uint32_t i = 0; i < s->c.destinations; i++) {
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
