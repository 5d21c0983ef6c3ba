/* SPDX-License-Identifier: MIT */
/*
 * One name and port: from answers and chains to findings and a promise. Knows the order in which
 * senders look (host_decide() said it); refuses to know where chains come from.
 */
#include "selfcheck/room.h"

#include <string.h>

enum { FRESH_MIN_S = 5, FRESH_MAX_S = 86400 };

static const struct place nowhere = {-1, -1};

static const struct answer *address_of(const struct selfcheck_facts *f)
{
	const struct answer *a = f->host.answer[HOST_Q_A], *b = f->host.answer[HOST_Q_AAAA];
	bool has_a = a != NULL && a->nrr > 0, has_b = b != NULL && b->nrr > 0;
	if (has_a && has_b)
		return a->status == DNS_SECURE || b->status != DNS_SECURE ? a : b;
	return has_a ? a : has_b ? b : NULL;
}

/* The TLSA answer that senders go by; where none would ask, the one at the name itself. */
static enum host_query tlsa_query_of(const struct selfcheck_facts *f)
{
	bool decided =
	    f->verdict.policy == HOST_DANE || f->verdict.policy == HOST_ENCRYPT ||
	    (f->verdict.policy == HOST_SKIP && f->verdict.reason == REASON_DNSSEC_INVALID);
	if (decided && f->verdict.tlsa != HOST_Q_COUNT && f->host.answer[f->verdict.tlsa] != NULL)
		return f->verdict.tlsa;
	return HOST_Q_TLSA_ORIGINAL;
}

struct words decision_words(struct decision *d, const struct selfcheck_chain *chain)
{
	struct words w = {
	    .host = d->f->host.name, .port = d->f->port, .owner = d->owner, .now = d->f->now};
	if (chain == NULL && d->f->nchain > 0)
		chain = &d->f->chain[0];
	if (chain == NULL)
		return w;
	w.chain = chain->label;
	w.file = chain->file != NULL ? chain->file : chain->label;
	w.target = chain->file;
	if (chain->ncert > 0)
		w.publish = selfcheck_record_line(d->list.mem, d->owner, &chain->cert[0]);
	return w;
}

static void add(struct decision *d, enum selfcheck_kind k, const struct words *w)
{
	list_add(&d->list, k, false, nowhere, w);
}

/* --- Addresses (D6, D7) --- */

static void decide_addresses(struct decision *d)
{
	const struct selfcheck_facts *f = d->f;
	const struct answer *a = address_of(f);
	struct words w = decision_words(d, NULL);
	bool failed = false;
	for (enum host_query q = HOST_Q_A; q <= HOST_Q_AAAA; q++) {
		const struct answer *x = f->host.answer[q];
		if (x != NULL && x->status == DNS_FAILED) {
			list_add_failure(&d->list, x, f->now);
			failed = true;
		}
		list_add_signature(&d->list, x, f->now, f->signature_s);
	}
	if (a == NULL) {
		if (!failed)
			add(d, SELFCHECK_NO_ADDRESS, &w);
		return;
	}
	w.other = a->canonical;
	if (a->naliases > 0)
		add(d, SELFCHECK_NAME_ALIAS, &w);
	w.asked = f->host.name;
	w.type = a->type == DNS_A ? "A" : "AAAA";
	if (a->status == DNS_INSECURE)
		add(d, SELFCHECK_INSECURE, &w);
}

/* --- TLSA --- */

static bool has_records(const struct answer *a)
{
	return a != NULL && (a->status == DNS_SECURE || a->status == DNS_INSECURE) && a->nrr > 0;
}

static void decide_absence(struct decision *d)
{
	struct words w = decision_words(d, NULL);
	for (size_t i = 0; i < d->f->nother; i++) {
		if (has_records(d->f->other[i].tlsa)) {
			w.other = d->f->other[i].tlsa->name;
			add(d, SELFCHECK_WRONG_PORT, &w);
			return;
		}
	}
	add(d, SELFCHECK_NO_TLSA, &w);
}

/* The promise as far as the lookup goes; KEPT stands for "there is one". */
static enum selfcheck_promise decide_tlsa(struct decision *d)
{
	const struct answer *a = d->out->tlsa;
	struct words w = decision_words(d, NULL);
	if (a == NULL)
		return SELFCHECK_UNKNOWN;
	switch (a->status) {
	case DNS_FAILED:
		list_add_failure(&d->list, a, d->f->now);
		return SELFCHECK_UNKNOWN;
	case DNS_ABSENT:
		decide_absence(d);
		return SELFCHECK_NOTHING;
	case DNS_INSECURE:
		w.asked = d->owner;
		w.type = "TLSA";
		add(d, SELFCHECK_INSECURE, &w);
		return SELFCHECK_NOTHING;
	case DNS_SECURE:
		list_add_signature(&d->list, a, d->f->now, d->f->signature_s);
		if (d->out->set == NULL || d->out->set->unknown)
			return SELFCHECK_UNKNOWN; /* T10 */
		d->usable = d->out->set->usable > 0;
		if (!d->usable)
			add(d, SELFCHECK_NO_USABLE_RECORD, &w);
		return d->usable ? SELFCHECK_KEPT : SELFCHECK_NOTHING;
	}
	return SELFCHECK_UNKNOWN;
}

/* A server without TLS keeps no promise. */
static void decide_no_tls(struct decision *d)
{
	struct words w = decision_words(d, NULL);
	w.detail = d->f->no_tls;
	if (d->f->no_tls != NULL)
		list_add(&d->list, SELFCHECK_NO_STARTTLS, !d->usable, nowhere, &w);
}

/* V2: where a lookup failed nobody knows by which records senders go: those at the end of an alias
 * come before those at the name. Then what looks broken may be what no sender ever sees. */
static bool way_is_known(const struct selfcheck_facts *f)
{
	if (f->verdict.policy == HOST_DANE)
		return true;
	for (enum host_query q = HOST_Q_A; q < HOST_Q_COUNT; q++) {
		const struct answer *a = f->host.answer[q];
		if (a != NULL && a->status == DNS_FAILED)
			return false;
	}
	return true;
}

/* Everything served must keep the promise: each sender gets one chain, and does not choose. */
static enum selfcheck_promise promise_of_all(const struct decision *d,
					     enum selfcheck_promise by_lookup)
{
	bool unknown = false, any = false;
	if (by_lookup != SELFCHECK_KEPT)
		return by_lookup;
	if (d->f->no_tls != NULL)
		return SELFCHECK_BROKEN;
	for (size_t i = 0; i < d->f->nchain; i++) {
		if (!d->f->chain[i].served)
			continue;
		any = true;
		if (d->out->of[i] == SELFCHECK_BROKEN)
			return SELFCHECK_BROKEN;
		unknown = unknown || d->out->of[i] == SELFCHECK_UNKNOWN;
	}
	return any && !unknown ? SELFCHECK_KEPT : SELFCHECK_UNKNOWN;
}

/* --- Until when --- */

static void lower_to_ttl(int64_t *s, const struct answer *a)
{
	for (size_t i = 0; a != NULL && i < a->nrr; i++) {
		if (a->rr[i].ttl < *s)
			*s = a->rr[i].ttl;
	}
}

/* Absences have no TTL that we see; they are looked at again as soon as may be. */
static int64_t fresh_of(const struct decision *d)
{
	int64_t s = FRESH_MAX_S;
	const struct answer *t = d->out->tlsa;
	if (t == NULL || t->status == DNS_FAILED || t->status == DNS_ABSENT)
		s = 0;
	lower_to_ttl(&s, t);
	return s < FRESH_MIN_S ? FRESH_MIN_S : s;
}

/* --- The whole --- */

static const char *owner_of(struct arena *mem, const struct selfcheck_facts *f,
			    const struct answer *tlsa)
{
	char owner[512];
	if (tlsa != NULL)
		return tlsa->canonical;
	if (!tlsa_owner_name(f->port, f->host.name, owner, sizeof(owner)))
		return f->host.name;
	return arena_strdup(mem, owner);
}

bool selfcheck_decide(struct arena *mem, const struct selfcheck_facts *f,
		      struct selfcheck_verdict *out)
{
	enum host_query q = tlsa_query_of(f);
	struct decision d = {.f = f, .out = out};
	*out = (struct selfcheck_verdict){.tlsa = f->host.answer[q]};
	if (out->tlsa != NULL && out->tlsa->status == DNS_SECURE)
		out->set = f->host.tlsa[q];
	list_init(&d.list, mem, f->host.name, f->port);
	d.owner = out->owner = owner_of(mem, f, out->tlsa);
	if (d.owner == NULL)
		return false;
	decide_addresses(&d);
	enum selfcheck_promise p = decide_tlsa(&d);
	for (size_t i = 0; i < f->nchain && i < SELFCHECK_CHAINS_MAX; i++) {
		out->of[i] = p == SELFCHECK_KEPT ? SELFCHECK_UNKNOWN : p;
		decide_chain(&d, i);
	}
	decide_no_tls(&d);
	out->promise = promise_of_all(&d, p);
	if (out->promise == SELFCHECK_BROKEN && !way_is_known(f))
		out->promise = SELFCHECK_UNKNOWN;
	decide_records(&d);
	list_sort(&d.list);
	out->finding = d.list.finding;
	out->nfinding = d.list.n;
	out->fresh_s = fresh_of(&d);
	return !d.list.failed && !mem->failed;
}
