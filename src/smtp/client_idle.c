/* SPDX-License-Identifier: MIT */
/*
 * Between two messages (T9): a session whose message was taken may wait for the next one instead of
 * QUIT. MAIL may follow at once: the 250 to the final dot has emptied the host's buffers (RFC 5321
 * s4.1.1.4). Refuses to know for how long, and whether the next message may use this channel.
 */
#include "smtp/client_int.h"

void smtpc_end_well(struct smtpc *c)
{
	if (!c->config.keep || !c->taken || c->odd || c->expected > 0) {
		smtpc_end(c, SMTPC_DONE);
		return;
	}
	c->end = SMTPC_DONE;
	c->config.message = NULL; /* its owner may free it now */
	smtpc_enter(c, PHASE_IDLE);
}

void smtpc_next_message(struct smtpc *c, const struct smtpc_message *message, bool rested)
{
	if (c->phase != PHASE_IDLE)
		return;
	c->config.message = message;
	c->end = SMTPC_RUNNING;
	c->nbatch = 0; /* the first transaction needs no RSET */
	c->body_offset = 0;
	c->enhanced = (struct enhanced_code){0};
	c->reply[0] = '\0';
	c->further = true;
	c->heard = false;
	c->cautious = rested;
	c->reached = SMTPC_REACHED_HELLO;
	smtpc_next_transaction(c);
}

void smtpc_rest(struct smtpc *c)
{
	if (buf_len(&c->in) > 0 || buf_len(&c->out) > 0)
		return;
	if (c->config.auth != NULL)
		smtpc_wipe_output(c);
	buf_free(&c->in);
	buf_free(&c->out);
}

void smtpc_quit(struct smtpc *c)
{
	if (c->phase == PHASE_IDLE)
		smtpc_enter(c, PHASE_QUIT);
}

bool smtpc_was_sated(const struct smtpc *c)
{
	return c->sated;
}

bool smtpc_was_stale(const struct smtpc *c)
{
	return c->further && !c->heard && (c->end == SMTPC_CLOSED || c->end == SMTPC_UNWILLING);
}
