/* SPDX-License-Identifier: MIT */
/*
 * MAIL (RFC 5321 s3.3, s4.1.1.2): starting a transaction with what the host can take. RSET between
 * two of them.
 */
#include "smtp/client_int.h"

/* The first recipients that still wait, as many as one transaction may have. */
static void fill_batch(struct smtpc *c)
{
	const struct smtpc_message *m = c->config.message;
	c->nbatch = 0;
	c->answered = 0;
	c->accepted = 0;
	for (size_t i = 0; i < m->nrcpt && c->nbatch < c->config.rcpts_max; i++) {
		if (m->rcpt[i].state == RCPT_PENDING)
			c->batch[c->nbatch++] = i;
	}
}

static enum smtpc_end refusal(const struct smtpc *c)
{
	const struct smtpc_message *m = c->config.message;
	if (m->smtputf8 && !c->cap.smtputf8)
		return SMTPC_NO_SMTPUTF8; /* RFC 6531 s3.1 */
	if (m->eight_bit && !c->cap.eight_bit)
		return SMTPC_NO_8BITMIME; /* RFC 6152 s3: we do not rewrite messages */
	if (c->cap.size_max > 0 && m->size > c->cap.size_max)
		return SMTPC_TOO_BIG; /* RFC 1870 s6.1 */
	return SMTPC_RUNNING;
}

static void start_transaction(struct smtpc *c)
{
	const struct smtpc_message *m = c->config.message;
	struct mail_params p = {
	    .size = c->cap.size ? m->size : 0,
	    .body_8bit = c->cap.eight_bit && m->eight_bit,
	    .smtputf8 = m->smtputf8,
	    .ret = c->cap.dsn ? m->ret : NULL,
	    .envid = c->cap.dsn ? m->envid : NULL,
	};
	/* Before it is answered: a host that hangs up over a recipient or a text may keep its
	 * replies to all that came in one flight to itself. */
	smtpc_reach(c, SMTPC_REACHED_MAIL);
	c->taken = false;
	c->way = TEXT_ASKED;
	c->chunk_open = c->chunk_used = c->chunk_refused = false;
	command_mail(&c->out, m->reverse_path, &p);
	c->expected++;
	smtpc_enter(c, PHASE_MAIL);
	if (c->cap.pipelining && c->phase == PHASE_MAIL) /* a bad argument has ended the session */
		smtpc_send_rcpts(c);
}

void smtpc_next_transaction(struct smtpc *c)
{
	if (c->config.message == NULL) {
		smtpc_end(c, SMTPC_DONE);
		return;
	}
	bool first = c->nbatch == 0;
	fill_batch(c);
	enum smtpc_end no = refusal(c);
	if (c->nbatch == 0)
		smtpc_end_well(c);
	else if (no != SMTPC_RUNNING)
		smtpc_end(c, no);
	else if (first)
		start_transaction(c);
	else
		smtpc_enter(c, PHASE_RSET);
}

void smtpc_on_rset(struct smtpc *c, const struct reply *r)
{
	/* RFC 5321 s4.1.1.5: always 250; MAIL will show if it did not work */
	c->odd = c->odd || !reply_is_ok(r);
	start_transaction(c);
}

/* Hosts that take one message per connection say so to the second MAIL (550, 500, 503), or with
 * "bad sequence" to what follows it. Over a new connection the same words are about the message. */
bool smtpc_is_sated(const struct smtpc *c, const struct reply *r, bool is_mail)
{
	return is_mail ? c->mails > 0 && reply_is_permanent(r) : c->mails > 1 && r->code == 503;
}

void smtpc_end_sated(struct smtpc *c, const struct reply *r)
{
	const struct smtpc_message *m = c->config.message;
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state == RCPT_ACCEPTED)
			m->rcpt[i].state = RCPT_PENDING;
	}
	c->sated = true;
	c->final_dot = false;
	smtpc_keep_reply(c, r);
	smtpc_end(c, SMTPC_MAIL_DEFERRED);
}

void smtpc_on_mail(struct smtpc *c, const struct reply *r)
{
	if (smtpc_is_sated(c, r, true)) {
		smtpc_end_sated(c, r);
		return;
	}
	if (reply_is_ok(r)) {
		c->mails++;
		c->phase = PHASE_RCPT;
		if (!c->cap.pipelining)
			smtpc_send_rcpts(c);
		return;
	}
	smtpc_keep_reply(c, r);
	if (r->code / 100 == 3) {
		smtpc_end(c, SMTPC_PROTOCOL);
		return;
	}
	smtpc_settle(c, RCPT_PENDING, r);
	smtpc_end(c, reply_is_permanent(r) ? SMTPC_MAIL_REJECTED : SMTPC_MAIL_DEFERRED);
}
