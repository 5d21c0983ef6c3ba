/* SPDX-License-Identifier: MIT */
/* danelaw audit peers: each host and the keys that it presented. */
#include "cmd/audit.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

enum { PAGE = 200, PAGE_MEM_MAX = 4 * 1024 * 1024, HOST_KEYS_MAX = 256 };

/* The rows of one host and port. */
struct group {
	struct store_peer row[HOST_KEYS_MAX];
	size_t n;
	int64_t first, last;
};

static void add(struct group *g, const struct store_peer *p)
{
	if (g->n == 0 || p->first < g->first)
		g->first = p->first;
	if (g->n == 0 || p->last > g->last)
		g->last = p->last;
	if (g->n < HOST_KEYS_MAX)
		g->row[g->n++] = *p;
}

static bool same_host(const struct store_peer *a, const struct store_peer *b)
{
	return strcmp(a->host, b->host) == 0 && a->port == b->port;
}

/* In the order in which they came. */
static void sort(struct group *g)
{
	for (size_t i = 1; i < g->n; i++) {
		struct store_peer p = g->row[i];
		size_t k = i;
		for (; k > 0 && g->row[k - 1].first > p.first; k--)
			g->row[k] = g->row[k - 1];
		g->row[k] = p;
	}
}

static void set_time(struct json *j, const char *key, int64_t ms)
{
	char text[AUDIT_TIME_MAX];
	audit_time_text(ms, text);
	json_set_str(j, key, text);
}

struct json *audit_peer_json(const struct store_peer *p)
{
	char hex[AUDIT_HEX_MAX];
	struct json *k = json_object();
	json_set_str(k, "key_type", p->key_type);
	json_set_str(k, "spki_sha256", audit_hex(p->key, hex));
	json_set_str(k, "sha256", audit_hex(p->cert, hex));
	set_time(k, "first_seen", p->first);
	set_time(k, "last_seen", p->last);
	json_set_str(k, "continuity", continuity_name(p->continuity));
	json_set_str(k, "authority", audit_authority_name(p->authority));
	json_set_int(k, "record", (int64_t)p->record);
	return k;
}

static bool print_json(const struct group *g)
{
	struct json *j = json_object();
	json_set_str(j, "host", g->row[0].host);
	json_set_int(j, "port", g->row[0].port);
	set_time(j, "first_seen", g->first);
	set_time(j, "last_seen", g->last);
	struct json *list = json_set(j, "keys", json_array());
	for (size_t i = 0; i < g->n; i++)
		json_append(list, audit_peer_json(&g->row[i]));
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

void audit_print_peer(const struct store_peer *p, const struct style *s)
{
	char first[AUDIT_TIME_MAX], last[AUDIT_TIME_MAX], key[AUDIT_HEX_MAX], cert[AUDIT_HEX_MAX];
	bool bad =
	    p->continuity == CONTINUITY_UNAUTHORISED_CHANGE && p->authority == AUTHORITY_NONE;
	audit_time_text(p->first, first);
	audit_time_text(p->last, last);
	say(stdout, "  %-8s key %s\n", p->key_type, audit_hex(p->key, key));
	say(stdout, "           certificate %s\n", audit_hex(p->cert, cert));
	say(stdout, "           %s%s%s (record %" PRIu64 "), authorised by %s, seen %s to %s\n",
	    bad ? tone_on(s, TONE_BAD) : "", continuity_name(p->continuity), bad ? tone_off(s) : "",
	    p->record,
	    p->authority == AUTHORITY_NONE ? "nothing" : audit_authority_name(p->authority), first,
	    last);
}

static void print_text(const struct group *g, const struct style *s)
{
	char first[AUDIT_TIME_MAX], last[AUDIT_TIME_MAX];
	audit_time_text(g->first, first);
	audit_time_text(g->last, last);
	say(stdout, "%s%s port %u%s  seen %s to %s\n", tone_on(s, TONE_BOLD), g->row[0].host,
	    g->row[0].port, tone_off(s), first, last);
	for (size_t i = 0; i < g->n; i++)
		audit_print_peer(&g->row[i], s);
}

static void print_group(struct audit_query *q, struct group *g, const struct style *s)
{
	bool wanted = g->n > 0 && (q->host == NULL || strcmp(g->row[0].host, q->host) == 0) &&
		      g->last >= q->since && g->first <= q->until;
	sort(g);
	if (wanted && q->json)
		print_json(g);
	else if (wanted)
		print_text(g, s);
	g->n = 0;
}

int audit_peers(struct audit_query *q)
{
	struct style style = style_of(stdout);
	struct group g = {.n = 0};
	struct arena mem[2]; /* a group may reach over the end of a page */
	struct store_peer last, from = {.host = q->host != NULL ? q->host : "", .key_type = ""};
	const struct store_peer *after = &from;
	size_t n = PAGE;
	enum store_status s = STORE_OK;
	arena_init(&mem[0], PAGE_MEM_MAX);
	arena_init(&mem[1], PAGE_MEM_MAX);
	for (size_t page = 0; n == PAGE; page++) {
		struct store_peer row[PAGE];
		struct arena *m = &mem[page % 2];
		arena_free(m);
		s = store_audit_peers(q->store, after, PAGE, m, row, &n);
		for (size_t i = 0; s == STORE_OK && i < n; i++) {
			if (g.n > 0 && !same_host(&g.row[0], &row[i]))
				print_group(q, &g, &style);
			add(&g, &row[i]);
		}
		if (s != STORE_OK || n == 0)
			break;
		last = row[n - 1];
		after = &last;
		if (q->host != NULL && strcmp(last.host, q->host) != 0)
			break;
	}
	print_group(q, &g, &style);
	arena_free(&mem[0]);
	arena_free(&mem[1]);
	return s == STORE_OK ? EX_OK : audit_fail(q);
}
