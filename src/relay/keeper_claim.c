/* SPDX-License-Identifier: MIT */
/*
 * What couriers still have when a keeper starts: those that outlived the one before claim what they
 * carry, and only what nobody claims is put back as interrupted. Until they have spoken nothing is
 * handed out.
 *
 * Knows who has spoken; whose a delivery is says claim.c. Refuses to know what became of it.
 */
#include "relay/claim.h"
#include "relay/keeper_int.h"

/* A courier that lives answers at once. One that hangs keeps everybody waiting so long; its claims
 * are refused after that, and what it has is interrupted. */
enum { CLAIMS_MS = 5000 };

/* The operator can ask for each of them: danelaw queue why ID. */
static void on_doubt(void *arg, const char *queue_id, const char *next_hop)
{
	const struct keeper *k = arg;
	log_event(k->process.log, LOG_LEVEL_WARN, "possibly-delivered", "id", queue_id, "next-hop",
		  next_hop, NULL);
}

static bool is_carried(void *arg, int64_t delivery)
{
	return keeper_flight(arg, delivery) != NULL;
}

struct store_config keeper_recovery(struct keeper *k)
{
	return (struct store_config){.on_doubt = on_doubt,
				     .interrupted = keeper_audit_interrupted,
				     .keep_active = true,
				     .carried = is_carried,
				     .arg = k};
}

static void report_recovery(struct keeper *k, const struct store_recovery *r)
{
	char interrupted[LOG_INT_TEXT], doubt[LOG_INT_TEXT], adopted[LOG_INT_TEXT];
	if (r->interrupted > 0 || k->nflight > 0)
		log_event(k->process.log, LOG_LEVEL_WARN, "recovered", "interrupted",
			  log_int(interrupted, (int64_t)r->interrupted), "possibly-delivered",
			  log_int(doubt, (int64_t)r->in_doubt), "adopted",
			  log_int(adopted, (int64_t)k->nflight), NULL);
}

static void close_claims(struct keeper *k)
{
	struct store_recovery r = {0};
	struct store_config c = keeper_recovery(k);
	if (!keeper_group(k))
		return; /* fatal, or no memory for now: the timer comes again */
	enum store_status s = store_recover(k->store, &c, keeper_now(), &r);
	if (s != STORE_OK) {
		keeper_fatal(k, "recover", s);
		return;
	}
	k->claims_open = false;
	loop_timer_stop(k->claims);
	report_recovery(k, &r);
	loop_timer_set(k->wake, 0); /* behind the commit of what was put back */
}

static void on_late(void *arg)
{
	struct keeper *k = arg;
	if (!k->claims_open)
		return;
	for (const struct peer *p = k->peer; p != NULL; p = p->next) {
		char number[LOG_INT_TEXT];
		if (p->role == ROLE_COURIER && !p->reported)
			log_event(k->process.log, LOG_LEVEL_ERROR, "claims", "courier",
				  log_int(number, p->number), "error", "does not say what it has",
				  NULL);
	}
	loop_timer_set(k->claims, CLAIMS_MS);
	close_claims(k);
}

bool keeper_claims_open(struct keeper *k)
{
	k->claims = loop_timer_new(k->process.loop, on_late, k);
	if (k->claims == NULL)
		return false;
	k->claims_open = true;
	loop_timer_set(k->claims, CLAIMS_MS);
	return true;
}

void keeper_claims_look(struct keeper *k)
{
	bool all = k->claims_open && k->couriers_told;
	for (const struct peer *p = k->peer; p != NULL && all; p = p->next)
		all = p->role != ROLE_COURIER || p->reported;
	if (all)
		close_claims(k);
}

void keeper_couriers_told(void *self, uint32_t n)
{
	struct keeper *k = self;
	(void)n; /* their channels came before */
	k->couriers_told = true;
	keeper_claims_look(k);
}

static void answer(struct peer *p, int64_t delivery, int64_t take, bool yes)
{
	struct buf *b = channel_begin(p->channel, MSG_CLAIMED);
	put_u64(b, (uint64_t)delivery);
	put_u64(b, (uint64_t)take);
	put_u8(b, yes);
	channel_send(p->channel, -1);
}

/* False: the courier talks nonsense and is to be cut off. */
bool keeper_claim(struct keeper *k, struct peer *p, struct slice payload)
{
	struct cursor c = cursor_make(payload);
	if (k->looking)
		return true; /* the keeper that can record it answers */
	if (p->reported) {   /* it tries out what others may have */
		char number[LOG_INT_TEXT];
		log_event(k->process.log, LOG_LEVEL_ERROR, "claim", "courier",
			  log_int(number, p->number), "error", "it said that it has no more", NULL);
		return false;
	}
	int64_t delivery = (int64_t)get_u64(&c);
	struct claim_facts facts = {.take_claimed = (int64_t)get_u64(&c),
				    .dot_out = cursor_u8(&c) != 0,
				    .carried = keeper_flight(k, delivery) != NULL};
	struct flight *f = keeper_flight_new(delivery, p);
	facts.found =
	    f != NULL ? store_active(k->store, delivery, &f->mem, &f->known) : STORE_NO_MEMORY;
	if (facts.found == STORE_OK) {
		facts.take_stored = f->known.take;
		facts.dot_noted = f->known.dot;
	}
	enum claim_verdict v = claim_judge(&facts);
	if (v == CLAIM_GRANTED) {
		keeper_adopt(k, f);
		keeper_take_off(k, f);
	} else {
		keeper_flight_free(f);
	}
	if (v == CLAIM_UNSURE)
		keeper_fatal(k, "claim", facts.found);
	else if (v != CLAIM_FALSE)
		answer(p, delivery, facts.take_claimed, v == CLAIM_GRANTED);
	if (v == CLAIM_STALE || v == CLAIM_FALSE)
		log_event(k->process.log, LOG_LEVEL_WARN, "claim", "verdict", claim_verdict_name(v),
			  NULL);
	return v != CLAIM_FALSE;
}
