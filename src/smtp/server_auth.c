/* SPDX-License-Identifier: MIT */
/*
 * AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN, for submission and under TLS only (S3).
 *
 * Knows how a name and a password come over the wire, and wipes the password when the driver has
 * answered. Refuses to know users.
 */
#include "smtp/server_int.h"

#include "base/foreign.h"

#include "wire/base64.h"

enum { PLAIN_MAX = 2 * AUTH_USER_MAX + AUTH_PASSWORD_MAX + 2 };

void smtps_wipe_password(struct smtps *s)
{
	explicit_bzero(s->password, sizeof(s->password));
}

static void refuse(struct smtps *s, uint16_t code, const char *text)
{
	s->phase = PHASE_COMMAND;
	smtps_wipe_password(s);
	s->user[0] = '\0';
	smtps_reply(s, code, text);
}

static void ask(struct smtps *s)
{
	s->phase = PHASE_COMMAND;
	smtps_ask(s, SMTPS_Q_AUTH);
}

static void prompt(struct smtps *s, enum auth_step step, const char *challenge)
{
	s->phase = PHASE_AUTH;
	s->auth_step = step;
	smtps_reply(s, 334, challenge);
}

/* 1*SAFE of RFC 4616 s2, without controls in a name: UTF-8, no NUL, not too long. */
static bool keep_word(struct slice word, char *out, size_t max, bool name)
{
	if (word.n > max || word.n == 0 || !utf8_is_valid(word))
		return false;
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '\0')
			return false;
	}
	if (name && !foreign_is_plain(word)) /* it goes into the log and the queue's origin */
		return false;
	memcpy(out, word.p, word.n);
	out[word.n] = '\0';
	return true;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd      ; RFC 4616 s2 */
static bool read_plain(struct smtps *s, struct slice message)
{
	struct slice rest;
	struct slice as = slice_cut(message, '\0', &rest);
	struct slice user = slice_cut(rest, '\0', &rest);

	/* to act for somebody else is not given */
	if (as.n > 0 && !slice_eq(as, user))
		return false;
	return keep_word(user, s->user, AUTH_USER_MAX, true) &&
	       keep_word(rest, s->password, AUTH_PASSWORD_MAX, false);
}

static void on_plain(struct smtps *s, struct slice message)
{
	if (read_plain(s, message))
		ask(s);
	else
		refuse(s, 535, "5.7.8 Authentication credentials invalid");
}

static void on_login_user(struct smtps *s, struct slice user)
{
	if (keep_word(user, s->user, AUTH_USER_MAX, true))
		prompt(s, AUTH_LOGIN_PASSWORD, "UGFzc3dvcmQ6"); /* "Password:" */
	else
		refuse(s, 535, "5.7.8 Authentication credentials invalid");
}

static void on_login_password(struct smtps *s, struct slice password)
{
	if (keep_word(password, s->password, AUTH_PASSWORD_MAX, false))
		ask(s);
	else
		refuse(s, 535, "5.7.8 Authentication credentials invalid");
}

/* One answer of the client: base64. */
static void on_answer(struct smtps *s, struct slice line)
{
	uint8_t octets[PLAIN_MAX];
	size_t n;

	if (!base64_decode(line, octets, sizeof(octets), &n)) {
		refuse(s, 501, "5.5.2 Bad base64");
	} else {
		switch (s->auth_step) {
		case AUTH_PLAIN:
			on_plain(s, slice_make(octets, n));
			break;
		case AUTH_LOGIN_USER:
			on_login_user(s, slice_make(octets, n));
			break;
		case AUTH_LOGIN_PASSWORD:
			on_login_password(s, slice_make(octets, n));
			break;
		}
	}
	explicit_bzero(octets, sizeof(octets));
}

void smtps_auth_line(struct smtps *s, struct slice line)
{
	if (slice_eq_str(line, "*"))
		refuse(s, 501, "5.7.0 Authentication cancelled");
	else
		on_answer(s, line);
}

static struct refusal state_refusal(const struct smtps *s)
{
	if (!s->config.submission || !s->tls)
		return (struct refusal){502, "5.5.1 AUTH is not offered"};
	if (!s->esmtp)
		return (struct refusal){503, "5.5.1 Send EHLO first"};
	if (s->authenticated)
		return (struct refusal){503, "5.5.1 Authenticated already"};
	if (s->mail)
		return (struct refusal){503, "5.5.1 Not within a transaction"};
	return (struct refusal){0};
}

/* "AUTH" SP sasl-mech [ SP ( base64 / "=" ) ]      ; "=": an empty initial response */
void smtps_auth(struct smtps *s, struct slice args)
{
	struct refusal r = state_refusal(s);
	struct slice initial;
	struct slice mech = slice_cut(args, ' ', &initial);

	s->auth_step = slice_eq_nocase_str(mech, "PLAIN") ? AUTH_PLAIN : AUTH_LOGIN_USER;
	if (r.code != 0)
		smtps_reply(s, r.code, r.text);
	else if (s->auth_step != AUTH_PLAIN && !slice_eq_nocase_str(mech, "LOGIN"))
		smtps_reply(s, 504, "5.5.4 Unknown mechanism");
	else if (slice_eq_str(initial, "="))
		on_answer(s, slice_from(initial, 1));
	else if (initial.n > 0)
		on_answer(s, initial);
	else if (s->auth_step == AUTH_PLAIN)
		prompt(s, AUTH_PLAIN, "");
	else
		prompt(s, AUTH_LOGIN_USER, "VXNlcm5hbWU6"); /* "Username:" */
}

void smtps_on_auth(struct smtps *s, uint16_t code, const char *text)
{
	s->authenticated = smtps_is_yes(code);
	if (s->authenticated) {
		smtps_wipe_password(s);
		smtps_reply(s, code, text);
	} else {
		refuse(s, code, text);
	}
}
