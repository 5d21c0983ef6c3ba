/* SPDX-License-Identifier: MIT */
/*
 * AUTH (RFC 4954) with PLAIN (RFC 4616), else LOGIN: before the first transaction, and under TLS or
 * not at all (S1).
 *
 * Knows how a name and a password go over the wire, and wipes what it wrote once it has left.
 * Refuses to know where they come from and whether this TLS may see them.
 */
#include "smtp/client_int.h"

#include "wire/base64.h"

#include <string.h>

enum {
	PLAIN_MAX = 2 * SMTPC_AUTH_MAX + 2,
	COMMAND_MAX = 512, /* RFC 5321 s4.5.3.1.4, with CRLF */
};

void smtpc_wipe_output(struct smtpc *c)
{
	if (buf_len(&c->out) == 0 && c->out.p != NULL)
		explicit_bzero(c->out.p, c->out.cap);
}

/* message = NUL authcid NUL passwd                          ; RFC 4616 s2, no authzid */
static void plain_text(const struct smtpc_auth *a, char out[static BASE64_LEN(PLAIN_MAX) + 1])
{
	uint8_t message[PLAIN_MAX];
	size_t user = strlen(a->user), password = strlen(a->password);
	message[0] = '\0';
	memcpy(message + 1, a->user, user);
	message[1 + user] = '\0';
	memcpy(message + 2 + user, a->password, password);
	base64_encode(slice_make(message, 2 + user + password), out);
	explicit_bzero(message, sizeof(message));
}

static void send_line(struct smtpc *c, const char *before, const char *text)
{
	/* at once as large as it gets: no copy is left behind when it grows */
	if (buf_reserve(&c->out, COMMAND_MAX + BASE64_LEN(PLAIN_MAX)) == NULL) {
		smtpc_abort(c, SMTPC_LOCAL);
		return;
	}
	buf_add_str(&c->out, before);
	buf_add_str(&c->out, text);
	buf_add_str(&c->out, "\r\n");
	c->expected++;
	c->progress++;
}

/* RFC 4954 s4: an initial response only where the command has room for it. */
static void start_plain(struct smtpc *c)
{
	static const char command[] = "AUTH PLAIN ";
	char text[BASE64_LEN(PLAIN_MAX) + 1];
	plain_text(c->config.auth, text);
	if (sizeof(command) - 1 + strlen(text) + 2 <= COMMAND_MAX) {
		c->auth_given = 1;
		send_line(c, command, text);
	} else {
		send_line(c, "AUTH PLAIN", "");
	}
	explicit_bzero(text, sizeof(text));
}

static bool is_sane(const struct smtpc_auth *a)
{
	return a->user[0] != '\0' && a->password[0] != '\0' && strlen(a->user) <= SMTPC_AUTH_MAX &&
	       strlen(a->password) <= SMTPC_AUTH_MAX;
}

enum smtpc_end smtpc_auth_refusal(const struct smtpc *c)
{
	return c->config.auth_waits ? SMTPC_AUTH_WAITS : SMTPC_AUTH_REFUSED;
}

bool smtpc_is_our_lack(const struct smtpc *c, const struct reply *r)
{
	return r->code == 530 && c->config.auth_waits;
}

void smtpc_after_hello(struct smtpc *c)
{
	if (c->config.auth == NULL) {
		smtpc_next_transaction(c);
		return;
	}
	if (!c->tls) { /* whatever the level: neither the password nor the mail */
		smtpc_end(c, SMTPC_NO_STARTTLS);
		return;
	}
	c->auth_given = 0;
	if (!is_sane(c->config.auth)) {
		smtpc_end(c, SMTPC_LOCAL);
	} else if (c->cap.auth_plain) {
		smtpc_enter(c, PHASE_AUTH);
		start_plain(c);
	} else if (c->cap.auth_login) {
		smtpc_enter(c, PHASE_AUTH);
		send_line(c, "AUTH LOGIN", "");
	} else {
		smtpc_end(c, smtpc_auth_refusal(c));
	}
}

/* One answer for PLAIN, two for LOGIN, whatever the host calls its questions. */
static void answer_challenge(struct smtpc *c)
{
	const struct smtpc_auth *a = c->config.auth;
	char text[BASE64_LEN(PLAIN_MAX) + 1];
	unsigned nth = c->auth_given++;
	if (nth >= (c->cap.auth_plain ? 1u : 2u)) {
		smtpc_end(c, SMTPC_PROTOCOL);
		return;
	}
	if (c->cap.auth_plain)
		plain_text(a, text);
	else
		base64_encode(slice_str(nth == 0 ? a->user : a->password), text);
	send_line(c, "", text);
	explicit_bzero(text, sizeof(text));
}

void smtpc_on_auth(struct smtpc *c, const struct reply *r)
{
	smtpc_wipe_output(c);
	if (r->code == 334) {
		answer_challenge(c);
	} else if (r->code == 235) {
		smtpc_next_transaction(c);
	} else {
		smtpc_keep_reply(c, r);
		smtpc_end(c, reply_is_permanent(r) ? smtpc_auth_refusal(c)
			     : r->code / 100 == 4  ? SMTPC_UNWILLING
						   : SMTPC_PROTOCOL);
	}
}
