/* SPDX-License-Identifier: MIT */
/* From the results of the hosts to the verdict of `check`. */
#include "table.h"

#include "dane/hosts.h"

enum { HOSTS_MAX = 3, ADDRESSES_MAX = 2 };

struct domain_host {
	enum host_policy policy;
	enum reason reason; /* HOST_SKIP */
	struct address_fact address[ADDRESSES_MAX];
	size_t naddress;
};

struct domain_row {
	const char *rule;
	struct mx_verdict mx;
	struct domain_host host[HOSTS_MAX];
	size_t nhost;
	bool planned_only;
	enum domain_state state;
	enum reason reason;
};

#define SECURE                                                                                     \
	{                                                                                          \
		.kind = MX_HOSTS, .secure = true                                                   \
	}
#define INSECURE                                                                                   \
	{                                                                                          \
		.kind = MX_HOSTS                                                                   \
	}
#define ENDED(r)                                                                                   \
	{                                                                                          \
		.kind = MX_END, .reason = (r)                                                      \
	}
#define GOOD                                                                                       \
	{                                                                                          \
		RESULT_AUTHENTICATED, REASON_OK                                                    \
	}
#define ENCRYPTED                                                                                  \
	{                                                                                          \
		RESULT_ENCRYPTED, REASON_OK                                                        \
	}
#define CLEAR                                                                                      \
	{                                                                                          \
		RESULT_CLEARTEXT, REASON_OK                                                        \
	}
#define BAD(r)                                                                                     \
	{                                                                                          \
		RESULT_FAILED, (r)                                                                 \
	}

static const struct domain_row rows[] = {
    {"secure MX, every reachable host authenticated",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD}, 1}, {HOST_DANE, REASON_OK, {GOOD}, 1}},
     2,
     false,
     DOMAIN_PROTECTED,
     REASON_OK},
    {"a host that cannot be reached does not spoil it",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD}, 1}, {HOST_DANE, REASON_OK, {BAD(REASON_CONNECT_FAILED)}, 1}},
     2,
     false,
     DOMAIN_PROTECTED,
     REASON_OK},
    {"nor an address of the same host",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD, BAD(REASON_TIMEOUT)}, 2}},
     1,
     false,
     DOMAIN_PROTECTED,
     REASON_OK},
    {"nor a host that is skipped, for no mail goes there",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD}, 1}, {HOST_SKIP, REASON_DNSSEC_INVALID, {{0}}, 0}},
     2,
     false,
     DOMAIN_PROTECTED,
     REASON_OK},
    {"D5: authenticated hosts over an insecure MX are half",
     INSECURE,
     {{HOST_DANE, REASON_OK, {GOOD}, 1}},
     1,
     false,
     DOMAIN_HALF,
     REASON_OK},
    {"some authenticated, others not",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD}, 1}, {HOST_MAY, REASON_OK, {CLEAR}, 1}},
     2,
     false,
     DOMAIN_PARTIAL,
     REASON_OK},
    {"the same with an encrypted one",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD}, 1}, {HOST_ENCRYPT, REASON_OK, {ENCRYPTED}, 1}},
     2,
     false,
     DOMAIN_PARTIAL,
     REASON_OK},
    {"no host has a DANE policy",
     SECURE,
     {{HOST_MAY, REASON_OK, {ENCRYPTED}, 1}, {HOST_MAY, REASON_OK, {CLEAR}, 1}},
     2,
     false,
     DOMAIN_UNPROTECTED,
     REASON_OK},
    {"T7: a host that has a policy fails it",
     SECURE,
     {{HOST_DANE, REASON_OK, {BAD(REASON_TLSA_INVALID)}, 1}},
     1,
     false,
     DOMAIN_BROKEN,
     REASON_TLSA_INVALID},
    {"T7: even if another address of it does not",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD, BAD(REASON_TLSA_INVALID)}, 2}},
     1,
     false,
     DOMAIN_BROKEN,
     REASON_TLSA_INVALID},
    {"T7: even if another host does not",
     SECURE,
     {{HOST_DANE, REASON_OK, {GOOD}, 1}, {HOST_DANE, REASON_OK, {BAD(REASON_NO_STARTTLS)}, 1}},
     2,
     false,
     DOMAIN_BROKEN,
     REASON_NO_STARTTLS},
    {"T7: encrypt is a policy too",
     SECURE,
     {{HOST_ENCRYPT, REASON_OK, {BAD(REASON_NO_STARTTLS)}, 1}, {HOST_DANE, REASON_OK, {GOOD}, 1}},
     2,
     false,
     DOMAIN_BROKEN,
     REASON_NO_STARTTLS},
    {"may is none: its failed handshake is a host that cannot take mail",
     SECURE,
     {{HOST_MAY, REASON_OK, {BAD(REASON_TLS_FAILED)}, 1}, {HOST_MAY, REASON_OK, {CLEAR}, 1}},
     2,
     false,
     DOMAIN_UNPROTECTED,
     REASON_OK},
    {"a rejection is no violation, but nobody takes mail",
     SECURE,
     {{HOST_DANE, REASON_OK, {BAD(REASON_SMTP_DEFERRED)}, 1}},
     1,
     false,
     DOMAIN_BROKEN,
     REASON_SMTP_DEFERRED},
    {"nobody takes mail: the reason that a delivery would give, which weighs most",
     SECURE,
     {{HOST_SKIP, REASON_DANE_REQUIRED, {{0}}, 0},
      {HOST_DANE, REASON_OK, {BAD(REASON_NO_STARTTLS)}, 1}},
     2,
     false,
     DOMAIN_BROKEN,
     REASON_DANE_REQUIRED},
    {"D9: all hosts skipped",
     SECURE,
     {{HOST_SKIP, REASON_DNSSEC_INVALID, {{0}}, 0}, {HOST_SKIP, REASON_DNS_FAILED, {{0}}, 0}},
     2,
     false,
     DOMAIN_BROKEN,
     REASON_DNSSEC_INVALID},
    {"no host has an address",
     SECURE,
     {{HOST_SKIP, REASON_NO_ADDRESS, {{0}}, 0}, {HOST_SKIP, REASON_NO_ADDRESS, {{0}}, 0}},
     2,
     false,
     DOMAIN_UNDELIVERABLE,
     REASON_NO_ADDRESS},
    {"one without address, one whose lookup failed: it may come back",
     SECURE,
     {{HOST_SKIP, REASON_NO_ADDRESS, {{0}}, 0}, {HOST_SKIP, REASON_DNS_FAILED, {{0}}, 0}},
     2,
     false,
     DOMAIN_BROKEN,
     REASON_DNS_FAILED},
    {"RFC 7505: null MX",
     ENDED(REASON_NULL_MX),
     {{0}},
     0,
     false,
     DOMAIN_UNDELIVERABLE,
     REASON_NULL_MX},
    {"no such domain",
     ENDED(REASON_NO_SUCH_DOMAIN),
     {{0}},
     0,
     false,
     DOMAIN_UNDELIVERABLE,
     REASON_NO_SUCH_DOMAIN},
    {"D3: a failed MX lookup",
     ENDED(REASON_DNS_FAILED),
     {{0}},
     0,
     false,
     DOMAIN_BROKEN,
     REASON_DNS_FAILED},
    {"M1: dane-only over an insecure MX",
     ENDED(REASON_DANE_REQUIRED),
     {{0}},
     0,
     false,
     DOMAIN_BROKEN,
     REASON_DANE_REQUIRED},
    {"the plan alone: dane",
     SECURE,
     {{HOST_DANE, REASON_OK, {{0}}, 0}},
     1,
     true,
     DOMAIN_PROTECTED,
     REASON_OK},
    {"the plan alone: dane over an insecure MX",
     INSECURE,
     {{HOST_DANE, REASON_OK, {{0}}, 0}},
     1,
     true,
     DOMAIN_HALF,
     REASON_OK},
    {"the plan alone: dane and may",
     SECURE,
     {{HOST_DANE, REASON_OK, {{0}}, 0}, {HOST_MAY, REASON_OK, {{0}}, 0}},
     2,
     true,
     DOMAIN_PARTIAL,
     REASON_OK},
    {"the plan alone: encrypt is no DANE policy",
     SECURE,
     {{HOST_ENCRYPT, REASON_OK, {{0}}, 0}},
     1,
     true,
     DOMAIN_UNPROTECTED,
     REASON_OK},
};

static void domain_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct domain_row *r = &rows[i];
		struct checked_host host[HOSTS_MAX];
		for (size_t k = 0; k < r->nhost; k++)
			host[k] = (struct checked_host){r->host[k].policy, r->host[k].reason,
							r->host[k].address, r->host[k].naddress};
		struct domain_facts f = {
		    .mx = &r->mx, .host = host, .nhost = r->nhost, .planned_only = r->planned_only};
		struct domain_verdict v;
		domain_decide(&f, &v);
		row_check(v.state == r->state, r->rule);
		row_check(v.reason == r->reason, r->rule);
		row_check((v.reason == REASON_OK) ==
			      (v.state != DOMAIN_BROKEN && v.state != DOMAIN_UNDELIVERABLE),
			  r->rule);
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(domain_state_name(DOMAIN_PROTECTED), "protected");
	assert_string_equal(domain_state_name(DOMAIN_UNDELIVERABLE), "undeliverable");
	assert_string_equal(address_result_name(RESULT_AUTHENTICATED), "authenticated");
	assert_string_equal(address_result_name(RESULT_UNTRIED), "untried");
	assert_string_equal(host_policy_name(HOST_DANE), "dane");
	assert_string_equal(host_policy_name(HOST_SKIP), "skip");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(domain_rows),
	    cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
