/* SPDX-License-Identifier: MIT */
/*
 * relay: which notices are sent, when mail may be a forgery. A stranger's mail (from a client that
 * could not relay: it came for a domain with a route) names a reverse-path that nobody has proven:
 * each notice about it may go to somebody who never wrote (backscatter). An account or a network
 * that may relay answers for what it sends, but a loop or a stolen password must not flood either.
 *
 *                  strangers                                    who may relay
 *   delay          off unless asked for                         limited by origin
 *   success        few, by origin and by who is told            limited by origin
 *   failure        limited by origin and by who is told         always
 *
 * An origin is that of wire/origin.h. Pure: the time is given; bounded memory (relay/rate.h).
 */
#ifndef RELAY_NOTICE_LIMIT_H
#define RELAY_NOTICE_LIMIT_H

#include "dsn/dsn.h"

struct notice_limit_config {
	bool delay_to_strangers;
	/* Each in an hour; 0: no limit. */
	uint32_t rate, rate_strangers, success_strangers;
};

struct notice_limit;

struct notice_limit *notice_limit_new(const struct notice_limit_config *c); /* NULL: no memory */
void notice_limit_free(struct notice_limit **l);

struct notice_about {
	enum dsn_action action; /* the strongest in it */
	bool stranger;
	uint64_t origin; /* of the mail that it is about */
	const char *to;
};
/* Is a delay told at all? */
bool notice_limit_tells_delay(const struct notice_limit *l, bool stranger);
/* May this one be sent? Counts it. */
bool notice_limit_take(struct notice_limit *l, const struct notice_about *a, uint64_t now_ms);

#endif
