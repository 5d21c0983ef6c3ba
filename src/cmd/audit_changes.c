/* SPDX-License-Identifier: MIT */
/* danelaw audit changes: which hosts changed their keys, what nothing authorised first. For people
 * and for monitoring: the exit code says whether there was any of those. */
#include "cmd/audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { CHANGES_MAX = 100000, DAY_MS = 24 * 3600 * 1000, SLACK_MS = 3600 * 1000, UNAUTHORISED = 1 };

/* The same change may be seen at every attempt, as long as the host is refused. */
struct change {
	char host[AUDIT_TEXT_MAX + 1], key_type[AUDIT_KEY_TYPE_MAX], policy[16];
	uint16_t port;
	enum continuity continuity;
	enum audit_authority authority;
	uint8_t before[AUDIT_DIGEST], now[AUDIT_DIGEST];
	uint64_t record, count, accepted; /* record: the first */
	int64_t first, last;
};

struct report {
	struct change *change;
	size_t n, room;
	uint64_t unknown; /* attempts that could not be judged */
	bool full;
};

static void copy(char *out, size_t room, struct slice s)
{
	snprintf(out, room, "%.*s", (int)s.n, s.n > 0 ? (const char *)s.p : "");
}

static struct change make(const struct audit_entry *e)
{
	const struct audit_attempt *a = &e->record.attempt;
	struct change c = {.port = a->port,
			   .continuity = a->continuity,
			   .authority = a->authority,
			   .record = e->link.n,
			   .first = e->link.time};
	copy(c.host, sizeof(c.host), a->host);
	copy(c.policy, sizeof(c.policy), a->policy);
	audit_key_type(a->key, c.key_type);
	memcpy(c.before, a->previous, AUDIT_DIGEST);
	memcpy(c.now, a->chain.cert[0].spki_sha256, AUDIT_DIGEST);
	return c;
}

static bool is_same(const struct change *a, const struct change *b)
{
	return a->continuity == b->continuity && a->port == b->port &&
	       strcmp(a->host, b->host) == 0 && strcmp(a->key_type, b->key_type) == 0 &&
	       memcmp(a->now, b->now, AUDIT_DIGEST) == 0 &&
	       memcmp(a->before, b->before, AUDIT_DIGEST) == 0;
}

static struct change *place(struct report *r, const struct change *c)
{
	for (size_t i = r->n; i > 0; i--) {
		if (is_same(&r->change[i - 1], c))
			return &r->change[i - 1];
	}
	if (r->n == r->room) {
		size_t room = r->room > 0 ? 2 * r->room : 64;
		struct change *more =
		    room <= CHANGES_MAX ? realloc(r->change, room * sizeof(*more)) : NULL;
		if (more == NULL)
			return NULL;
		r->change = more;
		r->room = room;
	}
	r->change[r->n] = *c;
	return &r->change[r->n++];
}

static bool visit(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct report *r = arg;
	if (!audit_matches(q, e) || e->error != AUDIT_OK || e->record.type != AUDIT_ATTEMPT)
		return true;
	const struct audit_attempt *a = &e->record.attempt;
	r->unknown += a->continuity == CONTINUITY_UNKNOWN;
	if (a->continuity != CONTINUITY_AUTHORISED_CHANGE &&
	    a->continuity != CONTINUITY_UNAUTHORISED_CHANGE)
		return true;
	struct change c = make(e);
	struct change *at = place(r, &c);
	r->full = at == NULL;
	if (r->full)
		return false;
	at->last = e->link.time;
	at->count++;
	at->accepted += a->accepted;
	return true;
}

/* --- Where to begin --------------------------------------------------------------------------- */

static bool find_start(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	uint64_t *from = arg;
	*from = e->link.n;
	return e->link.time >= q->since - SLACK_MS;
}

/* --- Printing --------------------------------------------------------------------------------- */

static void print_json(const struct change *c)
{
	char hex[AUDIT_HEX_MAX], when[AUDIT_TIME_MAX];
	struct json *j = json_object();
	json_set_str(j, "change", continuity_name(c->continuity));
	json_set_str(j, "host", c->host);
	json_set_int(j, "port", c->port);
	json_set_str(j, "key_type", c->key_type);
	json_set_str(j, "policy", c->policy);
	json_set_str(j, "authority", audit_authority_name(c->authority));
	json_set_str(j, "before", audit_hex(c->before, hex));
	json_set_str(j, "now", audit_hex(c->now, hex));
	json_set_int(j, "record", (int64_t)c->record);
	json_set_int(j, "attempts", (int64_t)c->count);
	json_set_int(j, "accepted", (int64_t)c->accepted);
	audit_time_text(c->first, when);
	json_set_str(j, "first", when);
	audit_time_text(c->last, when);
	json_set_str(j, "last", when);
	json_write_line(j, stdout);
	json_free(&j);
}

static void print_text(const struct change *c, const struct style *s)
{
	char hex[AUDIT_HEX_MAX], when[AUDIT_TIME_MAX];
	enum tone tone = c->continuity == CONTINUITY_UNAUTHORISED_CHANGE ? TONE_BAD : TONE_GOOD;
	audit_time_text(c->first, when);
	say(stdout, "%s%s%s  %s  %s port %u  %s", tone_on(s, tone), continuity_name(c->continuity),
	    tone_off(s), when, c->host, c->port, c->key_type);
	say(stdout, "\n  before  %s\n", audit_hex(c->before, hex));
	say(stdout, "  now     %s\n", audit_hex(c->now, hex));
	if (c->authority != AUTHORITY_NONE)
		say(stdout, "  authorised by %s", audit_authority_name(c->authority));
	else if (c->accepted > 0)
		say(stdout, "  nothing authorised it; policy %s took it", c->policy);
	else
		say(stdout, "  nothing authorised it; policy %s refused it", c->policy);
	say(stdout, "; %" PRIu64 " attempts, the first is record %" PRIu64 "\n", c->count,
	    c->record);
}

/* How many of a kind. */
static uint64_t print_kind(struct audit_query *q, const struct report *r, enum continuity kind,
			   const struct style *s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (r->change[i].continuity != kind)
			continue;
		n++;
		if (q->json)
			print_json(&r->change[i]);
		else
			print_text(&r->change[i], s);
	}
	return n;
}

static int print(struct audit_query *q, const struct report *r)
{
	struct style s = style_of(stdout);
	uint64_t bad = print_kind(q, r, CONTINUITY_UNAUTHORISED_CHANGE, &s);
	uint64_t good = print_kind(q, r, CONTINUITY_AUTHORISED_CHANGE, &s);
	if (!q->json)
		say(stdout, "%" PRIu64 " unauthorised, %" PRIu64 " authorised\n", bad, good);
	if (!q->json && r->unknown > 0)
		say(stdout,
		    "%" PRIu64 " attempts could not be compared: the audit file could not be "
		    "read then\n",
		    r->unknown);
	return bad > 0 ? UNAUTHORISED : EX_OK;
}

int audit_changes(struct audit_query *q)
{
	struct report r = {0};
	uint64_t from = 0;
	if (q->since == 0)
		q->since = q->now - DAY_MS;
	int code = audit_walk(q, UINT64_MAX, true, find_start, &from);
	if (code == EX_OK && from > 0)
		code = audit_walk(q, from, false, visit, &r);
	if (code == EX_OK && r.full)
		code = cmd_fail(q->cmd, EX_OSERR, "too many changes; ask for less with --since");
	if (code == EX_OK)
		code = print(q, &r);
	free(r.change);
	return code;
}
