/* SPDX-License-Identifier: MIT */
/* Drives one attempt through a scene: fake resolver, fake network. */
#include "scene.h"

#include <string.h>

enum { TURNS_MAX = 20000 };

static bool wrong(struct show *w, const char *what, const char *which)
{
	if (w->error[0] == '\0')
		snprintf(w->error, sizeof(w->error), "%s: %s %s", w->scene->path, what, which);
	return false;
}

/* --- DNS --- */

/* What is not written in the scene does not exist, and that is proven. */
static struct answer *look_up(struct scene *s, const struct plan_question *q)
{
	for (size_t i = 0; i < s->ndns; i++) {
		struct scene_dns *d = &s->dns[i];
		if (d->type == q->type && strcmp(d->name, q->name) == 0) {
			d->asked = true;
			return answer_ref(d->answer);
		}
	}
	struct answer *a = answer_new(q->name, q->type);
	if (a != NULL) {
		a->nxdomain = true;
		a->absence_secure = true;
		a->rcode = DNS_NXDOMAIN;
	}
	return a;
}

struct waiting {
	size_t index[SCENE_ASKED_MAX]; /* of w->asked */
	size_t n;
};

static bool collect_questions(struct show *w, struct waiting *q)
{
	struct plan_question question;
	while (plan_next_question(attempt_plan(w->attempt), &question)) {
		if (w->nasked == SCENE_ASKED_MAX)
			return wrong(w, "too many questions:", question.name);
		w->asked[w->nasked] = question;
		q->index[q->n++] = w->nasked++;
	}
	return true;
}

static bool answer_one(struct show *w, struct waiting *q)
{
	if (q->n == 0)
		return wrong(w, "waits for answers and asks nothing", "");
	size_t at = w->mode->lifo ? q->n - 1 : 0;
	const struct plan_question *question = &w->asked[q->index[at]];
	memmove(q->index + at, q->index + at + 1, (q->n - at - 1) * sizeof(q->index[0]));
	q->n--;
	struct answer *a = look_up(w->scene, question);
	if (a == NULL)
		return wrong(w, "out of memory", "");
	plan_answer(attempt_plan(w->attempt), question->id, a);
	plan_answer(attempt_plan(w->attempt), question->id, a); /* the second is ignored */
	answer_unref(&a);
	return true;
}

/* In order: everything is known before the first connection. Last first: as late as possible. */
static bool resolve(struct show *w, struct waiting *q)
{
	if (!collect_questions(w, q))
		return false;
	while (!w->mode->lifo && q->n > 0) {
		if (!answer_one(w, q) || !collect_questions(w, q))
			return false;
	}
	return true;
}

/* --- Connections --- */

static struct scene_host *find_host(struct scene *s, const char *address)
{
	for (size_t i = 0; i < s->nhost; i++) {
		if (!s->host[i].used && strcmp(s->host[i].address, address) == 0) {
			s->host[i].used = true;
			return &s->host[i];
		}
	}
	return NULL;
}

static bool connect_one(struct show *w)
{
	struct attempt_session as;
	struct session_outcome out;
	struct tls_facts facts = {0};
	char address[128];
	attempt_session(w->attempt, &as);
	if (as.socket != NULL)
		snprintf(address, sizeof(address), "%s", as.socket);
	else
		ipaddr_to_text(&as.address, address);
	struct scene_host *h = find_host(w->scene, address);
	if (h == NULL)
		return wrong(w, "connects, and there is no host block left for", address);
	if (w->nseen == SCENE_SEEN_MAX)
		return wrong(w, "too many connections", "");
	if (as.port != w->scene->config.plan.policy.port)
		return wrong(w, "connects to the wrong port of", address);
	w->seen[w->nseen++] =
	    (struct seen_session){.address = h->address, .config = as.smtp, .terms = *as.terms};
	if (!server_play(w, h, &as, &out, &facts))
		return wrong(w, "the connection failed:", address);
	attempt_session_ended(w->attempt, &out);
	return true;
}

/* --- The attempt --- */

/* What holds at the end of every scene. */
static bool check_end(struct show *w)
{
	const struct smtpc_message *m = &w->scene->message;
	if (attempt_want(w->attempt) != ATTEMPT_DONE)
		return wrong(w, "is not done when done", "");
	for (size_t i = 0; i < m->nrcpt; i++) {
		const struct attempt_rcpt *r = attempt_rcpt(w->attempt, i);
		if (r->status == ATTEMPT_PENDING)
			return wrong(w, "still pending:", m->rcpt[i].address);
		if (w->taken[i] > 1)
			return wrong(w, "delivered twice:", m->rcpt[i].address);
		if ((w->taken[i] == 1) != (r->status == ATTEMPT_SENT))
			return wrong(
			    w, "what a host took is not what was reported:", m->rcpt[i].address);
		if (r->decided_by >= (int)attempt_ntries(w->attempt))
			return wrong(w, "decided by no try:", m->rcpt[i].address);
	}
	return true;
}

static void start_again(struct scene *s)
{
	for (size_t i = 0; i < s->nhost; i++)
		s->host[i].used = false;
	for (size_t i = 0; i < s->ndns; i++)
		s->dns[i].asked = false;
	for (size_t i = 0; i < s->message.nrcpt; i++) {
		struct smtpc_rcpt *r = &s->rcpt[i];
		*r = (struct smtpc_rcpt){.address = r->address, .params = r->params};
	}
}

bool scene_play(struct scene *s, const struct scene_mode *mode, struct show *w)
{
	struct waiting q = {.n = 0};
	memset(w, 0, sizeof(*w));
	w->scene = s;
	w->mode = mode;
	start_again(s);
	w->taken = calloc(SCENE_RCPTS_MAX, sizeof(*w->taken));
	w->attempt = attempt_new(&s->config);
	if (w->taken == NULL || w->attempt == NULL)
		return wrong(w, "out of memory", "");
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		enum attempt_want want = attempt_want(w->attempt);
		if (want == ATTEMPT_DONE)
			return check_end(w);
		if (!resolve(w, &q))
			return false;
		want = attempt_want(w->attempt);
		if (want == ATTEMPT_WANT_ANSWERS && !answer_one(w, &q))
			return false;
		if (want == ATTEMPT_WANT_SESSION && !connect_one(w))
			return false;
	}
	return wrong(w, "does not end", "");
}

void show_free(struct show *w)
{
	attempt_free(&w->attempt);
	free(w->taken);
	w->taken = NULL;
}
