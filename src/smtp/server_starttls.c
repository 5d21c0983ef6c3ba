/* SPDX-License-Identifier: MIT */
/*
 * STARTTLS (RFC 3207): from here on only TLS is spoken. What the client said before, and what it
 * says before the handshake, is worth nothing afterwards: smtps_tls_done(), smtps_recv().
 */
#include "smtp/server_int.h"

static struct refusal refusal_of(const struct smtps *s, struct slice args)
{
	if (args.n > 0)
		return (struct refusal){501, "5.5.4 STARTTLS has no arguments"};
	if (s->tls)
		return (struct refusal){503, "5.5.1 TLS is up already"};
	if (!s->config.tls_available)
		return (struct refusal){502, "5.5.1 TLS is not offered"};
	if (s->mail)
		return (struct refusal){503, "5.5.1 Not within a transaction"};
	return (struct refusal){0};
}

void smtps_starttls(struct smtps *s, struct slice args)
{
	struct refusal r = refusal_of(s, args);

	if (r.code != 0) {
		smtps_reply(s, r.code, r.text);
		return;
	}
	s->phase = PHASE_HANDSHAKE;
	smtps_reply(s, 220, "2.0.0 Ready to start TLS");
}
