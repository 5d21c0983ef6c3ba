/* SPDX-License-Identifier: MIT */
/* From a courier's report to rows, and what the scheduler makes of it. */
#include "relay/keeper_int.h"

#include "deliver/attempt.h"
#include "relay/budget.h"

#include <stdlib.h>
#include <string.h>

enum {
	RESULT_MEM_MAX = 64 * 1024 * 1024, /* 5000 recipients with all their texts, twice */
};

static enum sched_reach reach_of(enum smtpc_reached r)
{
	switch (r) {
	case SMTPC_REACHED_NOTHING:
		return SCHED_REACHED_NOBODY;
	case SMTPC_REACHED_GREETING:
	case SMTPC_REACHED_HELLO:
		return SCHED_REACHED_HOST;
	case SMTPC_REACHED_MAIL:
	case SMTPC_REACHED_RCPT:
		return SCHED_REACHED_MAIL;
	case SMTPC_REACHED_TEXT:
		return SCHED_REACHED_TEXT;
	case SMTPC_REACHED_DOT:
	case SMTPC_REACHED_VERDICT:
		return SCHED_REACHED_DOT;
	}
	return SCHED_REACHED_NOBODY;
}

static enum sched_class class_of(const struct result *r)
{
	enum reason why = (enum reason)r->reason;
	enum sched_class class = sched_class_of(why);
	for (size_t i = 0; i < r->nrcpt; i++)
		class = sched_class_join(class, sched_class_of((enum reason)r->rcpt[i].reason));
	return sched_class_at(class, why, reach_of((enum smtpc_reached)r->reach), r->unwilling);
}

static bool any_pending(const struct result *r)
{
	for (size_t i = 0; i < r->nrcpt; i++) {
		if (r->rcpt[i].status == ATTEMPT_DEFERRED)
			return true;
	}
	return false;
}

/* What the attempt ended, and may end: nobody fails before the sender could be told. */
struct ending {
	int64_t now;
	const char **continuity; /* of each try (A2) */
	bool expired;            /* who is still pending has failed with the end of the lifetime */
	bool told;
};

static enum store_rcpt_state state_of(uint8_t status, const struct ending *e)
{
	if (status == ATTEMPT_SENT)
		return STORE_SENT;
	bool failed = status == ATTEMPT_FAILED || e->expired;
	return failed && e->told ? STORE_FAILED : STORE_PENDING;
}

/* Names come from other hosts' DNS and from another process: what the store would refuse is cut. */
static const char *name_of(struct arena *mem, const char *s)
{
	if (s == NULL || strlen(s) <= STORE_NAME_MAX)
		return s;
	return arena_str(mem, slice_make(s, STORE_NAME_MAX));
}

/* The place of recipient n among those of the delivery; nrcpt: it has no such recipient. */
static size_t place_of(const struct store_delivery *d, uint32_t n)
{
	if (n < d->nrcpt && d->rcpt[n].n == n)
		return n;
	for (size_t i = 0; i < d->nrcpt; i++) {
		if (d->rcpt[i].n == n)
			return i;
	}
	return d->nrcpt;
}

/* Is every recipient of the result one that is waited for, and named once? */
static bool belongs(struct arena *mem, const struct store_delivery *d, const struct result *r)
{
	bool *seen = arena_array(mem, d->nrcpt, sizeof(*seen));
	bool ok = seen != NULL;
	for (size_t i = 0; i < r->nrcpt && ok; i++) {
		size_t at = place_of(d, r->rcpt[i].n);
		ok = at < d->nrcpt && d->rcpt[at].state == STORE_PENDING && !seen[at];
		if (ok)
			seen[at] = true;
	}
	return ok;
}

static struct store_try try_of(struct arena *mem, const struct result_try *t,
			       const struct ending *e, size_t i)
{
	return (struct store_try){
	    .at = e->now,
	    .host = name_of(mem, t->host),
	    .address = name_of(mem, t->address),
	    .policy = name_of(mem, t->policy),
	    .reason = t->reason != NULL ? name_of(mem, t->reason) : reason_name(REASON_LOCAL_ERROR),
	    .code = name_of(mem, t->code),
	    .detail = t->detail,
	    .tls = t->tls,
	    .continuity = e->continuity != NULL ? e->continuity[i] : NULL,
	};
}

/* The store's form of the result. */
static bool convert(struct arena *mem, const struct result *r, const struct ending *e,
		    struct store_result *out)
{
	struct store_rcpt_result *rcpt = arena_array(mem, r->nrcpt, sizeof(*rcpt));
	struct store_try *tries = arena_array(mem, r->ntries, sizeof(*tries));
	if ((rcpt == NULL && r->nrcpt > 0) || (tries == NULL && r->ntries > 0))
		return false;
	for (size_t i = 0; i < r->nrcpt; i++) {
		const struct result_rcpt *x = &r->rcpt[i];
		rcpt[i] = (struct store_rcpt_result){.n = x->n,
						     .state = state_of(x->status, e),
						     .reason = reason_name((enum reason)x->reason),
						     .code = name_of(mem, x->code),
						     .reply = x->reply,
						     .host = name_of(mem, x->host)};
	}
	for (size_t i = 0; i < r->ntries; i++)
		tries[i] = try_of(mem, &r->tries[i], e, i);
	const struct store_try *last = r->ntries > 0 ? &tries[r->ntries - 1] : NULL;
	*out = (struct store_result){.delivery = (int64_t)r->delivery,
				     .at = e->now,
				     .unknown = r->unknown,
				     .reason = reason_name((enum reason)r->reason),
				     .code = reason_code((enum reason)r->reason),
				     .detail = last != NULL ? last->detail : NULL,
				     .host = last != NULL ? last->host : NULL,
				     .rcpt = rcpt,
				     .nrcpt = r->nrcpt,
				     .tries = tries,
				     .ntries = r->ntries};
	return !mem->failed;
}

static void log_result(struct keeper *k, const struct store_delivery *d, const struct result *r)
{
	for (size_t i = 0; i < r->nrcpt; i++) {
		const struct result_rcpt *x = &r->rcpt[i];
		const char *to = NULL;
		for (size_t n = 0; n < d->nrcpt; n++) {
			if (d->rcpt[n].n == x->n)
				to = d->rcpt[n].address;
		}
		/* who says nothing himself: what stopped the attempt */
		bool silent = x->reply == NULL && x->status != ATTEMPT_SENT && r->ntries > 0;
		log_event(k->process.log, LOG_LEVEL_INFO,
			  attempt_status_name((enum attempt_status)x->status), "id",
			  d->envelope.queue_id, "to", to, "host", x->host, "code", x->code,
			  "reason", reason_name((enum reason)x->reason), "reply", x->reply,
			  "detail", silent ? r->tries[r->ntries - 1].detail : NULL, NULL);
	}
}

static void tell_destination(struct keeper *k, const struct sched_verdict *v,
			     const struct result *r, int64_t now)
{
	enum store_status s = STORE_OK;
	enum reason why = (enum reason)r->reason;
	if (v->news == SCHED_NEWS_WORKS)
		s = store_works(k->store, v->destination, now);
	else if (v->news == SCHED_NEWS_BACK_OFF)
		s = store_back_off(k->store, v->destination, now, v->back_off_until,
				   reason_name(why), reason_code(why),
				   r->ntries > 0 ? r->tries[r->ntries - 1].detail : NULL);
	if (s != STORE_OK)
		keeper_fatal(k, "destination", s);
}

/* The scheduler's, or, of what it had no room for after a start, by the times alone. */
static struct sched_verdict judge_end(struct keeper *k, const struct store_delivery *d,
				      const struct sched_end *end, int64_t now)
{
	struct sched_verdict v = {.fate = SCHED_FATE_DONE};
	if (sched_ended(k->sched, now, d->id, end, &v) || !end->pending)
		return v;
	v.fate = now >= d->expires ? SCHED_FATE_EXPIRED : SCHED_FATE_RETRY;
	v.due = sched_retry_at(&k->sched_config, 0, d->id, d->attempts + 1, d->expires, now);
	return v;
}

/* Records one result in the open group. False: the store failed. */
static bool record(struct keeper *k, const struct store_delivery *d, const struct result *r,
		   struct arena *mem)
{
	int64_t now = keeper_now();
	struct store_result x;
	struct store_recorded recorded;
	struct sched_end end = {.class = class_of(r), .pending = any_pending(r)};
	if (end.class == SCHED_SENT)
		end.keep_until = now + MAIL_KEEP_MS;
	end.reply_ms = r->reply_ms;
	for (size_t i = r->ntries; i > 0 && end.network == 0; i--)
		end.network = budget_network(r->tries[i - 1].address);
	struct sched_verdict v = judge_end(k, d, &end, now);
	struct ending e = {.now = now,
			   .continuity = arena_array(mem, r->ntries, sizeof(*e.continuity)),
			   .expired = v.fate == SCHED_FATE_EXPIRED && end.pending};
	if ((e.continuity == NULL && r->ntries > 0) || !keeper_audit_result(k, d, r, e.continuity))
		return false;
	/* Before the record: the text must still be there for what the notification returns. */
	e.told = keeper_notify(k, d, r, e.expired) != TOLD_LATER;
	if (!convert(mem, r, &e, &x))
		return false;
	x.due = v.fate == SCHED_FATE_RETRY ? v.due : now;
	x.uncounted = v.uncounted;
	if (!e.told && x.due == now)
		x.due = now + k->sched_config.retry_first;
	enum store_status s = store_record(k->store, &x, &recorded);
	if (s != STORE_OK) {
		keeper_fatal(k, "record", s);
		return false;
	}
	log_result(k, d, r);
	metrics_result(&k->metrics, r);
	tell_destination(k, &v, r, now);
	return true;
}

static void log_nonsense(struct keeper *k, const struct peer *p)
{
	char number[LOG_INT_TEXT];
	log_event(k->process.log, LOG_LEVEL_ERROR, "result", "courier", log_int(number, p->number),
		  "error", "makes no sense", NULL);
}

/* False: this is no report on something that this courier has. */
static bool take_result(struct keeper *k, struct peer *p, const struct result *r, struct arena *mem)
{
	struct store_delivery d;
	struct flight *f = keeper_flight_of(k, p, r->delivery, r->take);
	if (f == NULL)
		return false;
	enum store_status s = keeper_group(k) ? STORE_OK : STORE_BUSY;
	if (s == STORE_OK && f->known.id == 0)
		s = store_show(k->store, f->delivery, mem, &d);
	else
		d = f->known;
	if (s == STORE_OK && !belongs(mem, &d, r)) {
		log_nonsense(k, p);
		return false;
	}
	f = keeper_land(k, (int64_t)r->delivery);
	if (s != STORE_OK || !record(k, &d, r, mem))
		keeper_fatal(k, "result", s);
	keeper_flight_free(f);
	return true;
}

bool keeper_result(struct keeper *k, struct peer *p, struct slice payload)
{
	struct arena mem;
	struct result r;
	arena_init(&mem, RESULT_MEM_MAX);
	bool ok = result_get(payload, &mem, &r);
	if (!ok)
		log_nonsense(k, p);
	ok = ok && take_result(k, p, &r, &mem);
	p->results++;
	arena_free(&mem);
	return ok;
}

/* What a courier had when it died: nothing is known but whether the end of the message was allowed
 * to go out. */
static void give_up(struct keeper *k, const struct flight *f)
{
	struct arena mem;
	struct store_delivery d;
	arena_init(&mem, RESULT_MEM_MAX);
	struct result r = {.delivery = (uint64_t)f->delivery,
			   .reason = f->dot ? REASON_LOST_AFTER_DATA : REASON_LOCAL_ERROR,
			   .unknown = f->dot};
	enum store_status s =
	    keeper_group(k) ? store_show(k->store, f->delivery, &mem, &d) : STORE_BUSY;
	if (s == STORE_OK && (r.rcpt = arena_array(&mem, d.nrcpt, sizeof(*r.rcpt))) == NULL)
		s = STORE_NO_MEMORY;
	for (size_t i = 0; s == STORE_OK && i < d.nrcpt; i++) {
		if (d.rcpt[i].state == STORE_PENDING)
			r.rcpt[r.nrcpt++] =
			    (struct result_rcpt){.n = d.rcpt[i].n,
						 .status = ATTEMPT_DEFERRED,
						 .reason = r.reason,
						 .code = reason_code((enum reason)r.reason)};
	}
	/* Else it is active and nobody has it: a successor puts it back. */
	if (s != STORE_OK || !record(k, &d, &r, &mem))
		keeper_fatal(k, "give up", s);
	arena_free(&mem);
}

void keeper_courier_lost(struct keeper *k, struct peer *p)
{
	for (size_t i = 0; i < FLIGHT_BUCKETS; i++) {
		struct flight **at = &k->flight[i];
		while (*at != NULL) {
			struct flight *f = *at;
			if (f->courier != p) {
				at = &f->next;
				continue;
			}
			*at = f->next;
			give_up(k, f);
			k->nflight--;
			keeper_flight_free(f);
		}
	}
	sched_courier_gone(k->sched, p->number);
}

/* --- Alarms --- */

/* What the end of the lifetime makes of a delivery that nobody tries. */
static struct result end_of_lifetime(struct arena *mem, const struct store_delivery *d)
{
	enum reason why = REASON_TIMEOUT;
	if (d->reason == NULL || !reason_from_name(d->reason, &why))
		why = REASON_TIMEOUT;
	struct result r = {.delivery = (uint64_t)d->id, .reason = (uint16_t)why};
	r.rcpt = arena_array(mem, d->nrcpt, sizeof(*r.rcpt));
	for (size_t i = 0; r.rcpt != NULL && i < d->nrcpt; i++) {
		if (d->rcpt[i].state == STORE_PENDING)
			r.rcpt[r.nrcpt++] = (struct result_rcpt){
			    .n = d->rcpt[i].n,
			    .status = ATTEMPT_DEFERRED,
			    .reason = r.reason,
			    .code = d->code != NULL ? d->code : reason_code(why),
			    .reply = d->rcpt[i].reply,
			    .host = d->rcpt[i].host};
	}
	return r;
}

/* Its sender could not be told: later again, and those behind it have their turn meanwhile. */
static void postpone(struct keeper *k, int64_t delivery, int64_t since, int64_t now)
{
	int64_t until = sched_notice_at(now, since);
	if (store_postpone(k->store, delivery, until) != STORE_OK)
		keeper_fatal(k, "postpone", store_health(k->store));
}

static void expire(struct keeper *k, int64_t delivery, int64_t now, struct arena *mem)
{
	struct store_delivery d;
	struct store_result x;
	struct store_recorded recorded;
	struct ending e = {.now = now, .expired = true, .told = true};
	if (store_show(k->store, delivery, mem, &d) != STORE_OK) {
		postpone(k, delivery, now, now);
		return;
	}
	struct result r = end_of_lifetime(mem, &d);
	if (mem->failed || keeper_notify(k, &d, &r, true) == TOLD_LATER) {
		postpone(k, delivery, d.envelope.expires, now);
		return;
	}
	sched_forget(k->sched, delivery);
	if (!convert(mem, &r, &e, &x) || store_take(k->store, delivery, now, mem, &d) != STORE_OK ||
	    store_record(k->store, &x, &recorded) != STORE_OK)
		keeper_fatal(k, "expire", store_health(k->store));
	else
		log_event(k->process.log, LOG_LEVEL_WARN, "expired", "id", d.envelope.queue_id,
			  "next-hop", d.next_hop, "reason", d.reason, NULL);
}

static void warn(struct keeper *k, int64_t delivery, struct arena *mem)
{
	struct store_delivery d;
	if (store_show(k->store, delivery, mem, &d) == STORE_OK && d.attempts > 0)
		keeper_notify(k, &d, NULL, false);
	if (store_warned(k->store, delivery) != STORE_OK)
		keeper_fatal(k, "warned", store_health(k->store));
}

void keeper_alarms(struct keeper *k)
{
	struct store_alarm alarm[64];
	size_t n = 0;
	int64_t now = keeper_now();
	if (store_alarms(k->store, now, sizeof(alarm) / sizeof(alarm[0]), alarm, &n) != STORE_OK)
		return;
	for (size_t i = 0; i < n && keeper_group(k); i++) {
		struct arena mem;
		arena_init(&mem, RESULT_MEM_MAX);
		if (alarm[i].expired)
			expire(k, alarm[i].delivery, now, &mem);
		else
			warn(k, alarm[i].delivery, &mem);
		arena_free(&mem);
	}
}
