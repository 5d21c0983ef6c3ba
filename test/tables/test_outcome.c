/* SPDX-License-Identifier: MIT */
/* The outcome table as data: what holds for every row of it (M2, T7; RFC 3463, RFC 8460 s4.3). */
#include "table.h"

#include "dane/outcome.h"
#include "wire/reply.h"

static enum reason nth(int i)
{
	return (enum reason)i;
}

static void names_are_unique(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		enum reason back;
		assert_true(reason_from_name(reason_name(nth(i)), &back));
		assert_int_equal(back, i); /* an equal name before it would be found instead */
		for (const char *c = reason_name(nth(i)); *c != '\0'; c++)
			assert_true((*c >= 'a' && *c <= 'z') || ascii_is_digit((uint8_t)*c) ||
				    *c == '-');
	}
	enum reason none;
	assert_false(reason_from_name("no-such-reason", &none));
	assert_false(reason_from_name("", &none));
}

/* RFC 3463 s2: class "." subject "." detail; the class agrees with what happens to the mail. */
static void codes_are_valid(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		const char *code = reason_code(nth(i));
		struct enhanced_code e;
		row_check(enhanced_code_parse(slice_str(code), &e) == strlen(code), code);
		enum fate fate = reason_fate(nth(i));
		/* "no address" is permanent only when no host has one: its fate is decided later */
		unsigned class = fate == FATE_DONE ? 2 : fate == FATE_FAIL ? 5 : 4;
		row_check(e.class == class, reason_name(nth(i)));
		row_check(e.subject <= 7, reason_name(nth(i))); /* RFC 3463 s3 */
	}
}

/* RFC 8460 s4.3 */
static void report_types_are_registered(void **state)
{
	static const char *const types[] = {
	    "",
	    "starttls-not-supported",
	    "certificate-host-mismatch",
	    "certificate-expired",
	    "certificate-not-trusted",
	    "validation-failure",
	    "tlsa-invalid",
	    "dnssec-invalid",
	    "dane-required",
	};
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		bool known = false;
		for (size_t k = 0; k < ROWS(types); k++)
			known = known || strcmp(reason_report(nth(i)), types[k]) == 0;
		row_check(known, reason_name(nth(i)));
		row_check(reason_is_security(nth(i)) == (reason_report(nth(i))[0] != '\0'),
			  reason_name(nth(i)));
	}
}

/* M2: the codes that the rules name */
static void codes_of_the_rules(void **state)
{
	static const struct {
		enum reason reason;
		const char *code;
	} rows[] = {
	    {REASON_NO_STARTTLS, "4.7.321"},    {REASON_STARTTLS_REFUSED, "4.7.321"},
	    {REASON_CERT_EXPIRED, "4.7.322"},   {REASON_TLSA_INVALID, "4.7.323"},
	    {REASON_DNSSEC_INVALID, "4.7.324"}, {REASON_CERT_HOST_MISMATCH, "4.7.325"},
	    {REASON_DANE_REQUIRED, "4.7.326"},  {REASON_CERT_NOT_TRUSTED, "4.7.327"},
	    {REASON_DNS_FAILED, "4.4.3"},       {REASON_CONNECT_FAILED, "4.4.1"},
	    {REASON_CONNECTION_LOST, "4.4.2"},  {REASON_TIMEOUT, "4.4.2"},
	    {REASON_NULL_MX, "5.1.10"},         {REASON_OK, "2.0.0"},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		row_check(strcmp(reason_code(rows[i].reason), rows[i].code) == 0,
			  reason_name(rows[i].reason));
}

/* T7: whatever somebody between the MTAs could cause is never permanent. */
static void nothing_forgeable_is_permanent(void **state)
{
	static const enum reason forgeable[] = {
	    REASON_DNS_FAILED,      REASON_DNSSEC_INVALID,     REASON_DANE_REQUIRED,
	    REASON_CONNECT_FAILED,  REASON_CONNECTION_LOST,    REASON_TIMEOUT,
	    REASON_LOST_AFTER_DATA, REASON_PROTOCOL_ERROR,     REASON_SMTP_DEFERRED,
	    REASON_NO_STARTTLS,     REASON_STARTTLS_REFUSED,   REASON_STARTTLS_INJECTION,
	    REASON_TLS_FAILED,      REASON_CERT_EXPIRED,       REASON_CERT_NOT_YET_VALID,
	    REASON_TLSA_INVALID,    REASON_CERT_HOST_MISMATCH, REASON_CERT_NOT_TRUSTED,
	    REASON_LOCAL_ERROR,     REASON_ADDRESS_UNPROVEN,   REASON_ROUTE_NOWHERE,
	};
	(void)state;
	for (size_t i = 0; i < ROWS(forgeable); i++)
		row_check(reason_fate(forgeable[i]) != FATE_FAIL, reason_name(forgeable[i]));
	for (int i = 0; i < REASON_COUNT; i++) {
		if (reason_is_security(nth(i)))
			row_check(reason_fate(nth(i)) != FATE_FAIL, reason_name(nth(i)));
	}
}

/* In doubt whether it was delivered, or broken ourselves: no other host may be tried. */
static void doubt_stops_the_walk(void **state)
{
	(void)state;
	assert_int_equal(reason_fate(REASON_LOST_AFTER_DATA), FATE_DELAY);
	assert_int_equal(reason_fate(REASON_LOCAL_ERROR), FATE_DELAY);
	for (int i = 0; i < REASON_COUNT; i++)
		assert_true((reason_fate(nth(i)) == FATE_DONE) == (i == REASON_OK));
}

/* Sentences go into the middle of other sentences; cures stand alone. */
static void words_for_people(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		const char *s = reason_sentence(nth(i)), *cure = reason_cure(nth(i));
		size_t n = strlen(s), c = strlen(cure);
		row_check(n > 0 && s[n - 1] != '.', reason_name(nth(i)));
		bool word = ascii_is_alpha((uint8_t)s[0]) && s[0] >= 'a';
		bool acronym = n > 1 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z';
		row_check(word || acronym, reason_name(nth(i)));
		row_check(c == 0 || (cure[0] >= 'A' && cure[0] <= 'Z' && cure[c - 1] == '.'),
			  reason_name(nth(i)));
		row_check(!reason_is_security(nth(i)) || c > 0, reason_name(nth(i)));
	}
}

static void the_worse_of_two(void **state)
{
	static const struct {
		const char *rule;
		enum reason a, b, worse;
	} rows[] = {
	    {"a failure says more than none", REASON_OK, REASON_NO_ADDRESS, REASON_NO_ADDRESS},
	    {"a security failure says more than a dead host", REASON_CONNECT_FAILED,
	     REASON_NO_STARTTLS, REASON_NO_STARTTLS},
	    {"... in any order", REASON_NO_STARTTLS, REASON_CONNECT_FAILED, REASON_NO_STARTTLS},
	    {"a broken TLSA zone says more than a refusal", REASON_DNSSEC_INVALID,
	     REASON_SMTP_DEFERRED, REASON_DNSSEC_INVALID},
	    {"a refusal says more than a dead host", REASON_SMTP_DEFERRED, REASON_CONNECT_FAILED,
	     REASON_SMTP_DEFERRED},
	    {"of equals the last tried", REASON_TIMEOUT, REASON_CONNECTION_LOST,
	     REASON_CONNECTION_LOST},
	    {"no address says least", REASON_BAD_HOST_NAME, REASON_NO_ADDRESS,
	     REASON_BAD_HOST_NAME},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		row_check(reason_worse(rows[i].a, rows[i].b) == rows[i].worse, rows[i].rule);
	for (int i = 1; i < REASON_COUNT; i++)
		row_check(reason_weight(nth(i)) > reason_weight(REASON_OK), reason_name(nth(i)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_unique),
	    cmocka_unit_test(codes_are_valid),
	    cmocka_unit_test(report_types_are_registered),
	    cmocka_unit_test(codes_of_the_rules),
	    cmocka_unit_test(nothing_forgeable_is_permanent),
	    cmocka_unit_test(doubt_stops_the_walk),
	    cmocka_unit_test(words_for_people),
	    cmocka_unit_test(the_worse_of_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
