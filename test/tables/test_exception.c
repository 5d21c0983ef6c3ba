/* SPDX-License-Identifier: MIT */
/* When an operator's exception ends: two clocks, each of which may be wrong, and restarts. */
#include "dane/exception.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Made at wall 1000, elapsed 50, for 100. */
static const struct exception made = {.expires = 1100, .ends = 150, .boot = "a"};

static const struct {
	const char *what;
	int64_t wall, elapsed;
	const char *boot;
	bool weaker, stricter; /* still in force */
} rows[] = {
    {"as it was made", 1000, 50, "a", true, true},
    {"the last moment", 1099, 149, "a", true, true},
    {"its end", 1100, 150, "a", false, false},
    {"the wall clock went back", -86400, 149, "a", true, true},
    {"a day later, after the wall clock went back", -86400 + 100, 150, "a", false, true},
    {"the wall clock went forward", 1100, 51, "a", false, true},
    {"three small steps of the wall clock", 1000 + 3 * 70, 53, "a", false, true},
    {"both say so, one much later", 99999, 150, "a", false, false},
    {"another start of the machine", 1001, 1, "b", false, true},
    {"the same, and the wall clock says that it is over", 1100, 1, "b", false, true},
    {"which start is not known now", 1001, 51, "", false, true},
};

static void each_ends_to_the_safe_side(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct exception_now now = {rows[i].wall, rows[i].elapsed, rows[i].boot};
		if (exception_holds(&made, true, &now) != rows[i].weaker ||
		    exception_holds(&made, false, &now) != rows[i].stricter)
			fail_msg("%s", rows[i].what);
	}
}

static void of_an_older_version(void **state)
{
	(void)state;
	struct exception e = {.expires = 1100, .ends = 0, .boot = ""};
	struct exception_now now = {1000, 50, ""};
	assert_false(exception_is_of_this_boot(&e, &now));
	assert_false(exception_holds(&e, true, &now));
	assert_true(exception_holds(&e, false, &now));
}

static void what_is_weaker(void **state)
{
	(void)state;
	static const bool weaker[3][3] = {
	    /* policy: may, dane, dane-only */
	    [LEVEL_MAY] = {true, true, true},
	    [LEVEL_DANE] = {false, true, true},
	    [LEVEL_DANE_ONLY] = {false, false, false},
	};
	for (int e = 0; e < 3; e++)
		for (int p = 0; p < 3; p++)
			assert_int_equal(
			    exception_is_weaker((enum dane_level)e, (enum dane_level)p),
			    weaker[e][p]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_ends_to_the_safe_side),
	    cmocka_unit_test(of_an_older_version),
	    cmocka_unit_test(what_is_weaker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
