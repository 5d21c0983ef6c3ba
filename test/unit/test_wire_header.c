/* SPDX-License-Identifier: MIT */
/* wire: header fields and address lists, whole, in pieces and hostile (RFC 5322 s2.2, s3.4, s4.4).
 */
#include "wire/header.h"

#include "guard.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define S(text)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

/* --- Fields --- */

static const struct field_row {
	struct slice in;
	int result; /* octets of the field, 0, or the error */
	const char *name, *body;
} field_rows[] = {
    {S("To: a@b\r\nX"), 9, "To", " a@b"},
    {S("To:\r\nX"), 5, "To", ""},
    {S("To \t: x\r\nX"), 9, "To", " x"},
    {S("To: a,\r\n b,\r\n\tc\r\n\r\n"), 17, "To", " a,\r\n b,\r\n\tc"},
    {S("A:b:c\r\n\r\n"), 7, "A", "b:c"},
    {S("Subject: \xc3\xbc\r\n\r\n"), 13, "Subject", " \xc3\xbc"},
    /* more is needed */
    {S(""), 0},
    {S("\r"), 0},
    {S("T"), 0},
    {S("To "), 0},
    {S("To:"), 0},
    {S("To: a\r"), 0},
    {S("To: a\r\n"), 0},
    {S("To: a\r\n b\r\n"), 0},
    /* the body begins */
    {S("\r\n"), HEADER_BLANK_LINE},
    {S("\r\nTo: a\r\n"), HEADER_BLANK_LINE},
    {S("hello world\r\n"), HEADER_NOT_A_FIELD},
    {S("From me Mon Jan  1 00:00:00 2026\r\n"), HEADER_NOT_A_FIELD},
    {S(": x\r\n"), HEADER_NOT_A_FIELD},
    {S(" : x\r\n"), HEADER_NOT_A_FIELD},
    {S(" folded\r\n"), HEADER_NOT_A_FIELD},
    {S(" "), HEADER_NOT_A_FIELD},
    {S("\t\t"), HEADER_NOT_A_FIELD},
    {S("T\xc3\xb6: x\r\n"), HEADER_NOT_A_FIELD},
    {S("T\0: x\r\n"), HEADER_NOT_A_FIELD},
    {S("word\r\n"), HEADER_NOT_A_FIELD},
    /* damage */
    {S("To: a\rb\r\n\r\n"), HEADER_BARE_CR},
    {S("To: a\nb\r\n\r\n"), HEADER_BARE_LF},
    {S("To: a\0b\r\n\r\n"), HEADER_NUL},
};

static void fields(void **state)
{
	struct guard g;
	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(field_rows); i++) {
		const struct field_row *r = &field_rows[i];
		struct header_field f;
		struct slice in = guard_put(&g, r->in);
		int got = header_field_parse(in, &f);
		if (got != r->result)
			fail_msg("row %zu: %d, not %d", i, got, r->result);
		if (got <= 0)
			continue;
		assert_true(slice_eq_str(f.name, r->name));
		assert_true(slice_eq_str(f.body, r->body));
		assert_int_equal(f.raw.n, got);
	}
	guard_free(&g);
}

/* Until the octet behind the field is there, "more"; from then on the same. */
static void fields_at_every_split(void **state)
{
	struct guard g;
	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(field_rows); i++) {
		const struct field_row *r = &field_rows[i];
		for (size_t n = 0; n <= r->in.n && r->result > 0; n++) {
			struct header_field f;
			int got = header_field_parse(guard_put(&g, slice_first(r->in, n)), &f);
			assert_int_equal(got, n > (size_t)r->result ? r->result : 0);
		}
	}
	guard_free(&g);
}

static void field_without_end(void **state)
{
	static uint8_t text[HEADER_FIELD_MAX + 100];
	struct header_field f;
	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(header_field_parse(slice_make(text, sizeof(text)), &f),
			 HEADER_NOT_A_FIELD);
	text[1] = ':';
	assert_int_equal(header_field_parse(slice_make(text, sizeof(text)), &f), HEADER_TOO_LONG);
	assert_string_not_equal(header_strerror(HEADER_TOO_LONG), header_strerror(0));
}

/* --- Addresses --- */

static const struct list_row {
	struct slice in;
	int end;          /* 0, or the error */
	const char *want; /* addresses before the end, each with a "|" behind it */
} list_rows[] = {
    {S(""), 0, ""},
    {S("a@b.test"), 0, "a@b.test|"},
    {S(" a@b.test , c@d.test "), 0, "a@b.test|c@d.test|"},
    {S("root"), 0, "root|"},
    {S("root, a@b"), 0, "root|a@b|"},
    {S("John <j@x.test>"), 0, "j@x.test|"},
    {S("John Q. Public <j@x.test>"), 0, "j@x.test|"},
    {S("\"Public, John\" <j@x.test>, b@c"), 0, "j@x.test|b@c|"},
    {S("j@x.test <j@x.test>"), 0, "j@x.test|"},
    {S("<j@x.test>"), 0, "j@x.test|"},
    {S("=?UTF-8?Q?a=2C_b?= =?UTF-8?B?w7w=?= <z@z.test>"), 0, "z@z.test|"},
    {S("\xc3\xbc <\xc3\xbc@z.test>"), 0, "\xc3\xbc@z.test|"},
    {S("o'neil+x/y=z@x.test"), 0, "o'neil+x/y=z@x.test|"},
    {S("u@[192.0.2.1]"), 0, "u@[192.0.2.1]|"},
    {S("u@[IPv6:2001:db8::1], v"), 0, "u@[IPv6:2001:db8::1]|v|"},
    /* comments and blanks within */
    {S("a@b (John)"), 0, "a@b|"},
    {S("(x) a (y) @ (z) b (w) . (v) c (u)"), 0, "a@b.c|"},
    {S("a@b (one (two, <x@y>) \\) three), c@d"), 0, "a@b|c@d|"},
    {S("a@b,\r\n c@d,\r\n\te@f"), 0, "a@b|c@d|e@f|"},
    {S("J\r\n <\r\n a@b\r\n >"), 0, "a@b|"},
    {S("(only a comment)"), 0, ""},
    /* quoted local parts */
    {S("\"a b\"@c"), 0, "\"a b\"@c|"},
    {S("\"a\\\"b, c\"@d"), 0, "\"a\\\"b, c\"@d|"},
    {S("\"a\r\n b\"@d"), 0, "\"a b\"@d|"},
    {S("\"\"@d"), 0, "\"\"@d|"},
    /* groups */
    {S("undisclosed-recipients:;"), 0, ""},
    {S("undisclosed-recipients: ;"), 0, ""},
    {S("A Group:a@b,John <c@d>;"), 0, "a@b|c@d|"},
    {S("x@y, G:a@b;, c@d"), 0, "x@y|a@b|c@d|"},
    {S("G:a@b; c@d"), 0, "a@b|c@d|"},
    {S("G:,;,H:a@b;"), 0, "a@b|"},
    {S("\"A, B\": a@b (x);"), 0, "a@b|"},
    /* obsolete: empty elements, routes */
    {S(",,a@b,,c@d,"), 0, "a@b|c@d|"},
    {S(", (x) ,"), 0, ""},
    {S("<@r.test:a@b>"), 0, "a@b|"},
    {S("J <@r,@s:a@b>, c@d"), 0, "a@b|c@d|"},
    {S("<,@r,,@s:a@b>"), 0, "a@b|"},
    /* not for us to judge */
    {S("a@b@c"), 0, "a@b@c|"},
    {S("@b"), 0, "@b|"},
    {S("a..b@c"), 0, "a..b@c|"},
    /* errors, and what came before them */
    {S("a@b, John Smith, c@d"), ADDRESS_LIST_PHRASE, "a@b|"},
    {S("a@b c@d"), ADDRESS_LIST_PHRASE, ""},
    {S("\"a\"b@c"), ADDRESS_LIST_PHRASE, ""},
    {S("u@[1]x"), ADDRESS_LIST_PHRASE, ""},
    {S("<>"), ADDRESS_LIST_EMPTY, ""},
    {S("a@b, J < (x) >"), ADDRESS_LIST_EMPTY, "a@b|"},
    {S("<@r:>"), ADDRESS_LIST_EMPTY, ""},
    {S("<a@b> c"), ADDRESS_LIST_BEHIND, ""},
    {S("<a@b> c@d, e@f"), ADDRESS_LIST_BEHIND, ""},
    {S("<a@b> <c@d>"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("<a@b> (c"), ADDRESS_LIST_UNCLOSED, ""},
    {S("<a@b\1>"), ADDRESS_LIST_CONTROL, ""},
    {S("<a@b> (\1)"), ADDRESS_LIST_CONTROL, ""},
    {S("<a@b> \"c"), ADDRESS_LIST_UNCLOSED, ""},
    {S("e@f, <a@b> (c"), ADDRESS_LIST_UNCLOSED, "e@f|"},
    {S("<a@b"), ADDRESS_LIST_UNCLOSED, ""},
    {S("<a@b, c@d>"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("<,a@b>"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("<x:a@b>"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("<@r,a@b>"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("<<a@b>>"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("a@b>"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("a@b;"), ADDRESS_LIST_UNEXPECTED, ""},
    {S(":a@b;"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("G:H:a@b;;"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("G:a@b"), ADDRESS_LIST_UNCLOSED, ""},
    {S("G:a@b, c@d"), ADDRESS_LIST_UNCLOSED, "a@b|"},
    {S("\\a@b"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("a@b]"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("a@b)"), ADDRESS_LIST_UNEXPECTED, ""},
    {S("(a@b"), ADDRESS_LIST_UNCLOSED, ""},
    {S("(a\\"), ADDRESS_LIST_UNCLOSED, ""},
    {S("\"a@b"), ADDRESS_LIST_UNCLOSED, ""},
    {S("\"a\\"), ADDRESS_LIST_UNCLOSED, ""},
    {S("a@[b"), ADDRESS_LIST_UNCLOSED, ""},
    {S("a@b\r\nRCPT"), ADDRESS_LIST_CONTROL, ""},
    {S("a@b\r"), ADDRESS_LIST_CONTROL, ""},
    {S("a@b\r\n"), ADDRESS_LIST_CONTROL, ""},
    {S("a@b\n"), ADDRESS_LIST_CONTROL, ""},
    {S("a\0@b"), ADDRESS_LIST_CONTROL, ""},
    {S("\"a\0\"@b"), ADDRESS_LIST_CONTROL, ""},
    {S("\"a\\\r\"@b"), ADDRESS_LIST_CONTROL, ""},
    {S("(\x01) a@b"), ADDRESS_LIST_CONTROL, ""},
    {S("\x7f"), ADDRESS_LIST_CONTROL, ""},
};

static int read_list(struct slice in, char *out, size_t room)
{
	struct address_list l = {.rest = in};
	char address[HEADER_ADDRESS_MAX];
	size_t n = 0;
	int got;
	out[0] = '\0';
	while ((got = address_list_next(&l, address)) == 1)
		n += (size_t)snprintf(out + n, room - n, "%s|", address);
	return got;
}

static void lists(void **state)
{
	struct guard g;
	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(list_rows); i++) {
		const struct list_row *r = &list_rows[i];
		char text[512];
		int got = read_list(guard_put(&g, r->in), text, sizeof(text));
		if (got != r->end || strcmp(text, r->want) != 0)
			fail_msg("row %zu: '%.*s': %d (%s), '%s'", i, (int)r->in.n,
				 (const char *)r->in.p, got, address_list_strerror(got), text);
	}
	guard_free(&g);
}

/* Every beginning of every row ends at a guard page, and ends. */
static void lists_at_every_split(void **state)
{
	struct guard g;
	(void)state;
	guard_init(&g, 256);
	for (size_t i = 0; i < ROWS(list_rows); i++) {
		for (size_t n = 0; n <= list_rows[i].in.n; n++) {
			char text[512];
			int got = read_list(guard_put(&g, slice_first(list_rows[i].in, n)), text,
					    sizeof(text));
			assert_in_range(-got, 0, -ADDRESS_LIST_TOO_LONG);
		}
	}
	guard_free(&g);
}

static void longest_address(void **state)
{
	uint8_t text[HEADER_ADDRESS_MAX + 2];
	char out[HEADER_ADDRESS_MAX];
	(void)state;
	memset(text, 'a', sizeof(text));
	struct address_list l = {.rest = slice_make(text, HEADER_ADDRESS_MAX - 1)};
	assert_int_equal(address_list_next(&l, out), 1);
	assert_int_equal(strlen(out), HEADER_ADDRESS_MAX - 1);
	l.rest = slice_make(text, HEADER_ADDRESS_MAX);
	assert_int_equal(address_list_next(&l, out), ADDRESS_LIST_TOO_LONG);
	/* a display name may be of any length */
	text[HEADER_ADDRESS_MAX - 2] = '<';
	text[HEADER_ADDRESS_MAX + 1] = '>';
	l.rest = slice_make(text, sizeof(text));
	assert_int_equal(address_list_next(&l, out), 1);
	assert_string_equal(out, "aa");
}

/* Depth costs nothing: no recursion. */
static void deep_comments(void **state)
{
	static uint8_t text[200000];
	char out[HEADER_ADDRESS_MAX];
	(void)state;
	memset(text, '(', sizeof(text));
	struct address_list l = {.rest = slice_make(text, sizeof(text))};
	assert_int_equal(address_list_next(&l, out), ADDRESS_LIST_UNCLOSED);
	memset(text + sizeof(text) / 2, ')', sizeof(text) / 2);
	l.rest = slice_make(text, sizeof(text));
	assert_int_equal(address_list_next(&l, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields),
	    cmocka_unit_test(fields_at_every_split),
	    cmocka_unit_test(field_without_end),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(lists_at_every_split),
	    cmocka_unit_test(longest_address),
	    cmocka_unit_test(deep_comments),
	};
	return cmocka_run_group_tests_name("wire_header", tests, NULL, NULL);
}
