/* SPDX-License-Identifier: MIT */
/*
 * Collects evidence. Knows which answers of a plan count and how zones hang together; decides
 * nothing about mail, and verifies nothing: the resolver did.
 */
#include "engine/evidence.h"

#include "base/buf.h"
#include "digest/digest.h"
#include "wire/rrset.h"

#include <stdlib.h>
#include <string.h>

enum {
	RUN_MEM_MAX = 4 * 1024 * 1024,
	ZONES_MAX = 32, /* zones of one chain of aliases and their parents */
	SETS_MAX = 64,
	WHY_MAX = 300,
	CLAIM_MAX = 8192,
	KEY_PARTS_MAX = 128,
};

/* RRsets of some answers, in order, each name and type once. An RRset is large in itself (its
 * owner): pointers, because hundreds of runs wait at the same time for the first answers. */
struct sets {
	struct rrset *set[SETS_MAX];
	size_t n;
};

struct zone {
	struct evidence_run *run;
	struct dname name;
	void *dnskey_query, *ds_query;
	const struct rrset *dnskey, *ds; /* NULL: not known */
	bool listed;                     /* on the way into the evidence */
};

struct evidence_run {
	struct engine *engine;
	evidence_cb *cb;
	void *arg;
	struct arena mem;
	struct evidence evidence;
	struct sets tlsa, other;
	struct zone *zone[ZONES_MAX];
	size_t nzone;
	size_t open; /* questions that are out */
	char why[WHY_MAX];
};

/* --- RRsets of answers --- */

static struct rrset *find_set(const struct sets *s, const struct dname *name, uint16_t type)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->set[i]->type == type && dname_eq(&s->set[i]->owner, name))
			return s->set[i];
	}
	return NULL;
}

static bool add_set(struct arena *mem, struct sets *to, const struct rrset *s)
{
	if (find_set(to, &s->owner, s->type) != NULL)
		return true;
	struct rrset *copy = to->n < SETS_MAX ? arena_alloc(mem, sizeof(*copy)) : NULL;
	if (copy == NULL)
		return false;
	*copy = *s;
	copy->octets = arena_bytes(mem, s->octets);
	to->set[to->n++] = copy;
	return !mem->failed;
}

static bool is_expanded(const struct rrset *s)
{
	struct rrset_sig sig;
	rrset_sig(s, 0, &sig);
	return sig.labels < dname_labels(&s->owner);
}

/* Proofs of absence count only beside something that came from a wildcard. What the packet was
 * taken apart with goes at once. */
static bool add_answer(struct arena *mem, struct sets *to, const struct answer *a)
{
	struct rrset s[RRSET_OF_PACKET_MAX];
	struct arena scratch;
	size_t n = 0;
	bool wild = false;
	if (a == NULL || a->status != DNS_SECURE)
		return true;
	arena_init(&scratch, RUN_MEM_MAX);
	bool ok = rrset_extract(a->packet, &scratch, s, &n);
	for (size_t i = 0; i < n; i++)
		wild = wild || is_expanded(&s[i]);
	for (size_t i = 0; ok && i < n; i++) {
		bool absence = s[i].type == DNS_NSEC || s[i].type == DNS_NSEC3;
		ok = (absence && !wild) || add_set(mem, to, &s[i]);
	}
	arena_free(&scratch);
	return ok;
}

static const struct answer *tlsa_answer(const struct plan_host *h)
{
	if (!h->verdict.decided || h->verdict.tlsa < HOST_Q_TLSA_EXPANDED ||
	    h->verdict.tlsa >= HOST_Q_COUNT)
		return NULL;
	const struct answer *a = h->facts.answer[h->verdict.tlsa];
	return a != NULL && a->status == DNS_SECURE ? a : NULL;
}

bool evidence_possible(const struct plan_host *host)
{
	return tlsa_answer(host) != NULL;
}

static enum evidence_mx way_of(const struct plan *plan)
{
	const struct mx_verdict *mx = plan_mx(plan);
	if (plan_mx_answer(plan) == NULL)
		return EVIDENCE_MX_NONE;
	if (!mx->secure)
		return EVIDENCE_MX_INSECURE;
	return mx->kind == MX_HOSTS ? EVIDENCE_MX_SECURE : EVIDENCE_MX_IMPLICIT;
}

/* The answers that lead to a host. */
static const enum host_query way[] = {HOST_Q_CNAME, HOST_Q_A, HOST_Q_AAAA};

/* What the plan used for this host. */
static bool take_answers(struct arena *mem, const struct plan *plan, const struct plan_host *h,
			 struct sets *tlsa, struct sets *other)
{
	bool ok = add_answer(mem, tlsa, tlsa_answer(h));
	if (ok && way_of(plan) == EVIDENCE_MX_SECURE)
		ok = add_answer(mem, other, plan_mx_answer(plan));
	for (size_t i = 0; ok && i < sizeof(way) / sizeof(way[0]); i++)
		ok = add_answer(mem, other, h->facts.answer[way[i]]);
	return ok && !mem->failed;
}

/* What is claimed, in one spelling. */
static void put_claim(const struct evidence *e, struct buf *b)
{
	buf_addf(b, "%s %s %s %s %u", evidence_mx_name(e->mx), e->destination, e->host, e->base,
		 e->port);
	buf_add_u8(b, 0);
}

static struct evidence claim_of(const struct plan *plan, const struct plan_host *h)
{
	return (struct evidence){.destination = plan_next_hop(plan),
				 .mx = way_of(plan),
				 .host = h->name,
				 .port = plan_port(plan),
				 .base = h->verdict.base};
}

/* Signatures of an answer, appended. */
static bool add_signatures(const struct answer *a, struct slice *part, size_t *n)
{
	size_t more = 0;
	if (a == NULL || a->status != DNS_SECURE)
		return true;
	bool ok = rrset_signatures(a->packet, part + *n, KEY_PARTS_MAX - *n, &more);
	*n += more;
	return ok;
}

bool evidence_key(const struct plan *plan, const struct plan_host *h,
		  uint8_t out[static EVIDENCE_ID])
{
	struct slice part[KEY_PARTS_MAX];
	struct buf claim;
	size_t n = 1;
	struct evidence e = claim_of(plan, h);
	bool ok = evidence_possible(h) && add_signatures(tlsa_answer(h), part, &n);
	if (ok && e.mx == EVIDENCE_MX_SECURE)
		ok = add_signatures(plan_mx_answer(plan), part, &n);
	for (size_t i = 0; ok && i < sizeof(way) / sizeof(way[0]); i++)
		ok = add_signatures(h->facts.answer[way[i]], part, &n);
	if (!ok)
		return false;
	buf_init(&claim, CLAIM_MAX);
	put_claim(&e, &claim);
	part[0] = buf_slice(&claim);
	ok = buf_ok(&claim);
	if (ok)
		digest_sha256(part, n, out);
	buf_free(&claim);
	return ok;
}

/* --- the end --- */

static int by_octets(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SHA256);
}

void evidence_set_id(struct evidence *e)
{
	uint8_t hash[EVIDENCE_RRSETS_MAX][DIGEST_SHA256];
	for (size_t i = 0; i < e->nrrset; i++)
		digest_sha256(&e->rrset[i], 1, hash[i]);
	qsort(hash, e->nrrset, sizeof(hash[0]), by_octets);
	struct buf claim;
	buf_init(&claim, CLAIM_MAX);
	put_claim(e, &claim);
	struct slice all[] = {buf_slice(&claim),
			      {(const uint8_t *)hash, e->nrrset * sizeof(hash[0])}};
	digest_sha256(all, 2, e->id);
	buf_free(&claim);
}

static void fail(struct evidence_run *r, const char *why)
{
	if (r->why[0] == '\0')
		snprintf(r->why, sizeof(r->why), "%.*s", WHY_MAX - 1, why);
}

static struct zone *find_zone(struct evidence_run *r, const struct dname *name)
{
	for (size_t i = 0; i < r->nzone; i++) {
		if (dname_eq(&r->zone[i]->name, name))
			return r->zone[i];
	}
	return NULL;
}

static void list(struct evidence_run *r, const struct rrset *s)
{
	struct evidence *e = &r->evidence;
	if (s == NULL)
		return;
	for (size_t i = 0; i < e->nrrset; i++) {
		if (slice_eq(e->rrset[i], s->octets))
			return;
	}
	if (e->nrrset == EVIDENCE_RRSETS_MAX)
		fail(r, "the chain has too many RRsets");
	else
		e->rrset[e->nrrset++] = s->octets;
}

/* The keys of an RRset's zone, and so on up to the root or where it ends. */
static void list_keys(struct evidence_run *r, const struct rrset *s)
{
	for (size_t i = 0; i < s->nsig; i++) {
		struct rrset_sig sig;
		rrset_sig(s, i, &sig);
		struct zone *z = find_zone(r, &sig.signer);
		if (z == NULL || z->listed)
			continue;
		z->listed = true;
		list(r, z->dnskey);
		list(r, z->ds);
		if (z->ds != NULL)
			list_keys(r, z->ds); /* not deeper than there are zones */
	}
}

static void list_all(struct evidence_run *r, const struct sets *s)
{
	for (size_t i = 0; i < s->n; i++)
		list(r, s->set[i]);
	for (size_t i = 0; i < s->n; i++)
		list_keys(r, s->set[i]);
}

static void finish(struct evidence_run *r)
{
	if (r->mem.failed)
		fail(r, "out of memory, or too many records");
	if (r->why[0] == '\0') {
		list_all(r, &r->tlsa);
		list_all(r, &r->other);
	}
	if (r->why[0] == '\0')
		evidence_set_id(&r->evidence);
	bool good = r->why[0] == '\0';
	r->cb(r->arg, good ? &r->evidence : NULL, good ? NULL : r->why); /* last: may free r */
}

/* --- keys --- */

static void ask_for(struct evidence_run *r, const struct rrset *s);

static bool take(struct zone *z, const struct answer *a, uint16_t type, const struct rrset **out)
{
	struct sets s = {.n = 0};
	if (a != NULL && add_answer(&z->run->mem, &s, a))
		*out = find_set(&s, &z->name, type);
	return *out != NULL;
}

static void settle(struct evidence_run *r)
{
	if (--r->open == 0)
		finish(r);
}

static void on_dnskey(void *arg, struct answer *a)
{
	struct zone *z = arg;
	char name[DNAME_TEXT_MAX], why[DNAME_TEXT_MAX + WHY_MAX];
	z->dnskey_query = NULL;
	if (!take(z, a, DNS_DNSKEY, &z->dnskey)) {
		dname_to_text(&z->name, name);
		snprintf(why, sizeof(why), "%s DNSKEY: %s", name,
			 a != NULL && a->why != NULL ? a->why : "no signed keys");
		fail(z->run, why);
	}
	settle(z->run);
}

/* No secure DS records: an anchor must be at this zone, or its parent is not signed. */
static void on_ds(void *arg, struct answer *a)
{
	struct zone *z = arg;
	z->ds_query = NULL;
	if (take(z, a, DNS_DS, &z->ds))
		ask_for(z->run, z->ds);
	else if (a == NULL || a->status == DNS_FAILED)
		fail(z->run, "the DS records of a zone could not be looked up");
	settle(z->run);
}

static void *ask(struct evidence_run *r, const char *name, uint16_t type, dns_cb *cb,
		 struct zone *z)
{
	const struct engine_resolver *resolver = &r->engine->resolver;
	void *query = resolver->ask(resolver->self, name, type, cb, z);
	if (query != NULL)
		r->open++;
	else
		fail(r, "out of memory");
	return query;
}

static void ask_zone(struct evidence_run *r, const struct dname *name)
{
	char text[DNAME_TEXT_MAX];
	if (r->nzone == ZONES_MAX) {
		fail(r, "the chain goes through too many zones");
		return;
	}
	struct zone *z = arena_alloc(&r->mem, sizeof(*z));
	if (z == NULL) {
		fail(r, "out of memory");
		return;
	}
	r->zone[r->nzone++] = z;
	*z = (struct zone){.run = r, .name = *name};
	dname_to_text(name, text);
	z->dnskey_query = ask(r, text, DNS_DNSKEY, on_dnskey, z);
	if (name->len > 1)
		z->ds_query = ask(r, text, DNS_DS, on_ds, z);
}

static void ask_for(struct evidence_run *r, const struct rrset *s)
{
	for (size_t i = 0; i < s->nsig; i++) {
		struct rrset_sig sig;
		rrset_sig(s, i, &sig);
		if (dname_is_under(&s->owner, &sig.signer) && find_zone(r, &sig.signer) == NULL)
			ask_zone(r, &sig.signer);
	}
}

/* --- life --- */

static void fill(struct evidence_run *r, const struct plan *plan, const struct plan_host *h,
		 int64_t now)
{
	struct evidence *e = &r->evidence;
	*e = claim_of(plan, h);
	e->time = now;
	e->destination = arena_strdup(&r->mem, e->destination);
	e->host = arena_strdup(&r->mem, e->host);
	e->base = arena_strdup(&r->mem, e->base);
}

struct evidence_run *evidence_start(struct engine *e, const struct plan *plan,
				    const struct plan_host *host, int64_t now, evidence_cb *cb,
				    void *arg)
{
	struct evidence_run *r = evidence_possible(host) ? calloc(1, sizeof(*r)) : NULL;
	if (r == NULL)
		return NULL;
	r->engine = e;
	r->cb = cb;
	r->arg = arg;
	arena_init(&r->mem, RUN_MEM_MAX);
	fill(r, plan, host, now);
	bool ok = take_answers(&r->mem, plan, host, &r->tlsa, &r->other);
	for (size_t i = 0; ok && i < r->tlsa.n; i++)
		ask_for(r, r->tlsa.set[i]);
	for (size_t i = 0; ok && i < r->other.n; i++)
		ask_for(r, r->other.set[i]);
	if (!ok || r->open == 0)
		evidence_run_free(&r);
	return r;
}

void evidence_run_free(struct evidence_run **rp)
{
	struct evidence_run *r = *rp;
	if (r == NULL)
		return;
	const struct engine_resolver *resolver = &r->engine->resolver;
	for (size_t i = 0; i < r->nzone; i++) {
		if (r->zone[i]->dnskey_query != NULL)
			resolver->cancel(resolver->self, r->zone[i]->dnskey_query);
		if (r->zone[i]->ds_query != NULL)
			resolver->cancel(resolver->self, r->zone[i]->ds_query);
	}
	arena_free(&r->mem);
	free(r);
	*rp = NULL;
}
