/* SPDX-License-Identifier: MIT */
/* wire: SMTP replies, whole, in pieces and hostile (RFC 5321 s4.2, RFC 3463). */
#include "wire/reply.h"

#include "base/buf.h"

#include "guard.h"
#include "unit.h"

#define S(text)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

/* Field by field: the padding of a struct means nothing. */
static void assert_same_code(const struct enhanced_code *a, const struct enhanced_code *b)
{
	assert_int_equal(a->class, b->class);
	assert_int_equal(a->subject, b->subject);
	assert_int_equal(a->detail, b->detail);
}

static const struct row {
	struct slice in;
	int result; /* octets of the reply, 0, or the error */
	size_t lines;
	struct enhanced_code enhanced;
	const char *text;
} row[] = {
    /* whole replies */
    {S("220 mx ESMTP\r\n"), 14, 1, {0}, "220 mx ESMTP"},
    {S("250\r\n"), 5, 1, {0}, "250"},
    {S("250 \r\n"), 6, 1, {0}, "250"},
    {S("250-\r\n250\r\n"), 11, 2, {0}, "250 /"},
    {S("250-mx\r\n250-SIZE 10\r\n250 STARTTLS\r\n"), 35, 3, {0}, "250 mx / SIZE 10 / STARTTLS"},
    {S("250 2.0.0 Ok\r\n"), 14, 1, {2, 0, 0}, "250 2.0.0 Ok"},
    {S("250 2.1.5\r\n"), 11, 1, {2, 1, 5}, "250 2.1.5"},
    {S("454 4.7.0 no TLS\r\n"), 18, 1, {4, 7, 0}, "454 4.7.0 no TLS"},
    {S("550-5.7.999 a\r\n550 4.1.1 b\r\n"), 28, 2, {5, 7, 999}, "550 5.7.999 a / 4.1.1 b"},
    {S("550 4.7.1 class differs\r\n"), 25, 1, {0}, "550 4.7.1 class differs"},
    {S("354 2.0.0 x\r\n"), 13, 1, {0}, "354 2.0.0 x"},
    {S("559 \x01\x7f\t\x1b\r\n"), 10, 1, {0}, "559 ????"},
    {S("250 gr\xc3\xbc\xc3\x9f dich\r\n"), 17, 1, {0}, "250 gr\xc3\xbc\xc3\x9f dich"},
    {S("250 \xc3\xbc \xff\r\n"), 10, 1, {0}, "250 ?? ?"},
    /* U+009B is CSI in a terminal; U+00A0 is the first behind C1 */
    {S("550 \xc2\x9b\x32J\xc2\x80\xc2\xa0\r\n"), 14, 1, {0}, "550 ?2J?\xc2\xa0"},
    {S("550 \xe2\x80\xaeok\r\n"), 11, 1, {0}, "550 ?ok"}, /* U+202E turns what follows */
    {S("250 one\r\n250 two\r\n"), 9, 1, {0}, "250 one"},
    {S("250 one\r\ngarbage"), 9, 1, {0}, "250 one"},
    {S("250 one\r\n\n"), 9, 1, {0}, "250 one"},
    /* more is needed */
    {S(""), 0},
    {S("2"), 0},
    {S("25"), 0},
    {S("250"), 0},
    {S("250\r"), 0},
    {S("250 ok"), 0},
    {S("250 ok\r"), 0},
    {S("250-ok\r\n"), 0},
    {S("250-ok\r\n250"), 0},
    /* codes */
    {S("150 x\r\n"), REPLY_BAD_CODE},
    {S("050 x\r\n"), REPLY_BAD_CODE},
    {S("650 x\r\n"), REPLY_BAD_CODE},
    {S("260 x\r\n"), REPLY_BAD_CODE},
    {S("25x x\r\n"), REPLY_BAD_CODE},
    {S(" 250 x\r\n"), REPLY_BAD_CODE},
    {S("2500 x\r\n"), REPLY_BAD_CODE},
    {S("250\tx\r\n"), REPLY_BAD_CODE},
    {S("25\r\n"), REPLY_BAD_CODE},
    {S("\r\n"), REPLY_BAD_CODE},
    {S("hello"), REPLY_BAD_CODE},
    {S("H"), REPLY_BAD_CODE},
    {S("\x16\x03\x01"), REPLY_BAD_CODE},
    {S("250-a\r\nfoo\r\n"), REPLY_BAD_CODE},
    {S("250-a\r\n 250 b\r\n"), REPLY_BAD_CODE},
    {S("250-a\r\n251 b\r\n"), REPLY_CODE_CHANGED},
    {S("250-a\r\n5"), REPLY_CODE_CHANGED},
    {S("250-a\r\n220 b\r\n"), REPLY_CODE_CHANGED},
    /* line ends are never repaired */
    {S("250 a\n"), REPLY_BARE_LF},
    {S("250\n"), REPLY_BARE_LF},
    {S("\n"), REPLY_BARE_LF},
    {S("250-a\n250 b\r\n"), REPLY_BARE_LF},
    {S("250 a\rb\r\n"), REPLY_BARE_CR},
    {S("250 a\r\r\n"), REPLY_BARE_CR},
    {S("250\rx"), REPLY_BARE_CR},
    {S("250 a\0b\r\n"), REPLY_NUL},
    {S("\0"), REPLY_NUL},
    {S("250\0"), REPLY_NUL},
};

static void check_row(const struct row *r, struct slice in)
{
	struct reply out;
	char text[REPLY_TEXT_MAX];

	assert_int_equal(reply_parse(in, &out), r->result);
	if (r->result <= 0)
		return;
	assert_int_equal(out.nlines, r->lines);
	assert_ptr_equal(out.raw.p, in.p);
	assert_int_equal(out.raw.n, r->result);
	assert_int_equal(out.code, (in.p[0] - '0') * 100 + (in.p[1] - '0') * 10 + in.p[2] - '0');
	assert_same_code(&out.enhanced, &r->enhanced);
	for (size_t i = 0; i < out.nlines; i++) {
		assert_true(out.line[i].p >= in.p);
		assert_true(out.line[i].p + out.line[i].n + 2 <= in.p + out.raw.n);
	}
	reply_to_text(&out, text, sizeof(text));
	assert_string_equal(text, r->text);
}

static void test_rows(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(row); i++)
		check_row(&row[i], guard_put(&g, row[i].in));
	guard_free(&g);
}

/* A shorter input gives 0 or what the whole gives. */
static void check_prefixes(struct guard *g, struct slice whole, int result)
{
	struct reply out;

	for (size_t n = 0; n <= whole.n; n++) {
		int part = reply_parse(guard_put(g, slice_first(whole, n)), &out);
		if (part != 0)
			assert_int_equal(part, result);
		if (result > 0)
			assert_int_equal(part != 0, n >= (size_t)result);
	}
}

static void test_prefixes(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(row); i++)
		check_prefixes(&g, row[i].in, row[i].result);
	guard_free(&g);
}

static void add_line(struct buf *b, const char *start, size_t text)
{
	buf_add_str(b, start);
	for (size_t i = 0; i < text; i++)
		buf_add_u8(b, 'x');
	buf_add_str(b, "\r\n");
}

/* A line of exactly the limit passes; one more is an error as soon as its CRLF cannot fit. */
static void test_line_limit(void **state)
{
	struct buf b;
	struct guard g;
	struct reply out;

	(void)state;
	guard_init(&g, 4096);
	buf_init(&b, 4096);
	add_line(&b, "250 ", REPLY_LINE_MAX - 6);
	check_prefixes(&g, buf_slice(&b), REPLY_LINE_MAX);
	assert_int_equal(reply_parse(buf_slice(&b), &out), REPLY_LINE_MAX);
	buf_reset(&b);
	add_line(&b, "250 ", REPLY_LINE_MAX - 5);
	check_prefixes(&g, buf_slice(&b), REPLY_LINE_TOO_LONG);
	assert_int_equal(reply_parse(slice_first(buf_slice(&b), REPLY_LINE_MAX - 2), &out), 0);
	assert_int_equal(reply_parse(slice_first(buf_slice(&b), REPLY_LINE_MAX - 1), &out),
			 REPLY_LINE_TOO_LONG);
	buf_reset(&b);
	add_line(&b, "250 ", 3000);
	assert_int_equal(reply_parse(slice_first(buf_slice(&b), 3000), &out), REPLY_LINE_TOO_LONG);
	buf_free(&b);
	guard_free(&g);
}

static void test_lines_limit(void **state)
{
	struct buf b;
	struct reply out;

	(void)state;
	buf_init(&b, 65536);
	for (size_t i = 1; i < REPLY_LINES_MAX; i++)
		add_line(&b, "250-", 1);
	size_t n = buf_len(&b);
	add_line(&b, "250 ", 1);
	assert_int_equal(reply_parse(buf_slice(&b), &out), buf_len(&b));
	assert_int_equal(out.nlines, REPLY_LINES_MAX);
	/* the hyphen of line 128 promises line 129 */
	b.p[b.start + n + 3] = '-';
	assert_int_equal(reply_parse(slice_first(buf_slice(&b), n + 3), &out), 0);
	assert_int_equal(reply_parse(slice_first(buf_slice(&b), n + 4), &out),
			 REPLY_TOO_MANY_LINES);
	buf_free(&b);
}

/* Fewer lines than the limit, each shorter than the limit, together too much. */
static void test_bytes_limit(void **state)
{
	struct buf b;
	struct reply out;

	(void)state;
	for (size_t over = 0; over <= 1; over++) {
		buf_init(&b, 2 * REPLY_BYTES_MAX);
		for (size_t i = 0; i < 63; i++)
			add_line(&b, "250-", 1024 - 6);
		add_line(&b, "250 ", 1024 - 6 + over);
		size_t n = buf_len(&b);
		assert_int_equal(n, REPLY_BYTES_MAX + over);
		assert_int_equal(reply_parse(buf_slice(&b), &out),
				 over ? REPLY_TOO_MANY_LINES : REPLY_BYTES_MAX);
		assert_int_equal(reply_parse(slice_first(buf_slice(&b), n - 1), &out), 0);
		buf_free(&b);
	}
}

static void test_text_room(void **state)
{
	struct reply out;
	char text[32];

	(void)state;
	assert_int_equal(reply_parse(SLICE_LIT("250 a\xc3\xbc"
					       "b\r\n"),
				     &out),
			 10);
	for (size_t room = 1; room < sizeof(text); room++) {
		memset(text, 'X', sizeof(text));
		reply_to_text(&out, text, room);
		assert_true(strlen(text) < room);
		/* no half character */
		assert_int_equal(strchr(text, '\xc3') != NULL, strchr(text, '\xbc') != NULL);
	}
	assert_string_equal(text, "250 a\xc3\xbc"
				  "b");
	reply_to_text(&out, NULL, 0);
}

static void test_enhanced(void **state)
{
	static const struct {
		const char *text;
		size_t used;
		struct enhanced_code code;
	} code_row[] = {
	    {"2.0.0 Ok", 5, {2, 0, 0}},
	    {"4.7.321", 7, {4, 7, 321}},
	    {"5.999.999 x", 9, {5, 999, 999}},
	    {"2.1.5\tx", 5, {2, 1, 5}},
	    {"", 0, {0}},
	    {"2", 0, {0}},
	    {"2.", 0, {0}},
	    {"2.0", 0, {0}},
	    {"2.0.", 0, {0}},
	    {"2.0.x", 0, {0}},
	    {"2..0", 0, {0}},
	    {"3.0.0", 0, {0}},
	    {"1.0.0", 0, {0}},
	    {"2.1000.0", 0, {0}},
	    {"2.0.1000", 0, {0}},
	    {"2.0.0.1", 0, {0}},
	    {"2.0.0-x", 0, {0}},
	    {"22.0.0", 0, {0}},
	    {" 2.0.0", 0, {0}},
	};
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(code_row); i++) {
		struct enhanced_code code = {9, 9, 9};
		struct slice in = guard_put(&g, slice_str(code_row[i].text));
		assert_int_equal(enhanced_code_parse(in, &code), code_row[i].used);
		assert_same_code(&code, &code_row[i].code);
	}
	guard_free(&g);
}

static void test_strerror(void **state)
{
	(void)state;
	for (int e = REPLY_NUL; e < 0; e++)
		assert_true(strlen(reply_strerror(e)) > 8);
	assert_string_equal(reply_strerror(0), "no error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),        cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_line_limit),  cmocka_unit_test(test_lines_limit),
	    cmocka_unit_test(test_bytes_limit), cmocka_unit_test(test_text_room),
	    cmocka_unit_test(test_enhanced),    cmocka_unit_test(test_strerror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
