/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is: shares of the slots, in them origins, in these senders, of these destinations.
 *
 * Knows who has how many. Refuses to know why a destination may start (host.c), and the store.
 */
#include "sched/room.h"

#include "wire/origin.h"

enum {
	OWN_PART = 8,    /* one slot in so many is for backends of this machine alone */
	SLOW_TIMES = 2,  /* so many times what is left then may slow destinations have, */
	NEW_TIMES = 1,   /* and so many those that are not proven */
	NOTICE_PART = 8, /* the same for notices */
	WAKES = 2,       /* by the end of one attempt, of each list of those who wait for that */
	RECHOSEN = 4,    /* destinations of a sender that has its part */
};

/* An origin's part of what is left of the share, a sender's part of what its origin has left. */
static const struct {
	uint32_t origin, sender;
} parts[SHARES] = {
    [SHARE_OWN] = {8, 8}, [SHARE_KNOWN] = {8, 8},   [SHARE_SLOW] = {4, 2},
    [SHARE_NEW] = {2, 1}, [SHARE_NOTICES] = {2, 1},
};

const char *sched_share_name(enum sched_share s)
{
	static const char *const names[SHARES] = {"own", "known", "slow", "new", "notices"};
	return names[s];
}

static uint32_t less(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

static uint32_t at_least_one(uint32_t n)
{
	return n > 0 ? n : 1;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* More that the share may take: it is content with `part` times what it leaves. */
static uint32_t content(uint32_t running, uint32_t left, uint32_t part)
{
	uint64_t all = (uint64_t)running + left;

	return less((uint32_t)((all * part + part) / (part + 1)), running);
}

static uint32_t slots_left(const struct sched *s, enum sched_share c)
{
	uint32_t all = less(s->c.slots, s->running);
	uint32_t own = s->share[SHARE_OWN].running, running = s->share[c].running;
	uint32_t left = less(s->c.slots - s->c.slots / OWN_PART, s->running - own);

	left = smaller(left, all);
	switch (c) {
	case SHARE_OWN:
		return all;
	case SHARE_SLOW:
		return smaller(left, content(running, left, SLOW_TIMES));
	case SHARE_NEW:
		return smaller(left, content(running, left, NEW_TIMES));
	case SHARE_NOTICES:
		return smaller(left, less(at_least_one(s->c.slots / NOTICE_PART), running));
	case SHARE_KNOWN:
	case SHARES:
		return left;
	}
	return left;
}

static bool has_part_left(enum sched_share c, uint32_t left, const struct origin *o,
			  const struct flow *f)
{
	uint64_t most = (uint64_t)parts[c].origin * left;

	return left > 0 && o->running < most && f->running < parts[c].sender * (most - o->running);
}

/* ---- who is who ---- */

static bool is_free_origin(const struct origin *o)
{
	return o->running == 0 && o->n == 0 && !o->capped;
}

static bool is_free_flow(const struct flow *f)
{
	return f->running == 0 && f->n == 0;
}

/* Its place, else a free one, else one that it shares. */
static uint32_t find_origin(const struct sched *s, enum sched_share c, uint64_t id)
{
	uint64_t h = sched_mix(s->seed, id, 1);
	uint32_t first = (uint32_t)(h % ORIGIN_SETS) * ORIGIN_WAYS, spare = NIL;

	for (uint32_t i = first; i < first + ORIGIN_WAYS; i++) {
		const struct origin *o = &s->share[c].origin[i];
		if (is_free_origin(o))
			spare = i;
		else if (o->id == id)
			return i;
	}
	return spare != NIL ? spare : first + (uint32_t)(h >> 32) % ORIGIN_WAYS;
}

static uint8_t find_flow(const struct sched *s, const struct origin *o, uint64_t sender)
{
	uint8_t spare = FLOWS;

	for (uint8_t i = 0; i < FLOWS; i++) {
		if (is_free_flow(&o->flow[i]))
			spare = i;
		else if (o->flow[i].sender == sender)
			return i;
	}
	return spare < FLOWS ? spare : (uint8_t)(sched_mix(s->seed, sender, 2) % FLOWS);
}

static enum sched_share share_of(const struct sched *s, const struct dest *d, const struct entry *e)
{
	if (d->own)
		return SHARE_OWN;
	if (origin_of_sender(e->sender) == ORIGIN_NOTICES)
		return SHARE_NOTICES;
	if (!host_is_proven(s, d))
		return SHARE_NEW;
	return host_is_slow(d) ? SHARE_SLOW : SHARE_KNOWN;
}

static bool may_have_slot(const struct sched *s, const struct dest *d, const struct entry *e)
{
	enum sched_share c = share_of(s, d, e);
	const struct origin *o =
	    &s->share[c].origin[find_origin(s, c, origin_of_sender(e->sender))];

	return has_part_left(c, slots_left(s, c), o, &o->flow[find_flow(s, o, e->sender)]);
}

/* ---- origins in order: fewest running first, then who was served longest ago ---- */

static bool goes_before(const struct share *h, uint32_t a, uint32_t b)
{
	const struct origin *x = &h->origin[h->heap[a]], *y = &h->origin[h->heap[b]];

	if (x->running != y->running)
		return x->running < y->running;
	return (int32_t)(x->served - y->served) < 0;
}

static void heap_swap(struct share *h, uint32_t a, uint32_t b)
{
	uint32_t x = h->heap[a];

	h->heap[a] = h->heap[b];
	h->heap[b] = x;
	h->origin[h->heap[a]].heap = a + 1;
	h->origin[h->heap[b]].heap = b + 1;
}

static void heap_mend(struct share *h, uint32_t i)
{
	for (; i > 0 && goes_before(h, i, (i - 1) / 2); i = (i - 1) / 2)
		heap_swap(h, i, (i - 1) / 2);
	for (;;) {
		uint32_t child = 2 * i + 1;
		if (child + 1 < h->nheap && goes_before(h, child + 1, child))
			child++;
		if (child >= h->nheap || !goes_before(h, child, i))
			return;
		heap_swap(h, i, child);
		i = child;
	}
}

static void heap_add(struct share *h, uint32_t origin)
{
	h->heap[h->nheap] = origin;
	h->origin[origin].heap = ++h->nheap;
	heap_mend(h, h->nheap - 1);
}

static void heap_remove(struct share *h, uint32_t origin)
{
	uint32_t i = h->origin[origin].heap - 1;

	heap_swap(h, i, --h->nheap);
	h->origin[origin].heap = 0;
	if (i < h->nheap)
		heap_mend(h, i);
}

/* ---- origins that have their part ---- */

static void cap(struct share *h, uint32_t i)
{
	struct origin *o = &h->origin[i];

	heap_remove(h, i);
	o->capped = true;
	o->next = NIL;
	*(h->ncapped > 0 ? &h->origin[h->capped_tail].next : &h->capped_head) = i;
	h->capped_tail = i;
	h->ncapped++;
}

/* Whoever is next in the list may try again. */
static void uncap_some(struct share *h)
{
	for (int n = 0; n < WAKES && h->ncapped > 0; n++) {
		uint32_t i = h->capped_head;
		struct origin *o = &h->origin[i];
		h->capped_head = o->next;
		h->ncapped--;
		o->capped = false;
		if (o->n > 0 && o->heap == 0)
			heap_add(h, i);
	}
}

/* ---- where a destination stands ---- */

static uint32_t net_limit(const struct sched *s, const struct dest *d)
{
	switch (share_of(s, d, &s->entry[d->head])) {
	case SHARE_OWN:
		return UINT32_MAX;
	case SHARE_KNOWN:
	case SHARE_SLOW:
		return s->c.limit + slots_left(s, SHARE_KNOWN) / 2;
	case SHARE_NEW:
		return s->c.start + slots_left(s, SHARE_NEW) / 4;
	case SHARE_NOTICES:
	case SHARES:
		return s->c.start + slots_left(s, SHARE_NOTICES) / 4;
	}
	return 1;
}

static bool net_is_full(const struct sched *s, const struct dest *d)
{
	return d->net != 0 && s->net_running[d->net] > 0 &&
	       s->net_running[d->net] >= net_limit(s, d);
}

/* A probe: of whom nobody has cause to think that it is the message, and small. */
static uint64_t probe_rank(const struct sched *s, const struct dest *d, const struct entry *e)
{
	uint64_t rank = e->size < (1u << 31) ? e->size : (1u << 31);

	if (host_is_blamed(d, origin_of_sender(e->sender)))
		rank += (uint64_t)1 << 40;
	return may_have_slot(s, d, e) ? rank : rank + ((uint64_t)1 << 41);
}

static uint32_t choose_probe(const struct sched *s, const struct dest *d)
{
	uint32_t best = NIL;
	uint64_t best_rank = UINT64_MAX;

	for (uint32_t e = d->head; e != NIL; e = s->entry[e].next) {
		uint64_t rank = probe_rank(s, d, &s->entry[e]);
		if (octets_fit(s, &s->entry[e]) && rank < best_rank) {
			best = e;
			best_rank = rank;
		}
	}
	return best;
}

/* The first in their order whose sender may have a slot, else the first. NIL: none of them fits the
 * budget of octets. */
static uint32_t choose(const struct sched *s, const struct dest *d)
{
	uint32_t first = NIL;

	if (d->state == DEST_PROBE)
		return choose_probe(s, d);
	for (uint32_t e = d->head; e != NIL; e = s->entry[e].next) {
		if (!octets_fit(s, &s->entry[e]))
			continue;
		if (may_have_slot(s, d, &s->entry[e]))
			return e;
		if (first == NIL)
			first = e;
	}
	return first;
}

static struct ring flow_ring(const struct flow *f)
{
	return (struct ring){f->ring, f->n};
}

static void leave_flow(struct sched *s, struct dest *d)
{
	struct share *h = &s->share[d->share];
	struct origin *o = &h->origin[d->origin];
	struct flow *f = &o->flow[d->flow];
	struct ring r = flow_ring(f);

	ring_remove(s, &r, (uint32_t)(d - s->dest));
	f->ring = r.head;
	f->n = r.n;
	if (--o->n == 0 && o->heap != 0)
		heap_remove(h, d->origin);
}

static void join_flow(struct sched *s, struct dest *d, uint32_t choice)
{
	const struct entry *e = &s->entry[choice];
	uint64_t id = origin_of_sender(e->sender);
	enum sched_share c = share_of(s, d, e);
	struct share *h = &s->share[c];
	uint32_t i = find_origin(s, c, id);
	struct origin *o = &h->origin[i];

	if (is_free_origin(o))
		o->id = id;
	uint8_t k = find_flow(s, o, e->sender);
	struct flow *f = &o->flow[k];
	if (is_free_flow(f))
		f->sender = e->sender;
	d->choice = choice;
	if (d->queue == QUEUE_FLOW && d->share == c && d->origin == i && d->flow == k)
		return;
	share_unqueue(s, d);
	struct ring r = flow_ring(f);
	ring_append(s, &r, (uint32_t)(d - s->dest));
	f->ring = r.head;
	f->n = r.n;
	d->queue = QUEUE_FLOW;
	d->share = (uint8_t)c;
	d->origin = i;
	d->flow = k;
	/* Its place in the list of the capped stays: it may be this destination that can go. */
	if (o->n++ == 0 || (o->capped && o->heap == 0))
		heap_add(h, i);
}

static void wait_in(struct sched *s, struct dest *d, enum queue q)
{
	if (d->queue == q)
		return;
	share_unqueue(s, d);
	ring_append(s, q == QUEUE_NET ? &s->net[d->net] : &s->hold, (uint32_t)(d - s->dest));
	d->queue = q;
}

void share_queue(struct sched *s, struct dest *d)
{
	if (net_is_full(s, d)) {
		wait_in(s, d, QUEUE_NET);
		return;
	}
	uint32_t choice = choose(s, d);
	if (choice == NIL)
		wait_in(s, d, QUEUE_OCTETS);
	else
		join_flow(s, d, choice);
}

void share_unqueue(struct sched *s, struct dest *d)
{
	uint32_t i = (uint32_t)(d - s->dest);

	switch (d->queue) {
	case QUEUE_NONE:
		break;
	case QUEUE_FLOW:
		leave_flow(s, d);
		break;
	case QUEUE_NET:
		ring_remove(s, &s->net[d->net], i);
		break;
	case QUEUE_OCTETS:
		ring_remove(s, &s->hold, i);
		break;
	}
	d->queue = QUEUE_NONE;
}

/* ---- who is next ---- */

static struct flow *next_flow(const struct sched *s, struct origin *o)
{
	struct flow *best = NULL;

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow *f = &o->flow[i];
		if (f->n == 0)
			continue;
		if (best == NULL || f->running < best->running ||
		    (f->running == best->running &&
		     s->served - f->served > s->served - best->served))
			best = f;
	}
	return best;
}

/* Deficit round robin. A round adds a quantum to everybody, and no delivery costs more than
 * SCHED_COST_MAX quanta: the loop ends, and each step is paid for by a start. */
static struct dest *next_dest(struct sched *s, struct flow *f)
{
	for (;;) {
		struct dest *d = &s->dest[f->ring];
		if (d->deficit >= s->entry[d->choice].cost)
			return d;
		d->deficit += s->c.quantum;
		d->had_turn = true;
		s->stuck = false;
		f->ring = d->ring_next;
	}
}

/* The sender has its part: perhaps somebody else's delivery can go to its destinations. They may
 * give way to others in memory. */
static void choose_others(struct sched *s, struct flow *f)
{
	for (uint32_t n = smaller(f->n, RECHOSEN); n > 0 && f->n > 0; n--) {
		struct dest *d = &s->dest[f->ring];
		f->ring = d->ring_next;
		d->had_turn = true;
		s->stuck = false;
		share_queue(s, d);
	}
}

static struct dest *pick_of(struct sched *s, enum sched_share c)
{
	struct share *h = &s->share[c];

	while (h->nheap > 0) {
		uint32_t left = slots_left(s, c), i = h->heap[0];
		if (left == 0)
			return NULL;
		struct flow *f = next_flow(s, &h->origin[i]);
		if (!has_part_left(c, left, &h->origin[i], f)) {
			if (h->origin[i].capped)
				heap_remove(h, i);
			else
				cap(h, i);
			choose_others(s, f);
			continue;
		}
		struct dest *d = next_dest(s, f);
		if (!net_is_full(s, d) && octets_fit(s, &s->entry[d->choice]))
			return d;
		share_queue(s, d);
	}
	return NULL;
}

uint32_t share_pick(struct sched *s)
{
	enum { OTHERS = SHARES - 1 };
	struct dest *d = pick_of(s, SHARE_OWN);

	for (uint32_t n = 0; n < OTHERS && d == NULL; n++)
		d = pick_of(s, (enum sched_share)(1 + (s->served + n) % OTHERS));
	return d != NULL ? (uint32_t)(d - s->dest) : NIL;
}

/* One more under way of whom e->share, origin and flow say. */
static void count_start(struct sched *s, struct entry *e, const struct dest *d)
{
	struct share *h = &s->share[e->share];
	struct origin *o = &h->origin[e->origin];
	struct flow *f = &o->flow[e->flow];

	e->net = d->net;
	f->served = o->served = ++s->served;
	f->running++;
	o->running++;
	h->running++;
	s->net_running[e->net]++;
	if (o->heap != 0)
		heap_mend(h, o->heap - 1);
	octets_take(s, e);
}

void share_adopted(struct sched *s, struct entry *e, const struct dest *d)
{
	enum sched_share c = share_of(s, d, e);
	uint32_t i = find_origin(s, c, origin_of_sender(e->sender));
	struct origin *o = &s->share[c].origin[i];

	if (is_free_origin(o))
		o->id = origin_of_sender(e->sender);
	uint8_t k = find_flow(s, o, e->sender);
	if (is_free_flow(&o->flow[k]))
		o->flow[k].sender = e->sender;
	e->share = (uint8_t)c;
	e->origin = i;
	e->flow = k;
	count_start(s, e, d);
}

void share_started(struct sched *s, struct entry *e, struct dest *d)
{
	struct flow *f = &s->share[d->share].origin[d->origin].flow[d->flow];

	e->share = d->share;
	e->origin = d->origin;
	e->flow = d->flow;
	d->deficit -= e->cost;
	if (d->deficit == 0) { /* its turn is over; the next one begins with a quantum */
		d->had_turn = true;
		f->ring = d->ring_next;
		d->deficit = s->c.quantum;
	}
	count_start(s, e, d);
}

static void wake_some(struct sched *s, struct ring *r)
{
	for (int n = 0; n < WAKES && r->n > 0; n++) {
		struct dest *d = &s->dest[r->head];
		r->head = d->ring_next; /* to the end, should it stay */
		share_queue(s, d);
	}
}

void share_ended(struct sched *s, const struct entry *e)
{
	struct share *h = &s->share[e->share];
	struct origin *o = &h->origin[e->origin];

	o->flow[e->flow].running--;
	o->running--;
	h->running--;
	s->net_running[e->net]--;
	if (o->n > 0 && o->heap == 0)
		heap_add(h, e->origin);
	else if (o->heap != 0)
		heap_mend(h, o->heap - 1);
	for (uint32_t c = 0; c < SHARES; c++)
		uncap_some(&s->share[c]);
	wake_some(s, &s->net[e->net]);
	if (octets_release(s, e))
		wake_some(s, &s->hold);
}

/* ---- networks ---- */

static struct remembered *place_of(const struct sched *s, const struct dest *d)
{
	return &s->remembered[sched_mix(s->seed, (uint64_t)d->id, 4) % REMEMBERED];
}

void share_recall_network(struct sched *s, struct dest *d)
{
	const struct remembered *r = place_of(s, d);

	d->net = r->dest == d->id ? r->net : 0;
}

void share_learn_network(struct sched *s, struct dest *d, uint64_t network)
{
	uint32_t net =
	    network != 0 ? 1 + (uint32_t)(sched_mix(s->seed, network, 5) % (NETS - 1)) : 0;

	if (net == 0 || net == d->net)
		return;
	if (d->queue == QUEUE_NET)
		share_unqueue(s, d);
	d->net = net;
	*place_of(s, d) = (struct remembered){d->id, net};
}
