/* SPDX-License-Identifier: MIT */
/* smtp: what the driver of the server machine sees: wishes, decisions, limits, memory. */
#include "smtp/server.h"

#include "unit.h"

static const struct smtps_config mx = {
    .host = "mx.example", .tls_available = true, .rcpts_max = 100, .timeouts = &SMTPS_TIMEOUTS_RFC};
static const struct smtps_config submission = {.host = "mx.example",
					       .submission = true,
					       .tls_implicit = true,
					       .rcpts_max = 100,
					       .timeouts = &SMTPS_TIMEOUTS_RFC};

static void say(struct smtps *s, const char *text)
{
	smtps_recv(s, slice_str(text));
}

/* What the machine has to say now; checks it, takes it. */
static void expect(struct smtps *s, const char *text)
{
	struct buf *out = smtps_output(s);

	assert_string_equal(buf_cstr(out), text);
	buf_consume(out, buf_len(out));
}

static void discard(struct smtps *s)
{
	struct buf *out = smtps_output(s);

	buf_consume(out, buf_len(out));
}

static struct smtps *greeted(const struct smtps_config *c)
{
	struct smtps *s = smtps_new(c);

	assert_non_null(s);
	assert_int_equal(smtps_want(s), SMTPS_WANT_DECISION);
	assert_int_equal(smtps_question(s), SMTPS_Q_CONNECT);
	smtps_decide(s, 220, "mx.example ESMTP");
	expect(s, "220 mx.example ESMTP\r\n");
	say(s, "EHLO c.example\r\n");
	discard(s);
	assert_int_equal(smtps_want(s), SMTPS_WANT_READ);
	return s;
}

static void decide(struct smtps *s, enum smtps_question q, uint16_t code)
{
	assert_int_equal(smtps_want(s), SMTPS_WANT_DECISION);
	assert_int_equal(smtps_question(s), q);
	smtps_decide(s, code, NULL);
}

static struct smtps *at_text(const struct smtps_config *c)
{
	struct smtps *s = greeted(c);

	say(s, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
	decide(s, SMTPS_Q_MAIL, 250);
	decide(s, SMTPS_Q_RCPT, 250);
	decide(s, SMTPS_Q_TEXT, 354);
	discard(s);
	return s;
}

static void test_envelope(void **state)
{
	struct smtps *s = greeted(&mx);
	const struct smtps_envelope *e = smtps_envelope(s);

	(void)state;
	say(s, "MAIL FROM:<> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=hdrs ENVID=a+2Bb\r\n"
	       "RCPT TO:<no@d.example>\r\n"
	       "RCPT TO:<\"x y\"@d.example> NOTIFY=NEVER ORCPT=rfc822;x+2By@d.example\r\n");
	assert_string_equal(e->helo, "c.example");
	assert_true(e->esmtp && e->body_8bit && e->smtputf8);
	assert_string_equal(e->reverse_path, "");
	assert_int_equal(e->declared_size, 7);
	assert_string_equal(e->ret, "HDRS");
	assert_string_equal(e->envid, "a+b");
	assert_string_equal(smtps_with(s), "UTF8SMTP");
	decide(s, SMTPS_Q_MAIL, 250);
	assert_string_equal(smtps_rcpt(s)->address, "no@d.example");
	assert_null(smtps_rcpt(s)->notify);
	decide(s, SMTPS_Q_RCPT, 550);
	decide(s, SMTPS_Q_RCPT, 251);
	expect(s, "250 2.1.0 Ok\r\n550 5.7.1 Recipient refused\r\n251 2.1.5 Ok\r\n");
	assert_int_equal(e->nrcpt, 1);
	assert_string_equal(e->rcpt[0].address, "\"x y\"@d.example");
	assert_string_equal(e->rcpt[0].notify, "NEVER");
	assert_string_equal(e->rcpt[0].orcpt, "rfc822;x+2By@d.example");
	say(s, "RSET\r\n");
	assert_int_equal(e->nrcpt, 0);
	assert_null(e->envid);
	smtps_free(&s);
}

/* Relaying is decided outside (P3): a recipient is accepted by the driver's word only. */
static void test_recipient_is_always_asked(void **state)
{
	struct smtps *s = greeted(&mx);

	(void)state;
	say(s, "MAIL FROM:<a@b.example>\r\n");
	decide(s, SMTPS_Q_MAIL, 250);
	discard(s);
	say(s, "RCPT TO:<c@d.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
	assert_int_equal(buf_len(smtps_output(s)), 0);
	decide(s, SMTPS_Q_RCPT, 0); /* no code at all: not now */
	decide(s, SMTPS_Q_RCPT, 999);
	expect(s, "451 4.3.0 Try again later\r\n451 4.3.0 Try again later\r\n"
		  "554 5.5.1 No valid recipients\r\n");
	smtps_free(&s);
}

static void test_decision_text(void **state)
{
	struct smtps *s = greeted(&mx);

	(void)state;
	smtps_decide(s, 250, "unasked"); /* ignored */
	expect(s, "");
	say(s, "MAIL FROM:<a@b.example>\r\n");
	smtps_decide(s, 354, "2.1.0 a\r\n250 b\x7f");
	expect(s, "250 2.1.0 a??250 b?\r\n");
	smtps_free(&s);
}

static void test_refused_greeting(void **state)
{
	struct smtps *s = smtps_new(&mx);

	(void)state;
	smtps_decide(s, 554, "5.7.1 Go away");
	expect(s, "554 5.7.1 Go away\r\n");
	say(s, "EHLO c.example\r\n");
	discard(s);
	say(s, "MAIL FROM:<>\r\nBDAT 6\r\nQUIT\r\nQUIT\r\n");
	expect(s, "503 5.5.1 No mail here, only QUIT\r\n503 5.5.1 No mail here, only QUIT\r\n"
		  "221 2.0.0 Bye\r\n");
	assert_int_equal(smtps_result(s), SMTPS_QUIT);
	smtps_free(&s);
	s = smtps_new(&mx);
	smtps_decide(s, 421, NULL);
	expect(s, "421 4.3.2 Try again later\r\n");
	assert_int_equal(smtps_want(s), SMTPS_WANT_CLOSE);
	assert_int_equal(smtps_result(s), SMTPS_SHUTDOWN);
	smtps_free(&s);
}

/* A reply that is partly out cannot be taken back. */
static void test_early_behind_half_a_reply(void **state)
{
	struct smtps *s = smtps_new(&mx);

	(void)state;
	smtps_decide(s, 220, "x");
	buf_consume(smtps_output(s), 4);
	say(s, "E");
	expect(s, "x\r\n554 5.5.0 You spoke before our reply\r\n");
	assert_int_equal(smtps_result(s), SMTPS_EARLY);
	smtps_free(&s);
}

/* More text than the buffer holds: the machine waits for the driver, and loses nothing. */
static void test_drain(void **state)
{
	enum { LINES = 8000, LINE = 52, TAKE = 1000 };
	static uint8_t text[LINES * LINE];
	struct smtps *s = at_text(&mx);
	size_t got = 0, fed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % LINE == LINE - 2   ? '\r'
			  : i % LINE == LINE - 1 ? '\n'
						 : (uint8_t)('a' + i % 23);
	while (smtps_want(s) != SMTPS_WANT_DECISION) {
		struct buf *out = smtps_text(s);
		assert_true(buf_len(out) <= 128 * 1024 + 2);
		if (smtps_want(s) == SMTPS_WANT_DRAIN) {
			smtps_decide(s, 250, "too early"); /* ignored */
			struct slice part = slice_first(buf_slice(out), TAKE);
			assert_true(part.n > 0);
			assert_memory_equal(part.p, text + got, part.n);
			got += part.n;
			buf_consume(out, part.n);
			smtps_drained(s);
		} else if (fed < sizeof(text)) {
			struct slice rest = slice_make(text + fed, sizeof(text) - fed);
			struct slice part = slice_first(rest, SMTPS_RECV_MAX);
			smtps_recv(s, part);
			fed += part.n;
		} else {
			say(s, ".\r\nQUIT\r\n");
		}
	}
	assert_int_equal(got, sizeof(text));
	assert_int_equal(buf_len(smtps_output(s)), 0);
	decide(s, SMTPS_Q_MESSAGE, 250);
	expect(s, "250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n");
	smtps_free(&s);
}

/* A driver that reads on although nothing is wanted does not fill the memory. */
static void test_input_is_bounded(void **state)
{
	static uint8_t text[SMTPS_RECV_MAX];
	struct smtps *s = greeted(&mx);

	(void)state;
	memset(text, 'x', sizeof(text));
	say(s, "MAIL FROM:<a@b.example>\r\n");
	for (unsigned i = 0; i < 10; i++)
		smtps_recv(s, slice_make(text, sizeof(text)));
	assert_int_equal(smtps_result(s), SMTPS_LOCAL);
	assert_int_equal(smtps_want(s), SMTPS_WANT_CLOSE);
	smtps_free(&s);
}

static void feed_line(struct smtps *s, const char *head, size_t n, const char *tail)
{
	struct buf line;

	buf_init(&line, 65536);
	buf_add_str(&line, head);
	while (buf_len(&line) + strlen(tail) < n)
		buf_add_str(&line, "A");
	buf_add_str(&line, tail);
	smtps_recv(s, buf_slice(&line));
	buf_free(&line);
}

/* ---- one piece gives what its octets give one by one ---- */

struct outcome {
	enum smtps_want want;
	enum smtps_end end;
	struct buf text, output;
};

static void feed(struct smtps *s, struct slice text, size_t piece)
{
	for (; text.n > 0 && smtps_want(s) == SMTPS_WANT_READ; text = slice_from(text, piece))
		smtps_recv(s, slice_first(text, piece));
}

/* Behind `before` octets of lines that nobody has taken yet. */
static void take_text(const struct smtps_config *c, size_t before, struct slice text, size_t piece,
		      struct outcome *out)
{
	struct smtps *s = at_text(c);

	for (size_t n; before > 0; before -= n) {
		n = before < 1003 ? before : before < 2000 ? before / 2 : 1000;
		feed_line(s, "", n, "\r\n");
	}
	feed(s, text, piece);
	*out = (struct outcome){.want = smtps_want(s), .end = smtps_result(s)};
	buf_init(&out->text, SIZE_MAX);
	buf_init(&out->output, SIZE_MAX);
	buf_add_slice(&out->text, buf_slice(smtps_text(s)));
	buf_add_slice(&out->output, buf_slice(smtps_output(s)));
	smtps_free(&s);
}

static void check_cuts(const struct smtps_config *c, size_t before, struct slice text)
{
	struct outcome one, all;

	take_text(c, before, text, 1, &one);
	for (size_t piece = 2; piece <= text.n; piece++) {
		take_text(c, before, text, piece, &all);
		assert_int_equal(all.want, one.want);
		assert_int_equal(all.end, one.end);
		assert_true(slice_eq(buf_slice(&all.text), buf_slice(&one.text)));
		assert_true(slice_eq(buf_slice(&all.output), buf_slice(&one.output)));
		buf_free(&all.text);
		buf_free(&all.output);
	}
	buf_free(&one.text);
	buf_free(&one.output);
}

/* Every text of n octets of those that mean something, and one that does not. */
static void check_texts(const struct smtps_config *c, size_t before, size_t n)
{
	static const char octets[] = {'\r', '\n', '.', 'a', '\0'};
	char text[8];
	size_t count = 1;

	for (size_t i = 0; i < n; i++)
		count *= ROWS(octets);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0, rest = i; k < n; k++, rest /= ROWS(octets))
			text[k] = octets[rest % ROWS(octets)];
		check_cuts(c, before, slice_make(text, n));
	}
}

static void test_text_in_pieces(void **state)
{
	static const struct smtps_config small = {
	    .host = "mx.example", .size_max = 4, .rcpts_max = 1, .timeouts = &SMTPS_TIMEOUTS_RFC};

	(void)state;
	check_texts(&mx, 0, 5);
	check_texts(&small, 0, 4);
}

/* At the end of the buffer: nothing goes beyond it, and the same waits. */
static void test_text_at_the_limit(void **state)
{
	enum { TEXT_BUFFER = 128 * 1024 };
	static const struct smtps_config small = {.host = "mx.example",
						  .size_max = TEXT_BUFFER - 2,
						  .rcpts_max = 1,
						  .timeouts = &SMTPS_TIMEOUTS_RFC};
	static const char *const text[] = {"a\r\nbc\r\n", "\r\n\r\n.a\r\n", "ab\r\n.\r\n",
					   "abcdefgh",    "a\r\n.\r\n",     "ab\nc\r\n"};

	(void)state;
	for (size_t left = 0; left < 8; left++) {
		for (size_t i = 0; i < ROWS(text); i++) {
			check_cuts(&mx, TEXT_BUFFER - left, slice_str(text[i]));
			check_cuts(&small, TEXT_BUFFER - left, slice_str(text[i]));
		}
	}
}

static void test_long_lines(void **state)
{
	static const struct {
		const struct smtps_config *config;
		const char *head;
		size_t n;
		const char *replies;
		enum smtps_end end;
	} row[] = {
	    {&mx, "NOOP ", 2048, "250 2.0.0 Ok\r\n", SMTPS_RUNNING},
	    {&mx, "NOOP ", 2049, "500 5.5.2 Line too long\r\n", SMTPS_ERRORS},
	    {&mx, "AUTH PLAIN ", 2049, "500 5.5.2 Line too long\r\n", SMTPS_ERRORS},
	    {&submission, "NOOP ", 2049, "500 5.5.2 Line too long\r\n", SMTPS_ERRORS},
	    {&submission, "AUTH PLAIN ", 8192, "501 5.5.2 Bad base64\r\n", SMTPS_RUNNING},
	    {&submission, "AUTH PLAIN ", 8193, "500 5.5.2 Line too long\r\n", SMTPS_ERRORS},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct smtps *s = greeted(row[i].config);
		feed_line(s, row[i].head, row[i].n, "\r\n");
		expect(s, row[i].replies);
		assert_int_equal(smtps_result(s), row[i].end);
		smtps_free(&s);
	}
}

/* Refused text is thrown away for so long, and not longer. */
static void test_flood(void **state)
{
	static const struct smtps_config small = {
	    .host = "mx.example", .size_max = 10, .rcpts_max = 1, .timeouts = &SMTPS_TIMEOUTS_RFC};
	static uint8_t text[SMTPS_RECV_MAX];
	struct smtps *s = at_text(&small);
	size_t n = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (; smtps_want(s) == SMTPS_WANT_READ && n < 2048; n++)
		smtps_recv(s, slice_make(text, sizeof(text)));
	expect(s, "552 5.3.4 Message is larger than we take\r\n");
	assert_int_equal(smtps_result(s), SMTPS_ERRORS);
	assert_in_range(n, 1024, 1025); /* 64 MiB */
	smtps_free(&s);
}

static void test_password_is_wiped(void **state)
{
	struct smtps *s = greeted(&submission);

	(void)state;
	say(s, "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n");
	assert_string_equal(smtps_user(s), "user");
	assert_string_equal(smtps_password(s), "secret");
	decide(s, SMTPS_Q_AUTH, 535);
	assert_string_equal(smtps_user(s), "");
	assert_string_equal(smtps_password(s), "");
	assert_false(smtps_authenticated(s));
	discard(s);
	say(s, "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n");
	const char *password = smtps_password(s);
	decide(s, SMTPS_Q_AUTH, 235);
	for (size_t i = 0; i < sizeof("secret"); i++)
		assert_int_equal(password[i], 0);
	assert_string_equal(smtps_user(s), "user");
	assert_true(smtps_authenticated(s));
	assert_string_equal(smtps_with(s), "ESMTPSA");
	smtps_free(&s);
	/* the client goes while the decision is out */
	s = greeted(&submission);
	say(s, "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n");
	password = smtps_password(s);
	assert_string_equal(password, "secret");
	smtps_closed(s);
	for (size_t i = 0; i < sizeof("secret"); i++)
		assert_int_equal(password[i], 0);
	smtps_free(&s);
}

static void test_with(void **state)
{
	struct smtps *s = greeted(&mx);

	(void)state;
	assert_string_equal(smtps_with(s), "ESMTP");
	say(s, "HELO c.example\r\n");
	discard(s);
	assert_string_equal(smtps_with(s), "SMTP");
	say(s, "STARTTLS\r\n");
	assert_int_equal(smtps_want(s), SMTPS_WANT_STARTTLS);
	assert_int_equal(smtps_timeout_ms(s), SMTPS_TIMEOUTS_RFC.handshake);
	discard(s);
	smtps_tls_done(s, true);
	assert_true(smtps_under_tls(s));
	say(s, "EHLO c.example\r\n");
	assert_string_equal(smtps_with(s), "ESMTPS");
	smtps_free(&s);
}

static void test_time(void **state)
{
	struct smtps *s = at_text(&mx);
	uint64_t before = smtps_progress(s);

	(void)state;
	assert_int_equal(smtps_timeout_ms(s), SMTPS_TIMEOUTS_RFC.text);
	assert_string_equal(smtps_phase(s), "text");
	say(s, "x");
	assert_int_not_equal(smtps_progress(s), before);
	say(s, "\r\n.\r\n");
	struct buf *text = smtps_text(s);
	buf_consume(text, buf_len(text));
	smtps_drained(s);
	decide(s, SMTPS_Q_MESSAGE, 250);
	assert_int_equal(smtps_timeout_ms(s), SMTPS_TIMEOUTS_RFC.command);
	assert_string_equal(smtps_phase(s), "command");
	smtps_timed_out(s);
	smtps_timed_out(s);
	smtps_closed(s);
	assert_int_equal(smtps_result(s), SMTPS_TIMEOUT);
	smtps_free(&s);
	smtps_free(&s);
}

/* Thousands of refused recipients leave nothing behind; the limit counts accepted ones. */
static void test_many_recipients(void **state)
{
	struct smtps *s = greeted(&mx);

	(void)state;
	say(s, "MAIL FROM:<a@b.example>\r\n");
	decide(s, SMTPS_Q_MAIL, 250);
	for (unsigned i = 0; i <= 99 * 50; i++) {
		say(s, "RCPT TO:<c@d.example> ORCPT=rfc822;c@d.example\r\n");
		decide(s, SMTPS_Q_RCPT, i % 50 == 0 ? 250 : 450);
		discard(s);
	}
	assert_int_equal(smtps_envelope(s)->nrcpt, 100);
	say(s, "RCPT TO:<c@d.example>\r\n");
	expect(s, "452 4.5.3 Too many recipients\r\n");
	smtps_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_envelope),
	    cmocka_unit_test(test_recipient_is_always_asked),
	    cmocka_unit_test(test_decision_text),
	    cmocka_unit_test(test_refused_greeting),
	    cmocka_unit_test(test_early_behind_half_a_reply),
	    cmocka_unit_test(test_drain),
	    cmocka_unit_test(test_input_is_bounded),
	    cmocka_unit_test(test_text_in_pieces),
	    cmocka_unit_test(test_text_at_the_limit),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_password_is_wiped),
	    cmocka_unit_test(test_with),
	    cmocka_unit_test(test_time),
	    cmocka_unit_test(test_many_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
