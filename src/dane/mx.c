/* SPDX-License-Identifier: MIT */
/*
 * What the MX answer of the next-hop domain means (D3, D5, M1). Knows nothing of hosts, addresses
 * or TLSA.
 */
#include "dane/hosts.h"

#include <string.h>

static struct mx_verdict ended(enum reason r, const char *detail)
{
	return (struct mx_verdict){.kind = MX_END, .reason = r, .detail = detail};
}

/*
 * Mandatory DANE wants every step proven. Without proof a permanent error could be forged, so the
 * mail waits (M1, RFC 7672 s6 and s2.2.1).
 */
static struct mx_verdict unproven(const char *what)
{
	return ended(REASON_DANE_REQUIRED, what);
}

static bool is_null_mx(const struct answer *mx)
{
	return mx->nrr == 1 && strcmp(mx->rr[0].u.mx.exchange, ".") == 0;
}

static struct mx_verdict decide_absent(const struct dane_policy *p, const struct answer *mx)
{
	bool doubt = p->level == LEVEL_DANE_ONLY && !mx->absence_secure;
	if (doubt)
		return unproven("the absence of MX records is not signed");
	if (mx->nxdomain) /* D3, RFC 5321 s5.1 */
		return ended(REASON_NO_SUCH_DOMAIN, NULL);
	return (struct mx_verdict){.kind = MX_IMPLICIT, .secure = mx->absence_secure};
}

static struct mx_verdict decide_records(const struct dane_policy *p, const struct answer *mx)
{
	bool secure = mx->status == DNS_SECURE;
	if (p->level == LEVEL_DANE_ONLY && !secure) /* RFC 7672 s2.2.1: delivery MUST be delayed */
		return unproven("the MX records are not signed");
	if (is_null_mx(mx)) /* RFC 7505 s3 */
		return ended(REASON_NULL_MX, NULL);
	return (struct mx_verdict){.kind = MX_HOSTS, .secure = secure};
}

void mx_decide(const struct dane_policy *p, const struct answer *mx, struct mx_verdict *out)
{
	switch (mx->status) {
	case DNS_FAILED: /* D3: never fall back to address records */
		*out = ended(REASON_DNS_FAILED, mx->why);
		return;
	case DNS_ABSENT:
		*out = decide_absent(p, mx);
		break;
	case DNS_SECURE:
	case DNS_INSECURE:
		*out = decide_records(p, mx);
		break;
	}
	out->no_dane =
	    p->level == LEVEL_MAY || (!out->secure && p->insecure_mx == INSECURE_MX_MAY); /* D5 */
}
