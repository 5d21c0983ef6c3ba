/* SPDX-License-Identifier: MIT */
/* Submission in the SMTP client machine (S1): AUTH, and TLS before the greeting. */
#include "test_smtp_client_run.h"

#include <string.h>

static const struct smtpc_auth alice = {"alice", "secret"};

/* printf '\0alice\0secret' | base64 */
#define PLAIN "AGFsaWNlAHNlY3JldA=="

/* Up to the second EHLO; `offer` is what AUTH offers under TLS. */
static void to_auth(struct run *r, const struct smtpc_auth *auth, const char *offer)
{
	run_init(r, SMTPC_TLS_MUST);
	r->message.nrcpt = 1;
	r->config.auth = auth;
	run_start(r);
	say(r, "220 sub\r\n");
	say(r, "250-sub\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n");
	say(r, "220 go\r\n");
	assert_true(logged(r, "[TLS]"));
	assert_false(logged(r, "AUTH"));
	buf_reset(&r->log);
	say(r, offer);
}

struct auth_row {
	const char *what;
	const char *offer;
	const char *said[4];
	const char *wrote; /* all of it */
	enum smtpc_end end;
};

static const struct auth_row auths[] = {
    {"RFC 4616: PLAIN with an initial response",
     "250-sub\r\n250 AUTH LOGIN PLAIN CRAM-MD5\r\n",
     {"235 2.7.0 ok\r\n"},
     "AUTH PLAIN " PLAIN "\r\nMAIL FROM:<sender@client.example>\r\n",
     SMTPC_RUNNING},
    {"in small letters",
     "250-sub\r\n250 auth plain\r\n",
     {"235 2.7.0 ok\r\n"},
     "AUTH PLAIN " PLAIN "\r\nMAIL FROM:<sender@client.example>\r\n",
     SMTPC_RUNNING},
    {"LOGIN where PLAIN is not offered",
     "250-sub\r\n250 AUTH LOGIN\r\n",
     {"334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 ok\r\n"},
     "AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\nMAIL FROM:<sender@client.example>\r\n",
     SMTPC_RUNNING},
    {"a third question",
     "250-sub\r\n250 AUTH LOGIN\r\n",
     {"334 \r\n", "334 \r\n", "334 \r\n"},
     "AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n",
     SMTPC_PROTOCOL},
    {"PLAIN has been said",
     "250-sub\r\n250 AUTH PLAIN\r\n",
     {"334 \r\n"},
     "AUTH PLAIN " PLAIN "\r\n",
     SMTPC_PROTOCOL},
    {"wrong",
     "250-sub\r\n250 AUTH PLAIN\r\n",
     {"535 5.7.8 no\r\n"},
     "AUTH PLAIN " PLAIN "\r\nQUIT\r\n",
     SMTPC_AUTH_REFUSED},
    {"RFC 4954 s6: 454",
     "250-sub\r\n250 AUTH PLAIN\r\n",
     {"454 4.7.0 later\r\n"},
     "AUTH PLAIN " PLAIN "\r\nQUIT\r\n",
     SMTPC_UNWILLING},
    {"a 2yz that is not 235",
     "250-sub\r\n250 AUTH PLAIN\r\n",
     {"250 ok\r\n"},
     "AUTH PLAIN " PLAIN "\r\n",
     SMTPC_PROTOCOL},
    {"no mechanism of ours",
     "250-sub\r\n250 AUTH CRAM-MD5\r\n",
     {0},
     "QUIT\r\n",
     SMTPC_AUTH_REFUSED},
    {"no AUTH: what was offered in clear is forgotten",
     "250 sub\r\n",
     {0},
     "QUIT\r\n",
     SMTPC_AUTH_REFUSED},
    {"PLAINER is not PLAIN",
     "250-sub\r\n250 AUTH PLAINER\r\n",
     {0},
     "QUIT\r\n",
     SMTPC_AUTH_REFUSED},
};

static void auth_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(auths); i++) {
		const struct auth_row *a = &auths[i];
		struct run r;
		to_auth(&r, &alice, a->offer);
		for (size_t k = 0; k < ROWS(a->said) && a->said[k] != NULL; k++)
			say(&r, a->said[k]);
		if (smtpc_result(r.c) != a->end || strcmp(buf_cstr(&r.log), a->wrote) != 0)
			fail_msg("%s: end %d: %s", a->what, (int)smtpc_result(r.c),
				 buf_cstr(&r.log));
		run_free(&r);
	}
}

/* Whatever the level and whatever is offered in clear: no TLS, no password and no mail. */
static void never_in_clear(void **state)
{
	static const char *const ehlos[] = {"250-sub\r\n250 AUTH PLAIN\r\n",
					    "250-sub\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"};
	(void)state;
	for (int level = SMTPC_TLS_NONE; level <= SMTPC_TLS_MUST; level++) {
		for (size_t i = 0; i < ROWS(ehlos); i++) {
			struct run r;
			run_init(&r, (enum smtpc_tls)level);
			r.config.auth = &alice;
			run_start(&r);
			say(&r, "220 sub\r\n");
			say(&r, ehlos[i]);
			say(&r, "502 no\r\n"); /* to STARTTLS */
			assert_int_not_equal(smtpc_result(r.c), SMTPC_RUNNING);
			assert_int_not_equal(smtpc_result(r.c), SMTPC_DONE);
			assert_false(logged(&r, "AUTH"));
			assert_false(logged(&r, "MAIL"));
			run_free(&r);
		}
	}
}

/* RFC 4954 s4: a long one waits for the 334. */
static void long_password(void **state)
{
	char password[SMTPC_AUTH_MAX + 2];
	struct smtpc_auth a = {"alice", password};
	(void)state;
	memset(password, 'x', sizeof(password));
	password[sizeof(password) - 1] = '\0';
	struct run r;
	to_auth(&r, &a, "250-sub\r\n250 AUTH PLAIN\r\n");
	assert_int_equal(smtpc_result(r.c), SMTPC_LOCAL); /* one too many */
	assert_int_equal(buf_len(&r.log), 0);
	run_free(&r);
	password[SMTPC_AUTH_MAX] = '\0';
	char user[SMTPC_AUTH_MAX + 1];
	memset(user, 'y', sizeof(user));
	user[SMTPC_AUTH_MAX] = '\0';
	a.user = user;
	to_auth(&r, &a, "250-sub\r\n250 AUTH PLAIN\r\n");
	assert_string_equal(buf_cstr(&r.log), "AUTH PLAIN\r\n");
	buf_reset(&r.log);
	say(&r, "334 \r\n");
	assert_int_equal(buf_len(&r.log), (2 * SMTPC_AUTH_MAX + 2 + 2) / 3 * 4 + 2);
	say(&r, "235 ok\r\n");
	assert_true(logged(&r, "MAIL FROM"));
	run_free(&r);
}

/* Nothing of the password stays in the machine once the host has answered. */
static void wiped(void **state)
{
	struct run r;
	(void)state;
	to_auth(&r, &alice, "250-sub\r\n250 AUTH PLAIN\r\n");
	struct buf *out = smtpc_output(r.c);
	assert_true(logged(&r, PLAIN));
	assert_non_null(memmem(out->p, out->cap, "NlY3JldA", 8));
	smtpc_recv(r.c, SLICE_LIT("235 ok\r\n"));
	assert_null(memmem(out->p, out->cap, "AGFsaWNl", 8));
	assert_null(memmem(out->p, out->cap, "NlY3JldA", 8));
	run_free(&r);
}

/* RFC 8314 s3.3: 465. */
static void implicit_tls(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_MUST);
	r.message.nrcpt = 1;
	r.config.implicit_tls = true;
	r.config.auth = &alice;
	run_start(&r);
	assert_int_equal(smtpc_want(r.c), SMTPC_WANT_STARTTLS);
	assert_int_equal(smtpc_timeout_ms(r.c), 60 * 1000);
	assert_int_equal(buf_len(smtpc_output(r.c)), 0);
	serve(&r);
	assert_string_equal(buf_cstr(&r.log), "[TLS]");
	assert_string_equal(smtpc_phase(r.c), "greeting");
	say(&r, "220 sub\r\n");
	say(&r, "250-sub\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"); /* once is enough */
	say(&r, "235 ok\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "354 go\r\n");
	say(&r, "250 ok\r\n");
	assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
	assert_int_equal(r.rcpt[0].state, RCPT_SENT);
	assert_false(logged(&r, "STARTTLS"));
	run_free(&r);

	run_init(&r, SMTPC_TLS_MUST);
	r.config.implicit_tls = true;
	run_start(&r);
	smtpc_recv(r.c, SLICE_LIT("220 in clear\r\n"));
	assert_int_equal(smtpc_result(r.c), SMTPC_INJECTION);
	run_free(&r);

	run_init(&r, SMTPC_TLS_MUST);
	r.config.implicit_tls = true;
	run_start(&r);
	smtpc_tls_done(r.c, false);
	assert_int_equal(smtpc_result(r.c), SMTPC_TLS_FAILED);
	run_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(auth_rows),     cmocka_unit_test(never_in_clear),
	    cmocka_unit_test(long_password), cmocka_unit_test(wiped),
	    cmocka_unit_test(implicit_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
