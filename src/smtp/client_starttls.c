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
	if (c->config.tls == SMTPC_TLS_MUST) {
		smtpc_end(c, SMTPC_STARTTLS_REFUSED);
	} else {
		c->weakened = true;
		smtpc_after_hello(c);
	}
}

bool smtpc_demands_tls(const struct smtpc *c, const struct reply *r)
{
	static const char word[] = "STARTTLS";
	char text[SMTPC_REPLY_MAX];
	if (c->tls || c->config.tls == SMTPC_TLS_NONE || !reply_is_permanent(r))
		return false;
	const struct enhanced_code *e = &r->enhanced;
	if (r->code == 530 || (e->class == 5 && e->subject == 7 && e->detail == 10))
		return true;
	reply_to_text(r, text, sizeof(text));
	for (size_t i = 0; text[i] != '\0'; i++) {
		struct slice at = slice_first(slice_str(text + i), sizeof(word) - 1);
		if (slice_eq_nocase(at, slice_str(word)))
			return true;
	}
	return false;
}
