/* SPDX-License-Identifier: MIT */
/*
 * Greeting, EHLO and HELO (RFC 5321 s3.1, s3.2, s4.1.1.1): what the host offers and where the
 * session goes from there. LHLO (RFC 2033 s4.1) has nothing to fall back to.
 */
#include "smtp/client_int.h"

void smtpc_on_greeting(struct smtpc *c, const struct reply *r)
{
	if (r->code != 220) {
		smtpc_keep_reply(c, r);
		/* 554 or 4yz: this host does not want us; another may (RFC 5321 s3.1). Never a
		 * reason to bounce: anybody on the way could have said it. */
		c->spoke_smtp = true;
		smtpc_end(c, r->code / 100 == 2 || r->code / 100 == 3 ? SMTPC_PROTOCOL
								      : SMTPC_UNWILLING);
		return;
	}
	c->spoke_smtp = true;
	smtpc_reach(c, SMTPC_REACHED_GREETING);
	smtpc_enter(c, PHASE_EHLO);
}

/*  auth-param = mechanism *( SP mechanism ) ; RFC 4954 s3 */
static void parse_auth(struct slice mechanisms, struct capabilities *cap)
{
	while (mechanisms.n > 0) {
		struct slice word = slice_cut(mechanisms, ' ', &mechanisms);
		cap->auth_plain = cap->auth_plain || slice_eq_nocase_str(word, "PLAIN");
		cap->auth_login = cap->auth_login || slice_eq_nocase_str(word, "LOGIN");
	}
}

/*  ehlo-line = ehlo-keyword *( SP ehlo-param )  */
static void parse_keyword(struct slice line, struct capabilities *cap)
{
	struct slice param;
	struct slice keyword = slice_cut(line, ' ', &param);
	if (slice_eq_nocase_str(keyword, "STARTTLS"))
		cap->starttls = true;
	else if (slice_eq_nocase_str(keyword, "PIPELINING"))
		cap->pipelining = true;
	else if (slice_eq_nocase_str(keyword, "8BITMIME"))
		cap->eight_bit = true;
	else if (slice_eq_nocase_str(keyword, "SMTPUTF8"))
		cap->smtputf8 = true;
	else if (slice_eq_nocase_str(keyword, "DSN"))
		cap->dsn = true;
	else if (slice_eq_nocase_str(keyword, "ENHANCEDSTATUSCODES"))
		cap->enhanced = true;
	else if (slice_eq_nocase_str(keyword, "CHUNKING"))
		cap->chunking = true;
	else if (slice_eq_nocase_str(keyword, "AUTH"))
		parse_auth(param, cap);
	else if (slice_eq_nocase_str(keyword, "SIZE")) {
		cap->size = true;
		/* RFC 1870 s4: zero or nothing means no fixed maximum. */
		if (!slice_to_u64(slice_trim(param), UINT64_MAX, &cap->size_max))
			cap->size_max = 0;
	}
}

void capabilities_parse(const struct reply *r, struct capabilities *out)
{
	*out = (struct capabilities){0};
	for (size_t i = 1; i < r->nlines; i++) /* line 0 is the host's name and greeting */
		parse_keyword(r->line[i], out);
}

static void after_ehlo(struct smtpc *c)
{
	if (!c->tls && c->config.tls != SMTPC_TLS_NONE && c->cap.starttls)
		smtpc_enter(c, PHASE_STARTTLS);
	else if (!c->tls && c->config.tls == SMTPC_TLS_MUST)
		smtpc_end(c, SMTPC_NO_STARTTLS); /* T7 */
	else
		smtpc_after_hello(c);
}

void smtpc_on_ehlo(struct smtpc *c, const struct reply *r)
{
	if (r->code == 250) {
		capabilities_parse(r, &c->cap);
		if (!c->tls)
			c->starttls_seen = c->cap.starttls;
		after_ehlo(c);
	} else if (reply_is_permanent(r) && (c->tls || c->config.tls != SMTPC_TLS_MUST) &&
		   !c->config.lmtp) {
		smtpc_enter(c, PHASE_HELO); /* RFC 5321 s3.2: an old server */
	} else {
		bool no_tls = !c->tls && c->config.tls == SMTPC_TLS_MUST;
		smtpc_keep_reply(c, r);
		smtpc_end(c, reply_is_permanent(r) && no_tls ? SMTPC_NO_STARTTLS : SMTPC_UNWILLING);
	}
}

void smtpc_on_helo(struct smtpc *c, const struct reply *r)
{
	if (reply_is_ok(r)) {
		after_ehlo(c);
	} else {
		smtpc_keep_reply(c, r);
		smtpc_end(c, SMTPC_UNWILLING);
	}
}
