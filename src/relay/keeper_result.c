/* SPDX-License-Identifier: MIT */
/* From a courier's report to rows, and what the scheduler makes of it. */
#include "relay/keeper_int.h"

#include "deliver/attempt.h"

#include <stdlib.h>
#include <string.h>

enum { RESULT_MEM_MAX = 16 * 1024 * 1024 };

static enum sched_class class_of(const struct result *r)
{
	enum sched_class class = sched_class_of((enum reason)r->reason);
	for (size_t i = 0; i < r->nrcpt; i++)
		class = sched_class_join(class, sched_class_of((enum reason)r->rcpt[i].reason));
	return class;
}

static bool any_pending(const struct result *r)
{
	for (size_t i = 0; i < r->nrcpt; i++) {
		if (r->rcpt[i].status == ATTEMPT_DEFERRED)
			return true;
	}
	return false;
}

static enum store_rcpt_state state_of(uint8_t status, bool expired)
{
	if (status == ATTEMPT_SENT)
		return STORE_SENT;
	return status == ATTEMPT_FAILED || expired ? STORE_FAILED : STORE_PENDING;
}

/* The store's form of the result. `expired`: who is still pending has failed with the end of the
 * lifetime. */
static bool convert(struct arena *mem, const struct result *r, bool expired, int64_t now,
		    struct store_result *out)
{
	struct store_rcpt_result *rcpt = arena_array(mem, r->nrcpt, sizeof(*rcpt));
	struct store_try *tries = arena_array(mem, r->ntries, sizeof(*tries));
	if ((rcpt == NULL && r->nrcpt > 0) || (tries == NULL && r->ntries > 0))
		return false;
	for (size_t i = 0; i < r->nrcpt; i++) {
		const struct result_rcpt *x = &r->rcpt[i];
		rcpt[i] = (struct store_rcpt_result){.n = x->n,
						     .state = state_of(x->status, expired),
						     .reason = reason_name((enum reason)x->reason),
						     .code = x->code,
						     .reply = x->reply,
						     .host = x->host};
	}
	for (size_t i = 0; i < r->ntries; i++) {
		const struct result_try *x = &r->tries[i];
		tries[i] = (struct store_try){now,       x->host, x->address, x->policy,
					      x->reason, x->code, x->detail,  x->tls};
	}
	const struct result_try *last = r->ntries > 0 ? &r->tries[r->ntries - 1] : NULL;
	*out = (struct store_result){.delivery = (int64_t)r->delivery,
				     .at = now,
				     .unknown = r->unknown,
				     .reason = reason_name((enum reason)r->reason),
				     .code = reason_code((enum reason)r->reason),
				     .detail = last != NULL ? last->detail : NULL,
				     .host = last != NULL ? last->host : NULL,
				     .rcpt = rcpt,
				     .nrcpt = r->nrcpt,
				     .tries = tries,
				     .ntries = r->ntries};
	return true;
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
		log_event(k->process.log, LOG_LEVEL_INFO,
			  attempt_status_name((enum attempt_status)x->status), "id",
			  d->envelope.queue_id, "to", to, "host", x->host, "code", x->code,
			  "reason", reason_name((enum reason)x->reason), "reply", x->reply, NULL);
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

/* Records one result in the open group. False: the store failed, and said so. */
static bool record(struct keeper *k, const struct result *r, struct arena *mem)
{
	int64_t now = keeper_now();
	struct store_delivery d;
	struct store_result x;
	struct store_recorded recorded;
	struct sched_end end = {.class = class_of(r), .pending = any_pending(r)};
	struct sched_verdict v = {.fate = SCHED_FATE_RETRY,
				  .due = now + k->sched_config.retry_first};
	enum store_status s = store_show(k->store, (int64_t)r->delivery, mem, &d);
	sched_ended(k->sched, now, (int64_t)r->delivery, &end, &v);
	if (s != STORE_OK)
		return s == STORE_NOT_FOUND; /* removed by an operator */
	bool expired = v.fate == SCHED_FATE_EXPIRED && end.pending;
	if (!convert(mem, r, expired, now, &x))
		return false;
	x.due = v.fate == SCHED_FATE_RETRY ? v.due : now;
	/* Before the record: the text must still be there for what the notification returns. */
	if (!keeper_notify(k, &d, r, expired))
		return false;
	s = store_record(k->store, &x, &recorded);
	if (s != STORE_OK) {
		keeper_fatal(k, "record", s);
		return false;
	}
	log_result(k, &d, r);
	metrics_result(&k->metrics, r);
	tell_destination(k, &v, r, now);
	return true;
}

void keeper_result(struct keeper *k, struct peer *p, struct slice payload)
{
	struct arena mem;
	struct result r;
	arena_init(&mem, RESULT_MEM_MAX);
	bool ok = result_get(payload, &mem, &r);
	struct flight *f = ok ? keeper_flight(k, (int64_t)r.delivery) : NULL;
	if (!ok) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "result", "error", "not understood",
			  NULL);
	} else if (f != NULL && f->courier == p) {
		keeper_land(k, (int64_t)r.delivery);
		if (!keeper_group(k) || !record(k, &r, &mem))
			keeper_fatal(k, "result", store_health(k->store));
	}
	arena_free(&mem);
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
	if (keeper_group(k) && store_show(k->store, f->delivery, &mem, &d) == STORE_OK) {
		r.rcpt = arena_array(&mem, d.nrcpt, sizeof(*r.rcpt));
		for (size_t i = 0; r.rcpt != NULL && i < d.nrcpt; i++) {
			if (d.rcpt[i].state == STORE_PENDING)
				r.rcpt[r.nrcpt++] = (struct result_rcpt){
				    .n = d.rcpt[i].n,
				    .status = ATTEMPT_DEFERRED,
				    .reason = r.reason,
				    .code = reason_code((enum reason)r.reason)};
		}
		record(k, &r, &mem);
	}
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
			free(f);
		}
	}
	sched_courier_gone(k->sched, p->number);
}

/* --- Alarms --- */

static void expire(struct keeper *k, int64_t delivery, int64_t now)
{
	struct arena mem;
	struct store_delivery d;
	arena_init(&mem, RESULT_MEM_MAX);
	if (store_take(k->store, delivery, now, &mem, &d) == STORE_OK) {
		struct result r = {.delivery = (uint64_t)delivery};
		bool known = d.reason != NULL && reason_from_name(d.reason, &(enum reason){0});
		enum reason why = REASON_TIMEOUT;
		if (known)
			reason_from_name(d.reason, &why);
		r.reason = (uint16_t)why;
		r.rcpt = arena_array(&mem, d.nrcpt, sizeof(*r.rcpt));
		for (size_t i = 0; r.rcpt != NULL && i < d.nrcpt; i++)
			r.rcpt[r.nrcpt++] =
			    (struct result_rcpt){.n = d.rcpt[i].n,
						 .status = ATTEMPT_DEFERRED,
						 .reason = r.reason,
						 .code = d.code != NULL ? d.code : reason_code(why),
						 .reply = d.rcpt[i].reply,
						 .host = d.rcpt[i].host};
		struct store_result x;
		struct store_recorded recorded;
		sched_forget(k->sched, delivery);
		if (!convert(&mem, &r, true, now, &x) || !keeper_notify(k, &d, &r, true) ||
		    store_record(k->store, &x, &recorded) != STORE_OK)
			keeper_fatal(k, "expire", store_health(k->store));
		else
			log_event(k->process.log, LOG_LEVEL_WARN, "expired", "id",
				  d.envelope.queue_id, "next-hop", d.next_hop, "reason", d.reason,
				  NULL);
	}
	arena_free(&mem);
}

static void warn(struct keeper *k, int64_t delivery)
{
	struct arena mem;
	struct store_delivery d;
	arena_init(&mem, RESULT_MEM_MAX);
	if (store_show(k->store, delivery, &mem, &d) == STORE_OK && d.attempts > 0)
		keeper_notify(k, &d, NULL, false);
	if (store_warned(k->store, delivery) != STORE_OK)
		keeper_fatal(k, "warned", store_health(k->store));
	arena_free(&mem);
}

void keeper_alarms(struct keeper *k)
{
	struct store_alarm alarm[64];
	size_t n = 0;
	int64_t now = keeper_now();
	if (store_alarms(k->store, now, sizeof(alarm) / sizeof(alarm[0]), alarm, &n) != STORE_OK)
		return;
	for (size_t i = 0; i < n && keeper_group(k); i++) {
		if (alarm[i].expired)
			expire(k, alarm[i].delivery, now);
		else
			warn(k, alarm[i].delivery);
	}
}
