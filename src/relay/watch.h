/* SPDX-License-Identifier: MIT */
/*
 * relay: does a process still turn its loop? The parent asks each child now and then; whoever does
 * not answer for long is killed, and a new one takes its place. Pure: times are monotonic
 * milliseconds and arguments.
 *
 * A child may be slow for good reasons: a commit on a slow disk, the opening of a huge store. So
 * the limit is minutes, and more before the child is ready: killing would only start it over.
 */
#ifndef RELAY_WATCH_H
#define RELAY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
	WATCH_START_FACTOR = 12,  /* so many limits until it is ready */
	WATCH_TICK_MIN_MS = 1000, /* between two looks */
	WATCH_TICK_MAX_MS = 15000,
	/* New channels that one child may ask for: its peers keep an end of each, so that one that
	 * was taken over could use up their descriptors. An honest child asks when a peer cut it
	 * off, which is a bug of somebody's. */
	WATCH_CHANNELS_MAX = 32,
	WATCH_UNKILLABLE_MS = 30000, /* it was killed and is still there: the system is at fault */
};

struct watch {
	uint64_t since;  /* it owes an answer; 0: it owes none */
	uint64_t killed; /* 0: it was not */
	bool ready;
	unsigned channels; /* asked for */
};

enum watch_verdict {
	WATCH_FINE,
	WATCH_ASK,  /* nothing is owed: ask */
	WATCH_KILL, /* once */
	WATCH_LOST, /* and nothing helps: whoever watches the parent is to know */
};

void watch_born(struct watch *w, uint64_t now); /* owes "ready" */
void watch_ready(struct watch *w);
void watch_answered(struct watch *w);
/* It asks for a new channel to a peer. False: too often; it is to be killed. */
bool watch_wants_channel(struct watch *w);
/* The channel broke, and the child is still there: it owes its end. */
void watch_cut_off(struct watch *w, uint64_t now);
/* The parent itself did not turn (stopped, frozen) for so long: that is nobody's fault. */
void watch_excuse(struct watch *w, uint64_t ms);
enum watch_verdict watch_judge(struct watch *w, uint64_t now, uint64_t limit_ms);
/* How often to look. */
uint32_t watch_tick_ms(uint64_t limit_ms);

#endif
