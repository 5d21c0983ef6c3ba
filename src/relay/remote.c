/* SPDX-License-Identifier: MIT */
/*
 * Questions to the resolver process and its answers. A question whose resolver goes is put to
 * the next one; when two have gone it is answered with a failed lookup (it may be what they died
 * of): the mail waits, it never goes another way.
 */
#include "relay/remote.h"

#include "relay/mail.h"

#include <stdlib.h>
#include <string.h>

enum { LOST_MAX = 2 };

struct asked {
	struct remote *remote;
	uint64_t id;
	char *name;
	uint16_t type;
	dns_cb *cb;
	void *arg;
	bool sent;
	uint64_t asked_ms;
	unsigned lost;         /* resolvers that went with it */
	struct answer *answer; /* to be delivered from the loop */
	struct loop_deferred *deferred;
	struct asked *next;
};

struct remote {
	struct loop *loop;
	enum role self;
	struct channel *channel;
	struct asked *open;
	uint64_t last_id;
	uint64_t answered, answered_ms;
};

struct remote *remote_new(struct loop *l, enum role self)
{
	struct remote *r = calloc(1, sizeof(*r));
	if (r != NULL) {
		r->loop = l;
		r->self = self;
	}
	return r;
}

static void unlink_asked(struct asked *a)
{
	struct asked **at = &a->remote->open;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
}

static void release(struct asked *a)
{
	unlink_asked(a);
	if (a->deferred != NULL)
		loop_defer_cancel(&a->deferred);
	answer_unref(&a->answer);
	free(a->name);
	free(a);
}

void remote_free(struct remote **r)
{
	if (*r == NULL)
		return;
	while ((*r)->open != NULL)
		release((*r)->open);
	channel_free(&(*r)->channel);
	free(*r);
	*r = NULL;
}

static void deliver(void *arg)
{
	struct asked *a = arg;
	dns_cb *cb = a->cb;
	void *cb_arg = a->arg;
	struct answer *answer = a->answer;
	a->answer = NULL;
	a->deferred = NULL;
	release(a);
	cb(cb_arg, answer);
	answer_unref(&answer);
}

static void settle(struct asked *a, struct answer *answer)
{
	a->answer = answer;
	a->remote->answered++;
	a->remote->answered_ms += loop_now_ms() - a->asked_ms;
	a->deferred = loop_defer(a->remote->loop, deliver, a);
	if (a->deferred == NULL) /* out of memory: nobody can be told later, so now */
		deliver(a);
}

static void fail(struct asked *a, const char *why)
{
	settle(a, answer_failed(a->name, a->type, DNS_SERVFAIL, why));
}

static void send_question(struct asked *a)
{
	struct question q = {.id = a->id, .type = a->type, .name = a->name};
	question_put(channel_begin(a->remote->channel, MSG_ASK), &q);
	a->sent = true;
	if (!channel_send(a->remote->channel, -1))
		fail(a, "the resolver process takes no questions");
}

static struct asked *find(struct remote *r, uint64_t id)
{
	for (struct asked *a = r->open; a != NULL; a = a->next) {
		if (a->id == id && a->deferred == NULL)
			return a;
	}
	return NULL;
}

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct remote *r = arg;
	struct arena mem;
	struct answered x;
	(void)c;
	arena_init(&mem, 65536);
	struct asked *a =
	    type == MSG_ANSWER && answered_get(payload, &mem, &x) ? find(r, x.id) : NULL;
	if (a != NULL && x.packet.n > 0)
		settle(a, answer_parse(a->name, a->type, x.packet, (enum answer_security)x.security,
				       x.why));
	else if (a != NULL)
		settle(a, answer_failed(a->name, a->type, x.rcode,
					x.why != NULL ? x.why : "no answer"));
	arena_free(&mem);
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	struct remote *r = arg;
	(void)c;
	(void)why;
	channel_free(&r->channel);
	for (struct asked *a = r->open, *next; a != NULL; a = next) {
		next = a->next;
		if (!a->sent || a->deferred != NULL)
			continue;
		a->sent = false;
		if (++a->lost == LOST_MAX)
			fail(a, "the resolver process ended");
	}
}

void remote_connect(struct remote *r, int fd)
{
	if (r->channel != NULL)
		on_gone(r, r->channel, "replaced");
	r->channel = channel_new(r->loop, fd, r->self, ROLE_RESOLVER, on_message, on_gone, r);
	for (struct asked *a = r->open, *next; a != NULL && r->channel != NULL; a = next) {
		next = a->next;
		if (!a->sent && a->deferred == NULL)
			send_question(a);
	}
}

static void *ask(void *self, const char *name, uint16_t type, dns_cb *cb, void *arg)
{
	struct remote *r = self;
	struct asked *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	*a = (struct asked){.remote = r,
			    .id = ++r->last_id,
			    .name = strdup(name),
			    .type = type,
			    .cb = cb,
			    .arg = arg,
			    .next = r->open};
	a->asked_ms = loop_now_ms();
	if (a->name == NULL) {
		free(a);
		return NULL;
	}
	r->open = a;
	if (r->channel != NULL)
		send_question(a);
	return a;
}

static void cancel(void *self, void *query)
{
	(void)self;
	if (query != NULL)
		release(query);
}

struct engine_resolver remote_resolver(struct remote *r)
{
	return (struct engine_resolver){r, ask, cancel};
}

void remote_count(const struct remote *r, uint64_t *questions, uint64_t *ms)
{
	*questions = r->answered;
	*ms = r->answered_ms;
}
