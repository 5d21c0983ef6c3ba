/* SPDX-License-Identifier: MIT */
/*
 * One command line on its way to its verb: the list of the verbs.
 *
 * Knows the names of the verbs and when each may be said. Refuses to know what their arguments
 * mean.
 */
#include "smtp/server_int.h"

#include "base/foreign.h"
#include "base/utf8.h"

enum verb_flag {
	VERB_LAST = 1,  /* the last of a pipelined group (RFC 2920 s3.1) */
	VERB_CLEAR = 2, /* submission: allowed in clear (RFC 3207 s4) */
	VERB_HELO = 4,  /* wants EHLO or HELO before it (RFC 5321 s4.1.4) */
	VERB_AUTH = 8,  /* submission: wants AUTH before it (RFC 6409 s4.3) */
};

struct verb {
	const char *name;
	void (*run)(struct smtps *s, struct slice args);
	unsigned flags;
};

static const struct verb verbs[] = {
    {"EHLO", smtps_ehlo, VERB_LAST | VERB_CLEAR},
    {"HELO", smtps_helo, VERB_LAST | VERB_CLEAR},
    {"MAIL", smtps_mail, VERB_HELO | VERB_AUTH},
    {"RCPT", smtps_rcpt_to, VERB_HELO | VERB_AUTH},
    {"DATA", smtps_data, VERB_LAST | VERB_HELO | VERB_AUTH},
    {"BDAT", smtps_bdat, VERB_HELO | VERB_AUTH},
    {"RSET", smtps_rset, VERB_CLEAR},
    {"NOOP", smtps_noop, VERB_LAST | VERB_CLEAR},
    {"QUIT", smtps_quit, VERB_CLEAR},
    {"HELP", smtps_help, 0},
    {"VRFY", smtps_vrfy_string, VERB_LAST | VERB_AUTH},
    {"STARTTLS", smtps_starttls, VERB_LAST | VERB_CLEAR | VERB_HELO},
    {"AUTH", smtps_auth, VERB_LAST | VERB_HELO},
    {"EXPN", smtps_not_here, VERB_LAST},
    {"TURN", smtps_not_here, VERB_LAST},
    {"ETRN", smtps_not_here, 0},
    {"ATRN", smtps_not_here, 0},
    {"SEND", smtps_not_here, 0},
    {"SOML", smtps_not_here, 0},
    {"SAML", smtps_not_here, 0},
    {"GET", smtps_stray, VERB_CLEAR},
    {"PUT", smtps_stray, VERB_CLEAR},
    {"POST", smtps_stray, VERB_CLEAR},
    {"HEAD", smtps_stray, VERB_CLEAR},
    {"OPTIONS", smtps_stray, VERB_CLEAR},
    {"CONNECT", smtps_stray, VERB_CLEAR},
};

static const struct verb *find_verb(struct slice name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (slice_eq_nocase_str(name, verbs[i].name))
			return &verbs[i];
	}
	return NULL;
}

/* May this be said now? Code 0: yes. */
static struct refusal refusal_of(const struct smtps *s, const struct verb *v)
{
	bool submission = s->config.submission;

	if (s->refused && v->run != smtps_quit)
		return (struct refusal){503, "5.5.1 No mail here, only QUIT"};
	if (submission && !s->tls && (v->flags & VERB_CLEAR) == 0)
		return (struct refusal){530, "5.7.0 Must issue a STARTTLS command first"};
	if ((v->flags & VERB_HELO) != 0 && s->helo[0] == '\0')
		return (struct refusal){503, "5.5.1 Send EHLO first"};
	if (submission && !s->authenticated && (v->flags & VERB_AUTH) != 0)
		return (struct refusal){530, "5.7.0 Authentication required"};
	return (struct refusal){0};
}

static void run_verb(struct smtps *s, const struct verb *v, struct slice args)
{
	struct refusal r = refusal_of(s, v);

	if ((v->flags & VERB_LAST) != 0)
		smtps_expect_silence(s);
	if (r.code == 0)
		v->run(s, args);
	else if (v->run == smtps_bdat)
		smtps_refuse_chunk(s, args, r);
	else
		smtps_reply(s, r.code, r.text);
}

void smtps_not_junk(struct smtps *s)
{
	s->junk--;
}

/* Control characters have no place in any command. Octets that are no UTF-8 are for the argument's
 * reader to judge. */
static bool has_control(struct slice line)
{
	while (line.n > 0) {
		uint32_t c;
		size_t n = utf8_take(line, &c);
		if (n > 0 && foreign_is_control(c))
			return true;
		line = slice_from(line, n > 0 ? n : 1);
	}
	return false;
}

void smtps_command(struct smtps *s, const struct cmdline *c)
{
	const struct verb *v = find_verb(c->verb);

	s->junk++;
	if (s->config.junk_max > 0 && s->junk > s->config.junk_max) {
		smtps_say(s, 421, "4.7.0 Too many commands without a message");
		smtps_finish(s, SMTPS_ERRORS);
	} else if (v == NULL || has_control(c->verb)) {
		smtps_reply(s, 500, "5.5.2 Command unrecognized");
	} else if (has_control(c->args) && v->run != smtps_bdat) {
		smtps_reply(s, 501, "5.5.4 Control character in the arguments");
	} else {
		run_verb(s, v, c->args);
	}
}
