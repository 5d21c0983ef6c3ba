/* SPDX-License-Identifier: MIT */
/* relay: what an intake notes of a text on its way: Received fields, octets above 0x7f, its size.
 */
#include "relay/intake_int.h"

#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#define BODY "\r\nReceived: not a field any more\r\n"

static const struct {
	const char *text;
	unsigned received;
	bool eight_bit;
} row[] = {
    {"", 0, false},
    {"Subject: x\r\n\r\nbody\r\n", 0, false},
    {"Received: a\r\nReceived: b\r\n" BODY, 2, false},
    {"received:a\r\nRECEIVED : b\r\nReceivedX: c\r\n" BODY, 1, false},
    {"Received: a\r\n\tReceived: folded\r\nReceived:\r\n" BODY, 2, false},
    {"X-Received: a\r\n Received: b\r\n" BODY, 0, false},
    {"X-A-Long-Line-That-Ends-In: Received:\r\n" BODY, 0, false},
    {BODY "Received: c\r\n", 0, false},
    {"Subject: \xc3\xbc\r\n" BODY, 0, true},
    {"Received: a\r\n" BODY "\x80", 1, true},
    {"Subject: x\r\n\r\n\xff", 0, true},
    {"a\x7f", 0, false},
};

static void check(size_t i, const struct mailtext *t)
{
	if (t->received != row[i].received || t->eight_bit != row[i].eight_bit ||
	    t->size != strlen(row[i].text) || !slice_eq_str(buf_slice(&t->small), row[i].text))
		fail_msg("row %zu: %u Received fields, eight bit: %d", i, t->received,
			 t->eight_bit);
}

static void test_rows_at_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct slice text = slice_str(row[i].text);
		for (size_t cut = 0; cut <= text.n; cut++) {
			struct mailtext t;
			mailtext_init(&t, NULL);
			assert_int_equal(mailtext_add(&t, slice_first(text, cut)), MAILTEXT_OK);
			assert_int_equal(mailtext_add(&t, slice_from(text, cut)), MAILTEXT_OK);
			check(i, &t);
			mailtext_free(&t);
		}
	}
}

static void test_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mailtext t;
		mailtext_init(&t, NULL);
		for (const char *c = row[i].text; *c != '\0'; c++)
			assert_int_equal(mailtext_add(&t, slice_make(c, 1)), MAILTEXT_OK);
		check(i, &t);
		mailtext_free(&t);
	}
}

/* What does not fit the memory goes to a file, whole and in order. */
static void test_file(void **state)
{
	enum { PIECE = 1000 };
	struct mailtext t;
	char piece[PIECE], back[PIECE];
	(void)state;
	mailtext_init(&t, NULL);
	size_t n = MAIL_INLINE_MAX / PIECE + 2;
	for (size_t i = 0; i < n; i++) {
		memset(piece, 'a' + (int)(i % 26), sizeof(piece));
		assert_int_equal(mailtext_add(&t, slice_make(piece, sizeof(piece))), MAILTEXT_OK);
	}
	assert_true(t.fd >= 0);
	assert_int_equal(t.size, n * PIECE);
	for (size_t i = 0; i < n; i++) {
		memset(piece, 'a' + (int)(i % 26), sizeof(piece));
		assert_int_equal(pread(t.fd, back, PIECE, (off_t)(i * PIECE)), PIECE);
		assert_memory_equal(back, piece, PIECE);
	}
	mailtext_free(&t);
}

/* --- Room --- */

/* A budget of memory and one of disk, and files that are used again. */
struct store_room {
	uint64_t memory_max, disk_max;
	uint64_t memory, disk;
	int file; /* -1: it is out, or there is none */
	unsigned files_given;
};

static bool may_hold(void *arg, uint64_t memory, uint64_t disk, bool past_budget)
{
	struct store_room *r = arg;
	uint64_t most = past_budget ? 2 * r->memory_max : r->memory_max;
	bool ok = memory <= most && disk <= r->disk_max;
	r->memory = ok ? memory : 0;
	r->disk = ok ? disk : 0;
	return ok;
}

static int take_file(void *arg)
{
	struct store_room *r = arg;
	int fd = r->file;
	r->file = -1;
	return fd;
}

static void give_file(void *arg, int fd)
{
	struct store_room *r = arg;
	r->file = fd;
	r->files_given++;
}

static const struct room_row {
	const char *name;
	uint64_t memory_max, disk_max;
	bool file;
	size_t octets;
	enum mailtext_status wanted;
	bool on_disk;
	uint64_t memory, disk; /* held in the end */
} room_row[] = {
#define K(n) ((n)*1024ULL)
    {"small", K(16), 0, false, 1000, MAILTEXT_OK, false, K(16), 0},
    {"as much as there is", K(64), 0, false, 65000, MAILTEXT_OK, false, K(64), 0},
    {"in a memory file", K(512), 0, false, 300000, MAILTEXT_OK, false, K(512), 0},
    {"small, but memory is short", K(16), K(64), true, 17000, MAILTEXT_OK, true, 0, K(32)},
    {"from a memory file to the disk", K(256), K(512), true, 300000, MAILTEXT_OK, true, 0, K(512)},
    {"too large for memory", K(9999), K(2048), true, 1200000, MAILTEXT_OK, true, 0, K(1280)},
    {"no file: past the budget", K(256), K(512), false, 300000, MAILTEXT_OK, false, K(512), 0},
    {"no file, and not past the budget for ever", K(256), K(9999), false, 600000, MAILTEXT_NO_ROOM,
     false, 0, 0},
    {"no room on the disk", K(256), K(512), true, 600000, MAILTEXT_NO_ROOM, true, 0, 0},
    {"no memory at all", 0, 0, false, 1, MAILTEXT_NO_ROOM, false, 0, 0},
};

static uint8_t octet_at(size_t i)
{
	return (uint8_t)('a' + i % 23);
}

static enum mailtext_status fill(struct mailtext *t, size_t octets)
{
	uint8_t piece[997];
	enum mailtext_status s = MAILTEXT_OK;
	for (size_t at = 0; at < octets && s == MAILTEXT_OK;) {
		size_t n = octets - at < sizeof(piece) ? octets - at : sizeof(piece);
		for (size_t i = 0; i < n; i++)
			piece[i] = octet_at(at + i);
		s = mailtext_add(t, slice_make(piece, n));
		at += n;
	}
	return s;
}

static bool is_whole(const struct mailtext *t, size_t octets)
{
	uint8_t back[4096];
	if (t->size != octets || t->fd < 0)
		return t->size == octets && buf_len(&t->small) == octets;
	for (size_t at = 0; at < octets;) {
		ssize_t n = pread(t->fd, back, sizeof(back), (off_t)at);
		for (ssize_t i = 0; i < n; i++) {
			if (back[i] != octet_at(at + (size_t)i))
				return false;
		}
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return lseek(t->fd, 0, SEEK_END) == (off_t)octets;
}

static void check_room(const struct room_row *w)
{
	FILE *f = tmpfile();
	struct store_room r = {w->memory_max, w->disk_max, 0, 0, w->file ? fileno(f) : -1, 0};
	struct text_room room = {may_hold, take_file, give_file, &r};
	struct mailtext t;
	mailtext_init(&t, &room);
	enum mailtext_status s = fill(&t, w->octets);
	if (s != w->wanted || t.on_disk != w->on_disk || r.memory != w->memory ||
	    r.disk != w->disk || (s == MAILTEXT_OK && !is_whole(&t, w->octets)))
		fail_msg("%s: status %d, memory %llu, disk %llu", w->name, s,
			 (unsigned long long)r.memory, (unsigned long long)r.disk);
	mailtext_free(&t);
	if (r.memory != 0 || r.disk != 0 || r.files_given != w->on_disk)
		fail_msg("%s: not all was given back", w->name);
	fclose(f);
}

static void test_room(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(room_row); i++)
		check_room(&room_row[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows_at_every_cut),
	    cmocka_unit_test(test_octet_by_octet),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
