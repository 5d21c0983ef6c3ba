/* SPDX-License-Identifier: MIT */
/*
 * Gathers what a server should know of itself: asks what a sender would ask (host_decide() says
 * what), lets the offline verifier judge each chain as a strict sender, and hands all of it to
 * src/selfcheck. Decides nothing; connects to nobody.
 */
#include "engine/selfcheck.h"

#include "engine/lookups.h"

#include <stdlib.h>

enum {
	SELFCHECK_MEM_MAX = 64 * 1024 * 1024,
	QUESTIONS_MAX = HOST_Q_COUNT + SELFCHECK_PORTS_MAX,
};

/* Ports where records of a mail server are found, rightly or wrongly. */
static const uint16_t mail_ports[] = {25, 465, 587};

/* The public part first: selfcheck_free() gets that pointer. */
struct run {
	struct selfcheck check;
	struct engine *engine;
	selfcheck_cb *cb;
	void *arg;
	struct arena mem;
	struct dane_policy policy;
	struct lookups lookups;
	struct lookup question[QUESTIONS_MAX]; /* enum host_query, then the other ports */
};

/* --- Questions --- */

static void judge_set(struct run *r, struct answer *a, const struct tlsa_set **out)
{
	if (a->status != DNS_SECURE)
		return;
	struct tlsa_set *set = arena_alloc(&r->mem, sizeof(*set));
	for (size_t i = 0; i < a->nrr; i++)
		tls_judge_full(&a->rr[i].u.tlsa);
	if (set != NULL && tlsa_set_build(&r->mem, a, set))
		*out = set;
	else
		r->check.local_failure = true;
}

/* What has been answered, as facts. TLSA records are judged once. */
static void take_answers(struct run *r)
{
	struct selfcheck_facts *f = &r->check.facts;
	for (size_t i = 0; i < HOST_Q_COUNT; i++) {
		struct answer *a = r->question[i].answer;
		bool is_new = a != NULL && f->host.answer[i] == NULL;
		f->host.answer[i] = a;
		if (is_new && (i == HOST_Q_TLSA_EXPANDED || i == HOST_Q_TLSA_ORIGINAL))
			judge_set(r, a, &f->host.tlsa[i]);
	}
	for (size_t i = 0; i < f->nother; i++)
		f->other[i].tlsa = r->question[HOST_Q_COUNT + i].answer;
}

/* What host_decide() wants to know. False: nothing. */
static bool ask_wanted(struct run *r)
{
	const struct host_verdict *v = &r->check.facts.verdict;
	const char *name = r->check.request.name;
	struct lookups *l = &r->lookups;
	if (v->ask & 1u << HOST_Q_A)
		lookups_ask(l, HOST_Q_A, name, DNS_A);
	if (v->ask & 1u << HOST_Q_AAAA)
		lookups_ask(l, HOST_Q_AAAA, name, DNS_AAAA);
	if (v->ask & 1u << HOST_Q_CNAME)
		lookups_ask(l, HOST_Q_CNAME, name, DNS_CNAME);
	if (v->ask & 1u << HOST_Q_TLSA_EXPANDED)
		lookups_ask_tlsa(l, HOST_Q_TLSA_EXPANDED, r->check.request.port, v->base);
	if (v->ask & 1u << HOST_Q_TLSA_ORIGINAL)
		lookups_ask_tlsa(l, HOST_Q_TLSA_ORIGINAL, r->check.request.port, name);
	return l->open > 0;
}

/* What no sender would ask, but a person should know. */
static void ask_besides(struct run *r)
{
	struct selfcheck_facts *f = &r->check.facts;
	struct lookups *l = &r->lookups;
	lookups_ask_tlsa(l, HOST_Q_TLSA_ORIGINAL, f->port, r->check.request.name);
	for (size_t i = 0; i < sizeof(mail_ports) / sizeof(mail_ports[0]); i++) {
		if (mail_ports[i] == f->port)
			continue;
		f->other[f->nother].port = mail_ports[i];
		lookups_ask_tlsa(l, HOST_Q_COUNT + f->nother++, mail_ports[i],
				 r->check.request.name);
	}
}

/* --- Chains --- */

static bool add_fits(struct run *r, const struct tls_chain *chain, struct selfcheck_chain *c)
{
	const struct tlsa_set *set = r->check.verdict.set;
	struct selfcheck_fit *fit = arena_array(&r->mem, set->n + 1, sizeof(*fit));
	if (fit == NULL)
		return false;
	for (size_t i = 0; i < set->n; i++)
		fit[i].matches = tls_chain_matches(chain, &set->entry[i].rr, &fit[i].depth);
	c->fit = fit;
	return true;
}

/* RFC 7672 s3.2.2: the strict sender knows one name, the TLSA base domain. */
static void verify(struct run *r, const struct selfcheck_input *in, struct selfcheck_chain *c)
{
	const struct selfcheck_request *q = &r->check.request;
	const char *base = r->check.facts.verdict.base;
	struct tls_terms terms = {.policy = HOST_DANE,
				  .sni = base,
				  .tlsa = r->check.verdict.set,
				  .reference_names = {base},
				  .nreference_names = 1};
	const struct tls_facts *f = tls_verify(&r->mem, in->chain, &terms, q->now);
	if (f == NULL)
		return;
	c->judged = true;
	c->authenticated = f->authenticated;
	c->reason = f->reason;
	c->detail = f->detail;
	c->match = f->match;
	c->public_anchor = f->authenticated && f->match.usage == TLSA_DANE_TA &&
			   tls_cas_know(q->cas, in->chain, f->match.depth, q->now);
}

static bool describe(struct run *r, const struct selfcheck_input *in, struct selfcheck_chain *c)
{
	struct tls_chain_facts d;
	if (!tls_chain_describe(&r->mem, in->chain, r->check.request.name, &d))
		return false;
	*c = (struct selfcheck_chain){.label = in->label,
				      .file = in->file,
				      .served = in->served,
				      .key_trouble = in->key_trouble,
				      .cert = d.cert,
				      .ncert = d.ncert,
				      .named = d.named,
				      .disorder = d.disorder,
				      .complete = d.complete,
				      .weak = d.weak};
	if (r->check.verdict.set == NULL)
		return true;
	if (r->check.verdict.set->usable > 0)
		verify(r, in, c);
	return add_fits(r, in->chain, c);
}

static bool describe_all(struct run *r)
{
	const struct selfcheck_request *q = &r->check.request;
	struct selfcheck_chain *c = arena_array(&r->mem, q->nchain + 1, sizeof(*c));
	for (size_t i = 0; c != NULL && i < q->nchain; i++) {
		if (!describe(r, &q->chain[i], &c[i]))
			return false;
	}
	r->check.facts.chain = c;
	r->check.facts.nchain = q->nchain;
	return c != NULL;
}

/* --- The whole --- */

/* Twice: which records count is known from the answers alone, and the chains are judged by them. */
static void judge(struct run *r)
{
	struct selfcheck *s = &r->check;
	bool ok = !s->local_failure && !r->lookups.failed &&
		  selfcheck_decide(&r->mem, &s->facts, &s->verdict) && describe_all(r) &&
		  selfcheck_decide(&r->mem, &s->facts, &s->verdict);
	if (ok)
		return;
	s->local_failure = true;
	s->verdict = (struct selfcheck_verdict){.promise = SELFCHECK_UNKNOWN, .owner = ""};
}

static void step(void *arg)
{
	struct run *r = arg;
	struct selfcheck_facts *f = &r->check.facts;
	take_answers(r);
	if (!r->check.local_failure && !r->lookups.failed && !f->verdict.decided) {
		host_decide(&r->policy, &f->host, &f->verdict);
		if (!f->verdict.decided && ask_wanted(r))
			return;
		ask_besides(r);
		if (r->lookups.open > 0)
			return;
	}
	judge(r);
	r->cb(r->arg, &r->check);
}

struct selfcheck *selfcheck_start(struct engine *e, const struct selfcheck_request *q,
				  selfcheck_cb *cb, void *arg)
{
	struct run *r = q->nchain <= SELFCHECK_CHAINS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (r == NULL)
		return NULL;
	*r = (struct run){.check = {.request = *q}, .engine = e, .cb = cb, .arg = arg};
	arena_init(&r->mem, SELFCHECK_MEM_MAX);
	r->policy = (struct dane_policy){.level = LEVEL_DANE, .port = q->port};
	/* Both families, whatever we send by: senders choose. */
	r->check.facts = (struct selfcheck_facts){.port = q->port,
						  .host = {.name = q->name, .mx_secure = true},
						  .no_tls = q->no_tls,
						  .now = q->now,
						  .soon_s = q->soon_s,
						  .signature_s = q->signature_s};
	if (!lookups_start(&r->lookups, e, r->question, QUESTIONS_MAX, step, r)) {
		struct selfcheck *failed = &r->check;
		selfcheck_free(&failed);
		return NULL;
	}
	return &r->check;
}

void selfcheck_free(struct selfcheck **s)
{
	struct run *r = (struct run *)*s;
	if (r == NULL)
		return;
	lookups_free(&r->lookups);
	arena_free(&r->mem);
	free(r);
	*s = NULL;
}
