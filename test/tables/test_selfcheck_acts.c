/* SPDX-License-Identifier: MIT */
/* What the relay does about its promises (V2): STARTTLS, the time of the next look, names. */
#include "table.h"

#include "selfcheck/target.h"

static const struct starttls_row {
	const char *rule;
	enum selfcheck_on_mismatch o;
	uint16_t port;
	enum selfcheck_promise promise;
	bool offered, expected;
} starttls_rows[] = {
    {"V2: log: a mismatch changes nothing", ON_MISMATCH_LOG, 25, SELFCHECK_BROKEN, true, true},
    {"V2: refuse-start: what runs goes on", ON_MISMATCH_REFUSE_START, 25, SELFCHECK_BROKEN, true,
     true},
    {"V2: no-starttls: a mismatch takes it away", ON_MISMATCH_NO_STARTTLS, 25, SELFCHECK_BROKEN,
     true, false},
    {"V2: no-starttls: also where the port is another one", ON_MISMATCH_NO_STARTTLS, 2525,
     SELFCHECK_BROKEN, true, false},
    {"V2: it stays away while nothing is mended", ON_MISMATCH_NO_STARTTLS, 25, SELFCHECK_BROKEN,
     false, false},
    {"V2: a promise that is kept again brings it back", ON_MISMATCH_NO_STARTTLS, 25, SELFCHECK_KEPT,
     false, true},
    {"V2: records that are gone promise nothing", ON_MISMATCH_NO_STARTTLS, 25, SELFCHECK_NOTHING,
     false, true},
    {"V2: a lookup that failed is no mismatch: it disables no TLS", ON_MISMATCH_NO_STARTTLS, 25,
     SELFCHECK_UNKNOWN, true, true},
    {"V2: and it mends nothing", ON_MISMATCH_NO_STARTTLS, 25, SELFCHECK_UNKNOWN, false, false},
    {"S3: without TLS a submission port could not take passwords", ON_MISMATCH_NO_STARTTLS, 587,
     SELFCHECK_BROKEN, true, true},
    {"S3: nor could port 465", ON_MISMATCH_NO_STARTTLS, 465, SELFCHECK_BROKEN, true, true},
};

static void test_starttls(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(starttls_rows); i++) {
		const struct starttls_row *r = &starttls_rows[i];
		row_check(selfcheck_starttls(r->o, r->port, r->promise, r->offered) == r->expected,
			  r->rule);
	}
}

static const struct pause_row {
	const char *rule;
	int64_t interval;
	enum selfcheck_result result;
	int64_t fresh, expected;
} pause_rows[] = {
    {"V1: every hour", 3600, SELFCHECK_WELL, 5, 3600},
    {"V2: what is wrong is looked at when the answers end", 3600, SELFCHECK_ERRORS, 300, 301},
    {"V2: but not later than every hour", 3600, SELFCHECK_ERRORS, 86400, 3600},
    {"V2: warnings too", 3600, SELFCHECK_WARNINGS, 5, 6},
    {"V2: a lookup that failed: in a minute", 3600, SELFCHECK_NO_LOOKUP, 5, 60},
    {"V2: unless every look comes earlier", 30, SELFCHECK_NO_LOOKUP, 5, 30},
};

static void test_pause(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(pause_rows); i++) {
		const struct pause_row *r = &pause_rows[i];
		row_check(selfcheck_pause(r->interval, r->result, r->fresh) == r->expected,
			  r->rule);
	}
}

static const struct name_row {
	const char *text, *name; /* name NULL: refused */
	uint16_t port;
} name_rows[] = {
    {"mx.example.org", "mx.example.org", 25},
    {"MX.Example.ORG.", "mx.example.org", 25},
    {"mx.example.org:587", "mx.example.org", 587},
    {"mx.example.org:65535", "mx.example.org", 65535},
    {"mx.example.org:0", NULL, 0},
    {"mx.example.org:65536", NULL, 0},
    {"mx.example.org:", NULL, 0},
    {"mx.example.org:25x", NULL, 0},
    {":25", NULL, 0},
    {"", NULL, 0},
    {"192.0.2.1", NULL, 0},
    {"two words", NULL, 0},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(name_rows); i++) {
		const struct name_row *r = &name_rows[i];
		struct selfcheck_target t;
		bool ok = selfcheck_target_from_text(slice_str(r->text), &t);
		row_check(ok == (r->name != NULL), r->text);
		if (r->name == NULL)
			continue;
		assert_string_equal(t.name, r->name);
		assert_int_equal(t.port, r->port);
	}
}

static void test_file(void **state)
{
	struct arena mem;
	struct selfcheck_finding f;
	(void)state;
	arena_init(&mem, 1 << 20);
	assert_true(selfcheck_file_changed(&mem, "mx.example.org", 25, "/etc/mx.pem", &f));
	assert_int_equal(f.kind, SELFCHECK_NOT_RELOADED);
	assert_int_equal(f.severity, SELFCHECK_WARNING);
	assert_string_equal(f.text, "/etc/mx.pem has changed, and the relay still serves what was "
				    "there before");
	assert_string_equal(f.paste, "systemctl reload danelaw");
	arena_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_starttls),
	    cmocka_unit_test(test_pause),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
