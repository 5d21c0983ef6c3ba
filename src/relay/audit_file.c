/* SPDX-License-Identifier: MIT */
/* The one place where the chain grows. Knows rows, links and checkpoints; refuses to judge. */
#include "relay/audit_file.h"

#include "digest/digest.h"
#include "engine/evidence.h"

#include <string.h>

enum {
	ONE_MEM_MAX = AUDIT_BODY_MAX + 64,
	/* each row may be evidence */
	MOVE_MEM_MAX = AUDIT_MOVE_ROWS * (EVIDENCE_BODY_MAX + 64),
	EVIDENCE_MEM_MAX = 65536,
	KNOWN_MEM_MAX = 65536,
	CARRY_MEM_MAX = AUDIT_CARRY_MAX * 1024,
};

static enum store_status fail(struct audit_file *f, enum store_status s)
{
	if (s != STORE_OK && f->store != NULL)
		snprintf(f->error, sizeof(f->error), "%s", store_audit_error(f->store));
	return s;
}

/* --- The end of the file --- */

/* Number, time and hash of record n; NOT_FOUND: it is not there. */
static enum store_status look(struct audit_file *f, uint64_t n, struct audit_link *out)
{
	struct arena mem;
	size_t found = 0;
	arena_init(&mem, ONE_MEM_MAX);
	enum store_status s = store_audit_read(f->store, n, false, 1, &mem, out, &found);
	arena_free(&mem);
	out->body = slice_make(NULL, 0);
	return s != STORE_OK || (found == 1 && out->n == n) ? s : STORE_NOT_FOUND;
}

/* Does the file have what is remembered? It may be the last that was removed, and not older: a head
 * is remembered before anything in front of it is removed. */
static enum store_status agrees(struct audit_file *f, const struct audit_head *mine,
				const struct audit_head *start, bool *yes)
{
	struct audit_link l;
	*yes = true;
	if (mine->n == 0)
		return STORE_OK;
	if (mine->n <= start->n) {
		*yes = mine->n == start->n && memcmp(mine->hash, start->hash, AUDIT_DIGEST) == 0;
		return STORE_OK;
	}
	enum store_status s = look(f, mine->n, &l);
	*yes = s == STORE_OK && memcmp(mine->hash, l.hash, AUDIT_DIGEST) == 0;
	return s == STORE_NOT_FOUND ? STORE_OK : s;
}

/* Is record n this row? */
static enum store_status is_row(struct audit_file *f, uint64_t n,
				const struct store_outbox_row *row, bool *yes)
{
	struct arena mem;
	struct audit_link l;
	size_t found = 0;
	arena_init(&mem, ONE_MEM_MAX);
	enum store_status s = store_audit_read(f->store, n, false, 1, &mem, &l, &found);
	*yes = s == STORE_OK && found == 1 && l.n == n && l.time == row->at &&
	       slice_eq(l.body, row->body);
	arena_free(&mem);
	return s;
}

/* Rows behind `after`, one page: *n is the last record that is one of them. */
static enum store_status compare_page(struct audit_file *f, struct store *queue, int64_t *after,
				      int64_t moved, uint64_t *n, bool *yes)
{
	struct arena mem;
	struct store_outbox_row row[AUDIT_MOVE_ROWS];
	size_t rows = 0;
	arena_init(&mem, MOVE_MEM_MAX);
	enum store_status s = store_outbox_read(queue, *after, AUDIT_MOVE_ROWS, &mem, row, &rows);
	if (s != STORE_OK)
		snprintf(f->error, sizeof(f->error), "outbox: %s", store_error(queue));
	*after = rows < AUDIT_MOVE_ROWS ? moved : row[rows - 1].id;
	for (size_t i = 0; i < rows && s == STORE_OK && *yes && row[i].id <= moved; i++) {
		if (!evidence_is(row[i].body))
			s = is_row(f, ++*n, &row[i], yes);
	}
	arena_free(&mem);
	return s;
}

/* After a crash between two commits the file is ahead of the queue, by rows that still wait there,
 * and by nothing else. Of a queue that remembers no head nothing is known. */
static enum store_status is_ours(struct audit_file *f, struct store *queue,
				 const struct store_outbox *box, int64_t moved, uint64_t last,
				 bool *yes)
{
	int64_t after = box->moved;
	uint64_t n = box->head.n;
	enum store_status s = STORE_OK;
	*yes = moved <= box->last;
	if (box->head.n == 0)
		return s;
	while (s == STORE_OK && *yes && after < moved)
		s = compare_page(f, queue, &after, moved, &n, yes);
	*yes = *yes && n == last;
	return s;
}

/*
 * Where the chain goes on. The file may be ahead of what the queue remembers, after a crash. It
 * cannot be behind, have another hash, or have what nobody recorded: then somebody changed it. The
 * chain goes on from what is remembered and not from what was found, so that the break stays to be
 * seen; and what waits is recorded, be it a second time.
 */
static enum store_status find_head(struct audit_file *f, struct store *queue,
				   const struct store_outbox *box)
{
	struct audit_head start, last;
	int64_t moved = 0;
	bool same;
	enum store_status s = store_audit_moved(f->store, f->queue, &moved);
	if (s == STORE_OK)
		s = store_audit_ends(f->store, &start, &last);
	if (s == STORE_OK)
		s = agrees(f, &box->head, &start, &same);
	if (s == STORE_OK && same)
		s = is_ours(f, queue, box, moved, last.n, &same);
	if (s != STORE_OK)
		return fail(f, s);
	f->head = same ? last : box->head;
	f->broken = f->broken || !same;
	if (f->head.n < last.n)
		f->head.n = last.n;
	f->done = same && moved > box->moved ? moved : box->moved;
	return STORE_OK;
}

enum store_status audit_file_open(struct audit_file *f, const char *path, struct store *queue,
				  const struct store_outbox *box)
{
	memcpy(f->queue, box->queue, sizeof(f->queue));
	enum store_status s = store_audit_open(path, &f->store, f->error, sizeof(f->error));
	if (s == STORE_OK)
		s = find_head(f, queue, box);
	if (s != STORE_OK)
		audit_file_close(f);
	return s;
}

void audit_file_close(struct audit_file *f)
{
	store_audit_close(&f->store);
}

/* --- Appending --- */

/* A certificate that was taken is known from then on. */
static enum store_status fold_attempt(struct store_audit *a, const struct audit_link *l,
				      const struct audit_attempt *t)
{
	char type[AUDIT_KEY_TYPE_MAX], host[AUDIT_TEXT_MAX + 1];
	if (!t->accepted || t->chain.n == 0)
		return STORE_OK;
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
	return store_audit_peer(a, &p);
}

static enum store_status fold_carried(struct store_audit *a, const struct audit_link *l,
				      const struct audit_carried *c)
{
	char type[AUDIT_TEXT_MAX + 1], host[AUDIT_TEXT_MAX + 1];
	snprintf(host, sizeof(host), "%.*s", (int)c->host.n, (const char *)c->host.p);
	snprintf(type, sizeof(type), "%.*s", (int)c->key_type.n, (const char *)c->key_type.p);
	struct store_peer p = {.host = host,
			       .key_type = type,
			       .port = c->port,
			       .authority = c->authority,
			       .continuity = c->continuity,
			       .record = l->n,
			       .first = c->first,
			       .last = c->last};
	memcpy(p.cert, c->cert, AUDIT_DIGEST);
	memcpy(p.key, c->key, AUDIT_DIGEST);
	return store_audit_peer_carried(a, &p);
}

enum store_status audit_fold(struct store_audit *a, const struct audit_link *l)
{
	struct audit_record r;
	if (audit_decode(l->body, &r) != AUDIT_OK)
		return STORE_OK;
	switch (r.type) {
	case AUDIT_ATTEMPT:
		return fold_attempt(a, l, &r.attempt);
	case AUDIT_CARRIED:
		return fold_carried(a, l, &r.carried);
	case AUDIT_CHECKPOINT:
		return store_audit_forget_peers(a, r.checkpoint.before);
	case AUDIT_FORGOTTEN:
		return store_audit_forget_unauthorised(a, r.forgotten.before);
	case AUDIT_OVERRIDE:
	case AUDIT_SELFCHECK:
		break;
	}
	return STORE_OK;
}

static enum store_status project(struct audit_file *f, const struct audit_link *l)
{
	static const uint8_t none[AUDIT_DIGEST];
	struct audit_record r;
	enum store_status s = audit_fold(f->store, l);
	if (s == STORE_OK && audit_decode(l->body, &r) == AUDIT_OK && r.type == AUDIT_ATTEMPT &&
	    memcmp(r.attempt.evidence, none, AUDIT_DIGEST) != 0)
		s = store_audit_evidence_used(f->store, r.attempt.evidence, l->n);
	return s;
}

/* Evidence is no record of the chain: its signatures are its own proof, and a record has its id.
 * The record that it came for is next. */
static enum store_status keep_evidence(struct audit_file *f, struct slice body, uint64_t next)
{
	struct arena mem;
	struct evidence e;
	uint8_t hash[EVIDENCE_RRSETS_MAX][AUDIT_DIGEST];
	enum store_status s = STORE_OK;
	arena_init(&mem, EVIDENCE_MEM_MAX);
	if (evidence_decode(body, &mem, &e)) { /* the keeper decoded it before: else a bad disk */
		evidence_set_id(&e);
		for (size_t i = 0; i < e.nrrset; i++)
			digest_sha256(&e.rrset[i], 1, hash[i]);
		s = store_audit_evidence_add(f->store, &e, (const uint8_t(*)[AUDIT_DIGEST])hash,
					     next);
	}
	arena_free(&mem);
	return s;
}

static enum store_status append(struct audit_file *f, int64_t time, struct slice body,
				struct audit_head *head)
{
	struct audit_link l = {.time = time, .body = body};
	audit_link_next(digest_sha256, head, &l);
	enum store_status s = store_audit_append(f->store, &l);
	if (s == STORE_OK)
		s = project(f, &l);
	head->n = l.n;
	memcpy(head->hash, l.hash, AUDIT_DIGEST);
	return s;
}

static enum store_status finish(struct audit_file *f, enum store_status s)
{
	if (s == STORE_OK)
		return fail(f, store_audit_commit(f->store));
	fail(f, s);
	store_audit_rollback(f->store);
	return s;
}

static enum store_status append_rows(struct audit_file *f, const struct store_outbox_row *row,
				     size_t n)
{
	struct audit_head head = f->head;
	enum store_status s = store_audit_begin(f->store);
	for (size_t i = 0; i < n && s == STORE_OK; i++)
		s = evidence_is(row[i].body) ? keep_evidence(f, row[i].body, head.n + 1)
					     : append(f, row[i].at, row[i].body, &head);
	if (s == STORE_OK)
		s = store_audit_set_moved(f->store, f->queue, row[n - 1].id);
	s = finish(f, s);
	if (s == STORE_OK) {
		f->head = head;
		f->done = row[n - 1].id;
	}
	return s;
}

enum store_status audit_file_move(struct audit_file *f, struct store *queue, size_t *n)
{
	struct arena mem;
	struct store_outbox_row row[AUDIT_MOVE_ROWS];
	arena_init(&mem, MOVE_MEM_MAX);
	enum store_status s = store_outbox_read(queue, f->done, AUDIT_MOVE_ROWS, &mem, row, n);
	if (s != STORE_OK)
		snprintf(f->error, sizeof(f->error), "outbox: %s", store_error(queue));
	else if (*n > 0)
		s = append_rows(f, row, *n);
	arena_free(&mem);
	return s;
}

/* --- Age --- */

/* The last record that is older than `before`; n 0: none. By halving: times grow with numbers, but
 * for a clock that is set, and then a few records go a little early or late. */
enum store_status audit_file_old(struct audit_file *f, int64_t before, struct audit_head *upto)
{
	struct audit_head start, last;
	enum store_status s = store_audit_ends(f->store, &start, &last);
	uint64_t low = start.n + 1, high = last.n; /* the last record always stays */
	*upto = (struct audit_head){0};
	while (s == STORE_OK && low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct audit_link l;
		s = look(f, middle, &l);
		if (s != STORE_OK)
			break;
		if (l.time < before) {
			upto->n = l.n;
			memcpy(upto->hash, l.hash, AUDIT_DIGEST);
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (s == STORE_NOT_FOUND) { /* nothing can be signed off until the gap is too old itself */
		*upto = (struct audit_head){0};
		s = STORE_OK;
	}
	return fail(f, s);
}

enum store_status audit_file_oldest(struct audit_file *f, struct audit_head *upto)
{
	struct arena mem;
	struct audit_head start, last;
	struct audit_link l = {0};
	size_t n = 0;
	enum store_status s = store_audit_ends(f->store, &start, &last);
	uint64_t at = start.n + (last.n - start.n + AUDIT_OLDEST_PART - 1) / AUDIT_OLDEST_PART;
	if (s != STORE_OK || at <= upto->n)
		return fail(f, s);
	arena_init(&mem, ONE_MEM_MAX);
	s = store_audit_read(f->store, at, false, 1, &mem, &l,
			     &n); /* behind a gap, if there is one */
	if (s == STORE_OK && n == 1 && l.n < last.n) {
		upto->n = l.n;
		memcpy(upto->hash, l.hash, AUDIT_DIGEST);
	}
	arena_free(&mem);
	return fail(f, s);
}

/* The record that a certificate is known from says so; else somebody put it in by hand, and the
 * next change to it would pass for no change (A2). */
static bool says_so(const struct audit_link *l, const struct store_peer *p)
{
	struct audit_record r;
	char type[AUDIT_KEY_TYPE_MAX];
	if (l->n != p->record || audit_decode(l->body, &r) != AUDIT_OK)
		return false;
	if (r.type == AUDIT_CARRIED)
		return slice_eq_str(r.carried.host, p->host) && r.carried.port == p->port &&
		       slice_eq_str(r.carried.key_type, p->key_type) &&
		       memcmp(r.carried.cert, p->cert, AUDIT_DIGEST) == 0 &&
		       memcmp(r.carried.key, p->key, AUDIT_DIGEST) == 0 &&
		       r.carried.continuity == p->continuity && r.carried.first == p->first;
	const struct audit_attempt *a = &r.attempt;
	if (r.type != AUDIT_ATTEMPT || !a->accepted || a->chain.n == 0)
		return false;
	audit_key_type(a->key, type);
	return slice_eq_str(a->host, p->host) && a->port == p->port &&
	       strcmp(type, p->key_type) == 0 &&
	       memcmp(a->chain.cert[0].sha256, p->cert, AUDIT_DIGEST) == 0 &&
	       memcmp(a->chain.cert[0].spki_sha256, p->key, AUDIT_DIGEST) == 0 &&
	       a->continuity == p->continuity && l->time == p->first;
}

static enum store_status carry_one(struct audit_file *f, const struct store_peer *p,
				   audit_file_add *add, void *arg)
{
	struct arena mem;
	struct audit_link l;
	struct buf body;
	size_t n = 0;
	arena_init(&mem, ONE_MEM_MAX);
	buf_init(&body, AUDIT_BODY_MAX);
	enum store_status s = store_audit_read(f->store, p->record, false, 1, &mem, &l, &n);
	if (s == STORE_OK && n == 1 && says_so(&l, p)) {
		struct audit_record r = {.type = AUDIT_CARRIED,
					 .carried = {.host = slice_str(p->host),
						     .key_type = slice_str(p->key_type),
						     .port = p->port,
						     .authority = p->authority,
						     .continuity = p->continuity,
						     .first = p->first,
						     .last = p->last}};
		memcpy(r.carried.cert, p->cert, AUDIT_DIGEST);
		memcpy(r.carried.key, p->key, AUDIT_DIGEST);
		if (!audit_encode(&r, &body) || !add(arg, buf_slice(&body)))
			s = STORE_NO_MEMORY;
	} else if (s == STORE_OK) {
		f->broken = true; /* it stays behind without a record, and is found */
	}
	buf_free(&body);
	arena_free(&mem);
	return s;
}

enum store_status audit_file_carry(struct audit_file *f, int64_t before, struct audit_head *upto,
				   bool *all, audit_file_add *add, void *arg)
{
	struct arena mem;
	struct audit_link l;
	size_t n = 0;
	arena_init(&mem, CARRY_MEM_MAX);
	struct store_peer *p = arena_array(&mem, AUDIT_CARRY_MAX + 1, sizeof(*p));
	enum store_status s = p == NULL
				  ? STORE_NO_MEMORY
				  : store_audit_peers_of_old(f->store, upto->n, before,
							     AUDIT_CARRY_MAX + 1, &mem, p, &n);
	*all = n <= AUDIT_CARRY_MAX;
	if (s == STORE_OK && !*all) {
		n = AUDIT_CARRY_MAX;
		s = look(f, p[n].record - 1, &l);
		upto->n = l.n;
		memcpy(upto->hash, l.hash, AUDIT_DIGEST);
	}
	for (size_t i = 0; i < n && s == STORE_OK; i++)
		s = carry_one(f, &p[i], add, arg);
	arena_free(&mem);
	return fail(f, s);
}

enum store_status audit_file_too_many(struct audit_file *f, struct buf *out)
{
	uint64_t n = 0;
	int64_t last = 0;
	enum store_status s = store_audit_count_peers(f->store, &n);
	if (s != STORE_OK || n <= AUDIT_PEERS_MAX)
		return fail(f, s);
	s = store_audit_nth_unauthorised(
	    f->store, (size_t)(n - AUDIT_PEERS_MAX) + AUDIT_PEERS_MAX / 10, &last);
	if (s == STORE_NOT_FOUND) { /* nearly all are authorised: the others all go */
		last = INT64_MAX - 1;
		s = STORE_OK;
	}
	struct audit_record r = {.type = AUDIT_FORGOTTEN, .forgotten = {.before = last + 1}};
	if (s == STORE_OK && !audit_encode(&r, out))
		s = STORE_NO_MEMORY;
	return fail(f, s);
}

bool audit_file_checkpoint(const struct audit_head *upto, int64_t before, struct buf *out)
{
	struct audit_record r = {.type = AUDIT_CHECKPOINT,
				 .checkpoint = {.upto = upto->n, .before = before}};
	memcpy(r.checkpoint.hash, upto->hash, AUDIT_DIGEST);
	return audit_encode(&r, out);
}

enum store_status audit_file_remove(struct audit_file *f, const struct audit_head *upto)
{
	struct audit_link l;
	enum store_status s = look(f, upto->n, &l);
	if (s == STORE_NOT_FOUND ||
	    (s == STORE_OK && memcmp(l.hash, upto->hash, AUDIT_DIGEST) != 0))
		return STORE_OK; /* it is not the file that was signed off */
	if (s == STORE_OK)
		s = store_audit_begin(f->store);
	if (s != STORE_OK)
		return fail(f, s);
	return finish(f, store_audit_set_start(f->store, upto));
}

enum store_status audit_file_forget(struct audit_file *f, bool *more)
{
	*more = false;
	enum store_status s = store_audit_begin(f->store);
	if (s != STORE_OK)
		return fail(f, s);
	s = store_audit_evidence_forget(f->store, AUDIT_FORGET_ROWS);
	if (s == STORE_OK)
		s = store_audit_forget(f->store, AUDIT_FORGET_ROWS, more);
	return finish(f, s);
}

/* --- Keys ------------------------------------------------------------------------------------- */

enum store_status audit_known(struct store_audit *a, struct slice host, uint16_t port,
			      const char *key_type, struct known_key *out, size_t *n)
{
	struct store_peer found[AUDIT_KNOWN_MAX];
	struct arena mem;
	char name[AUDIT_TEXT_MAX + 1];
	snprintf(name, sizeof(name), "%.*s", (int)host.n, host.n > 0 ? (const char *)host.p : "");
	arena_init(&mem, KNOWN_MEM_MAX);
	enum store_status s =
	    store_audit_known(a, name, port, key_type, AUDIT_KNOWN_MAX, &mem, found, n);
	for (size_t i = 0; s == STORE_OK && i < *n; i++) {
		out[i].authority = found[i].authority;
		memcpy(out[i].cert, found[i].cert, AUDIT_DIGEST);
		memcpy(out[i].key, found[i].key, AUDIT_DIGEST);
	}
	arena_free(&mem);
	return s;
}
