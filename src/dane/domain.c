/* SPDX-License-Identifier: MIT */
/*
 * From the results of all hosts to one verdict on the domain, for `danelaw check`. Knows no text
 * and no wire.
 */
#include "dane/hosts.h"

struct tally {
	size_t authenticated; /* hosts that took us over an authenticated channel */
	size_t other;         /* hosts that took us otherwise */
	size_t dane;          /* hosts with a DANE policy, reached or not */
	size_t no_address;
	bool violated; /* a host with a policy failed it */
	enum reason worst_violation;
	enum reason worst;
};

static void count_failure(struct tally *t, const struct checked_host *h, enum reason r)
{
	t->worst = reason_worse(t->worst, r);
	bool has_policy = h->policy == HOST_DANE || h->policy == HOST_ENCRYPT;
	if (has_policy && reason_is_security(r)) {
		t->violated = true;
		t->worst_violation = reason_worse(t->worst_violation, r);
	}
}

static void count_address(struct tally *t, const struct checked_host *h,
			  const struct address_fact *a, bool *authenticated, bool *other)
{
	switch (a->result) {
	case RESULT_AUTHENTICATED:
		*authenticated = true;
		break;
	case RESULT_ENCRYPTED:
	case RESULT_CLEARTEXT:
		*other = true;
		break;
	case RESULT_FAILED:
		count_failure(t, h, a->reason);
		break;
	case RESULT_UNTRIED:
		break;
	}
}

static void count_host(struct tally *t, const struct checked_host *h, bool planned_only)
{
	bool authenticated = false, other = false;
	if (h->policy == HOST_SKIP) {
		t->worst = reason_worse(t->worst, h->reason);
		t->no_address += h->reason == REASON_NO_ADDRESS;
		return;
	}
	t->dane += h->policy == HOST_DANE;
	if (planned_only) {
		authenticated = h->policy == HOST_DANE;
		other = !authenticated;
	}
	for (size_t i = 0; i < h->naddress; i++)
		count_address(t, h, &h->address[i], &authenticated, &other);
	t->authenticated += authenticated;
	t->other += other && !authenticated;
}

static enum domain_state state_when_ended(enum reason r)
{
	return reason_fate(r) == FATE_FAIL ? DOMAIN_UNDELIVERABLE : DOMAIN_BROKEN;
}

void domain_decide(const struct domain_facts *f, struct domain_verdict *out)
{
	if (f->mx->kind == MX_END) {
		*out = (struct domain_verdict){state_when_ended(f->mx->reason), f->mx->reason};
		return;
	}
	struct tally t = {.worst = REASON_OK, .worst_violation = REASON_OK};
	for (size_t i = 0; i < f->nhost; i++)
		count_host(&t, &f->host[i], f->planned_only);

	bool nobody_took_us = t.authenticated + t.other == 0;
	if (t.violated) { /* when nobody takes mail: the reason that a delivery would give */
		enum reason r = nobody_took_us ? t.worst : t.worst_violation;
		*out = (struct domain_verdict){DOMAIN_BROKEN, r};
	} else if (t.no_address == f->nhost) {
		*out = (struct domain_verdict){DOMAIN_UNDELIVERABLE, REASON_NO_ADDRESS};
	} else if (nobody_took_us) {
		*out = (struct domain_verdict){DOMAIN_BROKEN, t.worst};
	} else if (t.other == 0) {
		out->state = f->mx->secure ? DOMAIN_PROTECTED : DOMAIN_HALF;
		out->reason = REASON_OK;
	} else {
		out->state = t.dane > 0 ? DOMAIN_PARTIAL : DOMAIN_UNPROTECTED;
		out->reason = REASON_OK;
	}
}

const char *domain_state_name(enum domain_state s)
{
	static const char *const names[] = {
	    [DOMAIN_PROTECTED] = "protected", [DOMAIN_HALF] = "half",
	    [DOMAIN_PARTIAL] = "partial",     [DOMAIN_UNPROTECTED] = "unprotected",
	    [DOMAIN_BROKEN] = "broken",       [DOMAIN_UNDELIVERABLE] = "undeliverable"};
	return names[s];
}

const char *address_result_name(enum address_result r)
{
	static const char *const names[] = {[RESULT_AUTHENTICATED] = "authenticated",
					    [RESULT_ENCRYPTED] = "encrypted",
					    [RESULT_CLEARTEXT] = "cleartext",
					    [RESULT_FAILED] = "failed",
					    [RESULT_UNTRIED] = "untried"};
	return names[r];
}
