/* SPDX-License-Identifier: MIT */
/*
 * The operator's line, word by word:
 *
 *   line   = word *( HTAB field )
 *   field  = key "=" value / text        ; no HTAB, LF, NUL inside
 */
#include "relay/control_request.h"

#include "dane/policy.h"
#include "idn/idn.h"
#include "wire/destination.h"

#include <string.h>

enum { FIELDS_MAX = 16, LIMIT_DEFAULT = 1000, LIMIT_MAX = 1000000 };

struct line {
	const char *field[FIELDS_MAX];
	size_t n;
};

static const char *const WHICH =
    "say which: next-hop=, sender=, recipient=, id=, state= or older-than=";
static const char *const FILTERS =
    "unknown filter; use next-hop, sender, recipient, id, state, older-than, limit";
static const char *const POLICY_USAGE =
    "policy PATTERN may|dane|dane-only SECONDS, or policy PATTERN clear";

static bool split(struct slice text, struct arena *mem, struct line *l)
{
	if (slice_find(text, '\0') < text.n)
		return false;
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

static bool set_age(struct slice value, int64_t now, struct store_filter *f)
{
	uint64_t seconds;
	if (!slice_to_u64(value, UINT32_MAX, &seconds))
		return false;
	f->arrived_before = now - (int64_t)seconds * 1000;
	return true;
}

/* What is no destination is looked for as it is: nothing, or a row of an older version. */
static bool set_next_hop(const char *text, struct arena *mem, struct control_request *r)
{
	char normal[DESTINATION_ROOM];
	bool is_one = idn_destination(text, normal, NULL) == IDN_OK;
	r->filter.next_hop = is_one ? arena_strdup(mem, normal) : text;
	return r->filter.next_hop != NULL;
}

static bool set_key(const char *field, int64_t now, struct arena *mem, struct control_request *r)
{
	struct slice value;
	struct slice key = slice_cut(slice_str(field), '=', &value);
	const char *text = strchr(field, '=');
	if (text == NULL)
		return false;
	text++;
	if (slice_eq_str(key, "next-hop"))
		return set_next_hop(text, mem, r);
	else if (slice_eq_str(key, "sender"))
		r->filter.sender = text;
	else if (slice_eq_str(key, "recipient"))
		r->filter.recipient = text;
	else if (slice_eq_str(key, "id"))
		r->filter.queue_id = text;
	else if (slice_eq_str(key, "state"))
		return set_state(text, &r->filter);
	else if (slice_eq_str(key, "older-than"))
		return set_age(value, now, &r->filter);
	else if (slice_eq_str(key, "limit"))
		return slice_to_u64(value, LIMIT_MAX, &r->limit);
	else
		return false;
	return true;
}

static bool any_filter(const struct store_filter *f)
{
	return f->next_hop != NULL || f->sender != NULL || f->recipient != NULL ||
	       f->queue_id != NULL || f->by_state || f->arrived_before != 0;
}

static const char *parse_filters(const struct line *l, int64_t now, struct arena *mem,
				 struct control_request *r)
{
	for (size_t i = 1; i < l->n; i++) {
		if (!set_key(l->field[i], now, mem, r))
			return FILTERS;
	}
	return r->verb == CONTROL_CHANGE && !any_filter(&r->filter) ? WHICH : NULL;
}

/* --- Commands --- */

static const char *parse_show(const struct line *l, struct control_request *r)
{
	if (l->n != 2 || l->field[1][0] == '\0')
		return "show QUEUE-ID";
	r->filter.queue_id = l->field[1];
	return NULL;
}

/* What is in force under no normal form (written by an older version) can still be ended. */
static const char *set_pattern(const char *text, bool clear, struct arena *mem,
			       struct control_request *r)
{
	char normal[DESTINATION_ROOM];
	const char *why;
	enum idn_error e = idn_destination_pattern(text, normal, &why);
	r->typed = text;
	r->pattern = e == IDN_OK ? arena_strdup(mem, normal) : text;
	if (e == IDN_NO_MEMORY || r->pattern == NULL)
		return "out of memory";
	if (e == IDN_OK || clear)
		return NULL;
	const char *words = arena_printf(mem, "no destination: %s", why);
	return words != NULL ? words : why;
}

static const char *parse_policy(const struct line *l, struct arena *mem, struct control_request *r)
{
	enum dane_level level;
	if (l->n < 3 || l->field[1][0] == '\0' || strlen(l->field[1]) > STORE_NAME_MAX)
		return POLICY_USAGE;
	if (l->n == 3 && strcmp(l->field[2], "clear") == 0)
		return set_pattern(l->field[1], true, mem, r);
	r->level = l->field[2];
	bool good = l->n == 4 && dane_level_from_name(r->level, &level) &&
		    slice_to_u64(slice_str(l->field[3]), CONTROL_SECONDS_MAX, &r->seconds) &&
		    r->seconds > 0;
	return good ? set_pattern(l->field[1], false, mem, r) : POLICY_USAGE;
}

static const struct {
	const char *word;
	enum store_op op;
} changes[] = {{"retry", STORE_OP_RETRY},
	       {"hold", STORE_OP_HOLD},
	       {"release", STORE_OP_RELEASE},
	       {"delete", STORE_OP_REMOVE},
	       {"bounce", STORE_OP_EXPIRE}};

const char *control_change_name(enum store_op op)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (changes[i].op == op)
			return changes[i].word;
	}
	return "?";
}

static bool find_change(const char *word, enum store_op *op)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (strcmp(word, changes[i].word) == 0) {
			*op = changes[i].op;
			return true;
		}
	}
	return false;
}

static bool find_verb(const char *word, enum control_verb *verb)
{
	static const struct {
		const char *word;
		enum control_verb verb;
	} verbs[] = {{"list", CONTROL_LIST},         {"show", CONTROL_SHOW},
		     {"stats", CONTROL_STATS},       {"policy", CONTROL_POLICY},
		     {"policies", CONTROL_POLICIES}, {"audit", CONTROL_AUDIT},
		     {"check", CONTROL_CHECK}};
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(word, verbs[i].word) == 0) {
			*verb = verbs[i].verb;
			return true;
		}
	}
	return false;
}

const char *control_parse(struct slice text, int64_t now, struct arena *mem,
			  struct control_request *out)
{
	struct line l = {0};
	*out = (struct control_request){.limit = UINT64_MAX};
	if (!split(text, mem, &l))
		return "not a command";
	if (find_change(l.field[0], &out->op))
		out->verb = CONTROL_CHANGE;
	else if (!find_verb(l.field[0], &out->verb))
		return "unknown command";
	switch (out->verb) {
	case CONTROL_LIST:
		out->limit = LIMIT_DEFAULT;
		return parse_filters(&l, now, mem, out);
	case CONTROL_CHANGE:
		return parse_filters(&l, now, mem, out);
	case CONTROL_SHOW:
		return parse_show(&l, out);
	case CONTROL_POLICY:
		return parse_policy(&l, mem, out);
	case CONTROL_STATS:
	case CONTROL_POLICIES:
	case CONTROL_AUDIT:
	case CONTROL_CHECK:
		return l.n == 1 ? NULL : "this command takes no arguments";
	}
	return "unknown command";
}
