/* SPDX-License-Identifier: MIT */
/*
 * LMTP behind the final dot (RFC 2033 s4.2): one reply for each recipient whose RCPT was accepted,
 * in their order. So each has a fate of its own, and when the replies break off only those without
 * one are in doubt.
 *
 * PIPELINING and ENHANCEDSTATUSCODES are a must for servers (s5); a server without them is served
 * all the same, a command at a time: refusing it would help nobody.
 */
#include "smtp/client_int.h"

static size_t next_accepted(const struct smtpc *c)
{
	size_t i = c->told;
	while (i < c->nbatch && c->config.message->rcpt[c->batch[i]].state != RCPT_ACCEPTED)
		i++;
	return i;
}

bool smtpc_settle_next(struct smtpc *c, const struct reply *r)
{
	size_t i = next_accepted(c);
	if (i == c->nbatch)
		return false;
	smtpc_settle_text_of(c, &c->config.message->rcpt[c->batch[i]], r);
	c->told = i + 1;
	return true;
}

/* The first of them is expected already. */
void smtpc_expect_fates(struct smtpc *c)
{
	c->expected += (unsigned)c->accepted - 1;
	c->taken = true;
}

/* 421 tells one recipient's fate; the host closes and will tell no other: who is left may have the
 * message. */
static void closing(struct smtpc *c, bool more)
{
	c->spoke_smtp = false;
	c->final_dot = c->final_dot && more;
	smtpc_end(c, more ? SMTPC_LOST_AFTER_DATA : SMTPC_UNWILLING);
}

void smtpc_on_fate(struct smtpc *c, const struct reply *r)
{
	smtpc_keep_reply(c, r);
	if (r->code / 100 == 3 || !smtpc_settle_next(c, r)) {
		smtpc_end(c, SMTPC_PROTOCOL);
		return;
	}
	smtpc_reach(c, SMTPC_REACHED_VERDICT);
	c->taken = c->taken && r->code == 250;
	bool more = next_accepted(c) < c->nbatch;
	if (c->chunk_refused) { /* one reply, not one for each */
		smtpc_settle_text(c, r);
		smtpc_abort(c, SMTPC_DONE);
	} else if (r->code == 421) {
		closing(c, more);
	} else if (!more) {
		c->final_dot = false;
		smtpc_next_transaction(c);
	}
}
