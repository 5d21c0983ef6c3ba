/* SPDX-License-Identifier: MIT */
/*
 * The store on a disk that breaks: each operation of a run of the keeper fails in turn, or the
 * power goes there, or the process is killed. After opening again every acknowledged mail is there
 * whole, every acknowledged end of a mail holds, and nothing is half there.
 */
#include "../unit/unit.h"
#include "breaks.h"
#include "help.h"
#include "store/room.h"

enum { MAILS = 16, GROUP = 4, EXTRA = MAILS, ALL = MAILS + 1 };

/* What the child told the world; shared memory. */
static struct ledger {
	struct breaks_ledger common;
	bool acknowledged[ALL];
	bool ending[ALL]; /* its end is being recorded: it may be there or not */
	bool ended[ALL];  /* that was committed */
	bool failed;
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

static void broken(const char *path, enum shim_fault fault, long at, uint32_t seed)
{
	struct store *s;
	char error[256];
	(void)at;
	enum store_status status = help_try_open(path, &s, error);
	bool opened = status == STORE_OK;
	if (opened)
		status = run(s);
	ledger->failed = status != STORE_OK;
	if (!opened) {
		CHECK(error[0]);
	} else if (status == STORE_IO) {
		after_io(s);
	} else if (status == STORE_FULL) {
		after_full(s);
	} else {
		CHECK(status == STORE_OK);
		store_close(&s);
	}
	ledger->common.operations = shim_count();
	if (fault != SHIM_EIO_SYNC)
		return;
	/* Opened again without a reboot: the kernel still shows what the disk never got. The power
	 * goes while that happens, or after one mail more. */
	shim_plan(SHIM_POWER_CUT, 1 + seed % 61, seed);
	s = help_open(path, NULL);
	if (seed % 3)
		CHECK(add_group(s, EXTRA, 1) == STORE_OK);
	shim_power_cut();
}

static void work(const char *path)
{
	struct store *s = help_open(path, NULL);
	ledger->common.opened = true;
	run(s);
}

static void verify_again(const char *path)
{
	struct store *s = help_open(path, NULL);
	verify(s, false);
	CHECK(help_add(s, 0) == STORE_MISUSE); /* outside a transaction */
	store_close(&s);
	help_audit(path);
}

/* --- the tests ------------------------------------------------------------------------------- */

static struct breaks keeper = {
    .size = sizeof(struct ledger), .broken = broken, .work = work, .verify = verify_again};
static long struck;

static void count_struck(void)
{
	struck += ledger->failed;
}

/* Operations of the run, including those of opening and closing. */
static void sweep(void **state)
{
	enum shim_fault fault = BREAKS_FAULT(state);
	breaks_one(&keeper, SHIM_NONE, 0, 0);
	long n = ledger->common.operations;
	assert_true(n > 100);
	struck = 0;
	breaks_sweep(&keeper, fault, n, 5, count_struck);
	print_message("%ld failures seen by the keeper\n", struck);
	if (fault == SHIM_EIO || fault == SHIM_ENOSPC || fault == SHIM_EIO_SYNC)
		assert_true(struck > 5);
}

enum { KILLS = 60 };
static int seen;

static void count_seen(void)
{
	for (int i = 0; i < MAILS; i++)
		seen += ledger->acknowledged[i];
}

static void killed_at_any_moment(void **state)
{
	(void)state;
	seen = 0;
	int cut = breaks_kill(&keeper, KILLS, count_seen);
	print_message("%d acknowledged mails\n", seen);
	assert_true(seen > 0 && cut > KILLS / 10);
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
	    BREAKS_TEST("a failed sync, then a restart, then the power", sweep, SHIM_EIO_SYNC),
	    cmocka_unit_test(killed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
