/* SPDX-License-Identifier: MIT */
/* wire: what a server reads: command lines, paths, parameters, xtext, base64. */
#include "guard.h"
#include "unit.h"

#include "base/buf.h"
#include "wire/base64.h"
#include "wire/cmdline.h"
#include "wire/xtext.h"

#define S(text)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

enum { LINE_MAX_HERE = 16 };

static const struct {
	struct slice in;
	int result;
	const char *verb, *args;
} line_row[] = {
    {S(""), 0},
    {S("QUIT"), 0},
    {S("QUIT\r"), 0},
    {S("QUIT\r\n"), 6, "QUIT", ""},
    {S("\r\n"), 2, "", ""},
    {S("NOOP  a b \t\r\nX"), 13, "NOOP", "a b"},
    {S("\tX y\r\n"), 6, "", "X y"},
    {S("A\tb\r\n"), 5, "A", "b"},
    {S("QUIT\n"), CMDLINE_BARE_LF},
    {S("\n"), CMDLINE_BARE_LF},
    {S("QUIT\rX"), CMDLINE_BARE_CR},
    {S("QUIT\r\r\n"), CMDLINE_BARE_CR},
    {S("QUIT\r\0\n"), CMDLINE_BARE_CR},
    {S("QU\0IT\r\n"), CMDLINE_NUL},
    {S("0123456789abcd\r\n"), 16, "0123456789abcd", ""},
    {S("0123456789abcde\r\n"), CMDLINE_TOO_LONG},
    {S("0123456789abcdef"), CMDLINE_TOO_LONG},
    {S("0123456789abcde\r"), CMDLINE_TOO_LONG},
};

static bool same(struct slice s, const char *want)
{
	return slice_eq_str(s, want != NULL ? want : "");
}

/* The shorter the input, the less is known; what is known stays. */
static void test_line(void **state)
{
	struct guard g;
	struct cmdline c;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(line_row); i++) {
		struct slice in = line_row[i].in;
		bool known = false;
		for (size_t n = 0; n <= in.n; n++) {
			int result =
			    cmdline_parse(guard_put(&g, slice_first(in, n)), LINE_MAX_HERE, &c);
			assert_true(result == line_row[i].result || (!known && result == 0));
			known = result != 0;
		}
		int result = cmdline_parse(guard_put(&g, in), LINE_MAX_HERE, &c);
		assert_int_equal(result, line_row[i].result);
		if (result > 0)
			assert_true(same(c.verb, line_row[i].verb) &&
				    same(c.args, line_row[i].args));
	}
	guard_free(&g);
}

static const struct {
	const char *in;
	int result;
	const char *mailbox;
} path_row[] = {
    {"", PATH_NO_BRACKETS},
    {"a@b", PATH_NO_BRACKETS},
    {" <a@b>", PATH_NO_BRACKETS},
    {"<", PATH_NO_BRACKETS},
    {"<a@b", PATH_NO_BRACKETS},
    {"<\"a>@b", PATH_NO_BRACKETS},
    {"<\"a\\\"@b>", PATH_NO_BRACKETS},
    {"<\"a\\", PATH_NO_BRACKETS},
    {"<>", 2, ""},
    {"<a@b>", 5, "a@b"},
    {"<a@b> SIZE=1", 5, "a@b"},
    {"<a@b><c@d>", 5, "a@b"},
    {"<\"a>b\"@c>", 9, "\"a>b\"@c"},
    {"<\"a\\\">\"@c>", 10, "\"a\\\">\"@c"},
    {"<Postmaster>", 12, "Postmaster"},
    {"<root>", PATH_BAD_MAILBOX},
    {"<a@[127.0.0.1]>", 15, "a@[127.0.0.1]"},
    {"< a@b>", PATH_BAD_MAILBOX},
    {"<<a@b>>", PATH_BAD_MAILBOX},
    {"<@x:a@b>", 8, "a@b"},
    {"<@x,@y.z:a@b>", 13, "a@b"},
    {"<@x,y:a@b>", PATH_BAD_ROUTE},
    {"<@:a@b>", PATH_BAD_ROUTE},
    {"<@x a@b>", PATH_BAD_ROUTE},
    {"<:a@b>", PATH_BAD_MAILBOX},
    {"<@x:>", PATH_BAD_MAILBOX},
    {"<@x:postmaster>", 15, "postmaster"},
};

static void test_path(void **state)
{
	struct guard g;
	struct path p;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(path_row); i++) {
		struct slice in = guard_put(&g, slice_str(path_row[i].in));
		if (path_parse(in, &p) != path_row[i].result)
			fail_msg("%s", path_row[i].in);
		if (path_row[i].result > 0)
			assert_true(same(p.mailbox, path_row[i].mailbox));
		assert_int_equal(p.null, slice_eq_str(in, "<>"));
	}
	guard_free(&g);
}

static const struct {
	struct slice in;
	const char *out; /* "KEY=value;KEY;" and "!" for malformed */
} param_row[] = {
    {S(""), ""},         {S("  "), ""},
    {S(" A"), "A;"},     {S(" A=1 B  C-2=x"), "A=1;B;C-2=x;"},
    {S("A"), "!"},       {S(" A="), "!"},
    {S(" =1"), "!"},     {S(" -A=1"), "!"},
    {S(" A=1=2"), "!"},  {S(" A B=\x7f"), "A;!"},
    {S(" A\tB"), "!"},   {S(" A=\xc3\xbc"), "A=\xc3\xbc;"},
    {S(" A=\xc3"), "!"}, {S(" <x>"), "!"},
};

static void test_param(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(param_row); i++) {
		struct slice rest = guard_put(&g, param_row[i].in);
		struct buf out;
		struct param p;
		int n;
		buf_init(&out, 64);
		while ((n = param_next(&rest, &p)) > 0) {
			buf_add_slice(&out, p.keyword);
			buf_add_str(&out, p.has_value ? "=" : "");
			buf_add_slice(&out, p.value);
			buf_add_str(&out, ";");
		}
		buf_add_str(&out, n < 0 ? "!" : "");
		assert_string_equal(buf_cstr(&out), param_row[i].out);
		buf_free(&out);
	}
	guard_free(&g);
}

typedef bool decoder(struct slice text, uint8_t *out, size_t room, size_t *n);

static const struct {
	decoder *decode;
	const char *in;
	const char *out; /* NULL: refused */
} decode_row[] = {
    {xtext_decode, "", ""},
    {xtext_decode, "abc", "abc"},
    {xtext_decode, "a+2Bb+3D", "a+b="},
    {xtext_decode, "+20", " "},
    {xtext_decode, "+2b", NULL},
    {xtext_decode, "+2", NULL},
    {xtext_decode, "+", NULL},
    {xtext_decode, "a=b", NULL},
    {xtext_decode, "a b", NULL},
    {xtext_decode, "\xc3\xbc", NULL},
    {base64_decode, "", ""},
    {base64_decode, "YQ==", "a"},
    {base64_decode, "YWI=", "ab"},
    {base64_decode, "YWJj", "abc"},
    {base64_decode, "YWJjZA==", "abcd"},
    {base64_decode, "/+//", "\xff\xef\xff"},
    {base64_decode, "YR==", NULL}, /* bits behind the end */
    {base64_decode, "YWJ=", NULL},
    {base64_decode, "YQ=", NULL},
    {base64_decode, "YQ", NULL},
    {base64_decode, "Y===", NULL},
    {base64_decode, "====", NULL},
    {base64_decode, "=", NULL},
    {base64_decode, "YQ==YQ==", NULL},
    {base64_decode, "Y Q=", NULL},
    {base64_decode, "YQ-_", NULL},
    {base64_decode, "YQ=a", NULL},
};

/* Whatever can be decoded is how we write it. */
static void test_base64_encode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(decode_row); i++) {
		char out[64];
		if (decode_row[i].decode != base64_decode || decode_row[i].out == NULL)
			continue;
		struct slice octets = slice_str(decode_row[i].out);
		assert_int_equal(BASE64_LEN(octets.n), strlen(decode_row[i].in));
		base64_encode(octets, out);
		assert_string_equal(out, decode_row[i].in);
	}
}

/* Room to the octet: one less is refused. */
static void test_decode(void **state)
{
	struct guard g;
	uint8_t out[64];
	size_t n;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < ROWS(decode_row); i++) {
		const char *want = decode_row[i].out;
		struct slice in = guard_put(&g, slice_str(decode_row[i].in));
		size_t room = want != NULL ? strlen(want) : sizeof(out);
		if (decode_row[i].decode(in, out, room, &n) != (want != NULL))
			fail_msg("%s", decode_row[i].in);
		if (want == NULL)
			continue;
		assert_true(slice_eq_str(slice_make(out, n), want));
		assert_true(room == 0 || !decode_row[i].decode(in, out, room - 1, &n));
	}
	guard_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_line),          cmocka_unit_test(test_path),
	    cmocka_unit_test(test_param),         cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_base64_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
