/* SPDX-License-Identifier: MIT */
/* Counting and writing (Prometheus text format 0.0.4). Knows no socket and no store. */
#include "relay/metrics.h"

#include "sched/sched.h"

#include "relay/keeper_audit.h"
#include "relay/keeper_disk.h"

#include <inttypes.h>
#include <string.h>

static enum host_policy policy_from_name(const char *name)
{
	for (int p = HOST_DANE; p < HOST_SKIP; p++) {
		if (name != NULL && strcmp(host_policy_name((enum host_policy)p), name) == 0)
			return (enum host_policy)p;
	}
	return HOST_SKIP; /* nobody was connected to */
}

/* The courier describes TLS in words; "matched" is there when a record authenticated the host. */
static enum metrics_channel channel_of(const struct result_try *t)
{
	if (t->tls == NULL)
		return CHANNEL_CLEAR;
	return strstr(t->tls, "; matched ") != NULL ? CHANNEL_AUTHENTICATED : CHANNEL_ENCRYPTED;
}

static const struct result_try *last_try_at(const struct result *r, const char *host)
{
	for (size_t i = r->ntries; i > 0; i--) {
		const struct result_try *t = &r->tries[i - 1];
		if (host != NULL && t->host != NULL && strcmp(t->host, host) == 0)
			return t;
	}
	return NULL;
}

static void count_sent(struct metrics *m, const struct result *r, const struct result_rcpt *x)
{
	const struct result_try *t = last_try_at(r, x->host);
	if (t != NULL)
		m->sent[policy_from_name(t->policy)][channel_of(t)]++;
}

void metrics_result(struct metrics *m, const struct result *r)
{
	for (size_t i = 0; i < r->nrcpt; i++) {
		const struct result_rcpt *x = &r->rcpt[i];
		if (x->status == ATTEMPT_SENT)
			count_sent(m, r, x);
		else if (x->status == ATTEMPT_FAILED)
			m->failed[x->reason]++;
		else
			m->deferred[x->reason]++;
	}
}

/* --- Text --- */

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_addf(b, "# HELP danelaw_%s %s\n# TYPE danelaw_%s %s\n", name, help, name, type);
}

static void one(struct buf *b, const char *name, const char *type, const char *help, uint64_t value)
{
	head(b, name, type, help);
	buf_addf(b, "danelaw_%s %" PRIu64 "\n", name, value);
}

static void write_sent(struct buf *b, const struct metrics *m)
{
	static const char *const channels[] = {[CHANNEL_AUTHENTICATED] = "authenticated",
					       [CHANNEL_ENCRYPTED] = "encrypted",
					       [CHANNEL_CLEAR] = "clear"};
	head(b, "delivered_total", "counter",
	     "Recipients delivered, by policy of the host and channel.");
	for (int p = HOST_DANE; p < HOST_SKIP; p++) {
		for (int c = 0; c < CHANNEL_COUNT; c++)
			buf_addf(b,
				 "danelaw_delivered_total{policy=\"%s\",channel=\"%s\"} %" PRIu64
				 "\n",
				 host_policy_name((enum host_policy)p), channels[c], m->sent[p][c]);
	}
}

static void write_reasons(struct buf *b, const char *name, const char *help, const uint64_t *count)
{
	head(b, name, "counter", help);
	for (int r = REASON_OK + 1; r < REASON_COUNT; r++) {
		if (count[r] > 0)
			buf_addf(b, "danelaw_%s{reason=\"%s\"} %" PRIu64 "\n", name,
				 reason_name((enum reason)r), count[r]);
	}
}

static void write_queue(struct buf *b, const struct store_totals *t, int64_t now_ms)
{
	one(b, "queue_messages", "gauge", "Messages in the queue.", t->messages);
	one(b, "queue_bytes", "gauge", "Octets of their texts.", t->bytes);
	one(b, "queue_recipients", "gauge", "Recipients still to be delivered to.", t->recipients);
	head(b, "queue_deliveries", "gauge", "Deliveries, by state.");
	buf_addf(b, "danelaw_queue_deliveries{state=\"waiting\"} %" PRIu64 "\n", t->waiting);
	buf_addf(b, "danelaw_queue_deliveries{state=\"held\"} %" PRIu64 "\n", t->held);
	buf_addf(b, "danelaw_queue_deliveries{state=\"active\"} %" PRIu64 "\n", t->active);
	one(b, "queue_possibly_delivered", "gauge", "Deliveries that may have arrived already.",
	    t->in_doubt);
	one(b, "queue_oldest_seconds", "gauge", "Age of the oldest message.",
	    t->oldest > 0 && now_ms > t->oldest ? (uint64_t)(now_ms - t->oldest) / 1000 : 0);
}

static void write_couriers(struct buf *b, const struct courier_stats *s)
{
	one(b, "tls_handshakes_total", "counter", "TLS handshakes with MX hosts.", s->handshakes);
	one(b, "tls_resumed_total", "counter", "Of these, resumed sessions.", s->resumed);
	one(b, "sessions_reused_total", "counter",
	    "Sessions with MX hosts that carried a further message.", s->reused);
	one(b, "dns_questions_total", "counter", "DNS questions answered.", s->questions);
	head(b, "dns_seconds_total", "counter", "Time that DNS questions took, together.");
	buf_addf(b, "danelaw_dns_seconds_total %" PRIu64 ".%03" PRIu64 "\n", s->question_ms / 1000,
		 s->question_ms % 1000);
}

void metrics_slots(const struct sched_counts *n, struct buf *out)
{
	one(out, "slots", "gauge", "Deliveries that may be under way at the same time.", n->slots);
	head(out, "slots_used", "gauge",
	     "Deliveries under way, by what is known of the destination.");
	for (int i = 0; i < SHARES; i++)
		buf_addf(out, "danelaw_slots_used{share=\"%s\"} %" PRIu32 "\n",
			 sched_share_name((enum sched_share)i), n->of_share[i]);
	one(out, "origins_capped", "gauge", "Senders that wait because they have their part.",
	    n->capped);
	one(out, "octets_in_flight", "gauge", "Octets of the texts under way.", n->octets);
	one(out, "destinations_held_back", "gauge", "Destinations that wait for octets.",
	    n->held_back);
	one(out, "destinations_resting", "gauge", "Destinations that back off.", n->resting);
}

void metrics_write(const struct metrics *m, const struct courier_stats *now,
		   const struct store_totals *t, int64_t now_ms, struct buf *out)
{
	struct courier_stats all = m->gone;
	courier_stats_add(&all, now);
	one(out, "accepted_total", "counter", "Messages accepted.", m->accepted);
	one(out, "refused_total", "counter", "Messages that could not be stored.", m->refused);
	one(out, "notices_dropped_total", "counter",
	    "Notices that were not sent because of a limit.", m->notices_dropped);
	write_sent(out, m);
	write_reasons(out, "deferred_total", "Recipients deferred, by reason.", m->deferred);
	write_reasons(out, "failed_total", "Recipients failed, by reason.", m->failed);
	write_queue(out, t, now_ms);
	write_couriers(out, &all);
	head(out, "restarts_total", "counter",
	     "Processes that died and were started again, by role.");
	for (int r = ROLE_INTAKE; r < ROLE_COUNT; r++)
		buf_addf(out, "danelaw_restarts_total{role=\"%s\"} %u\n", role_name((enum role)r),
			 m->restarts[r]);
}

void metrics_dns(bool unsafe, struct buf *out)
{
	one(out, "dns_unsafe", "gauge",
	    "1 when dns.unbound may turn validation off or put answers in its place.", unsafe);
}

void metrics_disk(const struct keeper_disk *d, bool writable, struct buf *out)
{
	one(out, "store_writable", "gauge", "0 while nothing can be written to the queue.",
	    writable);
	one(out, "store_ballast_bytes", "gauge", "The ballast beside the queue; 0: given up.",
	    d->ballast);
	one(out, "store_ballast_given_up_total", "counter", "How often it was given up.",
	    d->given_up);
	one(out, "store_disk_low", "gauge", "1 while no delivery is started for lack of room.",
	    d->low);
}

void metrics_audit(const struct audit_state *a, struct buf *out)
{
	one(out, "audit_records_total", "counter", "Number of the last record of the audit file.",
	    a->head.n);
	one(out, "audit_waiting", "gauge", "Records that wait for the audit file.", a->waiting);
	one(out, "audit_working", "gauge", "1 when the audit file takes records.", a->working);
	one(out, "audit_broken", "gauge", "1 when the audit file was not the one that was written.",
	    a->broken);
	one(out, "audit_bytes", "gauge", "Octets of the audit file that are in use.", a->octets);
	one(out, "audit_size_limited_total", "counter",
	    "How often records went before their time because of audit.size-max.", a->cut);
	one(out, "unauthorised_changes_total", "counter",
	    "Keys of hosts that changed and nothing authorised it.", a->changes);
}

/* --- What couriers tell --- */

void courier_stats_add(struct courier_stats *to, const struct courier_stats *what)
{
	to->handshakes += what->handshakes;
	to->resumed += what->resumed;
	to->reused += what->reused;
	to->questions += what->questions;
	to->question_ms += what->question_ms;
}

void courier_stats_put(struct buf *b, const struct courier_stats *s)
{
	put_u64(b, s->handshakes);
	put_u64(b, s->resumed);
	put_u64(b, s->reused);
	put_u64(b, s->questions);
	put_u64(b, s->question_ms);
}

bool courier_stats_get(struct slice payload, struct courier_stats *out)
{
	struct cursor c = cursor_make(payload);
	out->handshakes = get_u64(&c);
	out->resumed = get_u64(&c);
	out->reused = get_u64(&c);
	out->questions = get_u64(&c);
	out->question_ms = get_u64(&c);
	return !c.failed && cursor_left(&c) == 0;
}
