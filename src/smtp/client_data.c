/* SPDX-License-Identifier: MIT */
/*
 * DATA (RFC 5321 s4.1.1.4): the text, dot-stuffed, and the reply that makes the message the host's.
 * LMTP has more replies (client_lmtp.c).
 */
#include "smtp/client_int.h"

/* DATA was with the RCPTs and none of them was accepted. Each has its reply; what the host says to
 * DATA changes none. Should it wait for a text now, it gets an empty one (RFC 2920 s3.1). Over LMTP
 * nobody can say how many replies that has: the session ends, and without the dot the host has
 * nothing. */
static void nobody_to_write_to(struct smtpc *c, const struct reply *r)
{
	if (r->code / 100 != 3) {
		smtpc_next_transaction(c);
	} else if (c->config.lmtp || r->code != 354) {
		smtpc_abort(c, SMTPC_DONE);
	} else {
		buf_add_str(&c->out, ".\r\n");
		c->expected++;
		smtpc_enter(c, PHASE_LONE_DOT);
	}
}

void smtpc_on_lone_dot(struct smtpc *c, const struct reply *r)
{
	c->odd = c->odd || !reply_is_permanent(r); /* it took a text for nobody */
	smtpc_next_transaction(c);
}

void smtpc_on_data(struct smtpc *c, const struct reply *r)
{
	if (c->accepted == 0) {
		nobody_to_write_to(c, r);
		return;
	}
	if (r->code == 354) {
		c->body_offset = 0;
		c->told = 0;
		dotstuff_init(&c->stuff);
		smtpc_reach(c, SMTPC_REACHED_TEXT);
		c->phase = PHASE_BODY;
		return;
	}
	if (reply_is_ok(r) || r->code / 100 == 3) {
		smtpc_keep_reply(c, r);
		smtpc_end(c, SMTPC_PROTOCOL);
		return;
	}
	if (smtpc_is_sated(c, r, false)) {
		smtpc_end_sated(c, r);
		return;
	}
	smtpc_settle(c, RCPT_ACCEPTED, r);
	smtpc_next_transaction(c);
}

uint64_t smtpc_body_offset(const struct smtpc *c)
{
	return c->body_offset;
}

/*
 * A reply before the final dot has left us: a refusal ends the session (without the dot the host
 * has nothing); a success is a lie. Over LMTP it is the first recipient's word and nobody else's.
 */
static void take_early_reply(struct smtpc *c, const struct reply *r)
{
	smtpc_keep_reply(c, r);
	if (r->code / 100 < 4) {
		smtpc_abort(c, SMTPC_PROTOCOL);
		return;
	}
	if (smtpc_is_our_lack(c, r)) {
		smtpc_abort(c, SMTPC_AUTH_WAITS);
		return;
	}
	if (c->config.lmtp)
		smtpc_settle_next(c, r);
	else
		smtpc_settle_text(c, r);
	smtpc_abort(c, r->code == 421 ? SMTPC_UNWILLING : SMTPC_DONE);
}

static bool refused_early(struct smtpc *c)
{
	struct reply r;
	int n = buf_len(&c->in) > 0 ? reply_parse(buf_slice(&c->in), &r) : 0;
	if (n > 0)
		take_early_reply(c, &r);
	else if (n < 0)
		smtpc_abort(c, SMTPC_PROTOCOL);
	return n != 0;
}

void smtpc_body(struct smtpc *c, struct slice text)
{
	if (c->chunk_open)
		smtpc_feed_chunk(c, text);
	if (c->phase != PHASE_BODY || refused_early(c))
		return;
	if (text.n > 0) {
		dotstuff_feed(&c->stuff, text, &c->out);
		c->body_offset += text.n;
		c->progress++;
	} else if (c->body_offset != c->config.message->size) {
		/* The text ended early or late: without the final dot the host must drop what it
		 * has. */
		smtpc_abort(c, SMTPC_LOCAL);
		return;
	} else {
		dotstuff_end(&c->stuff, &c->out);
		c->final_dot = true;
		smtpc_reach(c, SMTPC_REACHED_DOT);
		smtpc_enter(c, PHASE_DATA_DONE);
		if (c->config.lmtp)
			smtpc_expect_fates(c);
	}
	if (!buf_ok(&c->out))
		smtpc_abort(c, SMTPC_LOCAL);
}

void smtpc_on_data_done(struct smtpc *c, const struct reply *r)
{
	if (buf_len(&c->out) > 0) {
		take_early_reply(c, r);
		return;
	}
	if (c->config.lmtp) {
		smtpc_on_fate(c, r);
		return;
	}
	smtpc_keep_reply(c, r);
	if (r->code / 100 == 3) {
		smtpc_end(c, SMTPC_PROTOCOL);
		return;
	}
	c->final_dot = false;
	smtpc_reach(c, SMTPC_REACHED_VERDICT);
	if (smtpc_is_our_lack(c, r)) {
		smtpc_end(c, SMTPC_AUTH_WAITS);
		return;
	}
	if (c->way == TEXT_CHUNK) {
		smtpc_on_chunk_done(c, r);
		return;
	}
	c->taken = r->code == 250;
	smtpc_settle(c, RCPT_ACCEPTED, r);
	smtpc_next_transaction(c);
}
