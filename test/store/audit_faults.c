/* SPDX-License-Identifier: MIT */
/*
 * The audit on a disk that breaks: each operation on either file fails in turn, or the power goes
 * there, or the process is killed. After opening both again each record whose group was committed
 * is in the chain exactly once, and the chain is whole up to what the queue remembers of it.
 */
#include "../unit/unit.h"
#include "digest/digest.h"
#include "help.h"
#include "relay/audit_file.h"
#include "shim.h"
#include "store/room.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORDS = 24, GROUP = 3 };

/* What the child told the world; shared memory. */
static struct ledger {
	bool committed[RECORDS];
	bool committing[RECORDS]; /* it may be there or not */
	volatile bool opened, finished;
	long operations;
} * ledger;

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

static enum store_status run(struct store *s, const char *path)
{
	struct audit_file f = {0};
	enum store_status status = STORE_OK;
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
static void verify(const char *queue, const char *path)
{
	struct audit_file f = {0};
	struct store_outbox box;
	struct audit_head none = {0};
	struct audit_verify v;
	int seen[RECORDS] = {0};
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
}

static void child(const char *queue, const char *path, enum shim_fault fault, long at,
		  uint32_t seed)
{
	shim_install();
	shim_plan(fault, at, seed);
	struct store *s;
	char error[256];
	if (help_try_open(queue, &s, error) == STORE_OK) {
		run(s, path);
		store_close(&s);
	}
	ledger->operations = shim_count();
	_exit(0);
}

static void one(enum shim_fault fault, long at, uint32_t seed)
{
	char queue[256], path[300];
	help_path(queue);
	snprintf(path, sizeof path, "%s-audit", queue);
	memset(ledger, 0, sizeof *ledger);
	pid_t pid = fork();
	if (pid == 0)
		child(queue, path, fault, at, seed);
	int status;
	waitpid(pid, &status, 0);
	bool ended =
	    WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SHIM_EXIT);
	if (!ended)
		print_error("fault %d at %ld, seed %u\n", (int)fault, at, seed);
	assert_true(ended);
	verify(queue, path);
	help_unlink(path);
	help_clean(queue);
}

static long operations(void)
{
	one(SHIM_NONE, 0, 0);
	for (int i = 0; i < RECORDS; i++)
		assert_true(ledger->committed[i]);
	return ledger->operations;
}

/* Every third operation, or with STORE_SWEEP=1 every one. */
static void sweep(enum shim_fault fault)
{
	const char *wanted = getenv("STORE_SWEEP");
	long n = operations(), step = wanted ? strtol(wanted, NULL, 10) : 3;
	assert_true(n > 150 && step > 0);
	for (long at = 1 + (long)fault % step; at <= n; at += step)
		one(fault, at, (uint32_t)at);
	print_message("%ld operations\n", n);
}

static void each_operation_fails(void **state)
{
	(void)state;
	sweep(SHIM_EIO);
}

static void the_disk_is_full_from_each_operation_on(void **state)
{
	(void)state;
	sweep(SHIM_ENOSPC);
}

static void the_power_goes_at_each_operation(void **state)
{
	(void)state;
	sweep(SHIM_POWER_CUT);
}

static void the_power_goes_and_some_writes_made_it(void **state)
{
	(void)state;
	sweep(SHIM_POWER_TORN);
}

/* --- kill -9 ---------------------------------------------------------------------------------- */

enum { KILLS = 60 };

static void killed_at_any_moment(void **state)
{
	(void)state;
	int cut = 0;
	for (int i = 0; i < KILLS; i++) {
		char queue[256], path[300];
		help_path(queue);
		snprintf(path, sizeof path, "%s-audit", queue);
		memset(ledger, 0, sizeof *ledger);
		pid_t pid = fork();
		if (pid == 0) {
			struct store *s = help_open(queue, NULL);
			ledger->opened = true;
			run(s, path);
			ledger->finished = true;
			for (;;)
				pause();
		}
		for (int k = 0; !ledger->opened && k < 60000; k++)
			usleep(1000);
		usleep((useconds_t)(i * 300));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		cut += !ledger->finished;
		verify(queue, path);
		help_unlink(path);
		help_clean(queue);
	}
	print_message("%d of %d runs cut short\n", cut, KILLS);
	assert_true(cut > 0);
}

int main(void)
{
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1); /* no power is cut for real */
	ledger =
	    mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(ledger != MAP_FAILED);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_operation_fails),
	    cmocka_unit_test(the_disk_is_full_from_each_operation_on),
	    cmocka_unit_test(the_power_goes_at_each_operation),
	    cmocka_unit_test(the_power_goes_and_some_writes_made_it),
	    cmocka_unit_test(killed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
