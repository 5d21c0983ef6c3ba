/* SPDX-License-Identifier: MIT */
/*
 * Thousands of steps by chance, good and bad ones, on memory and a disk that now and then have no
 * more room. A call that was refused has changed nothing, a group that was undone has left nothing,
 * and after every commit each counter is what counting gives.
 */
#include "../unit/unit.h"
#include "help.h"
#include "shim.h"
#include "store/audit.h"
#include "store/room.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	STEPS = 1500, /* of each seed */
	SEEDS = 1,    /* STORE_SEEDS in the environment: more */
	HOPS = 6,
	MESSAGES = 24, /* more are not added */
	CACHE = 32768, /* a few pages: large groups go to the log before their commit */
};

/* --- memory that ends ------------------------------------------------------------------------ */

/* SQLite's allocations until one is refused (and, if so wished, all that follow); -1: none. */
static struct {
	sqlite3_mem_methods real;
	long left;
	bool for_good, struck;
} memory = {.left = -1};

static bool refused(void)
{
	if (memory.left < 0 || memory.left-- > 0)
		return false;
	memory.struck = true;
	memory.left = memory.for_good ? 0 : -1;
	return true;
}

static void *some(int n)
{
	return refused() ? NULL : memory.real.xMalloc(n);
}

static void *more_of(void *p, int n)
{
	return refused() ? NULL : memory.real.xRealloc(p, n);
}

static void watch_memory(void)
{
	CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real) == SQLITE_OK);
	sqlite3_mem_methods mine = memory.real;
	mine.xMalloc = some;
	mine.xRealloc = more_of;
	CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) == SQLITE_OK);
	/* Small allocations too: no pool in front. */
	CHECK(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
}

/* --- the run --------------------------------------------------------------------------------- */

struct run {
	struct store *s;
	char path[256];
	uint32_t seed;
	int64_t now;
	int added; /* for names that are new */
	int64_t outbox;
	uint64_t committed; /* what was in the file after the last commit */
	struct counters counters;
	bool doomed; /* a call has undone the group */
	enum store_status doom;
	long refused, undone, commits;
	int step;
};

static uint32_t chance(struct run *r, uint32_t n)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (r->seed >> 8) % n;
}

/* In the next call of the store, now and then. */
static void plan_fault(struct run *r)
{
	uint32_t what = chance(r, 20);
	memory.struck = false;
	if (what < 2) {
		memory.for_good = chance(r, 2);
		memory.left = (long)chance(r, 60);
	} else if (what == 2) {
		shim_plan(SHIM_ENOSPC, 1 + (long)chance(r, 4), r->seed);
	}
}

static void no_faults(void)
{
	memory.left = -1;
	shim_heal();
}

/* --- all rows as a number -------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 1099511628211u;
	return h;
}

static uint64_t mix_rows(sqlite3 *db, const char *sql, uint64_t h)
{
	sqlite3_stmt *st;
	CHECK(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK);
	int rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(st); i++) {
			const void *p = sqlite3_column_blob(st, i);
			int n = sqlite3_column_bytes(st, i);
			h = mix(h, &n, sizeof n);
			h = mix(h, p, p ? (size_t)n : 0);
		}
	CHECK(rc == SQLITE_DONE);
	sqlite3_finalize(st);
	return h;
}

static uint64_t all_rows(struct store *s)
{
	static const char *const tables[] = {
	    "SELECT * FROM totals",
	    "SELECT * FROM message ORDER BY id",
	    "SELECT id, length(part) FROM body ORDER BY id",
	    "SELECT * FROM destination ORDER BY id",
	    "SELECT * FROM delivery ORDER BY id",
	    "SELECT * FROM recipient ORDER BY delivery, n",
	    "SELECT * FROM try ORDER BY delivery, n",
	    "SELECT * FROM override ORDER BY pattern",
	    "SELECT * FROM reason_total ORDER BY reason",
	    "SELECT * FROM outbox ORDER BY id",
	    "SELECT * FROM audit_head",
	};
	uint64_t h = 1469598103934665603u;
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		h = mix_rows(s->db, tables[i], h);
	return h;
}

static int64_t number(struct run *r, const char *sql)
{
	sqlite3_stmt *st;
	CHECK(sqlite3_prepare_v2(r->s->db, sql, -1, &st, NULL) == SQLITE_OK);
	int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return n;
}

/* A delivery of the state, mostly; or one that has gone, or never was. */
static int64_t some_delivery(struct run *r, int state)
{
	char sql[160];
	if (chance(r, 12) == 0)
		return (int64_t)chance(r, 60);
	snprintf(sql, sizeof sql,
		 "SELECT id FROM delivery WHERE state = %d OR %u = 0 ORDER BY (id * %u) %% 101 "
		 "LIMIT 1",
		 state, chance(r, 8), chance(r, 100) + 1);
	return number(r, sql);
}

/* --- steps ----------------------------------------------------------------------------------- */

static int text_file(struct run *r, size_t n)
{
	static uint8_t text[400000];
	int fd = memfd_create("text", MFD_CLOEXEC);
	memset(text, (int)chance(r, 256), n);
	CHECK(fd >= 0 && write(fd, text, n) == (ssize_t)n);
	return fd;
}

/* In memory or in a file, some too short, some with a name that is taken or too long. */
static enum store_status step_add(struct run *r)
{
	static const size_t sizes[] = {0, 1, 300, 4000, 9000, 70000, 300000};
	static uint8_t text[400000];
	static char too_long[2000];
	char id[24], hop[3][32], who[3][32];
	struct store_new_rcpt rcpt[3];
	struct store_new_delivery d[3] = {0};
	memset(too_long, 'x', sizeof too_long - 1);
	bool file = chance(r, 2);
	size_t n = sizes[chance(r, 7)], nd = 1 + chance(r, 3), first = chance(r, HOPS);
	snprintf(id, sizeof id, "M%d",
		 chance(r, 15) ? ++r->added : (int)chance(r, (uint32_t)r->added + 1));
	for (size_t i = 0; i < 3; i++) {
		snprintf(who[i], sizeof who[i], "r%zu@x.example", i);
		rcpt[i] = (struct store_new_rcpt){.address = who[i]};
	}
	if (chance(r, 40) == 0)
		rcpt[0].address = too_long;
	for (size_t i = 0; i < nd; i++) {
		snprintf(hop[i], sizeof hop[i], "d%zu.example", (first + i) % HOPS);
		d[i] = (struct store_new_delivery){.next_hop = hop[i],
						   .rcpt = rcpt,
						   .nrcpt = 1 + chance(r, 3),
						   .due = r->now + (int64_t)chance(r, 1000) - 500};
	}
	int fd = file ? text_file(r, chance(r, 10) ? n : n / 2) : -1;
	snprintf(who[0] + 20, sizeof who[0] - 20, "s%u@y", chance(r, 4));
	struct store_new_message m = {
	    .envelope = {.queue_id = id,
			 .arrived = r->now,
			 .expires = r->now + 5000,
			 .reverse_path = who[0] + 20,
			 .origin = "test",
			 .ret = chance(r, 30) ? NULL : "neither",
			 .size = n},
	    .warn = chance(r, 2) ? r->now + 100 : 0,
	    .text = {.bytes = slice_make(text, file ? 0 : n), .fd = fd},
	    .delivery = d,
	    .ndelivery = nd,
	};
	plan_fault(r);
	enum store_status status = store_add(r->s, &m);
	if (fd >= 0)
		close(fd);
	return status;
}

static enum store_status step_take(struct run *r)
{
	struct store_delivery d;
	struct arena mem;
	arena_init(&mem, chance(r, 20) ? 1 << 20 : 64);
	int64_t id = some_delivery(r, STORE_WAITING);
	plan_fault(r);
	enum store_status status = store_take(r->s, id, r->now, &mem, &d);
	arena_free(&mem);
	return status;
}

static const char *some_reason(struct run *r)
{
	static const char *const reasons[] = {"timeout", "refused", "tlsa-invalid", NULL};
	return reasons[chance(r, 4)];
}

/* Mostly the pending ones, each once; now and then one that is wrong, or one twice. */
static size_t some_rcpts(struct run *r, int64_t delivery, struct store_rcpt_result out[static 8])
{
	char sql[96];
	size_t n = 0;
	uint32_t sent = chance(r, 3);
	for (uint32_t i = 0; i < 3; i++) {
		snprintf(sql, sizeof sql,
			 "SELECT state = 0 FROM recipient WHERE delivery = %lld AND n = %u",
			 (long long)delivery, i);
		bool wrong = chance(r, 25) == 0;
		if ((!number(r, sql) && !wrong) || chance(r, 6) == 0)
			continue;
		for (int twice = chance(r, 40) == 0; twice >= 0; twice--)
			out[n++] = (struct store_rcpt_result){
			    .n = i,
			    .state = (enum store_rcpt_state)(sent ? sent : chance(r, 3)),
			    .reason = some_reason(r)};
	}
	return n;
}

static enum store_status step_record(struct run *r)
{
	static char too_long[300];
	struct store_rcpt_result rcpt[8];
	struct store_try tries[30];
	struct store_recorded out;
	memset(too_long, 'x', sizeof too_long - 1);
	int64_t id = some_delivery(r, STORE_ACTIVE);
	size_t n = some_rcpts(r, id, rcpt), ntries = chance(r, 4) ? chance(r, 3) : chance(r, 30);
	for (size_t i = 0; i < ntries; i++)
		tries[i] = (struct store_try){.at = r->now, .reason = "timeout", .host = "h"};
	if (ntries > 0 && chance(r, 30) == 0)
		tries[ntries - 1].host = too_long;
	struct store_result x = {.delivery = id,
				 .at = r->now,
				 .due = r->now + (int64_t)chance(r, 100),
				 .unknown = chance(r, 10) == 0,
				 .reason = some_reason(r),
				 .rcpt = rcpt,
				 .nrcpt = n,
				 .tries = tries,
				 .ntries = ntries};
	plan_fault(r);
	return store_record(r->s, &x, &out);
}

static enum store_status step_operate(struct run *r)
{
	enum store_op op = (enum store_op)chance(r, 5);
	int state = op == STORE_OP_RELEASE ? STORE_HELD : (int)chance(r, 4);
	int64_t id = some_delivery(r, state);
	plan_fault(r);
	return store_change(r->s, op, id, r->now);
}

static enum store_status step_remove_rcpt(struct run *r)
{
	int64_t id = some_delivery(r, (int)chance(r, 2));
	uint32_t n = chance(r, 4);
	plan_fault(r);
	return store_remove_rcpt(r->s, id, n);
}

static enum store_status step_dot(struct run *r)
{
	int64_t id = some_delivery(r, STORE_ACTIVE);
	plan_fault(r);
	return store_mark_dot(r->s, id);
}

static enum store_status step_warned(struct run *r)
{
	int64_t id = some_delivery(r, STORE_WAITING);
	plan_fault(r);
	return store_warned(r->s, id);
}

static enum store_status step_destination(struct run *r)
{
	int64_t id = (int64_t)chance(r, HOPS + 1);
	bool works = chance(r, 2);
	plan_fault(r);
	if (works)
		return store_works(r->s, id, r->now);
	return store_back_off(r->s, id, r->now, r->now + 50, "timeout", NULL, NULL);
}

static enum store_status step_shift(struct run *r)
{
	struct store_shift x = {.by = (int64_t)chance(r, 3) * 40 - 40,
				.due_max = r->now + 300,
				.expires_max = r->now + 6000};
	plan_fault(r);
	return store_shift(r->s, &x);
}

static enum store_status step_override(struct run *r)
{
	char pattern[24];
	snprintf(pattern, sizeof pattern, "*.d%u.example", chance(r, 4));
	struct store_override o = {
	    .pattern = pattern, .policy = "may", .made = r->now, .expires = r->now + 10};
	bool set = chance(r, 2);
	plan_fault(r);
	return set ? store_override_set(r->s, &o) : store_override_clear(r->s, pattern);
}

static enum store_status step_outbox(struct run *r)
{
	struct audit_head head = {.n = chance(r, 100)};
	struct store_outbox_row row = {
	    .id = ++r->outbox, .at = r->now, .body = SLICE_LIT("a record")};
	bool add = chance(r, 3);
	plan_fault(r);
	return add ? store_outbox_add(r->s, &row) : store_outbox_done(r->s, r->outbox - 3, &head);
}

/* --- what must hold -------------------------------------------------------------------------- */

static bool same_counters(const struct counters *a, const struct counters *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static void check_committed(struct run *r)
{
	CHECK(sqlite3_get_autocommit(r->s->db));
	CHECK(all_rows(r->s) == r->committed);
	CHECK(same_counters(&r->s->now, &r->counters));
}

static void remember(struct run *r)
{
	r->committed = all_rows(r->s);
	r->counters = r->s->now;
	help_count(r->s->db);
}

static const struct {
	enum store_status (*step)(struct run *r);
	uint32_t weight;
} steps[] = {
    {step_add, 24},        {step_take, 24},    {step_record, 24}, {step_operate, 12},
    {step_remove_rcpt, 6}, {step_dot, 6},      {step_warned, 2},  {step_destination, 4},
    {step_shift, 1},       {step_override, 2}, {step_outbox, 3},
};

static enum store_status any_step(struct run *r)
{
	uint32_t sum = 0, at;
	size_t i = 0;
	for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++)
		sum += steps[k].weight;
	for (at = chance(r, sum); at >= steps[i].weight; i++)
		at -= steps[i].weight;
	if (i == 0 && r->s->now.messages > MESSAGES)
		i = 2;
	return steps[i].step(r);
}

static void one_step(struct run *r)
{
	uint64_t before = all_rows(r->s);
	struct counters counted = r->s->now;
	enum store_status status = any_step(r);
	no_faults();
	if (r->doomed) {
		CHECK(status == r->doom);
		check_committed(r);
	} else if (r->s->txn == TXN_DOOMED) {
		CHECK(status != STORE_OK);
		r->doomed = true;
		r->doom = r->s->doom;
		r->undone++;
		check_committed(r);
	} else if (status != STORE_OK) {
		r->refused++;
		CHECK(all_rows(r->s) == before);
		CHECK(same_counters(&r->s->now, &counted));
	}
}

static void end_group(struct run *r)
{
	if (chance(r, 8) == 0) {
		store_rollback(r->s);
		check_committed(r);
	} else {
		plan_fault(r);
		enum store_status status = store_commit(r->s);
		no_faults();
		CHECK(!r->doomed || status == r->doom);
		r->commits += status == STORE_OK;
		if (status == STORE_OK)
			remember(r);
		else
			check_committed(r);
	}
	r->doomed = false;
}

static void open_again(struct run *r)
{
	struct store_config c = {.path = r->path, .cache_bytes = CACHE};
	struct store_recovery recovery;
	char error[256];
	for (enum store_status status = STORE_BUSY; status != STORE_OK;) {
		plan_fault(r);
		status = store_open(&c, r->now, &r->s, &recovery, error, sizeof error);
		no_faults();
		CHECK(status == STORE_OK || status == STORE_NO_MEMORY || status == STORE_FULL ||
		      status == STORE_IO);
	}
	remember(r);
}

static void copy(const char *from, const char *to)
{
	static char block[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(in >= 0 && out >= 0);
	for (ssize_t n; (n = read(in, block, sizeof block)) > 0;)
		CHECK(write(out, block, (size_t)n) == n);
	close(in);
	close(out);
}

/* As a process that is killed leaves the files: all of the last commit, and nothing after it.
 * Closing a descriptor of the file drops the locks of the store; nobody else wants them. */
static void look_at_a_copy(struct run *r)
{
	char there[264], from[272], to[272];
	snprintf(there, sizeof there, "%s-copy", r->path); /* help_path(): short */
	copy(r->path, there);
	snprintf(from, sizeof from, "%s-wal", r->path);
	snprintf(to, sizeof to, "%s-wal", there);
	copy(from, to);
	struct store s = {0};
	CHECK(sqlite3_open_v2(there, &s.db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
	CHECK(sqlite3_exec(s.db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) == SQLITE_OK);
	CHECK(all_rows(&s) == r->committed);
	CHECK(sqlite3_close(s.db) == SQLITE_OK);
	help_unlink(there);
}

static void outside(struct run *r)
{
	bool more;
	uint32_t what = chance(r, 12);
	if (what == 0) {
		store_close(&r->s);
		open_again(r);
	} else if (what < 4) {
		plan_fault(r);
		store_maintain(r->s, r->now + (int64_t)chance(r, 2) * 1000000000, &more);
		no_faults();
		remember(r);
	} else if (what == 4) {
		CHECK(store_checkpoint(r->s, SQLITE_CHECKPOINT_TRUNCATE) == STORE_OK);
	}
}

static void play(uint32_t seed)
{
	struct run r = {.seed = seed, .now = T0};
	help_path(r.path);
	open_again(&r);
	for (r.step = 0; r.step < STEPS; r.step++) {
		r.now += (int64_t)chance(&r, 4);
		if (r.s->txn == TXN_NONE) {
			outside(&r);
			CHECK(store_begin(r.s) == STORE_OK);
		}
		one_step(&r);
		if (chance(&r, 300) == 0)
			look_at_a_copy(&r);
		if (chance(&r, 8) == 0 || (r.doomed && chance(&r, 2)))
			end_group(&r);
	}
	print_message("%ld calls refused, %ld groups undone, %ld commits\n", r.refused, r.undone,
		      r.commits);
	CHECK(r.refused > 100 && r.undone > 20 && r.commits > 100);
	store_close(&r.s);
	help_clean(r.path);
}

static void every_counter_holds_whatever_happens(void **state)
{
	(void)state;
	const char *wanted = getenv("STORE_SEEDS");
	long n = wanted ? strtol(wanted, NULL, 10) : SEEDS;
	for (uint32_t seed = 1; seed <= (uint32_t)n; seed++)
		play(seed);
}

int main(void)
{
	watch_memory();
	shim_install();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_counter_holds_whatever_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
