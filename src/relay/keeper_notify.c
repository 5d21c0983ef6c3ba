/* SPDX-License-Identifier: MIT */
/*
 * Notifications (RFC 3461, RFC 3464): decides by src/dsn who is told, and adds the message to the
 * queue in the group of what it tells.
 */
#include "relay/keeper_int.h"

#include "deliver/attempt.h"
#include "dsn/dsn.h"
#include "idn/idn.h"
#include "relay/network.h"
#include "relay/notice_limit.h"
#include "wire/destination.h"
#include "wire/orcpt.h"
#include "wire/origin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
	NOTIFY_MEM_MAX = 16 * 1024 * 1024,
	TEXT_MAX = 64 * 1024 * 1024, /* 5000 recipients, each with replies and records */
	FULL_MAX = 256 * 1024,       /* larger originals come back as headers */
	CHUNK = 32768,
	DATE_MAX = 64,
	NAME_MAX_TEXT = 64,
};

static void date_text(int64_t ms, char out[static DATE_MAX])
{
	struct tm tm;
	time_t t = (time_t)(ms / 1000);
	if (localtime_r(&t, &tm) == NULL ||
	    strftime(out, DATE_MAX, "%a, %d %b %Y %H:%M:%S %z", &tm) == 0)
		out[0] = '\0';
}

static unsigned notify_of(const char *text)
{
	unsigned n = 0;
	if (text != NULL)
		dsn_notify_parse(slice_str(text), &n);
	return n;
}

static const struct result_rcpt *result_of(const struct result *r, uint32_t n)
{
	for (size_t i = 0; r != NULL && i < r->nrcpt; i++) {
		if (r->rcpt[i].n == n)
			return &r->rcpt[i];
	}
	return NULL;
}

static enum dsn_event event_of(const struct result *r, const struct result_rcpt *x, bool expired)
{
	if (r == NULL)
		return DSN_EVENT_DELAYED;
	if (x == NULL)
		return DSN_EVENT_NOTHING;
	if (x->status == ATTEMPT_SENT)
		return DSN_EVENT_SENT;
	return x->status == ATTEMPT_FAILED || expired ? DSN_EVENT_FAILED : DSN_EVENT_NOTHING;
}

/* "rfc822;user@example.org" (xtext) into its type and address. What an older version took and this
 * one does not is left out. */
static void set_orcpt(struct arena *mem, const char *orcpt, bool utf8, struct dsn_rcpt *out)
{
	struct orcpt o;
	if (orcpt == NULL || !orcpt_parse(slice_str(orcpt), utf8, &o))
		return;
	out->orcpt_type = arena_str(mem, o.type);
	out->orcpt = arena_str(mem, slice_make(o.address, o.n));
}

static const char *try_address(const struct result *r, const char *host)
{
	for (size_t i = r != NULL ? r->ntries : 0; i > 0; i--) {
		const struct result_try *t = &r->tries[i - 1];
		if (host != NULL && t->host != NULL && t->address != NULL &&
		    strcmp(t->host, host) == 0)
			return t->address;
	}
	return NULL;
}

/* The certificates that the last host with TLS served, as the courier described them. */
static const char *try_tls(const struct result *r)
{
	for (size_t i = r != NULL ? r->ntries : 0; i > 0; i--) {
		if (r->tries[i - 1].tls != NULL)
			return r->tries[i - 1].tls;
	}
	return NULL;
}

static void fill_rcpt(struct arena *mem, const struct store_delivery *d, const struct store_rcpt *s,
		      const struct result *r, bool expired, const char *when, struct dsn_rcpt *out)
{
	const struct result_rcpt *x = result_of(r, s->n);
	struct dsn_facts f = {.event = event_of(r, x, expired),
			      .notify = notify_of(s->notify),
			      .null_sender = d->envelope.reverse_path[0] == '\0',
			      .next_knows_dsn = x != NULL && x->dsn_passed};
	enum reason reason = REASON_TIMEOUT;
	const char *name = x != NULL           ? reason_name((enum reason)x->reason)
			   : s->reason != NULL ? s->reason
					       : d->reason;
	if (name != NULL)
		reason_from_name(name, &reason);
	const char *code = x != NULL ? x->code : s->code != NULL ? s->code : d->code;
	*out = (struct dsn_rcpt){.action = dsn_decide(&f),
				 .address = s->address,
				 .reason = reason,
				 .code = code != NULL ? code : reason_code(reason),
				 .expired = expired && x != NULL && x->status != ATTEMPT_FAILED,
				 .host = x != NULL && x->host != NULL ? x->host
					 : s->host != NULL            ? s->host
								      : d->host,
				 .reply = x != NULL ? x->reply : s->reply,
				 .detail = d->detail,
				 .last_attempt = when};
	if (r != NULL && r->ntries > 0)
		out->detail = r->tries[r->ntries - 1].detail;
	out->address_text = try_address(r, out->host);
	const char *tls = try_tls(r);
	const char **cert = tls != NULL ? arena_array(mem, 1, sizeof(*cert)) : NULL;
	if (cert != NULL) {
		cert[0] = tls;
		out->cert = cert;
		out->ncert = 1;
	}
	set_orcpt(mem, s->orcpt, d->envelope.smtputf8, out);
}

static bool add_original(struct keeper *k, const struct store_delivery *d, struct dsn_writer *w,
			 struct buf *out)
{
	uint8_t chunk[CHUNK];
	struct buf piece;
	bool ok = true;
	buf_init(&piece, 4 * CHUNK + 256);
	/* Also of a header: somebody else may have made it as long as a message may be. */
	for (uint64_t offset = 0; ok && offset < FULL_MAX;) {
		size_t got = 0;
		enum store_status s =
		    store_text_read(k->store, d->message, offset, chunk, sizeof(chunk), &got);
		ok = s == STORE_OK || s == STORE_DAMAGED; /* then as much as is there */
		if (got == 0)
			break;
		bool more = dsn_add_original(w, slice_make(chunk, got), &piece);
		buf_add_slice(out, buf_slice(&piece));
		ok = buf_ok(&piece);
		buf_reset(&piece);
		offset += got;
		if (!more || got < sizeof(chunk))
			break;
	}
	buf_free(&piece);
	return ok;
}

static enum told write_text(struct keeper *k, const struct store_delivery *d,
			    const struct dsn_message *m, struct buf *out)
{
	struct dsn_writer w;
	if (!dsn_begin(&w, m, out))
		return TOLD_NEVER; /* by its facts alone, which stay the same */
	if (!add_original(k, d, &w, out))
		return TOLD_LATER;
	dsn_end(&w, out);
	return buf_ok(out) ? TOLD : TOLD_LATER;
}

/* All notices are one origin; within it they take turns by whose mail they are about. */
static uint64_t notice_sender(const struct store_delivery *d)
{
	char about[24];
	snprintf(about, sizeof(about), "%llx",
		 (unsigned long long)origin_of_sender(d->envelope.sender));
	return origin_sender(ORIGIN_NOTICES, about);
}

/* Where the notification goes. An intake hands in A-labels or literals; an older version took what
 * the client wrote. */
static enum told next_hop_of(const char *to, char out[static DESTINATION_ROOM])
{
	const char *at = strrchr(to, '@');
	out[0] = '\0';
	enum idn_error e = at != NULL ? idn_destination(at + 1, out, NULL) : IDN_EMPTY;
	if (e == IDN_NO_MEMORY)
		return TOLD_LATER;
	return e == IDN_OK ? TOLD : TOLD_NEVER;
}

static enum told queue_notification(struct keeper *k, const char *id, const char *to, bool utf8,
				    uint64_t sender, struct slice text)
{
	int64_t now = keeper_now();
	char next_hop[DESTINATION_ROOM];
	enum told told = next_hop_of(to, next_hop);
	if (told != TOLD)
		return told;
	struct store_new_rcpt rcpt = {.address = to, .notify = "NEVER"};
	struct store_new_delivery delivery = {
	    .next_hop = next_hop, .rcpt = &rcpt, .nrcpt = 1, .due = now};
	struct store_new_message x = {
	    .envelope = {.queue_id = id,
			 .arrived = now,
			 .expires = sched_expires_at(&k->sched_config, now),
			 .reverse_path = "",
			 .origin = "notification",
			 .sender = sender,
			 .size = text.n,
			 .eight_bit = utf8,
			 .smtputf8 = utf8},
	    .text = {.bytes = text, .fd = -1},
	    .delivery = &delivery,
	    .ndelivery = 1,
	};
	enum store_status s = store_add(k->store, &x);
	log_event(k->process.log, s == STORE_OK ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "notification",
		  "id", id, "to", to, "status", store_status_name(s), NULL);
	sched_destinations_due(k->sched);
	if (s == STORE_OK)
		return TOLD;
	return s == STORE_LIMIT ? TOLD_NEVER : TOLD_LATER;
}

static enum told notify(struct keeper *k, const struct store_delivery *d, struct dsn_rcpt *rcpt,
			struct arena *mem)
{
	uint8_t random[12];
	char id[NAME_MAX_TEXT], boundary[NAME_MAX_TEXT], date[DATE_MAX], arrived[DATE_MAX],
	    until[DATE_MAX];
	const char *host = k->host;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return TOLD_LATER;
	hex_encode(slice_make(random, 8), id);
	hex_encode(slice_make(random, sizeof(random)), boundary);
	date_text(keeper_now(), date);
	date_text(d->envelope.arrived, arrived);
	date_text(d->expires, until);
	const char *ret = d->envelope.ret;
	struct dsn_message m = {
	    .reporting_mta = host,
	    .from = arena_printf(mem, "mailer-daemon@%s", host),
	    .to = d->envelope.reverse_path,
	    .date = date,
	    .message_id = arena_printf(mem, "<%s@%s>", id, host),
	    .boundary = boundary,
	    .queue_id = d->envelope.queue_id,
	    .envid = d->envelope.envid,
	    .arrival_date = arrived,
	    .retry_until = until,
	    .utf8 = d->envelope.smtputf8,
	    .ret = ret == NULL                ? DSN_RET_NOT_GIVEN
		   : strcmp(ret, "FULL") == 0 ? DSN_RET_FULL
					      : DSN_RET_HDRS,
	    .eight_bit = d->envelope.eight_bit,
	    .original_size = d->envelope.size,
	    .full_max = FULL_MAX,
	    .rcpt = rcpt,
	    .nrcpt = d->nrcpt,
	};
	struct buf text;
	buf_init(&text, TEXT_MAX);
	enum told told = mem->failed ? TOLD_LATER : write_text(k, d, &m, &text);
	if (told == TOLD)
		told = queue_notification(k, id, m.to, m.utf8, notice_sender(d), buf_slice(&text));
	buf_free(&text);
	return told;
}

/* Could the client that handed this in have sent mail anywhere? In words of the intake: "user NAME
 * at ADDRESS", "client ADDRESS". */
static bool is_stranger(const struct keeper *k, const char *origin)
{
	static const char client[] = "client ";
	struct ipaddr ip;
	if (strncmp(origin, client, strlen(client)) != 0 ||
	    !ipaddr_from_text(slice_str(origin + strlen(client)), &ip))
		return false;
	for (size_t i = 0; i < k->nnetwork; i++) {
		if (network_has(&k->network[i], &ip))
			return false;
	}
	return true;
}

/* False: a limit keeps it back, and a line says so. */
static bool may_tell(struct keeper *k, const struct store_delivery *d, enum dsn_action action,
		     bool stranger)
{
	struct notice_about a = {.action = action,
				 .stranger = stranger,
				 .origin = origin_of_sender(d->envelope.sender),
				 .to = d->envelope.reverse_path};
	if (notice_limit_take(k->notices, &a, loop_elapsed_ms()))
		return true;
	k->metrics.notices_dropped++;
	log_event(k->process.log, action == DSN_FAILED ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
		  "notification-dropped", "id", d->envelope.queue_id, "to", a.to, "about",
		  dsn_action_name(action), "origin", d->envelope.origin, "why",
		  stranger ? "too many notices about mail of this client, or to this address"
			   : "too many notices about mail of this origin",
		  NULL);
	return false;
}

bool keeper_notices_open(struct keeper *k)
{
	const struct conf *c = k->process.birth.conf;
	const char *const *list = c->relay_networks[0] != NULL ? c->relay_networks : NETWORKS_OWN;
	struct notice_limit_config limits = {
	    .delay_to_strangers = c->queue_delay_notices_to_strangers,
	    .rate = (uint32_t)c->queue_notices_per_hour,
	    .rate_strangers = (uint32_t)c->queue_notices_per_hour_strangers,
	    .success_strangers = (uint32_t)c->queue_success_per_hour_strangers};
	size_t n = 0;
	while (list[n] != NULL)
		n++;
	k->notices = notice_limit_new(&limits);
	k->network = calloc(n, sizeof(*k->network));
	for (size_t i = 0; k->network != NULL && i < n; i++)
		k->nnetwork += network_from_text(list[i], &k->network[k->nnetwork]);
	return k->notices != NULL && k->network != NULL;
}

void keeper_notices_close(struct keeper *k)
{
	notice_limit_free(&k->notices);
	free(k->network);
	k->network = NULL;
}

/* Nobody can be told, and an operator should know: the one line that is left of it. */
static void log_untold(struct keeper *k, const struct store_delivery *d, enum told told)
{
	bool never = told == TOLD_NEVER;
	log_event(k->process.log, LOG_LEVEL_ERROR,
		  never ? "notification-impossible" : "notification-postponed", "id",
		  d->envelope.queue_id, "next-hop", d->next_hop, "from", d->envelope.reverse_path,
		  "why",
		  never ? "no notification can be written to this sender: the delivery ends "
			  "without one"
			: "no memory or no room on the disk",
		  NULL);
}

enum told keeper_notify(struct keeper *k, const struct store_delivery *d, const struct result *r,
			bool expired)
{
	struct arena mem;
	char when[DATE_MAX];
	enum dsn_action strongest = DSN_NONE;
	bool stranger = is_stranger(k, d->envelope.origin);
	enum told told = TOLD;
	arena_init(&mem, NOTIFY_MEM_MAX);
	date_text(r != NULL || d->last_attempt == 0 ? keeper_now() : d->last_attempt, when);
	struct dsn_rcpt *rcpt = arena_array(&mem, d->nrcpt, sizeof(*rcpt));
	for (size_t i = 0; rcpt != NULL && i < d->nrcpt; i++) {
		if (d->rcpt[i].state != STORE_PENDING)
			continue; /* told before */
		fill_rcpt(&mem, d, &d->rcpt[i], r, expired, when, &rcpt[i]);
		if (rcpt[i].action == DSN_DELAYED &&
		    !notice_limit_tells_delay(k->notices, stranger))
			rcpt[i].action = DSN_NONE;
		if (rcpt[i].action > strongest)
			strongest = rcpt[i].action;
	}
	if (strongest != DSN_NONE && may_tell(k, d, strongest, stranger))
		told = notify(k, d, rcpt, &mem);
	if (rcpt == NULL)
		told = TOLD_LATER;
	if (told != TOLD)
		log_untold(k, d, told);
	arena_free(&mem);
	return told;
}
