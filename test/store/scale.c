/* SPDX-License-Identifier: MIT */
/*
 * Many deliveries: 100,000, or as many as STORE_ROWS says. The calls of the schedule and the
 * metrics take no longer than with few, and the memory stays bounded.
 */
#include "../unit/unit.h"
#include "help.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DESTINATIONS = 5000, GROUP = 500 };

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long peak_kib(void)
{
	long kib = -1;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static void fill(struct store *s, long rows)
{
	for (long i = 0; i < rows;) {
		CHECK(store_begin(s) == STORE_OK);
		for (int k = 0; k < GROUP && i < rows; k++, i++) {
			char id[24], hop[32];
			snprintf(id, sizeof id, "M%ld", i);
			snprintf(hop, sizeof hop, "d%ld.example", i * 7919 % DESTINATIONS);
			CHECK(help_add_one(s, id, hop, T0 + i * 31 % 1000) == STORE_OK);
		}
		CHECK(store_commit(s) == STORE_OK);
	}
}

static void work(struct store *s, int i)
{
	struct store_destination d[10];
	struct store_totals t;
	struct store_next next;
	struct store_alarm alarm[10];
	struct store_delivery one, page[50];
	struct store_recorded out;
	struct arena mem;
	int64_t due[10], after, busy[10];
	size_t n, m;
	arena_init(&mem, 4 << 20);
	CHECK(store_next(s, &next) == STORE_OK);
	CHECK(store_ready(s, T0 + 2000, NULL, 0, 10, &mem, d, &n) == STORE_OK && n == 10);
	for (size_t k = 0; k < n; k++)
		busy[k] = d[k].id;
	CHECK(store_ready(s, T0 + 2000, busy, 10, 10, &mem, d, &n) == STORE_OK && n == 10);
	bool more;
	CHECK(store_due(s, d[0].id, T0 + 2000, 10, 5, due, &n, &more) == STORE_OK && n > 0);
	CHECK(store_begin(s) == STORE_OK);
	CHECK(store_take(s, due[0], T0, &mem, &one) == STORE_OK);
	struct store_rcpt_result r = {.state = STORE_SENT};
	struct store_result result = {.delivery = due[0],
				      .due = T0 + 3000,
				      .reason = "timeout",
				      .rcpt = &r,
				      .nrcpt = (size_t)(i % 2)};
	CHECK(store_record(s, &result, &out) == STORE_OK);
	CHECK(store_commit(s) == STORE_OK);
	CHECK(store_alarms(s, T0 + 5000, 10, alarm, &n) == STORE_OK && n == 10);
	CHECK(store_totals(s, &t) == STORE_OK && t.waiting > 0);
	struct store_filter f = {.next_hop = d[0].name};
	CHECK(store_list(s, &f, 0, 50, &mem, page, &m, &after) == STORE_OK && m > 0);
	arena_free(&mem);
}

static void keep(const char *path, long rows)
{
	struct store_config c = {.path = path};
	struct store_recovery r;
	char error[256];
	struct store *s;
	CHECK(store_open(&c, T0, &s, &r, error, sizeof error) == STORE_OK);
	double start = now_s();
	fill(s, rows);
	double filled = now_s();
	enum { ROUNDS = 500 };
	for (int i = 0; i < ROUNDS; i++)
		work(s, i);
	double worked = now_s();
	fprintf(stderr,
		"%ld deliveries: %.0f added/s, %.2f ms a round of the keeper, peak %ld KiB\n", rows,
		(double)rows / (filled - start), (worked - filled) * 1000 / ROUNDS, peak_kib());
	CHECK((worked - filled) / ROUNDS < 0.05); /* by index it is some tenths of a millisecond */
#if !defined(__SANITIZE_ADDRESS__)
	CHECK(peak_kib() < 64 * 1024);
#endif
	store_close(&s);
}

static void in_a_child(void (*fn)(const char *, long), const char *path, long arg)
{
	pid_t pid = fork();
	if (pid == 0) {
		fn(path, arg);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void many_deliveries(void **state)
{
	(void)state;
	const char *wanted = getenv("STORE_ROWS");
	char path[256];
	help_path(path);
	in_a_child(keep, path, wanted ? strtol(wanted, NULL, 10) : 100000);
	help_clean(path);
}

/* 100 MiB go in and out through a window. */
static void big(const char *path, long mib)
{
	struct store *s = help_open(path, NULL);
	char name[] = "/tmp/store-text.XXXXXX", copy[] = "/tmp/store-copy.XXXXXX";
	int in = mkstemp(name), out = mkstemp(copy);
	CHECK(in >= 0 && out >= 0 && unlink(name) == 0 && unlink(copy) == 0);
	uint8_t *block = malloc(1 << 20), *back = malloc(1 << 20);
	CHECK(block && back);
	for (long i = 0; i < mib; i++) {
		memset(block, (int)i, 1 << 20);
		CHECK(write(in, block, 1 << 20) == 1 << 20);
	}
	struct store_new_rcpt r = {.address = "a@b.example"};
	struct store_new_delivery d = {.next_hop = "b.example", .rcpt = &r, .nrcpt = 1, .due = T0};
	struct store_new_message m = {.envelope = {.queue_id = "BIG",
						   .reverse_path = "",
						   .origin = "x",
						   .size = (uint64_t)mib << 20},
				      .text = {.fd = in},
				      .delivery = &d,
				      .ndelivery = 1};
	CHECK(store_begin(s) == STORE_OK);
	CHECK(store_add(s, &m) == STORE_OK);
	CHECK(store_commit(s) == STORE_OK);
	CHECK(store_text_copy(s, 1, out) == STORE_OK);
	for (long i = 0; i < mib; i++) {
		memset(block, (int)i, 1 << 20);
		CHECK(pread(out, back, 1 << 20, i << 20) == 1 << 20);
		CHECK(memcmp(block, back, 1 << 20) == 0);
	}
	free(block);
	free(back);
	CHECK(store_begin(s) == STORE_OK);
	CHECK(store_change(s, STORE_OP_REMOVE, 1, T0) == STORE_OK);
	CHECK(store_commit(s) == STORE_OK);
	fprintf(stderr, "a text of %ld MiB: peak %ld KiB\n", mib, peak_kib());
#if !defined(__SANITIZE_ADDRESS__)
	CHECK(peak_kib() < 64 * 1024);
#endif
	store_close(&s);
}

static void a_big_text(void **state)
{
	(void)state;
	char path[256];
	help_path(path);
	in_a_child(big, path, 100);
	help_audit(path);
	help_clean(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_deliveries),
	    cmocka_unit_test(a_big_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
