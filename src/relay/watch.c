/* SPDX-License-Identifier: MIT */
/* Who hangs, from times and states alone. Knows no process and no message; what a verdict does is
 * known by the parent. */
#include "relay/watch.h"

const char *watch_state_name(enum watch_state s)
{
	switch (s) {
	case WATCH_UNKNOWN:
		return "unknown";
	case WATCH_RUNS:
		return "runs";
	case WATCH_SLEEPS:
		return "sleeps";
	case WATCH_DISK:
		return "waits for a disk";
	case WATCH_STOPPED:
		return "stopped";
	case WATCH_TRACED:
		return "traced";
	}
	return "unknown";
}

enum watch_state watch_state_of(char letter)
{
	switch (letter) {
	case 'R':
		return WATCH_RUNS;
	case 'S':
		return WATCH_SLEEPS;
	case 'D':
		return WATCH_DISK;
	case 'T':
		return WATCH_STOPPED;
	case 't':
		return WATCH_TRACED;
	default: /* idle, parked, dead: of no process of ours that lives */
		return WATCH_UNKNOWN;
	}
}

/* It owes from now on; what was seen before counts no more. */
static void owe(struct watch *w, uint64_t now)
{
	w->since = now;
	w->state = WATCH_UNKNOWN;
	w->seen = w->slow = false;
	w->cpu_first = w->cpu_last = 0;
}

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
	owe(w, now);
}

void watch_excuse(struct watch *w, uint64_t ms)
{
	if (w->since != 0)
		w->since += ms;
	if (w->killed != 0)
		w->killed += ms;
}

void watch_saw(struct watch *w, enum watch_state s, uint64_t cpu_ms)
{
	w->state = s;
	w->slow = w->slow || s == WATCH_DISK || s == WATCH_TRACED || s == WATCH_UNKNOWN;
	if (!w->seen)
		w->cpu_first = cpu_ms;
	w->cpu_last = cpu_ms;
	w->seen = true;
}

/* Is it known that it will not answer, rather than that it is slow? */
static bool is_hung(const struct watch *w, uint64_t silent)
{
	bool busy = w->cpu_last - w->cpu_first >= silent / WATCH_BUSY_PART;
	switch (w->state) {
	case WATCH_STOPPED:
		return true;
	case WATCH_RUNS:
	case WATCH_UNKNOWN:
		return w->ready && busy;
	case WATCH_SLEEPS:
		return w->ready && !w->slow;
	case WATCH_DISK:
	case WATCH_TRACED:
		return false;
	}
	return false;
}

enum watch_verdict watch_judge(struct watch *w, uint64_t now, uint64_t limit_ms)
{
	if (w->killed != 0)
		return now > w->killed + WATCH_UNKILLABLE_MS ? WATCH_LOST : WATCH_FINE;
	if (w->since == 0) {
		owe(w, now);
		return WATCH_ASK;
	}
	uint64_t silent = now - w->since;
	uint64_t most = limit_ms * (w->ready ? WATCH_SLOW_FACTOR : WATCH_START_FACTOR);
	if (now <= w->since || silent <= limit_ms || (silent <= most && !is_hung(w, silent)))
		return WATCH_FINE;
	w->killed = now;
	return WATCH_KILL;
}

uint32_t watch_tick_ms(uint64_t limit_ms)
{
	uint64_t tick = limit_ms / WATCH_TICKS;
	if (tick < WATCH_TICK_MIN_MS)
		return WATCH_TICK_MIN_MS;
	return tick > WATCH_TICK_MAX_MS ? WATCH_TICK_MAX_MS : (uint32_t)tick;
}
