/* SPDX-License-Identifier: MIT */
/*
 * Questions and answers: libunbound's event API behind our own contract.
 *
 * Knows libunbound and the loop. Refuses to know what the answers are for, and never calls back
 * inside a call: the library answers from its cache before ub_resolve_event() returns, so that
 * every answer waits in its query until the query's own timer fires from the loop. The same timer
 * ends a question that takes too long.
 */
#include "dns/room.h"

#include <stdlib.h>
#include <unbound.h>
#include <unbound-event.h>

struct dns {
	struct loop *loop;
	struct ub_ctx *ctx;
	struct dns_query *first;
	uint32_t timeout_ms;
	struct dns_stats stats;
};

struct dns_query {
	struct dns *dns;
	struct dns_query *next, **back; /* *back points to this one */
	char *name;
	uint16_t type;
	dns_cb *cb;
	dns_packet_cb *packet_cb; /* instead of cb */
	struct dns_packet packet; /* for packet_cb; its octets and words are ours */
	void *arg;
	struct loop_timer *timer;
	int id;                /* the library's number while `asking` */
	bool asking;           /* the library has our pointer and will call on_event() */
	bool done;             /* answer is what there is to say, even if it is NULL */
	struct answer *answer; /* ours until it is delivered */
};

/* --- a query's life -------------------------------------------------------------------------- */

static void query_free(struct dns_query *q)
{
	if (q->asking)
		ub_cancel(q->dns->ctx, q->id);
	*q->back = q->next;
	if (q->next)
		q->next->back = q->back;
	loop_timer_free(&q->timer);
	answer_unref(&q->answer);
	free((void *)(uintptr_t)q->packet.packet.p);
	free((void *)(uintptr_t)q->packet.why);
	free(q->name);
	free(q);
}

/* A packet that cannot be kept is a lookup that failed. */
static void keep_packet(struct dns_query *q, struct slice packet, enum answer_security sec,
			const char *why)
{
	uint8_t *copy = malloc(packet.n);
	q->packet = (struct dns_packet){.security = sec, .rcode = DNS_SERVFAIL};
	q->packet.why = why ? strdup(why) : NULL;
	if (!copy)
		return;
	memcpy(copy, packet.p, packet.n);
	q->packet.packet = slice_make(copy, packet.n);
}

static void deliver_packet(struct dns_query *q)
{
	const struct answer *a = q->answer;
	struct dns_packet p = q->packet;
	if (p.packet.n == 0) {
		p.rcode = a ? a->rcode : DNS_SERVFAIL;
		p.why = a ? a->why : "out of memory";
		q->dns->stats.failed++;
	}
	q->packet_cb(q->arg, &p);
}

static void deliver(struct dns_query *q)
{
	if (q->packet_cb) {
		deliver_packet(q);
		query_free(q);
		return;
	}
	struct answer *a = q->answer;
	dns_cb *cb = q->cb;
	void *arg = q->arg;
	q->answer = NULL;
	if (!a || a->status == DNS_FAILED)
		q->dns->stats.failed++;
	query_free(q);
	cb(arg, a);
	answer_unref(&a);
}

static void on_timer(void *arg)
{
	struct dns_query *q = arg;
	if (!q->done) {
		char why[64];
		snprintf(why, sizeof why, "no answer within %.3g s", q->dns->timeout_ms / 1000.0);
		q->dns->stats.timed_out++;
		q->answer = answer_failed(q->name, q->type, DNS_SERVFAIL, why);
	}
	deliver(q);
}

/* From now on the timer delivers. */
static void finish(struct dns_query *q, struct answer *a)
{
	q->answer = a;
	q->done = true;
	loop_timer_set(q->timer, 0);
}

/* --- what the library calls ------------------------------------------------------------------ */

static struct answer *answer_from_rcode(const struct dns_query *q, int rcode)
{
	char scratch[16], why[256];
	snprintf(
	    why, sizeof why,
	    "%s: no name server of the zone gave a usable answer, the zone's keys could not be "
	    "fetched, or the answer took more than %d aliases or the resolver's other bounds",
	    dns_rcode_name((uint16_t)rcode, scratch), DNS_ALIASES_MAX);
	return answer_failed(q->name, q->type, (uint16_t)rcode, why);
}

static enum answer_security security(int sec)
{
	if (sec == 2)
		return ANSWER_SECURE;
	return sec == 0 ? ANSWER_INSECURE : ANSWER_BOGUS; /* whatever is new is not trusted */
}

static void on_event(void *arg, int rcode, void *packet, int len, int sec, char *why_bogus,
		     int was_ratelimited)
{
	struct dns_query *q = arg;
	q->asking = false;
	if (was_ratelimited)
		finish(q, answer_failed(q->name, q->type, DNS_SERVFAIL,
					"the resolver library limits the rate of this zone"));
	else if (rcode != 0 || !packet || len <= 0)
		finish(q, answer_from_rcode(q, rcode ? rcode : DNS_SERVFAIL));
	else if (q->packet_cb) {
		keep_packet(q, slice_make(packet, (size_t)len), security(sec), why_bogus);
		finish(q, NULL);
	} else
		finish(q, answer_parse(q->name, q->type, slice_make(packet, (size_t)len),
				       security(sec), why_bogus));
}

/* --- asking ---------------------------------------------------------------------------------- */

static struct dns_query *query_new(struct dns *d, const char *name, uint16_t type, dns_cb *cb,
				   void *arg)
{
	struct dns_query *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	*q = (struct dns_query){.dns = d, .type = type, .cb = cb, .arg = arg};
	q->name = strdup(name);
	q->timer = loop_timer_new(d->loop, on_timer, q);
	if (!q->name || !q->timer) {
		loop_timer_free(&q->timer);
		free(q->name);
		free(q);
		return NULL;
	}
	q->next = d->first;
	q->back = &d->first;
	if (q->next)
		q->next->back = &q->next;
	d->first = q;
	return q;
}

static struct dns_query *ask(struct dns_query *q)
{
	if (!q)
		return NULL;
	struct dns *d = q->dns;
	d->stats.asked++;
	q->asking = true;
	loop_timer_set(q->timer, d->timeout_ms);
	int rc = ub_resolve_event(d->ctx, q->name, q->type, 1, q, on_event, &q->id);
	if (rc != 0) {
		q->asking = false;
		finish(q, answer_failed(q->name, q->type, DNS_SERVFAIL,
					rc == UB_SYNTAX ? "not a domain name" : ub_strerror(rc)));
	}
	return q;
}

struct dns_query *dns_ask(struct dns *d, const char *name, uint16_t type, dns_cb *cb, void *arg)
{
	return ask(query_new(d, name, type, cb, arg));
}

struct dns_query *dns_ask_packet(struct dns *d, const char *name, uint16_t type, dns_packet_cb *cb,
				 void *arg)
{
	struct dns_query *q = query_new(d, name, type, NULL, arg);
	if (q)
		q->packet_cb = cb;
	return ask(q);
}

void dns_cancel(struct dns_query **q)
{
	if (!*q)
		return;
	query_free(*q);
	*q = NULL;
}

/* --- the resolver ---------------------------------------------------------------------------- */

struct dns *dns_new(struct loop *l, const struct dns_config *c, char *error, size_t room)
{
	struct setup_error e = {.text = error, .room = room};
	struct dns *d = calloc(1, sizeof *d);
	struct ub_ctx *ctx = d ? ub_ctx_create_event(loop_event_base(l)) : NULL;
	if (!ctx) {
		setup_fail(&e, "the resolver does not start: out of memory");
		free(d);
		return NULL;
	}
	*d = (struct dns){.loop = l, .ctx = ctx, .timeout_ms = c->timeout_ms};
	ub_ctx_debugout(ctx, NULL);
	if (!setup_options(ctx, c, &e) || !setup_anchors(ctx, c, &e) || !setup_finish(ctx, &e))
		dns_free(&d);
	return d;
}

void dns_free(struct dns **dp)
{
	struct dns *d = *dp;
	if (!d)
		return;
	*dp = NULL;
	while (d->first)
		query_free(d->first);
	ub_ctx_delete(d->ctx);
	free(d);
}

void dns_stats(const struct dns *d, struct dns_stats *out)
{
	*out = d->stats;
}

/* --- the library's age ----------------------------------------------------------------------- */

/* 1.2.3 as 1002003. */
static unsigned version_number(const char *text)
{
	unsigned v[3] = {0};
	if (sscanf(text, "%3u.%3u.%3u", &v[0], &v[1], &v[2]) < 2)
		return UINT32_MAX; /* a scheme we do not know: no alarm */
	return v[0] * 1000000 + v[1] * 1000 + v[2];
}

/*
 * KeyTrap (CVE-2023-50387) was mended in 1.19.1. Debian 12's 1.17.1 has the patch under the old
 * number, and nothing in the library's interface tells a patched one: no option, symbol or message
 * that can be asked for at run time. So 1.17.1 gets the benefit of the doubt, and an unpatched
 * 1.17.1 from elsewhere is not found.
 */
const char *dns_library_warning(void)
{
	unsigned v = version_number(ub_version());
	if (v >= 1019001 || v == 1017001)
		return NULL;
	return "the linked libunbound is older than 1.19.1: hostile zones can make it spend "
	       "seconds of CPU on one answer (KeyTrap, CVE-2023-50387); update it";
}
