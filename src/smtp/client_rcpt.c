/* SPDX-License-Identifier: MIT */
/*
 * RCPT (RFC 5321 s3.3, s4.1.1.3): each recipient has its own fate.
 */
#include "smtp/client_int.h"

static void send_rcpt(struct smtpc *c, size_t nth)
{
	struct smtpc_rcpt *rcpt = &c->config.message->rcpt[c->batch[nth]];
	rcpt->dsn_passed = c->cap.dsn;
	command_rcpt(&c->out, rcpt->address, c->cap.dsn ? &rcpt->params : &(struct rcpt_params){0});
	c->expected++;
}

/*
 * With PIPELINING (RFC 2920) all of the transaction, and the text or the wish to send it along with
 * them: most hosts take most messages. Otherwise the next one.
 */
void smtpc_send_rcpts(struct smtpc *c)
{
	size_t end = c->cap.pipelining ? c->nbatch : c->answered + 1;
	for (size_t i = c->answered; i < end; i++)
		send_rcpt(c, i);
	c->way = smtpc_choose_way(c);
	if (c->way == TEXT_DATA_SOON) {
		command_data(&c->out);
		c->expected++;
	} else if (c->way == TEXT_CHUNK) {
		smtpc_open_chunk(c);
	}
	if (!buf_ok(&c->out))
		smtpc_abort(c, SMTPC_LOCAL);
}

void smtpc_settle_one(struct smtpc_rcpt *rcpt, const struct reply *r)
{
	if (reply_is_ok(r))
		rcpt->state = RCPT_SENT;
	else
		rcpt->state = reply_is_permanent(r) ? RCPT_REJECTED : RCPT_DEFERRED;
	rcpt->enhanced = r->enhanced;
	reply_to_text(r, rcpt->reply, sizeof(rcpt->reply));
}

void smtpc_settle(struct smtpc *c, enum rcpt_state in, const struct reply *r)
{
	const struct smtpc_message *m = c->config.message;
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state == in)
			smtpc_settle_one(&m->rcpt[i], r);
	}
}

/*
 * RFC 5321 s4.5.3.1.10: 452 (or, of old servers, 552) may mean "too many recipients". While others
 * were accepted it stays pending for the next transaction; each transaction settles at least one,
 * so this ends.
 */
static bool is_too_many(const struct smtpc *c, const struct reply *r)
{
	return (r->code == 452 || r->code == 552) && c->accepted > 0;
}

static void take_rcpt_reply(struct smtpc *c, struct smtpc_rcpt *rcpt, const struct reply *r)
{
	if (reply_is_ok(r)) {
		smtpc_reach(c, SMTPC_REACHED_RCPT);
		rcpt->state = RCPT_ACCEPTED;
		c->accepted++;
	} else if (!is_too_many(c, r)) {
		smtpc_settle_one(rcpt, r);
		if (r->code == 552) /* the same section: to be treated as temporary */
			rcpt->state = RCPT_DEFERRED;
	}
}

void smtpc_on_rcpt(struct smtpc *c, const struct reply *r)
{
	if (r->code / 100 == 3) {
		smtpc_keep_reply(c, r);
		smtpc_end(c, SMTPC_PROTOCOL);
		return;
	}
	bool sated = smtpc_is_sated(c, r, false);
	if (sated && c->way != TEXT_CHUNK) {
		smtpc_end_sated(c, r);
		return;
	}
	/* The text is out already: what is said of it must be heard. */
	struct smtpc_rcpt *rcpt = &c->config.message->rcpt[c->batch[c->answered]];
	take_rcpt_reply(c, rcpt, r);
	if (sated)
		rcpt->state = RCPT_DEFERRED;
	c->answered++;
	if (c->answered < c->nbatch) {
		if (!c->cap.pipelining)
			smtpc_send_rcpts(c);
	} else if (c->way == TEXT_CHUNK) {
		smtpc_chunk_is_next(c);
	} else if (c->way == TEXT_DATA_SOON) {
		c->phase = PHASE_DATA;
	} else if (c->accepted > 0) {
		smtpc_enter(c, PHASE_DATA);
	} else {
		smtpc_next_transaction(c);
	}
}
