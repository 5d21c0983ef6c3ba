/* SPDX-License-Identifier: MIT */
/*
 * What may be done with one host (D6-D10, M1; RFC 7672 s2.1.2, s2.1.3, s2.2.2, s2.2.3): a pure
 * function that is called again after each answer and either names the next question or decides.
 * Knows no network; refuses to guess: a state that is not understood is HOST_SKIP, never HOST_MAY.
 */
#include "dane/hosts.h"

#include "wire/dname.h"

#include <stdio.h>
#include <string.h>

static void ask(struct host_verdict *v, enum host_query q)
{
	v->ask |= 1u << q;
}

static void skip(struct host_verdict *v, enum reason r, const struct answer *culprit)
{
	v->decided = true;
	v->policy = HOST_SKIP;
	v->reason = r;
	v->culprit = culprit;
}

static void settle(struct host_verdict *v, enum host_policy policy)
{
	v->decided = true;
	v->policy = policy;
	v->reason = REASON_OK;
}

/* No secure TLSA records: opportunistic TLS, unless DANE is mandatory here (M1). LMTP is a route
 * that somebody wrote down, to a server that can be told to offer TLS: clear text only where the
 * level says so (D12). */
static void without_tlsa(const struct dane_policy *p, const struct host_facts *f,
			 struct host_verdict *v)
{
	if (p->level == LEVEL_DANE_ONLY)
		skip(v, REASON_DANE_REQUIRED, NULL);
	else if (f->lmtp && p->level != LEVEL_MAY)
		settle(v, HOST_ENCRYPT);
	else
		settle(v, HOST_MAY);
}

/* D10, D12: an address without a name. Any user of this machine can listen on a port of loopback:
 * under mandatory DANE that is a host like others. */
static void decide_literal(const struct dane_policy *p, const struct host_facts *f,
			   struct host_verdict *v)
{
	if (f->pkix) /* S1: no name, nothing to verify */
		skip(v, REASON_BAD_HOST_NAME, NULL);
	else if (f->lmtp && f->loopback && p->level != LEVEL_DANE_ONLY)
		settle(v, HOST_LOCAL);
	else
		without_tlsa(p, f, v);
}

/* D9: secure TLSA records are there. */
static void with_tlsa(const struct dane_policy *p, const struct host_facts *f, enum host_query q,
		      const char *base, struct host_verdict *v)
{
	const struct tlsa_set *set = f->tlsa[q];
	v->base = base;
	v->tlsa = q;
	if (set == NULL ||
	    set->unknown) { /* T10: nobody judged them here: not the peer's fault, and no licence */
		skip(v, REASON_LOCAL_ERROR, f->answer[q]);
	} else if (set->usable > 0) {
		settle(v, HOST_DANE);
	} else if (p->level == LEVEL_DANE_ONLY) {
		skip(v, REASON_DANE_REQUIRED, f->answer[q]);
	} else {
		settle(v, HOST_ENCRYPT); /* RFC 7672 s2.2: secure, unusable */
	}
}

static bool has_records(const struct answer *a)
{
	return a != NULL && (a->status == DNS_SECURE || a->status == DNS_INSECURE) && a->nrr > 0;
}

/* One candidate TLSA base domain. Returns true when it settles the host or the answer is still out.
 */
static bool try_base(const struct dane_policy *p, const struct host_facts *f, enum host_query q,
		     const char *base, struct host_verdict *v)
{
	const struct answer *a = f->answer[q];
	v->tlsa = q;
	v->base = base;
	if (!hostname_is_valid(
		slice_str(base))) { /* an alias to a name that no certificate and no SNI can have */
		skip(v, REASON_BAD_HOST_NAME, NULL);
		return true;
	}
	if (a == NULL) {
		ask(v, q);
		return true;
	}
	switch (a->status) {
	case DNS_FAILED: /* RFC 7672 s2.1.2: MUST NOT deliver via that server; D7: ends the search
			  */
		skip(v, REASON_DNSSEC_INVALID, a);
		return true;
	case DNS_SECURE:
		if (a->nrr == 0) /* cannot be: an answer without records is absent */
			skip(v, REASON_LOCAL_ERROR, a);
		else
			with_tlsa(p, f, q, base, v);
		return true;
	case DNS_INSECURE:
	case DNS_ABSENT:
		return false;
	}
	skip(v, REASON_LOCAL_ERROR, a);
	return true;
}

/* RFC 7672 s2.2.2, addresses secure: the expanded name first, then the original one. */
static void decide_secure(const struct dane_policy *p, const struct host_facts *f,
			  const struct answer *addr, struct host_verdict *v)
{
	if (addr->naliases > 0 && try_base(p, f, HOST_Q_TLSA_EXPANDED, addr->canonical, v))
		return;
	if (try_base(p, f, HOST_Q_TLSA_ORIGINAL, f->name, v))
		return;
	v->base = f->name;
	without_tlsa(p, f, v);
}

/* RFC 7672 s2.2.2, addresses insecure: only a secure first alias leaves room for DANE, at the
 * original name. */
static void decide_insecure(const struct dane_policy *p, const struct host_facts *f,
			    const struct answer *addr, struct host_verdict *v)
{
	if (addr->naliases == 0) { /* D6: no TLSA query at all */
		without_tlsa(p, f, v);
		return;
	}
	const struct answer *cname = f->answer[HOST_Q_CNAME];
	if (cname == NULL) {
		ask(v, HOST_Q_CNAME);
		return;
	}
	bool contradiction = cname->status == DNS_ABSENT && cname->absence_secure;
	if (cname->status == DNS_FAILED || contradiction) {
		skip(v, REASON_DNS_FAILED, cname);
		return;
	}
	if (cname->status == DNS_SECURE && try_base(p, f, HOST_Q_TLSA_ORIGINAL, f->name, v))
		return;
	v->base = f->name;
	without_tlsa(p, f, v);
}

/* An alias into an unsigned zone may still have TLSA records at its own name (D7): whoever forges
 * the end of the alias must not make mail bounce. */
static bool could_have_dane(const struct dane_policy *p, const struct host_facts *f,
			    const struct answer *absence)
{
	return p->level != LEVEL_MAY && f->mx_secure && !f->no_dane && absence->naliases > 0;
}

static void no_addresses(const struct dane_policy *p, const struct host_facts *f,
			 struct host_verdict *v)
{
	static const enum host_query families[] = {HOST_Q_A, HOST_Q_AAAA};
	const struct answer *last = NULL, *failed = NULL, *unproven = NULL;
	for (size_t i = 0; i < 2; i++) {
		const struct answer *a = f->answer[families[i]];
		if (a == NULL)
			continue;
		last = a;
		if (a->status == DNS_FAILED)
			failed = a;
		else if (!a->absence_secure)
			unproven = a;
	}
	if (failed != NULL) /* it may have an address: a temporary matter */
		skip(v, REASON_DNS_FAILED, failed);
	else if (unproven != NULL && p->level == LEVEL_DANE_ONLY) /* M1: forged, for all we know */
		skip(v, REASON_DANE_REQUIRED, unproven);
	else if (unproven != NULL && f->pkix) /* S1: nobody on the line can make it bounce */
		skip(v, REASON_ADDRESS_UNPROVEN, unproven);
	else if (unproven != NULL && could_have_dane(p, f, unproven)) /* T7 */
		skip(v, REASON_ADDRESS_UNPROVEN, unproven);
	else if (f->no_ipv4 ||
		 f->no_ipv6) /* the other family was not asked for: no reason to bounce */
		skip(v, REASON_CONNECT_FAILED, last);
	else
		skip(v, REASON_NO_ADDRESS, last);
}

/* The address answer that leads: one with records, a secure one before an insecure one. */
static const struct answer *leading_answer(const struct host_facts *f)
{
	const struct answer *a = f->answer[HOST_Q_A];
	const struct answer *b = f->answer[HOST_Q_AAAA];
	if (!has_records(a))
		return has_records(b) ? b : NULL;
	if (has_records(b) && a->status != DNS_SECURE && b->status == DNS_SECURE)
		return b;
	return a;
}

static void decide_by_address(const struct dane_policy *p, const struct host_facts *f,
			      struct host_verdict *v)
{
	const struct answer *addr = leading_answer(f);
	if (addr == NULL) {
		no_addresses(p, f, v);
	} else if (f->pkix) {
		settle(v, HOST_PKIX);
	} else if (addr->naliases > 0 && p->mx_alias == MX_ALIAS_REFUSE && !f->implicit) {
		skip(v, REASON_ALIAS_REFUSED, addr);
	} else if (f->no_dane) {
		settle(v, HOST_MAY);
	} else if (addr->status == DNS_SECURE) {
		decide_secure(p, f, addr, v);
	} else {
		decide_insecure(p, f, addr, v);
	}
}

void host_decide(const struct dane_policy *p, const struct host_facts *f, struct host_verdict *out)
{
	*out = (struct host_verdict){.base = f->name, .tlsa = HOST_Q_COUNT};
	if (f->unix_socket) { /* D12: whoever may listen there may read the mail anyway */
		settle(out, HOST_LOCAL);
		return;
	}
	if (f->literal) {
		decide_literal(p, f, out);
		return;
	}
	if (!hostname_is_valid(slice_str(f->name))) {
		skip(out, REASON_BAD_HOST_NAME, NULL);
		return;
	}
	if (p->level == LEVEL_DANE_ONLY && (!f->mx_secure || f->pkix)) { /* M1: no CA will do */
		skip(out, REASON_DANE_REQUIRED, NULL);
		return;
	}
	if (f->answer[HOST_Q_A] == NULL && !f->no_ipv4)
		ask(out, HOST_Q_A);
	if (f->answer[HOST_Q_AAAA] == NULL && !f->no_ipv6)
		ask(out, HOST_Q_AAAA);
	if (out->ask == 0)
		decide_by_address(p, f, out);
}

bool tlsa_owner_name(uint16_t port, const char *base, char *out, size_t room)
{
	int n = snprintf(out, room, "_%u._tcp.%s", (unsigned)port, base);
	if (n < 0 || (size_t)n >= room)
		return false;
	struct dname name;
	return dname_from_text(slice_str(out), &name) == DNAME_OK;
}

static void add_reference_name(struct tls_terms *t, const char *name)
{
	if (name == NULL || t->nreference_names == REFERENCE_NAMES_MAX)
		return;
	for (size_t i = 0; i < t->nreference_names; i++) {
		if (strcmp(t->reference_names[i], name) == 0)
			return;
	}
	t->reference_names[t->nreference_names++] = name;
}

void reference_names_set(const struct dane_policy *p, bool mx_secure, const char *base,
			 const char *next_hop, const char *next_hop_expanded,
			 struct tls_terms *terms)
{
	terms->nreference_names = 0;
	add_reference_name(terms, base);
	if (p->reference_names == REFERENCE_BASE || !mx_secure)
		return;
	add_reference_name(terms, next_hop);
	add_reference_name(terms, next_hop_expanded);
}

const char *host_policy_name(enum host_policy p)
{
	static const char *const names[] = {
	    [HOST_DANE] = "dane", [HOST_ENCRYPT] = "encrypt", [HOST_MAY] = "may",
	    [HOST_PKIX] = "pkix", [HOST_LOCAL] = "local",     [HOST_SKIP] = "skip"};
	return names[p];
}
