/* SPDX-License-Identifier: MIT */
/*
 * The driver of a rollover: look, step, store, act, look again. It decides nothing: what may be
 * done is src/roll's, and nothing is done that is not on the disk before.
 */
#include "cmd/roll.h"

#include <poll.h>
#include <sysexits.h>

enum { SHOWN_NOTHING = -1, ROUNDS_MAX = 64 /* of one run without --wait: a loop would be a bug */ };

struct driving {
	struct roll_run *run;
	struct roll_look look;
	struct roll_move move;
	bool acted;         /* something changed in this run */
	bool turned;        /* abort was asked of the machine */
	enum roll_act last; /* done since the last change of state */
	int shown;          /* the reason that was printed last, in shown_state */
	enum roll_state shown_state;
	int64_t shown_until;
};

/* --- Showing --- */

static int show(struct driving *d, bool always)
{
	struct roll_run *r = d->run;
	const struct roll_move *m = &d->move;
	bool same = d->shown == (int)m->why && d->shown_state == m->next.state &&
		    d->shown_until == m->next.until;
	if (same && !always)
		return EX_OK;
	d->shown = (int)m->why;
	d->shown_state = m->next.state;
	d->shown_until = m->next.until;
	if (r->json)
		return roll_print_json(r->job, m, &d->look) ? EX_OK : EX_IOERR;
	roll_print_move(r->job, m, &d->look);
	return EX_OK;
}

static void show_act(struct driving *d, bool would)
{
	if (!d->run->json)
		roll_print_act(d->run->job, d->move.act, would);
	fflush(stdout);
}

static int exit_of(const struct driving *d, enum roll_stance s)
{
	switch (s) {
	case ROLL_OVER:
		return ROLL_EXIT_OVER;
	case ROLL_BLOCKED:
		return ROLL_EXIT_BLOCKED;
	case ROLL_UNKNOWN:
		return ROLL_EXIT_UNKNOWN;
	case ROLL_GOES:
	case ROLL_WAITS:
		return d->acted ? ROLL_EXIT_ACTED : ROLL_EXIT_WAITS;
	}
	return ROLL_EXIT_UNKNOWN;
}

/* --- One round --- */

enum round_end { ROUND_AGAIN, ROUND_REST, ROUND_END };

/* Nothing more can be done now. */
static enum round_end rest(struct driving *d, enum roll_stance stance, int *code)
{
	*code = exit_of(d, stance);
	return d->run->wait && stance != ROLL_OVER ? ROUND_REST : ROUND_END;
}

static enum round_end do_act(struct driving *d, int *code)
{
	struct roll_run *r = d->run;
	bool repeated = d->move.act == d->last;
	enum roll_why why = d->move.why;
	if (repeated && !r->wait) /* ordered already; it has not shown yet */
		return rest(d, roll_why_stance(why), code);
	if (!repeated)
		show_act(d, false);
	enum roll_done done = roll_act(r->cmd, r->job, &d->look, d->move.act);
	d->last = d->move.act;
	if (done == ROLL_BY_HAND)
		return rest(d, ROLL_BLOCKED, code);
	if (done == ROLL_FAILED) {
		*code = ROLL_EXIT_BLOCKED;
		return r->wait && d->move.act != ROLL_PUT_IN && d->move.act != ROLL_MAKE_KEY
			   ? ROUND_REST
			   : ROUND_END;
	}
	d->acted = true;
	if (d->move.act == ROLL_PUT_IN)
		r->job->machine.put_in = true;
	*code = roll_save(r->cmd, r->path, r->job);
	if (*code != EX_OK)
		return ROUND_END;
	return repeated ? rest(d, roll_why_stance(why), code) : ROUND_AGAIN;
}

static enum round_end tell_only(struct driving *d, int *code)
{
	enum roll_stance stance = d->move.stance;
	if (d->move.act != ROLL_NOTHING)
		stance = roll_why_stance(d->move.why);
	if (roll_is_by_hand(d->run->job, d->move.act))
		stance = ROLL_BLOCKED;
	*code = show(d, true);
	show_act(d, true);
	if (*code == EX_OK)
		*code = exit_of(d, stance);
	return ROUND_END;
}

/* An order to turn round is given once; to a rollover that is on its way back it says nothing new.
 */
static bool turn(struct driving *d)
{
	const struct roll *m = &d->run->job->machine;
	bool back =
	    m->state == ROLL_RESTORE || m->state == ROLL_WITHDRAW || m->state == ROLL_ABORTED;
	bool ask = d->run->abort && !d->turned && !back;
	d->turned = true;
	return ask;
}

static enum round_end after_look(struct driving *d, int *code)
{
	struct roll_run *r = d->run;
	struct roll *m = &r->job->machine;
	bool turning = turn(d);
	if (turning)
		roll_abort(m, &d->look.facts, &d->move);
	else
		roll_step(m, &d->look.facts, &d->move);
	if (r->dry)
		return tell_only(d, code);
	bool moved = d->move.next.state != m->state;
	if (turning && !moved) { /* refused */
		*code = show(d, true);
		if (*code == EX_OK)
			*code = exit_of(d, d->move.stance);
		return ROUND_END;
	}
	*m = d->move.next;
	*code = roll_save(r->cmd, r->path, r->job);
	if (*code == EX_OK)
		*code = show(d, moved);
	if (*code != EX_OK)
		return ROUND_END;
	if (moved) {
		d->acted = true;
		d->last = ROLL_NOTHING;
		return ROUND_AGAIN;
	}
	if (d->move.act != ROLL_NOTHING)
		return do_act(d, code);
	return rest(d, d->move.stance, code);
}

static enum round_end one_round(struct driving *d, int *code)
{
	*code = roll_look(d->run->cmd, d->run->job, &d->look);
	enum round_end end = *code == EX_OK ? after_look(d, code) : ROUND_END;
	roll_look_free(&d->look);
	return end;
}

/* Until the next look: no longer than the poll, and no longer than to the end of the wait. */
static void sleep_a_while(const struct driving *d)
{
	int64_t seconds = d->run->poll_s, left = d->move.next.until - loop_wall_s();
	if (left > 0 && left < seconds)
		seconds = left;
	poll(NULL, 0, (int)(seconds > 0 ? seconds : 1) * 1000);
}

int roll_drive(struct roll_run *r)
{
	struct driving d = {.run = r, .shown = SHOWN_NOTHING};
	int code = ROLL_EXIT_UNKNOWN;
	for (unsigned rounds = 0; r->wait || rounds < ROUNDS_MAX; rounds++) {
		enum round_end end = one_round(&d, &code);
		fflush(stdout);
		if (end == ROUND_END)
			return code;
		if (end == ROUND_REST)
			sleep_a_while(&d);
	}
	return code;
}
