/* SPDX-License-Identifier: MIT */
/* From rows to couriers: fulfils the scheduler's wishes. Knows who carries what; refuses to know
 * what became of it. */
#include "relay/keeper_int.h"

#include "relay/budget.h"
#include "wire/origin.h"

#include <stdlib.h>
#include <string.h>

enum {
	SEND_MEM_MAX = 64 * 1024 * 1024,
	DUE_MAX = 256,
	BATCH = 64,
	OFFERS_MAX = 256, /* new deliveries of one turn; the others are found in the store */
	FIRST_LOOK = 8,
	LOOK_BUSY_PER_MS = 16,
	LOOK_WAIT_MAX_MS = 1000,
	JOBS_SLACK = 8, /* more than another courier: still about as busy */
};

/* --- Flights --- */

static struct flight **bucket_of(struct keeper *k, int64_t delivery)
{
	return &k->flight[(uint64_t)delivery % FLIGHT_BUCKETS];
}

struct flight *keeper_flight(struct keeper *k, int64_t delivery)
{
	for (struct flight *f = *bucket_of(k, delivery); f != NULL; f = f->next) {
		if (f->delivery == delivery)
			return f;
	}
	return NULL;
}

struct flight *keeper_flight_of(struct keeper *k, const struct peer *p, uint64_t delivery,
				uint64_t take)
{
	char number[LOG_INT_TEXT], id[LOG_INT_TEXT];
	struct flight *f = keeper_flight(k, (int64_t)delivery);
	if (f != NULL && f->courier == p && f->take == (int64_t)take)
		return f;
	log_event(k->process.log, LOG_LEVEL_ERROR, "not-its-delivery", "courier",
		  log_int(number, p->number), "delivery", log_int(id, (int64_t)delivery), "error",
		  f == NULL         ? "nobody has it"
		  : f->courier != p ? "another courier has it"
				    : "it was handed over again",
		  NULL);
	return NULL;
}

struct flight *keeper_flight_new(int64_t delivery, struct peer *courier)
{
	struct flight *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	f->delivery = delivery;
	f->courier = courier;
	arena_init(&f->mem, FLIGHT_MEM_MAX);
	return f;
}

void keeper_flight_free(struct flight *f)
{
	if (f == NULL)
		return;
	keeper_text_release(&f->text);
	arena_free(&f->mem);
	free(f);
}

void keeper_take_off(struct keeper *k, struct flight *f)
{
	struct flight **at = bucket_of(k, f->delivery);
	f->next = *at;
	*at = f;
	f->take = f->known.take;
	f->dot = f->known.dot;
	f->courier->jobs++;
	k->nflight++;
	if (f->known.nrcpt > FLIGHT_RCPTS_KEPT) {
		f->known = (struct store_delivery){0};
		arena_free(&f->mem);
	}
}

struct flight *keeper_land(struct keeper *k, int64_t delivery)
{
	struct flight **at = bucket_of(k, delivery);
	while (*at != NULL && (*at)->delivery != delivery)
		at = &(*at)->next;
	if (*at == NULL)
		return NULL;
	struct flight *f = *at;
	*at = f->next;
	f->courier->jobs--;
	k->nflight--;
	return f;
}

static struct peer *courier_by_number(struct keeper *k, uint32_t number)
{
	for (struct peer *p = k->peer; p != NULL && number != 0; p = p->next) {
		if (p->role == ROLE_COURIER && !p->leaving && p->number == number)
			return p;
	}
	return NULL;
}

/* The courier that has an open connection; else the last one, which can resume its session, unless
 * it has much more to do than the idlest. */
static struct peer *preferred_courier(struct keeper *k, const struct sched_wish *w,
				      struct peer *idlest)
{
	struct peer *open = courier_by_number(k, w->courier);
	struct peer *last = open == NULL ? courier_by_number(k, w->last) : NULL;
	if (open != NULL)
		return open;
	return last != NULL && last->jobs <= idlest->jobs + JOBS_SLACK ? last : idlest;
}

static struct peer *idlest_courier(struct keeper *k)
{
	struct peer *best = NULL;
	for (struct peer *p = k->peer; p != NULL; p = p->next) {
		if (p->role == ROLE_COURIER && !p->leaving &&
		    (best == NULL || p->jobs < best->jobs))
			best = p;
	}
	return best;
}

/* --- What is due --- */

static void tell_brief(struct keeper *k, const struct store_brief *b,
		       const struct sched_known *known, int64_t now)
{
	struct sched_delivery x = {.id = b->id,
				   .destination = b->destination,
				   .message = b->message,
				   .size = b->size,
				   .sender = b->sender,
				   .cost = (uint32_t)(1 + b->size / 65536),
				   .attempts = b->attempts,
				   .expires = b->expires};
	sched_delivery_due(k->sched, now, &x, known);
}

static void tell_delivery(struct keeper *k, int64_t delivery, const struct sched_known *known,
			  int64_t now)
{
	struct store_brief b;
	if (store_brief(k->store, delivery, &b) == STORE_OK)
		tell_brief(k, &b, known, now);
}

/* Reports up to max due deliveries of a destination, so many of each sender. True: it has more. */
static bool tell_destination(struct keeper *k, int64_t destination, const struct sched_known *known,
			     size_t max, size_t per_sender, int64_t now)
{
	int64_t due[DUE_MAX];
	size_t n = 0;
	bool more = false;
	if (max > DUE_MAX)
		max = DUE_MAX;
	if (store_due(k->store, destination, now, max, per_sender, due, &n, &more) != STORE_OK)
		return false;
	for (size_t i = 0; i < n; i++)
		tell_delivery(k, due[i], known, now);
	return more;
}

static void wish_deliveries(struct keeper *k, const struct sched_wish *w, int64_t now)
{
	if (w->hasten != 0 && keeper_group(k)) {
		enum store_status s = store_hasten(k->store, w->destination, now, w->hasten, w->max,
						   reason_name(REASON_SMTP_DEFERRED));
		if (s != STORE_OK)
			keeper_fatal(k, "hasten", s);
	}
	bool more = tell_destination(k, w->destination, NULL, w->max, w->per_sender, now);
	sched_deliveries_told(k->sched, w->destination, more);
}

static struct sched_known known_of(const struct keeper *k, const struct store_destination *d)
{
	return (struct sched_known){.failures = d->failures,
				    .back_off_until = d->backoff_until,
				    .worked = d->worked,
				    .own = budget_is_own(k->process.birth.conf, d->name)};
}

void keeper_adopt(struct keeper *k, const struct flight *f)
{
	struct arena mem;
	struct store_destination d;
	const struct store_delivery *v = &f->known;
	struct sched_delivery x = {.id = v->id,
				   .destination = v->destination,
				   .message = v->message,
				   .size = v->envelope.size,
				   .sender = v->envelope.sender,
				   .cost = (uint32_t)(1 + v->envelope.size / 65536),
				   .attempts = v->attempts,
				   .expires = v->expires};
	arena_init(&mem, SEND_MEM_MAX);
	bool found = store_destination_by_id(k->store, v->destination, &mem, &d) == STORE_OK;
	struct sched_known known = {0};
	if (found)
		known = known_of(k, &d);
	sched_adopt(k->sched, keeper_now(), &x, found ? &known : NULL, f->courier->number);
	arena_free(&mem);
}

static void wish_destinations(struct keeper *k, const struct sched_wish *w, int64_t now)
{
	struct arena mem;
	size_t max = w->max < BATCH ? w->max : BATCH, n = 0, room = sched_busy_max(k->sched);
	struct store_destination found[BATCH];
	arena_init(&mem, SEND_MEM_MAX);
	int64_t *busy = arena_array(&mem, room, sizeof(*busy));
	size_t nbusy = busy != NULL ? sched_busy(k->sched, busy, room) : 0;
	enum store_status s = store_ready(k->store, now, busy, nbusy, max, &mem, found, &n);
	for (size_t i = 0; s == STORE_OK && i < n; i++) {
		struct sched_known known = known_of(k, &found[i]);
		bool more =
		    tell_destination(k, found[i].id, &known, FIRST_LOOK, w->per_sender, now);
		sched_deliveries_told(k->sched, found[i].id, more);
	}
	sched_destinations_told(k->sched, s == STORE_OK && n == max);
	int64_t wait = (int64_t)nbusy / LOOK_BUSY_PER_MS;
	k->look_after = now + (wait < LOOK_WAIT_MAX_MS ? wait : LOOK_WAIT_MAX_MS);
	arena_free(&mem);
}

/* What has just come in need not wait until it is found behind all that is ready longer: somebody
 * else's backlog is as long as he likes. */
static void offer(struct keeper *k, int64_t delivery, int64_t now)
{
	struct arena mem;
	struct store_brief b;
	struct store_destination d;
	struct sched_destination known;
	if (store_brief(k->store, delivery, &b) != STORE_OK)
		return;
	arena_init(&mem, SEND_MEM_MAX);
	if (sched_look(k->sched, b.destination, &known)) {
		tell_brief(k, &b, NULL, now);
	} else if (store_destination_by_id(k->store, b.destination, &mem, &d) == STORE_OK) {
		struct sched_known x = known_of(k, &d);
		tell_brief(k, &b, &x, now);
	}
	arena_free(&mem);
}

static void offer_new(struct keeper *k, int64_t now)
{
	int64_t last = store_last_delivery(k->store);
	if (k->group_open) /* not before it is certain */
		return;
	if (k->offered < last - OFFERS_MAX)
		k->offered = last - OFFERS_MAX;
	while (k->offered < last)
		offer(k, ++k->offered, now);
}

/* --- Jobs --- */

/* Only "there is none" is the absence of an exception. Whatever else goes wrong, what it demands is
 * not known, and nothing is sent by a guess. */
static enum store_status fill_override(struct keeper *k, struct arena *mem, struct job *j)
{
	struct store_override o;
	enum dane_level level;
	j->level = MAIL_LEVEL_NONE;
	enum store_status s = keeper_override_find(k, j->next_hop, mem, &o);
	if (s != STORE_OK)
		return s == STORE_NOT_FOUND ? STORE_OK : s;
	if (!dane_level_from_name(o.policy, &level))
		level = LEVEL_DANE_ONLY; /* a word of another version */
	j->level = (uint8_t)level;
	j->pattern = o.pattern;
	return STORE_OK;
}

static bool fill_mail(struct arena *mem, const struct store_delivery *d, struct mail *m)
{
	*m = (struct mail){.queue_id = d->envelope.queue_id,
			   .arrived = d->envelope.arrived,
			   .reverse_path = d->envelope.reverse_path,
			   .envid = d->envelope.envid,
			   .ret = d->envelope.ret,
			   .origin = d->envelope.origin,
			   .origin_key = origin_of_sender(d->envelope.sender),
			   .size = d->envelope.size,
			   .eight_bit = d->envelope.eight_bit,
			   .smtputf8 = d->envelope.smtputf8,
			   .nrcpt = d->nrcpt};
	m->rcpt = arena_array(mem, d->nrcpt, sizeof(*m->rcpt));
	for (size_t i = 0; m->rcpt != NULL && i < d->nrcpt; i++)
		m->rcpt[i] = (struct mail_rcpt){d->rcpt[i].n, d->rcpt[i].address, d->rcpt[i].orcpt,
						d->rcpt[i].notify};
	return m->rcpt != NULL;
}

/* The text inline when it is small, else as a descriptor, which the flight holds. */
static enum store_status fill_text(struct keeper *k, struct flight *f, struct arena *mem,
				   struct mail *m)
{
	const struct store_delivery *d = &f->known;
	if (d->envelope.size > MAIL_INLINE_MAX)
		return keeper_text_hold(k, d, &f->text);
	size_t got = 0;
	size_t room = (size_t)d->envelope.size + 1; /* one more would show */
	uint8_t *text = arena_alloc(mem, room);
	if (text == NULL)
		return STORE_NO_MEMORY;
	enum store_status s = store_text_read(k->store, d->message, 0, text, room, &got);
	m->text = slice_make(text, got);
	return s == STORE_OK && got != d->envelope.size ? STORE_DAMAGED : s;
}

static enum store_status send_job(struct keeper *k, struct flight *f, struct arena *mem)
{
	const struct store_delivery *d = &f->known;
	struct channel *courier = f->courier->channel;
	struct job j = {.delivery = (uint64_t)d->id,
			.take = (uint64_t)d->take,
			.next_hop = d->next_hop,
			.again = d->attempts > 1}; /* this one is counted */
	enum store_status s =
	    fill_mail(mem, d, &j.mail) ? fill_text(k, f, mem, &j.mail) : STORE_NO_MEMORY;
	if (s == STORE_OK)
		s = fill_override(k, mem, &j);
	if (s != STORE_OK)
		return s;
	job_put(channel_begin(courier, MSG_JOB), &j);
	return channel_send(courier, f->text != NULL ? f->text->fd : -1) ? STORE_OK : STORE_LIMIT;
}

/* It could not be handed over: back to the store, as after trouble on this side. */
static void give_back(struct keeper *k, int64_t delivery, bool taken)
{
	struct sched_end e = {.class = SCHED_LOCAL_TROUBLE, .pending = true};
	struct sched_verdict v = {0};
	int64_t now = keeper_now();
	bool again = sched_ended(k->sched, now, delivery, &e, &v) && v.fate == SCHED_FATE_RETRY;
	if (!taken)
		return;
	struct store_recorded recorded;
	struct store_result r = {.delivery = delivery,
				 .at = now,
				 .due = again ? v.due : now,
				 .reason = reason_name(REASON_LOCAL_ERROR),
				 .code = reason_code(REASON_LOCAL_ERROR)};
	enum store_status s = store_record(k->store, &r, &recorded);
	if (s != STORE_OK) /* else it is active, and nobody has it; a successor puts it back */
		keeper_fatal(k, "give back", s);
}

/* Its text is not all there: sent it would be another message, and trying again changes nothing.
 * The delivery is kept back until somebody decides; the rest of the queue goes on. */
static void hold_damaged(struct keeper *k, const struct store_delivery *d)
{
	int64_t now = keeper_now();
	struct sched_end e = {.class = SCHED_LOCAL_TROUBLE, .pending = true};
	struct sched_verdict v;
	struct store_recorded recorded;
	static const char words[] = "the text in the queue is incomplete, the delivery is held: "
				    "bounce tells the sender, delete does not";
	log_event(k->process.log, LOG_LEVEL_ERROR, "held", "id", d->envelope.queue_id, "next-hop",
		  d->next_hop, "from", d->envelope.reverse_path, "why", words, NULL);
	sched_ended(k->sched, now, d->id, &e, &v);
	struct store_try t = {.at = now,
			      .reason = reason_name(REASON_LOCAL_ERROR),
			      .code = reason_code(REASON_LOCAL_ERROR),
			      .detail = words};
	struct store_result r = {.delivery = d->id,
				 .at = now,
				 .due = now,
				 .reason = t.reason,
				 .code = t.code,
				 .detail = words,
				 .tries = &t,
				 .ntries = 1};
	enum store_status s = store_change(k->store, STORE_OP_HOLD, d->id, now);
	if (s == STORE_OK)
		s = store_record(k->store, &r, &recorded);
	if (s != STORE_OK)
		keeper_fatal(k, "hold", s);
}

/* Into a courier's hands, or back. Takes the flight. */
static void hand_over(struct keeper *k, struct flight *f)
{
	struct arena mem;
	arena_init(&mem, SEND_MEM_MAX);
	enum store_status s = send_job(k, f, &mem);
	arena_free(&mem);
	if (s == STORE_OK) {
		sched_started(k->sched, f->delivery, f->courier->number);
		keeper_take_off(k, f);
		return;
	}
	if (s == STORE_DAMAGED)
		hold_damaged(k, &f->known);
	else
		give_back(k, f->delivery, true);
	keeper_flight_free(f);
}

static void wish_start(struct keeper *k, const struct sched_wish *w, struct peer *courier,
		       int64_t now)
{
	struct flight *f = keeper_flight_new(w->delivery, courier);
	enum store_status s = f != NULL ? store_take(k->store, w->delivery, now, &f->mem, &f->known)
					: STORE_NO_MEMORY;
	if (s == STORE_NOT_FOUND || s == STORE_STATE) { /* removed or held meanwhile */
		sched_ended(k->sched, now, w->delivery,
			    &(struct sched_end){.class = SCHED_LOCAL_TROUBLE},
			    &(struct sched_verdict){0});
	} else if (s != STORE_OK) {
		give_back(k, w->delivery, false);
		if (store_health(k->store) != STORE_OK)
			keeper_fatal(k, "take", s);
	} else {
		hand_over(k, f);
		return;
	}
	keeper_flight_free(f);
}

/* The store passes over the destinations that are busy: that costs by their number, so the next
 * look waits in proportion, unless we have run out of work. */
static bool may_look(const struct keeper *k, int64_t now)
{
	struct sched_counts c;
	sched_count(k->sched, &c);
	return now >= k->look_after || now < k->look_after - LOOK_WAIT_MAX_MS || c.waiting == 0;
}

static void set_wake(struct keeper *k, int64_t now)
{
	struct store_next next = {INT64_MAX, INT64_MAX};
	store_next(k->store, &next);
	int64_t at = sched_next_wakeup(k->sched);
	if (next.ready < at)
		at = next.ready;
	if (next.alarm < at)
		at = next.alarm;
	int64_t wait = at - now;
	if (wait < 50) /* what is ready and cannot start waits for an event, not for the clock */
		wait = at <= now ? LOOK_WAIT_MAX_MS : 50;
	if (next.ready <= now && k->look_after > now && k->look_after - now < wait)
		wait = k->look_after - now;
	if (wait > 60000)
		wait = 60000;
	loop_timer_set(k->wake, (uint32_t)wait);
}

void keeper_schedule(struct keeper *k)
{
	struct sched_wish w;
	struct store_next next;
	if (k->process.draining || k->process.orphaned || k->claims_open ||
	    store_health(k->store) != STORE_OK || (keeper_clock_step(k) != 0 && !keeper_group(k)))
		return;
	int64_t now = keeper_now();
	keeper_alarms(k);
	offer_new(k, now);
	if (may_look(k, now) && store_next(k->store, &next) == STORE_OK && next.ready <= now)
		sched_destinations_due(k->sched);
	for (struct peer *courier;
	     keeper_audit_has_room(k) && !k->disk.low && (courier = idlest_courier(k)) != NULL;) {
		sched_next(k->sched, now, &w);
		if (w.kind == SCHED_WISH_NONE)
			break;
		if (w.kind == SCHED_WISH_DELIVERIES)
			wish_deliveries(k, &w, now);
		else if (w.kind == SCHED_WISH_DESTINATIONS)
			wish_destinations(k, &w, now);
		else if (keeper_group(k))
			wish_start(k, &w, preferred_courier(k, &w, courier), now);
		else
			break;
		if (store_health(k->store) != STORE_OK)
			return;
	}
	set_wake(k, now);
}

void keeper_answer_dot(struct peer *p, uint64_t delivery, uint64_t take, bool go)
{
	struct buf *b = channel_begin(p->channel, MSG_DOT_NOTED);
	put_u64(b, delivery);
	put_u64(b, take);
	put_u8(b, go);
	channel_send(p->channel, -1);
}

bool keeper_dot(struct keeper *k, struct peer *p, struct slice payload)
{
	struct cursor c = cursor_make(payload);
	uint64_t delivery = get_u64(&c), take = get_u64(&c);
	enum store_status s = STORE_STATE;
	if (keeper_flight_of(k, p, delivery, take) == NULL)
		return false;
	if (keeper_group(k))
		s = store_mark_dot(k->store, (int64_t)delivery);
	if (s == STORE_OK && keeper_ack(k, p, MSG_DOT_NOTED, delivery, NULL))
		return true;
	/* The disk failed: the group will, and we with it. The courier asks our successor. */
	if (s != STORE_FULL && s != STORE_IO)
		keeper_answer_dot(p, delivery, take, false);
	return true;
}
