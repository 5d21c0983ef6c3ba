/* SPDX-License-Identifier: MIT */
/*
 * Questions to the resolver process and its answers. A question whose resolver goes is put to
 * the next one; when two have gone it is answered with a failed lookup (it may be what they died
 * of): the mail waits, it never goes another way.
 *
 * Many messages for one destination ask the same within a moment. A courier uses answers with
 * records again for that moment, within their TTL; never absences, aliases and failures. The warden
 * looks anew each time.
 *
 * Every question has an end. A timer looks at what a lack of memory on either side has left:
 * answers that could not be handed on, questions that nobody answers any more, a channel that is
 * gone.
 */
#include "relay/remote.h"

#include "relay/mail.h"

#include <stdlib.h>
#include <string.h>

enum {
	LOST_MAX = 2,
	HELD_MAX = 256, /* answers at hand: bounds memory */
	HELD_MS = 1000,
	TICK_MS = 1000,    /* while something is open */
	IDLE_MS = 60000,   /* the timer stays set: setting it again then needs no memory */
	LACKING_MS = 5000, /* without a resolver before the parent is asked for one, and again */
	ANSWER_MS =
	    1200000, /* twice the most of dns.timeout: stops a lost answer from holding mail */
};

struct held {
	struct answer *answer;
	uint64_t until; /* loop_now_ms() */
};

struct asked {
	struct remote *remote;
	uint64_t id;
	char *name;
	uint16_t type;
	dns_cb *cb;
	void *arg;
	bool sent;
	uint64_t asked_ms;
	bool settled;          /* with the answer, which is NULL when there was no memory for it */
	unsigned lost;         /* resolvers that went with it */
	struct answer *answer; /* to be delivered from the loop */
	struct loop_deferred *deferred;
	struct asked *next;
};

struct remote {
	struct loop *loop;
	enum role self;
	struct channel *channel, *parent;
	struct loop_timer *tick;
	uint64_t lacking_ms; /* loop_now_ms() when it was noticed that there is no resolver */
	struct asked *open;
	uint64_t last_id;
	uint64_t answered, answered_ms;
	struct held held[HELD_MAX]; /* each at the place that its question leads to */
};

static void on_tick(void *arg);

struct remote *remote_new(struct loop *l, enum role self, struct channel *parent)
{
	struct remote *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->loop = l;
	r->self = self;
	r->parent = parent;
	r->lacking_ms = loop_now_ms();
	r->tick = loop_timer_new(l, on_tick, r);
	if (r->tick == NULL) {
		free(r);
		return NULL;
	}
	loop_timer_set(r->tick, IDLE_MS);
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

/* --- Answers at hand --- */

static struct held *place_of(struct remote *r, const char *name, uint16_t type)
{
	uint32_t h = 2166136261u ^ type; /* FNV-1a */
	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return &r->held[(h ^ h >> 16) % HELD_MAX];
}

/* So many milliseconds it may be used again. */
static uint64_t holds_for(const struct answer *a)
{
	uint64_t ms = HELD_MS;
	if ((a->status != DNS_SECURE && a->status != DNS_INSECURE) || a->nrr == 0 ||
	    a->naliases > 0)
		return 0;
	for (size_t i = 0; i < a->nrr; i++) {
		if (a->rr[i].ttl * UINT64_C(1000) < ms)
			ms = a->rr[i].ttl * UINT64_C(1000);
	}
	return ms;
}

static void hold(struct remote *r, struct answer *a)
{
	uint64_t ms = a != NULL && r->self == ROLE_COURIER ? holds_for(a) : 0;
	if (ms == 0)
		return;
	struct held *h = place_of(r, a->name, a->type);
	answer_unref(&h->answer);
	*h = (struct held){answer_ref(a), loop_now_ms() + ms};
}

static struct answer *find_held(struct remote *r, const char *name, uint16_t type)
{
	struct held *h = place_of(r, name, type);
	bool same =
	    h->answer != NULL && h->answer->type == type && strcmp(h->answer->name, name) == 0;
	return same && loop_now_ms() < h->until ? answer_ref(h->answer) : NULL;
}

static void drop_held(struct remote *r)
{
	for (size_t i = 0; i < HELD_MAX; i++)
		answer_unref(&r->held[i].answer);
}

void remote_free(struct remote **r)
{
	if (*r == NULL)
		return;
	drop_held(*r);
	while ((*r)->open != NULL)
		release((*r)->open);
	channel_free(&(*r)->channel);
	loop_timer_free(&(*r)->tick);
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
	a->settled = true;
	a->remote->answered++;
	a->remote->answered_ms += loop_now_ms() - a->asked_ms;
	a->deferred = loop_defer(a->remote->loop, deliver, a);
	if (a->deferred == NULL) /* out of memory: the timer hands it on */
		loop_timer_set(a->remote->tick, 0);
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
		if (a->id == id && !a->settled)
			return a;
	}
	return NULL;
}

/* What it had is put to the next one, but not for ever. */
static void lose_resolver(struct remote *r, const char *why)
{
	channel_free(&r->channel);
	drop_held(r);
	r->lacking_ms = loop_now_ms();
	loop_timer_set(r->tick, TICK_MS);
	for (struct asked *a = r->open; a != NULL; a = a->next) {
		if (!a->sent || a->settled)
			continue;
		a->sent = false;
		if (++a->lost == LOST_MAX)
			fail(a, why);
	}
}

/* --- What was left over --- */

/* Its callback may do anything to the list. True: there was one. */
static bool deliver_one(struct remote *r)
{
	for (struct asked *a = r->open; a != NULL; a = a->next) {
		if (a->settled && a->deferred == NULL) {
			deliver(a);
			return true;
		}
	}
	return false;
}

/* A resolver that died has a successor by now; one that cut us off lives, and only the parent can
 * bring us together again. */
static void ask_parent(struct remote *r, uint64_t now)
{
	if (r->channel != NULL || r->parent == NULL || r->open == NULL ||
	    now < r->lacking_ms + LACKING_MS)
		return;
	r->lacking_ms = now;
	put_u8(channel_begin(r->parent, MSG_LACKING), ROLE_RESOLVER);
	channel_send(r->parent, -1);
}

static void on_tick(void *arg)
{
	struct remote *r = arg;
	uint64_t now = loop_now_ms();
	for (struct asked *a = r->open; a != NULL; a = a->next) {
		if (!a->settled && now > a->asked_ms + ANSWER_MS)
			fail(a, "no answer from the resolver process");
	}
	ask_parent(r, now);
	loop_timer_set(r->tick, r->open != NULL ? TICK_MS : IDLE_MS);
	while (deliver_one(r))
		;
}

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct remote *r = arg;
	struct arena mem;
	struct answered x;
	(void)c;
	arena_init(&mem, 65536);
	bool understood = type == MSG_ANSWER && answered_get(payload, &mem, &x);
	struct asked *a = understood ? find(r, x.id) : NULL;
	struct answer *answer = NULL;
	if (a != NULL && x.packet.n > 0)
		answer = answer_parse(a->name, a->type, x.packet, (enum answer_security)x.security,
				      x.why);
	else if (a != NULL)
		answer =
		    answer_failed(a->name, a->type, x.rcode, x.why != NULL ? x.why : "no answer");
	hold(r, answer);
	if (a != NULL)
		settle(a, answer);
	arena_free(&mem);
	if (!understood) /* or out of memory: whose answer it was is lost */
		lose_resolver(r, "an answer was not understood");
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	struct remote *r = arg;
	(void)c;
	(void)why;
	lose_resolver(r, "the resolver process ended");
}

void remote_connect(struct remote *r, int fd)
{
	if (r->channel != NULL)
		on_gone(r, r->channel, "replaced");
	r->channel = channel_new(r->loop, fd, r->self, ROLE_RESOLVER, on_message, on_gone, r);
	for (struct asked *a = r->open; a != NULL && r->channel != NULL; a = a->next) {
		if (!a->sent && !a->settled)
			send_question(a);
	}
	if (r->channel == NULL)
		r->lacking_ms = loop_now_ms();
	loop_timer_set(r->tick, TICK_MS);
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
	a->answer = find_held(r, name, type);
	if (a->answer != NULL)
		a->deferred = loop_defer(r->loop, deliver, a);
	a->settled = a->deferred != NULL;
	if (a->settled)
		return a;
	answer_unref(&a->answer);
	if (r->channel != NULL)
		send_question(a);
	loop_timer_set(r->tick, TICK_MS);
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
