/* SPDX-License-Identifier: MIT */
/* What may be done with one host: one row per sentence (D6-D10, M1; RFC 7672 s2). */
#include "host_row.h"

#define A_SECURE "secure 192.0.2.1"
#define A_INSECURE "insecure 192.0.2.1"
#define A_SECURE_ALIAS "secure via " HOST_TARGET " 192.0.2.1"
#define A_INSECURE_ALIAS "insecure via " HOST_TARGET " 192.0.2.1"
#define AAAA_SECURE "secure 2001:db8::1"
#define AAAA_INSECURE "insecure 2001:db8::1"
#define AAAA_SECURE_ALIAS "secure via " HOST_TARGET " 2001:db8::1"
#define CNAME_SECURE "secure " HOST_TARGET
#define CNAME_INSECURE "insecure " HOST_TARGET
#define NONE "absent secure"
#define NONE_INSECURE "absent insecure"
#define TLSA "secure 3 1 1 aa*32"
#define TLSA_UNUSABLE "secure 1 1 1 aa*32"
#define TLSA_INSECURE "insecure 3 1 1 aa*32"
#define FAILED "failed SERVFAIL"

enum { NOTHING = HOST_Q_COUNT };
#define ASK(q) (1u << HOST_Q_##q)

struct host_row {
	const char *rule;
	const char *a, *aaaa, *cname, *expanded, *original;
	unsigned ask; /* not 0: undecided, with exactly these questions */
	enum host_policy policy;
	enum reason reason;
	const char *base;              /* NULL: the host name */
	enum dane_level level_instead; /* LEVEL_MAY stands for the default, level dane */
	bool no_dane, insecure_mx, refuse_alias, implicit, no_ipv4, no_ipv6, pkix;
	bool unix_socket, lmtp, literal, loopback, level_may;
};

static const struct host_row addresses[] = {
    {"D6: addresses first, both families at once", .ask = ASK(A) | ASK(AAAA)},
    {"D6: the other family is waited for", .a = A_SECURE, .ask = ASK(AAAA)},
    {"D6: also when the first failed", .aaaa = FAILED, .ask = ASK(A)},
    {"D6: a family that we do not use is not asked for", .ask = ASK(AAAA), .no_ipv4 = true},
    {"D6: the same for IPv6", .ask = ASK(A), .no_ipv6 = true},
    {"D6, RFC 7672 s2.1.2: address lookup failed for every family: skip", .a = FAILED,
     .aaaa = FAILED, .policy = HOST_SKIP, .reason = REASON_DNS_FAILED},
    {"D6: one failed and the other absent: it may have an address, so this is temporary",
     .a = FAILED, .aaaa = NONE, .policy = HOST_SKIP, .reason = REASON_DNS_FAILED},
    {"D6: the same the other way round", .a = "nxdomain secure", .aaaa = FAILED,
     .policy = HOST_SKIP, .reason = REASON_DNS_FAILED},
    {"RFC 7672 s2.2.2: if no address records are found, the destination is unreachable", .a = NONE,
     .aaaa = NONE, .policy = HOST_SKIP, .reason = REASON_NO_ADDRESS},
    {"RFC 7672 s2.2.2: the same for a name that does not exist", .a = "nxdomain insecure",
     .aaaa = "nxdomain insecure", .policy = HOST_SKIP, .reason = REASON_NO_ADDRESS},
    {"RFC 7672 s2.2.2: an alias that leads nowhere", .a = "nxdomain secure via " HOST_TARGET,
     .aaaa = "nxdomain secure via " HOST_TARGET, .policy = HOST_SKIP, .reason = REASON_NO_ADDRESS},
    {"D6: one family failing does not stop the other", .a = FAILED, .aaaa = AAAA_SECURE,
     .ask = ASK(TLSA_ORIGINAL)},
    {"D6: one family failing does not stop the other, the other way", .a = A_SECURE, .aaaa = FAILED,
     .ask = ASK(TLSA_ORIGINAL)},
    {"D6: one family failing, the other insecure", .a = A_INSECURE, .aaaa = FAILED,
     .policy = HOST_MAY},
};

static const struct host_row plain[] = {
    {"RFC 7672 s2.2.2: not an alias, secure: the initial name is the candidate base", .a = A_SECURE,
     .aaaa = NONE, .ask = ASK(TLSA_ORIGINAL)},
    {"RFC 7672 s2.2.2: the same with IPv6 alone", .a = NONE, .aaaa = AAAA_SECURE,
     .ask = ASK(TLSA_ORIGINAL)},
    {"D9, RFC 7672 s2.2: secure usable TLSA: dane", .a = A_SECURE, .aaaa = NONE, .original = TLSA,
     .policy = HOST_DANE},
    {"D9, RFC 7672 s2.2: secure, none usable: encrypt", .a = A_SECURE, .aaaa = NONE,
     .original = TLSA_UNUSABLE, .policy = HOST_ENCRYPT},
    {"T1: one usable record among others is enough", .a = A_SECURE, .aaaa = NONE,
     .original = "secure 1 1 1 aa*32, 3 1 1 bb*32", .policy = HOST_DANE},
    {"RFC 7672 s2.2.3: even one short record is a commitment to TLS", .a = A_SECURE, .aaaa = NONE,
     .original = "secure short", .policy = HOST_ENCRYPT},
    {"D9: denial of existence is authenticated: may", .a = A_SECURE, .aaaa = NONE,
     .original = "nxdomain secure", .policy = HOST_MAY},
    {"D9: the name exists, the type does not: may", .a = A_SECURE, .aaaa = NONE, .original = NONE,
     .policy = HOST_MAY},
    {"D9: insecure denial (an insecure child zone): may", .a = A_SECURE, .aaaa = NONE,
     .original = "nxdomain insecure", .policy = HOST_MAY},
    {"D9, RFC 7672 s2.2: an insecure TLSA RRset does not apply", .a = A_SECURE, .aaaa = NONE,
     .original = TLSA_INSECURE, .policy = HOST_MAY},
    {"D9, RFC 7672 s2.1.2: TLSA lookup failed: the server is unreachable", .a = A_SECURE,
     .aaaa = NONE, .original = FAILED, .policy = HOST_SKIP, .reason = REASON_DNSSEC_INVALID},
    {"D8, RFC 7672 s2.2.3: an alias at the TLSA name does not change the base", .a = A_SECURE,
     .aaaa = NONE, .original = "secure via tlsa201._dane.example.org 2 0 1 aa*32",
     .policy = HOST_DANE},
    {"D2: an insecure alias at the TLSA name: the records do not count", .a = A_SECURE,
     .aaaa = NONE, .original = "insecure via tlsa.unsigned.example 3 1 1 aa*32",
     .policy = HOST_MAY},
    {"T10: a Full(0) record that nobody parsed here poisons the attempt", .a = A_SECURE,
     .aaaa = NONE, .original = "secure 3 0 0 aa*90", .policy = HOST_SKIP,
     .reason = REASON_LOCAL_ERROR},
    {"T10: even beside a usable one", .a = A_SECURE, .aaaa = NONE,
     .original = "secure 3 0 0 aa*90, 3 1 1 aa*32", .policy = HOST_SKIP,
     .reason = REASON_LOCAL_ERROR},
    {"T1: a Full(0) record that is no certificate is unusable", .a = A_SECURE, .aaaa = NONE,
     .original = "secure 3 0 0 aa*90 broken", .policy = HOST_ENCRYPT},
    {"T1: a Full(0) record that parses is usable", .a = A_SECURE, .aaaa = NONE,
     .original = "secure 3 0 0 aa*90 parses", .policy = HOST_DANE},
    {"D6, RFC 7672 s2.2.2: insecure addresses: no TLSA query at all", .a = A_INSECURE,
     .aaaa = NONE_INSECURE, .policy = HOST_MAY},
    {"D6: not even when somebody already knows a TLSA answer", .a = A_INSECURE, .aaaa = NONE,
     .original = TLSA, .policy = HOST_MAY},
    {"D6: nor a failed one", .a = A_INSECURE, .aaaa = NONE, .original = FAILED, .policy = HOST_MAY},
    {"D6: one secure family is enough to look for TLSA", .a = A_INSECURE, .aaaa = AAAA_SECURE,
     .ask = ASK(TLSA_ORIGINAL)},
    {"D6: and a failed TLSA lookup then ends it", .a = A_INSECURE, .aaaa = AAAA_SECURE,
     .original = FAILED, .policy = HOST_SKIP, .reason = REASON_DNSSEC_INVALID},
};

static const struct host_row aliases[] = {
    {"RFC 7672 s2.2.2: secure alias, secure addresses: the expanded name first",
     .a = A_SECURE_ALIAS, .aaaa = NONE, .ask = ASK(TLSA_EXPANDED), .base = HOST_TARGET},
    {"RFC 7672 s2.2.2: secure TLSA there: that is the base domain", .a = A_SECURE_ALIAS,
     .aaaa = NONE, .expanded = TLSA, .policy = HOST_DANE, .base = HOST_TARGET},
    {"RFC 7672 s2.2.3: secure but unusable there: the search ends too", .a = A_SECURE_ALIAS,
     .aaaa = NONE, .expanded = TLSA_UNUSABLE, .policy = HOST_ENCRYPT, .base = HOST_TARGET},
    {"RFC 7672 s2.2.3: none there: the original name MUST be tried", .a = A_SECURE_ALIAS,
     .aaaa = NONE, .expanded = "nxdomain secure", .ask = ASK(TLSA_ORIGINAL)},
    {"RFC 7672 s2.2.3: insecure there: the next candidate is tried", .a = A_SECURE_ALIAS,
     .aaaa = NONE, .expanded = TLSA_INSECURE, .ask = ASK(TLSA_ORIGINAL)},
    {"RFC 7672 s2.2.3: insecurely absent there: the next candidate is tried", .a = A_SECURE_ALIAS,
     .aaaa = NONE, .expanded = NONE_INSECURE, .ask = ASK(TLSA_ORIGINAL)},
    {"RFC 7672 s2.2.2: found at the original name", .a = A_SECURE_ALIAS, .aaaa = NONE,
     .expanded = NONE, .original = TLSA, .policy = HOST_DANE},
    {"RFC 7672 s2.2.2: at neither: DANE does not apply", .a = A_SECURE_ALIAS, .aaaa = NONE,
     .expanded = NONE, .original = NONE, .policy = HOST_MAY},
    {"D7: an error at the first candidate ends the search", .a = A_SECURE_ALIAS, .aaaa = NONE,
     .expanded = FAILED, .policy = HOST_SKIP, .reason = REASON_DNSSEC_INVALID, .base = HOST_TARGET},
    {"D7: even if the second candidate is known and good", .a = A_SECURE_ALIAS, .aaaa = NONE,
     .expanded = FAILED, .original = TLSA, .policy = HOST_SKIP, .reason = REASON_DNSSEC_INVALID,
     .base = HOST_TARGET},
    {"D7: an error at the second candidate skips the host", .a = A_SECURE_ALIAS, .aaaa = NONE,
     .expanded = NONE, .original = FAILED, .policy = HOST_SKIP, .reason = REASON_DNSSEC_INVALID},
    {"RFC 7672 s2.2.2: insecure address over an alias: is the alias itself secure?",
     .a = A_INSECURE_ALIAS, .aaaa = NONE_INSECURE, .ask = ASK(CNAME)},
    {"RFC 7672 s2.2.2: initial CNAME insecure: DANE does not apply", .a = A_INSECURE_ALIAS,
     .aaaa = NONE, .cname = CNAME_INSECURE, .policy = HOST_MAY},
    {"RFC 7672 s2.2.2: otherwise a search with the original name", .a = A_INSECURE_ALIAS,
     .aaaa = NONE, .cname = CNAME_SECURE, .ask = ASK(TLSA_ORIGINAL)},
    {"RFC 7672 s2.2.2: ... never with the expanded one", .a = A_INSECURE_ALIAS, .aaaa = NONE,
     .cname = CNAME_SECURE, .expanded = TLSA, .original = NONE, .policy = HOST_MAY},
    {"RFC 7672 s2.2.2: found there", .a = A_INSECURE_ALIAS, .aaaa = NONE, .cname = CNAME_SECURE,
     .original = TLSA, .policy = HOST_DANE},
    {"RFC 7672 s2.2.2: errors there skip", .a = A_INSECURE_ALIAS, .aaaa = NONE,
     .cname = CNAME_SECURE, .original = FAILED, .policy = HOST_SKIP,
     .reason = REASON_DNSSEC_INVALID},
    {"RFC 7672 s2.2.2: an error of any query in the process, here CNAME", .a = A_INSECURE_ALIAS,
     .aaaa = NONE, .cname = FAILED, .policy = HOST_SKIP, .reason = REASON_DNS_FAILED},
    {"D1: a proven absence of the CNAME that was just seen is a contradiction",
     .a = A_INSECURE_ALIAS, .aaaa = NONE, .cname = NONE, .policy = HOST_SKIP,
     .reason = REASON_DNS_FAILED},
    {"D7: an unsigned absence of it is not", .a = A_INSECURE_ALIAS, .aaaa = NONE,
     .cname = NONE_INSECURE, .policy = HOST_MAY},
    {"D7: IPv6 through the secure alias leads over insecure IPv4", .a = A_INSECURE_ALIAS,
     .aaaa = AAAA_SECURE_ALIAS, .ask = ASK(TLSA_EXPANDED), .base = HOST_TARGET},
    {"D7: mx-alias = refuse", .a = A_SECURE_ALIAS, .aaaa = NONE, .policy = HOST_SKIP,
     .reason = REASON_ALIAS_REFUSED, .refuse_alias = true},
    {"D7: mx-alias = refuse, insecure", .a = A_INSECURE_ALIAS, .aaaa = NONE, .policy = HOST_SKIP,
     .reason = REASON_ALIAS_REFUSED, .refuse_alias = true},
    {"D7: mx-alias = refuse at level may", .a = A_INSECURE_ALIAS, .aaaa = NONE, .policy = HOST_SKIP,
     .reason = REASON_ALIAS_REFUSED, .refuse_alias = true, .no_dane = true},
    {"RFC 7672 s2.2.2: names not from MX must be expanded: refuse does not apply",
     .a = A_SECURE_ALIAS, .aaaa = NONE, .expanded = TLSA, .policy = HOST_DANE, .base = HOST_TARGET,
     .refuse_alias = true, .implicit = true},
};

static const struct host_row policies[] = {
    {"S1: submission: an address is enough, TLSA is never asked for", .a = A_SECURE, .aaaa = NONE,
     .policy = HOST_PKIX, .pkix = true},
    {"S1: the same over insecure DNS: the certificate decides", .a = A_INSECURE, .aaaa = NONE,
     .policy = HOST_PKIX, .pkix = true},
    {"S1: the same over an alias: the name is the one that was given", .a = A_INSECURE_ALIAS,
     .aaaa = NONE, .policy = HOST_PKIX, .pkix = true},
    {"S1: whatever the level, never may", .a = A_INSECURE, .aaaa = NONE, .policy = HOST_PKIX,
     .pkix = true, .no_dane = true},
    {"S1: no address", .a = FAILED, .aaaa = FAILED, .policy = HOST_SKIP,
     .reason = REASON_DNS_FAILED, .pkix = true},
    {"S1: an absence that anybody can forge is no reason to bounce", .a = NONE_INSECURE,
     .aaaa = NONE_INSECURE, .policy = HOST_SKIP, .reason = REASON_ADDRESS_UNPROVEN, .pkix = true},
    {"S1: a proven one is", .a = NONE, .aaaa = NONE, .policy = HOST_SKIP,
     .reason = REASON_NO_ADDRESS, .pkix = true},
    {"M1: submission under dane-only: a CA is not DANE", .policy = HOST_SKIP, .pkix = true,
     .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY},
    {"D12: a Unix socket: nothing is asked", .policy = HOST_LOCAL, .unix_socket = true},
    {"D12: LMTP to it", .policy = HOST_LOCAL, .unix_socket = true, .lmtp = true},
    {"D12: under dane-only: there is no line that somebody could sit on", .policy = HOST_LOCAL,
     .unix_socket = true, .lmtp = true, .level_instead = LEVEL_DANE_ONLY},
    {"D12: LMTP to loopback", .policy = HOST_LOCAL, .lmtp = true, .literal = true,
     .loopback = true},
    {"D12: the same at level may", .policy = HOST_LOCAL, .lmtp = true, .literal = true,
     .loopback = true, .level_may = true},
    {"D12, M1: under dane-only: any user may listen there", .policy = HOST_SKIP, .lmtp = true,
     .literal = true, .loopback = true, .reason = REASON_DANE_REQUIRED,
     .level_instead = LEVEL_DANE_ONLY},
    {"D10: SMTP to loopback is SMTP", .policy = HOST_MAY, .literal = true, .loopback = true},
    {"D12: LMTP to an address: TLS or nothing", .policy = HOST_ENCRYPT, .lmtp = true,
     .literal = true},
    {"D12: unless the level says may", .policy = HOST_MAY, .lmtp = true, .literal = true,
     .level_may = true},
    {"D12, M1: under dane-only", .policy = HOST_SKIP, .lmtp = true, .literal = true,
     .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY},
    {"D12: LMTP to a host with records: DANE", .a = A_SECURE, .aaaa = NONE, .original = TLSA,
     .policy = HOST_DANE, .lmtp = true},
    {"D12: unusable records", .a = A_SECURE, .aaaa = NONE, .original = TLSA_UNUSABLE,
     .policy = HOST_ENCRYPT, .lmtp = true},
    {"D12: LMTP to a host without records: TLS or nothing", .a = A_SECURE, .aaaa = NONE,
     .original = NONE, .policy = HOST_ENCRYPT, .lmtp = true},
    {"D12: the same in an unsigned zone", .a = A_INSECURE, .aaaa = NONE, .policy = HOST_ENCRYPT,
     .lmtp = true},
    {"D12: behind an alias into one", .a = A_INSECURE_ALIAS, .aaaa = NONE, .cname = CNAME_INSECURE,
     .policy = HOST_ENCRYPT, .lmtp = true},
    {"D12, T11: level may", .a = A_SECURE, .aaaa = NONE, .policy = HOST_MAY, .lmtp = true,
     .no_dane = true, .level_may = true},
    {"D12, D9: a failed lookup is no absence", .a = A_SECURE, .aaaa = NONE, .original = FAILED,
     .policy = HOST_SKIP, .reason = REASON_DNSSEC_INVALID, .lmtp = true},
    {"D12, M1: dane-only", .a = A_SECURE, .aaaa = NONE, .original = NONE, .policy = HOST_SKIP,
     .reason = REASON_DANE_REQUIRED, .lmtp = true, .level_instead = LEVEL_DANE_ONLY},
    {"T11: no_dane: may without a question about TLSA", .a = A_SECURE, .aaaa = NONE,
     .policy = HOST_MAY, .no_dane = true},
    {"T11: no_dane: the same over an alias", .a = A_INSECURE_ALIAS, .aaaa = NONE,
     .policy = HOST_MAY, .no_dane = true},
    {"T11: no_dane: without an address there is still no way", .a = FAILED, .aaaa = FAILED,
     .policy = HOST_SKIP, .reason = REASON_DNS_FAILED, .no_dane = true},
    {"D5: insecure MX, level dane: the host's TLSA counts", .a = A_SECURE, .aaaa = NONE,
     .original = TLSA, .policy = HOST_DANE, .insecure_mx = true},
    {"M1: dane-only over an insecure MX: nothing is asked", .policy = HOST_SKIP,
     .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY, .insecure_mx = true},
    {"M1: dane-only with usable TLSA", .a = A_SECURE, .aaaa = NONE, .original = TLSA,
     .policy = HOST_DANE, .level_instead = LEVEL_DANE_ONLY},
    {"M1, RFC 7672 s6: no usable TLSA records: delayed", .a = A_SECURE, .aaaa = NONE,
     .original = TLSA_UNUSABLE, .policy = HOST_SKIP, .reason = REASON_DANE_REQUIRED,
     .level_instead = LEVEL_DANE_ONLY},
    {"M1: no TLSA records: delayed", .a = A_SECURE, .aaaa = NONE, .original = NONE,
     .policy = HOST_SKIP, .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY},
    {"M1: insecure TLSA records: delayed", .a = A_SECURE, .aaaa = NONE, .original = TLSA_INSECURE,
     .policy = HOST_SKIP, .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY},
    {"M1: insecure addresses: delayed", .a = A_INSECURE, .aaaa = NONE, .policy = HOST_SKIP,
     .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY},
    {"M1: insecure alias: delayed", .a = A_INSECURE_ALIAS, .aaaa = NONE, .cname = CNAME_INSECURE,
     .policy = HOST_SKIP, .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY},
    {"M1: a failed lookup says that it failed", .a = A_SECURE, .aaaa = NONE, .original = FAILED,
     .policy = HOST_SKIP, .reason = REASON_DNSSEC_INVALID, .level_instead = LEVEL_DANE_ONLY},
    {"M1: unsigned absence of addresses can be forged: temporary", .a = NONE_INSECURE, .aaaa = NONE,
     .policy = HOST_SKIP, .reason = REASON_DANE_REQUIRED, .level_instead = LEVEL_DANE_ONLY},
    {"M1: proven absence of addresses is permanent for everybody", .a = NONE, .aaaa = NONE,
     .policy = HOST_SKIP, .reason = REASON_NO_ADDRESS, .level_instead = LEVEL_DANE_ONLY},
};

static void run_row(const struct host_row *r)
{
	const char *text[] = {r->a, r->aaaa, r->cname, r->expanded, r->original};
	struct host_case c;
	host_case_init(&c, text);
	c.facts.no_dane = r->no_dane;
	c.facts.pkix = r->pkix;
	c.facts.unix_socket = r->unix_socket;
	c.facts.lmtp = r->lmtp;
	c.facts.literal = r->literal;
	c.facts.loopback = r->loopback;
	c.facts.mx_secure = !r->insecure_mx;
	c.facts.implicit = r->implicit;
	c.facts.no_ipv4 = r->no_ipv4;
	c.facts.no_ipv6 = r->no_ipv6;
	struct dane_policy p = {
	    .level = r->level_instead == LEVEL_MAY ? LEVEL_DANE : r->level_instead,
	    .mx_alias = r->refuse_alias ? MX_ALIAS_REFUSE : MX_ALIAS_FOLLOW,
	    .port = 25,
	};
	if (r->level_may)
		p.level = LEVEL_MAY;
	struct host_verdict v;
	host_decide(&p, &c.facts, &v);
	row_check(v.decided == (r->ask == 0), r->rule);
	row_check(v.ask == r->ask, r->rule);
	row_check(strcmp(v.base, r->base != NULL ? r->base : HOST_NAME) == 0, r->rule);
	if (v.decided) {
		row_check(v.policy == r->policy, r->rule);
		row_check(v.reason == r->reason, r->rule);
	}
	host_case_free(&c);
}

static void address_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(addresses); i++)
		run_row(&addresses[i]);
}

static void plain_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(plain); i++)
		run_row(&plain[i]);
}

static void alias_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(aliases); i++)
		run_row(&aliases[i]);
}

static void policy_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(policies); i++)
		run_row(&policies[i]);
}

struct name_row {
	const char *rule;
	const char *name;
	bool literal;
	enum dane_level level;
	enum host_policy policy;
	enum reason reason;
	bool asks;
};

static const struct name_row names[] = {
    {"D10, RFC 7672 s2.2: an address literal: DANE does not apply", "192.0.2.1", true, LEVEL_DANE,
     HOST_MAY, REASON_OK, false},
    {"D10: the same for IPv6", "2001:db8::1", true, LEVEL_DANE, HOST_MAY, REASON_OK, false},
    {"M1: an address literal cannot satisfy mandatory DANE", "192.0.2.1", true, LEVEL_DANE_ONLY,
     HOST_SKIP, REASON_DANE_REQUIRED, false},
    {"RFC 5321 s5.1: an exchange that is no host name is skipped unasked", "bad name", false,
     LEVEL_DANE, HOST_SKIP, REASON_BAD_HOST_NAME, false},
    {"RFC 7505 s3: \".\" among others is no host", ".", false, LEVEL_DANE, HOST_SKIP,
     REASON_BAD_HOST_NAME, false},
    {"a host name that only looks like an address", "999.1.1.1", false, LEVEL_DANE, HOST_SKIP,
     REASON_BAD_HOST_NAME, false},
    {"D10: A-labels are ordinary names", "xn--bcher-kva.example", false, LEVEL_DANE, HOST_SKIP,
     REASON_OK, true},
    {"underscores are seen in practice", "mail_1.example.org", false, LEVEL_DANE, HOST_SKIP,
     REASON_OK, true},
};

static void name_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(names); i++) {
		const struct name_row *r = &names[i];
		struct dane_policy p = {.level = r->level, .port = 25};
		struct host_facts f = {.name = r->name, .literal = r->literal, .mx_secure = true};
		struct host_verdict v;
		host_decide(&p, &f, &v);
		row_check(v.decided != r->asks, r->rule);
		row_check((v.ask != 0) == r->asks, r->rule);
		row_check(r->asks || (v.policy == r->policy && v.reason == r->reason), r->rule);
	}
}

/* What decided a skip is shown to people: it must be the answer that did. */
static void culprit_is_named(void **state)
{
	(void)state;
	struct dane_policy p = {.level = LEVEL_DANE, .port = 25};
	const char *const text[] = {A_INSECURE_ALIAS, NONE, FAILED, NULL, NULL};
	struct host_case c;
	struct host_verdict v;
	host_case_init(&c, text);
	host_decide(&p, &c.facts, &v);
	assert_ptr_equal(v.culprit, c.answer[HOST_Q_CNAME]);
	host_case_free(&c);
	const char *const both[] = {NONE, FAILED, NULL, NULL, NULL};
	host_case_init(&c, both);
	host_decide(&p, &c.facts, &v);
	assert_ptr_equal(v.culprit, c.answer[HOST_Q_AAAA]);
	host_case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(address_rows), cmocka_unit_test(plain_rows),
	    cmocka_unit_test(alias_rows),   cmocka_unit_test(policy_rows),
	    cmocka_unit_test(name_rows),    cmocka_unit_test(culprit_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
