/* SPDX-License-Identifier: MIT */
/* Asks for the MX records of a domain whose mail should come here, and for the addresses of the
 * hosts that they name: an alias shows there. Decides nothing. */
#include "engine/selfcheck.h"

#include "engine/lookups.h"

#include <stdlib.h>

enum {
	DOMAIN_MEM_MAX = 4 * 1024 * 1024,
	EXCHANGES_MAX = 16, /* more hosts than a domain has */
	Q_MX = 0,
	Q_TLSA,
	Q_EXCHANGE,
	QUESTIONS_MAX = Q_EXCHANGE + EXCHANGES_MAX,
};

/* The public part first. */
struct run {
	struct selfcheck_domain check;
	struct engine *engine;
	selfcheck_domain_cb *cb;
	void *arg;
	struct arena mem;
	struct lookups lookups;
	struct lookup question[QUESTIONS_MAX];
	struct selfcheck_exchange exchange[EXCHANGES_MAX];
	bool begun, hosts_asked;
};

static void ask_domain(struct run *r)
{
	const struct selfcheck_domain_request *q = &r->check.request;
	r->begun = true;
	lookups_ask(&r->lookups, Q_MX, q->domain, DNS_MX);
	lookups_ask_tlsa(&r->lookups, Q_TLSA, q->port, q->domain);
}

static void ask_hosts(struct run *r)
{
	const struct answer *mx = r->question[Q_MX].answer;
	struct selfcheck_domain_facts *f = &r->check.facts;
	r->hosts_asked = true;
	for (size_t i = 0; mx != NULL && i < mx->nrr && f->nexchange < EXCHANGES_MAX; i++) {
		const char *name = mx->rr[i].u.mx.exchange;
		r->exchange[f->nexchange].name = name;
		lookups_ask(&r->lookups, Q_EXCHANGE + f->nexchange++, name, DNS_A);
	}
}

static void judge(struct run *r)
{
	struct selfcheck_domain *s = &r->check;
	s->facts.mx = r->question[Q_MX].answer;
	s->facts.tlsa = r->question[Q_TLSA].answer;
	s->facts.exchange = r->exchange;
	for (size_t i = 0; i < s->facts.nexchange; i++)
		r->exchange[i].a = r->question[Q_EXCHANGE + i].answer;
	if (r->lookups.failed || !selfcheck_domain_decide(&r->mem, &s->facts, &s->verdict)) {
		s->local_failure = true;
		s->verdict = (struct selfcheck_verdict){.promise = SELFCHECK_UNKNOWN};
	}
}

static void step(void *arg)
{
	struct run *r = arg;
	if (!r->begun)
		ask_domain(r);
	else if (!r->hosts_asked && !r->lookups.failed)
		ask_hosts(r);
	if (r->lookups.open > 0)
		return;
	judge(r);
	r->cb(r->arg, &r->check);
}

struct selfcheck_domain *selfcheck_domain_start(struct engine *e,
						const struct selfcheck_domain_request *q,
						selfcheck_domain_cb *cb, void *arg)
{
	struct run *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	*r = (struct run){.check = {.request = *q}, .engine = e, .cb = cb, .arg = arg};
	arena_init(&r->mem, DOMAIN_MEM_MAX);
	r->check.facts = (struct selfcheck_domain_facts){.domain = q->domain,
							 .ours = q->ours,
							 .nours = q->nours,
							 .port = q->port,
							 .now = q->now,
							 .signature_s = q->signature_s};
	if (!lookups_start(&r->lookups, e, r->question, QUESTIONS_MAX, step, r)) {
		struct selfcheck_domain *failed = &r->check;
		selfcheck_domain_free(&failed);
		return NULL;
	}
	return &r->check;
}

void selfcheck_domain_free(struct selfcheck_domain **s)
{
	struct run *r = (struct run *)*s;
	if (r == NULL)
		return;
	lookups_free(&r->lookups);
	arena_free(&r->mem);
	free(r);
	*s = NULL;
}
