/* SPDX-License-Identifier: MIT */
/*
 * The SMTP client machine below the scenes: the same conversation at every split point, against a
 * guard page; its limits, its times, and its text.
 */
#include "guard.h"
#include "test_smtp_client_run.h"

#include <stdio.h>
#include <string.h>

/* --- Every split point --- */

/* Talks the conversation; the element `at` is cut after `cut` octets. SIZE_MAX: octet by octet. */
static void talk(struct run *r, struct guard *g, size_t at, size_t cut)
{
	for (size_t i = 0; i < ROWS(conversation); i++) {
		struct slice all = slice_str(conversation[i]);
		struct slice rest = all;
		while (rest.n > 0) {
			size_t n = at == SIZE_MAX ? 1 : i == at && rest.n == all.n ? cut : rest.n;
			smtpc_recv(r->c, guard_put(g, slice_first(rest, n)));
			serve(r);
			rest = slice_from(rest, n);
		}
	}
}

static void check_end(struct run *r)
{
	assert_int_equal(smtpc_result(r->c), SMTPC_DONE);
	assert_int_equal(smtpc_want(r->c), SMTPC_WANT_CLOSE);
	assert_int_equal(r->rcpt[0].state, RCPT_SENT);
	assert_int_equal(r->rcpt[1].state, RCPT_REJECTED);
	assert_int_equal(r->rcpt[2].state, RCPT_SENT);
	assert_string_equal(r->rcpt[0].reply, "250 2.6.0 as 1");
	assert_string_equal(r->rcpt[1].reply, "550 5.1.1 who / 5.1.1 is bob");
	assert_string_equal(r->rcpt[2].reply, "250 2.6.0 as 2");
	assert_int_equal(r->rcpt[1].enhanced.detail, 1);
}

static void every_split(void **state)
{
	struct guard g;
	struct run whole;
	(void)state;
	guard_init(&g, 4096);
	run_init(&whole, SMTPC_TLS_MUST);
	run_start(&whole);
	talk(&whole, &g, 0, strlen(conversation[0]));
	check_end(&whole);
	for (size_t i = 0; i < ROWS(conversation); i++) {
		for (size_t cut = 1; cut < strlen(conversation[i]); cut++) {
			struct run r;
			run_init(&r, SMTPC_TLS_MUST);
			run_start(&r);
			talk(&r, &g, i, cut);
			check_end(&r);
			assert_true(slice_eq(buf_slice(&r.log), buf_slice(&whole.log)));
			run_free(&r);
		}
	}
	struct run r;
	run_init(&r, SMTPC_TLS_MUST);
	run_start(&r);
	talk(&r, &g, SIZE_MAX, 0);
	check_end(&r);
	assert_true(slice_eq(buf_slice(&r.log), buf_slice(&whole.log)));
	run_free(&r);
	run_free(&whole);
	guard_free(&g);
}

/* All that the server will ever say, before the client said a word: TLS never starts on it. */
static void all_at_once_is_an_injection(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_MUST);
	run_start(&r);
	for (size_t i = 0; i < ROWS(conversation); i++)
		smtpc_recv(r.c, slice_str(conversation[i]));
	serve(&r);
	assert_int_equal(smtpc_result(r.c), SMTPC_INJECTION);
	assert_false(logged(&r, "MAIL"));
	assert_false(smtpc_under_tls(r.c));
	run_free(&r);
}

/* --- Limits --- */

static void endless_line(void **state)
{
	struct run r;
	char line[1024];
	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "220 ", 4);
	run_init(&r, SMTPC_TLS_MAY);
	run_start(&r);
	for (int i = 0; i < 1000; i++)
		smtpc_recv(r.c, slice_make(line, sizeof(line)));
	assert_int_equal(smtpc_result(r.c), SMTPC_PROTOCOL);
	assert_int_equal(smtpc_want(r.c), SMTPC_WANT_CLOSE);
	run_free(&r);
}

static void endless_reply(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_MAY);
	run_start(&r);
	for (int i = 0; i < 100000; i++)
		smtpc_recv(r.c, SLICE_LIT("220-more\r\n"));
	assert_int_equal(smtpc_result(r.c), SMTPC_PROTOCOL);
	run_free(&r);
}

/* A megabyte in one piece, in each place where the machine listens or does not. */
static void flood(void **state)
{
	size_t n = 1024 * 1024;
	char *bytes = malloc(n);
	(void)state;
	assert_non_null(bytes);
	for (size_t at = 0; at <= ROWS(conversation); at++) {
		for (int kind = 0; kind < 3; kind++) {
			struct run r;
			memset(bytes, kind == 0 ? 'x' : '2', n);
			for (size_t i = 0; kind == 2 && i + 10 <= n; i += 10)
				memcpy(bytes + i, "250-more\r\n", 10);
			run_init(&r, SMTPC_TLS_MUST);
			run_start(&r);
			for (size_t i = 0; i < at; i++)
				say(&r, conversation[i]);
			smtpc_recv(r.c, slice_make(bytes, n));
			serve(&r);
			assert_int_equal(smtpc_want(r.c), SMTPC_WANT_CLOSE);
			assert_true(smtpc_result(r.c) != SMTPC_RUNNING);
			run_free(&r);
		}
	}
	free(bytes);
}

/* Bytes while the text goes out are kept up to a limit, then end the session without the dot. */
static void flood_during_text(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_NONE);
	run_start(&r);
	say(&r, "220 mx\r\n");
	say(&r, "250 mx\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "250 ok\r\n");
	smtpc_recv(r.c, SLICE_LIT("354 go\r\n"));
	assert_int_equal(smtpc_want(r.c), SMTPC_WANT_BODY);
	for (int i = 0; i < 100000; i++)
		smtpc_recv(r.c, SLICE_LIT("x"));
	serve(&r);
	assert_int_equal(smtpc_result(r.c), SMTPC_PROTOCOL);
	assert_false(logged(&r, "\r\n.\r\n"));
	run_free(&r);
}

static void silent_after_end(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_MUST);
	run_start(&r);
	say(&r, "junk\r\n");
	assert_int_equal(smtpc_result(r.c), SMTPC_PROTOCOL);
	say(&r, "220 mx\r\n250 mx\r\n");
	smtpc_tls_done(r.c, true);
	smtpc_body(r.c, SLICE_LIT("x"));
	smtpc_closed(r.c);
	smtpc_timed_out(r.c);
	smtpc_abort(r.c, SMTPC_LOCAL);
	assert_int_equal(smtpc_result(r.c), SMTPC_PROTOCOL);
	assert_int_equal(buf_len(&r.log), 0);
	run_free(&r);
}

/* A bad argument ends the session; nothing of what would have followed leaves. */
static void bad_arguments(void **state)
{
	static const char *const bad[] = {"a b@c.example", "a\r\nRCPT TO:<x@y>", "a>@c.example",
					  "\"open@c.example"};
	(void)state;
	for (size_t i = 0; i < ROWS(bad) * 2; i++) {
		struct run r;
		run_init(&r, SMTPC_TLS_NONE);
		if (i % 2 == 0)
			r.message.reverse_path = bad[i / 2];
		else
			r.rcpt[0].address = bad[i / 2];
		run_start(&r);
		say(&r, "220 mx\r\n");
		say(&r, "250-mx\r\n250 PIPELINING\r\n");
		assert_int_equal(smtpc_result(r.c), SMTPC_LOCAL);
		assert_false(logged(&r, "MAIL"));
		assert_false(logged(&r, "RCPT"));
		run_free(&r);
	}
}

/* --- Time --- */

struct time_row {
	const char *rule;
	size_t said; /* elements of the conversation */
	uint32_t seconds;
	const char *phase;
};

static const struct time_row times[] = {
    {"RFC 5321 s4.5.3.2.1: initial 220: 5 minutes", 0, 300, "greeting"},
    {"RFC 5321 s4.5.3.2: EHLO: as long", 1, 300, "EHLO"},
    {"RFC 3207: STARTTLS", 2, 120, "STARTTLS"},
    {"RFC 5321 s4.5.3.2.2: MAIL: 5 minutes", 4, 300, "MAIL"},
    {"RFC 5321 s4.5.3.2.4: DATA initiation: 2 minutes", 5, 120, "DATA"},
    {"RFC 5321 s4.5.3.2.6: DATA termination: 10 minutes", 6, 600, "end of data"},
    {"RSET like MAIL: 5 minutes", 7, 300, "RSET"},
    {"QUIT: nobody waits for it", 11, 5, "QUIT"},
    {"the end", 12, 5, "end"},
};

static void time_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(times); i++) {
		struct run r;
		run_init(&r, SMTPC_TLS_MUST);
		run_start(&r);
		for (size_t k = 0; k < times[i].said; k++)
			say(&r, conversation[k]);
		assert_string_equal(smtpc_phase(r.c), times[i].phase);
		assert_int_equal(smtpc_timeout_ms(r.c), times[i].seconds * 1000);
		run_free(&r);
	}
}

/* The phases between two steps of the conversation. */
static void times_within(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_MUST);
	run_start(&r);
	say(&r, conversation[0]);
	say(&r, conversation[1]);
	smtpc_recv(r.c, slice_str(conversation[2]));
	assert_string_equal(smtpc_phase(r.c), "TLS handshake");
	assert_int_equal(smtpc_timeout_ms(r.c), 60 * 1000);
	serve(&r);
	say(&r, conversation[3]);
	say(&r, "250 ok\r\n");
	assert_string_equal(smtpc_phase(r.c), "RCPT"); /* s4.5.3.2.3: 5 minutes */
	assert_int_equal(smtpc_timeout_ms(r.c), 300 * 1000);
	say(&r, "250 ok\r\n250 ok\r\n250 ok\r\n");
	smtpc_recv(r.c, SLICE_LIT("354 go\r\n"));
	assert_string_equal(smtpc_phase(r.c),
			    "message text"); /* s4.5.3.2.5: data block: 3 minutes */
	assert_int_equal(smtpc_timeout_ms(r.c), 180 * 1000);
	while (smtpc_want(r.c) == SMTPC_WANT_BODY)
		smtpc_body(r.c, slice_from(r.text, smtpc_body_offset(r.c)));
	assert_int_equal(smtpc_timeout_ms(r.c), 180 * 1000); /* the dot is still in our hands */
	flush(&r);
	assert_int_equal(smtpc_timeout_ms(r.c), 600 * 1000);
	run_free(&r);
}

/* Half a reply buys no time; a whole one does. */
static void only_progress_buys_time(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_MUST);
	run_start(&r);
	uint64_t before = smtpc_progress(r.c);
	say(&r, "220-m");
	say(&r, "x1\r\n220");
	assert_true(smtpc_progress(r.c) == before);
	say(&r, " mx1\r\n");
	assert_true(smtpc_progress(r.c) > before);
	run_free(&r);
}

/* --- Text --- */

static void every_chunking(void **state)
{
	static const char wire[] = "DATA\r\nSubject: x\r\n\r\n..\r\n...a\r\nb.\r\n\r\n..c\r\n.\r\n";
	(void)state;
	for (size_t chunk = 1; chunk <= sizeof(usual_text); chunk++) {
		struct run r;
		to_text(&r);
		r.chunk = chunk;
		start_text(&r);
		serve(&r);
		assert_non_null(strstr(buf_cstr(&r.log), wire));
		say(&r, "250 ok\r\n");
		assert_int_equal(r.rcpt[0].state, RCPT_SENT);
		run_free(&r);
	}
}

/* The text ended early or late: the host must never see a final dot. */
static void wrong_size(void **state)
{
	static const int off[] = {-1, 1, -20, 1000};
	(void)state;
	for (size_t i = 0; i < ROWS(off); i++) {
		struct run r;
		to_text(&r);
		r.message.size = r.text.n + (size_t)off[i];
		start_text(&r);
		serve(&r);
		assert_int_equal(smtpc_result(r.c), SMTPC_LOCAL);
		assert_false(logged(&r, "\r\n.\r\n"));
		assert_false(smtpc_past_final_dot(r.c));
		assert_int_equal(r.rcpt[0].state, RCPT_ACCEPTED);
		run_free(&r);
	}
}

/* A bare LF, a bare CR or NUL in the text means damage: no final dot. */
static void damaged_text(void **state)
{
	static const struct slice bad[] = {
	    {(const uint8_t *)"a\nb\r\n", 5},
	    {(const uint8_t *)"a\rb\r\n", 5},
	    {(const uint8_t *)"a\0b\r\n", 5},
	    {(const uint8_t *)"a\r\n.\n\r\n", 8},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct run r;
		to_text(&r);
		r.text = bad[i];
		r.message.size = bad[i].n;
		start_text(&r);
		serve(&r);
		assert_int_equal(smtpc_result(r.c), SMTPC_LOCAL);
		assert_false(logged(&r, "\r\n.\r\n"));
		run_free(&r);
	}
}

static void empty_text(void **state)
{
	struct run r;
	(void)state;
	to_text(&r);
	r.text = (struct slice){0};
	r.message.size = 0;
	start_text(&r);
	serve(&r);
	assert_true(logged(&r, "DATA\r\n.\r\n"));
	run_free(&r);
}

/* --- Doubt --- */

struct doubt_row {
	const char *what;
	bool flushed; /* the final dot has left us */
	const char *then;
	enum smtpc_end end;
};

static const struct doubt_row doubts[] = {
    {"closed with the dot on its way", true, NULL, SMTPC_LOST_AFTER_DATA},
    {"closed with the dot in our hands", false, NULL, SMTPC_CLOSED},
    {"half a reply", true, "250 o", SMTPC_LOST_AFTER_DATA},
    {"a reply that is none", true, "ok\r\n", SMTPC_LOST_AFTER_DATA},
    {"3yz", true, "354 go on\r\n", SMTPC_LOST_AFTER_DATA},
    {"421: not taken", true, "421 bye\r\n", SMTPC_UNWILLING},
    {"4yz: not taken", true, "451 later\r\n", SMTPC_DONE},
    {"success", true, "250 ok\r\n", SMTPC_DONE},
    {"success before the dot has left is a lie", false, "250 ok\r\n", SMTPC_PROTOCOL},
    {"refusal before the dot has left: it never will", false, "554 no\r\n", SMTPC_DONE},
};

static void doubt_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(doubts); i++) {
		const struct doubt_row *d = &doubts[i];
		struct run r;
		to_text(&r);
		start_text(&r);
		while (smtpc_want(r.c) == SMTPC_WANT_BODY)
			smtpc_body(r.c, slice_from(r.text, smtpc_body_offset(r.c)));
		if (d->flushed)
			flush(&r);
		assert_int_equal(smtpc_past_final_dot(r.c), d->flushed);
		if (d->then != NULL)
			smtpc_recv(r.c, slice_str(d->then));
		smtpc_closed(r.c);
		assert_int_equal(smtpc_result(r.c), d->end);
		assert_int_equal(r.rcpt[0].state == RCPT_SENT, strcmp(d->what, "success") == 0);
		flush(&r);
		if (!d->flushed)
			assert_false(logged(&r, "\r\n.\r\n"));
		run_free(&r);
	}
}

/* --- Probes --- */

static void probe(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_MUST);
	r.config.message = NULL;
	run_start(&r);
	for (size_t i = 0; i < 4; i++)
		say(&r, conversation[i]);
	assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
	assert_true(smtpc_under_tls(r.c));
	assert_true(smtpc_offered_starttls(r.c));
	assert_false(logged(&r, "MAIL"));
	assert_true(logged(&r, "QUIT\r\n"));
	run_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_split),
	    cmocka_unit_test(all_at_once_is_an_injection),
	    cmocka_unit_test(endless_line),
	    cmocka_unit_test(endless_reply),
	    cmocka_unit_test(flood),
	    cmocka_unit_test(flood_during_text),
	    cmocka_unit_test(silent_after_end),
	    cmocka_unit_test(bad_arguments),
	    cmocka_unit_test(time_rows),
	    cmocka_unit_test(times_within),
	    cmocka_unit_test(only_progress_buys_time),
	    cmocka_unit_test(every_chunking),
	    cmocka_unit_test(wrong_size),
	    cmocka_unit_test(damaged_text),
	    cmocka_unit_test(empty_text),
	    cmocka_unit_test(doubt_rows),
	    cmocka_unit_test(probe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
