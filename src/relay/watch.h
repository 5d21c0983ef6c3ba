/* SPDX-License-Identifier: MIT */
/*
 * relay: does a process still turn its loop? The parent asks each child now and then; whoever does
 * not answer for long is killed, and a new one takes its place. Pure: times are monotonic
 * milliseconds and arguments, and so is what the kernel says of the child.
 *
 * A child may be slow for good reasons: a commit on a slow disk, the opening of a huge store, a
 * machine with too much to do. Killing would only start it over. So a silent child is a hung one
 * soon only when the kernel says so: it is stopped, or it has used the processor all the time, or
 * it sleeps and waits for no disk. While it was seen to wait for a disk, or nothing is known, the
 * limit is WATCH_SLOW_FACTOR times as long.
 */
#ifndef RELAY_WATCH_H
#define RELAY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
	WATCH_SLOW_FACTOR = 10,   /* so many limits for who waits for a disk */
	WATCH_START_FACTOR = 120, /* and until it is ready, unless it is stopped */
	WATCH_TICK_MIN_MS = 1000, /* between two looks */
	WATCH_TICK_MAX_MS = 15000,
	WATCH_TICKS = 10, /* in a limit */
	/* This part of the silence on the processor is a loop without an end: with less it may
	   wait for its turn, on a machine that is overloaded. */
	WATCH_BUSY_PART = 4,
	/* New channels that one child may ask for: its peers keep an end of each, so that one that
	 * was taken over could use up their descriptors. An honest child asks when a peer cut it
	 * off, which is a bug of somebody's. */
	WATCH_CHANNELS_MAX = 32,
	WATCH_UNKILLABLE_MS = 30000, /* it was killed and is still there: the system is at fault */
};

/* What the kernel says of a process. */
enum watch_state {
	WATCH_UNKNOWN,
	WATCH_RUNS,    /* or waits for a processor */
	WATCH_SLEEPS,  /* until something happens */
	WATCH_DISK,    /* sleeps in a way that only a device ends */
	WATCH_STOPPED, /* SIGSTOP */
	WATCH_TRACED,  /* somebody debugs it, and knows what he does */
};
const char *watch_state_name(enum watch_state s);
enum watch_state watch_state_of(char letter); /* of /proc/PID/stat */

struct watch {
	uint64_t since;  /* it owes an answer; 0: it owes none */
	uint64_t killed; /* 0: it was not */
	bool ready;
	/* Since then: */
	enum watch_state state; /* at the last look */
	bool seen, slow; /* it was looked at; once it waited for a disk, or nothing is known */
	uint64_t cpu_first, cpu_last;
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
/* A look at a child that owes an answer: before each watch_judge(). cpu_ms: all of its time on
 * processors so far; where that is not known, 0 each time. */
void watch_saw(struct watch *w, enum watch_state s, uint64_t cpu_ms);
enum watch_verdict watch_judge(struct watch *w, uint64_t now, uint64_t limit_ms);
/* How often to look. */
uint32_t watch_tick_ms(uint64_t limit_ms);

#endif
