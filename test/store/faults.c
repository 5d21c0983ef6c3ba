/* SPDX-License-Identifier: MIT */
/*
 * The store on a disk that breaks: each operation of a run of the keeper fails in turn, or the
 * power goes there, or the process is killed. After opening again every acknowledged mail is there
 * whole, every acknowledged end of a mail holds, and nothing is half there.
 */
#include "../unit/unit.h"
#include "help.h"
#include "shim.h"
#include "store/room.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAILS = 16, GROUP = 4, EXTRA = MAILS, ALL = MAILS + 1 };

/* What the child told the world; shared memory. */
static struct ledger {
	bool acknowledged[ALL];
	bool ending[ALL]; /* its end is being recorded: it may be there or not */
	bool ended[ALL];  /* that was committed */
	volatile bool opened, finished;
	bool failed;
	long operations;
	enum store_status status;
} * ledger;

/* --- the keeper's run ------------------------------------------------------------------------ */

static enum store_status add_group(struct store *s, int first, int n)
{
	enum store_status status = store_begin(s);
	for (int i = first; i < first + n && status == STORE_OK; i++)
		status = help_add(s, i);
	if (status != STORE_OK) {
		store_rollback(s);
		return status;
	}
	status = store_commit(s);
	for (int i = first; i < first + n && status == STORE_OK; i++)
		ledger->acknowledged[i] = true;
	return status;
}

static enum store_status end_delivery(struct store *s, int64_t id)
{
	struct store_delivery d;
	struct store_recorded out;
	struct arena mem;
	arena_init(&mem, 1 << 20);
	enum store_status status = store_take(s, id, T0, &mem, &d);
	if (status == STORE_OK)
		status = store_mark_dot(s, id);
	struct store_rcpt_result r[2];
	for (size_t i = 0; status == STORE_OK && i < d.nrcpt; i++)
		r[i] = (struct store_rcpt_result){
		    .n = d.rcpt[i].n, .state = STORE_SENT, .reason = "ok"};
	if (status == STORE_OK) {
		struct store_result result = {.delivery = id, .rcpt = r, .nrcpt = d.nrcpt};
		status = store_record(s, &result, &out);
	}
	arena_free(&mem);
	return status;
}

static enum store_status end_mail(struct store *s, int i)
{
	char id[16];
	snprintf(id, sizeof id, "Q%d", i);
	if (ledger->ended[i])
		return STORE_OK;
	int64_t first = help_first_delivery(s, id);
	enum store_status status = store_begin(s);
	if (status == STORE_OK)
		status = end_delivery(s, first);
	if (status == STORE_OK)
		status = end_delivery(s, first + 1);
	if (status != STORE_OK) {
		store_rollback(s);
		return status;
	}
	ledger->ending[i] = true;
	status = store_commit(s);
	if (status == STORE_OK)
		ledger->ended[i] = true;
	else if (status == STORE_FULL)
		ledger->ending[i] = false;
	return status;
}

static enum store_status run(struct store *s)
{
	enum store_status status = STORE_OK;
	for (int i = 0; i < MAILS && status == STORE_OK; i += GROUP) {
		if (!ledger->acknowledged[i])
			status = add_group(s, i, GROUP);
		if (status == STORE_OK)
			status = end_mail(s, i + 1);
		if (status == STORE_OK && i == GROUP)
			status = store_checkpoint(s, SQLITE_CHECKPOINT_RESTART);
	}
	bool more;
	return status == STORE_OK ? store_maintain(s, T0, &more) : status;
}

/* --- what must hold -------------------------------------------------------------------------- */

static void verify(struct store *s, bool exactly)
{
	bool have[ALL];
	help_verify(s, have, ALL);
	for (int i = 0; i < ALL; i++) {
		bool want = ledger->acknowledged[i] && !ledger->ended[i];
		if (want && !ledger->ending[i])
			CHECK(have[i]);
		if (exactly || ledger->ended[i])
			CHECK(have[i] == want);
	}
}

/* IO: final. The reads show what was committed; no write, no sync, not even by closing. */
static void after_io(struct store *s)
{
	CHECK(store_health(s) == STORE_IO);
	long before = shim_count();
	verify(s, true);
	CHECK(store_begin(s) == STORE_IO);
	CHECK(help_add(s, EXTRA) == STORE_IO);
	CHECK(store_commit(s) == STORE_IO);
	bool more;
	CHECK(store_maintain(s, T0, &more) == STORE_IO);
	CHECK(store_error(s)[0]);
	store_close(&s);
	CHECK(shim_count() == before);
}

/* FULL: all of the group is gone and nothing else; when there is room again it goes on. */
static void after_full(struct store *s)
{
	CHECK(store_health(s) == STORE_OK);
	verify(s, true);
	shim_heal();
	CHECK(run(s) == STORE_OK);
	store_close(&s);
}

static void child(const char *path, enum shim_fault fault, long at, uint32_t seed)
{
	shim_install();
	shim_plan(fault, at, seed);
	struct store *s;
	char error[256];
	enum store_status status = help_try_open(path, &s, error);
	ledger->opened = status == STORE_OK;
	if (status == STORE_OK)
		status = run(s);
	ledger->status = status;
	ledger->failed = status != STORE_OK;
	if (!ledger->opened) {
		CHECK(error[0]);
	} else if (status == STORE_IO) {
		after_io(s);
	} else if (status == STORE_FULL) {
		after_full(s);
	} else {
		CHECK(status == STORE_OK);
		store_close(&s);
	}
	ledger->operations = shim_count();
	if (fault != SHIM_EIO_SYNC)
		_exit(0);
	/* Opened again without a reboot: the kernel still shows what the disk never got. The power
	 * goes while that happens, or after one mail more. */
	shim_plan(SHIM_POWER_CUT, 1 + seed % 61, seed);
	s = help_open(path, NULL);
	if (seed % 3)
		CHECK(add_group(s, EXTRA, 1) == STORE_OK);
	shim_power_cut();
}

static void one(enum shim_fault fault, long at, uint32_t seed)
{
	char path[256];
	help_path(path);
	memset(ledger, 0, sizeof *ledger);
	pid_t pid = fork();
	if (pid == 0)
		child(path, fault, at, seed);
	int status;
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != SHIM_EXIT))
		print_error("fault %d at %ld, seed %u\n", (int)fault, at, seed);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SHIM_EXIT);
	struct store *s = help_open(path, NULL);
	verify(s, false);
	CHECK(help_add(s, 0) == STORE_MISUSE);
	store_close(&s);
	help_audit(path);
	help_clean(path);
}

static long operations(void)
{
	one(SHIM_NONE, 0, 0);
	return ledger->operations;
}

/* Operations of the run, including those of opening and closing: every fifth, or with
 * STORE_SWEEP=1 every one (a minute). */
static void sweep(enum shim_fault fault)
{
	const char *wanted = getenv("STORE_SWEEP");
	long n = operations(), struck = 0, step = wanted ? strtol(wanted, NULL, 10) : 5;
	assert_true(n > 100 && step > 0);
	for (long at = 1 + (long)fault % step; at <= n; at += step) {
		one(fault, at, (uint32_t)at);
		struck += ledger->failed;
	}
	print_message("%ld operations, %ld failures seen by the keeper\n", n, struck);
	if (fault == SHIM_EIO || fault == SHIM_ENOSPC || fault == SHIM_EIO_SYNC)
		assert_true(struck > 5);
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

static void a_failed_sync_then_a_restart_then_the_power(void **state)
{
	(void)state;
	sweep(SHIM_EIO_SYNC);
}

/* --- kill -9 --------------------------------------------------------------------------------- */

enum { KILLS = 60 };

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Until the other process says so. */
static void await(volatile bool *flag)
{
	for (int i = 0; !*flag && i < 60000; i++)
		usleep(1000);
	CHECK(*flag);
}

/* A keeper, killed `after` microseconds of work, or at its end (-1). How long it worked. */
static int64_t killed(int64_t after)
{
	char path[256];
	help_path(path);
	memset(ledger, 0, sizeof *ledger);
	pid_t pid = fork();
	if (pid == 0) {
		struct store *s = help_open(path, NULL);
		ledger->opened = true;
		run(s);
		ledger->finished = true;
		for (;;)
			pause();
	}
	await(&ledger->opened);
	int64_t start = now_us();
	if (after < 0)
		await(&ledger->finished);
	else
		usleep((useconds_t)after);
	int64_t worked = now_us() - start;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	struct store *s = help_open(path, NULL);
	verify(s, false);
	store_close(&s);
	help_audit(path);
	help_clean(path);
	return worked;
}

static void killed_at_any_moment(void **state)
{
	(void)state;
	int seen = 0, cut = 0;
	int64_t whole = killed(-1);
	for (int i = 0; i < KILLS; i++) {
		killed(whole * i / KILLS);
		for (int k = 0; k < MAILS; k++)
			seen += ledger->acknowledged[k];
		cut += !ledger->finished;
	}
	print_message("%d acknowledged mails, %d of %d runs cut short\n", seen, cut, KILLS);
	assert_true(seen > 0 && cut > KILLS / 10);
}

int main(void)
{
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1); /* thousands of stores; no power is cut for real */
	ledger =
	    mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(ledger != MAP_FAILED);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_operation_fails),
	    cmocka_unit_test(the_disk_is_full_from_each_operation_on),
	    cmocka_unit_test(the_power_goes_at_each_operation),
	    cmocka_unit_test(the_power_goes_and_some_writes_made_it),
	    cmocka_unit_test(a_failed_sync_then_a_restart_then_the_power),
	    cmocka_unit_test(killed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
