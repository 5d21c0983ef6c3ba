/* SPDX-License-Identifier: MIT */
/* Which evidence is known under which key. Knows the engine's collector and the channel; refuses to
 * know what is in it. */
#include "relay/courier_evidence.h"

#include "relay/mail.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 1024,
	KNOWN_MAX = 8192,   /* then the oldest go: bounds memory */
	AGAIN_S = 6 * 3600, /* then it is collected anew: the keeper forgets what nobody uses */
	FAILED_S = 60,      /* so long a failure is not tried again */
	RUNNING_MAX = 256,
};

/* A report that refers to it outlives a keeper; so must the evidence. */
enum evidence_way { WAY_NONE, WAY_WANTED, WAY_SENT, WAY_KEPT };

/* Of one key. Not before `run` has ended is it evidence or a failure. */
struct known {
	struct courier_evidence *owner;
	uint8_t key[EVIDENCE_ID], id[EVIDENCE_ID];
	struct evidence_run *run;
	bool failed;
	enum evidence_way way;
	uint64_t report; /* on its way: sent before this one */
	int64_t until;
	struct buf body;             /* until the keeper has it for good */
	struct known *next;          /* in its bucket */
	struct known *older, *newer; /* by when it was made */
};

struct courier_evidence {
	struct engine *engine;
	struct known *bucket[BUCKETS];
	struct known *newest, *oldest;
	size_t n, running;
	size_t unsure; /* wanted or on their way */
};

static struct known **bucket_of(struct courier_evidence *c, const uint8_t *key)
{
	return &c->bucket[((size_t)key[0] << 8 | key[1]) % BUCKETS];
}

static struct known *find(struct courier_evidence *c, const uint8_t *key)
{
	struct known *k = *bucket_of(c, key);
	while (k != NULL && memcmp(k->key, key, EVIDENCE_ID) != 0)
		k = k->next;
	return k;
}

static void forget(struct known *k)
{
	struct courier_evidence *c = k->owner;
	struct known **at = bucket_of(c, k->key);
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	*(k->newer != NULL ? &k->newer->older : &c->newest) = k->older;
	*(k->older != NULL ? &k->older->newer : &c->oldest) = k->newer;
	c->n--;
	c->unsure -= k->way == WAY_WANTED || k->way == WAY_SENT;
	if (k->run != NULL)
		c->running--;
	evidence_run_free(&k->run);
	buf_free(&k->body);
	free(k);
}

static struct known *make(struct courier_evidence *c, const uint8_t *key)
{
	struct known *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return NULL;
	if (c->n == KNOWN_MAX)
		forget(c->oldest);
	*k = (struct known){.owner = c, .next = *bucket_of(c, key), .older = c->newest};
	memcpy(k->key, key, EVIDENCE_ID);
	buf_init(&k->body, EVIDENCE_BODY_MAX);
	*bucket_of(c, key) = k;
	*(c->newest != NULL ? &c->newest->newer : &c->oldest) = k;
	c->newest = k;
	c->n++;
	return k;
}

static void log_failure(const struct known *k, const char *why)
{
	log_event(k->owner->engine->log, LOG_LEVEL_INFO, "no-evidence", "why", why, NULL);
}

static void on_evidence(void *arg, const struct evidence *e, const char *why)
{
	struct known *k = arg;
	int64_t now = loop_wall_s();
	k->failed = e == NULL || !evidence_encode(e, &k->body);
	if (k->failed)
		log_failure(k, e == NULL ? why : "it is too large");
	else
		memcpy(k->id, e->id, EVIDENCE_ID);
	k->until = now + (k->failed ? FAILED_S : AGAIN_S);
	if (!k->failed && evidence_until(e, now) < k->until)
		k->until = evidence_until(e, now);
	k->owner->running--;
	evidence_run_free(&k->run); /* last: `e` lives in it */
}

void courier_evidence_begin(struct courier_evidence *c, const struct plan *plan,
			    const struct plan_host *host)
{
	uint8_t key[EVIDENCE_ID];
	if (c == NULL || c->running == RUNNING_MAX || !evidence_key(plan, host, key))
		return;
	struct known *k = find(c, key);
	if (k != NULL && k->run == NULL && loop_wall_s() >= k->until) {
		forget(k);
		k = NULL;
	}
	if (k != NULL)
		return;
	k = make(c, key);
	if (k == NULL)
		return;
	k->run = evidence_start(c->engine, plan, host, loop_wall_s(), on_evidence, k);
	if (k->run != NULL)
		c->running++;
	else
		forget(k);
}

static bool send_body(struct known *k, struct channel *keeper, uint64_t next_report)
{
	buf_add_slice(channel_begin(keeper, MSG_EVIDENCE), buf_slice(&k->body));
	if (!channel_send(keeper, -1))
		return false;
	k->way = WAY_SENT;
	k->report = next_report;
	return true;
}

const uint8_t *courier_evidence_id(struct courier_evidence *c, const struct plan *plan,
				   const struct plan_host *host, struct channel *keeper,
				   uint64_t next_report)
{
	uint8_t key[EVIDENCE_ID];
	if (c == NULL || !evidence_key(plan, host, key))
		return NULL;
	struct known *k = find(c, key);
	if (k == NULL || k->run != NULL || k->failed)
		return NULL;
	if (k->way == WAY_NONE) {
		k->way = WAY_WANTED;
		c->unsure++;
	}
	if (k->way == WAY_WANTED && keeper != NULL && !send_body(k, keeper, next_report)) {
		k->failed = true;
		return NULL;
	}
	return k->id;
}

void courier_evidence_kept(struct courier_evidence *c, uint64_t report)
{
	size_t left = c != NULL ? c->unsure : 0;
	for (struct known *k = left > 0 ? c->newest : NULL; k != NULL && left > 0; k = k->older) {
		left -= k->way == WAY_WANTED || k->way == WAY_SENT;
		if (k->way != WAY_SENT || k->report > report)
			continue;
		k->way = WAY_KEPT;
		buf_free(&k->body);
		c->unsure--;
	}
}

void courier_evidence_unsure(struct courier_evidence *c)
{
	for (struct known *k = c != NULL ? c->newest : NULL; k != NULL; k = k->older) {
		if (k->way == WAY_SENT)
			k->way = WAY_WANTED;
	}
}

bool courier_evidence_again(struct courier_evidence *c, struct channel *keeper)
{
	bool ok = true;
	for (struct known *k = c != NULL ? c->oldest : NULL; k != NULL && ok; k = k->newer)
		ok = k->way != WAY_WANTED || send_body(k, keeper, 1);
	return ok;
}

static void forget_all(struct courier_evidence *c)
{
	while (c != NULL && c->oldest != NULL)
		forget(c->oldest);
}

struct courier_evidence *courier_evidence_new(struct engine *e)
{
	struct courier_evidence *c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->engine = e;
	return c;
}

void courier_evidence_free(struct courier_evidence **c)
{
	forget_all(*c);
	free(*c);
	*c = NULL;
}
