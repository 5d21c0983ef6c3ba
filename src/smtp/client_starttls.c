/* SPDX-License-Identifier: MIT */
/*
 * STARTTLS (RFC 3207). The one rule: with SMTPC_TLS_MUST there is no way from here to MAIL except
 * through TLS.
 */
#include "smtp/client_int.h"

void smtpc_on_starttls(struct smtpc *c, const struct reply *r)
{
	if (r->code == 220) {
		c->phase = PHASE_HANDSHAKE; /* bytes behind this reply: check_surplus() */
		return;
	}
	smtpc_keep_reply(c, r);
	if (c->config.tls == SMTPC_TLS_MUST)
		smtpc_end(c, SMTPC_STARTTLS_REFUSED);
	else
		smtpc_after_hello(c);
}
