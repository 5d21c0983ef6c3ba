/* SPDX-License-Identifier: MIT */
/*
 * The small verbs: RSET, NOOP, QUIT, HELP, VRFY, and those that are not here.
 *
 * Refuses to know who exists: VRFY is asked.
 */
#include "smtp/server_int.h"

void smtps_rset(struct smtps *s, struct slice args)
{
	if (args.n > 0) {
		smtps_reply(s, 501, "5.5.4 RSET has no arguments");
		return;
	}
	smtps_reset_transaction(s);
	smtps_reply(s, 250, "2.0.0 Ok");
}

void smtps_noop(struct smtps *s, struct slice args)
{
	(void)args; /* RFC 5321 s4.1.1.9: ignored */
	smtps_reply(s, 250, "2.0.0 Ok");
}

void smtps_quit(struct smtps *s, struct slice args)
{
	if (args.n > 0) {
		smtps_reply(s, 501, "5.5.4 QUIT has no arguments");
		return;
	}
	smtps_reply(s, 221, "2.0.0 Bye");
	smtps_finish(s, SMTPS_QUIT);
}

void smtps_help(struct smtps *s, struct slice args)
{
	(void)args;
	smtps_reply(s, 214, "2.0.0 See RFC 5321");
}

/* A web client that was led here speaks its own protocol; lines of its body may be a stranger's
 * commands. */
void smtps_stray(struct smtps *s, struct slice args)
{
	(void)args;
	smtps_reply(s, 554, "5.5.1 This is SMTP");
	smtps_finish(s, SMTPS_ERRORS);
}

void smtps_not_here(struct smtps *s, struct slice args)
{
	(void)args;
	smtps_reply(s, 502, "5.5.1 Command not implemented");
}

/* vrfy = "VRFY" SP String [ SP "SMTPUTF8" ]      ; RFC 6531 s3.7.4.2 */
void smtps_vrfy_string(struct smtps *s, struct slice args)
{
	bool utf8 = false;

	for (size_t i = 0; i < args.n; i++)
		utf8 = utf8 || args.p[i] > 0x7f;
	arena_free(&s->scratch);
	s->vrfy = arena_str(&s->scratch, args);
	if (args.n == 0)
		smtps_reply(s, 501, "5.5.4 VRFY whom?");
	else if (utf8)
		smtps_reply(s, 252, "2.5.0 Cannot verify, but will try");
	else if (s->vrfy == NULL)
		smtps_reply(s, 452, "4.3.1 Out of memory");
	else
		smtps_ask(s, SMTPS_Q_VRFY);
}

void smtps_on_vrfy(struct smtps *s, uint16_t code, const char *text)
{
	smtps_reply(s, code, text);
}
