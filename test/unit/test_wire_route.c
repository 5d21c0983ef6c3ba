/* SPDX-License-Identifier: MIT */
/* wire: configured next hops (D11, D12, S1; RFC 2033). */
#include "wire/route.h"

#include "unit.h"

static const struct good {
	const char *text;
	const char *host; /* or the path */
	bool itself;
	uint8_t family;
	uint16_t port;
	bool lmtp, path, submission;
} good[] = {
    {"example.org", "example.org", .port = 0},
    {"example.org:2525", "example.org", .port = 2525},
    {"[mx.example.org]", "mx.example.org", .itself = true},
    {"[mx.example.org]:26", "mx.example.org", .itself = true, .port = 26},
    {"[192.0.2.1]", "192.0.2.1", .itself = true, .family = 4},
    {"[192.0.2.1]:25", "192.0.2.1", .itself = true, .family = 4, .port = 25},
    {"[2001:db8::1]:25", "2001:db8::1", .itself = true, .family = 6, .port = 25},
    {"smtp:example.org", "example.org", .port = 0},
    {"SMTP:[mx.example.org]:26", "mx.example.org", .itself = true, .port = 26},
    {"lmtp:unix:/run/dovecot/lmtp", "/run/dovecot/lmtp", .itself = true, .lmtp = true,
     .path = true},
    {"Lmtp:Unix:/Run/X:1 y", "/Run/X:1 y", .itself = true, .lmtp = true, .path = true},
    {"smtp:unix:/run/filter", "/run/filter", .itself = true, .path = true},
    {"lmtp:[mail.example.org]:24", "mail.example.org", .itself = true, .port = 24, .lmtp = true},
    {"lmtp:[127.0.0.1]:2003", "127.0.0.1", .itself = true, .family = 4, .port = 2003, .lmtp = true},
    {"lmtp:[::1]:587", "::1", .itself = true, .family = 6, .port = 587, .lmtp = true},
    {"[smtp.example.org]:587", "smtp.example.org", .itself = true, .port = 587, .submission = true},
    {"smtp:[smtp.example.org]:465", "smtp.example.org", .itself = true, .port = 465,
     .submission = true},
};

static const struct bad {
	const char *text;
	enum route_error error;
	size_t at;
} bad[] = {
    {"", ROUTE_NO_HOST, 0},
    {"192.0.2.1", ROUTE_BARE_ADDRESS, 0}, /* an address has no MX hosts */
    {"192.0.2.1:25", ROUTE_BARE_ADDRESS, 0},
    {"2001:db8::1", ROUTE_BARE_ADDRESS, 0},
    {"[]", ROUTE_BAD_BRACKETS, 1},
    {"[mx.example.org", ROUTE_NO_BRACKET, 0},
    {"[mx.example.org]x", ROUTE_BEHIND_BRACKET, 16},
    {"[mx.example.org]:", ROUTE_BAD_PORT, 17},
    {"[mx.example.org]:0", ROUTE_BAD_PORT, 17},
    {"[mx.example.org]:65536", ROUTE_BAD_PORT, 17},
    {"[mx..example.org]", ROUTE_BAD_BRACKETS, 1},
    {"example.org:", ROUTE_BAD_PORT, 12},
    {"example.org:smtp", ROUTE_BAD_PORT, 12},
    {"example..org", ROUTE_NO_HOST, 0},
    {"example.org:25:26", ROUTE_BAD_PORT, 12},
    {"exa mple.org", ROUTE_NO_HOST, 0},
    {"smtp:25", ROUTE_NO_HOST, 5}, /* not the host "smtp" */
    {"smtp:", ROUTE_NO_HOST, 5},
    {"lmtp:", ROUTE_NO_HOST, 5},
    {"lmtp:smtp:[a.test]:24", ROUTE_BAD_PORT, 10},
    {"unix:/run/x", ROUTE_NO_PROTOCOL, 0},
    {"lmtp:unix:", ROUTE_BAD_PATH, 10},
    {"lmtp:unix:run/x", ROUTE_BAD_PATH, 10},
    {"lmtp:unix:/run/\nx", ROUTE_BAD_PATH, 15},
    {"lmtp:example.org", ROUTE_LMTP_MX, 5},
    {"lmtp:example.org:24", ROUTE_LMTP_MX, 5},
    {"lmtp:[example.org]", ROUTE_LMTP_PORT, 5},
    {"lmtp:[example.org]:25", ROUTE_LMTP_PORT, 5}, /* RFC 2033 s5: MUST NOT */
    {"example.org:587", ROUTE_SUBMISSION_MX, 0},
    {"smtp:example.org:465", ROUTE_SUBMISSION_MX, 5},
    {"[192.0.2.1]:587", ROUTE_SUBMISSION_ADDRESS, 0},
    {"[2001:db8::1]:465", ROUTE_SUBMISSION_ADDRESS, 0},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		const struct good *g = &good[i];
		struct route r;
		size_t at;
		if (route_parse(slice_str(g->text), &r, &at) != ROUTE_OK)
			fail_msg("%s", g->text);
		assert_int_equal(at, strlen(g->text));
		assert_true(slice_eq_str(g->path ? r.path : r.host, g->host));
		assert_int_equal(g->path ? r.host.n : r.path.n, 0);
		assert_int_equal(r.itself, g->itself);
		assert_int_equal(r.ip.family, g->family);
		assert_int_equal(r.port, g->port);
		assert_int_equal(r.lmtp, g->lmtp);
		assert_int_equal(route_is_submission(&r), g->submission);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct route r;
		size_t at;
		enum route_error e = route_parse(slice_str(bad[i].text), &r, &at);
		if (e != bad[i].error || at != bad[i].at)
			fail_msg("%s: %d at %zu", bad[i].text, (int)e, at);
		assert_true(route_strerror(e)[0] != '\0');
	}
}

/* A socket's address holds 107 octets and a NUL. */
static void test_long_path(void **state)
{
	char text[] = "lmtp:unix:/";
	char path[128];
	struct route r;
	size_t at;
	(void)state;
	for (size_t n = ROUTE_PATH_MAX - 1; n <= ROUTE_PATH_MAX + 1; n++) {
		snprintf(path, sizeof(path), "%s%0*d", text, (int)n - 1, 0);
		enum route_error e = route_parse(slice_str(path), &r, &at);
		assert_int_equal(e, n <= ROUTE_PATH_MAX ? ROUTE_OK : ROUTE_LONG_PATH);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_long_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
