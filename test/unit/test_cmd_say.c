/* SPDX-License-Identifier: MIT */
/* cmd: as printf, but text of others cannot act. */
#include "cmd/cmd.h"

#include "unit.h"

#include <inttypes.h>

static void expect(const char *got, const char *want)
{
	assert_string_equal(got, want);
}

#define SAID(want, ...)                                                                            \
	do {                                                                                       \
		char *text = NULL;                                                                 \
		size_t n = 0;                                                                      \
		FILE *f = open_memstream(&text, &n);                                               \
		say(f, __VA_ARGS__);                                                               \
		fclose(f);                                                                         \
		expect(text, want);                                                                \
		free(text);                                                                        \
	} while (0)

static void formats_are_those_of_printf(void **state)
{
	(void)state;
	SAID("plain\n", "plain\n");
	SAID("a b 100%", "%s %s 100%%", "a", "b");
	SAID("[ab   ][   ab][ab]", "[%-5s][%5s][%.2s]", "ab", "ab", "abc");
	SAID("[ab   ][   ab][ab]", "[%-*s][%*s][%.*s]", 5, "ab", 5, "ab", 2, "abc");
	SAID("-7 8 ff c 0x10 007", "%d %u %x %c %#x %03d", -7, 8u, 255u, 'c', 16u, 7);
	SAID("1 2 3 4", "%ld %" PRId64 " %zu %jd", 1L, INT64_C(2), (size_t)3, (intmax_t)4);
	SAID("18446744073709551615 1.5", "%" PRIu64 " %.1f", UINT64_MAX, 1.5);
}

static void text_of_others_does_nothing(void **state)
{
	(void)state;
	SAID("<\\x1b[2J> caf\xc3\xa9\n", "<%s> caf\xc3\xa9\n", "\x1b[2J");
	SAID("\\xc2\\x9b \\xe2\\x80\\xae \\xff \\x0a", "%s %s %s %s", "\xc2\x9b", "\xe2\x80\xae",
	     "\xff", "\n");
	SAID("a\\x0db    |", "%-10s|", "a\rb");
	SAID("%s %n", "%s", "%s %n");
}

/* The codes of the style pass by their place in memory, not by their octets. */
static void only_our_own_colours_pass(void **state)
{
	struct style on = {.color = true}, off = {0};
	char forged[16];
	(void)state;
	snprintf(forged, sizeof(forged), "%s", tone_on(&on, TONE_BAD));
	SAID("\x1b[31mbad\x1b[0m", "%s%s%s", tone_on(&on, TONE_BAD), "bad", tone_off(&on));
	SAID("bad", "%s%s%s", tone_on(&off, TONE_BAD), "bad", tone_off(&off));
	SAID("\\x1b[31m", "%s", forged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats_are_those_of_printf),
	    cmocka_unit_test(text_of_others_does_nothing),
	    cmocka_unit_test(only_our_own_colours_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
