/* SPDX-License-Identifier: MIT */
/*
 * A text that goes with its envelope as one chunk (RFC 3030): when it does, what each answer means,
 * and the connection that breaks at each point. Every sequence of answers is in
 * test_smtp_client_keep.c.
 */
#include "test_smtp_client_run.h"

#include <string.h>

static const char flight[] = "MAIL FROM:<sender@client.example>\r\n"
			     "RCPT TO:<alice@example.org>\r\n"
			     "RCPT TO:<bob@example.org>\r\n"
			     "BDAT 32 LAST\r\n"
			     "Subject: x\r\n\r\n.\r\n..a\r\nb.\r\n\r\n.c\r\n";

/* Two recipients, after EHLO. */
static void hello(struct run *r, const char *capabilities)
{
	run_start(r);
	say(r, "220 mx\r\n");
	buf_reset(&r->log);
	say(r, capabilities);
}

static void begin(struct run *r)
{
	run_init(r, SMTPC_TLS_NONE);
	r->message.nrcpt = 2;
	r->config.chunking = true;
}

static void to_chunk(struct run *r)
{
	begin(r);
	hello(r, "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
}

struct when_row {
	const char *what, *capabilities;
	bool chunking; /* the configuration's */
	uint64_t size;
	const char *verb; /* that is written with the envelope */
};

static const struct when_row whens[] = {
    {"as it should be", "250-mx\r\n250-PIPELINING\r\n250 chunking\r\n", true, 32, "BDAT 32 LAST"},
    {"not wanted", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", false, 32, "DATA"},
    {"not offered", "250-mx\r\n250 PIPELINING\r\n", true, 32, "DATA"},
    {"no round trip saved", "250-mx\r\n250 CHUNKING\r\n", true, 32, "MAIL"},
    {"empty", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true, 0, "DATA"},
    {"the largest", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true, 16384, "BDAT 16384 LAST"},
    {"too large", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", true, 16385, "DATA"},
};

static void when_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(whens); i++) {
		struct run r;
		begin(&r);
		r.config.chunking = whens[i].chunking;
		r.message.size = whens[i].size;
		run_start(&r);
		say(&r, "220 mx\r\n");
		smtpc_recv(r.c, slice_str(whens[i].capabilities));
		flush(&r);
		char line[64];
		snprintf(line, sizeof(line), "\n%s", whens[i].verb);
		bool chunk = strncmp(whens[i].verb, "BDAT", 4) == 0;
		if (!logged(&r, line) || smtpc_body_is_chunk(r.c) != chunk)
			fail_msg("%s", whens[i].what);
		assert_int_equal(smtpc_want(r.c) == SMTPC_WANT_BODY, chunk);
		assert_int_equal(smtpc_reached(r.c), SMTPC_REACHED_MAIL);
		run_free(&r);
	}
}

/* Never before TLS is up where it must be. */
static void under_tls_only(void **state)
{
	struct run r;
	(void)state;
	begin(&r);
	r.config.tls = SMTPC_TLS_MUST;
	run_start(&r);
	say(&r, "220 mx\r\n");
	say(&r, "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS\r\n");
	assert_false(logged(&r, "BDAT"));
	say(&r, "220 go\r\n");
	assert_false(logged(&r, "BDAT"));
	say(&r, "250-mx\r\n250 PIPELINING\r\n"); /* what was said in clear is forgotten */
	assert_false(logged(&r, "BDAT"));
	run_free(&r);
}

static void one_flight(void **state)
{
	struct run r;
	(void)state;
	to_chunk(&r);
	assert_string_equal(buf_cstr(&r.log), flight);
	assert_true(smtpc_past_final_dot(r.c));
	assert_int_equal(smtpc_reached(r.c), SMTPC_REACHED_DOT); /* whatever it says or not */
	say(&r, "250 ok\r\n250 ok\r\n550 who\r\n");
	assert_int_equal(smtpc_reached(r.c), SMTPC_REACHED_DOT);
	say(&r, "250 taken\r\n");
	assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
	assert_int_equal(r.rcpt[0].state, RCPT_SENT);
	assert_int_equal(r.rcpt[1].state, RCPT_REJECTED);
	assert_int_equal(smtpc_reached(r.c), SMTPC_REACHED_VERDICT);
	assert_false(smtpc_chunk_failed(r.c));
	assert_true(logged(&r, "QUIT\r\n"));
	run_free(&r);
}

struct answer_row {
	const char *what, *said;
	enum smtpc_end end;
	enum rcpt_state alice, bob;
	bool failed; /* DATA may do better */
	bool quit;
};

static const struct answer_row answers[] = {
    {"taken", "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n", SMTPC_DONE, RCPT_SENT, RCPT_SENT, false,
     true},
    {"the text refused", "250 ok\r\n250 ok\r\n250 ok\r\n554 spam\r\n", SMTPC_DONE, RCPT_REJECTED,
     RCPT_REJECTED, false, true},
    {"the text deferred", "250 ok\r\n250 ok\r\n250 ok\r\n451 later\r\n", SMTPC_DONE, RCPT_DEFERRED,
     RCPT_DEFERRED, false, true},
    {"no such command", "250 ok\r\n250 ok\r\n250 ok\r\n500 what\r\n", SMTPC_DONE, RCPT_DEFERRED,
     RCPT_DEFERRED, true, false},
    {"not implemented", "250 ok\r\n250 ok\r\n250 ok\r\n502 no\r\n", SMTPC_DONE, RCPT_DEFERRED,
     RCPT_DEFERRED, true, false},
    {"bad sequence", "250 ok\r\n250 ok\r\n550 no\r\n503 no\r\n", SMTPC_DONE, RCPT_DEFERRED,
     RCPT_REJECTED, true, false},
    {"nobody, refused", "250 ok\r\n550 no\r\n450 no\r\n503 no\r\n", SMTPC_DONE, RCPT_REJECTED,
     RCPT_DEFERRED, false, true},
    {"nobody, and taken", "250 ok\r\n550 no\r\n450 no\r\n250 ok\r\n", SMTPC_DONE, RCPT_REJECTED,
     RCPT_DEFERRED, false, true},
    {"MAIL refused", "550 no\r\n", SMTPC_MAIL_REJECTED, RCPT_REJECTED, RCPT_REJECTED, false, true},
    {"MAIL refused, the rest taken", "451 no\r\n250 ok\r\n250 ok\r\n250 ok\r\n",
     SMTPC_MAIL_DEFERRED, RCPT_DEFERRED, RCPT_DEFERRED, false, true},
    {"421 to MAIL", "421 bye\r\n", SMTPC_UNWILLING, RCPT_PENDING, RCPT_PENDING, false, false},
    {"421 to RCPT", "250 ok\r\n250 ok\r\n421 bye\r\n", SMTPC_UNWILLING, RCPT_ACCEPTED, RCPT_PENDING,
     false, false},
    {"421 to the text", "250 ok\r\n250 ok\r\n250 ok\r\n421 bye\r\n", SMTPC_UNWILLING, RCPT_ACCEPTED,
     RCPT_ACCEPTED, false, false},
    {"one too many", "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n", SMTPC_DONE, RCPT_SENT,
     RCPT_SENT, false, true},
    {"go on, to the text", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", SMTPC_LOST_AFTER_DATA,
     RCPT_ACCEPTED, RCPT_ACCEPTED, true, false},
    {"nonsense", "ok\r\n", SMTPC_LOST_AFTER_DATA, RCPT_ACCEPTED, RCPT_ACCEPTED, true, false},
};

static void answer_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ROWS(answers); i++) {
		const struct answer_row *a = &answers[i / 2];
		struct run r;
		to_chunk(&r);
		for (const char *p = a->said; *p != '\0'; p++) {
			char octet[2] = {*p, '\0'};
			say(&r, i % 2 == 0 ? a->said : octet);
			if (i % 2 == 0)
				break;
		}
		if (smtpc_result(r.c) != a->end || r.rcpt[0].state != a->alice ||
		    r.rcpt[1].state != a->bob || smtpc_chunk_failed(r.c) != a->failed)
			fail_msg("%s: end %d, %d %d", a->what, (int)smtpc_result(r.c),
				 (int)r.rcpt[0].state, (int)r.rcpt[1].state);
		assert_int_equal(logged(&r, "QUIT"), a->quit);
		run_free(&r);
	}
}

/* Closed after so many replies: with all of the text out everybody who was not refused is in doubt.
 */
static void lost_at_each_point(void **state)
{
	static const char *const replies[] = {"", "250 ok\r\n", "250 ok\r\n250 ok\r\n",
					      "250 ok\r\n250 ok\r\n550 no\r\n"};
	(void)state;
	for (size_t i = 0; i < 2 * ROWS(replies); i++) {
		struct run r;
		to_chunk(&r);
		say(&r, replies[i / 2]);
		if (i % 2 == 0)
			smtpc_closed(r.c);
		else
			smtpc_timed_out(r.c);
		assert_int_equal(smtpc_result(r.c), SMTPC_LOST_AFTER_DATA);
		assert_int_equal(r.rcpt[0].state, RCPT_ACCEPTED);
		assert_int_equal(r.rcpt[1].state, i / 2 == 3 ? RCPT_REJECTED : RCPT_ACCEPTED);
		assert_false(smtpc_was_stale(r.c));
		assert_true(smtpc_chunk_failed(r.c));
		run_free(&r);
	}
	struct run r;
	to_chunk(&r); /* nobody was accepted: nobody is in doubt */
	say(&r, "250 ok\r\n550 no\r\n550 no\r\n");
	smtpc_closed(r.c);
	assert_int_equal(smtpc_result(r.c), SMTPC_CLOSED);
	run_free(&r);
}

/* A part of the text has left: the host has nothing. */
static void lost_within_the_text(void **state)
{
	struct run r;
	(void)state;
	for (size_t left = 1; left < sizeof(flight) - 1; left++) {
		begin(&r);
		run_start(&r);
		say(&r, "220 mx\r\n");
		smtpc_recv(r.c, SLICE_LIT("250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"));
		smtpc_body(r.c, r.text);
		assert_int_equal(buf_len(smtpc_output(r.c)), sizeof(flight) - 1);
		buf_consume(smtpc_output(r.c), sizeof(flight) - 1 - left);
		smtpc_closed(r.c);
		assert_int_equal(smtpc_result(r.c), SMTPC_CLOSED);
		assert_int_equal(r.rcpt[0].state, RCPT_PENDING);
		run_free(&r);
	}
}

/* The driver's text is not what was announced: the host must not get a whole message. */
static void wrong_size(void **state)
{
	const struct slice texts[] = {{0},
				      SLICE_LIT("Subject: 0123456789 0123456789 0123456789\r\n")};
	(void)state;
	for (size_t i = 0; i < ROWS(texts); i++) {
		struct run r;
		begin(&r);
		run_start(&r);
		say(&r, "220 mx\r\n");
		smtpc_recv(r.c, SLICE_LIT("250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"));
		smtpc_body(r.c, texts[i]);
		assert_int_equal(smtpc_result(r.c), SMTPC_LOCAL);
		assert_int_equal(buf_len(smtpc_output(r.c)), 0);
		run_free(&r);
	}
}

static void further_messages(void **state)
{
	(void)state;
	for (int rested = 0; rested < 2; rested++) {
		struct run r;
		begin(&r);
		r.config.keep = true;
		hello(&r, "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
		say(&r, "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n");
		assert_int_equal(smtpc_want(r.c), SMTPC_WANT_IDLE);
		r.rcpt[0].state = r.rcpt[1].state = RCPT_PENDING;
		buf_reset(&r.log);
		smtpc_next_message(r.c, &r.message, rested != 0);
		serve(&r);
		assert_int_equal(logged(&r, "BDAT"), rested == 0);
		assert_int_equal(logged(&r, "\r\nDATA\r\n"), rested != 0);
		smtpc_closed(r.c);
		assert_int_equal(smtpc_was_stale(r.c), rested != 0);
		run_free(&r);
	}
}

/* RFC 2033 s4.2: a reply for each who was accepted. */
static const struct answer_row fates[] = {
    {"both", "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n452 full\r\n", SMTPC_DONE, RCPT_SENT,
     RCPT_DEFERRED, false, true},
    {"one", "250 ok\r\n550 ok\r\n250 ok\r\n250 ok\r\n", SMTPC_DONE, RCPT_REJECTED, RCPT_SENT, false,
     true},
    {"nobody", "250 ok\r\n550 ok\r\n550 ok\r\n", SMTPC_DONE, RCPT_REJECTED, RCPT_REJECTED, false,
     false},
    {"no such command", "250 ok\r\n250 ok\r\n250 ok\r\n500 ok\r\n", SMTPC_DONE, RCPT_DEFERRED,
     RCPT_DEFERRED, true, false},
};

static void lmtp_fates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(fates); i++) {
		struct run r;
		begin(&r);
		r.config.lmtp = true;
		hello(&r, "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
		assert_string_equal(buf_cstr(&r.log), flight);
		say(&r, fates[i].said);
		if (smtpc_result(r.c) != fates[i].end || r.rcpt[0].state != fates[i].alice ||
		    r.rcpt[1].state != fates[i].bob || smtpc_chunk_failed(r.c) != fates[i].failed)
			fail_msg("%s: end %d, %d %d", fates[i].what, (int)smtpc_result(r.c),
				 (int)r.rcpt[0].state, (int)r.rcpt[1].state);
		assert_int_equal(logged(&r, "QUIT"), fates[i].quit);
		run_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(when_rows),          cmocka_unit_test(under_tls_only),
	    cmocka_unit_test(one_flight),         cmocka_unit_test(answer_rows),
	    cmocka_unit_test(lost_at_each_point), cmocka_unit_test(lost_within_the_text),
	    cmocka_unit_test(wrong_size),         cmocka_unit_test(further_messages),
	    cmocka_unit_test(lmtp_fates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
