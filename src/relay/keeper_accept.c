/* SPDX-License-Identifier: MIT */
/* From an intake's message to rows: one delivery per next-hop domain. The answer waits for the
 * commit. */
#include "relay/keeper_int.h"

#include "relay/mail_check.h"
#include "wire/destination.h"
#include "wire/origin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPT_MEM_MAX = 64 * 1024 * 1024 };

static void refuse(struct peer *p, uint64_t token, uint16_t code, const char *text)
{
	struct submitted x = {.token = token, .code = code, .text = text};
	submitted_put(channel_begin(p->channel, MSG_SUBMITTED), &x);
	channel_send(p->channel, -1);
}

/* The destination behind the last @ in its normal form: an intake hands in A-labels or literals. */
static const char *next_hop_of(struct arena *mem, const char *address)
{
	char normal[DESTINATION_ROOM];
	const char *at = strrchr(address, '@');
	if (at == NULL || destination_normalise(slice_str(at + 1), normal) != DESTINATION_OK)
		return NULL;
	return arena_strdup(mem, normal);
}

struct grouping {
	struct store_new_delivery *delivery;
	struct store_new_rcpt **rcpt; /* of each delivery, room for all */
	size_t n;
};

static struct store_new_delivery *delivery_for(struct grouping *g, const char *hop, int64_t now)
{
	for (size_t i = 0; i < g->n; i++) {
		if (strcmp(g->delivery[i].next_hop, hop) == 0)
			return &g->delivery[i];
	}
	g->delivery[g->n] = (struct store_new_delivery){.next_hop = hop, .due = now};
	return &g->delivery[g->n++];
}

/* Two passes, so that each delivery's recipients are one array: count, then place. */
static bool group_rcpts(struct arena *mem, const struct mail *m, int64_t now, struct grouping *g)
{
	g->delivery = arena_array(mem, m->nrcpt, sizeof(*g->delivery));
	struct store_new_rcpt *all = arena_array(mem, m->nrcpt, sizeof(*all));
	struct store_new_delivery **of =
	    arena_array(mem, m->nrcpt, sizeof(struct store_new_delivery *));
	if (g->delivery == NULL || all == NULL || of == NULL)
		return false;
	for (size_t i = 0; i < m->nrcpt; i++) {
		const char *hop = next_hop_of(mem, m->rcpt[i].address);
		if (hop == NULL)
			return false;
		of[i] = delivery_for(g, hop, now);
		of[i]->nrcpt++;
	}
	for (size_t i = 0, at = 0; i < g->n; i++) {
		g->delivery[i].rcpt = all + at;
		at += g->delivery[i].nrcpt;
		g->delivery[i].nrcpt = 0;
	}
	for (size_t i = 0; i < m->nrcpt; i++) {
		size_t place = (size_t)(of[i]->rcpt - all) + of[i]->nrcpt++;
		all[place] = (struct store_new_rcpt){m->rcpt[i].address, m->rcpt[i].orcpt,
						     m->rcpt[i].notify};
	}
	return true;
}

static enum store_status add(struct keeper *k, const struct mail *m, int fd, struct arena *mem)
{
	int64_t now = keeper_now();
	struct grouping g = {0};
	if (!group_rcpts(mem, m, now, &g))
		return STORE_NO_MEMORY;
	struct store_new_message x = {
	    .envelope = {.queue_id = m->queue_id,
			 .arrived = now,
			 .expires = sched_expires_at(&k->sched_config, now),
			 .reverse_path = m->reverse_path,
			 .envid = m->envid,
			 .ret = m->ret,
			 .origin = m->origin,
			 .sender = origin_sender(m->origin_key, m->reverse_path),
			 .size = m->size,
			 .eight_bit = m->eight_bit,
			 .smtputf8 = m->smtputf8},
	    .warn = sched_warn_at(&k->sched_config, now),
	    .text = {.bytes = m->text, .fd = fd},
	    .delivery = g.delivery,
	    .ndelivery = g.n,
	};
	return store_add(k->store, &x);
}

/* By the keeper before us, which died before it could say so. It is on disk: the first commit of a
 * keeper writes, so that all before it is synced, too. */
static enum store_status was_committed(struct keeper *k, const struct mail *m)
{
	log_event(k->process.log, LOG_LEVEL_INFO, "committed-before", "id", m->queue_id, NULL);
	return STORE_OK;
}

void keeper_submit(struct keeper *k, struct peer *p, struct slice payload, int fd)
{
	struct arena mem;
	struct submit s;
	const char *wrong = NULL;
	arena_init(&mem, ACCEPT_MEM_MAX);
	if (!submit_get(payload, &mem, &s)) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "not-accepted", "error",
			  "an intake handed in what makes no sense", NULL);
		refuse(p, s.token, 451, "4.3.0 Internal error");
	} else if ((wrong = mail_complaint(&s.mail)) != NULL ||
		   (wrong = mail_text_complaint(&s.mail, fd)) != NULL) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "not-accepted", "id", s.mail.queue_id,
			  "error", "an intake handed in what no client may", "field", wrong, NULL);
		refuse(p, s.token, 554, "5.6.0 The envelope is not acceptable");
	} else if (!keeper_group(k)) {
		bool full = store_health(k->store) == STORE_FULL;
		refuse(p, s.token, full ? 452 : 451,
		       full ? "4.3.1 Insufficient storage"
			    : "4.3.0 Queue trouble, try again later");
	} else {
		enum store_status status = add(k, &s.mail, fd, &mem);
		if (status == STORE_EXISTS && s.again)
			status = was_committed(k, &s.mail);
		if (status == STORE_FULL)
			refuse(p, s.token, 452, "4.3.1 Insufficient storage");
		else if (status != STORE_OK)
			refuse(p, s.token, 451, "4.3.0 Queue trouble, try again later");
		else if (!keeper_ack(k, p, MSG_SUBMITTED, s.token, s.mail.queue_id))
			keeper_fatal(k, "acknowledge", STORE_NO_MEMORY);
		if (status != STORE_OK)
			log_event(k->process.log, LOG_LEVEL_ERROR, "not-accepted", "id",
				  s.mail.queue_id, "status", store_status_name(status), "error",
				  store_error(k->store), NULL);
		if (store_health(k->store) != STORE_OK)
			keeper_fatal(k, "add", status);
	}
	if (fd >= 0)
		close(fd);
	arena_free(&mem);
}
