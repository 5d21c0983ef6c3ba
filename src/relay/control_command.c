/* SPDX-License-Identifier: MIT */
/*
 * The operator's commands on the store, and their answers as JSON Lines, one page a turn: however
 * much there is, the keeper goes on with the mail in between, and no more than a page is in memory.
 * Knows no socket.
 */
#include "relay/control_int.h"

#include "json/json.h"
#include "relay/control_request.h"
#include "wire/destination.h"

#include <stdlib.h>
#include <string.h>

enum {
	LINE_MEM_MAX = 64 * 1024,
	PAGE_MEM_MAX = 64 * 1024 * 1024, /* one delivery with all its recipients and replies */
	PAGE = 200,
	REASONS_MAX = 64, /* more than the outcome table has */
};

enum part { PART_TOTALS, PART_DESTINATIONS, PART_REASONS };

struct command {
	struct keeper *keeper;
	struct arena mem; /* of the request */
	struct control_request request;
	char error[256];                  /* "": none */
	int64_t after;                    /* where the next page begins: an id */
	char pattern[STORE_NAME_MAX + 1]; /* policies: behind this one */
	enum part part;                   /* stats */
	uint64_t count;                   /* lines or deliveries so far */
	struct policy_reach reach;        /* POLICY */
	uint64_t done, busy;              /* CHANGE: changed; at a courier, left alone */
	uid_t uid;                        /* the operator's */
	bool over;                        /* nothing is left but the last line */
};

/* --- Rows as JSON --- */

static struct json *delivery_json(const struct store_delivery *d)
{
	struct json *j = json_object();
	json_set_str(j, "id", d->envelope.queue_id);
	json_set_int(j, "delivery", d->id);
	json_set_str(j, "state", store_delivery_state_name(d->state));
	json_set_str(j, "next_hop", d->next_hop);
	json_set_str(j, "sender", d->envelope.reverse_path);
	json_set_str(j, "origin", d->envelope.origin);
	json_set_int(j, "size", (int64_t)d->envelope.size);
	json_set_int(j, "arrived", d->envelope.arrived / 1000);
	json_set_int(j, "due", d->due / 1000);
	json_set_int(j, "expires", d->expires / 1000);
	json_set_int(j, "attempts", d->attempts);
	json_set_int(j, "pending", d->pending);
	json_set_bool(j, "possibly_delivered", d->in_doubt);
	json_set_str(j, "reason", d->reason);
	json_set_str(j, "code", d->code);
	json_set_str(j, "detail", d->detail);
	json_set_str(j, "host", d->host);
	return j;
}

static void recipients_into(struct json *j, const struct store_delivery *d)
{
	struct json *list = json_set(j, "recipients", json_array());
	for (size_t i = 0; i < d->nrcpt; i++) {
		struct json *r = json_append(list, json_object());
		json_set_str(r, "address", d->rcpt[i].address);
		json_set_str(r, "state", store_rcpt_state_name(d->rcpt[i].state));
		json_set_str(r, "reason", d->rcpt[i].reason);
		json_set_str(r, "code", d->rcpt[i].code);
		json_set_str(r, "reply", d->rcpt[i].reply);
		json_set_str(r, "host", d->rcpt[i].host);
	}
}

static void tries_into(struct keeper *k, struct json *j, int64_t delivery, struct arena *mem)
{
	struct store_try tries[STORE_TRIES_MAX];
	size_t n = 0;
	struct json *list = json_set(j, "tries", json_array());
	if (store_tries(k->store, delivery, mem, tries, &n) != STORE_OK)
		return;
	for (size_t i = 0; i < n; i++) {
		enum reason r;
		struct json *t = json_append(list, json_object());
		json_set_int(t, "at", tries[i].at / 1000);
		json_set_str(t, "host", tries[i].host);
		json_set_str(t, "address", tries[i].address);
		json_set_str(t, "policy", tries[i].policy);
		json_set_str(t, "reason", tries[i].reason);
		json_set_str(t, "code", tries[i].code);
		json_set_str(t, "detail", tries[i].detail);
		json_set_str(t, "tls", tries[i].tls);
		json_set_str(t, "continuity", tries[i].continuity);
		bool known = tries[i].reason != NULL && reason_from_name(tries[i].reason, &r) &&
			     r != REASON_OK;
		json_set_str(t, "sentence", known ? reason_sentence(r) : NULL);
		json_set_str(t, "cure", known && reason_cure(r)[0] != '\0' ? reason_cure(r) : NULL);
	}
}

/* --- Ends --- */

static void fail(struct command *c, const char *words)
{
	if (c->error[0] == '\0')
		snprintf(c->error, sizeof(c->error), "%s", words[0] != '\0' ? words : "failed");
	c->over = true;
}

static bool write_row(struct command *c, struct json **j, FILE *out)
{
	bool ok = json_write_line(*j, out);
	json_free(j);
	if (!ok)
		fail(c, "out of memory");
	return ok;
}

static enum command_state finish(struct command *c, uint64_t count, FILE *out)
{
	struct json *j = json_object();
	json_set_bool(j, "ok", c->error[0] == '\0');
	if (c->error[0] != '\0')
		json_set_str(j, "error", c->error);
	else
		json_set_int(j, "count", (int64_t)count);
	json_write_line(j, out);
	json_free(&j);
	return COMMAND_DONE;
}

/* --- Pages of deliveries --- */

/* What is done with each delivery that matches. False: it failed, the command is over. */
typedef bool visit(struct command *c, const struct store_delivery *d, struct arena *mem, FILE *out);

static void visit_page(struct command *c, size_t max, visit *v, FILE *out)
{
	struct arena mem;
	size_t n = 0;
	uint64_t left = c->request.limit - c->count;
	arena_init(&mem, PAGE_MEM_MAX);
	struct store_delivery *page = arena_array(&mem, max, sizeof(*page));
	enum store_status s =
	    page != NULL ? store_list(c->keeper->store, &c->request.filter, c->after,
				      left < max ? (size_t)left : max, &mem, page, &n, &c->after)
			 : STORE_NO_MEMORY;
	if (s != STORE_OK)
		fail(c, store_status_name(s));
	for (size_t i = 0; i < n && !c->over; i++) {
		if (v(c, &page[i], &mem, out))
			c->count++;
	}
	c->over = c->over || c->after == 0 || c->count >= c->request.limit;
	arena_free(&mem);
}

static bool print_one(struct command *c, const struct store_delivery *d, struct arena *mem,
		      FILE *out)
{
	(void)mem;
	struct json *j = delivery_json(d);
	return write_row(c, &j, out);
}

static bool print_whole(struct command *c, const struct store_delivery *d, struct arena *mem,
			FILE *out)
{
	struct store_delivery full;
	enum store_status s = store_show(c->keeper->store, d->id, mem, &full);
	if (s != STORE_OK) {
		fail(c, store_status_name(s));
		return false;
	}
	struct json *j = delivery_json(&full);
	recipients_into(j, &full);
	tries_into(c->keeper, j, d->id, mem);
	return write_row(c, &j, out);
}

static enum command_state list_turn(struct command *c, FILE *out)
{
	visit_page(c, PAGE, print_one, out);
	return c->over ? finish(c, c->count, out) : COMMAND_MORE;
}

/* One delivery at a time: it may have thousands of recipients. */
static enum command_state show_turn(struct command *c, FILE *out)
{
	visit_page(c, 1, print_whole, out);
	if (!c->over)
		return COMMAND_MORE;
	if (c->count == 0)
		fail(c, "no such message in the queue");
	return finish(c, c->count, out);
}

/* --- Changes --- */

static bool change_one(struct command *c, const struct store_delivery *d, struct arena *mem,
		       FILE *out)
{
	struct keeper *k = c->keeper;
	enum store_op op = c->request.op;
	(void)mem;
	(void)out;
	enum store_status s =
	    keeper_group(k) ? store_change(k->store, op, d->id, keeper_now()) : STORE_BUSY;
	if (s == STORE_OK && op != STORE_OP_RETRY && op != STORE_OP_RELEASE)
		sched_forget(k->sched, d->id);
	if (s == STORE_OK && op == STORE_OP_RETRY)
		sched_retry_now(k->sched, d->destination);
	c->done += s == STORE_OK;
	c->busy += s == STORE_BUSY;
	if (s == STORE_OK || s == STORE_BUSY || s == STORE_STATE)
		return true;
	fail(c, store_error(k->store));
	return false;
}

/* Who did it; what was done is in the line of each message's end, and in danelaw queue why. */
static void log_change(const struct command *c)
{
	char uid[LOG_INT_TEXT], done[LOG_INT_TEXT];
	log_event(c->keeper->process.log, LOG_LEVEL_WARN, "operator", "uid",
		  log_int(uid, (int64_t)c->uid), "change", control_change_name(c->request.op),
		  "deliveries", log_int(done, (int64_t)c->done), NULL);
}

/* One page, one commit; the last line says "ok" only when all of them are on the disk. */
static enum command_state change_turn(struct command *c, FILE *out)
{
	uint64_t before = c->done;
	if (!c->over)
		visit_page(c, PAGE, change_one, out);
	if (c->done != before) {
		sched_destinations_due(c->keeper->sched);
		return COMMAND_UNCOMMITTED;
	}
	if (!c->over)
		return COMMAND_MORE;
	log_change(c);
	if (c->busy > 0)
		fail(c, "what is being delivered just now stays; try again later");
	return finish(c, c->done, out);
}

/* In the group of the override. */
static enum store_status record_override(struct keeper *k, const struct store_override *o)
{
	char pattern[AUDIT_TEXT_MAX + 1];
	bool set = o->policy != NULL;
	struct audit_record r = {.type = AUDIT_OVERRIDE,
				 .override = {.set = set,
					      .pattern = audit_text(o->pattern, pattern),
					      .policy = slice_str(o->policy),
					      .expires = set ? o->expires : 0}};
	return keeper_audit_add(k, &r) ? STORE_OK : STORE_IO;
}

/* False: the command is over. */
static bool change_policy(struct command *c)
{
	struct keeper *k = c->keeper;
	const struct control_request *r = &c->request;
	struct store_override o = {.pattern = r->pattern};
	char seconds[LOG_INT_TEXT], uid[LOG_INT_TEXT];
	enum store_status s =
	    !keeper_group(k) ? STORE_BUSY
	    : r->level == NULL
		? store_override_clear(k->store, r->pattern)
		: keeper_override_set(k, r->pattern, r->level, (int64_t)r->seconds * 1000, &o);
	if (s == STORE_NOT_FOUND) /* of a version that knew no normal form */
		s = store_override_clear(k->store, r->typed);
	if (s == STORE_OK)
		s = record_override(k, &o);
	log_event(k->process.log, LOG_LEVEL_WARN, "policy-override", "pattern", r->pattern, "level",
		  r->level != NULL ? r->level : "clear", "for",
		  r->level != NULL ? log_int(seconds, (int64_t)r->seconds) : NULL, "uid",
		  log_int(uid, (int64_t)c->uid), "status", store_status_name(s), NULL);
	if (s == STORE_OK)
		loop_timer_set(k->policies, 0); /* it may be the first to end */
	else
		fail(c, s == STORE_NOT_FOUND ? "no such policy" : store_status_name(s));
	return s == STORE_OK;
}

/* First the exception, on the disk; then what it is about, page by page. */
static enum command_state policy_turn(struct command *c, FILE *out)
{
	if (!c->over) {
		c->over = true;
		return change_policy(c) ? COMMAND_UNCOMMITTED : finish(c, 0, out);
	}
	if (c->request.level == NULL)
		return finish(c, 1, out);
	enum store_status s = policy_reach_look(&c->reach, c->keeper, c->request.pattern);
	if (s == STORE_OK && !c->reach.over)
		return COMMAND_MORE;
	if (s != STORE_OK)
		fail(c, store_status_name(s));
	struct json *j = policy_reach_json(&c->reach);
	write_row(c, &j, out);
	return finish(c, 1, out);
}

/* The end of the chain as it is in the audit file now. */
static enum command_state audit_turn(struct command *c, FILE *out)
{
	struct audit_state a;
	char hash[2 * AUDIT_DIGEST + 1];
	keeper_audit_state(c->keeper, &a);
	struct json *j = json_object();
	hex_encode(slice_make(a.head.hash, AUDIT_DIGEST), hash);
	json_set_bool(j, "enabled", a.enabled);
	json_set_bool(j, "working", a.working);
	json_set_bool(j, "broken", a.broken);
	json_set_int(j, "waiting", (int64_t)a.waiting);
	json_set_int(j, "n", (int64_t)a.head.n);
	json_set_str(j, "hash", hash);
	write_row(c, &j, out);
	return finish(c, 1, out);
}

static bool is_carried(void *arg, int64_t delivery)
{
	return keeper_flight(arg, delivery) != NULL;
}

/* Has everything in the queue a next event (store.h)? One page a turn; nothing is changed. */
static enum command_state check_turn(struct command *c, FILE *out)
{
	struct keeper *k = c->keeper;
	struct store_lacking lack[PAGE];
	size_t n = 0;
	struct store_horizon h = {.carried = is_carried, .arg = k};
	keeper_horizon(k, &h.due, &h.end);
	enum store_status s = store_without_next(k->store, &h, c->after, PAGE, lack, &n, &c->after);
	if (s != STORE_OK)
		fail(c, store_status_name(s));
	for (size_t i = 0; i < n && !c->over; i++) {
		struct json *j = json_object();
		json_set_int(j, "lacking", lack[i].delivery);
		json_set_str(j, "why", store_lack_name(lack[i].lack));
		c->count += write_row(c, &j, out);
	}
	c->over = c->over || c->after == 0;
	if (c->over && c->count > 0)
		fail(c, "there are deliveries without a next event: a defect of this program, or "
			"of the "
			"file; retry or bounce them");
	return c->over ? finish(c, c->count, out) : COMMAND_MORE;
}

static enum command_state policies_turn(struct command *c, FILE *out)
{
	struct store_override page[PAGE];
	struct arena mem;
	size_t n = 0;
	arena_init(&mem, PAGE_MEM_MAX);
	enum store_status s = store_overrides(c->keeper->store, c->pattern, PAGE, &mem, page, &n);
	if (s != STORE_OK)
		fail(c, store_status_name(s));
	for (size_t i = 0; i < n && !c->over; i++) {
		struct json *j = json_object();
		json_set_str(j, "pattern", page[i].pattern);
		json_set_str(j, "policy", page[i].policy);
		json_set_int(j, "expires", page[i].expires / 1000);
		if (!destination_is_normal_pattern(slice_str(page[i].pattern)))
			json_set_bool(j, "never_matches", true);
		c->count += write_row(c, &j, out);
		snprintf(c->pattern, sizeof(c->pattern), "%s", page[i].pattern);
	}
	arena_free(&mem);
	c->over = c->over || n < PAGE;
	return c->over ? finish(c, c->count, out) : COMMAND_MORE;
}

/* --- Numbers --- */

static void print_totals(struct command *c, FILE *out)
{
	struct store_totals t;
	if (store_totals(c->keeper->store, &t) != STORE_OK) {
		fail(c, store_error(c->keeper->store));
		return;
	}
	struct json *j = json_object();
	json_set_int(j, "messages", (int64_t)t.messages);
	json_set_int(j, "bytes", (int64_t)t.bytes);
	json_set_int(j, "recipients", (int64_t)t.recipients);
	json_set_int(j, "waiting", (int64_t)t.waiting);
	json_set_int(j, "held", (int64_t)t.held);
	json_set_int(j, "active", (int64_t)t.active);
	json_set_int(j, "possibly_delivered", (int64_t)t.in_doubt);
	json_set_int(j, "oldest", t.oldest / 1000);
	write_row(c, &j, out);
	c->count = t.messages;
}

/* False: there are more. */
static bool print_destinations(struct command *c, FILE *out)
{
	struct store_destination page[PAGE];
	struct arena mem;
	size_t n = 0;
	arena_init(&mem, PAGE_MEM_MAX);
	enum store_status s =
	    store_stats_destinations(c->keeper->store, c->after, PAGE, &mem, page, &n, &c->after);
	if (s != STORE_OK)
		fail(c, store_status_name(s));
	for (size_t i = 0; i < n && !c->over; i++) {
		struct json *j = json_object();
		json_set_str(j, "destination", page[i].name);
		json_set_int(j, "waiting", (int64_t)page[i].waiting);
		json_set_int(j, "held", (int64_t)page[i].held);
		json_set_int(j, "active", (int64_t)page[i].active);
		json_set_int(j, "failures", page[i].failures);
		json_set_int(j, "backoff_until", page[i].backoff_until / 1000);
		json_set_str(j, "reason", page[i].reason);
		json_set_int(j, "oldest", page[i].oldest / 1000);
		write_row(c, &j, out);
	}
	arena_free(&mem);
	return c->after == 0;
}

static void print_reasons(struct command *c, FILE *out)
{
	struct store_reason_count reasons[REASONS_MAX];
	struct arena mem;
	size_t n = 0;
	arena_init(&mem, PAGE_MEM_MAX);
	enum store_status s = store_stats_reasons(c->keeper->store, REASONS_MAX, &mem, reasons, &n);
	if (s != STORE_OK)
		fail(c, store_status_name(s));
	for (size_t i = 0; i < n && !c->over; i++) {
		struct json *j = json_object();
		json_set_str(j, "reason", reasons[i].reason);
		json_set_int(j, "deliveries", (int64_t)reasons[i].deliveries);
		json_set_int(j, "oldest", reasons[i].oldest / 1000);
		write_row(c, &j, out);
	}
	arena_free(&mem);
}

static enum command_state stats_turn(struct command *c, FILE *out)
{
	switch (c->part) {
	case PART_TOTALS:
		print_totals(c, out);
		c->part = PART_DESTINATIONS;
		break;
	case PART_DESTINATIONS:
		if (print_destinations(c, out))
			c->part = PART_REASONS;
		break;
	case PART_REASONS:
		print_reasons(c, out);
		c->over = true;
		break;
	}
	return c->over ? finish(c, c->count, out) : COMMAND_MORE;
}

/* --- The command --- */

struct command *command_new(struct keeper *k, struct slice line, uid_t uid)
{
	struct command *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->keeper = k;
	c->uid = uid;
	arena_init(&c->mem, LINE_MEM_MAX);
	const char *wrong = control_parse(line, keeper_now(), &c->mem, &c->request);
	if (wrong != NULL)
		fail(c, wrong);
	return c;
}

void command_free(struct command **cp)
{
	struct command *c = *cp;
	if (c == NULL)
		return;
	arena_free(&c->mem);
	free(c);
	*cp = NULL;
}

enum command_state command_turn(struct command *c, FILE *out)
{
	if (c->error[0] != '\0')
		return finish(c, 0, out);
	switch (c->request.verb) {
	case CONTROL_LIST:
		return list_turn(c, out);
	case CONTROL_SHOW:
		return show_turn(c, out);
	case CONTROL_STATS:
		return stats_turn(c, out);
	case CONTROL_CHANGE:
		return change_turn(c, out);
	case CONTROL_POLICY:
		return policy_turn(c, out);
	case CONTROL_POLICIES:
		return policies_turn(c, out);
	case CONTROL_AUDIT:
		return audit_turn(c, out);
	case CONTROL_CHECK:
		return check_turn(c, out);
	}
	fail(c, "unknown command");
	return finish(c, 0, out);
}

void command_committed(struct command *c, enum store_status s)
{
	if (s != STORE_OK)
		fail(c, s == STORE_FULL ? "the disk is full: not changed"
					: "the store failed: not changed");
}
