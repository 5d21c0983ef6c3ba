/* SPDX-License-Identifier: MIT */
/* wire: ORCPT (RFC 3461 s4.2, RFC 6533 s3): one row for each way to write an address, or to hide
 * what is none. */
#include "wire/orcpt.h"

#include "guard.h"
#include "unit.h"

static const struct {
	struct slice in;
	bool smtputf8;
	const char *type, *address; /* NULL: refused */
} row[] = {
#define R(text, utf8, type, address)                                                               \
	{                                                                                          \
		{(const uint8_t *)(text), sizeof(text) - 1}, utf8, type, address                   \
	}
    R("rfc822;a@b.example", false, "rfc822", "a@b.example"),
    R("RFC822;a+2Btag@b.example", false, "RFC822", "a+tag@b.example"),
    R("x400;c+3Dde", false, "x400", "c=de"),
    R("rfc822;a+20b@c", false, "rfc822", "a b@c"),
    R("rfc822;gr+C3+BC@c", false, "rfc822", "gr\xc3\xbc@c"),
    R("utf-8;gr\\x{FC}@c", false, "utf-8", "gr\xc3\xbc@c"),
    R("utf-8;gr\\x{fc}+2Bx@c", false, "utf-8", "gr\xc3\xbc+x@c"),
    R("utf-8;gr\xc3\xbc@c", true, "utf-8", "gr\xc3\xbc@c"),
    R("utf-8;a+x@c", true, "utf-8", "a+x@c"),
    R("utf-8;a\\x{5C}b@c", true, "utf-8", "a\\b@c"),
    R("utf-8;\\x{1F4EB}@c", true, "utf-8", "\xf0\x9f\x93\xab@c"),
    R("utf-8;\\x{20AC}@c", true, "utf-8", "\xe2\x82\xac@c"),
    /* the form */
    R("", false, "", NULL),
    R("rfc822", false, "", NULL),
    R("rfc822;", false, "", NULL),
    R(";a@b", false, "", NULL),
    R("rfc 822;a@b", false, "", NULL),
    R("rfc822;a+2", false, "", NULL),
    R("rfc822;a+zz", false, "", NULL),
    R("rfc822;a=b", false, "", NULL),
    R("rfc822;\xc3\xbc@b", false, "", NULL),
    R("rfc822;\xc3\xbc@b", true, "", NULL),
    R("utf-8;\xc3\xbc@b", false, "", NULL),
    R("utf-8;a\\", true, "", NULL),
    R("utf-8;a\\x{", true, "", NULL),
    R("utf-8;a\\x{}@b", true, "", NULL),
    R("utf-8;a\\x{41", true, "", NULL),
    R("utf-8;a\\x{zz}@b", true, "", NULL),
    R("utf-8;a\\y{41}@b", true, "", NULL),
    R("utf-8;a\\x{0000041}@b", true, "", NULL),
    /* what an encoding may not carry either */
    R("rfc822;good@b+00evil", false, "", NULL),
    R("rfc822;+00", false, "", NULL),
    R("rfc822;a+0A@b", false, "", NULL),
    R("rfc822;a+0D+0Ab", false, "", NULL),
    R("rfc822;a+7F@b", false, "", NULL),
    R("rfc822;a+1B[2J@b", false, "", NULL),
    R("rfc822;a+C2+85@b", false, "", NULL),
    R("rfc822;a+E2+80+AE@b", false, "", NULL),
    R("rfc822;a+FF@b", false, "", NULL),
    R("x400;a+00b", false, "", NULL),
    R("utf-8;a\\x{0}@b", true, "", NULL),
    R("utf-8;a\\x{00}@b", false, "", NULL),
    R("utf-8;a+00@b", false, "", NULL),
    R("utf-8;a\\x{0A}@b", true, "", NULL),
    R("utf-8;a\\x{7F}@b", true, "", NULL),
    R("utf-8;a\\x{85}@b", true, "", NULL),
    R("utf-8;a\\x{202E}@b", true, "", NULL),
    R("utf-8;a\\x{D800}@b", true, "", NULL),
    R("utf-8;a\\x{D83D}\\x{DE00}@b", true, "", NULL),
    R("utf-8;a\\x{110000}@b", true, "", NULL),
    R("utf-8;a\\x{FFFFFF}@b", true, "", NULL),
    R("utf-8;e\\x{301}@b", true, "", NULL),
    R("utf-8;a\xc2\x9b@b", true, "", NULL),
#undef R
};

static void test_rows(void **state)
{
	struct guard g;

	(void)state;
	guard_init(&g, 512);
	for (size_t i = 0; i < ROWS(row); i++) {
		struct orcpt o;
		bool ok = orcpt_parse(guard_put(&g, row[i].in), row[i].smtputf8, &o);
		if (ok != (row[i].address != NULL))
			print_error("row %zu: %.*s\n", i, (int)row[i].in.n, row[i].in.p);
		assert_int_equal(ok, row[i].address != NULL);
		if (!ok)
			continue;
		assert_true(slice_eq_str(o.type, row[i].type));
		assert_true(slice_eq_str(slice_make(o.address, o.n), row[i].address));
	}
	guard_free(&g);
}

/* The longest one fits, one octet more does not. */
static void test_limit(void **state)
{
	char text[ORCPT_MAX + 1];
	struct orcpt o;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "rfc822;", 7);
	assert_true(orcpt_parse(slice_make(text, ORCPT_MAX), false, &o));
	assert_int_equal(o.n, ORCPT_MAX - 7);
	assert_false(orcpt_parse(slice_make(text, ORCPT_MAX + 1), false, &o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
					   cmocka_unit_test(test_limit)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
