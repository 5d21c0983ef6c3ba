/* SPDX-License-Identifier: MIT */
/* Who gets a notification: a row for each rule of RFC 3461 s5.2 and s4.1. */
#include "table.h"

#include "dsn/dsn.h"

enum { S = DSN_NOTIFY_SUCCESS, F = DSN_NOTIFY_FAILURE, D = DSN_NOTIFY_DELAY, N = DSN_NOTIFY_NEVER };
enum { KNOWS = true, KNOWS_NOT = false };

static const struct {
	const char *rule;
	struct dsn_facts facts;
	enum dsn_action action;
} rows[] = {
    /* s5.2.1: the next host knows DSN */
    {"5.2.1: NOTIFY went on with the message: the next host reports",
     {DSN_EVENT_SENT, S, .next_knows_dsn = KNOWS},
     DSN_NONE},
    {"5.2.1: with all keywords too",
     {DSN_EVENT_SENT, S | F | D, .next_knows_dsn = KNOWS},
     DSN_NONE},
    {"5.2.1: no NOTIFY, nothing to report", {DSN_EVENT_SENT, 0, .next_knows_dsn = KNOWS}, DSN_NONE},
    /* s5.2.2: it does not */
    {"5.2.2: SUCCESS and a host without DSN: relayed", {DSN_EVENT_SENT, S}, DSN_RELAYED},
    {"5.2.2: SUCCESS among others", {DSN_EVENT_SENT, S | F | D}, DSN_RELAYED},
    {"5.2.2: no SUCCESS: not relayed", {DSN_EVENT_SENT, F}, DSN_NONE},
    {"5.2.2: DELAY alone: not relayed", {DSN_EVENT_SENT, D}, DSN_NONE},
    {"5.2.2: NEVER: not relayed", {DSN_EVENT_SENT, N}, DSN_NONE},
    {"5.2.2: no NOTIFY: not relayed", {DSN_EVENT_SENT, 0}, DSN_NONE},
    /* s5.2.2, s5.2.6: the next host refused, or the lifetime ended */
    {"5.2.6: FAILURE: failed", {DSN_EVENT_FAILED, F}, DSN_FAILED},
    {"5.2.6: FAILURE among others", {DSN_EVENT_FAILED, S | F | D}, DSN_FAILED},
    {"5.2.6: no NOTIFY: failed", {DSN_EVENT_FAILED, 0}, DSN_FAILED},
    {"5.2.6: the next host's DSN changes nothing",
     {DSN_EVENT_FAILED, 0, .next_knows_dsn = KNOWS},
     DSN_FAILED},
    {"5.2.6: a warning before changes nothing", {DSN_EVENT_FAILED, F, .warned = true}, DSN_FAILED},
    {"5.2.6: NOTIFY without FAILURE: none", {DSN_EVENT_FAILED, S}, DSN_NONE},
    {"5.2.6: SUCCESS and DELAY without FAILURE: none", {DSN_EVENT_FAILED, S | D}, DSN_NONE},
    {"5.2.6: NEVER: none", {DSN_EVENT_FAILED, N}, DSN_NONE},
    /* s5.2.5: delays */
    {"5.2.5: DELAY: delayed", {DSN_EVENT_DELAYED, D}, DSN_DELAYED},
    {"5.2.5: DELAY among others", {DSN_EVENT_DELAYED, F | D}, DSN_DELAYED},
    {"5.2.5: no NOTIFY: delayed", {DSN_EVENT_DELAYED, 0}, DSN_DELAYED},
    {"5.2.5: NOTIFY without DELAY: none", {DSN_EVENT_DELAYED, S | F}, DSN_NONE},
    {"5.2.5: FAILURE is not DELAY", {DSN_EVENT_DELAYED, F}, DSN_NONE},
    {"5.2.5: NEVER: none", {DSN_EVENT_DELAYED, N}, DSN_NONE},
    {"5.2.5: one warning is enough", {DSN_EVENT_DELAYED, D, .warned = true}, DSN_NONE},
    {"5.2.5: one warning, no NOTIFY", {DSN_EVENT_DELAYED, 0, .warned = true}, DSN_NONE},
    /* the null reverse-path (s5.2, s6.1; RFC 5321 s4.5.5) */
    {"null reverse-path: no failed", {DSN_EVENT_FAILED, F, .null_sender = true}, DSN_NONE},
    {"null reverse-path: not without NOTIFY", {DSN_EVENT_FAILED, 0, .null_sender = true}, DSN_NONE},
    {"null reverse-path: no delayed", {DSN_EVENT_DELAYED, D, .null_sender = true}, DSN_NONE},
    {"null reverse-path: no relayed", {DSN_EVENT_SENT, S, .null_sender = true}, DSN_NONE},
    /* nothing happened */
    {"still tried, no warning due", {DSN_EVENT_NOTHING, S | F | D}, DSN_NONE},
    {"still tried, no NOTIFY", {DSN_EVENT_NOTHING, 0}, DSN_NONE},
};

static void decide_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		row_check(dsn_decide(&rows[i].facts) == rows[i].action, rows[i].rule);
}

static const struct {
	const char *text;
	bool ok;
	unsigned bits;
} notifies[] = {
    {"NEVER", true, N},
    {"never", true, N},
    {"SUCCESS", true, S},
    {"FAILURE", true, F},
    {"DELAY", true, D},
    {"success,Failure,DELAY", true, S | F | D},
    {"DELAY,FAILURE", true, F | D},
    {"", false, 0},
    {"NEVER,FAILURE", false, 0},
    {"FAILURE,NEVER", false, 0},
    {"FAILURE,FAILURE", false, 0},
    {"FAILURE,", false, 0},
    {",FAILURE", false, 0},
    {"FAILURE, DELAY", false, 0},
    {"ALWAYS", false, 0},
};

static void notify_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(notifies); i++) {
		unsigned bits = 99;
		row_check(dsn_notify_parse(slice_str(notifies[i].text), &bits) == notifies[i].ok,
			  notifies[i].text);
		row_check(bits == notifies[i].bits, notifies[i].text);
	}
}

static const struct {
	const char *rule;
	enum dsn_action action;
	enum dsn_ret ret;
	bool eight_bit, utf8;
	uint64_t size;
	bool whole;
} returns[] = {
    {"4.3: FULL: the whole text of a failure", DSN_FAILED, DSN_RET_FULL, false, false, 10, true},
    {"4.3: HDRS: the header section", DSN_FAILED, DSN_RET_HDRS, false, false, 10, false},
    {"4.3: not given: either may do", DSN_FAILED, DSN_RET_NOT_GIVEN, false, false, 10, false},
    {"4.3: RET is about failures: delayed", DSN_DELAYED, DSN_RET_FULL, false, false, 10, false},
    {"4.3: RET is about failures: relayed", DSN_RELAYED, DSN_RET_FULL, false, false, 10, false},
    {"as long as the limit", DSN_FAILED, DSN_RET_FULL, false, false, 100, true},
    {"over the limit", DSN_FAILED, DSN_RET_FULL, false, false, 101, false},
    {"8-bit text does not fit 7 bits", DSN_FAILED, DSN_RET_FULL, true, false, 10, false},
    {"RFC 6533 s4: but a global part", DSN_FAILED, DSN_RET_FULL, true, true, 10, true},
};

static void return_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(returns); i++) {
		struct dsn_rcpt r[2] = {{.action = DSN_NONE}, {.action = returns[i].action}};
		struct dsn_message m = {.rcpt = r,
					.nrcpt = 2,
					.ret = returns[i].ret,
					.eight_bit = returns[i].eight_bit,
					.utf8 = returns[i].utf8,
					.original_size = returns[i].size,
					.full_max = 100};
		row_check(dsn_returns_text(&m) == returns[i].whole, returns[i].rule);
	}
}

static const struct {
	const char *rule, *to, *boundary;
	enum dsn_action action;
	bool utf8, ok;
} begins[] = {
    {"as it should be", "a@example.org", "b", DSN_FAILED, false, true},
    {"never to the null reverse-path", "", "b", DSN_FAILED, false, false},
    {"nobody to report", "a@example.org", "b", DSN_NONE, false, false},
    {"a reverse-path that ends the line", "a\r\nBcc: b@example.org", "b", DSN_FAILED, false, false},
    {"a reverse-path that needs UTF-8", "\xc3\xa4@example.org", "b", DSN_FAILED, false, false},
    {"and has it", "\xc3\xa4@example.org", "b", DSN_FAILED, true, true},
    {"no boundary", "a@example.org", "", DSN_FAILED, false, false},
    {"a boundary with a quote", "a@example.org", "a\"b", DSN_FAILED, false, false},
    {"a boundary with a line end", "a@example.org", "a\r\nb", DSN_FAILED, false, false},
    {"a boundary of 70", "a@example.org",
     "1234567890123456789012345678901234567890123456789012345678901234567890", DSN_FAILED, false,
     true},
    {"a boundary of 71", "a@example.org",
     "12345678901234567890123456789012345678901234567890123456789012345678901", DSN_FAILED, false,
     false},
};

static void begin_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(begins); i++) {
		struct dsn_rcpt r = {.action = begins[i].action,
				     .address = "x@example.net",
				     .reason = REASON_TIMEOUT,
				     .code = "4.4.2"};
		struct dsn_message m = {.reporting_mta = "mx.example",
					.from = "p@mx.example",
					.to = begins[i].to,
					.date = "Mon, 1 Jan 2024 00:00:00 +0000",
					.message_id = "<1@mx.example>",
					.boundary = begins[i].boundary,
					.utf8 = begins[i].utf8,
					.rcpt = &r,
					.nrcpt = 1};
		struct dsn_writer w;
		struct buf out;
		buf_init(&out, 1 << 16);
		row_check(dsn_begin(&w, &m, &out) == begins[i].ok, begins[i].rule);
		row_check(buf_ok(&out) && (buf_len(&out) > 0) == begins[i].ok, begins[i].rule);
		buf_free(&out);
	}
}

/*
 * What comes back of the original (RFC 3462 s2, RFC 5321 s2.3.8): lines end with CRLF, and no other
 * CR or LF goes out: a bare one is a line's end to some readers, and what stands behind it a header
 * field or the end of the notification to them.
 */
static const struct {
	const char *rule, *original, *shown;
} originals[] = {
    {"as it was", "A: 1\r\n\r\nhello\r\n", "A: 1\r\n\r\nhello\r\n"},
    {"a bare CR", "A: 1\rBcc: 2\r\n", "A: 1?Bcc: 2\r\n"},
    {"two", "A\r\rB\r\n", "A??B\r\n"},
    {"a CR before CRLF", "A\r\r\n", "A?\r\n"},
    {"a CR at the end", "A\r", "A?\r\n"},
    {"a CR alone", "\r", "?\r\n"},
    {"a bare LF", "A\nB\r\n", "A?B\r\n"},
    {"LF CR", "A\n\rB\r\n", "A??B\r\n"},
    {"our boundary", "A\r\n--b\r\n--b--\r\n", "A\r\n?-b\r\n?-b--\r\n"},
    {"almost", "A\r\n--c\r\n-\r\n--", "A\r\n--c\r\n-\r\n--\r\n"},
    {"behind a bare CR", "A\r--b\r\n", "A?--b\r\n"},
    {"an octet above 0x7f, to a reader of seven bits", "A\xc3\xa4\r\n", "A??\r\n"},
};

static void original_row(size_t i, size_t step, struct dsn_message *m)
{
	struct slice rest = slice_str(originals[i].original), all;
	char want[256];
	struct dsn_writer w;
	struct buf out;
	buf_init(&out, 1 << 16);
	assert_true(dsn_begin(&w, m, &out));
	size_t head = buf_len(&out);
	for (; rest.n > 0; rest = slice_from(rest, rest.n < step ? rest.n : step))
		dsn_add_original(&w, slice_first(rest, rest.n < step ? rest.n : step), &out);
	dsn_end(&w, &out);
	snprintf(want, sizeof(want), "%s\r\n--b--\r\n", originals[i].shown);
	all = slice_from(buf_slice(&out), head);
	if (!slice_eq_str(all, want))
		fail_msg("%s, by %zu: \"%.*s\"", originals[i].rule, step, (int)all.n, all.p);
	buf_free(&out);
}

static void original_rows(void **state)
{
	struct dsn_rcpt r = {.action = DSN_FAILED,
			     .address = "x@example.net",
			     .reason = REASON_TIMEOUT,
			     .code = "4.4.2"};
	struct dsn_message m = {.reporting_mta = "mx.example",
				.from = "p@mx.example",
				.to = "a@example.org",
				.date = "Mon, 1 Jan 2024 00:00:00 +0000",
				.message_id = "<1@mx.example>",
				.boundary = "b",
				.ret = DSN_RET_FULL,
				.full_max = 1000,
				.rcpt = &r,
				.nrcpt = 1};
	(void)state;
	for (size_t i = 0; i < ROWS(originals); i++) {
		for (size_t step = 1; step <= strlen(originals[i].original); step++)
			original_row(i, step, &m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decide_rows),   cmocka_unit_test(notify_rows),
	    cmocka_unit_test(return_rows),   cmocka_unit_test(begin_rows),
	    cmocka_unit_test(original_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
