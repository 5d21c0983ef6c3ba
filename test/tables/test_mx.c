/* SPDX-License-Identifier: MIT */
/* What the MX answer means: one row per sentence (D3, D5, M1). */
#include "table.h"

#include "dane/hosts.h"

#define SECURE_MX "secure 10 mx1.example.org"
#define INSECURE_MX "insecure 10 mx1.example.org"

struct mx_row {
	const char *rule;
	enum dane_level level;
	enum insecure_mx insecure_mx;
	const char *mx;
	enum mx_kind kind;
	enum reason reason; /* MX_END */
	bool secure;
	bool no_dane;
};

static const struct mx_row rows[] = {
    {"D3, RFC 7672 s2.1.2: a failed MX lookup delays delivery", LEVEL_DANE, INSECURE_MX_DANE,
     "failed bogus", MX_END, REASON_DNS_FAILED},
    {"D3: the same at level may", LEVEL_MAY, INSECURE_MX_DANE, "failed timeout", MX_END,
     REASON_DNS_FAILED},
    {"D3: the same under mandatory DANE", LEVEL_DANE_ONLY, INSECURE_MX_DANE, "failed", MX_END,
     REASON_DNS_FAILED},
    {"D3: the same with insecure-mx = may", LEVEL_DANE, INSECURE_MX_MAY, "failed", MX_END,
     REASON_DNS_FAILED},
    {"RFC 5321 s5.1: no MX but the name exists: the domain is its own host", LEVEL_DANE,
     INSECURE_MX_DANE, "absent secure", MX_IMPLICIT, REASON_OK, .secure = true},
    {"RFC 7672 s2.1.1: insecure absence of MX is an answer, not an error", LEVEL_DANE,
     INSECURE_MX_DANE, "absent insecure", MX_IMPLICIT},
    {"D5: insecure absence with insecure-mx = may: no DANE", LEVEL_DANE, INSECURE_MX_MAY,
     "absent insecure", MX_IMPLICIT, .no_dane = true},
    {"M1: insecure absence can be forged: mandatory DANE delays", LEVEL_DANE_ONLY, INSECURE_MX_DANE,
     "absent insecure", MX_END, REASON_DANE_REQUIRED},
    {"M1: proven absence is as good as a secure MX", LEVEL_DANE_ONLY, INSECURE_MX_DANE,
     "absent secure", MX_IMPLICIT, REASON_OK, .secure = true},
    {"RFC 5321 s5.1: NXDOMAIN is permanent", LEVEL_DANE, INSECURE_MX_DANE, "nxdomain secure",
     MX_END, REASON_NO_SUCH_DOMAIN},
    {"RFC 5321 s5.1: NXDOMAIN of an unsigned domain too", LEVEL_DANE, INSECURE_MX_DANE,
     "nxdomain insecure", MX_END, REASON_NO_SUCH_DOMAIN},
    {"M1: an unsigned NXDOMAIN can be forged: mandatory DANE delays", LEVEL_DANE_ONLY,
     INSECURE_MX_DANE, "nxdomain insecure", MX_END, REASON_DANE_REQUIRED},
    {"M1: a proven NXDOMAIN is permanent for everybody", LEVEL_DANE_ONLY, INSECURE_MX_DANE,
     "nxdomain secure", MX_END, REASON_NO_SUCH_DOMAIN},
    {"RFC 5321 s5.1: an alias to a name that does not exist", LEVEL_DANE, INSECURE_MX_DANE,
     "nxdomain secure via gone.example.org", MX_END, REASON_NO_SUCH_DOMAIN},
    {"RFC 7505 s3: null MX", LEVEL_DANE, INSECURE_MX_DANE, "secure 0 .", MX_END, REASON_NULL_MX},
    {"RFC 7505 s3: null MX of an unsigned domain", LEVEL_MAY, INSECURE_MX_DANE, "insecure 0 .",
     MX_END, REASON_NULL_MX},
    {"RFC 7505 s3: the preference does not matter", LEVEL_DANE, INSECURE_MX_DANE, "secure 10 .",
     MX_END, REASON_NULL_MX},
    {"RFC 7505 s3: null MX through an alias", LEVEL_DANE, INSECURE_MX_DANE,
     "secure via real.example.net 0 .", MX_END, REASON_NULL_MX},
    {"M1: an unsigned null MX can be forged: mandatory DANE delays", LEVEL_DANE_ONLY,
     INSECURE_MX_DANE, "insecure 0 .", MX_END, REASON_DANE_REQUIRED},
    {"RFC 7505 s3: \".\" beside another exchange is no null MX", LEVEL_DANE, INSECURE_MX_DANE,
     "secure 0 ., 10 mx1.example.org", MX_HOSTS, REASON_OK, .secure = true},
    {"RFC 7672 s2.2.1: a secure MX RRset", LEVEL_DANE, INSECURE_MX_DANE, SECURE_MX, MX_HOSTS,
     REASON_OK, .secure = true},
    {"RFC 7672 s2.2.1: with an insecure MX RRset the client MAY elect to use DANE", LEVEL_DANE,
     INSECURE_MX_DANE, INSECURE_MX, MX_HOSTS},
    {"RFC 7672 s2.2.1: ... or is free to use opportunistic TLS", LEVEL_DANE, INSECURE_MX_MAY,
     INSECURE_MX, MX_HOSTS, .no_dane = true},
    {"D5: insecure-mx = may changes nothing for a secure MX", LEVEL_DANE, INSECURE_MX_MAY,
     SECURE_MX, MX_HOSTS, REASON_OK, .secure = true},
    {"RFC 7672 s2.2.1: insecure MX and mandatory DANE: delivery MUST be delayed", LEVEL_DANE_ONLY,
     INSECURE_MX_DANE, INSECURE_MX, MX_END, REASON_DANE_REQUIRED},
    {"RFC 7672 s2.2.1: ... whatever insecure-mx says", LEVEL_DANE_ONLY, INSECURE_MX_MAY,
     INSECURE_MX, MX_END, REASON_DANE_REQUIRED},
    {"M1: mandatory DANE over a secure MX", LEVEL_DANE_ONLY, INSECURE_MX_MAY, SECURE_MX, MX_HOSTS,
     REASON_OK, .secure = true},
    {"T11: level may never looks for TLSA", LEVEL_MAY, INSECURE_MX_DANE, SECURE_MX, MX_HOSTS,
     REASON_OK, .secure = true, .no_dane = true},
    {"T11: level may and no MX", LEVEL_MAY, INSECURE_MX_DANE, "absent secure", MX_IMPLICIT,
     REASON_OK, .secure = true, .no_dane = true},
};

static void mx_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct mx_row *r = &rows[i];
		struct dane_policy p = {.level = r->level, .insecure_mx = r->insecure_mx};
		struct answer *mx = row_answer("example.org", DNS_MX, r->mx);
		struct mx_verdict v = {0};
		mx_decide(&p, mx, &v);
		row_check(v.kind == r->kind, r->rule);
		if (v.kind == MX_END) {
			row_check(v.reason == r->reason, r->rule);
		} else {
			row_check(v.secure == r->secure, r->rule);
			row_check(v.no_dane == r->no_dane, r->rule);
		}
		answer_unref(&mx);
	}
}

/* M1: no answer whatever lets mandatory DANE fail for good unless DNSSEC has proven it. */
static void mandatory_dane_never_bounces_unproven(void **state)
{
	static const char *const unproven[] = {
	    "failed",       "absent insecure", "nxdomain insecure",
	    "insecure 0 .", INSECURE_MX,       "insecure 10 127.0.0.1"};
	(void)state;
	for (size_t i = 0; i < ROWS(unproven); i++) {
		struct dane_policy p = {.level = LEVEL_DANE_ONLY};
		struct answer *mx = row_answer("example.org", DNS_MX, unproven[i]);
		struct mx_verdict v = {0};
		mx_decide(&p, mx, &v);
		row_check(v.kind == MX_END, unproven[i]);
		row_check(reason_fate(v.reason) != FATE_FAIL, unproven[i]);
		answer_unref(&mx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mx_rows),
	    cmocka_unit_test(mandatory_dane_never_bounces_unproven),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
