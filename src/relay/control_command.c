/* SPDX-License-Identifier: MIT */
/* The operator's commands on the store, and their answers as JSON Lines. Knows no socket. */
#include "relay/control_int.h"

#include "json/json.h"

#include <string.h>

enum { FIELDS_MAX = 16, COMMAND_MEM_MAX = 64 * 1024 * 1024, PAGE = 200, LIMIT_DEFAULT = 1000 };

struct line {
	const char *field[FIELDS_MAX];
	size_t n;
};

struct query {
	struct store_filter filter;
	uint64_t limit;
	bool any; /* some key was given */
};

static void finish(FILE *out, const char *error, int64_t count)
{
	struct json *j = json_object();
	json_set_bool(j, "ok", error == NULL);
	if (error != NULL)
		json_set_str(j, "error", error);
	else
		json_set_int(j, "count", count);
	json_write_line(j, out);
	json_free(&j);
}

/* --- Filters --- */

static bool set_state(const char *value, struct store_filter *f)
{
	for (int s = STORE_WAITING; s <= STORE_DONE; s++) {
		if (strcmp(store_delivery_state_name((enum store_delivery_state)s), value) == 0) {
			f->by_state = true;
			f->state = (enum store_delivery_state)s;
			return true;
		}
	}
	return false;
}

static bool set_key(struct arena *mem, const char *field, struct query *q)
{
	struct slice value;
	struct slice key = slice_cut(slice_str(field), '=', &value);
	const char *text = arena_str(mem, value);
	uint64_t seconds;
	q->any = q->any || !slice_eq_str(key, "limit");
	if (text == NULL)
		return false;
	if (slice_eq_str(key, "next-hop"))
		q->filter.next_hop = text;
	else if (slice_eq_str(key, "sender"))
		q->filter.sender = text;
	else if (slice_eq_str(key, "recipient"))
		q->filter.recipient = text;
	else if (slice_eq_str(key, "id"))
		q->filter.queue_id = text;
	else if (slice_eq_str(key, "state"))
		return set_state(text, &q->filter);
	else if (slice_eq_str(key, "older-than") && slice_to_u64(value, UINT32_MAX, &seconds))
		q->filter.arrived_before = keeper_now() - (int64_t)seconds * 1000;
	else if (slice_eq_str(key, "limit"))
		return slice_to_u64(value, 1000000, &q->limit);
	else
		return false;
	return true;
}

static bool parse_query(struct arena *mem, const struct line *l, struct query *q)
{
	*q = (struct query){.limit = LIMIT_DEFAULT};
	for (size_t i = 1; i < l->n; i++) {
		if (!set_key(mem, l->field[i], q))
			return false;
	}
	return true;
}

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
		bool known = tries[i].reason != NULL && reason_from_name(tries[i].reason, &r) &&
			     r != REASON_OK;
		json_set_str(t, "sentence", known ? reason_sentence(r) : NULL);
		json_set_str(t, "cure", known && reason_cure(r)[0] != '\0' ? reason_cure(r) : NULL);
	}
}

/* --- Walks --- */

/* What is done with each delivery that matches. False ends the walk. */
typedef bool visit(struct keeper *k, const struct store_delivery *d, struct arena *mem, FILE *out,
		   void *arg);

static const char *walk(struct keeper *k, const struct query *q, visit *v, void *arg, FILE *out,
			int64_t *count)
{
	int64_t after = 0;
	*count = 0;
	do {
		struct arena mem;
		size_t n = 0, want = q->limit - (uint64_t)*count < PAGE
					 ? (size_t)(q->limit - (uint64_t)*count)
					 : PAGE;
		arena_init(&mem, COMMAND_MEM_MAX);
		struct store_delivery *page = arena_array(&mem, PAGE, sizeof(*page));
		enum store_status s = page != NULL ? store_list(k->store, &q->filter, after, want,
								&mem, page, &n, &after)
						   : STORE_NO_MEMORY;
		for (size_t i = 0; s == STORE_OK && i < n; i++) {
			if (!v(k, &page[i], &mem, out, arg)) {
				arena_free(&mem);
				return store_error(k->store);
			}
			(*count)++;
		}
		arena_free(&mem);
		if (s != STORE_OK)
			return store_status_name(s);
	} while (after != 0 && (uint64_t)*count < q->limit);
	return NULL;
}

static bool print_one(struct keeper *k, const struct store_delivery *d, struct arena *mem,
		      FILE *out, void *arg)
{
	bool *whole = arg;
	struct store_delivery full = *d;
	if (*whole)
		store_show(k->store, d->id, mem, &full);
	struct json *j = delivery_json(&full);
	if (*whole) {
		recipients_into(j, &full);
		tries_into(k, j, d->id, mem);
	}
	bool ok = json_write_line(j, out);
	json_free(&j);
	return ok;
}

struct change {
	enum store_op op;
	int64_t done, busy; /* busy: a courier has it, nothing was done */
};

static bool change_one(struct keeper *k, const struct store_delivery *d, struct arena *mem,
		       FILE *out, void *arg)
{
	struct change *change = arg;
	enum store_op op = change->op;
	(void)mem;
	(void)out;
	if (!keeper_group(k))
		return false;
	enum store_status s = store_change(k->store, op, d->id, keeper_now());
	if (s == STORE_OK && op != STORE_OP_RETRY && op != STORE_OP_RELEASE)
		sched_forget(k->sched, d->id);
	if (s == STORE_OK && op == STORE_OP_RETRY)
		sched_retry_now(k->sched, d->destination);
	change->done += s == STORE_OK;
	change->busy += s == STORE_BUSY;
	return s == STORE_OK || s == STORE_BUSY || s == STORE_STATE;
}

/* --- Commands --- */

static void command_list(struct keeper *k, const struct line *l, struct arena *mem, FILE *out)
{
	struct query q;
	bool whole = false;
	int64_t count = 0;
	if (!parse_query(mem, l, &q))
		finish(
		    out,
		    "unknown filter; use next-hop, sender, recipient, id, state, older-than, limit",
		    0);
	else {
		const char *error = walk(k, &q, print_one, &whole, out, &count);
		finish(out, error, count);
	}
}

static void command_show(struct keeper *k, const struct line *l, FILE *out)
{
	struct query q = {.filter = {.queue_id = l->n > 1 ? l->field[1] : ""},
			  .limit = LIMIT_DEFAULT};
	bool whole = true;
	int64_t count = 0;
	const char *error = walk(k, &q, print_one, &whole, out, &count);
	finish(out, error == NULL && count == 0 ? "no such message in the queue" : error, count);
}

static void command_change(struct keeper *k, const struct line *l, enum store_op op,
			   struct arena *mem, FILE *out)
{
	struct query q;
	int64_t count = 0; /* that match */
	struct change change = {.op = op};
	if (!parse_query(mem, l, &q) || !q.any) {
		finish(out,
		       "say which: next-hop=, sender=, recipient=, id=, state= or older-than=", 0);
		return;
	}
	q.limit = UINT32_MAX;
	const char *error = walk(k, &q, change_one, &change, out, &count);
	if (error == NULL)
		sched_destinations_due(k->sched);
	if (error == NULL && change.busy > 0)
		error = "what is being delivered just now stays; try again later";
	finish(out, error, change.done);
}

static void stats_destinations(struct keeper *k, FILE *out)
{
	for (int64_t after = 0;;) {
		struct store_destination page[PAGE];
		struct arena mem;
		size_t n = 0;
		arena_init(&mem, COMMAND_MEM_MAX);
		if (store_stats_destinations(k->store, after, PAGE, &mem, page, &n, &after) !=
		    STORE_OK)
			after = 0;
		for (size_t i = 0; i < n; i++) {
			struct json *j = json_object();
			json_set_str(j, "destination", page[i].name);
			json_set_int(j, "waiting", (int64_t)page[i].waiting);
			json_set_int(j, "held", (int64_t)page[i].held);
			json_set_int(j, "active", (int64_t)page[i].active);
			json_set_int(j, "failures", page[i].failures);
			json_set_int(j, "backoff_until", page[i].backoff_until / 1000);
			json_set_str(j, "reason", page[i].reason);
			json_set_int(j, "oldest", page[i].oldest / 1000);
			json_write_line(j, out);
			json_free(&j);
		}
		arena_free(&mem);
		if (after == 0)
			return;
	}
}

static void stats_reasons(struct keeper *k, struct arena *mem, FILE *out)
{
	struct store_reason_count reasons[64];
	size_t n = 0;
	if (store_stats_reasons(k->store, 64, mem, reasons, &n) != STORE_OK)
		return;
	for (size_t i = 0; i < n; i++) {
		struct json *j = json_object();
		json_set_str(j, "reason", reasons[i].reason);
		json_set_int(j, "deliveries", (int64_t)reasons[i].deliveries);
		json_set_int(j, "oldest", reasons[i].oldest / 1000);
		json_write_line(j, out);
		json_free(&j);
	}
}

static void command_stats(struct keeper *k, struct arena *mem, FILE *out)
{
	struct store_totals t;
	if (store_totals(k->store, &t) != STORE_OK) {
		finish(out, store_error(k->store), 0);
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
	json_write_line(j, out);
	json_free(&j);
	stats_destinations(k, out);
	stats_reasons(k, mem, out);
	finish(out, NULL, (int64_t)t.messages);
}

static void command_policy(struct keeper *k, const struct line *l, FILE *out)
{
	uint64_t seconds = 0;
	bool clear = l->n == 3 && strcmp(l->field[2], "clear") == 0;
	bool set = l->n == 4 && slice_to_u64(slice_str(l->field[3]), 31536000, &seconds) &&
		   seconds > 0 &&
		   (strcmp(l->field[2], "may") == 0 || strcmp(l->field[2], "dane") == 0 ||
		    strcmp(l->field[2], "dane-only") == 0);
	if (!clear && !set) {
		finish(out, "policy PATTERN may|dane|dane-only SECONDS, or policy PATTERN clear",
		       0);
		return;
	}
	struct store_override o = {l->field[1], l->field[2], keeper_now(),
				   keeper_now() + (int64_t)seconds * 1000};
	bool open = keeper_group(k);
	enum store_status s = !open   ? STORE_BUSY
			      : clear ? store_override_clear(k->store, l->field[1])
				      : store_override_set(k->store, &o);
	log_event(k->process.log, LOG_LEVEL_WARN, "policy-override", "pattern", l->field[1],
		  "level", l->field[2], "for", set ? l->field[3] : NULL, "status",
		  store_status_name(s), NULL);
	finish(out, s == STORE_OK ? NULL : store_status_name(s), 1);
}

static void command_policies(struct keeper *k, struct arena *mem, FILE *out)
{
	struct store_override page[PAGE];
	size_t n = 0;
	if (store_overrides(k->store, NULL, PAGE, mem, page, &n) != STORE_OK)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		struct json *j = json_object();
		json_set_str(j, "pattern", page[i].pattern);
		json_set_str(j, "policy", page[i].policy);
		json_set_int(j, "expires", page[i].expires / 1000);
		json_write_line(j, out);
		json_free(&j);
	}
	finish(out, NULL, (int64_t)n);
}

static bool split(struct slice text, struct arena *mem, struct line *l)
{
	while (text.n > 0) {
		struct slice field = slice_cut(text, '\t', &text);
		if (l->n == FIELDS_MAX)
			return false;
		l->field[l->n] = arena_str(mem, field);
		if (l->field[l->n++] == NULL)
			return false;
	}
	return l->n > 0;
}

void control_command(struct keeper *k, struct slice text, FILE *out)
{
	static const struct {
		const char *word;
		enum store_op op;
	} changes[] = {{"retry", STORE_OP_RETRY},
		       {"hold", STORE_OP_HOLD},
		       {"release", STORE_OP_RELEASE},
		       {"delete", STORE_OP_REMOVE},
		       {"bounce", STORE_OP_EXPIRE}};
	struct arena mem;
	struct line l = {0};
	arena_init(&mem, COMMAND_MEM_MAX);
	const char *word = split(text, &mem, &l) ? l.field[0] : "";
	bool done = false;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]) && !done; i++) {
		done = strcmp(word, changes[i].word) == 0;
		if (done)
			command_change(k, &l, changes[i].op, &mem, out);
	}
	if (done)
		;
	else if (strcmp(word, "list") == 0)
		command_list(k, &l, &mem, out);
	else if (strcmp(word, "show") == 0)
		command_show(k, &l, out);
	else if (strcmp(word, "stats") == 0)
		command_stats(k, &mem, out);
	else if (strcmp(word, "policy") == 0)
		command_policy(k, &l, out);
	else if (strcmp(word, "policies") == 0)
		command_policies(k, &mem, out);
	else
		finish(out, "unknown command", 0);
	arena_free(&mem);
}
