/* SPDX-License-Identifier: MIT */
/* Asks for the MX records of a domain whose mail should come here, and for the addresses of the
 * hosts that they name: an alias shows there. Decides nothing. */
#include "engine/selfcheck.h"

#include <stdlib.h>

enum {
	DOMAIN_MEM_MAX = 4 * 1024 * 1024,
	EXCHANGES_MAX = 16, /* more hosts than a domain has */
	Q_MX = 0,
	Q_TLSA,
	Q_EXCHANGE,
	QUESTIONS_MAX = Q_EXCHANGE + EXCHANGES_MAX,
};

struct run;

struct question {
	struct run *run;
	void *query;
	struct answer *answer;
};

/* The public part first. */
struct run {
	struct selfcheck_domain check;
	struct engine *engine;
	selfcheck_domain_cb *cb;
	void *arg;
	struct arena mem;
	struct question question[QUESTIONS_MAX];
	struct selfcheck_exchange exchange[EXCHANGES_MAX];
	size_t out;
	bool hosts_asked;
	struct loop_deferred *deferred;
};

static void step(struct run *r);

static void on_answer(void *arg, struct answer *a)
{
	struct question *q = arg;
	struct run *r = q->run;
	q->query = NULL;
	r->out--;
	if (a == NULL)
		r->check.local_failure = true;
	else
		q->answer = answer_ref(a);
	step(r);
}

static void ask(struct run *r, size_t i, const char *name, uint16_t type)
{
	struct question *q = &r->question[i];
	const struct engine_resolver *e = &r->engine->resolver;
	q->run = r;
	q->query = e->ask(e->self, name, type, on_answer, q);
	if (q->query == NULL)
		r->check.local_failure = true;
	else
		r->out++;
}

static void ask_hosts(struct run *r)
{
	const struct answer *mx = r->question[Q_MX].answer;
	struct selfcheck_domain_facts *f = &r->check.facts;
	r->hosts_asked = true;
	for (size_t i = 0; mx != NULL && i < mx->nrr && f->nexchange < EXCHANGES_MAX; i++) {
		const char *name = mx->rr[i].u.mx.exchange;
		r->exchange[f->nexchange].name = name;
		ask(r, Q_EXCHANGE + f->nexchange++, name, DNS_A);
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
	if (s->local_failure || !selfcheck_domain_decide(&r->mem, &s->facts, &s->verdict)) {
		s->local_failure = true;
		s->verdict = (struct selfcheck_verdict){.promise = SELFCHECK_UNKNOWN};
	}
}

static void step(struct run *r)
{
	if (r->out > 0)
		return;
	if (!r->hosts_asked && !r->check.local_failure)
		ask_hosts(r);
	if (r->out > 0)
		return;
	judge(r);
	r->cb(r->arg, &r->check);
}

static void first_step(void *arg)
{
	struct run *r = arg;
	const struct selfcheck_domain_request *q = &r->check.request;
	char owner[512];
	r->deferred = NULL;
	ask(r, Q_MX, q->domain, DNS_MX);
	if (tlsa_owner_name(q->port, q->domain, owner, sizeof(owner)))
		ask(r, Q_TLSA, owner, DNS_TLSA);
	step(r);
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
	r->deferred = loop_defer(e->loop, first_step, r);
	if (r->deferred == NULL) {
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
	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		struct question *q = &r->question[i];
		if (q->query != NULL)
			r->engine->resolver.cancel(r->engine->resolver.self, q->query);
		answer_unref(&q->answer);
	}
	if (r->deferred != NULL)
		loop_defer_cancel(&r->deferred);
	arena_free(&r->mem);
	free(r);
	*s = NULL;
}
