/* SPDX-License-Identifier: MIT */
/* json: what is printed, who owns what, and that failures reach the root. */
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void expect(const struct json *j, const char *want)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	assert_true(json_write_line(j, f));
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

static void a_document_keeps_its_order(void **state)
{
	(void)state;
	struct json *j = json_object();
	json_set_int(j, "version", 1);
	json_set_str(j, "domain", "example.org");
	json_set_str(j, "nothing", NULL);
	json_set_bool(j, "implicit", false);
	json_set_null(j, "gone");
	struct json *hosts = json_set(j, "hosts", json_array());
	struct json *host = json_append(hosts, json_object());
	json_set_str(host, "name", "mx \"1\"");
	json_append_str(hosts, "two");
	json_append_str(hosts, NULL);
	json_append_int(hosts, INT64_MIN);
	json_set_int(j, "after", INT64_MAX);
	json_set_int(j, "version", 2);
	assert_true(json_ok(j));
	expect(j, "{\"version\":2,\"domain\":\"example.org\",\"nothing\":null,\"implicit\":false,"
		  "\"gone\":null,\"hosts\":[{\"name\":\"mx \\\"1\\\"\"},\"two\",null,"
		  "-9223372036854775808],\"after\":9223372036854775807}\n");
	json_free(&j);
	assert_null(j);
	json_free(&j);
}

static void invalid_utf8_is_replaced(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"caf\xc3\xa9", "caf\xc3\xa9"},
	    {"a\xff"
	     "b",
	     "a\xef\xbf\xbd"
	     "b"},
	    {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
	    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
	    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	    {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
	    {"\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json *j = json_array();
		json_append_str(j, rows[i].in);
		char want[64];
		snprintf(want, sizeof want, "[\"%s\"]\n", rows[i].out);
		expect(j, want);
		json_free(&j);
	}
}

static void control_characters_stay_on_one_line(void **state)
{
	(void)state;
	struct json *j = json_array();
	json_append_str(j, "a\r\nb\t\x01\x7f");
	expect(j, "[\"a\\r\\nb\\t\\u0001\\u007F\"]\n");
	json_free(&j);
}

static void expect_failed(struct json *j)
{
	assert_false(json_ok(j));
	assert_false(json_write_line(j, stderr));
	json_free(&j);
}

static void failures_are_sticky_and_reach_the_root(void **state)
{
	(void)state;
	struct json *j = json_object();
	struct json *child = json_set(j, "a", json_array());
	struct json *grandchild = json_append(child, json_object());
	json_set(grandchild, "lost", NULL); /* as if it had run out of memory */
	json_set_int(j, "more", 1);
	expect_failed(j);

	j = json_object();
	json_set(j, "a", json_object());
	json_set_int(j, "a", 1); /* would leave a handle to a dead value */
	expect_failed(j);

	j = json_object();
	child = json_array();
	json_append(child, NULL);
	json_set(j, "a", child);
	expect_failed(j);

	j = json_array();
	json_set_int(j, "key", 1); /* not an object */
	expect_failed(j);
}

/* A reader gets the same text back; a terminal that shows the line does nothing. */
static void what_a_terminal_would_obey_is_escaped(void **state)
{
	static const char hostile[] =
	    "\x1b[2J\x7f \xc2\x9b\x31m \xe2\x80\xae \xe2\x81\xa6 \xe2\x80\xa8 caf\xc3\xa9";
	static const char line[] = "{\"a\":\"\\u001B[2J\\u007F \\u009B1m \\u202E \\u2066 "
				   "\\u2028 caf\xc3\xa9\"}";
	(void)state;
	struct json *j = json_object();
	json_set_str(j, "a", hostile);
	char want[sizeof line + 1];
	snprintf(want, sizeof want, "%s\n", line);
	expect(j, want);
	json_free(&j);
	j = json_parse(line, sizeof line - 1);
	assert_string_equal(json_get_str(j, "a"), hostile);
	json_free(&j);
}

static void setters_accept_null(void **state)
{
	(void)state;
	json_set_int(NULL, "a", 1);
	json_append_str(NULL, "a");
	assert_null(json_set(NULL, "a", json_object()));
	assert_null(json_append(NULL, NULL));
	assert_false(json_ok(NULL));
	assert_false(json_write_line(NULL, stderr));
}

static void a_full_disk_is_noticed(void **state)
{
	(void)state;
	FILE *f = fopen("/dev/full", "w");
	if (!f)
		skip();
	setvbuf(f, NULL, _IONBF, 0);
	struct json *j = json_object();
	assert_false(json_write_line(j, f));
	json_free(&j);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_document_keeps_its_order),
	    cmocka_unit_test(invalid_utf8_is_replaced),
	    cmocka_unit_test(control_characters_stay_on_one_line),
	    cmocka_unit_test(failures_are_sticky_and_reach_the_root),
	    cmocka_unit_test(what_a_terminal_would_obey_is_escaped),
	    cmocka_unit_test(setters_accept_null),
	    cmocka_unit_test(a_full_disk_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
