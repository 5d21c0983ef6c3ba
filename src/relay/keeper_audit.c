/* SPDX-License-Identifier: MIT */
/* Records: judged, put into the outbox, moved to the file. Knows the store's two sides; refuses to
 * know what an attempt is made of. */
#include "relay/keeper_audit.h"

#include "relay/audit_facts.h"
#include "relay/audit_file.h"
#include "relay/keeper_int.h"
#include "relay/peers.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	MOVE_MS = 1000,   /* how long a record waits for others */
	MOVE_SOON = 512,  /* so many do not wait */
	MOVE_BATCHES = 4, /* at once: bounds the keeper's pause */
	SOON_MS = 5,      /* also while a group is open */
	IDLE_MS = 60000,
	COUNT_EVERY = 1000, /* records between two counts of certificates */
	REOPEN_MS = 60000,  /* after the file failed */
	CUT_MS = 60000,     /* between two looks at its size after it was too large */
	MEBIBYTE = 1 << 20,
	DAY_MS = 24 * 3600 * 1000,
	FOR_EVER = 1, /* nothing is older */
	EVIDENCE_MEM_MAX = 65536,
};

struct keeper_audit {
	char path[PATH_MAX];
	struct audit_file file;
	struct store_outbox queue; /* as committed; last also counts rows of the open group */
	int64_t removing;          /* up to here they go with the group that is being committed */
	struct audit_head removing_head;
	int64_t blind; /* rows up to here were added while the file could not be read */
	int64_t reopen_at, head_logged;
	int64_t counted_at;          /* row of the outbox */
	int64_t retained, retaining; /* when; records older than that are going */
	struct audit_head signing;   /* n 0: none. Up to it they go, once the queue remembers ... */
	int64_t signing_row;         /* ... the checkpoint, which was this row of the outbox */
	int64_t cut_at;              /* records went for size: when */
	uint64_t octets, cut;
	bool full;
	bool all; /* that was old enough went; else there is another turn */
	uint64_t changes;
	struct peers *peers;
	struct buf scratch;
	struct loop_timer *timer;
	uint32_t armed; /* what the timer was set to */
};

static void log_head(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	char n[LOG_INT_TEXT], hash[2 * AUDIT_DIGEST + 1];
	hex_encode(slice_make(a->file.head.hash, AUDIT_DIGEST), hash);
	log_event(k->process.log, LOG_LEVEL_INFO, "audit-head", "n",
		  log_int(n, (int64_t)a->file.head.n), "hash", hash, "path", a->path, NULL);
	a->head_logged = keeper_now();
}

static void log_trouble(struct keeper *k, const char *what, const char *error)
{
	struct keeper_audit *a = k->audit;
	char waiting[LOG_INT_TEXT];
	log_event(k->process.log, LOG_LEVEL_ERROR, "audit", "what", what, "path", a->path, "error",
		  error, "waiting", log_int(waiting, a->queue.last - a->file.done), NULL);
}

static void set_timer(struct keeper *k, uint32_t ms)
{
	loop_timer_set(k->audit->timer, ms);
	k->audit->armed = ms;
}

/* --- The file --- */

static void trouble_with_file(struct keeper *k, const char *what, enum store_status s)
{
	struct keeper_audit *a = k->audit;
	log_trouble(k, what, a->file.error);
	if (s == STORE_BUSY)
		return;
	audit_file_close(&a->file);
	a->reopen_at = keeper_now() + REOPEN_MS;
}

static bool open_file(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	bool was_broken = a->file.broken;
	enum store_status s = audit_file_open(&a->file, a->path, k->store, &a->queue);
	if (s != STORE_OK) {
		trouble_with_file(k, "open", s);
		return false;
	}
	if (a->file.broken && !was_broken)
		log_trouble(k, "changed",
			    "the file is not the one that was written: records are missing or "
			    "changed; see danelaw audit verify");
	a->blind = a->queue.last;
	log_head(k);
	return true;
}

static bool move(struct keeper *k, size_t batches)
{
	struct keeper_audit *a = k->audit;
	size_t n = AUDIT_MOVE_ROWS;
	for (size_t i = 0; i < batches && n == AUDIT_MOVE_ROWS; i++) {
		enum store_status s = audit_file_move(&a->file, k->store, &n);
		if (s != STORE_OK) {
			trouble_with_file(k, "append", s);
			return false;
		}
		peers_moved(a->peers, a->file.done);
	}
	return true;
}

static bool add_body(struct keeper *k, struct slice body)
{
	struct keeper_audit *a = k->audit;
	struct store_outbox_row row = {.id = a->queue.last + 1, .at = keeper_now(), .body = body};
	if (store_outbox_add(k->store, &row) != STORE_OK)
		return false;
	a->queue.last++;
	return true;
}

static bool carry(void *arg, struct slice body)
{
	return add_body(arg, body);
}

static bool is_too_large(const struct keeper *k)
{
	uint64_t max = (uint64_t)k->process.birth.conf->audit_size_max * MEBIBYTE;
	return max > 0 && k->audit->octets > max;
}

/* By age, and more of them when the file is too large. */
static enum store_status choose_old(struct keeper *k, int64_t before)
{
	struct keeper_audit *a = k->audit;
	enum store_status s = audit_file_old(&a->file, before, &a->signing);
	if (s != STORE_OK || !is_too_large(k))
		return s;
	a->cut_at = keeper_now();
	uint64_t by_age = a->signing.n;
	s = audit_file_oldest(&a->file, &a->signing);
	if (s != STORE_OK || a->signing.n == by_age)
		return s;
	char upto[LOG_INT_TEXT], octets[LOG_INT_TEXT];
	a->cut++;
	log_event(k->process.log, LOG_LEVEL_WARN, "audit", "what", "size", "path", a->path, "why",
		  "audit.size-max: the oldest records go before their time", "octets",
		  log_int(octets, (int64_t)a->octets), "upto", log_int(upto, (int64_t)a->signing.n),
		  NULL);
	return s;
}

/* The checkpoint goes the way of all records. Before the queue remembers it nothing is removed: so
 * nobody else can sign off. */
static enum store_status sign_off(struct keeper *k, int64_t before)
{
	struct keeper_audit *a = k->audit;
	bool was_broken = a->file.broken;
	a->all = true;
	enum store_status s = choose_old(k, before);
	if (s != STORE_OK || a->signing.n == 0)
		return s;
	if (keeper_group(k))
		s = audit_file_carry(&a->file, before, &a->signing, &a->all, carry, k);
	if (a->file.broken && !was_broken)
		log_trouble(k, "changed",
			    "a certificate that is known has no record that says so; see danelaw "
			    "audit verify");
	buf_reset(&a->scratch);
	if (s == STORE_OK && audit_file_checkpoint(&a->signing, before, &a->scratch) &&
	    keeper_group(k) && add_body(k, buf_slice(&a->scratch)))
		a->signing_row = a->queue.last;
	else
		a->signing.n = 0; /* the group fails, and the keeper with it */
	return STORE_OK;
}

/* What is to be done next; *more: and then again. */
static enum store_status retain_step(struct keeper *k, bool *more)
{
	struct keeper_audit *a = k->audit;
	enum store_status s = STORE_OK;
	*more = true;
	if (a->retaining == 0) {
		if (a->queue.last != a->file.done)
			return s; /* what waits changes what is known */
		int64_t keep = k->process.birth.conf->audit_keep * (int64_t)DAY_MS;
		a->retaining = keep > 0 ? keeper_now() - keep : FOR_EVER;
		s = sign_off(k, a->retaining);
	}
	if (s != STORE_OK || (a->signing.n > 0 && a->queue.moved < a->signing_row))
		return s;
	if (a->signing.n > 0)
		s = audit_file_remove(&a->file, &a->signing);
	if (s != STORE_OK)
		return s;
	a->signing.n = 0;
	return audit_file_forget(&a->file, more);
}

static bool is_time_to_retain(struct keeper *k, int64_t now)
{
	struct keeper_audit *a = k->audit;
	if (a->retaining != 0)
		return true;
	enum store_status s = store_audit_size(a->file.store, &a->octets);
	if (s != STORE_OK)
		trouble_with_file(k, "size", s);
	if (a->file.store == NULL)
		return false;
	if (s == STORE_OK && is_too_large(k) && (now < a->cut_at || now >= a->cut_at + CUT_MS))
		return true;
	return k->process.birth.conf->audit_keep > 0 && now >= a->retained + DAY_MS;
}

/* Once a day what is too old goes, and at once what makes the file too large; piece by piece. */
static void retain(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	int64_t now = keeper_now();
	bool more = false;
	if (a->file.store == NULL || !is_time_to_retain(k, now))
		return;
	enum store_status s = retain_step(k, &more);
	if (s != STORE_OK)
		trouble_with_file(k, "retain", s);
	if (s != STORE_OK && a->signing_row == 0)
		a->retaining = 0;
	if (s == STORE_OK && !more) {
		if (a->all)
			a->retained = now;
		a->retaining = 0;
		a->signing_row = 0;
	}
}

/* Too many certificates: some are known no more, by a record like everything that is known. */
static void forget_some(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	if (a->file.store == NULL || a->file.done < a->counted_at + COUNT_EVERY ||
	    a->queue.last != a->file.done)
		return;
	a->counted_at = a->file.done;
	buf_reset(&a->scratch);
	enum store_status s = audit_file_too_many(&a->file, &a->scratch);
	if (s != STORE_OK)
		trouble_with_file(k, "count", s);
	else if (buf_len(&a->scratch) > 0 && keeper_group(k))
		add_body(k, buf_slice(&a->scratch));
}

static void note_room(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	bool full = !keeper_audit_has_room(k);
	if (full && !a->full)
		log_trouble(k, "full", "no delivery is started until records can be moved");
	a->full = full;
}

/* What must still be said to the queue: rows to remove, a new head. */
static bool owes_queue(const struct keeper_audit *a)
{
	return a->file.done > a->queue.moved || a->file.head.n != a->queue.head.n;
}

static void on_timer(void *arg)
{
	struct keeper *k = arg;
	struct keeper_audit *a = k->audit;
	if (k->group_open) {
		set_timer(k, SOON_MS);
		return;
	}
	bool was_full = a->full;
	if (a->file.store == NULL && keeper_now() >= a->reopen_at)
		open_file(k);
	bool ok = a->file.store != NULL && move(k, MOVE_BATCHES);
	retain(k);
	forget_some(k);
	if (owes_queue(a))
		keeper_group(k); /* its commit says it */
	if (keeper_now() - a->head_logged >= DAY_MS)
		log_head(k);
	note_room(k);
	if (was_full && !a->full)
		keeper_schedule(k);
	int64_t waiting = a->queue.last - a->file.done;
	bool idle = waiting == 0 && a->retaining == 0;
	set_timer(k, idle ? IDLE_MS : ok && waiting >= MOVE_SOON ? SOON_MS : MOVE_MS);
}

enum store_status keeper_audit_before_commit(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	if (a == NULL)
		return STORE_OK;
	a->removing = a->file.done > a->queue.moved ? a->file.done : a->queue.moved;
	a->removing_head = a->file.head;
	return owes_queue(a) ? store_outbox_done(k->store, a->removing, &a->removing_head)
			     : STORE_OK;
}

void keeper_audit_committed(struct keeper *k)
{
	struct keeper_audit *a = k->audit;
	if (a == NULL)
		return;
	a->queue.moved = a->removing;
	a->queue.head = a->removing_head;
	int64_t waiting = a->queue.last - a->file.done;
	uint32_t soon = a->file.store != NULL && waiting >= MOVE_SOON ? SOON_MS : MOVE_MS;
	if (waiting > 0 && soon < a->armed)
		set_timer(k, soon);
	note_room(k);
}

/* --- Records --- */

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
	struct known_key known[AUDIT_KNOWN_MAX];
	size_t n = 0;
	if (a->file.store == NULL || a->file.done < a->blind)
		return false;
	return audit_known(a->file.store, name->host, name->port, name->key_type, known, &n) ==
		   STORE_OK &&
	       peers_load(a->peers, name, known, n);
}

static enum host_policy policy_of(const struct audit_attempt *t)
{
	for (int p = HOST_DANE; p <= HOST_LOCAL; p++) {
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

bool keeper_audit_evidence(struct keeper *k, struct slice body)
{
	struct arena mem;
	struct evidence e;
	arena_init(&mem, EVIDENCE_MEM_MAX);
	bool ok = evidence_decode(body, &mem, &e);
	arena_free(&mem);
	if (!ok || k->audit == NULL || !k->process.birth.conf->audit_evidence)
		return ok;
	return keeper_group(k) && add_body(k, body);
}

/* What a keeper that died had with couriers: its outcome is not known, but it was tried. */
enum store_status keeper_audit_interrupted(void *arg, struct store *s,
					   const struct store_interrupted *d)
{
	struct keeper *k = arg;
	const struct audit_context c = {.queue_id = d->queue_id,
					.next_hop = d->next_hop,
					.delivery = (uint64_t)d->delivery,
					.outcome = d->in_doubt ? REASON_LOST_AFTER_DATA
							       : REASON_LOCAL_ERROR,
					.detail = "the keeper ended while this was under way"};
	if (k->audit == NULL)
		return STORE_OK;
	buf_reset(&k->audit->scratch);
	if (!audit_facts_put_none(&c, &k->audit->scratch))
		return STORE_NO_MEMORY;
	struct store_outbox_row row = {.id = k->audit->queue.last + 1,
				       .at = keeper_now(),
				       .body = buf_slice(&k->audit->scratch)};
	enum store_status status = store_outbox_add(s, &row);
	k->audit->queue.last += status == STORE_OK;
	return status;
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
	buf_init(&a->scratch, AUDIT_BODY_MAX);
	audit_path(k->process.birth.conf, a->path, sizeof(a->path));
	a->peers = peers_new();
	a->timer = loop_timer_new(k->process.loop, on_timer, k);
	if (a->peers == NULL || a->timer == NULL ||
	    store_outbox_state(k->store, &a->queue) != STORE_OK)
		return false;
	a->file.done = a->queue.moved;
	a->file.head = a->queue.head;
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
	if (a->file.store != NULL && !k->group_open && k->store != NULL &&
	    store_health(k->store) == STORE_OK)
		move(k, MOVE_BATCHES);
	k->audit = NULL;
	audit_file_close(&a->file);
	peers_free(&a->peers);
	buf_free(&a->scratch);
	loop_timer_free(&a->timer);
	free(a);
}

bool keeper_audit_has_room(const struct keeper *k)
{
	const struct keeper_audit *a = k->audit;
	return a == NULL || a->queue.last - a->file.done < k->process.birth.conf->audit_outbox;
}

void keeper_audit_state(const struct keeper *k, struct audit_state *out)
{
	const struct keeper_audit *a = k->audit;
	*out = (struct audit_state){.enabled = a != NULL};
	if (a == NULL)
		return;
	out->working = a->file.store != NULL;
	out->broken = a->file.broken;
	out->waiting = (uint64_t)(a->queue.last - a->file.done);
	out->head = a->file.head;
	out->changes = a->changes;
	out->octets = a->octets;
	out->cut = a->cut;
}
