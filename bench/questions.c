/* SPDX-License-Identifier: MIT */
/* A planner that keeps a list. Not the engine's, which tells nobody what it asks. */
#include "questions.h"

#include <stdlib.h>
#include <string.h>

struct noter {
	struct engine *engine;
	struct plan *plan;
	struct asked_list *list;
	size_t open, answered;
	bool failed;
};

struct note {
	struct noter *noter;
	unsigned id;
};

static bool keep(struct asked_list *l, const struct plan_question *q, size_t after)
{
	struct asked *more = realloc(l->q, (l->n + 1) * sizeof(*more));
	if (more == NULL)
		return false;
	l->q = more;
	l->q[l->n] = (struct asked){strdup(q->name), q->type, after};
	return l->q[l->n++].name != NULL;
}

static void ask_all(struct noter *n);

static void on_answer(void *arg, struct answer *a)
{
	struct note *note = arg;
	struct noter *n = note->noter;
	plan_answer(n->plan, note->id, a);
	free(note);
	n->open--;
	n->answered++;
	ask_all(n);
	if (n->open == 0 || n->failed)
		loop_stop(n->engine->loop);
}

static void ask_all(struct noter *n)
{
	struct plan_question q;
	while (!n->failed && plan_next_question(n->plan, &q)) {
		struct note *note = malloc(sizeof(*note));
		if (note == NULL || !keep(n->list, &q, n->answered)) {
			free(note);
			n->failed = true;
			return;
		}
		*note = (struct note){n, q.id};
		if (dns_ask(n->engine->dns, q.name, q.type, on_answer, note) == NULL) {
			free(note);
			n->failed = true;
			return;
		}
		n->open++;
	}
}

bool questions_note(struct engine *e, const char *domain, struct asked_list *out)
{
	char address[IPADDR_TEXT_MAX];
	struct plan_config c;
	engine_plan_config(e, domain, address, &c);
	struct noter n = {.engine = e, .plan = plan_new(&c), .list = out};
	if (n.plan == NULL)
		return false;
	ask_all(&n);
	if (!n.failed && n.open > 0)
		loop_run(e->loop);
	bool ok = !n.failed && plan_done(n.plan);
	plan_free(&n.plan);
	return ok;
}

void questions_free(struct asked_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->q[i].name);
	free(l->q);
	*l = (struct asked_list){0};
}
