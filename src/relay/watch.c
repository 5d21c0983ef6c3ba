/* SPDX-License-Identifier: MIT */
/* Who hangs, from times alone. Knows no process and no message; what a verdict does is known by the
 * parent. */
#include "relay/watch.h"

void watch_born(struct watch *w, uint64_t now)
{
	*w = (struct watch){.since = now};
}

void watch_ready(struct watch *w)
{
	w->ready = true;
	w->since = 0;
}

void watch_answered(struct watch *w)
{
	w->since = 0;
}

bool watch_wants_channel(struct watch *w)
{
	return ++w->channels <= WATCH_CHANNELS_MAX;
}

void watch_cut_off(struct watch *w, uint64_t now)
{
	w->ready = true; /* whatever it is doing, nobody will hear of it */
	w->since = now;
}

void watch_excuse(struct watch *w, uint64_t ms)
{
	if (w->since != 0)
		w->since += ms;
	if (w->killed != 0)
		w->killed += ms;
}

enum watch_verdict watch_judge(struct watch *w, uint64_t now, uint64_t limit_ms)
{
	if (w->killed != 0)
		return now > w->killed + WATCH_UNKILLABLE_MS ? WATCH_LOST : WATCH_FINE;
	if (w->since == 0) {
		w->since = now;
		return WATCH_ASK;
	}
	if (now <= w->since + (w->ready ? limit_ms : limit_ms * WATCH_START_FACTOR))
		return WATCH_FINE;
	w->killed = now;
	return WATCH_KILL;
}

uint32_t watch_tick_ms(uint64_t limit_ms)
{
	uint64_t tick = limit_ms / 4;
	if (tick < WATCH_TICK_MIN_MS)
		return WATCH_TICK_MIN_MS;
	return tick > WATCH_TICK_MAX_MS ? WATCH_TICK_MAX_MS : (uint32_t)tick;
}
