/* SPDX-License-Identifier: MIT */
/* log: the line format, whatever the values hold. */
#include "log/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct seen {
	char line[LOG_LINE_MAX + 1];
	enum log_level level;
	unsigned n;
};

static void sink(void *arg, enum log_level level, const char *line)
{
	struct seen *s = arg;
	snprintf(s->line, sizeof s->line, "%s", line);
	s->level = level;
	s->n++;
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct seen));
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void values_are_quoted_when_they_need_it(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"mx1.example.org", "mx1.example.org"},
	    {"4.7.323", "4.7.323"},
	    {"", "\"\""},
	    {"two words", "\"two words\""},
	    {"a=b", "\"a=b\""},
	    {"say \"hi\"", "\"say \\\"hi\\\"\""},
	    {"back\\slash", "\"back\\\\slash\""},
	    {"a\r\nevent=forged", "\"a\\x0d\\x0aevent=forged\""},
	    {"\x1b[2J\x7f", "\"\\x1b[2J\\x7f\""},
	    {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
	    {"bad \xff\xc3", "\"bad \\xff\\xc3\""},
	    {"c1 \xc2\x9b", "\"c1 \\xc2\\x9b\""},
	    {"\xe2\x80\xaegpj.exe", "\"\\xe2\\x80\\xaegpj.exe\""},
	};
	struct seen *s = *state;
	struct log *l = log_new_sink(sink, s, LOG_LEVEL_DEBUG);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char want[128];
		snprintf(want, sizeof want, "event=test k=%s z=1", rows[i].out);
		log_event(l, LOG_LEVEL_INFO, "test", "k", rows[i].in, "z", "1", NULL);
		assert_string_equal(s->line, want);
	}
	log_free(&l);
	assert_null(l);
	log_free(&l);
}

static void a_context_comes_first_and_outlives_its_parent(void **state)
{
	struct seen *s = *state;
	struct log *l = log_new_sink(sink, s, LOG_LEVEL_INFO);
	struct log *mail = log_child(l, "queue-id", "Q1", "left-out", NULL, NULL);
	struct log *peer = log_child(mail, "peer", "mx [1]", NULL);
	log_free(&l);
	log_free(&mail);
	char scratch[LOG_INT_TEXT];
	log_event(peer, LOG_LEVEL_WARN, "attempt", "n", log_int(scratch, -7), "no", NULL, NULL);
	assert_string_equal(s->line, "event=attempt queue-id=Q1 peer=\"mx [1]\" n=-7");
	assert_int_equal(s->level, LOG_LEVEL_WARN);
	log_free(&peer);
}

static void less_important_events_are_dropped(void **state)
{
	struct seen *s = *state;
	struct log *l = log_new_sink(sink, s, LOG_LEVEL_WARN);
	assert_true(log_wants(l, LOG_LEVEL_ERROR));
	assert_false(log_wants(l, LOG_LEVEL_INFO));
	log_event(l, LOG_LEVEL_INFO, "quiet", NULL);
	assert_int_equal(s->n, 0);
	log_event(l, LOG_LEVEL_ERROR, "loud", NULL);
	assert_int_equal(s->n, 1);
	assert_string_equal(s->line, "event=loud");
	log_free(&l);
}

static void long_values_are_cut(void **state)
{
	struct seen *s = *state;
	struct log *l = log_new_sink(sink, s, LOG_LEVEL_INFO);
	char value[LOG_VALUE_MAX + 100];
	for (size_t n = LOG_VALUE_MAX - 1; n <= LOG_VALUE_MAX + 1; n++) {
		memset(value, 'a', n);
		value[n] = '\0';
		log_event(l, LOG_LEVEL_INFO, "e", "k", value, NULL);
		bool cut = n > LOG_VALUE_MAX;
		assert_int_equal(strlen(s->line),
				 strlen("event=e k=") + (cut ? LOG_VALUE_MAX + 5 : n));
	}
	/* Not in the middle of a character. */
	for (size_t i = 0; i < sizeof value - 1; i++)
		value[i] = "\xe2\x82\xac"[i % 3];
	value[sizeof value - 1] = '\0';
	log_event(l, LOG_LEVEL_INFO, "e", "k", value, NULL);
	assert_null(strstr(s->line, "\\x"));
	assert_non_null(strstr(s->line, "\xe2\x82\xac...\""));
	log_free(&l);
}

static void many_fields_never_break_the_line(void **state)
{
	struct seen *s = *state;
	struct log *l = log_new_sink(sink, s, LOG_LEVEL_INFO);
	char value[LOG_VALUE_MAX + 1];
	memset(value, '\n', LOG_VALUE_MAX);
	value[LOG_VALUE_MAX] = '\0';
	log_event(l, LOG_LEVEL_INFO, "e", "a", value, "b", value, "c", value, "d", value, "e",
		  value, NULL);
	assert_int_equal(s->n, 1);
	assert_null(strchr(s->line, '\n'));
	assert_int_equal(s->line[strlen(s->line) - 1], '"');
	log_free(&l);
}

static void null_logs_and_other_targets_are_harmless(void **state)
{
	(void)state;
	log_event(NULL, LOG_LEVEL_ERROR, "x", NULL);
	assert_null(log_child(NULL, "a", "b", NULL));
	assert_false(log_wants(NULL, LOG_LEVEL_ERROR));
	for (enum log_target t = LOG_TARGET_STDERR; t <= LOG_TARGET_NONE; t++) {
		struct log *l = log_new(t, LOG_LEVEL_ERROR);
		assert_non_null(l);
		if (t == LOG_TARGET_STDERR || t == LOG_TARGET_NONE)
			log_event(l, LOG_LEVEL_ERROR, "test", "target", log_level_name(0), NULL);
		log_free(&l);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(values_are_quoted_when_they_need_it),
	    T(a_context_comes_first_and_outlives_its_parent),
	    T(less_important_events_are_dropped),
	    T(long_values_are_cut),
	    T(many_fields_never_break_the_line),
	    T(null_logs_and_other_targets_are_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
