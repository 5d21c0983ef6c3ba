/* SPDX-License-Identifier: MIT */
/*
 * danelaw audit verify: every record of the chain, and its end against what is remembered
 * elsewhere: by the running relay, in the queue's file, or on the command line.
 */
#include "cmd/audit.h"

#include "cmd/control_client.h"
#include "digest/digest.h"
#include "engine/evidence.h"
#include "relay/audit_file.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	HEADS_MAX = 2,
	REPLY_MAX = 1024 * 1024,
	BROKEN = 1,
	TRIES = 3,
	EVIDENCE_MEM_MAX = 1024 * 1024,
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

/* What is known of certificates is made anew from the records, and compared. */
struct walk {
	struct audit_verify verify;
	struct store_audit *anew; /* in memory */
	enum store_status folded;
};

static bool verify_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct walk *w = arg;
	(void)q;
	if (!audit_verify_link(&w->verify, &e->link))
		return false;
	w->folded = audit_fold(w->anew, &e->link);
	return w->folded == STORE_OK;
}

static bool fold_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct walk *w = arg;
	(void)q;
	w->folded = audit_fold(w->anew, &e->link);
	return w->folded == STORE_OK;
}

static int fold_failed(struct audit_query *q, const struct walk *w)
{
	return cmd_fail(q->cmd, EX_OSERR, "%s", store_audit_error(w->anew));
}

/* 0 would be none. */
static uint64_t last_of(const struct audit_verify *v)
{
	return v->last.n > 0 ? v->last.n : 1;
}

/* --- Certificates that are known -------------------------------------------------------------- */

/* Else the next change to it would pass for no change (A2). The relay may go on meanwhile: what it
 * has appended since is read in one view with the table. */
static int compare_peers(struct audit_query *q, struct walk *w)
{
	struct audit_verify *v = &w->verify;
	bool same = true;
	int64_t record = 0;
	if (store_audit_hold(q->store) != STORE_OK)
		return audit_fail(q);
	int code = audit_walk(q, v->last.n + 1, false, fold_one, w);
	if (code == EX_OK && w->folded == STORE_OK &&
	    store_audit_same_peers(q->store, w->anew, &same, &record) != STORE_OK)
		code = audit_fail(q);
	store_audit_rollback(q->store);
	if (code == EX_OK && w->folded != STORE_OK)
		code = fold_failed(q, w);
	if (code == EX_OK && !same) {
		uint64_t n = (uint64_t)record;
		v->broken = n > v->start.n && n <= v->last.n ? n : last_of(v);
		v->why = "and those behind it do not say what the table of known certificates "
			 "has: the table was changed";
	}
	return code;
}

/* --- Evidence --------------------------------------------------------------------------------- */

/* Its id is the digest of all that it is made of. */
static int check_evidence(struct audit_query *q, struct audit_verify *v)
{
	uint8_t id[AUDIT_DIGEST] = {0};
	enum store_status s;
	while (v->broken == 0 && (s = store_audit_evidence_next(q->store, id)) == STORE_OK) {
		struct arena mem;
		struct evidence e;
		arena_init(&mem, EVIDENCE_MEM_MAX);
		s = store_audit_evidence(q->store, id, &mem, &e);
		if (s == STORE_OK)
			evidence_set_id(&e);
		if (s == STORE_CORRUPT || (s == STORE_OK && memcmp(e.id, id, AUDIT_DIGEST) != 0)) {
			v->broken = last_of(v);
			v->why = "or one before it refers to evidence that is not as it was "
				 "collected: it was changed";
		}
		arena_free(&mem);
		if (s != STORE_OK && s != STORE_CORRUPT && s != STORE_NOT_FOUND)
			return audit_fail(q);
	}
	return v->broken != 0 || s == STORE_NOT_FOUND ? EX_OK : audit_fail(q);
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
static int verify_all(struct audit_query *q, struct heads *h, struct walk *w)
{
	struct audit_verify *v = &w->verify;
	struct audit_head start, last;
	if (store_audit_ends(q->store, &start, &last) != STORE_OK)
		return audit_fail(q);
	if (!find_heads(q, h))
		return EX_USAGE;
	audit_verify_begin(v, digest_sha256, &start, h->head, h->n);
	v->vouched = h->vouched;
	int code = audit_walk(q, 1, false, verify_one, w);
	if (code == EX_OK && w->folded != STORE_OK)
		code = fold_failed(q, w);
	if (code == EX_OK && audit_verify_end(v))
		code = compare_peers(q, w);
	if (code == EX_OK && v->broken == 0)
		code = check_evidence(q, v);
	return code;
}

static int verify_once(struct audit_query *q, struct heads *h, struct audit_verify *v)
{
	char error[CMD_ERROR_MAX];
	struct walk w = {.folded = STORE_OK};
	if (store_audit_open_memory(&w.anew, error, sizeof(error)) != STORE_OK ||
	    store_audit_begin(w.anew) != STORE_OK)
		return cmd_fail(q->cmd, EX_OSERR, "%s", error[0] ? error : "out of memory");
	int code = verify_all(q, h, &w);
	*v = w.verify;
	store_audit_close(&w.anew);
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
