/* SPDX-License-Identifier: MIT */
/* Puts a plan's questions to the resolver and the answers into the plan. Adds the one fact that
 * only TLS knows (T1). */
#include "engine/engine.h"

#include <stdlib.h>

struct question {
	struct planner *planner;
	void *query;
	struct question *next;
	unsigned id;
};

struct planner {
	struct engine *engine;
	struct plan *plan;
	planner_cb *cb;
	void *arg;
	struct question *open;
	struct loop_deferred *first_look;
};

static void ask_all(struct planner *p);

static void unlink_question(struct planner *p, struct question *q)
{
	struct question **at = &p->open;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
}

static void judge_full_records(struct answer *a)
{
	for (size_t i = 0; a->type == DNS_TLSA && i < a->nrr; i++) {
		if (a->rr[i].u.tlsa.mtype == TLSA_FULL)
			tls_judge_full(&a->rr[i].u.tlsa);
	}
}

static void on_answer(void *arg, struct answer *a)
{
	struct question *q = arg;
	struct planner *p = q->planner;
	if (a != NULL)
		judge_full_records(a);
	plan_answer(p->plan, q->id, a);
	unlink_question(p, q);
	free(q);
	ask_all(p);
	p->cb(p->arg); /* last: it may free the planner */
}

static bool ask(struct planner *p, const struct plan_question *pq)
{
	struct question *q = calloc(1, sizeof(*q));
	if (q == NULL)
		return false;
	*q = (struct question){.planner = p, .id = pq->id, .next = p->open};
	const struct engine_resolver *r = &p->engine->resolver;
	q->query = r->ask(r->self, pq->name, pq->type, on_answer, q);
	if (q->query == NULL) {
		free(q);
		return false;
	}
	p->open = q;
	return true;
}

static void ask_all(struct planner *p)
{
	struct plan_question q;
	while (plan_next_question(p->plan, &q)) {
		if (!ask(p, &q))
			plan_answer(p->plan, q.id, NULL);
	}
}

static void first_look(void *arg)
{
	struct planner *p = arg;
	p->first_look = NULL;
	p->cb(p->arg);
}

struct planner *planner_start(struct engine *e, struct plan *plan, planner_cb *cb, void *arg)
{
	struct planner *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	*p = (struct planner){.engine = e, .plan = plan, .cb = cb, .arg = arg};
	ask_all(p);
	if (p->open == NULL) /* nothing to ask, or it failed at once: somebody must still be told */
		p->first_look = loop_defer(e->loop, first_look, p);
	if (p->open == NULL && p->first_look == NULL)
		planner_free(&p);
	return p;
}

void planner_free(struct planner **pp)
{
	struct planner *p = *pp;
	if (p == NULL)
		return;
	while (p->open != NULL) {
		struct question *q = p->open;
		p->open = q->next;
		p->engine->resolver.cancel(p->engine->resolver.self, q->query);
		free(q);
	}
	if (p->first_look != NULL)
		loop_defer_cancel(&p->first_look);
	free(p);
	*pp = NULL;
}
