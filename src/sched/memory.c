/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's memory: two pools, two hash tables, the look-ahead lists, the ring of turns.
 *
 * Knows indices. Refuses to know times and why somebody waits.
 */
#include "sched/room.h"

#include "wire/origin.h"

enum { SIBLINGS = 32 }; /* deliveries looked at: an insertion stays cheap */

static uint32_t bucket_of(const struct sched *s, int64_t id, uint32_t mask)
{
	return (uint32_t)sched_mix(s->seed, (uint64_t)id, 0) & mask;
}

uint32_t entry_find(const struct sched *s, int64_t id)
{
	uint32_t e = s->entry_bucket[bucket_of(s, id, s->entry_mask)];

	while (e != NIL && s->entry[e].id != id)
		e = s->entry[e].chain;
	return e;
}

uint32_t dest_find(const struct sched *s, int64_t id)
{
	uint32_t d = s->dest_bucket[bucket_of(s, id, s->dest_mask)];

	while (d != NIL && s->dest[d].id != id)
		d = s->dest[d].chain;
	return d;
}

uint32_t entry_take(struct sched *s, uint32_t dest, const struct sched_delivery *d)
{
	uint32_t e = s->free_entry;

	if (e != NIL)
		s->free_entry = s->entry[e].next;
	else if (s->entries_used < s->nentries)
		e = s->entries_used++;
	else
		return NIL;
	uint32_t *bucket = &s->entry_bucket[bucket_of(s, d->id, s->entry_mask)];
	uint32_t cost = d->cost > 0 ? d->cost : 1;
	s->entry[e] = (struct entry){
	    .id = d->id,
	    .message = d->message,
	    .sender = d->sender,
	    .policy = d->policy,
	    .size = d->size,
	    .expires = d->expires,
	    .dest = dest,
	    .prev = NIL,
	    .next = NIL,
	    .chain = *bucket,
	    .cost = cost < SCHED_COST_MAX ? cost : SCHED_COST_MAX,
	    .attempts = d->attempts,
	};
	*bucket = e;
	return e;
}

void entry_release(struct sched *s, uint32_t e)
{
	uint32_t *at = &s->entry_bucket[bucket_of(s, s->entry[e].id, s->entry_mask)];

	while (*at != e)
		at = &s->entry[*at].chain;
	*at = s->entry[e].chain;
	s->entry[e].next = s->free_entry;
	s->free_entry = e;
}

bool dest_has_room(const struct sched *s)
{
	return s->free_dest != NIL || s->dests_used < s->c.destinations;
}

uint32_t dest_take(struct sched *s, int64_t id)
{
	uint32_t d = s->free_dest;

	if (!dest_has_room(s))
		return NIL;
	if (d != NIL)
		s->free_dest = s->dest[d].chain;
	else
		d = s->dests_used++;
	uint32_t *bucket = &s->dest_bucket[bucket_of(s, id, s->dest_mask)];
	s->dest[d] = (struct dest){.id = id, .chain = *bucket, .head = NIL, .tail = NIL};
	*bucket = d;
	s->ndest++;
	return d;
}

void dest_release(struct sched *s, uint32_t d)
{
	uint32_t *at = &s->dest_bucket[bucket_of(s, s->dest[d].id, s->dest_mask)];

	while (s->dest[d].head != NIL) {
		uint32_t e = s->dest[d].head;
		entry_unlink(s, e);
		entry_release(s, e);
	}
	s->dest[d].more = false;
	s->dest[d].hasten = 0;
	dest_settle(s, &s->dest[d]);
	s->resting -= s->dest[d].state == DEST_RESTING;
	while (*at != d)
		at = &s->dest[*at].chain;
	*at = s->dest[d].chain;
	s->dest[d].state = DEST_FREE;
	s->dest[d].chain = s->free_dest;
	s->free_dest = d;
	s->ndest--;
}

static bool is_first_of_sender(const struct sched *s, uint32_t e)
{
	for (uint32_t i = s->entry[e].prev; i != NIL; i = s->entry[i].prev) {
		if (s->entry[i].sender == s->entry[e].sender)
			return false;
	}
	return true;
}

/* Other senders of this one's origin among the next of the look-ahead. */
static uint64_t count_siblings(const struct sched *s, const struct dest *d, uint64_t sender)
{
	uint64_t origin = origin_of_sender(sender), n = 0, looked = 0;

	for (uint32_t e = d->head; e != NIL && looked < SIBLINGS; e = s->entry[e].next, looked++)
		n += origin_of_sender(s->entry[e].sender) == origin && is_first_of_sender(s, e);
	return n;
}

/* One round behind the sender's last one here. A sender without any starts with the next round, but
 * behind the others of its origin: however many they are, they take turns like one. */
static uint64_t round_of(const struct sched *s, const struct dest *d, uint64_t sender)
{
	for (uint32_t e = d->tail; e != NIL; e = s->entry[e].prev) {
		if (s->entry[e].sender == sender)
			return s->entry[e].round + 1;
	}
	return d->round + 1 + count_siblings(s, d, sender);
}

void entry_insert(struct sched *s, uint32_t e)
{
	struct entry *n = &s->entry[e];
	struct dest *d = &s->dest[n->dest];
	uint32_t after = d->tail;

	n->round = round_of(s, d, n->sender);
	while (after != NIL && s->entry[after].round > n->round)
		after = s->entry[after].prev;
	n->prev = after;
	n->next = after != NIL ? s->entry[after].next : d->head;
	*(after != NIL ? &s->entry[after].next : &d->head) = e;
	*(n->next != NIL ? &s->entry[n->next].prev : &d->tail) = e;
	d->waiting++;
	s->waiting++;
}

void entry_unlink(struct sched *s, uint32_t e)
{
	struct entry *n = &s->entry[e];
	struct dest *d = &s->dest[n->dest];

	*(n->prev != NIL ? &s->entry[n->prev].next : &d->head) = n->next;
	*(n->next != NIL ? &s->entry[n->next].prev : &d->tail) = n->prev;
	d->waiting--;
	s->waiting--;
}

void ring_append(struct sched *s, struct ring *r, uint32_t d)
{
	struct dest *n = &s->dest[d];

	if (r->n == 0) {
		n->ring_prev = n->ring_next = d;
		r->head = d;
	} else {
		n->ring_next = r->head;
		n->ring_prev = s->dest[r->head].ring_prev;
		s->dest[n->ring_prev].ring_next = d;
		s->dest[n->ring_next].ring_prev = d;
	}
	r->n++;
}

void ring_remove(struct sched *s, struct ring *r, uint32_t d)
{
	struct dest *n = &s->dest[d];

	s->dest[n->ring_prev].ring_next = n->ring_next;
	s->dest[n->ring_next].ring_prev = n->ring_prev;
	if (r->head == d)
		r->head = n->ring_next;
	r->n--;
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

static void *table(size_t count, size_t size, bool *failed)
{
	void *p = calloc(count, size);

	*failed |= p == NULL;
	return p;
}

/* Places of the pools are handed out from the front and used again before a new one: what never was
 * needed was never touched, and costs no memory. */
static void make_empty(struct sched *s)
{
	s->free_entry = s->free_dest = NIL;
	for (uint32_t i = 0; i <= s->entry_mask; i++)
		s->entry_bucket[i] = NIL;
	for (uint32_t i = 0; i <= s->dest_mask; i++)
		s->dest_bucket[i] = NIL;
	s->free_text = NIL;
	for (uint32_t i = 0; i <= s->text_mask; i++)
		s->text_bucket[i] = NIL;
}

/* Who shares. Like the pools: what nobody needs costs nothing. */
static void make_shares(struct sched *s, bool *failed)
{
	for (uint32_t i = 0; i < SHARES; i++) {
		s->share[i].origin = table(ORIGINS, sizeof(struct origin), failed);
		s->share[i].heap = table(ORIGINS, sizeof(uint32_t), failed);
	}
	s->net = table(NETS, sizeof(*s->net), failed);
	s->net_running = table(NETS, sizeof(*s->net_running), failed);
	s->remembered = table(REMEMBERED, sizeof(*s->remembered), failed);
	s->text = table(s->c.slots, sizeof(*s->text), failed);
	s->text_mask = power_of_two(s->c.slots) - 1;
	s->text_bucket = table((size_t)s->text_mask + 1, sizeof(uint32_t), failed);
}

static size_t count_share_bytes(const struct sched *s)
{
	return SHARES * (ORIGINS * (sizeof(struct origin) + sizeof(uint32_t))) +
	       NETS * (sizeof(*s->net) + sizeof(*s->net_running)) +
	       REMEMBERED * sizeof(*s->remembered) + s->c.slots * sizeof(*s->text) +
	       ((size_t)s->text_mask + 1) * sizeof(uint32_t);
}

struct sched *sched_new(const struct sched_config *c, uint64_t seed)
{
	struct sched *s = sched_config_error(c) == NULL ? calloc(1, sizeof(*s)) : NULL;
	bool failed = false;

	if (s == NULL)
		return NULL;
	s->c = *c;
	s->seed = seed;
	s->now = INT64_MIN;
	s->wake = INT64_MAX;
	s->hungry_head = s->hungry_tail = NIL;
	s->nentries = c->destinations * c->lookahead + c->slots;
	s->entry_mask = power_of_two(s->nentries) - 1;
	s->dest_mask = power_of_two(c->destinations) - 1;
	s->entry = table(s->nentries, sizeof(*s->entry), &failed);
	s->dest = table(c->destinations, sizeof(*s->dest), &failed);
	s->entry_bucket = table((size_t)s->entry_mask + 1, sizeof(uint32_t), &failed);
	s->dest_bucket = table((size_t)s->dest_mask + 1, sizeof(uint32_t), &failed);
	s->parked = table(c->destinations, sizeof(*s->parked), &failed);
	make_shares(s, &failed);
	if (failed)
		sched_free(&s);
	else
		make_empty(s);
	return s;
}

void sched_free(struct sched **s)
{
	if (*s == NULL)
		return;
	free((*s)->entry);
	free((*s)->dest);
	free((*s)->entry_bucket);
	free((*s)->dest_bucket);
	free((*s)->parked);
	for (uint32_t i = 0; i < SHARES; i++) {
		free((*s)->share[i].origin);
		free((*s)->share[i].heap);
	}
	free((*s)->net);
	free((*s)->net_running);
	free((*s)->remembered);
	free((*s)->text);
	free((*s)->text_bucket);
	free(*s);
	*s = NULL;
}

void sched_count(const struct sched *s, struct sched_counts *out)
{
	*out = (struct sched_counts){
	    .destinations = s->ndest,
	    .resting = s->resting,
	    .waiting = s->waiting,
	    .held_back = s->hold.n,
	    .running = s->running,
	    .slots = s->c.slots,
	    .octets = s->octets,
	    .bytes = sizeof(*s) + s->nentries * sizeof(*s->entry) +
		     s->c.destinations * (sizeof(*s->dest) + sizeof(*s->parked)) +
		     ((size_t)s->entry_mask + s->dest_mask + 2) * sizeof(uint32_t) +
		     count_share_bytes(s),
	};
	for (uint32_t i = 0; i < SHARES; i++) {
		out->of_share[i] = s->share[i].running;
		out->capped += s->share[i].ncapped;
	}
}
