/* SPDX-License-Identifier: MIT */
/* Records: judged, put into the outbox, moved to the file. Knows the store's two sides; refuses to
 * know what an attempt is made of. */
#include "relay/keeper_audit.h"

#include "digest/digest.h"
#include "relay/audit_facts.h"
#include "relay/keeper_int.h"
#include "relay/peers.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	MOVE_MS = 1000,    /* how long a record waits for others */
	MOVE_SOON = 512,   /* so many do not wait */
	MOVE_ROWS = 512,   /* in one transaction */
	MOVE_BATCHES = 4,  /* at once: bounds the keeper's pause */
	BUSY_MS = 5,       /* a group is open */
	REOPEN_MS = 60000, /* after the file failed */
	HEAD_MS = 24 * 3600 * 1000,
	MOVE_MEM_MAX = MOVE_ROWS * (AUDIT_BODY_MAX + 64),
	ENCODE_MAX = AUDIT_BODY_MAX,
};

struct keeper_audit {
	char path[PATH_MAX];
	struct store_audit *file; /* NULL: it cannot be had now */
	struct store_outbox
	    queue;              /* as committed: moved; last also counts rows of the open group */
	struct audit_head head; /* of the file */
	int64_t done;           /* rows up to here are in the file */
	int64_t removing;       /* up to here they go with the group that is being committed */
	int64_t blind;          /* rows up to here were added while the file could not be read */
	int64_t reopen_at, head_logged;
	bool broken, full;
	uint64_t changes;
	struct peers *peers;
	struct buf scratch;
	struct loop_timer *timer;
	bool timer_set;
};

static void log_head(struct keeper *k, const char *event)
{
	struct keeper_audit *a = k->audit;
	char n[LOG_INT_TEXT], hash[2 * AUDIT_DIGEST + 1];
	hex_encode(slice_make(a->head.hash, AUDIT_DIGEST), hash);
	log_event(k->process.log, LOG_LEVEL_INFO, event, "n", log_int(n, (int64_t)a->head.n),
		  "hash", hash, "path", a->path, NULL);
	a->head_logged = keeper_now();
}

static void log_trouble(struct keeper *k, const char *what, const char *error)
{
	struct keeper_audit *a = k->audit;
	char waiting[LOG_INT_TEXT];
	log_event(k->process.log, LOG_LEVEL_ERROR, "audit", "what", what, "path", a->path, "error",
		  error, "waiting", log_int(waiting, a->queue.last - a->done), NULL);
}

static void set_timer(struct keeper *k, uint32_t ms)
{
	loop_timer_set(k->audit->timer, ms);
	k->audit->timer_set = true;
}

/* --- The file --- */

/* The hash that the file has for a number, also for the last one that was removed. */
static bool hash_at(struct store_audit *f, uint64_t n, const struct audit_head *start,
		    struct audit_head *out)
{
	struct arena mem;
	struct audit_link l;
	size_t found = 0;
	*out = *start;
	if (n == start->n)
		return true;
	arena_init(&mem, AUDIT_BODY_MAX + 64);
	bool ok = store_audit_read(f, n, false, 1, &mem, &l, &found) == STORE_OK && found == 1 &&
		  l.n == n;
	arena_free(&mem);
	out->n = n;
	if (ok)
		memcpy(out->hash, l.hash, AUDIT_DIGEST);
	return ok;
}

/*
 * Where the chain goes on. The file may be ahead of what the queue remembers, after a crash. It can
 * not be behind, or have another hash: then somebody changed it. The chain goes on from what is
 * remembered and not from what was found, so that the break stays to be seen.
 */
static enum store_status find_head(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	struct audit_head start, last, there;
	enum store_status s = store_audit_ends(a->file, &start, &last);
	if (s != STORE_OK)
		return s;
	const struct audit_head *mine = a->head.n > 0 ? &a->head : &a->queue.head;
	struct audit_head head = last;
	bool agrees = mine->n == 0 || (mine->n <= last.n && mine->n < start.n) ||
		      (hash_at(a->file, mine->n, &start, &there) &&
		       memcmp(there.hash, mine->hash, AUDIT_DIGEST) == 0);
	if (!agrees) {
		head = *mine;
		head.n = mine->n > last.n ? mine->n : last.n;
		log_trouble(k, "changed",
			    "the file is not the one that was written: records are missing or "
			    "changed; see danelaw audit verify");
	}
	a->broken = a->broken || !agrees;
	a->head = head;
	return STORE_OK;
}

static void close_file(struct keeper *k)
{
	store_audit_close(&k->audit->file);
	k->audit->reopen_at = keeper_now() + REOPEN_MS;
}

static bool open_file(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	char error[512] = "";
	int64_t moved = 0;
	enum store_status s = store_audit_open(a->path, &a->file, error, sizeof(error));
	if (s == STORE_OK)
		s = store_audit_moved(a->file, a->queue.queue, &moved);
	if (s == STORE_OK)
		s = find_head(k);
	if (s != STORE_OK) {
		log_trouble(k, "open", a->file != NULL ? store_audit_error(a->file) : error);
		close_file(k);
		return false;
	}
	if (moved > a->done)
		a->done = moved;
	a->blind = a->queue.last;
	log_head(k, "audit-head");
	return true;
}

/* --- Moving --- */

static void project(struct store_audit *f, const struct audit_link *l, enum store_status *s)
{
	struct audit_record r;
	char type[AUDIT_KEY_TYPE_MAX], host[AUDIT_TEXT_MAX + 1];
	if (*s != STORE_OK || audit_decode(l->body, &r) != AUDIT_OK || r.type != AUDIT_ATTEMPT ||
	    !r.attempt.accepted || r.attempt.chain.n == 0)
		return;
	const struct audit_attempt *t = &r.attempt;
	audit_key_type(t->key, type);
	snprintf(host, sizeof(host), "%.*s", (int)t->host.n, (const char *)t->host.p);
	struct store_peer p = {.host = host,
			       .key_type = type,
			       .port = t->port,
			       .authority = t->authority,
			       .continuity = t->continuity,
			       .record = l->n,
			       .first = l->time,
			       .last = l->time};
	memcpy(p.cert, t->chain.cert[0].sha256, AUDIT_DIGEST);
	memcpy(p.key, t->chain.cert[0].spki_sha256, AUDIT_DIGEST);
	*s = store_audit_peer(f, &p);
}

static enum store_status append_rows(struct keeper_audit *a, const struct store_outbox_row *row,
				     size_t n, struct audit_head *head)
{
	enum store_status s = store_audit_begin(a->file);
	for (size_t i = 0; i < n && s == STORE_OK; i++) {
		struct audit_link l = {.time = row[i].at, .body = row[i].body};
		audit_link_next(digest_sha256, head, &l);
		s = store_audit_append(a->file, &l);
		project(a->file, &l, &s);
		head->n = l.n;
		memcpy(head->hash, l.hash, AUDIT_DIGEST);
	}
	if (s == STORE_OK)
		s = store_audit_set_moved(a->file, a->queue.queue, row[n - 1].id);
	if (s == STORE_OK)
		return store_audit_commit(a->file);
	store_audit_rollback(a->file);
	return s;
}

/* One batch; *n is how many rows it had. */
static bool move_batch(struct keeper *k, size_t *n)
{
	struct keeper_audit *a = k->audit;
	struct arena mem;
	struct audit_head head = a->head;
	struct store_outbox_row row[MOVE_ROWS];
	arena_init(&mem, MOVE_MEM_MAX);
	enum store_status s = store_outbox_read(k->store, a->done, MOVE_ROWS, &mem, row, n);
	bool read = s == STORE_OK;
	if (read && *n > 0)
		s = append_rows(a, row, *n, &head);
	if (s == STORE_OK && *n > 0) {
		a->head = head;
		a->done = row[*n - 1].id;
		peers_moved(a->peers, a->done);
	} else if (!read) {
		log_trouble(k, "outbox", store_error(k->store));
	} else if (s != STORE_OK) {
		log_trouble(k, "append", store_audit_error(a->file));
		if (s != STORE_BUSY)
			close_file(k);
	}
	arena_free(&mem);
	return s == STORE_OK;
}

static bool move(struct keeper *k, size_t batches)
{
	size_t n = MOVE_ROWS;
	for (size_t i = 0; i < batches && n == MOVE_ROWS; i++) {
		if (!move_batch(k, &n))
			return false;
	}
	return true;
}

static void note_room(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	bool full = !keeper_audit_has_room(k);
	if (full && !a->full)
		log_trouble(k, "full", "no delivery is started until records can be moved");
	a->full = full;
}

static void on_timer(void *arg)
{
	struct keeper *k = arg;
	struct keeper_audit *a = k->audit;
	a->timer_set = false;
	if (k->group_open) {
		set_timer(k, BUSY_MS);
		return;
	}
	bool was_full = a->full;
	if (a->file == NULL && keeper_now() >= a->reopen_at)
		open_file(k);
	bool ok = a->file != NULL && move(k, MOVE_BATCHES);
	if (a->done > a->queue.moved)
		keeper_group(k); /* its commit removes what was moved */
	if (keeper_now() - a->head_logged >= HEAD_MS)
		log_head(k, "audit-head");
	note_room(k);
	if (was_full && !a->full)
		keeper_schedule(k);
	if (a->done < a->queue.last || a->done > a->queue.moved)
		set_timer(k, ok && a->queue.last - a->done >= MOVE_SOON ? BUSY_MS : MOVE_MS);
}

enum store_status keeper_audit_before_commit(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	if (a == NULL)
		return STORE_OK;
	a->removing = a->done;
	return a->done > a->queue.moved ? store_outbox_done(k->store, a->done, &a->head) : STORE_OK;
}

void keeper_audit_committed(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	if (a == NULL)
		return;
	a->queue.moved = a->removing;
	if (!a->timer_set && a->queue.last > a->done)
		set_timer(k, MOVE_MS);
	else if (a->queue.last - a->done == MOVE_SOON)
		set_timer(k, BUSY_MS);
	note_room(k);
}

/* --- Records --- */

static bool add_body(struct keeper *k, struct slice body)
{
	struct keeper_audit *a = k->audit;
	struct store_outbox_row row = {.id = a->queue.last + 1, .at = keeper_now(), .body = body};
	if (store_outbox_add(k->store, &row) != STORE_OK)
		return false;
	a->queue.last++;
	return true;
}

bool keeper_audit_add(struct keeper *k, const struct audit_record *r)
{
	struct keeper_audit *a = k->audit;
	if (a == NULL)
		return true;
	buf_reset(&a->scratch);
	return audit_encode(r, &a->scratch) && add_body(k, buf_slice(&a->scratch));
}

/* From the file, when it is not in memory. False: nobody can say. */
static bool load_known(struct keeper_audit *a, const struct peer_name *name)
{
	struct store_peer found[AUDIT_KNOWN_MAX];
	struct known_key known[AUDIT_KNOWN_MAX];
	struct arena mem;
	char host[AUDIT_TEXT_MAX + 1];
	size_t n = 0;
	if (a->file == NULL || a->done < a->blind)
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)name->host.n, (const char *)name->host.p);
	arena_init(&mem, 65536);
	bool ok = store_audit_known(a->file, host, name->port, name->key_type, AUDIT_KNOWN_MAX,
				    &mem, found, &n) == STORE_OK;
	for (size_t i = 0; ok && i < n; i++) {
		known[i].authority = found[i].authority;
		memcpy(known[i].cert, found[i].cert, AUDIT_DIGEST);
		memcpy(known[i].key, found[i].key, AUDIT_DIGEST);
	}
	arena_free(&mem);
	return ok && peers_load(a->peers, name, known, n);
}

static enum host_policy policy_of(const struct audit_attempt *t)
{
	for (int p = HOST_DANE; p <= HOST_PKIX; p++) {
		if (slice_eq_str(t->policy, host_policy_name((enum host_policy)p)))
			return (enum host_policy)p;
	}
	return HOST_SKIP;
}

static void log_change(struct keeper *k, const struct audit_attempt *t, const char *type)
{
	char before[2 * AUDIT_DIGEST + 1], now[2 * AUDIT_DIGEST + 1], port[LOG_INT_TEXT];
	char host[AUDIT_TEXT_MAX + 1], address[AUDIT_TEXT_MAX + 1], id[AUDIT_TEXT_MAX + 1];
	snprintf(host, sizeof(host), "%.*s", (int)t->host.n, (const char *)t->host.p);
	snprintf(address, sizeof(address), "%.*s", (int)t->address.n, (const char *)t->address.p);
	snprintf(id, sizeof(id), "%.*s", (int)t->queue_id.n, (const char *)t->queue_id.p);
	hex_encode(slice_make(t->previous, AUDIT_DIGEST), before);
	hex_encode(slice_make(t->chain.cert[0].spki_sha256, AUDIT_DIGEST), now);
	log_event(k->process.log, LOG_LEVEL_WARN, "unauthorised-change", "id", id, "host", host,
		  "address", address, "port", log_int(port, t->port), "key-type", type, "before",
		  before, "now", now, "accepted", t->accepted ? "yes" : "no", NULL);
}

/* A2. */
static void judge(struct keeper *k, struct audit_attempt *t)
{
	struct keeper_audit *a = k->audit;
	struct presented_key p = {.present = t->chain.n > 0};
	struct continuity_verdict v;
	const struct known_key *known = NULL;
	char type[AUDIT_KEY_TYPE_MAX];
	size_t n = 0;
	t->continuity = CONTINUITY_NONE;
	if (!p.present)
		return;
	audit_key_type(t->key, type);
	struct peer_name name = {t->host, t->port, type};
	memcpy(p.cert, t->chain.cert[0].sha256, AUDIT_DIGEST);
	memcpy(p.key, t->chain.cert[0].spki_sha256, AUDIT_DIGEST);
	bool readable = peers_known(a->peers, &name, &known, &n) ||
			(load_known(a, &name) && peers_known(a->peers, &name, &known, &n));
	enum host_policy policy = policy_of(t);
	enum audit_authority proof = t->match.present ? AUTHORITY_TLSA : AUTHORITY_NONE;
	if (policy == HOST_PKIX && t->accepted)
		proof = AUTHORITY_CA;
	continuity_decide(known, n, &p, policy, proof, &v);
	t->continuity = readable ? v.continuity : CONTINUITY_UNKNOWN;
	t->authority = v.authority;
	bool changed = v.continuity == CONTINUITY_AUTHORISED_CHANGE ||
		       v.continuity == CONTINUITY_UNAUTHORISED_CHANGE;
	if (readable && changed && v.known >= 0)
		memcpy(t->previous, known[v.known].key, AUDIT_DIGEST);
	if (t->continuity == CONTINUITY_UNAUTHORISED_CHANGE) {
		a->changes++;
		log_change(k, t, type);
	}
	struct known_key key = {.authority = v.authority};
	memcpy(key.cert, p.cert, AUDIT_DIGEST);
	memcpy(key.key, p.key, AUDIT_DIGEST);
	if (readable && t->accepted)
		peers_seen(a->peers, &name, &key, a->queue.last + 1);
}

static bool add_try(struct keeper *k, struct slice body, const char **continuity)
{
	struct audit_record r;
	if (audit_decode(body, &r) != AUDIT_OK || r.type != AUDIT_ATTEMPT)
		return true; /* the decoder of the result took it: cannot be */
	judge(k, &r.attempt);
	if (r.attempt.continuity != CONTINUITY_NONE)
		*continuity = continuity_name(r.attempt.continuity);
	return keeper_audit_add(k, &r);
}

static bool add_none(struct keeper *k, const struct store_delivery *d, const struct result *r)
{
	struct keeper_audit *a = k->audit;
	const struct audit_context c = {.queue_id = d->envelope.queue_id,
					.next_hop = d->next_hop,
					.delivery = (uint64_t)d->id,
					.outcome = (enum reason)r->reason};
	buf_reset(&a->scratch);
	return audit_facts_put_none(&c, &a->scratch) && add_body(k, buf_slice(&a->scratch));
}

bool keeper_audit_result(struct keeper *k, const struct store_delivery *d, const struct result *r,
			 const char **continuity)
{
	size_t added = 0;
	if (k->audit == NULL)
		return true;
	for (size_t i = 0; i < r->ntries; i++) {
		if (r->tries[i].audit.n == 0)
			continue;
		if (!add_try(k, r->tries[i].audit, &continuity[i]))
			return false;
		added++;
	}
	return added > 0 || add_none(k, d, r);
}

/* --- Life --- */

void audit_path(const struct conf *c, char *out, size_t room)
{
	char store[PATH_MAX];
	snprintf(store, sizeof(store), "%s", c->relay_store);
	if (c->audit_store != NULL)
		snprintf(out, room, "%s", c->audit_store);
	else
		snprintf(out, room, "%s/audit.db", dirname(store));
}

bool keeper_audit_open(struct keeper *k)
{
	if (!k->process.birth.conf->audit_enabled)
		return true;
	struct keeper_audit *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return false;
	k->audit = a;
	buf_init(&a->scratch, ENCODE_MAX);
	audit_path(k->process.birth.conf, a->path, sizeof(a->path));
	a->peers = peers_new();
	a->timer = loop_timer_new(k->process.loop, on_timer, k);
	if (a->peers == NULL || a->timer == NULL ||
	    store_outbox_state(k->store, &a->queue) != STORE_OK)
		return false;
	a->done = a->queue.moved;
	if (open_file(k))
		move(k, SIZE_MAX);
	set_timer(k, MOVE_MS);
	return true;
}

void keeper_audit_close(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	if (a == NULL)
		return;
	k->audit = NULL;
	store_audit_close(&a->file);
	peers_free(&a->peers);
	buf_free(&a->scratch);
	loop_timer_free(&a->timer);
	free(a);
}

bool keeper_audit_has_room(const struct keeper *k)
{
	const struct keeper_audit *a = k->audit;
	return a == NULL || a->queue.last - a->done < k->process.birth.conf->audit_outbox;
}

void keeper_audit_state(const struct keeper *k, struct audit_state *out)
{
	const struct keeper_audit *a = k->audit;
	*out = (struct audit_state){.enabled = a != NULL};
	if (a == NULL)
		return;
	out->working = a->file != NULL;
	out->broken = a->broken;
	out->waiting = (uint64_t)(a->queue.last - a->done);
	out->head = a->head;
	out->changes = a->changes;
}
