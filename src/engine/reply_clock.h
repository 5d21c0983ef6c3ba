/* SPDX-License-Identifier: MIT */
/*
 * engine: how long a host takes for a reply: from the last octet that it was sent to the first
 * reply behind it. The greeting does not count: it comes unasked, and many delay it on purpose.
 * Knows no clock: times are given.
 */
#ifndef ENGINE_REPLY_CLOCK_H
#define ENGINE_REPLY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing was sent, no reply has come. */
struct reply_clock {
	uint64_t sent_ms;
	bool waiting;
	uint64_t replies; /* that had come when it was last looked at */
	uint64_t sum_ms;
	uint32_t n;
};

void reply_clock_sent(struct reply_clock *c, uint64_t now_ms);
/* replies: that have come over this connection, in all. */
void reply_clock_heard(struct reply_clock *c, uint64_t replies, uint64_t now_ms);
/* A further message over the same connection: what was measured is forgotten. */
void reply_clock_restart(struct reply_clock *c);
int32_t reply_clock_ms(const struct reply_clock *c); /* on average; -1: no reply was waited for */

#endif
