/* SPDX-License-Identifier: MIT */
/* What a host presents against what it presented before (A2). */
#include "table.h"

#include "audit/continuity.h"

#include <string.h>

/* Known keys, by the letters of their certificate and key, and what authorised them. */
struct known_text {
	const char *cert_key; /* "Aa" */
	enum audit_authority authority;
};

struct continuity_row {
	const char *what;
	struct known_text known[4]; /* the last seen first */
	const char *presented;      /* NULL: no certificate */
	enum host_policy policy;
	enum audit_authority authorised;
	enum continuity want;
	enum audit_authority want_authority;
	int want_known;
};

#define NONE AUTHORITY_NONE
#define TLSA AUTHORITY_TLSA
#define CA AUTHORITY_CA

static const struct continuity_row rows[] = {
    {"nothing presented", {{"Aa", NONE}}, NULL, HOST_MAY, NONE, CONTINUITY_NONE, NONE, -1},
    {"nothing presented, nothing known", {{0}}, NULL, HOST_DANE, NONE, CONTINUITY_NONE, NONE, -1},

    {"first, may", {{0}}, "Aa", HOST_MAY, NONE, CONTINUITY_FIRST_SEEN, NONE, -1},
    {"first, dane", {{0}}, "Aa", HOST_DANE, TLSA, CONTINUITY_FIRST_SEEN, TLSA, -1},
    {"first, pkix", {{0}}, "Aa", HOST_PKIX, CA, CONTINUITY_FIRST_SEEN, CA, -1},
    {"first and refused", {{0}}, "Aa", HOST_DANE, NONE, CONTINUITY_FIRST_SEEN, NONE, -1},

    {"the certificate of last time",
     {{"Aa", NONE}},
     "Aa",
     HOST_MAY,
     NONE,
     CONTINUITY_SAME_CERTIFICATE,
     NONE,
     0},
    {"the one before: several machines",
     {{"Bb", NONE}, {"Aa", NONE}},
     "Aa",
     HOST_MAY,
     NONE,
     CONTINUITY_SAME_CERTIFICATE,
     NONE,
     1},
    {"still authorised",
     {{"Aa", TLSA}},
     "Aa",
     HOST_DANE,
     TLSA,
     CONTINUITY_SAME_CERTIFICATE,
     TLSA,
     0},
    {"authorised once, not asked now",
     {{"Aa", TLSA}},
     "Aa",
     HOST_MAY,
     NONE,
     CONTINUITY_SAME_CERTIFICATE,
     TLSA,
     0},
    {"authorised only now",
     {{"Aa", NONE}},
     "Aa",
     HOST_DANE,
     TLSA,
     CONTINUITY_SAME_CERTIFICATE,
     TLSA,
     0},
    {"the old one, and the record is gone: it says that the host did not change",
     {{"Aa", TLSA}},
     "Aa",
     HOST_DANE,
     NONE,
     CONTINUITY_SAME_CERTIFICATE,
     TLSA,
     0},
    {"a key that nothing ever authorised stays so",
     {{"Bb", NONE}, {"Aa", TLSA}},
     "Bb",
     HOST_MAY,
     NONE,
     CONTINUITY_SAME_CERTIFICATE,
     NONE,
     0},

    {"renewed with its key", {{"Aa", NONE}}, "Ba", HOST_MAY, NONE, CONTINUITY_SAME_KEY, NONE, 0},
    {"renewed with an older key",
     {{"Bb", NONE}, {"Aa", TLSA}},
     "Ca",
     HOST_ENCRYPT,
     NONE,
     CONTINUITY_SAME_KEY,
     TLSA,
     1},
    {"the certificate counts before the key",
     {{"Ba", NONE}, {"Aa", TLSA}},
     "Aa",
     HOST_MAY,
     NONE,
     CONTINUITY_SAME_CERTIFICATE,
     TLSA,
     1},

    {"rolled, and the record with it",
     {{"Aa", TLSA}},
     "Bb",
     HOST_DANE,
     TLSA,
     CONTINUITY_AUTHORISED_CHANGE,
     TLSA,
     0},
    {"the first that is authorised",
     {{"Aa", NONE}},
     "Bb",
     HOST_DANE,
     TLSA,
     CONTINUITY_AUTHORISED_CHANGE,
     TLSA,
     0},
    {"a CA, under pkix", {{"Aa", CA}}, "Bb", HOST_PKIX, CA, CONTINUITY_AUTHORISED_CHANGE, CA, 0},

    {"changed, may", {{"Aa", NONE}}, "Bb", HOST_MAY, NONE, CONTINUITY_UNAUTHORISED_CHANGE, NONE, 0},
    {"changed, encrypt",
     {{"Aa", TLSA}},
     "Bb",
     HOST_ENCRYPT,
     NONE,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"changed and refused, dane",
     {{"Aa", TLSA}},
     "Bb",
     HOST_DANE,
     NONE,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"changed and refused, pkix",
     {{"Aa", CA}},
     "Bb",
     HOST_PKIX,
     NONE,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"a CA counts for nothing under dane",
     {{"Aa", TLSA}},
     "Bb",
     HOST_DANE,
     CA,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"a CA counts for nothing under may",
     {{"Aa", NONE}},
     "Bb",
     HOST_MAY,
     CA,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"a match counts for nothing under may",
     {{"Aa", NONE}},
     "Bb",
     HOST_MAY,
     TLSA,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"a match counts for nothing under encrypt",
     {{"Aa", NONE}},
     "Bb",
     HOST_ENCRYPT,
     TLSA,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"a match counts for nothing under pkix",
     {{"Aa", NONE}},
     "Bb",
     HOST_PKIX,
     TLSA,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"a match counts for nothing at a local host",
     {{"Aa", NONE}},
     "Bb",
     HOST_LOCAL,
     TLSA,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"nobody speaks to a host that is skipped",
     {{"Aa", NONE}},
     "Bb",
     HOST_SKIP,
     TLSA,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
    {"changed: the last one is the one before",
     {{"Bb", TLSA}, {"Aa", TLSA}},
     "Cc",
     HOST_MAY,
     NONE,
     CONTINUITY_UNAUTHORISED_CHANGE,
     NONE,
     0},
};

static void digests(const char *text, uint8_t *cert, uint8_t *key)
{
	memset(cert, text[0], AUDIT_DIGEST);
	memset(key, text[1], AUDIT_DIGEST);
}

static void decisions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct known_key known[4];
		struct presented_key p = {.present = rows[i].presented != NULL};
		struct continuity_verdict v;
		size_t n = 0;
		for (; n < 4 && rows[i].known[n].cert_key != NULL; n++) {
			digests(rows[i].known[n].cert_key, known[n].cert, known[n].key);
			known[n].authority = rows[i].known[n].authority;
		}
		if (p.present)
			digests(rows[i].presented, p.cert, p.key);
		continuity_decide(known, n, &p, rows[i].policy, rows[i].authorised, &v);
		row_check(v.continuity == rows[i].want, rows[i].what);
		row_check(v.authority == rows[i].want_authority, rows[i].what);
		row_check(v.known == rows[i].want_known, rows[i].what);
	}
}

/* One octet of 32 is enough to be another. */
static void every_octet_counts(void **state)
{
	(void)state;
	struct known_key known = {{0}, {0}, AUTHORITY_NONE};
	for (size_t i = 0; i < AUDIT_DIGEST; i++) {
		struct presented_key p = {.present = true};
		struct continuity_verdict v;
		p.cert[i] = 1;
		continuity_decide(&known, 1, &p, HOST_MAY, NONE, &v);
		assert_int_equal(v.continuity, CONTINUITY_SAME_KEY);
		p.key[i] = 0x80;
		continuity_decide(&known, 1, &p, HOST_MAY, NONE, &v);
		assert_int_equal(v.continuity, CONTINUITY_UNAUTHORISED_CHANGE);
	}
}

static void types_of_keys(void **state)
{
	(void)state;
	static const struct {
		const char *key, *type;
	} keys[] = {{"RSA 2048", "RSA"},
		    {"RSA 4096", "RSA"},
		    {"EC P-256", "ECDSA"},
		    {"EC P-384", "ECDSA"},
		    {"ED25519", "ED25519"},
		    {"", ""},
		    {"a-very-long-name-of-a-type 1", "a-very-long-nam"}};
	for (size_t i = 0; i < ROWS(keys); i++) {
		char type[AUDIT_KEY_TYPE_MAX];
		audit_key_type(slice_str(keys[i].key), type);
		assert_string_equal(type, keys[i].type);
	}
}

static void names(void **state)
{
	(void)state;
	for (int i = 0; i < CONTINUITY_COUNT; i++) {
		enum continuity c;
		assert_true(continuity_from_name(continuity_name((enum continuity)i), &c));
		assert_int_equal(c, i);
		assert_true(continuity_sentence(c)[0] != '\0');
	}
	enum continuity c;
	assert_false(continuity_from_name("same", &c));
	/* Written to disk: see continuity.tbl. */
	assert_int_equal(CONTINUITY_UNAUTHORISED_CHANGE, 6);
	assert_int_equal(AUTHORITY_CA, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decisions),
	    cmocka_unit_test(every_octet_counts),
	    cmocka_unit_test(types_of_keys),
	    cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
