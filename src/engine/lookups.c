/* SPDX-License-Identifier: MIT */
/* Puts questions to the resolver and counts those that are open. Knows no record; refuses to know
 * what is asked and why. */
#include "engine/lookups.h"

static void on_answer(void *arg, struct answer *a)
{
	struct lookup *q = arg;
	struct lookups *l = q->all;
	q->query = NULL;
	l->open--;
	if (a == NULL)
		l->failed = true;
	else
		q->answer = answer_ref(a);
	if (l->open == 0)
		l->cb(l->arg); /* last: it may free all of this */
}

void lookups_ask(struct lookups *l, size_t i, const char *name, uint16_t type)
{
	struct lookup *q = &l->lookup[i];
	const struct engine_resolver *r = &l->engine->resolver;
	if (q->asked)
		return;
	*q = (struct lookup){.all = l, .asked = true};
	q->query = r->ask(r->self, name, type, on_answer, q);
	if (q->query == NULL)
		l->failed = true;
	else
		l->open++;
}

void lookups_ask_tlsa(struct lookups *l, size_t i, uint16_t port, const char *base)
{
	char owner[512];
	if (tlsa_owner_name(port, base, owner, sizeof(owner)))
		lookups_ask(l, i, owner, DNS_TLSA);
}

static void first_call(void *arg)
{
	struct lookups *l = arg;
	l->first = NULL;
	l->cb(l->arg);
}

bool lookups_start(struct lookups *l, struct engine *e, struct lookup *lookup, size_t n,
		   lookups_cb *cb, void *arg)
{
	*l = (struct lookups){.engine = e, .lookup = lookup, .n = n, .cb = cb, .arg = arg};
	l->first = loop_defer(e->loop, first_call, l);
	return l->first != NULL;
}

void lookups_free(struct lookups *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lookup *q = &l->lookup[i];
		if (q->query != NULL)
			l->engine->resolver.cancel(l->engine->resolver.self, q->query);
		answer_unref(&q->answer);
	}
	if (l->first != NULL)
		loop_defer_cancel(&l->first);
	*l = (struct lookups){0};
}
