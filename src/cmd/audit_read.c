/* SPDX-License-Identifier: MIT */
/* Walks over the records, and which of them somebody wants. Reads in pages, so that the relay can
 * write between two of them. */
#include "cmd/audit.h"

#include <string.h>
#include <sysexits.h>

enum { PAGE = 500, PAGE_MEM_MAX = PAGE * (AUDIT_BODY_MAX + 64), SLACK_MS = 3600 * 1000 };

int audit_fail(struct audit_query *q)
{
	return cmd_fail(q->cmd, EX_NOINPUT, "%s", store_audit_error(q->store));
}

/* *next: where the next page begins; 0: this was the last. */
static int walk_page(struct audit_query *q, uint64_t *next, bool back, audit_visit *visit,
		     void *arg)
{
	struct arena mem;
	struct audit_entry e;
	struct audit_link page[PAGE];
	size_t n = 0;
	arena_init(&mem, PAGE_MEM_MAX);
	enum store_status s = store_audit_read(q->store, *next, back, PAGE, &mem, page, &n);
	*next = 0;
	if (s == STORE_OK && n == PAGE)
		*next = back ? page[n - 1].n - 1 : page[n - 1].n + 1;
	for (size_t i = 0; s == STORE_OK && i < n; i++) {
		e.link = page[i];
		e.error = audit_decode(page[i].body, &e.record);
		if (!visit(q, &e, arg)) {
			*next = 0;
			break;
		}
	}
	arena_free(&mem);
	return s == STORE_OK ? EX_OK : audit_fail(q);
}

int audit_walk(struct audit_query *q, uint64_t from, bool back, audit_visit *visit, void *arg)
{
	int code = EX_OK;
	while (from != 0 && code == EX_OK)
		code = walk_page(q, &from, back, visit, arg);
	return code;
}

/* --- Filters --- */

static bool is(struct slice s, const char *want)
{
	return want == NULL || slice_eq_nocase_str(s, want);
}

static bool matches_attempt(const struct audit_query *q, const struct audit_attempt *a)
{
	return is(a->next_hop, q->domain) && is(a->host, q->host) && is(a->reason, q->reason) &&
	       is(a->policy, q->policy) &&
	       (q->continuity == NULL ||
		strcmp(continuity_name(a->continuity), q->continuity) == 0);
}

bool audit_matches(const struct audit_query *q, const struct audit_entry *e)
{
	bool by_attempt = q->domain != NULL || q->host != NULL || q->reason != NULL ||
			  q->policy != NULL || q->continuity != NULL;
	if (e->link.time < q->since || e->link.time > q->until)
		return false;
	if (e->error != AUDIT_OK)
		return !by_attempt && q->type == NULL;
	if (q->type != NULL && strcmp(audit_type_name(e->record.type), q->type) != 0)
		return false;
	return !by_attempt ||
	       (e->record.type == AUDIT_ATTEMPT && matches_attempt(q, &e->record.attempt));
}

/* --- The newest ones --- */

struct newest {
	uint64_t *n;
	size_t count;
};

/* Clocks are set back at times: a little is looked at beyond the time that was asked for. */
static bool collect(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct newest *w = arg;
	if (audit_matches(q, e))
		w->n[w->count++] = e->link.n;
	return w->count < q->limit && e->link.time >= q->since - SLACK_MS;
}

struct one {
	audit_visit *visit;
	void *arg;
	bool more;
};

static bool visit_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct one *o = arg;
	o->more = o->visit(q, e, o->arg);
	return false;
}

int audit_walk_newest(struct audit_query *q, audit_visit *visit, void *arg)
{
	struct arena mem;
	struct one one = {visit, arg, true};
	arena_init(&mem, 64 * 1024 * 1024);
	struct newest w = {.n = arena_array(&mem, q->limit, sizeof(*w.n))};
	int code = w.n != NULL ? audit_walk(q, UINT64_MAX, true, collect, &w)
			       : cmd_fail(q->cmd, EX_OSERR, "out of memory");
	for (size_t i = w.count; i > 0 && code == EX_OK && one.more; i--)
		code = audit_walk(q, w.n[i - 1], false, visit_one, &one);
	arena_free(&mem);
	return code;
}
