/* SPDX-License-Identifier: MIT */
/*
 * danelaw audit verify: every record of the chain, and its end against what is remembered
 * elsewhere: by the running relay, in the queue's file, or on the command line.
 */
#include "cmd/audit.h"

#include "cmd/control_client.h"
#include "audit/continuity.h"
#include "digest/digest.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	HEADS_MAX = 2,
	REPLY_MAX = 1024 * 1024,
	BROKEN = 1,
	TRIES = 3,
	PEERS_PAGE = 200,
	PEERS_MEM_MAX = 256 * 1024 * 1024
};

struct heads {
	struct audit_head head[HEADS_MAX];
	size_t n;
	uint64_t vouched; /* the last that the relay or its queue remembers */
	const char *from; /* who remembered it; NULL: nobody could be asked */
};

/* --- Heads --- */

static bool parse_head(const char *number, const char *hex, struct audit_head *out)
{
	size_t n = 0;
	return slice_to_u64(slice_str(number), INT64_MAX, &out->n) &&
	       hex_decode(slice_str(hex), out->hash, AUDIT_DIGEST, &n) && n == AUDIT_DIGEST;
}

static bool given_head(const char *text, struct audit_head *out)
{
	char number[32];
	const char *colon = strchr(text, ':');
	if (colon == NULL || (size_t)(colon - text) >= sizeof(number))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)(colon - text), text);
	return parse_head(number, colon + 1, out);
}

static bool answered_head(struct slice reply, struct audit_head *out)
{
	struct slice rest, line = slice_cut(reply, '\n', &rest);
	char number[32];
	struct json *j = json_parse((const char *)line.p, line.n);
	const char *hash = json_get_str(j, "hash");
	snprintf(number, sizeof(number), "%" PRId64, json_get_int(j, "n"));
	bool ok = hash != NULL && json_get_bool(j, "enabled") && parse_head(number, hash, out);
	json_free(&j);
	return ok;
}

static bool ask_relay(struct audit_query *q, struct audit_head *out)
{
	struct buf line, reply;
	int fd = control_connect(q->cmd);
	if (fd < 0)
		return false;
	buf_init(&line, 64);
	buf_init(&reply, REPLY_MAX);
	buf_add_str(&line, "audit\n");
	bool ok = control_exchange(fd, &line, &reply) && answered_head(buf_slice(&reply), out);
	buf_free(&line);
	buf_free(&reply);
	close(fd);
	return ok;
}

static bool ask_queue(struct audit_query *q, struct audit_head *out)
{
	struct store_outbox state;
	char error[CMD_ERROR_MAX];
	if (store_outbox_peek(q->cmd->conf->relay_store, &state, error, sizeof(error)) != STORE_OK)
		return false;
	*out = state.head;
	return out->n > 0;
}

/* Of a file that is not the relay's own nobody else knows anything. */
static bool find_heads(struct audit_query *q, struct heads *h)
{
	*h = (struct heads){.vouched = UINT64_MAX};
	if (q->head != NULL && !given_head(q->head, &h->head[h->n++])) {
		cmd_fail(q->cmd, EX_USAGE, "--head: '%s' is not NUMBER:HASH", q->head);
		return false;
	}
	if (q->head != NULL)
		h->from = "the command line";
	if (q->file != NULL)
		return true;
	struct audit_head *next = &h->head[h->n];
	if (ask_relay(q, next))
		h->from = "the running relay";
	else if (ask_queue(q, next))
		h->from = "the queue's file";
	else
		return true;
	h->vouched = next->n;
	h->n++;
	return true;
}

/* --- The walk --- */

static bool verify_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	(void)q;
	return audit_verify_link(arg, &e->link);
}

/* --- Certificates that are known -------------------------------------------------------------- */

/* The record that a certificate is known from says so, or it was put in by hand: then the next
 * change to it would pass for no change (A2). */
static bool says_so(const struct audit_link *l, const struct store_peer *p)
{
	struct audit_record r;
	const struct audit_attempt *a = &r.attempt;
	char type[AUDIT_KEY_TYPE_MAX];
	if (l->n != p->record || audit_decode(l->body, &r) != AUDIT_OK || r.type != AUDIT_ATTEMPT)
		return false;
	audit_key_type(a->key, type);
	return a->accepted && a->chain.n > 0 && slice_eq_str(a->host, p->host) &&
	       a->port == p->port && strcmp(type, p->key_type) == 0 &&
	       memcmp(a->chain.cert[0].sha256, p->cert, AUDIT_DIGEST) == 0 &&
	       memcmp(a->chain.cert[0].spki_sha256, p->key, AUDIT_DIGEST) == 0;
}

static bool check_peer(struct audit_query *q, const struct store_peer *p, bool *good)
{
	struct arena mem;
	struct audit_link l;
	size_t n = 0;
	arena_init(&mem, 2 * AUDIT_BODY_MAX);
	enum store_status s = store_audit_read(q->store, p->record, false, 1, &mem, &l, &n);
	*good = s == STORE_OK && n == 1 && says_so(&l, p);
	arena_free(&mem);
	return s == STORE_OK;
}

/* One page behind *after; false: no more. Of what went by age nothing can be said. */
static bool verify_peers(struct audit_query *q, struct audit_verify *v, struct arena *mem,
			 struct store_peer *after, bool *more)
{
	struct store_peer page[PEERS_PAGE];
	size_t n = 0;
	bool first = after->host == NULL;
	if (store_audit_peers(q->store, first ? NULL : after, PEERS_PAGE, mem, page, &n) !=
	    STORE_OK)
		return false;
	for (size_t i = 0; i < n && v->broken == 0; i++) {
		bool good;
		if (page[i].record <= v->start.n || page[i].record > v->last.n)
			continue;
		if (!check_peer(q, &page[i], &good))
			return false;
		if (!good) {
			v->broken = page[i].record;
			v->why = "says nothing of a certificate that the table of known "
				 "certificates has from it: the table was changed";
		}
	}
	*more = n == PEERS_PAGE;
	if (n > 0)
		*after = page[n - 1];
	return true;
}

static int verify_all_peers(struct audit_query *q, struct audit_verify *v)
{
	struct arena mem;
	struct store_peer after = {.host = NULL};
	bool more = true, ok = true;
	arena_init(&mem, PEERS_MEM_MAX);
	while (ok && more && v->broken == 0)
		ok = verify_peers(q, v, &mem, &after, &more);
	arena_free(&mem);
	return ok ? EX_OK : audit_fail(q);
}

/* --- Printing ----------------------------------------------------------------------------------
 */

static void print_json(const struct audit_verify *v, const struct heads *h)
{
	char hash[AUDIT_HEX_MAX];
	struct json *j = json_object();
	json_set_bool(j, "ok", v->broken == 0);
	json_set_int(j, "verified", (int64_t)v->count);
	json_set_int(j, "first", (int64_t)v->start.n + 1);
	json_set_int(j, "last", (int64_t)v->last.n);
	json_set_str(j, "hash", audit_hex(v->last.hash, hash));
	json_set_str(j, "compared_with", h->from);
	if (v->broken != 0)
		json_set_int(j, "broken", (int64_t)v->broken);
	else
		json_set_null(j, "broken");
	json_set_str(j, "why", v->why);
	json_write_line(j, stdout);
	json_free(&j);
}

static void print_text(const struct audit_verify *v, const struct heads *h)
{
	char hash[AUDIT_HEX_MAX];
	if (v->broken != 0) {
		say(stdout, "broken: record %" PRIu64 " %s\n", v->broken, v->why);
		return;
	}
	say(stdout, "%" PRIu64 " records are as they were written", v->count);
	if (v->start.n > 0)
		say(stdout, "; records up to %" PRIu64 " were removed by age, and signed off",
		    v->start.n);
	say(stdout, "\nthe last is %" PRIu64 ":%s\n", v->last.n, audit_hex(v->last.hash, hash));
	if (h->from != NULL)
		say(stdout, "the end agrees with what %s remembers\n", h->from);
	else
		say(stdout,
		    "nobody could be asked whether the end is the end; --head says what it must "
		    "have\n");
}

/* Start and heads first: what is written meanwhile only makes the chain longer. */
static int verify_once(struct audit_query *q, struct heads *h, struct audit_verify *v)
{
	struct audit_head start, last;
	if (store_audit_ends(q->store, &start, &last) != STORE_OK)
		return audit_fail(q);
	if (!find_heads(q, h))
		return EX_USAGE;
	audit_verify_begin(v, digest_sha256, &start, h->head, h->n);
	v->vouched = h->vouched;
	int code = audit_walk(q, 1, false, verify_one, v);
	if (code == EX_OK && audit_verify_end(v))
		code = verify_all_peers(q, v);
	return code;
}

/* What goes by age while we read looks like a gap. */
static bool start_moved(struct audit_query *q, const struct audit_verify *v)
{
	struct audit_head start, last;
	return store_audit_ends(q->store, &start, &last) == STORE_OK && start.n > v->start.n;
}

int audit_verify(struct audit_query *q)
{
	struct audit_verify v;
	struct heads h;
	int code = EX_OK;
	for (int i = 0; i < TRIES; i++) {
		code = verify_once(q, &h, &v);
		if (code != EX_OK)
			return code;
		if (v.broken == 0 || !start_moved(q, &v))
			break;
	}
	if (q->json)
		print_json(&v, &h);
	else
		print_text(&v, &h);
	return v.broken == 0 ? EX_OK : BROKEN;
}
