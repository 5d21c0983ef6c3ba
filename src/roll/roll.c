/* SPDX-License-Identifier: MIT */
/*
 * The step of a rollover: one function for each state, in a table.
 *
 * Knows which order of events never leaves a sender with a set of records that the server does not
 * satisfy (RFC 7671 s8.1, s8.4). Refuses to know how records are published, how a certificate is
 * put into service, and what the records are.
 */
#include "roll/roll.h"

/* Adjustments of a clock that is kept right. */
enum { CLOCK_SLACK_S = 5 };

/* --- The facts, read --- */

static bool new_everywhere(const struct roll_facts *f)
{
	return f->servers_new == f->servers;
}

static bool old_everywhere(const struct roll *r, const struct roll_facts *f)
{
	return !r->has_old || f->servers_old == f->servers;
}

static bool is_complete(const struct roll *r, const struct roll_facts *f)
{
	return new_everywhere(f) && old_everywhere(r, f);
}

static bool is_reached(const struct roll_facts *f)
{
	return f->addresses > 0 && f->unreached == 0;
}

static bool is_deployed(const struct roll_facts *f)
{
	return is_reached(f) && f->on_new == f->addresses && f->need_old == 0;
}

/* A chain that a sender with the set of before refuses. Without a set of before there is no DANE to
 * break. */
static bool is_early(const struct roll *r, const struct roll_facts *f)
{
	return f->need_new > 0 && (r->has_old || f->others > 0);
}

/* --- Moves --- */

static void stay(struct roll_move *m, enum roll_act act, enum roll_why why)
{
	m->act = act;
	m->why = why;
	m->stance = act == ROLL_NOTHING ? roll_why_stance(why) : ROLL_GOES;
}

static void go(struct roll_move *m, enum roll_state to, enum roll_why why)
{
	m->next.state = to;
	m->next.since = m->next.until = 0;
	m->act = ROLL_NOTHING;
	m->why = why;
	m->stance = ROLL_GOES;
}

static int64_t doubled(uint32_t hold_s)
{
	return 2 * (int64_t)hold_s;
}

static int64_t settle_time(const struct roll *r)
{
	return r->settle_s >= 0 ? r->settle_s : doubled(r->hold_s);
}

static void begin_wait(struct roll *r, const struct roll_facts *f, int64_t length)
{
	r->since = f->now;
	r->until = f->now + length;
	r->boot = f->boot;
	r->ticks = f->ticks;
}

static bool wall_is_over(const struct roll *r, const struct roll_facts *f)
{
	return f->now >= r->until;
}

/* Within one boot the monotonic clock must agree. */
static bool ticks_are_over(const struct roll *r, const struct roll_facts *f)
{
	return f->boot != r->boot || f->ticks - r->ticks >= r->until - r->since;
}

/* The longer of what was known and what is seen; true: it grew. */
static bool note_ttl(struct roll *r, const struct roll_facts *f)
{
	bool grew = f->ttl > r->hold_s;
	if (grew)
		r->hold_s = f->ttl;
	return grew;
}

/* What is the same in every state that looks at DNS. true: there is nothing more to say. */
static bool guarded(const struct roll_facts *f, struct roll_move *m)
{
	if (f->zone == ROLL_ZONE_FAILED)
		stay(m, ROLL_NOTHING, ROLL_WHY_LOOKUP_FAILED);
	else if (f->zone == ROLL_ZONE_INSECURE)
		stay(m, ROLL_NOTHING, ROLL_WHY_INSECURE);
	else if (f->servers == 0 || f->servers_failed > 0)
		stay(m, ROLL_NOTHING, ROLL_WHY_SERVER_FAILED);
	else
		return false;
	return true;
}

/* Has the wait of this state ended? If not, *m says why. */
static bool waited(const struct roll *r, const struct roll_facts *f, int64_t length,
		   enum roll_why why, struct roll_move *m)
{
	if (f->now + CLOCK_SLACK_S < r->seen || f->now + CLOCK_SLACK_S < r->since) {
		begin_wait(&m->next, f, length);
		stay(m, ROLL_NOTHING, ROLL_WHY_CLOCK_BACK);
		return false;
	}
	if (wall_is_over(&m->next, f) && ticks_are_over(&m->next, f))
		return true;
	stay(m, ROLL_NOTHING, wall_is_over(&m->next, f) ? ROLL_WHY_CLOCK_FORWARD : why);
	return false;
}

/* --- The states --- */

static void step_make(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	(void)r;
	if (f->key_ready)
		go(m, ROLL_PUBLISH, ROLL_WHY_STEP);
	else
		stay(m, ROLL_MAKE_KEY, ROLL_WHY_MAKING);
}

static void step_publish(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (guarded(f, m))
		return;
	note_ttl(&m->next, f);
	if (!is_complete(r, f)) {
		stay(m, ROLL_ADD, is_early(r, f) ? ROLL_WHY_EARLY : ROLL_WHY_ADDING);
		return;
	}
	go(m, ROLL_WAIT, ROLL_WHY_STEP);
	begin_wait(&m->next, f, doubled(m->next.hold_s));
}

static void step_wait(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (guarded(f, m))
		return;
	if (!is_complete(r, f)) {
		go(m, ROLL_PUBLISH, ROLL_WHY_VANISHED);
		return;
	}
	bool raised = note_ttl(&m->next, f);
	if (raised)
		m->next.until = m->next.since + doubled(m->next.hold_s);
	if (!waited(r, f, doubled(m->next.hold_s), raised ? ROLL_WHY_TTL_RAISED : ROLL_WHY_WAITING,
		    m)) {
		if (is_early(r, f))
			stay(m, ROLL_NOTHING, ROLL_WHY_EARLY);
		return;
	}
	go(m, ROLL_DEPLOY, ROLL_WHY_STEP);
	m->next.put_in = false;
}

/* A record is gone while both should stand. */
static void mend(const struct roll_facts *f, struct roll_move *m)
{
	if (!new_everywhere(f) && f->need_new == 0)
		go(m, ROLL_PUBLISH, ROLL_WHY_VANISHED); /* nobody needs it yet: wait anew */
	else
		stay(m, ROLL_ADD, ROLL_WHY_NEEDED);
}

static void step_deploy(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (guarded(f, m))
		return;
	if (!is_reached(f)) {
		stay(m, ROLL_NOTHING, ROLL_WHY_UNREACHED);
		return;
	}
	if (!is_complete(r, f)) {
		mend(f, m);
		return;
	}
	note_ttl(&m->next, f);
	if (is_deployed(f)) {
		go(m, ROLL_SETTLE, ROLL_WHY_STEP);
		begin_wait(&m->next, f, settle_time(&m->next));
	} else if (!r->put_in) {
		stay(m, ROLL_PUT_IN, ROLL_WHY_PUTTING_IN);
	} else {
		stay(m, ROLL_NOTHING, ROLL_WHY_NOT_SERVED);
	}
}

/* After the change: is the server seen, and are the new records there, and the old ones as long as
 * somebody needs them? If not, *m says why. */
static bool records_stand(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (guarded(f, m))
		return false;
	if (!is_reached(f))
		stay(m, ROLL_NOTHING, ROLL_WHY_UNREACHED);
	else if (!new_everywhere(f) || (!old_everywhere(r, f) && f->need_old > 0))
		stay(m, ROLL_ADD, ROLL_WHY_NEEDED);
	else
		return true;
	return false;
}

static void step_settle(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (!records_stand(r, f, m))
		return;
	if (!is_deployed(f))
		go(m, ROLL_DEPLOY, ROLL_WHY_STILL_SERVED);
	else if (waited(r, f, settle_time(r), ROLL_WHY_SETTLING, m))
		go(m, ROLL_RETIRE, ROLL_WHY_STEP);
}

/* The old chain is back in service. An order to drop its record may be on its way still. */
static void turn_to_deploy(const struct roll *r, struct roll_move *m)
{
	m->next.dropping = false;
	if (r->dropping)
		stay(m, ROLL_ADD, ROLL_WHY_NEEDED);
	else
		go(m, ROLL_DEPLOY, ROLL_WHY_STILL_SERVED);
}

static void drop_old(struct roll_move *m)
{
	m->next.dropping = true;
	stay(m, ROLL_DROP_OLD, ROLL_WHY_DROPPING_OLD);
}

static void step_retire(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (!records_stand(r, f, m))
		return;
	if (!is_deployed(f))
		turn_to_deploy(r, m);
	else if (r->has_old && f->servers_any_old > 0)
		drop_old(m);
	else
		go(m, ROLL_DONE, ROLL_WHY_STEP);
}

static void step_done(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	(void)r;
	(void)f;
	stay(m, ROLL_NOTHING, ROLL_WHY_DONE);
}

/* --- The way back --- */

/* The old records never left, unless somebody took them out by hand: then resolvers need the time
 * of a first publication before the old certificate may come back. */
static bool old_is_ready(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	note_ttl(&m->next, f);
	if (!old_everywhere(r, f)) {
		begin_wait(&m->next, f, doubled(m->next.hold_s));
		stay(m, ROLL_ADD, ROLL_WHY_RESTORE_LATER);
		return false;
	}
	return r->until == 0 || waited(r, f, doubled(m->next.hold_s), ROLL_WHY_RESTORE_LATER, m);
}

static void step_restore(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (guarded(f, m))
		return;
	if (!is_reached(f))
		stay(m, ROLL_NOTHING, ROLL_WHY_UNREACHED);
	else if (!is_early(r, f))
		go(m, ROLL_WITHDRAW, ROLL_WHY_STEP);
	else if (old_is_ready(r, f, m))
		stay(m, ROLL_NOTHING, ROLL_WHY_RESTORING);
}

static void step_withdraw(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	if (guarded(f, m))
		return;
	if (!is_reached(f))
		stay(m, ROLL_NOTHING, ROLL_WHY_UNREACHED);
	else if (is_early(r, f))
		go(m, ROLL_RESTORE, ROLL_WHY_RESTORING);
	else if (f->servers_any_new > 0)
		stay(m, ROLL_DROP_NEW, ROLL_WHY_DROPPING_NEW);
	else
		go(m, ROLL_ABORTED, ROLL_WHY_STEP);
}

static void step_aborted(const struct roll *r, const struct roll_facts *f, struct roll_move *m)
{
	(void)r;
	(void)f;
	stay(m, ROLL_NOTHING, ROLL_WHY_ABORTED);
}

/* --- The table --- */

typedef void step(const struct roll *r, const struct roll_facts *f, struct roll_move *m);

static step *const steps[] = {
    [ROLL_MAKE] = step_make,       [ROLL_PUBLISH] = step_publish, [ROLL_WAIT] = step_wait,
    [ROLL_DEPLOY] = step_deploy,   [ROLL_SETTLE] = step_settle,   [ROLL_RETIRE] = step_retire,
    [ROLL_DONE] = step_done,       [ROLL_RESTORE] = step_restore, [ROLL_WITHDRAW] = step_withdraw,
    [ROLL_ABORTED] = step_aborted,
};
_Static_assert(sizeof(steps) / sizeof(steps[0]) == ROLL_STATES, "a step for each state");

void roll_begin(struct roll *r, bool has_old, int64_t settle_s)
{
	*r = (struct roll){.state = ROLL_MAKE, .has_old = has_old, .settle_s = settle_s};
}

void roll_step(const struct roll *r, const struct roll_facts *f, struct roll_move *out)
{
	*out = (struct roll_move){.next = *r};
	steps[r->state](r, f, out);
	out->next.seen = f->now;
}

void roll_abort(const struct roll *r, const struct roll_facts *f, struct roll_move *out)
{
	*out = (struct roll_move){.next = *r};
	out->next.seen = f->now;
	switch (r->state) {
	case ROLL_MAKE:
		go(out, ROLL_ABORTED, ROLL_WHY_STEP); /* nothing was published */
		return;
	case ROLL_PUBLISH:
	case ROLL_WAIT:
	case ROLL_DEPLOY:
	case ROLL_SETTLE:
		go(out, ROLL_RESTORE, ROLL_WHY_STEP);
		return;
	case ROLL_RETIRE:
		if (guarded(f, out))
			return;
		if (!r->dropping && old_everywhere(r, f))
			go(out, ROLL_RESTORE, ROLL_WHY_STEP);
		else
			stay(out, ROLL_NOTHING, ROLL_WHY_TOO_LATE);
		return;
	case ROLL_DONE:
		stay(out, ROLL_NOTHING, ROLL_WHY_TOO_LATE);
		return;
	case ROLL_RESTORE:
	case ROLL_WITHDRAW:
		stay(out, ROLL_NOTHING, ROLL_WHY_RESTORING);
		return;
	case ROLL_ABORTED:
	case ROLL_STATES:
		stay(out, ROLL_NOTHING, ROLL_WHY_ABORTED);
		return;
	}
}
