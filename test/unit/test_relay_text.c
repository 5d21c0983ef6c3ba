/* SPDX-License-Identifier: MIT */
/* relay: what an intake notes of a text on its way: Received fields, octets above 0x7f, its size.
 */
#include "relay/intake_int.h"

#include "unit.h"

#include <unistd.h>

#define BODY "\r\nReceived: not a field any more\r\n"

static const struct {
	const char *text;
	unsigned received;
	bool eight_bit;
} row[] = {
    {"", 0, false},
    {"Subject: x\r\n\r\nbody\r\n", 0, false},
    {"Received: a\r\nReceived: b\r\n" BODY, 2, false},
    {"received:a\r\nRECEIVED : b\r\nReceivedX: c\r\n" BODY, 1, false},
    {"Received: a\r\n\tReceived: folded\r\nReceived:\r\n" BODY, 2, false},
    {"X-Received: a\r\n Received: b\r\n" BODY, 0, false},
    {"X-A-Long-Line-That-Ends-In: Received:\r\n" BODY, 0, false},
    {BODY "Received: c\r\n", 0, false},
    {"Subject: \xc3\xbc\r\n" BODY, 0, true},
    {"Received: a\r\n" BODY "\x80", 1, true},
    {"Subject: x\r\n\r\n\xff", 0, true},
    {"a\x7f", 0, false},
};

static void check(size_t i, const struct mailtext *t)
{
	if (t->received != row[i].received || t->eight_bit != row[i].eight_bit ||
	    t->size != strlen(row[i].text) || !slice_eq_str(buf_slice(&t->small), row[i].text))
		fail_msg("row %zu: %u Received fields, eight bit: %d", i, t->received,
			 t->eight_bit);
}

static void test_rows_at_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct slice text = slice_str(row[i].text);
		for (size_t cut = 0; cut <= text.n; cut++) {
			struct mailtext t;
			mailtext_init(&t);
			assert_true(mailtext_add(&t, slice_first(text, cut)));
			assert_true(mailtext_add(&t, slice_from(text, cut)));
			check(i, &t);
			mailtext_free(&t);
		}
	}
}

static void test_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mailtext t;
		mailtext_init(&t);
		for (const char *c = row[i].text; *c != '\0'; c++)
			assert_true(mailtext_add(&t, slice_make(c, 1)));
		check(i, &t);
		mailtext_free(&t);
	}
}

/* What does not fit the memory goes to a file, whole and in order. */
static void test_file(void **state)
{
	enum { PIECE = 1000 };
	struct mailtext t;
	char piece[PIECE], back[PIECE];
	(void)state;
	mailtext_init(&t);
	size_t n = MAIL_INLINE_MAX / PIECE + 2;
	for (size_t i = 0; i < n; i++) {
		memset(piece, 'a' + (int)(i % 26), sizeof(piece));
		assert_true(mailtext_add(&t, slice_make(piece, sizeof(piece))));
	}
	assert_true(t.fd >= 0);
	assert_int_equal(t.size, n * PIECE);
	for (size_t i = 0; i < n; i++) {
		memset(piece, 'a' + (int)(i % 26), sizeof(piece));
		assert_int_equal(pread(t.fd, back, PIECE, (off_t)(i * PIECE)), PIECE);
		assert_memory_equal(back, piece, PIECE);
	}
	mailtext_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows_at_every_cut),
	    cmocka_unit_test(test_octet_by_octet),
	    cmocka_unit_test(test_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
