/* SPDX-License-Identifier: MIT */
/* danelaw audit list, show, export. */
#include "cmd/audit.h"

#include "base/buf.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { FOLLOW_S = 1 };

struct listing {
	struct style style;
	uint64_t last;
};

static bool print_json(const struct audit_entry *e)
{
	struct json *j = audit_json(e);
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

static bool print_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct listing *l = arg;
	if (!q->json)
		audit_print_line(e, &l->style);
	return !q->json || print_json(e);
}

static bool print_new(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct listing *l = arg;
	l->last = e->link.n;
	return !audit_matches(q, e) || print_one(q, e, arg);
}

static int follow(struct audit_query *q, struct listing *l)
{
	int code = EX_OK;
	while (code == EX_OK && fflush(stdout) == 0 && !ferror(stdout)) {
		sleep(FOLLOW_S);
		code = audit_walk(q, l->last + 1, false, print_new, l);
	}
	return code;
}

int audit_list(struct audit_query *q)
{
	struct listing l = {.style = style_of(stdout)};
	struct audit_head start, last;
	if (store_audit_ends(q->store, &start, &last) != STORE_OK)
		return audit_fail(q);
	l.last = last.n;
	int code = audit_walk_newest(q, print_one, &l);
	return code == EX_OK && q->follow ? follow(q, &l) : code;
}

/* --- One --- */

struct wanted {
	struct style style;
	uint64_t n;
	bool found;
};

/* What the host had presented before this record; room for AUDIT_KNOWN_MAX. */
static size_t known_before(struct audit_query *q, const struct audit_entry *e, struct arena *mem,
			   struct store_peer *out)
{
	const struct audit_attempt *a = &e->record.attempt;
	char host[AUDIT_TEXT_MAX + 1], type[AUDIT_KEY_TYPE_MAX];
	size_t n = 0, kept = 0;
	if (e->error != AUDIT_OK || e->record.type != AUDIT_ATTEMPT || a->chain.n == 0)
		return 0;
	audit_key_type(a->key, type);
	snprintf(host, sizeof(host), "%.*s", (int)a->host.n, (const char *)a->host.p);
	if (store_audit_known(q->store, host, a->port, type, AUDIT_KNOWN_MAX, mem, out, &n) !=
	    STORE_OK)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (out[i].record < e->link.n)
			out[kept++] = out[i];
	}
	return kept;
}

static void show_json(const struct audit_entry *e, const struct store_peer *known, size_t n)
{
	struct json *j = audit_json(e);
	struct json *list = json_set(j, "known", json_array());
	for (size_t i = 0; i < n; i++)
		json_append(list, audit_peer_json(&known[i]));
	json_write_line(j, stdout);
	json_free(&j);
}

static void show_text(const struct audit_entry *e, const struct store_peer *known, size_t n,
		      const struct style *style)
{
	audit_print_whole(e, style);
	if (n > 0)
		say(stdout, "  keys of this type that the host had presented before:\n");
	for (size_t i = 0; i < n; i++)
		audit_print_peer(&known[i], style);
}

static bool show_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct wanted *w = arg;
	struct store_peer known[AUDIT_KNOWN_MAX];
	struct arena mem;
	w->found = e->link.n == w->n;
	if (!w->found)
		return false;
	arena_init(&mem, 65536);
	size_t n = known_before(q, e, &mem, known);
	if (q->json)
		show_json(e, known, n);
	else
		show_text(e, known, n, &w->style);
	arena_free(&mem);
	return false;
}

int audit_show(struct audit_query *q)
{
	struct wanted w = {.style = style_of(stdout)};
	if (!slice_to_u64(slice_str(q->operand), INT64_MAX, &w.n) || w.n == 0)
		return cmd_fail(q->cmd, EX_USAGE, "'%s' is not the number of a record", q->operand);
	int code = audit_walk(q, w.n, false, show_one, &w);
	if (code == EX_OK && !w.found)
		return cmd_fail(q->cmd, EX_NOINPUT, "there is no record %" PRIu64, w.n);
	return code;
}

/* --- Export --- */

struct exporting {
	struct audit_head last;
	char *hex;
};

/* Numbers, times, hashes and bodies: all that the hash rule needs. */
static bool export_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct exporting *x = arg;
	char hex[AUDIT_HEX_MAX];
	(void)q;
	struct json *j = audit_json(e);
	json_set_int(j, "time_ms", e->link.time);
	bool follows = e->link.n == x->last.n + 1;
	json_set_str(j, "prev", follows ? audit_hex(x->last.hash, hex) : NULL);
	hex_encode(e->link.body, x->hex);
	json_set_str(j, "body", x->hex);
	x->last.n = e->link.n;
	memcpy(x->last.hash, e->link.hash, AUDIT_DIGEST);
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

int audit_export(struct audit_query *q)
{
	struct exporting x;
	struct audit_head last;
	struct arena mem;
	if (store_audit_ends(q->store, &x.last, &last) != STORE_OK)
		return audit_fail(q);
	arena_init(&mem, 2 * AUDIT_BODY_MAX + 4096);
	x.hex = arena_alloc(&mem, 2 * AUDIT_BODY_MAX + 1);
	int code = x.hex != NULL ? audit_walk(q, 1, false, export_one, &x)
				 : cmd_fail(q->cmd, EX_OSERR, "out of memory");
	arena_free(&mem);
	return code;
}
