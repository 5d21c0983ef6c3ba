/* SPDX-License-Identifier: MIT */
/*
 * The audit on a disk that breaks: each operation on either file fails in turn, or the power goes
 * there, or the process is killed. After opening both again each record whose group was committed
 * is in the chain exactly once, and the chain is whole up to what the queue remembers of it.
 */
#include "../unit/unit.h"
#include "breaks.h"
#include "digest/digest.h"
#include "help.h"
#include "relay/audit_file.h"
#include "store/room.h"

enum { RECORDS = 24, GROUP = 3 };

/* What the child told the world; shared memory. */
static struct ledger {
	struct breaks_ledger common;
	bool committed[RECORDS];
	bool committing[RECORDS]; /* it may be there or not */
} * ledger;

enum { PATH_ROOM = 300 };

/* The audit file is beside the queue. */
static void audit_path(const char *queue, char path[static PATH_ROOM])
{
	snprintf(path, PATH_ROOM, "%s-audit", queue);
}

/* --- the keeper's run ------------------------------------------------------------------------- */

static struct slice body_of(int i, uint8_t out[static 64])
{
	char name[16];
	struct buf b;
	snprintf(name, sizeof name, "r%d", i);
	struct audit_record r = {.type = AUDIT_SELFCHECK, .selfcheck = {.name = slice_str(name)}};
	buf_init(&b, 64);
	CHECK(audit_encode(&r, &b));
	size_t n = buf_len(&b);
	memcpy(out, buf_slice(&b).p, n);
	buf_free(&b);
	return slice_make(out, n);
}

static enum store_status add_group(struct store *s, int first, int64_t id)
{
	enum store_status status = store_begin(s);
	for (int i = first; i < first + GROUP && status == STORE_OK; i++) {
		uint8_t body[64];
		struct store_outbox_row row = {id + i, T0 + i, body_of(i, body)};
		status = store_outbox_add(s, &row);
	}
	if (status != STORE_OK) {
		store_rollback(s);
		return status;
	}
	for (int i = first; i < first + GROUP; i++)
		ledger->committing[i] = true;
	status = store_commit(s);
	for (int i = first; i < first + GROUP && status == STORE_OK; i++)
		ledger->committed[i] = true;
	for (int i = first; i < first + GROUP && status == STORE_FULL; i++)
		ledger->committing[i] = false;
	return status;
}

static void open_file(struct audit_file *f, const char *path, struct store *s)
{
	struct store_outbox box;
	if (f->store == NULL && store_outbox_state(s, &box) == STORE_OK)
		audit_file_open(f, path, s, &box);
}

/* What a failure of the audit file does to the queue: nothing. */
static void move(struct audit_file *f, const char *path, struct store *s)
{
	size_t n;
	open_file(f, path, s);
	if (f->store == NULL)
		return;
	enum store_status status = audit_file_move(f, s, &n);
	if (status != STORE_OK && status != STORE_BUSY)
		audit_file_close(f);
}

static enum store_status tell(struct audit_file *f, struct store *s)
{
	if (f->store == NULL)
		return STORE_OK;
	enum store_status status = store_begin(s);
	if (status == STORE_OK)
		status = store_outbox_done(s, f->done, &f->head);
	if (status == STORE_OK)
		return store_commit(s);
	store_rollback(s);
	return status;
}

static enum store_status run(struct store *s, const char *queue)
{
	char path[PATH_ROOM];
	struct audit_file f = {0};
	enum store_status status = STORE_OK;
	audit_path(queue, path);
	for (int i = 0; i < RECORDS && status == STORE_OK; i += GROUP) {
		status = add_group(s, i, 1);
		if (i % 2 == 0)
			move(&f, path, s);
		if (i % 4 == 0 && status == STORE_OK)
			status = tell(&f, s);
		if (i == 4 * GROUP && status == STORE_OK)
			status = store_checkpoint(s, SQLITE_CHECKPOINT_RESTART);
	}
	move(&f, path, s);
	audit_file_close(&f);
	return status;
}

/* --- what must hold --------------------------------------------------------------------------- */

static void count_records(struct store_audit *a, int seen[static RECORDS], struct audit_verify *v)
{
	struct arena mem;
	struct audit_link l[2 * RECORDS];
	struct audit_record r;
	size_t n;
	arena_init(&mem, 1 << 20);
	CHECK(store_audit_read(a, 1, false, 2 * RECORDS, &mem, l, &n) == STORE_OK);
	for (size_t i = 0; i < n; i++) {
		CHECK(audit_verify_link(v, &l[i]));
		CHECK(audit_decode(l[i].body, &r) == AUDIT_OK && r.type == AUDIT_SELFCHECK);
		uint64_t number;
		CHECK(slice_to_u64(slice_from(r.selfcheck.name, 1), RECORDS - 1, &number));
		seen[number]++;
	}
	CHECK(audit_verify_end(v));
	arena_free(&mem);
}

/* The next keeper drains the outbox; then all is in the file. */
static void verify(const char *queue)
{
	char path[PATH_ROOM];
	struct audit_file f = {0};
	struct store_outbox box;
	struct audit_head none = {0};
	struct audit_verify v;
	int seen[RECORDS] = {0};
	audit_path(queue, path);
	struct store *s = help_open(queue, NULL);
	CHECK(store_outbox_state(s, &box) == STORE_OK);
	CHECK(audit_file_open(&f, path, s, &box) == STORE_OK);
	CHECK(!f.broken);
	size_t n;
	CHECK(audit_file_move(&f, s, &n) == STORE_OK);
	CHECK(tell(&f, s) == STORE_OK);
	struct audit_head heads[] = {box.head, f.head};
	audit_verify_begin(&v, digest_sha256, &none, heads, 2);
	count_records(f.store, seen, &v);
	for (int i = 0; i < RECORDS; i++) {
		if (ledger->committed[i])
			CHECK(seen[i] == 1);
		else
			CHECK(seen[i] == 0 || (seen[i] == 1 && ledger->committing[i]));
	}
	audit_file_close(&f);
	store_close(&s);
	help_unlink(path);
}

static void broken(const char *queue, enum shim_fault fault, long at, uint32_t seed)
{
	struct store *s;
	char error[256];
	(void)fault, (void)at, (void)seed;
	if (help_try_open(queue, &s, error) == STORE_OK) {
		run(s, queue);
		store_close(&s);
	}
	ledger->common.operations = shim_count();
}

static void work(const char *queue)
{
	struct store *s = help_open(queue, NULL);
	ledger->common.opened = true;
	run(s, queue);
}

/* --- the tests -------------------------------------------------------------------------------- */

static struct breaks keeper = {
    .size = sizeof(struct ledger), .broken = broken, .work = work, .verify = verify};

static void sweep(void **state)
{
	breaks_one(&keeper, SHIM_NONE, 0, 0);
	long n = ledger->common.operations;
	assert_true(n > 150);
	for (int i = 0; i < RECORDS; i++)
		assert_true(ledger->committed[i]);
	breaks_sweep(&keeper, BREAKS_FAULT(state), n, 3, NULL);
}

static void killed_at_any_moment(void **state)
{
	(void)state;
	assert_true(breaks_kill(&keeper, 60, NULL) > 0);
}

int main(void)
{
	ledger = breaks_ledger(sizeof *ledger);
	keeper.ledger = &ledger->common;
	const struct CMUnitTest tests[] = {
	    BREAKS_TEST("each operation fails", sweep, SHIM_EIO),
	    BREAKS_TEST("the disk is full from each operation on", sweep, SHIM_ENOSPC),
	    BREAKS_TEST("the power goes at each operation", sweep, SHIM_POWER_CUT),
	    BREAKS_TEST("the power goes and some writes made it", sweep, SHIM_POWER_TORN),
	    cmocka_unit_test(killed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
