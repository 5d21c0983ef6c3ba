/* SPDX-License-Identifier: MIT */
/* See reply_clock.h. */
#include "engine/reply_clock.h"

void reply_clock_sent(struct reply_clock *c, uint64_t now_ms)
{
	c->sent_ms = now_ms;
	c->waiting = true;
}

void reply_clock_heard(struct reply_clock *c, uint64_t replies, uint64_t now_ms)
{
	if (replies == c->replies)
		return;
	c->replies = replies;
	if (!c->waiting)
		return; /* another one of the same group */
	c->waiting = false;
	c->sum_ms += now_ms > c->sent_ms ? now_ms - c->sent_ms : 0;
	c->n++;
}

void reply_clock_restart(struct reply_clock *c)
{
	c->waiting = false;
	c->sum_ms = 0;
	c->n = 0;
}

int32_t reply_clock_ms(const struct reply_clock *c)
{
	if (c->n == 0)
		return -1;
	uint64_t mean = c->sum_ms / c->n;
	return mean < INT32_MAX ? (int32_t)mean : INT32_MAX;
}
