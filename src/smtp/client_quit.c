/* SPDX-License-Identifier: MIT */
/*
 * QUIT (RFC 5321 s4.1.1.10). The session's result stands already; replies to commands that were
 * pipelined before are let go.
 */
#include "smtp/client_int.h"

void smtpc_on_quit(struct smtpc *c, const struct reply *r)
{
	(void)r;
	if (c->expected == 0)
		c->phase = PHASE_ENDED;
}
