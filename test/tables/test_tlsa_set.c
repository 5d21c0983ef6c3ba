/* SPDX-License-Identifier: MIT */
/* Which TLSA records count (T1, T2, T9; RFC 7671 s9, RFC 7672 s3.1). */
#include "table.h"

#include "base/buf.h"
#include "dane/tlsaset.h"

enum { RECORDS_MAX = 6 };

struct set_row {
	const char *rule;
	const char *records;
	enum tlsa_use use[RECORDS_MAX];
	size_t usable;
	bool unknown;
};

static const struct set_row usability[] = {
    {"RFC 7672 s3.1.1: DANE-EE(3) SPKI(1) SHA2-256(1)", "secure 3 1 1 aa*32", {TLSA_COUNTS}, 1},
    {"RFC 7672 s3.1.2: DANE-TA(2) Cert(0) SHA2-256(1)", "secure 2 0 1 aa*32", {TLSA_COUNTS}, 1},
    {"RFC 6698 s2.1.3: SHA2-512(2)", "secure 3 1 2 aa*64", {TLSA_COUNTS}, 1},
    {"RFC 6698 s2.1.3: Full(0)", "secure 3 0 0 aa*90 parses", {TLSA_COUNTS}, 1},
    {"RFC 7672 s3.1.2: Full(0) bare key of a trust anchor",
     "secure 2 1 0 aa*90 parses",
     {TLSA_COUNTS},
     1},
    {"RFC 7672 s3.1.3: PKIX-TA(0) is unusable", "secure 0 0 1 aa*32", {TLSA_BAD_USAGE}, 0},
    {"RFC 7672 s3.1.3: PKIX-EE(1) is unusable", "secure 1 1 1 aa*32", {TLSA_BAD_USAGE}, 0},
    {"T1: an unknown usage", "secure 4 1 1 aa*32", {TLSA_BAD_USAGE}, 0},
    {"T1: PrivCert(255)", "secure 255 1 1 aa*32", {TLSA_BAD_USAGE}, 0},
    {"T1: an unknown selector", "secure 3 2 1 aa*32", {TLSA_BAD_SELECTOR}, 0},
    {"T1: PrivSel(255)", "secure 3 255 1 aa*32", {TLSA_BAD_SELECTOR}, 0},
    {"T1: an unknown matching type", "secure 3 1 3 aa*32", {TLSA_BAD_MTYPE}, 0},
    {"T1: PrivMatch(255)", "secure 3 1 255 aa*32", {TLSA_BAD_MTYPE}, 0},
    {"T1: a digest that is too short", "secure 3 1 1 aa*31", {TLSA_BAD_LENGTH}, 0},
    {"T1: a digest that is too long", "secure 3 1 1 aa*33", {TLSA_BAD_LENGTH}, 0},
    {"T1: the length of the other digest", "secure 3 1 2 aa*32", {TLSA_BAD_LENGTH}, 0},
    {"T1: and the other way round", "secure 3 1 1 aa*64", {TLSA_BAD_LENGTH}, 0},
    {"T1: empty data, digest", "secure 3 1 1 -", {TLSA_BAD_LENGTH}, 0},
    {"T1: empty data, full", "secure 3 0 0 -", {TLSA_BAD_LENGTH}, 0},
    {"T1: RDATA of fewer than three octets", "secure short", {TLSA_BAD_LENGTH}, 0},
    {"T1: Full(0) data that does not parse", "secure 3 1 0 aa*90 broken", {TLSA_BAD_DATA}, 0},
    {"T10: Full(0) data that nobody tried to parse", "secure 3 1 0 aa*90", {TLSA_COUNTS}, 1, true},
    {"T10: ... is no local failure if the record is unusable anyway",
     "secure 1 1 0 aa*90",
     {TLSA_BAD_USAGE},
     0},
    {"T1: unusable is per record",
     "secure 3 1 1 aa*32, 1 1 1 bb*32, 3 9 1 cc*32, short",
     {TLSA_COUNTS, TLSA_BAD_USAGE, TLSA_BAD_SELECTOR, TLSA_BAD_LENGTH},
     1},
};

static const struct set_row agility[] = {
    {"RFC 7671 s9: only the strongest digest of a usage and selector",
     "secure 3 1 1 aa*32, 3 1 2 bb*64",
     {TLSA_WEAKER_DIGEST, TLSA_COUNTS},
     2},
    {"RFC 7671 s9: in any order",
     "secure 3 1 2 bb*64, 3 1 1 aa*32",
     {TLSA_COUNTS, TLSA_WEAKER_DIGEST},
     2},
    {"RFC 7671 s9: all records of the strongest digest (key rollover)",
     "secure 3 1 2 bb*64, 3 1 2 cc*64, 3 1 1 aa*32",
     {TLSA_COUNTS, TLSA_COUNTS, TLSA_WEAKER_DIGEST},
     3},
    {"RFC 7671 s9: each selector apart",
     "secure 3 1 1 aa*32, 3 0 2 bb*64",
     {TLSA_COUNTS, TLSA_COUNTS},
     2},
    {"RFC 7671 s9: each usage apart",
     "secure 3 1 1 aa*32, 2 1 2 bb*64",
     {TLSA_COUNTS, TLSA_COUNTS},
     2},
    {"RFC 7671 s9: Full(0) always counts, and shadows nothing",
     "secure 3 1 0 dd*90 parses, 3 1 1 aa*32, 3 1 2 bb*64",
     {TLSA_COUNTS, TLSA_WEAKER_DIGEST, TLSA_COUNTS},
     3},
    {"RFC 7671 s9: an unusable stronger record shadows nothing",
     "secure 3 1 1 aa*32, 3 1 2 bb*63",
     {TLSA_COUNTS, TLSA_BAD_LENGTH},
     1},
    {"RFC 7671 s9: a matching type that we do not know is no strongest digest",
     "secure 3 1 1 aa*32, 3 1 3 bb*64",
     {TLSA_COUNTS, TLSA_BAD_MTYPE},
     1},
    {"RFC 7671 s9: an unusable usage shadows nothing",
     "secure 3 1 1 aa*32, 1 1 2 bb*64",
     {TLSA_COUNTS, TLSA_BAD_USAGE},
     1},
};

static void check_rows(const struct set_row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct set_row *r = &row[i];
		struct answer *a = row_answer("_25._tcp.mx.example.org", DNS_TLSA, r->records);
		struct arena mem;
		struct tlsa_set s;
		arena_init(&mem, 1024 * 1024);
		row_check(tlsa_set_build(&mem, a, &s), r->rule);
		row_check(s.n == a->nrr && s.n <= RECORDS_MAX, r->rule);
		for (size_t k = 0; k < s.n; k++)
			row_check(s.entry[k].use == r->use[k], r->rule);
		row_check(s.usable == r->usable, r->rule);
		row_check(s.unknown == r->unknown, r->rule);
		arena_free(&mem);
		answer_unref(&a);
	}
}

static void usability_rows(void **state)
{
	(void)state;
	check_rows(usability, ROWS(usability));
}

static void agility_rows(void **state)
{
	(void)state;
	check_rows(agility, ROWS(agility));
}

/* Every usage and selector an octet can hold: two of each are usable, with each matching type. */
static void every_octet(void **state)
{
	static const uint8_t data[64];
	size_t usable = 0;
	struct arena mem;
	(void)state;
	arena_init(&mem, 1024 * 1024);
	for (unsigned i = 0; i < 256 * 256 * 3; i++) {
		static const size_t lengths[] = {10, 32, 64};
		struct tlsa rr = {.usage = (uint8_t)(i / 3), .full = TLSA_FULL_PARSES};
		rr.selector = (uint8_t)(i / 3 / 256 % 256);
		rr.mtype = (uint8_t)(i % 3);
		rr.data = slice_make(data, lengths[i % 3]);
		struct tlsa_set s;
		assert_true(tlsa_set_from_records(&mem, &rr, 1, &s));
		usable += s.usable;
		bool good = (rr.usage == 2 || rr.usage == 3) && rr.selector < 2;
		assert_int_equal(s.usable, good);
		arena_free(&mem);
		arena_init(&mem, 1024 * 1024);
	}
	assert_int_equal(usable, 2 * 2 * 3);
	arena_free(&mem);
}

static void key_of(const char *records, struct buf *out)
{
	struct answer *a = row_answer("_25._tcp.mx.example.org", DNS_TLSA, records);
	struct arena mem;
	struct tlsa_set s;
	arena_init(&mem, 1024 * 1024);
	assert_true(tlsa_set_build(&mem, a, &s));
	buf_init(out, 65536);
	tlsa_set_key(&s, out);
	assert_true(buf_ok(out));
	arena_free(&mem);
	answer_unref(&a);
}

struct key_row {
	const char *rule;
	const char *a, *b;
	bool equal;
};

static const struct key_row keys[] = {
    {"T9: the order of the answer does not matter", "secure 3 1 1 aa*32, 2 0 1 bb*32",
     "secure 2 0 1 bb*32, 3 1 1 aa*32", true},
    {"T9: a record more is another policy", "secure 3 1 1 aa*32", "secure 3 1 1 aa*32, 3 1 1 bb*32",
     false},
    {"T9: a record that does not count is none", "secure 3 1 1 aa*32",
     "secure 3 1 1 aa*32, 1 1 1 bb*32", true},
    {"T9: nor a weaker digest", "secure 3 1 2 aa*64", "secure 3 1 2 aa*64, 3 1 1 bb*32", true},
    {"T9: another usage", "secure 3 1 1 aa*32", "secure 2 1 1 aa*32", false},
    {"T9: another selector", "secure 3 1 1 aa*32", "secure 3 0 1 aa*32", false},
    {"T9: other data", "secure 3 1 1 aa*32", "secure 3 1 1 ab*32", false},
    {"T9: a double record is one", "secure 3 1 1 aa*32, 3 1 1 aa*32", "secure 3 1 1 aa*32", true},
};

static void key_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(keys); i++) {
		struct buf a, b;
		key_of(keys[i].a, &a);
		key_of(keys[i].b, &b);
		row_check(slice_eq(buf_slice(&a), buf_slice(&b)) == keys[i].equal, keys[i].rule);
		buf_free(&a);
		buf_free(&b);
	}
}

static void words(void **state)
{
	(void)state;
	assert_null(tlsa_use_text(TLSA_COUNTS));
	for (int u = TLSA_WEAKER_DIGEST; u <= TLSA_BAD_DATA; u++) {
		assert_non_null(tlsa_use_text((enum tlsa_use)u));
		assert_int_equal(tlsa_use_is_usable((enum tlsa_use)u), u == TLSA_WEAKER_DIGEST);
	}
}

static void no_memory_is_no_set(void **state)
{
	struct answer *a = row_answer("_25._tcp.mx.example.org", DNS_TLSA, "secure 3 1 1 aa*32");
	struct arena mem;
	struct tlsa_set s;
	(void)state;
	arena_init(&mem, 1);
	assert_false(tlsa_set_build(&mem, a, &s)); /* T10 */
	assert_int_equal(s.usable, 0);
	arena_free(&mem);
	answer_unref(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(usability_rows), cmocka_unit_test(agility_rows),
	    cmocka_unit_test(every_octet),    cmocka_unit_test(key_rows),
	    cmocka_unit_test(words),          cmocka_unit_test(no_memory_is_no_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
