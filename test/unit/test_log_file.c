/* SPDX-License-Identifier: MIT */
/* store: a log whose writes are gathered reads like one whose writes are not. */
#include "store/room.h"
#include "unit.h"

#include <unistd.h>

enum { MODEL_MAX = 1 << 20, STEPS = 4000 };

struct log {
	sqlite3_vfs *vfs;
	sqlite3_file *file;
	char path[64];
};

static void open_log(struct log *l, int flags)
{
	int out = 0;
	l->vfs = sqlite3_vfs_find(store_log_vfs());
	assert_non_null(l->vfs);
	snprintf(l->path, sizeof l->path, "/tmp/log-file.%ld", (long)getpid());
	l->file = calloc(1, (size_t)l->vfs->szOsFile);
	assert_int_equal(l->vfs->xOpen(l->vfs, l->path, l->file, flags | SQLITE_OPEN_WAL, &out),
			 SQLITE_OK);
}

static void close_log(struct log *l)
{
	assert_int_equal(l->file->pMethods->xClose(l->file), SQLITE_OK);
	free(l->file);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* What the log must look like. */
struct model {
	uint8_t octet[MODEL_MAX];
	size_t n;
};

static void step_write(struct log *l, struct model *m, uint32_t *seed, size_t *follow)
{
	static uint8_t data[70000];
	static const size_t sizes[] = {24, 4096, 4096, 32, 1, 20000, 70000};
	size_t n = sizes[next(seed) % 7], at = next(seed) % 4 ? *follow : next(seed) % MODEL_MAX;
	if (at + n > MODEL_MAX)
		at = 0;
	memset(data, (int)(next(seed) % 255 + 1), n);
	assert_int_equal(l->file->pMethods->xWrite(l->file, data, (int)n, (sqlite3_int64)at),
			 SQLITE_OK);
	memcpy(m->octet + at, data, n);
	m->n = at + n > m->n ? at + n : m->n;
	*follow = at + n;
}

static void step_read(struct log *l, const struct model *m, uint32_t *seed)
{
	static uint8_t data[8192];
	size_t n = next(seed) % sizeof data, at = next(seed) % MODEL_MAX;
	if (at + n > m->n)
		return;
	assert_int_equal(l->file->pMethods->xRead(l->file, data, (int)n, (sqlite3_int64)at),
			 SQLITE_OK);
	assert_memory_equal(data, m->octet + at, n);
}

static void step_cut(struct log *l, struct model *m, uint32_t *seed)
{
	size_t to = next(seed) % (m->n + 1);
	assert_int_equal(l->file->pMethods->xTruncate(l->file, (sqlite3_int64)to), SQLITE_OK);
	memset(m->octet + to, 0, m->n - to);
	m->n = to;
}

static void step_other(struct log *l, const struct model *m, uint32_t *seed)
{
	sqlite3_int64 size = -1;
	if (next(seed) % 2 == 0) {
		assert_int_equal(l->file->pMethods->xSync(l->file, SQLITE_SYNC_NORMAL), SQLITE_OK);
		return;
	}
	assert_int_equal(l->file->pMethods->xFileSize(l->file, &size), SQLITE_OK);
	assert_int_equal(size, m->n);
}

static void it_reads_as_if_it_were_written_at_once(void **state)
{
	(void)state;
	struct model *m = malloc(sizeof *m);
	assert_non_null(m);
	for (uint32_t seed = 1, s; seed <= 8; seed++) {
		struct log l;
		size_t follow = 0;
		s = seed;
		memset(m, 0, sizeof *m);
		open_log(&l, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
		for (int i = 0; i < STEPS; i++) {
			uint32_t what = next(&s) % 100;
			if (what < 80)
				step_write(&l, m, &s, &follow);
			else if (what < 92)
				step_read(&l, m, &s);
			else if (what < 93)
				step_cut(&l, m, &s);
			else
				step_other(&l, m, &s);
		}
		close_log(&l);
		unlink(l.path);
	}
	free(m);
}

/* Nothing is in the file before the sync, all of it afterwards. */
static void a_sync_writes(void **state)
{
	(void)state;
	struct log l;
	char back[8] = "";
	open_log(&l, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	assert_int_equal(l.file->pMethods->xWrite(l.file, "abc", 3, 0), SQLITE_OK);
	assert_int_equal(l.file->pMethods->xWrite(l.file, "def", 3, 3), SQLITE_OK);
	FILE *f = fopen(l.path, "r");
	assert_int_equal(fread(back, 1, sizeof back, f), 0);
	assert_int_equal(l.file->pMethods->xSync(l.file, SQLITE_SYNC_NORMAL), SQLITE_OK);
	rewind(f);
	assert_int_equal(fread(back, 1, sizeof back, f), 6);
	assert_memory_equal(back, "abcdef", 6);
	fclose(f);
	close_log(&l);
	unlink(l.path);
}

/* The sync says what the gathered write came to, and what failed is not written later. */
static void a_failed_write_fails_the_sync(void **state)
{
	(void)state;
	struct log l;
	sqlite3_int64 size = -1;
	open_log(&l, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	close_log(&l);
	open_log(&l, SQLITE_OPEN_READONLY);
	assert_int_equal(l.file->pMethods->xWrite(l.file, "abc", 3, 0), SQLITE_OK);
	assert_int_not_equal(l.file->pMethods->xSync(l.file, SQLITE_SYNC_NORMAL), SQLITE_OK);
	assert_int_equal(l.file->pMethods->xFileSize(l.file, &size), SQLITE_OK);
	assert_int_equal(size, 0);
	close_log(&l);
	unlink(l.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_reads_as_if_it_were_written_at_once),
	    cmocka_unit_test(a_sync_writes),
	    cmocka_unit_test(a_failed_write_fails_the_sync),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
