/* SPDX-License-Identifier: MIT */
/* Mails whose text tells their number, so that a half or mixed-up one is seen. */
#include "help.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

void help_path(char path[static 256])
{
	const char *tmp = getenv("TMPDIR");
	char dir[200];
	snprintf(dir, sizeof dir, "%s/store.XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(dir));
	snprintf(path, 256, "%s/queue", dir);
}

void help_unlink(const char *path)
{
	static const char *const tails[] = {"", "-wal", "-shm", "-journal"};
	for (size_t i = 0; i < 4; i++) {
		char name[300];
		snprintf(name, sizeof name, "%s%s", path, tails[i]);
		unlink(name);
	}
}

void help_clean(const char *path)
{
	char dir[256];
	help_unlink(path);
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	CHECK(rmdir(dir) == 0);
}

enum store_status help_try_open(const char *path, struct store **out, char error[static 256])
{
	struct store_config c = {.path = path, .check = true};
	struct store_recovery r;
	return store_open(&c, T0, out, &r, error, 256);
}

struct store *help_open(const char *path, struct store_recovery *r)
{
	struct store_config c = {.path = path, .check = true};
	struct store_recovery mine;
	struct store *s;
	char error[256];
	if (store_open(&c, T0, &s, r ? r : &mine, error, sizeof error) != STORE_OK)
		fprintf(stderr, "open: %s\n", error);
	CHECK(s);
	return s;
}

/* Some in one page, some over many, one over two parts. */
size_t help_size(int i)
{
	static const size_t sizes[] = {100, 4096, 9001, 1, 40000, 0, 262144 + 77};
	return sizes[i % 7];
}

static void fill(uint8_t *out, size_t n, int i)
{
	for (size_t k = 0; k < n; k++)
		out[k] = (uint8_t)(k * 31 + (size_t)i * 7 + k / 251);
}

enum store_status help_add(struct store *s, int i)
{
	char id[16], from[32], hop[32];
	snprintf(id, sizeof id, "Q%d", i);
	snprintf(from, sizeof from, "from%d@example.net", i);
	snprintf(hop, sizeof hop, "d%d.example", i % 5);
	struct store_new_rcpt two[] = {{.address = "a@x.example", .orcpt = "rfc822;a@x.example"},
				       {.address = "b@x.example", .notify = "NEVER"}};
	struct store_new_rcpt one[] = {{.address = "c@y.example"}};
	struct store_new_delivery d[] = {
	    {.next_hop = hop, .rcpt = two, .nrcpt = 2, .due = T0 + i},
	    {.next_hop = "y.example", .rcpt = one, .nrcpt = 1, .due = T0 + i},
	};
	size_t n = help_size(i);
	uint8_t *text = malloc(n + 1);
	CHECK(text);
	fill(text, n, i);
	struct store_new_message m = {
	    .envelope = {.queue_id = id,
			 .arrived = T0 + i,
			 .expires = T0 + 1000000,
			 .reverse_path = from,
			 .envid = "e",
			 .ret = "HDRS",
			 .origin = "client [192.0.2.1]",
			 .size = n,
			 .eight_bit = true},
	    .text = {.bytes = slice_make(text, n), .fd = -1},
	    .delivery = d,
	    .ndelivery = 2,
	};
	enum store_status status = store_add(s, &m);
	free(text);
	return status;
}

enum store_status help_add_one(struct store *s, const char *id, const char *next_hop, int64_t due)
{
	struct store_new_rcpt r = {.address = "a@example.org"};
	struct store_new_delivery d = {.next_hop = next_hop, .rcpt = &r, .nrcpt = 1, .due = due};
	struct store_new_message m = {
	    .envelope = {.queue_id = id,
			 .arrived = T0,
			 .expires = T0 + 1000000,
			 .reverse_path = "s@example.net",
			 .origin = "test",
			 .size = 9},
	    .warn = T0 + 5000,
	    .text = {.bytes = SLICE_LIT("A: b\r\n\r\nc"), .fd = -1},
	    .delivery = &d,
	    .ndelivery = 1,
	};
	return store_add(s, &m);
}

static void verify_text(struct store *s, int64_t message, int i, size_t n)
{
	uint8_t *want = malloc(n + 1), *is = malloc(n + 2);
	size_t got;
	CHECK(want && is);
	fill(want, n, i);
	CHECK(store_text_read(s, message, 0, is, n + 2, &got) == STORE_OK);
	CHECK(got == n && memcmp(want, is, n) == 0);
	free(want);
	free(is);
}

void help_verify(struct store *s, bool *have, int n)
{
	memset(have, 0, (size_t)n * sizeof *have);
	for (int i = 0; i < n; i++) {
		char id[16];
		snprintf(id, sizeof id, "Q%d", i);
		struct store_filter f = {.queue_id = id};
		struct store_delivery d[3];
		struct arena mem;
		arena_init(&mem, 1 << 20);
		size_t rows = 0;
		int64_t next;
		CHECK(store_list(s, &f, 0, 3, &mem, d, &rows, &next) == STORE_OK);
		CHECK(rows == 0 || rows == 2);
		have[i] = rows == 2;
		if (have[i]) {
			CHECK(store_show(s, d[0].id, &mem, &d[0]) == STORE_OK && d[0].nrcpt == 2);
			CHECK(store_show(s, d[1].id, &mem, &d[1]) == STORE_OK && d[1].nrcpt == 1);
			CHECK(strcmp(d[0].rcpt[1].address, "b@x.example") == 0);
			CHECK(d[0].envelope.size == help_size(i));
			verify_text(s, d[0].message, i, help_size(i));
		}
		arena_free(&mem);
	}
}

/* --- behind the store's back ----------------------------------------------------------------- */

static int one_cell(void *arg, int n, char **value, char **name)
{
	(void)name;
	snprintf(arg, 256, "%s", n > 0 && value[0] ? value[0] : "");
	return 0;
}

static void expect(sqlite3 *db, const char *sql, const char *want)
{
	char is[256] = "";
	CHECK(sqlite3_exec(db, sql, one_cell, is, NULL) == SQLITE_OK);
	if (strcmp(is, want) != 0)
		fprintf(stderr, "%s: %s, not %s\n", sql, is, want);
	CHECK(strcmp(is, want) == 0);
}

/* Everything that is counted, counted again. */
static const struct {
	const char *sql, *want;
} truths[] = {
    {"PRAGMA integrity_check", "ok"},
    {"PRAGMA foreign_key_check", ""},
    {"SELECT messages = (SELECT count(*) FROM message) FROM totals", "1"},
    {"SELECT bytes = (SELECT ifnull(sum(size), 0) FROM message) FROM totals", "1"},
    {"SELECT waiting = (SELECT count(*) FROM delivery WHERE state = 0) FROM totals", "1"},
    {"SELECT held = (SELECT count(*) FROM delivery WHERE state = 1) FROM totals", "1"},
    {"SELECT active = (SELECT count(*) FROM delivery WHERE state = 2) FROM totals", "1"},
    {"SELECT recipients = (SELECT count(*) FROM recipient WHERE state = 0) FROM totals", "1"},
    {"SELECT last_message >= (SELECT ifnull(max(id), 0) FROM message) FROM totals", "1"},
    {"SELECT last_delivery >= (SELECT ifnull(max(id), 0) FROM delivery) FROM totals", "1"},
    {"SELECT count(*) FROM destination d WHERE "
     "waiting <> (SELECT count(*) FROM delivery WHERE destination = d.id AND state = 0)",
     "0"},
    {"SELECT count(*) FROM destination d WHERE "
     "held <> (SELECT count(*) FROM delivery WHERE destination = d.id AND state = 1)",
     "0"},
    {"SELECT count(*) FROM destination d WHERE "
     "active <> (SELECT count(*) FROM delivery WHERE destination = d.id AND state = 2)",
     "0"},
    {"SELECT count(*) FROM destination d WHERE next_due IS NOT "
     "(SELECT min(due) FROM delivery WHERE destination = d.id AND state = 0)",
     "0"},
    {"SELECT count(*) FROM delivery d WHERE "
     "pending <> (SELECT count(*) FROM recipient WHERE delivery = d.id AND state = 0)",
     "0"},
    {"SELECT count(*) FROM delivery WHERE (state = 3) <> (pending = 0)", "0"},
    {"SELECT count(*) FROM message m WHERE pending = 0 OR pending <> "
     "(SELECT sum(pending) FROM delivery WHERE message = m.id)",
     "0"},
    {"SELECT count(*) FROM message m WHERE size <> "
     "(SELECT ifnull(sum(length(part)), 0) FROM body WHERE id / 4096 = m.id)",
     "0"},
    {"SELECT count(*) FROM body WHERE id / 4096 NOT IN (SELECT id FROM message)", "0"},
    {"SELECT count(*) FROM reason_total r WHERE deliveries <> "
     "(SELECT count(*) FROM delivery WHERE state <> 3 AND reason = r.reason)",
     "0"},
    {"SELECT count(*) FROM delivery WHERE state <> 3 AND reason IS NOT NULL AND reason NOT IN "
     "(SELECT reason FROM reason_total)",
     "0"},
};

void help_count(sqlite3 *db)
{
	for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++)
		expect(db, truths[i].sql, truths[i].want);
}

void help_audit(const char *path)
{
	sqlite3 *db;
	CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
	help_count(db);
	CHECK(sqlite3_close(db) == SQLITE_OK);
}

int64_t help_first_delivery(struct store *s, const char *queue_id)
{
	struct store_filter f = {.queue_id = queue_id};
	struct store_delivery d;
	struct arena mem;
	size_t n;
	int64_t next;
	arena_init(&mem, 1 << 20);
	CHECK(store_list(s, &f, 0, 1, &mem, &d, &n, &next) == STORE_OK && n == 1);
	arena_free(&mem);
	return d.id;
}
