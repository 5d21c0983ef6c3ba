/* SPDX-License-Identifier: MIT */
/*
 * A wall clock that makes steps. Mail does not age by a wrong clock, and waits for no time that a
 * wrong clock has written.
 *
 * Knows the two clocks. Refuses to know why one of them moved.
 */
#include "relay/keeper_int.h"

enum { STEP_MIN_MS = 60000 }; /* a clock that is set right by less delays nothing that matters */

void keeper_start_clock(struct keeper *k)
{
	k->wall = keeper_now();
	k->elapsed = loop_elapsed_ms();
}

int64_t keeper_clock_step(const struct keeper *k)
{
	int64_t by = keeper_now() - k->wall - (int64_t)(loop_elapsed_ms() - k->elapsed);
	return by > STEP_MIN_MS || by < -STEP_MIN_MS ? by : 0;
}

enum store_status keeper_move_times(struct keeper *k, int64_t by)
{
	const struct sched_config *c = &k->sched_config;
	int64_t now = keeper_now(),
		wait = c->retry_max > c->back_off_max ? c->retry_max : c->back_off_max;
	struct store_shift x = {
	    .by = by,
	    .due_max = now + wait + wait / 100 * c->jitter,
	    .expires_max = now + c->lifetime,
	};
	return store_shift(k->store, &x);
}

void keeper_follow_clock(struct keeper *k)
{
	int64_t by = keeper_clock_step(k);
	if (by != 0) {
		char text[LOG_INT_TEXT];
		log_event(k->process.log, LOG_LEVEL_WARN, "clock-moved", "seconds",
			  log_int(text, by / 1000), NULL);
		sched_clock_moved(k->sched, by);
		enum store_status s = keeper_move_times(k, by);
		if (s != STORE_OK)
			keeper_fatal(k, "clock", s);
	}
	keeper_start_clock(k); /* a slow drift must not add up to a step */
}
