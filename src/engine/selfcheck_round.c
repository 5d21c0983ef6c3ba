/* SPDX-License-Identifier: MIT */
/* Starts a check for each name and domain and waits for all of them. Decides nothing. */
#include "engine/selfcheck_round.h"

#include <stdlib.h>

/* The public part first. */
struct gathering {
	struct selfcheck_round round;
	struct engine *engine;
	struct selfcheck_round_request request;
	selfcheck_round_cb *cb;
	void *arg;
	const char **ours;
	size_t out;
	struct loop_deferred *deferred; /* when there was nothing to ask */
};

static size_t count(const struct gathering *g)
{
	size_t n = 0;
	for (size_t i = 0; i < g->round.ncheck; i++)
		n += g->round.check[i]->verdict.nfinding;
	for (size_t i = 0; i < g->round.ndomain; i++)
		n += g->round.domain[i]->verdict.nfinding;
	return n;
}

static void take(struct gathering *g, const struct selfcheck_verdict *v, bool failed)
{
	struct selfcheck_round *r = &g->round;
	r->local_failure = r->local_failure || failed;
	for (size_t i = 0; i < v->nfinding; i++)
		r->finding[r->nfinding++] = &v->finding[i];
	r->result = selfcheck_result_worse(r->result, selfcheck_result_of(v->finding, v->nfinding));
}

static void finish(void *arg)
{
	struct gathering *g = arg;
	struct selfcheck_round *r = &g->round;
	g->deferred = NULL;
	r->finding = calloc(count(g) + 1, sizeof(struct selfcheck_finding *));
	r->local_failure = r->local_failure || r->finding == NULL;
	r->fresh_s = INT32_MAX;
	for (size_t i = 0; i < r->ncheck && r->finding != NULL; i++) {
		take(g, &r->check[i]->verdict, r->check[i]->local_failure);
		if (r->check[i]->verdict.fresh_s < r->fresh_s)
			r->fresh_s = r->check[i]->verdict.fresh_s;
	}
	for (size_t i = 0; i < r->ndomain && r->finding != NULL; i++)
		take(g, &r->domain[i]->verdict, r->domain[i]->local_failure);
	if (r->local_failure)
		r->result = selfcheck_result_worse(r->result, SELFCHECK_NO_LOOKUP);
	g->cb(g->arg, r);
}

static void one_done(struct gathering *g)
{
	if (--g->out == 0)
		finish(g);
}

static void on_check(void *arg, struct selfcheck *s)
{
	(void)s;
	one_done(arg);
}

static void on_domain(void *arg, struct selfcheck_domain *s)
{
	(void)s;
	one_done(arg);
}

static bool start_check(struct gathering *g, const struct selfcheck_item *item)
{
	const struct selfcheck_round_request *q = &g->request;
	struct selfcheck_request r = {.name = item->name,
				      .port = item->port,
				      .chain = item->chain,
				      .nchain = item->nchain,
				      .no_tls = item->no_tls,
				      .cas = q->cas,
				      .now = q->now,
				      .soon_s = q->soon_s,
				      .signature_s = q->signature_s};
	struct selfcheck *s = selfcheck_start(g->engine, &r, on_check, g);
	if (s == NULL)
		return false;
	g->round.check[g->round.ncheck++] = s;
	g->out++;
	return true;
}

static bool start_domain(struct gathering *g, const char *domain)
{
	const struct selfcheck_round_request *q = &g->request;
	struct selfcheck_domain_request r = {.domain = domain,
					     .ours = g->ours,
					     .nours = q->nitem,
					     .port = q->nitem > 0 ? q->item[0].port : 25,
					     .now = q->now,
					     .signature_s = q->signature_s};
	struct selfcheck_domain *s = selfcheck_domain_start(g->engine, &r, on_domain, g);
	if (s == NULL)
		return false;
	g->round.domain[g->round.ndomain++] = s;
	g->out++;
	return true;
}

static bool start(struct gathering *g)
{
	const struct selfcheck_round_request *q = &g->request;
	g->round.check = calloc(q->nitem + 1, sizeof(struct selfcheck *));
	g->round.domain = calloc(q->ndomain + 1, sizeof(struct selfcheck_domain *));
	g->ours = calloc(q->nitem + 1, sizeof(*g->ours));
	bool ok = g->round.check != NULL && g->round.domain != NULL && g->ours != NULL;
	for (size_t i = 0; ok && i < q->nitem; i++)
		g->ours[i] = q->item[i].name;
	for (size_t i = 0; ok && i < q->nitem; i++)
		ok = start_check(g, &q->item[i]);
	for (size_t i = 0; ok && i < q->ndomain; i++)
		ok = start_domain(g, q->domain[i]);
	if (ok && g->out == 0)
		ok = (g->deferred = loop_defer(g->engine->loop, finish, g)) != NULL;
	return ok;
}

struct selfcheck_round *selfcheck_round_start(struct engine *e,
					      const struct selfcheck_round_request *q,
					      selfcheck_round_cb *cb, void *arg)
{
	struct gathering *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	*g = (struct gathering){.engine = e, .request = *q, .cb = cb, .arg = arg};
	if (!start(g)) {
		struct selfcheck_round *failed = &g->round;
		selfcheck_round_free(&failed);
		return NULL;
	}
	return &g->round;
}

void selfcheck_round_free(struct selfcheck_round **r)
{
	struct gathering *g = (struct gathering *)*r;
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->round.ncheck; i++)
		selfcheck_free(&g->round.check[i]);
	for (size_t i = 0; i < g->round.ndomain; i++)
		selfcheck_domain_free(&g->round.domain[i]);
	if (g->deferred != NULL)
		loop_defer_cancel(&g->deferred);
	free(g->round.check);
	free(g->round.domain);
	free(g->round.finding);
	free(g->ours);
	free(g);
	*r = NULL;
}
