/* SPDX-License-Identifier: MIT */
/* conf: every kind of error, overrides, and which destination section counts. */
#include "base/nearest.h"
#include "conf/conf.h"
#include "wire/destination.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

static char path[] = "/tmp/danelaw-test-conf-XXXXXX";

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static size_t count(const char *const *list)
{
	size_t n = 0;
	while (list[n])
		n++;
	return n;
}

static struct conf *load(const char *text, const char *const *overrides, char *error, size_t room)
{
	write_file(text);
	return conf_load(path, overrides, overrides ? count(overrides) : 0, NULL, error, room);
}

static struct conf *must_load(const char *text, const char *const *overrides)
{
	char error[512] = "";
	struct conf *c = load(text, overrides, error, sizeof error);
	if (!c)
		fail_msg("%s", error);
	return c;
}

static void defaults_are_complete(void **state)
{
	(void)state;
	struct conf *c = must_load("", NULL);
	assert_null(c->dns_stub);
	assert_null(c->smtp_helo);
	assert_string_equal(c->dns_msg_cache_size, "64m");
	assert_int_equal(c->dns_sig_skew, 300);
	assert_int_equal(c->dns_timeout, 20);
	assert_int_equal(c->smtp_port, 25);
	assert_true(c->smtp_ipv4 && c->smtp_ipv6);
	assert_non_null(c->smtp_own_addresses);
	assert_null(c->smtp_own_addresses[0]);
	assert_int_equal(c->smtp_timeout_data_done, 600);
	assert_int_equal(c->log_target, LOG_TARGET_STDERR);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->policy_level, LEVEL_DANE);
	assert_int_equal(c->policy_mx_alias, MX_ALIAS_FOLLOW);
	assert_true(c->policy_clear_fallback);
	assert_int_equal(c->ndestination, 0);
	conf_free(&c);
	assert_null(c);
	conf_free(&c);
}

static void a_file_sets_every_type(void **state)
{
	(void)state;
	struct conf *c =
	    must_load("# comment\n"
		      "dns {\n"
		      "	anchor = { \"/a\", /b }\n"
		      "	anchor += { /c }\n"
		      "	stub = 127.0.0.1@5300\n"
		      "	forward = \"2001:db8::1\"\n"
		      "	unbound = { \"local-zone: \\\"test.\\\" nodefault\" }\n"
		      "	rrset-cache-size = 1g\n"
		      "}\n"
		      "smtp { helo = mail.example\n ipv6 = off\n own-addresses = { 192.0.2.1 } }\n"
		      "log { level = debug }\n"
		      "policy { level = dane-only clear-fallback = no }\n"
		      "smtp { port = 2525 }\n",
		      NULL);
	assert_int_equal(count(c->dns_anchor), 3);
	assert_string_equal(c->dns_anchor[0], "/a");
	assert_string_equal(c->dns_anchor[2], "/c");
	assert_string_equal(c->dns_stub, "127.0.0.1@5300");
	assert_string_equal(c->dns_forward, "2001:db8::1");
	assert_string_equal(c->dns_unbound[0], "local-zone: \"test.\" nodefault");
	assert_false(c->dns_unbound_typed || c->dns_unsafe);
	assert_string_equal(c->dns_rrset_cache_size, "1g");
	assert_string_equal(c->smtp_helo, "mail.example");
	assert_false(c->smtp_ipv6);
	assert_string_equal(c->smtp_own_addresses[0], "192.0.2.1");
	assert_int_equal(c->smtp_port, 2525);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->policy_level, LEVEL_DANE_ONLY);
	assert_false(c->policy_clear_fallback);
	conf_free(&c);
}

static const struct {
	const char *file;
	const char *override;
	const char *want; /* in the message; %s is the file's name */
} bad[] = {
    {"dns {\n\ttimeout = 0\n}", NULL,
     "%s:2:12: dns.timeout: expected a number from 1 to 600, got \"0\""},
    {"dns { timeout = 601 }", NULL, "%s:1:17: dns.timeout: expected a number from 1 to 600"},
    {"dns { timeout = time }", NULL, "%s:1:17: dns.timeout"}, /* not where the name has it */
    {"dns { timeout = 10s }", NULL, "got \"10s\""},
    {"dns { timeout = -1 }", NULL, "got \"-1\""},
    {"dns { timeout = 99999999999999999999 }", NULL, "from 1 to 600"},
    {"smtp { ipv4 = maybe }", NULL, "smtp.ipv4: expected yes or no"},
    {"policy { level = strict }", NULL, "expected one of may|dane|dane-only, got \"strict\""},
    {"policy { level = dan }", NULL, "expected one of"},
    {"policy { level = \"\" }", NULL, "expected one of"},
    {"dns { msg-cache-size = lots }", NULL, "expected a size such as 64m"},
    {"dns { stub = localhost }", NULL, "expected an IP address"},
    {"dns { stub = 127.0.0.1@ }", NULL, "expected an IP address"},
    {"dns { stub = 127.0.0.1@70000 }", NULL, "expected an IP address"},
    {"smtp { own-addresses = { mail.example } }", NULL, "smtp.own-addresses: expected IP"},
    {"dns {\n\n\ttimout = 3\n}", NULL,
     "%s:3:2: unknown option dns.timout; did you mean dns.timeout?"},
    {"dns { helo = x }", NULL, "unknown option dns.helo; did you mean smtp.helo?"},
    {"dns { zzzzzzzz = x }", NULL, "unknown option dns.zzzzzzzz"},
    {"dsn { timeout = 3 }", NULL, "unknown section dsn"},
    {"dns timeout = 3 }", NULL, "missing opening brace"},
    {"dns {\n timeout = 3\nsmtp { }\n", NULL, "%s:3:1: unknown option dns.smtp"},
    {"dns { timeout = }", NULL, "unexpected token '}'"},
    {"dns { stub = \"127.0.0.1 }", NULL, "%s:"},
    {"dns { timeout 3 }", NULL, "missing equal sign"},
    {"destination \"a b\" { level = may }", NULL, "destination \"a b\": expected a domain name"},
    {"destination \"*\" { level = may }", NULL,
     "%s:1: destination \"*\": a * stands for all names below a domain"},
    {"destination \"*test\" { level = may }", NULL, "a * stands for all names"},
    {"destination \"127.0.0.77\" { level = may }", NULL, "an address stands in brackets"},
    {"destination \"[127.0.0.77]:25\" { }", NULL, "expected the IP address of a host"},
    {"destination \"[mx.example]\" { level = may }", NULL, "expected the IP address of a host"},
    {"destination \"*.[127.0.0.1]\" { level = may }", NULL, "a * stands for all names"},
    {"destination \"u@a.example\" { level = may }", NULL, "expected a domain name"},
    {"destination \"\" { level = may }", NULL, "nothing is given"},
    {"destination gov.x { level = dane-only }\ndestination GOV.x. {\n\tlevel = may\n}", NULL,
     "%s:3: destination \"GOV.x.\" is the same as destination \"gov.x\" above"},
    {"destination gov.x {}\ndestination Gov.x {}", NULL, "is the same as"},
    {"destination \"*.x\" {}\ndestination \"*.X.\" {}", NULL, "is the same as"},
    {"destination \"[::1]\" {}\ndestination \"[IPv6:0::1]\" {}", NULL, "is the same as"},
    {"destination \"[127.0.0.7]\" {}\ndestination \"[::ffff:127.0.0.7]\" {}", NULL,
     "is the same as"},
    {"destination \"b\xc3\xbc.example\" { level = may }", NULL, "expected A-labels"},
    {"destination a.example { level = x }", NULL, "destination.level: expected one of"},
    {"destination a.example { lvel = may }", NULL,
     "unknown option destination.lvel; did you mean level?"},
    {"destination a.example {} destination a.example {}", NULL, "duplicate title"},
    {"\" loader\" = x", NULL, NULL},
    {"", "dns.timeout", "-o dns.timeout: expected SECTION.KEY=VALUE"},
    {"", "dns.timeout=x", "-o dns.timeout=x: dns.timeout: expected a number"},
    {"", "dns.timout=3", "did you mean dns.timeout?"},
    {"", "timeout=3", "unknown option timeout; did you mean dns.timeout?"},
    {"", "dns=3", "unknown option dns"},
    {"", "destination.level=may", "expected destination.DOMAIN.KEY=VALUE"},
    {"", "destination.a.example.levl=may", "did you mean level?"},
    {"", "destination.a..example.level=may", "expected a domain name"},
    {"", "=", "unknown option"},
};

static void errors_say_where_and_what(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *overrides[] = {bad[i].override, NULL};
		char error[512] = "", want[256] = "";
		struct conf *c = load(bad[i].file, overrides, error, sizeof error);
		if (!bad[i].want) { /* accepted, without effect */
			conf_free(&c);
			continue;
		}
		const char *mark = strstr(bad[i].want, "%s");
		snprintf(want, sizeof want, "%s%s", mark ? path : "",
			 mark ? bad[i].want + 2 : bad[i].want);
		if (c || !strstr(error, want))
			fail_msg("row %zu: \"%s\" is not in \"%s\"", i, want, error);
	}
}

static void files_that_cannot_be_read(void **state)
{
	(void)state;
	char error[512];
	assert_null(conf_load("/nonexistent/x.conf", NULL, 0, NULL, error, sizeof error));
	assert_non_null(strstr(error, "/nonexistent/x.conf: No such file"));
	assert_null(conf_load("/tmp", NULL, 0, NULL, error, sizeof error));
	assert_non_null(strstr(error, "directory"));
	char tiny[8];
	assert_null(conf_load("/nonexistent/x.conf", NULL, 0, NULL, tiny, sizeof tiny));
	assert_int_equal(strlen(tiny), 7);
}

static void overrides_count_more_than_the_file(void **state)
{
	(void)state;
	const char *o[] = {"dns.timeout=7",   "dns.unbound=a: 1", "dns.unbound=b: c=2",
			   "log.target=none", "dns.stub=",        NULL};
	struct conf *c =
	    must_load("dns { timeout = 3 stub = 192.0.2.1 unbound = { x, y } anchor = { /k } }", o);
	assert_int_equal(c->dns_timeout, 7);
	assert_int_equal(count(c->dns_unbound), 2);
	assert_true(c->dns_unbound_typed);
	assert_string_equal(c->dns_unbound[0], "a: 1");
	assert_string_equal(c->dns_unbound[1], "b: c=2");
	assert_string_equal(c->dns_anchor[0], "/k");
	assert_int_equal(c->log_target, LOG_TARGET_NONE);
	assert_null(c->dns_stub);
	conf_free(&c);

	const char *clear[] = {"dns.unbound=", NULL};
	c = must_load("dns { unbound = { x, y } }", clear);
	assert_int_equal(count(c->dns_unbound), 0);
	conf_free(&c);
}

static const char destinations[] = "policy { level = may reference-names = base }\n"
				   "destination Example.ORG. { level = dane-only port = 2525 }\n"
				   "destination \"*.gov.example\" { level = dane-only }\n"
				   "destination \"*.a.gov.example\" { level = dane }\n"
				   "destination x.gov.example { clear-fallback = no }\n"
				   "destination empty.gov.example { }\n"
				   "destination \"[192.0.2.1]\" { level = dane }\n"
				   "destination \"[fd00:77::0:77]\" { level = dane-only }\n";

static void the_most_specific_destination_counts(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		enum dane_level level;
		uint16_t port;
		bool fallback;
	} rows[] = {
	    {NULL, LEVEL_MAY, 25, true},
	    {"other.example", LEVEL_MAY, 25, true},
	    {"example.org", LEVEL_DANE_ONLY, 2525, true},
	    {"EXAMPLE.org.", LEVEL_DANE_ONLY, 2525, true},
	    {"sub.example.org", LEVEL_MAY, 25, true},
	    {"notexample.org", LEVEL_MAY, 25, true},
	    {"gov.example", LEVEL_MAY, 25, true}, /* the wildcard means what is below */
	    {"b.gov.example", LEVEL_DANE_ONLY, 25, true},
	    {"c.b.gov.example", LEVEL_DANE_ONLY, 25, true},
	    {"notgov.example", LEVEL_MAY, 25, true},
	    {"b.a.gov.example", LEVEL_DANE, 25, true},
	    {"a.gov.example", LEVEL_DANE_ONLY, 25, true},
	    {"x.gov.example", LEVEL_MAY, 25, false}, /* one section counts, not the sum */
	    {"empty.gov.example", LEVEL_MAY, 25, true},
	    {"[192.0.2.1]", LEVEL_DANE, 25, true},
	    {"[::ffff:192.0.2.1]", LEVEL_DANE, 25, true},
	    {"[192.0.2.2]", LEVEL_MAY, 25, true},
	    {"[IPv6:fd00:77::77]", LEVEL_DANE_ONLY, 25, true},
	    {"[ipv6:fd00:77:0::0:77]", LEVEL_DANE_ONLY, 25, true},
	    {"[x]", LEVEL_DANE_ONLY, 25, true}, /* nobody has said anything of such a thing */
	    {"b\xc3\xbc.example", LEVEL_DANE_ONLY, 25, true},
	    {"over.example", LEVEL_DANE, 26, true},
	    {".gov.example", LEVEL_DANE_ONLY, 25, true},
	};
	const char *o[] = {"destination.over.example.level=dane",
			   "destination.over.example.port=26", NULL};
	struct conf *c = must_load(destinations, o);
	assert_int_equal(c->ndestination, 8);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dane_policy p;
		conf_policy_for(c, rows[i].domain, &p);
		if (p.level != rows[i].level || p.port != rows[i].port ||
		    p.clear_fallback != rows[i].fallback)
			fail_msg("%s: level %d port %u fallback %d", rows[i].domain, (int)p.level,
				 p.port, p.clear_fallback);
		assert_int_equal(p.reference_names, REFERENCE_BASE);
	}
	conf_free(&c);
}

static void a_section_is_found_again_however_it_is_written(void **state)
{
	(void)state;
	static const struct {
		const char *o, *destination;
	} rows[] = {
	    {"destination.CLEAR.x.level=may", "clear.x"},
	    {"destination.clear.x..level=may", "clear.x"},
	    {"destination.*.GOV.x.level=may", "a.gov.x"},
	    {"destination.[127.0.0.77].level=may", "[127.0.0.77]"},
	    {"destination.[IPv6:::ffff:127.0.0.77].level=may", "[127.0.0.77]"},
	    {"destination.[ipv6:FD00::0:1].level=may", "[ipv6:fd00::1]"},
	};
	static const char file[] = "destination clear.x { level = dane-only port = 26 }\n"
				   "destination \"*.gov.x\" { level = dane-only port = 26 }\n"
				   "destination \"[127.0.0.77]\" { level = dane-only port = 26 }\n"
				   "destination \"[fd00::1]\" { level = dane-only port = 26 }\n";
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *o[] = {rows[i].o, NULL};
		struct dane_policy p;
		struct conf *c = must_load(file, o);
		assert_int_equal(c->ndestination, 4);
		conf_policy_for(c, rows[i].destination, &p);
		if (p.level != LEVEL_MAY || p.port != 26)
			fail_msg("%s: level %d port %u", rows[i].o, (int)p.level, p.port);
		conf_free(&c);
	}
}

static void the_level_has_a_pattern(void **state)
{
	(void)state;
	struct conf *c = must_load("destination a.test { route = \"[h.test]\" }\n"
				   "destination b.test { level = may }\n"
				   "destination \"*.test\" { level = dane-only }\n",
				   NULL);
	assert_null(conf_level_pattern(c, "a.test")); /* its section counts, and says nothing */
	assert_string_equal(conf_level_pattern(c, "b.test"), "b.test");
	assert_string_equal(conf_level_pattern(c, "c.test"), "*.test");
	assert_null(conf_level_pattern(c, "other"));
	conf_free(&c);
}

static const char *fake_idn(const char *title, char *out)
{
	if (strcmp(title, "bad.example") == 0)
		return "a label is bad";
	snprintf(out, DESTINATION_ROOM, "%sx", title);
	return NULL;
}

static void titles_go_through_the_hook(void **state)
{
	(void)state;
	const struct conf_hooks hooks = {.normalise = fake_idn};
	const char *o[] = {"destination.*.a.level=may"};
	char error[256];
	write_file("");
	struct conf *c = conf_load(path, o, 1, &hooks, error, sizeof error);
	assert_non_null(c);
	assert_string_equal(c->destination[0].pattern, "*.ax");
	conf_free(&c);
	o[0] = "destination.bad.example.level=may";
	assert_null(conf_load(path, o, 1, &hooks, error, sizeof error));
	assert_non_null(strstr(error, "\"bad.example\": a label is bad"));
}

static void help_names_every_option(void **state)
{
	(void)state;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	assert_true(conf_print_options(f));
	assert_true(conf_print_mdoc(f));
	fclose(f);
#define OPTION(section, key, field, type, def, unit, doc)                                          \
	assert_non_null(strstr(text, section "." key));                                            \
	assert_non_null(strstr(text, "\n.It Cm " key " "));
#define OVERRIDE(key, field, type, doc) assert_non_null(strstr(text, "\ndestination.DOMAIN." key));
#include "conf/options.tbl"
	free(text);
}

static void nearest_words(void **state)
{
	(void)state;
	static const char *const words[] = {"check", "send", "verify", "resolve", "queue"};
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"chek", "check"}, {"chcek", "check"},   {"CHECK", "check"},     {"sned", "send"},
	    {"seend", "send"}, {"verfy", "verify"},  {"reslove", "resolve"}, {"x", NULL},
	    {"", NULL},        {"frobnicate", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *got = nearest_word(rows[i].in, words, 5);
		if (!got != !rows[i].out || (got && strcmp(got, rows[i].out) != 0))
			fail_msg("%s: %s", rows[i].in, got ? got : "nothing");
	}
	assert_int_equal(nearest_distance("ab", "ba"), 1);
	assert_int_equal(nearest_distance("kitten", "sitting"), 3);
	char word[NEAREST_WORD_MAX + 2];
	memset(word, 'a', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	assert_true(nearest_distance(word, "a") == SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_complete),
	    cmocka_unit_test(a_file_sets_every_type),
	    cmocka_unit_test(errors_say_where_and_what),
	    cmocka_unit_test(files_that_cannot_be_read),
	    cmocka_unit_test(overrides_count_more_than_the_file),
	    cmocka_unit_test(the_most_specific_destination_counts),
	    cmocka_unit_test(titles_go_through_the_hook),
	    cmocka_unit_test(a_section_is_found_again_however_it_is_written),
	    cmocka_unit_test(the_level_has_a_pattern),
	    cmocka_unit_test(help_names_every_option),
	    cmocka_unit_test(nearest_words),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
