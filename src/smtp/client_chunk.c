/* SPDX-License-Identifier: MIT */
/*
 * BDAT (RFC 3030): a small text goes out with its envelope, MAIL, RCPT and the one chunk in one
 * flight (RFC 2920), so that a message costs one round trip.
 *
 * The chunk is on its way before anything was answered. So each recipient's reply to RCPT counts
 * first: where nobody was accepted, whatever the host says to the chunk changes nothing. And the
 * whole message is in the host's hands from the last octet on: when the connection breaks then, all
 * who were not refused may have it.
 */
#include "smtp/client_int.h"

enum {
	/* A larger text would go in vain, and be paid for, where the recipients are refused; and
	   for it DATA, one round trip more, is a small part of the time. */
	CHUNK_MAX = 16 * 1024,
};

enum text_way smtpc_choose_way(const struct smtpc *c)
{
	uint64_t size = c->config.message->size;
	if (!c->cap.pipelining)
		return TEXT_ASKED;
	/* an empty chunk would be complete with its command */
	if (c->config.chunking && c->cap.chunking && !c->cautious && size > 0 && size <= CHUNK_MAX)
		return TEXT_CHUNK;
	return TEXT_DATA_SOON;
}

void smtpc_open_chunk(struct smtpc *c)
{
	command_bdat_last(&c->out, c->config.message->size);
	c->expected++;
	c->chunk_open = c->chunk_used = true;
	c->body_offset = 0;
	c->told = 0;
	dotstuff_init(&c->stuff);
}

bool smtpc_body_is_chunk(const struct smtpc *c)
{
	return c->chunk_open;
}

void smtpc_feed_chunk(struct smtpc *c, struct slice text)
{
	uint64_t left = c->config.message->size - c->body_offset;
	if (text.n == 0 || text.n > left) { /* it ended early or late: the host must not have it */
		smtpc_abort(c, SMTPC_LOCAL);
		return;
	}
	dotstuff_pass(&c->stuff, text, &c->out);
	c->body_offset += text.n;
	c->progress++;
	if (text.n == left) {
		if (c->stuff.cr)
			c->out.failed = true;
		c->chunk_open = false;
		c->final_dot = true;
		smtpc_reach(c, SMTPC_REACHED_DOT);
	}
	if (!buf_ok(&c->out))
		smtpc_abort(c, SMTPC_LOCAL);
}

void smtpc_chunk_is_next(struct smtpc *c)
{
	c->progress++;
	c->phase = PHASE_DATA_DONE;
	if (c->accepted == 0) {
		c->final_dot = false;
		/* RFC 2033 does not say how many replies a chunk for nobody has */
		if (c->config.lmtp || c->chunk_open)
			smtpc_abort(c, SMTPC_DONE);
		return;
	}
	if (c->config.lmtp)
		smtpc_expect_fates(c);
}

/* 5yz of the command and not of the message: the host offers what it has not. */
static bool is_unknown_command(const struct reply *r)
{
	return r->code >= 500 && r->code <= 504;
}

void smtpc_settle_text_of(struct smtpc *c, struct smtpc_rcpt *rcpt, const struct reply *r)
{
	smtpc_settle_one(rcpt, r);
	if (c->way != TEXT_CHUNK || !is_unknown_command(r))
		return;
	c->chunk_refused = true;
	rcpt->state = RCPT_DEFERRED; /* nobody may be refused for our choice of a command */
}

void smtpc_settle_text(struct smtpc *c, const struct reply *r)
{
	const struct smtpc_message *m = c->config.message;
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state == RCPT_ACCEPTED)
			smtpc_settle_text_of(c, &m->rcpt[i], r);
	}
}

void smtpc_on_chunk_done(struct smtpc *c, const struct reply *r)
{
	if (c->accepted == 0) {
		c->odd = c->odd || reply_is_ok(r); /* it took a text for nobody */
		smtpc_next_transaction(c);
		return;
	}
	c->taken = r->code == 250;
	smtpc_settle_text(c, r);
	if (c->chunk_refused)
		smtpc_abort(c, SMTPC_DONE); /* who knows what it reads the text as */
	else
		smtpc_next_transaction(c);
}

void smtpc_doubt_unanswered(struct smtpc *c)
{
	for (size_t i = c->answered; c->way == TEXT_CHUNK && i < c->nbatch; i++)
		c->config.message->rcpt[c->batch[i]].state = RCPT_ACCEPTED;
}

bool smtpc_chunk_failed(const struct smtpc *c)
{
	bool lost = c->end == SMTPC_CLOSED || c->end == SMTPC_TIMEOUT || c->end == SMTPC_PROTOCOL ||
		    c->end == SMTPC_LOST_AFTER_DATA;
	return c->chunk_used && (c->chunk_refused || lost);
}
