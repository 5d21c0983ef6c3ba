/* SPDX-License-Identifier: MIT */
/*
 * dns: without a network. A few lines of fake name server on loopback play a resolver: unsigned, so
 * that everything is bogus below the trust anchor, except where domain-insecure says otherwise.
 */
#include "dns/dns.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { HEADER = 12, PACKET_MAX = 512, TIMEOUT_MS = 1500 };

static const char root_anchor[] = "/usr/share/dns/root.key";

struct world {
	struct loop *loop;
	struct loop_io *io;
	int fd;
	bool silent;    /* reads questions and says nothing */
	unsigned asked; /* questions that came over the wire */
	char server[32];
	char anchor[64];
	struct dns *dns;
	/* what came back */
	struct answer *answer;
	unsigned called;
	bool inside; /* in dns_ask(): no callback may come now */
	struct dns_query *other;
};

/* --- the fake server ------------------------------------------------------------------------- */

/* Echoes the question; an A question for a name that starts with "mx" gets 192.0.2.1. */
static size_t make_reply(uint8_t *p, size_t n)
{
	static const uint8_t record[] = {0xc0, HEADER, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1};
	size_t end = HEADER;
	while (end < n && p[end] != 0)
		end += p[end] + 1u;
	end += 5; /* root label, type, class */
	if (end > n)
		return 0;
	bool a = p[end - 4] == 0 && p[end - 3] == 1 && p[HEADER] >= 2 &&
		 slice_starts_nocase(slice_make(p + HEADER + 1, 2), "mx");
	p[2] = 0x81; /* QR RD */
	p[3] = 0x80; /* RA */
	memset(p + 4, 0, 8);
	p[5] = 1; /* one question */
	if (a) {
		p[7] = 1;
		memcpy(p + end, record, sizeof record);
		end += sizeof record;
	}
	return end;
}

static void on_question(void *arg, unsigned ready)
{
	(void)ready;
	struct world *w = arg;
	uint8_t p[PACKET_MAX * 2];
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	ssize_t n = recvfrom(w->fd, p, PACKET_MAX, 0, (struct sockaddr *)&from, &len);
	w->asked++;
	if (w->silent || n < HEADER)
		return;
	size_t out = make_reply(p, (size_t)n);
	assert_int_equal(sendto(w->fd, p, out, 0, (struct sockaddr *)&from, len), (ssize_t)out);
}

static void write_anchor(struct world *w, const char *text)
{
	FILE *f = fopen(w->anchor, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	w->loop = loop_new();
	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof sa;
	assert_int_equal(bind(w->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(w->fd, (struct sockaddr *)&sa, &len), 0);
	snprintf(w->server, sizeof w->server, "127.0.0.1@%u", ntohs(sa.sin_port));
	w->io = loop_io_new(w->loop, w->fd, on_question, w);
	loop_io_want(w->io, LOOP_READ);
	snprintf(w->anchor, sizeof w->anchor, "/tmp/danelaw-test-anchor-%d", (int)getpid());
	write_anchor(w, ". IN DS 20326 8 2 "
			"E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	answer_unref(&w->answer);
	dns_free(&w->dns);
	assert_null(w->dns);
	loop_io_free(&w->io);
	loop_free(&w->loop);
	close(w->fd);
	unlink(w->anchor);
	free(w);
	return 0;
}

static struct dns *open_dns(struct world *w, const struct dns_config *c, char *error, size_t room)
{
	const char *anchors[] = {w->anchor, NULL};
	struct dns_config full = *c;
	if (!full.anchors)
		full.anchors = anchors;
	if (!full.stub && !full.forward)
		full.forward = w->server;
	full.timeout_ms = TIMEOUT_MS;
	full.unsafe_options = true;
	full.no_ipv6 = true;
	return dns_new(w->loop, &full, error, room);
}

static void start(struct world *w, const char *const *options)
{
	char error[512] = "";
	w->dns = open_dns(w, &(struct dns_config){.options = options}, error, sizeof error);
	if (!w->dns)
		fail_msg("%s", error);
}

static void on_answer(void *arg, struct answer *a)
{
	struct world *w = arg;
	assert_false(w->inside);
	assert_non_null(a);
	answer_unref(&w->answer);
	w->answer = answer_ref(a);
	w->called++;
	loop_stop(w->loop);
}

static struct dns_query *ask_only(struct world *w, const char *name, uint16_t type)
{
	w->inside = true;
	struct dns_query *q = dns_ask(w->dns, name, type, on_answer, w);
	w->inside = false;
	assert_non_null(q);
	return q;
}

static const struct answer *ask(struct world *w, const char *name, uint16_t type)
{
	unsigned before = w->called;
	ask_only(w, name, type);
	loop_run(w->loop);
	assert_int_equal(w->called, before + 1);
	return w->answer;
}

/* --- answers --------------------------------------------------------------------------------- */

static const char *const trust_example[] = {"domain-insecure: \"example\"", NULL};

static void an_unsigned_zone_below_an_anchor_is_bogus(void **state)
{
	struct world *w = *state;
	start(w, NULL);
	const struct answer *a = ask(w, "mx.example", DNS_A);
	assert_int_equal(a->status, DNS_FAILED);
	assert_true(a->bogus);
	assert_non_null(a->why);
	assert_int_equal(a->nrr, 0);
	a = ask(w, "mx.example", DNS_A); /* the same from the cache */
	assert_int_equal(a->status, DNS_FAILED);
}

static void an_insecure_answer_has_its_records(void **state)
{
	struct world *w = *state;
	start(w, trust_example);
	const struct answer *a = ask(w, "MX1.example", DNS_A);
	if (a->status != DNS_INSECURE)
		fail_msg("%s: %s", dns_status_name(a->status), a->why);
	assert_string_equal(a->name, "mx1.example");
	assert_int_equal(a->nrr, 1);
	char text[IPADDR_TEXT_MAX];
	ipaddr_to_text(&a->rr[0].u.addr, text);
	assert_string_equal(text, "192.0.2.1");
	a = ask(w, "nothing.example", DNS_A);
	assert_int_equal(a->status, DNS_ABSENT);
	assert_false(a->absence_secure);
	assert_false(a->nxdomain);
}

/* ask() would notice a callback inside dns_ask(). */
static void a_cached_answer_comes_through_the_loop(void **state)
{
	struct world *w = *state;
	start(w, trust_example);
	ask(w, "mx1.example", DNS_A);
	unsigned asked = w->asked;
	const struct answer *a = ask(w, "mx1.example", DNS_A);
	assert_int_equal(a->status, DNS_INSECURE);
	assert_int_equal(w->asked, asked);
	a = ask(w, "localhost", DNS_A); /* the library knows it by itself */
	assert_int_equal(a->status, DNS_INSECURE);
	struct dns_stats s;
	dns_stats(w->dns, &s);
	assert_int_equal(s.asked, 3);
	assert_int_equal(s.failed, 0);
}

static void escaped_octets_reach_the_wire(void **state)
{
	struct world *w = *state;
	start(w, trust_example);
	const struct answer *a = ask(w, "mx\\046a\\255.example", DNS_A);
	if (a->status != DNS_INSECURE)
		fail_msg("%s: %s", dns_status_name(a->status), a->why);
}

static void what_is_no_name_fails(void **state)
{
	struct world *w = *state;
	start(w, NULL);
	static const char *const names[] = {
	    "a..b", "..", "", "\\999.example",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"};
	for (size_t i = 0; i < 5; i++) {
		const struct answer *a = ask(w, names[i], DNS_A);
		assert_int_equal(a->status, DNS_FAILED);
		assert_non_null(a->why);
	}
}

static void a_silent_server_is_a_failure_in_time(void **state)
{
	struct world *w = *state;
	start(w, NULL);
	w->silent = true;
	uint64_t from = loop_now_ms();
	const struct answer *a = ask(w, "mx.example", DNS_MX);
	assert_int_equal(a->status, DNS_FAILED);
	assert_false(a->bogus);
	assert_string_equal(a->why, "no answer within 1.5 s");
	assert_true(loop_now_ms() - from < TIMEOUT_MS + 1000);
	struct dns_stats s;
	dns_stats(w->dns, &s);
	assert_int_equal(s.timed_out, 1);
	assert_int_equal(s.failed, 1);
	w->silent = false; /* late answers to the abandoned question hurt nobody */
	ask(w, "localhost", DNS_A);
}

static void nobody_listening_is_a_failure(void **state)
{
	struct world *w = *state;
	start(w, NULL);
	loop_io_want(w->io, 0);
	close(w->fd);
	w->fd = -1;
	const struct answer *a = ask(w, "mx.example", DNS_MX);
	assert_int_equal(a->status, DNS_FAILED);
	assert_false(a->bogus);
}

/* --- cancelling ------------------------------------------------------------------------------ */

static void a_cancelled_question_is_silent(void **state)
{
	struct world *w = *state;
	start(w, trust_example);
	struct dns_query *on_the_way = ask_only(w, "mx1.example", DNS_A);
	struct dns_query *known = ask_only(w, "localhost", DNS_A);
	dns_cancel(&on_the_way);
	dns_cancel(&known);
	assert_null(known);
	dns_cancel(&known);
	ask(w, "mx2.example", DNS_A);
	assert_int_equal(w->called, 1);
}

static void cancel_other(void *arg, struct answer *a)
{
	struct world *w = arg;
	(void)a;
	w->called++;
	dns_cancel(&w->other);
	ask_only(w, "localhost", DNS_AAAA); /* asking in a callback is fine */
}

static void a_callback_cancels_another_question(void **state)
{
	struct world *w = *state;
	start(w, trust_example);
	w->other = ask_only(w, "mx1.example", DNS_A);
	dns_ask(w->dns, "localhost", DNS_A, cancel_other, w);
	loop_run(w->loop);
	assert_int_equal(w->called, 2);
	assert_int_equal(w->answer->type, DNS_AAAA);
}

static void free_all(void *arg, struct answer *a)
{
	struct world *w = arg;
	(void)a;
	w->called++;
	dns_free(&w->dns);
	loop_stop(w->loop);
}

static void the_resolver_may_go_in_a_callback(void **state)
{
	struct world *w = *state;
	start(w, trust_example);
	ask_only(w, "mx1.example", DNS_A);
	dns_ask(w->dns, "localhost", DNS_A, free_all, w);
	loop_run(w->loop);
	assert_int_equal(w->called, 1);
}

/* --- settings -------------------------------------------------------------------------------- */

static const struct {
	const char *anchor; /* content of the file; NULL: the good one */
	const char *option;
	const char *stub;
	const char *forward;
	const char *want;
} bad[] = {
    {"# nothing here\n", NULL, NULL, NULL, "has no DS or DNSKEY record"},
    {"; . IN DS 1 8 2 00\n", NULL, NULL, NULL, "has no DS or DNSKEY record"},
    {". IN DS 20326 8 2 nothex\n", NULL, NULL, NULL, "parse error"},
    {". IN DS\n", NULL, NULL, NULL, "parse error"},
    {NULL, "no-such-option: 1", NULL, NULL, "\"no-such-option: 1\""},
    {NULL, "verbosity", NULL, NULL, "expected \"key: value\""},
    {NULL, "verbosity:", NULL, NULL, "expected \"key: value\""},
    {NULL, "msg-cache-size: many", NULL, NULL, "\"msg-cache-size: many\""},
    {NULL, "module-config: iterator", NULL, NULL, "not allowed"},
    {NULL, "val-permissive-mode: yes", NULL, NULL, "not allowed"},
    {NULL, NULL, "nowhere", NULL, "dns.stub: \"nowhere\""},
    {NULL, NULL, NULL, "nowhere", "dns.forward: \"nowhere\""},
    {NULL, NULL, "127.0.0.1", "127.0.0.1", "exclude each other"},
};

static void bad_settings_are_named(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char error[512] = "";
		const char *options[] = {bad[i].option, NULL};
		if (bad[i].anchor)
			write_anchor(w, bad[i].anchor);
		else
			write_anchor(w, ". IN DS 1 8 2 00112233445566778899aabbccddeeff0011"
					"2233445566778899aabbccddeeff\n");
		struct dns *d = open_dns(w,
					 &(struct dns_config){.options = options,
							      .stub = bad[i].stub,
							      .forward = bad[i].forward},
					 error, sizeof error);
		if (d || !strstr(error, bad[i].want))
			fail_msg("row %zu: \"%s\" is not in \"%s\"", i, bad[i].want, error);
	}
}

static const struct {
	const char *option;
	bool unsafe;
} judged[] = {
    {"verbosity: 1", false},
    {"infra-host-ttl: 60", false},
    {"val-log-level: 2", false},
    {"Do-Not-Query-Localhost: no", false},
    {"local-zone: \"test.\" nodefault", false},
    {"local-zone: test. transparent", false},
    {"harden-glue:  yes ", false},
    {"serve-expired: no", false},
    {"domain-insecure: \"gov.example\"", true},
    {"DOMAIN-insecure: gov.example", true},
    {" domain-insecure : gov.example", true},
    {"harden-dnssec-stripped: no", true},
    {"harden-glue: no", true},
    {"val-override-date: 20260101000000", true},
    {"val-sig-skew-max: 99999999", true},
    {"val-nsec3-keysize-iterations: \"1024 0\"", true},
    {"serve-expired: yes", true},
    {"cache-min-ttl: 86400", true},
    {"local-data: \"mx.gov.example A 192.0.2.1\"", true},
    {"local-zone: gov.example static", true},
    {"local-zone: gov.example redirect", true},
    {"local-zone: gov.example nottransparent", true},
    {"local-zone: transparent", true},
    {"trust-anchor: \". DS 1 8 2 00\"", true},
    {"trust-anchor-file: /tmp/x", true},
    {"include: /tmp/x", true},
    {"an-option-of-tomorrow: yes", true},
    {"verbosity", false},
    {"", true},
};

static void what_may_change_the_truth_needs_a_word(void **state)
{
	struct world *w = *state;
	const char *anchors[] = {w->anchor, NULL};
	write_anchor(
	    w, ". IN DS 1 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
	for (size_t i = 0; i < sizeof judged / sizeof judged[0]; i++) {
		const char *list[] = {"verbosity: 0", judged[i].option, NULL};
		const char *found = dns_unsafe_option(list);
		if ((found != NULL) != judged[i].unsafe)
			fail_msg("%s", judged[i].option);
		assert_true(!found || found == judged[i].option);
	}
	const char *list[] = {"domain-insecure: gov.example", NULL};
	struct dns_config c = {.anchors = anchors, .options = list, .timeout_ms = TIMEOUT_MS};
	char error[512] = "";
	assert_null(dns_new(w->loop, &c, error, sizeof error));
	assert_non_null(strstr(error, "domain-insecure: gov.example"));
	assert_non_null(strstr(error, "dns.unsafe"));
	c.unsafe_options = true;
	struct dns *d = dns_new(w->loop, &c, error, sizeof error);
	if (!d)
		fail_msg("%s", error);
	dns_free(&d);
	assert_null(dns_unsafe_option(NULL));
}

static void anchors_are_needed(void **state)
{
	struct world *w = *state;
	char error[512] = "";
	const char *none[] = {NULL}, *missing[] = {"/nonexistent/root.key", NULL};
	assert_null(open_dns(w, &(struct dns_config){.anchors = none}, error, sizeof error));
	assert_non_null(strstr(error, "dns-root-data"));
	assert_non_null(strstr(error, "dns.anchor"));
	assert_null(open_dns(w, &(struct dns_config){.anchors = missing}, error, sizeof error));
	assert_non_null(strstr(error, "/nonexistent/root.key: No such file"));
	missing[0] = "/tmp";
	assert_null(open_dns(w, &(struct dns_config){.anchors = missing}, error, sizeof error));
	assert_non_null(strstr(error, "/tmp: cannot be read"));
}

/* What an operator copies from unbound.conf: quotes are not part of the values. */
static void options_are_those_of_unbound_conf(void **state)
{
	struct world *w = *state;
	static const char *const options[] = {
	    "local-zone: \"test.\" nodefault", "val-override-date: 20260101000000",
	    "msg-cache-size: \"4m\"", "domain-insecure: 'test'", NULL};
	start(w, options);
	const struct answer *a = ask(w, "mx.test", DNS_A);
	if (a->status != DNS_INSECURE) /* and not the library's built-in empty zone */
		fail_msg("%s: %s", dns_status_name(a->status), a->why ? a->why : "");
}

static void the_usual_anchor_is_accepted(void **state)
{
	struct world *w = *state;
	if (access(root_anchor, R_OK) != 0)
		skip();
	const char *anchors[] = {root_anchor, NULL};
	char error[512] = "";
	w->dns = open_dns(w, &(struct dns_config){.anchors = anchors}, error, sizeof error);
	assert_non_null(w->dns);
	const char *warning = dns_library_warning();
	if (warning)
		assert_non_null(strstr(warning, "CVE-2023-50387"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(an_unsigned_zone_below_an_anchor_is_bogus),
	    T(an_insecure_answer_has_its_records),
	    T(a_cached_answer_comes_through_the_loop),
	    T(escaped_octets_reach_the_wire),
	    T(what_is_no_name_fails),
	    T(a_silent_server_is_a_failure_in_time),
	    T(nobody_listening_is_a_failure),
	    T(a_cancelled_question_is_silent),
	    T(a_callback_cancels_another_question),
	    T(the_resolver_may_go_in_a_callback),
	    T(bad_settings_are_named),
	    T(anchors_are_needed),
	    T(options_are_those_of_unbound_conf),
	    T(what_may_change_the_truth_needs_a_word),
	    T(the_usual_anchor_is_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
