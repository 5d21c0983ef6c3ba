/* SPDX-License-Identifier: MIT */
/* wire: line ends and dots as streams: the same octets whatever the chunks. */
#include "wire/dotstuff.h"

#include "guard.h"
#include "unit.h"

#define S(text)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

static const struct fix_row {
	struct slice in;
	enum linefix_error error; /* of feeding and ending together */
	const char *out;
	uint64_t read, line, longest;
	bool eight_bit, header_eight_bit;
} fix_row[] = {
    {S(""), LINEFIX_OK, "", 0, 1, 0},
    {S("\n"), LINEFIX_OK, "\r\n", 1, 2, 0},
    {S("\r\n"), LINEFIX_OK, "\r\n", 2, 2, 0},
    {S("a"), LINEFIX_OK, "a\r\n", 1, 1, 1},
    {S("a\n"), LINEFIX_OK, "a\r\n", 2, 2, 1},
    {S("a\r\nbc\n\nd"), LINEFIX_OK, "a\r\nbc\r\n\r\nd\r\n", 8, 4, 2},
    {S(".\n..\n"), LINEFIX_OK, ".\r\n..\r\n", 5, 3, 2},
    {S("S: x\n\n\xc3\xbc\n"), LINEFIX_OK, "S: x\r\n\r\n\xc3\xbc\r\n", 9, 4, 4, true, false},
    {S("S: \xc3\xbc\n\nx\n"), LINEFIX_OK, "S: \xc3\xbc\r\n\r\nx\r\n", 9, 4, 5, true, true},
    {S("S: \xc3\xbc"), LINEFIX_OK, "S: \xc3\xbc\r\n", 5, 1, 5, true, true},
    {S("S: x\r\n\r\n\xff"), LINEFIX_OK, "S: x\r\n\r\n\xff\r\n", 9, 3, 4, true, false},
    {S("\n\xff\n"), LINEFIX_OK, "\r\n\xff\r\n", 3, 3, 1, true, false},
    {S("\r"), LINEFIX_BARE_CR, NULL, 1, 1, 0},
    {S("a\rb"), LINEFIX_BARE_CR, NULL, 2, 1, 1},
    {S("a\n\r\r\n"), LINEFIX_BARE_CR, NULL, 3, 2, 1},
    {S("a\r"), LINEFIX_BARE_CR, NULL, 2, 1, 1},
    {S("a\r\0"), LINEFIX_BARE_CR, NULL, 2, 1, 1},
    {S("\n.\r.\n"), LINEFIX_BARE_CR, NULL, 3, 2, 1},
    {S("a\nb\0c"), LINEFIX_NUL, NULL, 3, 2, 1},
    {S("\0"), LINEFIX_NUL, NULL, 0, 1, 0},
};

/* Feeds the chunks that `cuts` makes (bit k: a border before octet k) and ends the text. */
static enum linefix_error fix(struct guard *g, struct slice in, uint64_t cuts, struct linefix *l,
			      struct buf *out)
{
	enum linefix_error e = LINEFIX_OK;
	size_t from = 0;

	linefix_init(l);
	for (size_t k = 1; k <= in.n && e == LINEFIX_OK; k++) {
		if (k < in.n && (cuts >> k & 1) == 0)
			continue;
		e = linefix_feed(l, guard_put(g, slice_first(slice_from(in, from), k - from)), out);
		from = k;
	}
	return e == LINEFIX_OK ? linefix_end(l, out) : e;
}

static void check_fix(const struct fix_row *r, const struct linefix *l, struct buf *out)
{
	assert_int_equal(l->in, r->read);
	assert_int_equal(l->line, r->line);
	assert_int_equal(l->longest, r->longest);
	if (r->out == NULL)
		return;
	assert_string_equal(buf_cstr(out), r->out);
	assert_int_equal(l->eight_bit, r->eight_bit);
	assert_int_equal(l->header_eight_bit, r->header_eight_bit);
}

/* Every way to cut the input into chunks. */
static void test_linefix(void **state)
{
	struct guard g;
	struct buf out;
	struct linefix l;

	(void)state;
	guard_init(&g, 64);
	buf_init(&out, 64);
	for (size_t i = 0; i < ROWS(fix_row); i++) {
		struct slice in = fix_row[i].in;
		for (uint64_t cuts = 0; cuts < UINT64_C(2) << in.n; cuts += 2) {
			buf_reset(&out);
			assert_int_equal(fix(&g, in, cuts, &l, &out), fix_row[i].error);
			check_fix(&fix_row[i], &l, &out);
		}
	}
	buf_free(&out);
	guard_free(&g);
}

static void test_linefix_room(void **state)
{
	struct buf out;
	struct linefix l;

	(void)state;
	for (size_t room = 0; room <= 4; room++) {
		buf_init(&out, room);
		linefix_init(&l);
		enum linefix_error e = linefix_feed(&l, SLICE_LIT("a\nb"), &out);
		if (e == LINEFIX_OK)
			e = linefix_end(&l, &out);
		assert_int_equal(e, LINEFIX_NO_ROOM);
		buf_free(&out);
	}
}

static const struct {
	struct slice in;
	const char *out; /* NULL: refused */
} stuff_row[] = {
    {S(""), ".\r\n"},
    {S("a\r\n"), "a\r\n.\r\n"},
    {S("a"), "a\r\n.\r\n"},
    {S("."), "..\r\n.\r\n"},
    {S(".\r\n"), "..\r\n.\r\n"},
    {S("..\r\n"), "...\r\n.\r\n"},
    {S("a.\r\n.b\r\n"), "a.\r\n..b\r\n.\r\n"},
    {S("\r\n.\r\n\r\n"), "\r\n..\r\n\r\n.\r\n"},
    {S("a\r\n.\r\nQUIT\r\n"), "a\r\n..\r\nQUIT\r\n.\r\n"},
    {S("a\n.\r\n"), NULL},
    {S("a\n"), NULL},
    {S("\n"), NULL},
    {S("a\r.\r\n"), NULL},
    {S("a\r\r\n"), NULL},
    {S("a\r"), NULL},
    {S("a\0\r\n"), NULL},
};

static void test_dotstuff(void **state)
{
	struct guard g;
	struct buf out;

	(void)state;
	guard_init(&g, 64);
	buf_init(&out, 64);
	for (size_t i = 0; i < ROWS(stuff_row); i++) {
		struct slice in = stuff_row[i].in;
		for (uint64_t cuts = 0; cuts < UINT64_C(2) << in.n; cuts += 2) {
			struct dotstuff d;
			size_t from = 0;
			buf_reset(&out);
			dotstuff_init(&d);
			for (size_t k = 1; k <= in.n; k++) {
				if (k < in.n && (cuts >> k & 1) == 0)
					continue;
				struct slice part = slice_first(slice_from(in, from), k - from);
				dotstuff_feed(&d, guard_put(&g, part), &out);
				from = k;
			}
			dotstuff_end(&d, &out);
			assert_int_equal(buf_ok(&out), stuff_row[i].out != NULL);
			if (stuff_row[i].out != NULL)
				assert_string_equal(buf_cstr(&out), stuff_row[i].out);
		}
	}
	buf_free(&out);
	guard_free(&g);
}

/* ---- against a naive reference: what the receiver makes of it is what was sent ---- */

/* The lines of local text as CRLF text, false if it may not be sent. */
static bool naive_fix(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		bool crlf = in.p[i] == '\r' && i + 1 < in.n && in.p[i + 1] == '\n';
		if (in.p[i] == '\0' || (in.p[i] == '\r' && !crlf))
			return false;
		if (crlf)
			continue;
		if (in.p[i] == '\n')
			buf_add_u8(out, '\r');
		buf_add_u8(out, in.p[i]);
	}
	if (in.n > 0 && in.p[in.n - 1] != '\n')
		buf_add_str(out, "\r\n");
	return true;
}

/* What a server keeps of DATA: up to CRLF.CRLF, a dot at the start of a line removed. */
static bool naive_unstuff(struct slice in, struct buf *out)
{
	while (in.n > 0) {
		const uint8_t *end = memmem(in.p, in.n, "\r\n", 2);
		if (end == NULL)
			return false;
		struct slice line = slice_first(in, (size_t)(end - in.p) + 2);
		in = slice_from(in, line.n);
		if (slice_eq_str(line, ".\r\n"))
			return in.n == 0;
		buf_add_slice(out, slice_from(line, line.p[0] == '.' ? 1 : 0));
	}
	return false;
}

/* All texts of up to 7 octets over the five octets that matter. */
static void test_round_trip(void **state)
{
	static const uint8_t alphabet[] = {'\r', '\n', '.', 'a', '\0'};
	struct buf want, fixed, data, got;
	uint8_t text[7];

	(void)state;
	buf_init(&want, 64);
	buf_init(&fixed, 64);
	buf_init(&data, 64);
	buf_init(&got, 64);
	for (unsigned long code = 0; code < 8UL * 78125; code++) {
		size_t n = code % 8;
		unsigned long digits = code / 8;
		for (size_t i = 0; i < n; i++, digits /= 5)
			text[i] = alphabet[digits % 5];
		struct linefix l;
		struct dotstuff d;
		buf_reset(&want);
		buf_reset(&fixed);
		buf_reset(&data);
		buf_reset(&got);
		linefix_init(&l);
		dotstuff_init(&d);
		bool good = naive_fix(slice_make(text, n), &want);
		enum linefix_error e = linefix_feed(&l, slice_make(text, n), &fixed);
		if (e == LINEFIX_OK)
			e = linefix_end(&l, &fixed);
		assert_int_equal(e == LINEFIX_OK, good);
		if (!good)
			continue;
		assert_true(slice_eq(buf_slice(&fixed), buf_slice(&want)));
		dotstuff_feed(&d, buf_slice(&fixed), &data);
		dotstuff_end(&d, &data);
		assert_true(naive_unstuff(buf_slice(&data), &got));
		assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
	}
	buf_free(&want);
	buf_free(&fixed);
	buf_free(&data);
	buf_free(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_linefix),
	    cmocka_unit_test(test_linefix_room),
	    cmocka_unit_test(test_dotstuff),
	    cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
