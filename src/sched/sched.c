/* SPDX-License-Identifier: MIT */
/*
 * Events in, wishes out: who is next.
 *
 * Knows turns, rounds and room. Refuses to know what a host's trouble means (host.c), when a
 * delivery is due again (retry.c), and where deliveries come from.
 */
#include "sched/room.h"

#include "wire/origin.h"

enum {
	CLOCK_SLACK = 60000, /* ms: less is no setting of the clock */
	SWAPS = 8,       /* destinations that wait give way in a second, and one for each end: */
	SWAPS_MS = 1000, /* with all slots taken nobody could start, whoever is in memory */
	LOOKS = 64,      /* for a destination that gives way: then the best so far does */
};

static uint32_t index_of(const struct sched *s, const struct dest *d)
{
	return (uint32_t)(d - s->dest);
}

static void move(int64_t *at, int64_t by)
{
	if (*at != 0 && *at != INT64_MIN && *at != INT64_MAX)
		*at += by;
}

/* What rests goes on resting for as long as it would have. */
static void move_clock(struct sched *s, int64_t by)
{
	s->now += by;
	move(&s->wake, by);
	for (uint32_t i = 0; i < s->entries_used; i++)
		s->entry[i].started += by;
	for (uint32_t i = 0; i < s->c.destinations; i++) {
		struct dest *d = &s->dest[i];
		move(&d->back_off_until, by);
		move(&d->worked, by);
		move(&d->told, by);
		move(&d->hasten, by);
		move(&d->trouble, by);
		for (size_t k = 0; k < SCHED_IDLE_MAX; k++)
			move(&d->idle[k].until, by);
	}
}

void sched_clock_moved(struct sched *s, int64_t by)
{
	if (s->now == INT64_MIN)
		return;
	move_clock(s, by);
	for (uint32_t i = 0; i < s->entries_used; i++)
		s->entry[i].expires += by; /* of the free ones it does not matter */
}

static void see_time(struct sched *s, int64_t now)
{
	if (s->now != INT64_MIN && now < s->now - CLOCK_SLACK)
		move_clock(s, now - s->now);
	if (now > s->now)
		s->now = now;
	if (s->now - s->swaps_at >= SWAPS_MS || s->swaps_at > s->now) {
		s->swaps_at = s->now;
		s->swaps = SWAPS;
	}
	host_sweep(s);
}

static bool is_hungry(const struct dest *d)
{
	return (d->more || d->hasten != 0) && !d->asked && d->waiting <= d->fill / 2 &&
	       (d->state == DEST_OPEN || d->state == DEST_PROBE);
}

static void hungry_append(struct sched *s, struct dest *d)
{
	uint32_t i = index_of(s, d);

	d->hungry_next = NIL;
	*(s->hungry_tail != NIL ? &s->dest[s->hungry_tail].hungry_next : &s->hungry_head) = i;
	s->hungry_tail = i;
	d->in_hungry = true;
}

void dest_settle(struct sched *s, struct dest *d)
{
	bool ready = d->waiting > 0 && host_may_start(s, d);

	if (d->waiting == 0)
		d->deficit = 0;
	if (ready && d->deficit == 0)
		d->deficit = s->c.quantum;
	if (ready)
		share_queue(s, d);
	else
		share_unqueue(s, d);
	if (is_hungry(d) && !d->in_hungry)
		hungry_append(s, d);
}

/* ---- room for another destination ---- */

/* How gladly it gives way: 0 not at all. A destination in the list of those to ask stays. For one
 * that works, any that is not known to work does: so many can nobody name that it does not come in.
 */
static int gives_way(const struct sched *s, const struct dest *d, bool for_proven)
{
	if (d->state == DEST_FREE || d->running > 0 || d->in_hungry || d->asked)
		return 0;
	if (d->waiting == 0 && d->state != DEST_RESTING)
		return 3;
	if (d->state == DEST_RESTING)
		return 2; /* the store knows until when */
	if (for_proven)
		return d->own || host_is_proven(s, d) ? 0 : 1;
	return d->had_turn && s->swaps > 0 ? 1 : 0;
}

static void park(struct sched *s, int64_t id)
{
	s->parked[s->park_at] = id;
	s->park_at = (s->park_at + 1) % s->c.destinations;
	if (s->nparked < s->c.destinations)
		s->nparked++;
}

static bool make_room(struct sched *s, bool for_proven)
{
	uint32_t best = NIL;
	int best_way = 0;

	if (dest_has_room(s))
		return true;
	if (s->stuck && !for_proven)
		return false;
	for (uint32_t n = 0; n < s->c.destinations && best_way < 3 && (n < LOOKS || best == NIL);
	     n++) {
		int way = gives_way(s, &s->dest[s->hand], for_proven);
		if (way > best_way) {
			best = s->hand;
			best_way = way;
		}
		s->hand = (s->hand + 1) % s->c.destinations;
	}
	if (best == NIL) {
		s->stuck = true;
		return false;
	}
	if (best_way == 1) {
		s->swaps -= s->swaps > 0;
		park(s, s->dest[best].id);
		s->outside = true;
	}
	dest_release(s, best);
	return true;
}

/* ---- a delivery is due ---- */

struct shares_of {
	uint32_t origin, sender; /* deliveries in the look-ahead */
};

static struct shares_of count_shares(const struct sched *s, const struct dest *d, uint64_t sender)
{
	struct shares_of n = {0};

	for (uint32_t e = d->head; e != NIL; e = s->entry[e].next) {
		n.origin += origin_of_sender(s->entry[e].sender) == origin_of_sender(sender);
		n.sender += s->entry[e].sender == sender;
	}
	return n;
}

/* The last delivery of whoever has more than `most` in the look-ahead, the one with most. */
static uint32_t find_victim(const struct sched *s, const struct dest *d, uint64_t sender,
			    bool same_origin, struct shares_of most)
{
	uint32_t victim = NIL;

	for (uint32_t e = d->tail; e != NIL; e = s->entry[e].prev) {
		struct shares_of n = count_shares(s, d, s->entry[e].sender);
		bool same = origin_of_sender(s->entry[e].sender) == origin_of_sender(sender);
		bool worse =
		    n.origin > most.origin || (n.origin == most.origin && n.sender > most.sender);
		if (same == same_origin && worse) {
			most = n;
			victim = e;
		}
	}
	return victim;
}

/* Of the origin with the most of them one goes back to the store, if that still has more than this
 * one then; else of a sender of the same origin. */
static bool make_place(struct sched *s, struct dest *d, uint64_t sender)
{
	struct shares_of own = count_shares(s, d, sender);

	d->more = true;
	if (!d->asked) /* else its answer is compared with what was there at the question */
		d->fill = d->waiting;
	uint32_t victim =
	    find_victim(s, d, sender, false, (struct shares_of){own.origin + 1, UINT32_MAX});
	if (victim == NIL)
		victim =
		    find_victim(s, d, sender, true, (struct shares_of){own.origin, own.sender + 1});
	if (victim == NIL)
		return false;
	entry_unlink(s, victim);
	entry_release(s, victim);
	return true;
}

static uint32_t admit(struct sched *s, const struct sched_delivery *v,
		      const struct sched_known *known)
{
	uint32_t i = dest_find(s, v->destination);

	if (i != NIL)
		return i;
	if (known != NULL && known->back_off_until > s->now)
		return NIL;
	bool proven = known != NULL && (known->own || (known->worked != 0 && known->failures == 0));
	if (!make_room(s, proven)) {
		s->outside = true;
		return NIL;
	}
	i = dest_take(s, v->destination);
	host_known(s, &s->dest[i], known);
	share_recall_network(s, &s->dest[i]);
	return i;
}

enum sched_taken sched_delivery_due(struct sched *s, int64_t now, const struct sched_delivery *v,
				    const struct sched_known *known)
{
	see_time(s, now);
	if (entry_find(s, v->id) != NIL)
		return SCHED_KNOWN;
	uint32_t i = admit(s, v, known);
	if (i == NIL)
		return SCHED_LATER;
	struct dest *d = &s->dest[i];
	enum sched_taken taken = SCHED_LATER;
	if (d->waiting < s->c.lookahead || make_place(s, d, v->sender)) {
		/* never NIL: there is an entry for every place and every slot */
		entry_insert(s, entry_take(s, i, v));
		taken = SCHED_TAKEN;
		s->took = true;
	}
	dest_settle(s, d);
	return taken;
}

/* ---- who is next ---- */

/* Of the courier that was the last to put one down. */
static uint32_t take_idle(struct sched *s, struct dest *d, uint64_t policy)
{
	struct idle *best = NULL;

	for (size_t i = 0; i < SCHED_IDLE_MAX; i++) {
		struct idle *c = &d->idle[i];
		if (c->courier != 0 && c->policy == policy && c->until > s->now &&
		    (best == NULL || c->until > best->until))
			best = c;
	}
	if (best == NULL)
		return 0;
	uint32_t courier = best->courier;
	if (--best->n == 0)
		best->courier = 0;
	return courier;
}

static bool wish_start(struct sched *s, struct sched_wish *out)
{
	uint32_t i = share_pick(s);

	if (i == NIL)
		return false;
	struct dest *d = &s->dest[i];
	uint32_t choice = d->choice;
	struct entry *e = &s->entry[choice];
	*out = (struct sched_wish){
	    .kind = SCHED_WISH_START,
	    .delivery = e->id,
	    .destination = d->id,
	    .probe = d->state == DEST_PROBE,
	    .courier = take_idle(s, d, e->policy),
	    .last = d->last_courier,
	};
	entry_unlink(s, choice);
	e->running = true;
	e->started = s->now;
	if (e->round > d->round) /* a probe may have been one of later */
		d->round = e->round;
	d->running++;
	s->running++;
	host_started(s, d, e);
	share_started(s, e, d);
	dest_settle(s, d);
	return true;
}

/* Half of the look-ahead is for others. */
static uint32_t per_sender(const struct sched *s)
{
	return (s->c.lookahead + 1) / 2;
}

static bool wish_deliveries(struct sched *s, struct sched_wish *out)
{
	while (s->hungry_head != NIL) {
		struct dest *d = &s->dest[s->hungry_head];
		s->hungry_head = d->hungry_next;
		if (s->hungry_head == NIL)
			s->hungry_tail = NIL;
		d->in_hungry = false;
		if (!is_hungry(d))
			continue;
		d->asked = true;
		d->fill = d->waiting;
		*out = (struct sched_wish){.kind = SCHED_WISH_DELIVERIES,
					   .destination = d->id,
					   .hasten = d->hasten,
					   .max = s->c.lookahead,
					   .per_sender = per_sender(s)};
		return true;
	}
	return false;
}

static uint32_t count_room(const struct sched *s)
{
	uint32_t room = s->c.destinations - s->ndest;

	return room < 64 ? room : 64; /* the store's answer stays small */
}

static bool wish_destinations(struct sched *s, struct sched_wish *out)
{
	if (!s->outside || s->asked_outside || !make_room(s, false))
		return false;
	s->asked_outside = true;
	s->took = false;
	*out = (struct sched_wish){
	    .kind = SCHED_WISH_DESTINATIONS, .max = count_room(s), .per_sender = per_sender(s)};
	return true;
}

void sched_next(struct sched *s, int64_t now, struct sched_wish *out)
{
	see_time(s, now);
	if (wish_start(s, out) || wish_deliveries(s, out) || wish_destinations(s, out))
		return;
	*out = (struct sched_wish){.kind = SCHED_WISH_NONE};
}

/* ---- what became of it ---- */

void sched_started(struct sched *s, int64_t delivery, uint32_t courier)
{
	uint32_t e = entry_find(s, delivery);

	if (e != NIL && s->entry[e].running)
		s->entry[e].courier = courier;
}

/* Where it goes; NIL: no room. Unlike who comes in new, it may be at one that rests. */
static uint32_t dest_of_adopted(struct sched *s, const struct sched_delivery *v,
				const struct sched_known *known)
{
	uint32_t i = dest_find(s, v->destination);

	if (i != NIL || !make_room(s, true))
		return i;
	i = dest_take(s, v->destination);
	host_known(s, &s->dest[i], known);
	if (known != NULL && known->back_off_until > s->now)
		host_rests(s, &s->dest[i], known->back_off_until);
	share_recall_network(s, &s->dest[i]);
	return i;
}

bool sched_adopt(struct sched *s, int64_t now, const struct sched_delivery *v,
		 const struct sched_known *known, uint32_t courier)
{
	see_time(s, now);
	if (entry_find(s, v->id) != NIL || s->running >= s->c.slots)
		return false;
	uint32_t i = dest_of_adopted(s, v, known);
	if (i == NIL)
		return false;
	struct dest *d = &s->dest[i];
	struct entry *e = &s->entry[entry_take(s, i, v)]; /* there is one for every slot */
	e->running = true;
	e->started = s->now;
	e->courier = courier;
	d->running++;
	s->running++;
	host_adopted(s, d, e);
	share_adopted(s, e, d);
	dest_settle(s, d);
	return true;
}

/* The place of this courier, else a free one, else the one that will be void first. */
static struct idle *place_of(const struct sched *s, struct dest *d, const struct entry *e)
{
	struct idle *at = &d->idle[0];

	for (size_t i = 0; i < SCHED_IDLE_MAX; i++) {
		struct idle *c = &d->idle[i];
		if (c->courier == e->courier && c->policy == e->policy)
			return c;
		if (c->until <= s->now)
			c->courier = 0;
		if (c->courier == 0 ? at->courier != 0 : at->courier != 0 && c->until < at->until)
			at = c;
	}
	return at;
}

static void keep_idle(struct sched *s, struct dest *d, const struct entry *e, int64_t until)
{
	if (e->courier == 0 || until <= s->now)
		return;
	struct idle *at = place_of(s, d, e);
	bool same = at->courier == e->courier && at->policy == e->policy && at->until > s->now;
	uint32_t n = same ? at->n + 1 : 1;
	*at = (struct idle){.courier = e->courier, .n = n, .policy = e->policy, .until = until};
	d->last_courier = e->courier;
}

static void judge_delivery(const struct sched *s, const struct entry *e, bool pending,
			   struct sched_verdict *out)
{
	if (!pending) {
		out->fate = SCHED_FATE_DONE;
	} else if (s->now >= e->expires) {
		out->fate = SCHED_FATE_EXPIRED;
	} else {
		out->fate = SCHED_FATE_RETRY;
		out->due =
		    sched_retry_at(&s->c, s->seed, e->id, e->attempts + 1, e->expires, s->now);
	}
}

bool sched_ended(struct sched *s, int64_t now, int64_t delivery, const struct sched_end *end,
		 struct sched_verdict *out)
{
	see_time(s, now);
	uint32_t i = entry_find(s, delivery);
	if (i == NIL || !s->entry[i].running)
		return false;
	struct entry *e = &s->entry[i];
	struct dest *d = &s->dest[e->dest];
	*out = (struct sched_verdict){.destination = d->id, .news = SCHED_NEWS_NONE};
	judge_delivery(s, e, end->pending, out);
	d->running--;
	s->running--;
	share_ended(s, e);
	share_learn_network(s, d, end->network);
	host_ended(s, d, e, end, out);
	keep_idle(s, d, e, end->keep_until);
	entry_release(s, i);
	s->stuck = false;
	s->swaps++;
	dest_settle(s, d);
	return true;
}

void sched_deliveries_told(struct sched *s, int64_t destination, bool more)
{
	uint32_t i = dest_find(s, destination);

	if (i == NIL || !s->dest[i].asked)
		return;
	s->dest[i].asked = false;
	/* An answer that brought nothing ends the asking, whatever it says: no endless wishes. */
	bool any = s->dest[i].waiting > s->dest[i].fill;
	s->dest[i].more = more && any;
	if (!any)
		s->dest[i].hasten = 0;
	s->dest[i].fill = s->dest[i].waiting;
	s->stuck = false;
	dest_settle(s, &s->dest[i]);
}

void sched_destinations_told(struct sched *s, bool more)
{
	if (!s->asked_outside)
		return;
	s->asked_outside = false;
	/* Everybody else had a turn: those who gave way may come back. */
	more = more && s->took;
	s->outside = more || s->nparked > 0;
	if (!more)
		s->nparked = 0;
}

void sched_destinations_due(struct sched *s)
{
	s->outside = true;
}

size_t sched_busy_max(const struct sched *s)
{
	return (size_t)s->ndest + s->nparked;
}

size_t sched_busy(const struct sched *s, int64_t *out, size_t room)
{
	size_t n = 0;
	uint32_t left = s->ndest;

	for (uint32_t i = 0; left > 0 && n < room; i++) {
		const struct dest *d = &s->dest[i];
		left -= d->state != DEST_FREE;
		if (d->state != DEST_FREE && (d->waiting > 0 || d->state == DEST_RESTING))
			out[n++] = d->id;
	}
	for (uint32_t i = 0; i < s->nparked && n < room; i++)
		out[n++] = s->parked[(s->park_at + s->c.destinations - 1 - i) % s->c.destinations];
	return n;
}

bool sched_forget(struct sched *s, int64_t delivery)
{
	uint32_t e = entry_find(s, delivery);

	if (e == NIL || s->entry[e].running)
		return false;
	struct dest *d = &s->dest[s->entry[e].dest];
	entry_unlink(s, e);
	entry_release(s, e);
	s->stuck = false;
	dest_settle(s, d);
	return true;
}

void sched_retry_now(struct sched *s, int64_t destination)
{
	uint32_t i = dest_find(s, destination);

	if (i == NIL || s->dest[i].state != DEST_RESTING)
		return;
	s->dest[i].back_off_until = INT64_MIN;
	s->wake = INT64_MIN; /* the sweep of the next call finds it */
}

void sched_courier_gone(struct sched *s, uint32_t courier)
{
	for (uint32_t i = 0; i < s->c.destinations; i++) {
		for (size_t k = 0; k < SCHED_IDLE_MAX; k++) {
			if (s->dest[i].idle[k].courier == courier)
				s->dest[i].idle[k].courier = 0;
		}
		if (s->dest[i].last_courier == courier)
			s->dest[i].last_courier = 0;
	}
}

int64_t sched_next_wakeup(const struct sched *s)
{
	return s->wake;
}

bool sched_look(const struct sched *s, int64_t destination, struct sched_destination *out)
{
	uint32_t i = dest_find(s, destination);

	if (i == NIL)
		return false;
	const struct dest *d = &s->dest[i];
	*out = (struct sched_destination){
	    .window = d->window,
	    .running = d->running,
	    .waiting = d->waiting,
	    .failures = d->failures,
	    .back_off_until = d->state == DEST_RESTING ? d->back_off_until : 0,
	};
	return true;
}
