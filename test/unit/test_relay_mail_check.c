/* SPDX-License-Identifier: MIT */
/* relay: what an intake may hand in, field by field. */
#include "relay/mail_check.h"

#include "unit.h"

#include "wire/origin.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
	const char *what; /* NULL: fine */
	const char *queue_id, *sender, *envid, *ret, *origin, *rcpt, *orcpt, *notify;
	bool smtputf8;
} row[] = {
#define ID "0123456789abcdef"
#define FROM "a@b.example"
#define TO "c@d.example"
#define WHO "client 192.0.2.1"
/* What is longer than anything may be, or as long as it may. */
#define X8 "xxxxxxxx"
#define X64 X8 X8 X8 X8 X8 X8 X8 X8
#define X1024 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    {NULL, ID, FROM, "an id", "FULL", WHO, TO, "rfc822;x+2Bc@d", "SUCCESS,delay"},
    {NULL, ID, "", NULL, "HDRS", WHO, "c@[192.0.2.1]", NULL, "NEVER"},
    {NULL, ID, "\xc3\xbc@b.example", NULL, NULL, WHO, "\xc3\xbc@d.example", "utf-8;\xc3\xbc@x",
     NULL, true},
    {NULL, ID, "a@b_c.example", NULL, NULL, WHO, TO, NULL, NULL},
    {NULL, A64, FROM, X64, NULL, X1024, "c@[IPv6:2001:DB8:0::1]", NULL, NULL},
    {"queue-id", A64 "a", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "0123456789ABCDEF", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "0123456g", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "ab\ncd", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "ab\rcd", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "ab\xc2\x9b", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "a b", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "../x", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a\r\nQUIT@b", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a\xc2\x85@b", NULL, NULL, WHO, TO, NULL, NULL, true},
    {"sender", ID, "a\xe2\x80\xae@b", NULL, NULL, WHO, TO, NULL, NULL, true},
    {"sender", ID, "a\x1b[2J@b", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "\xc3\xbc@b.example", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a@b.example.", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, X64 "x@b.example", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a@b.example\n", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a\xff@b", NULL, NULL, WHO, TO, NULL, NULL, true},
    {"sender", ID, "a\x7f@b", NULL, NULL, WHO, TO, NULL, NULL},
    {"envid", ID, FROM, X64 X64, NULL, WHO, TO, NULL, NULL},
    {"envid", ID, FROM, "a\x1b[2J", NULL, WHO, TO, NULL, NULL},
    {"envid", ID, FROM, "a\rb", NULL, WHO, TO, NULL, NULL},
    {"envid", ID, FROM, "a\nb", NULL, WHO, TO, NULL, NULL},
    {"envid", ID, FROM, "\xc2\x9b", NULL, WHO, TO, NULL, NULL},
    {"ret", ID, FROM, NULL, "full", WHO, TO, NULL, NULL},
    {"ret", ID, FROM, NULL, "", WHO, TO, NULL, NULL},
    {"ret", ID, FROM, NULL, "FULL\n", WHO, TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, X1024 "x", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "client\r", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "client \x1b[2J", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "client \xe2\x80\xae", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "client \xff", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "client\nevent=forged", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "\xc2\x9b", TO, NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "postmaster", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d\n.example", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d.example.", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@/var/run/x", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d>x", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c\xc2\x9b@d.example", NULL, NULL, true},
    {"recipient", ID, FROM, NULL, NULL, WHO, "e\xcc\x81@d.example", NULL, NULL, true},
    {"recipient", ID, FROM, NULL, NULL, WHO, "\xc3\xbc@d.example", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@D.example", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d.example\r", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d\x1b[2J.example", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c\xe2\x80\xae@d.example", NULL, NULL, true},
    {"recipient", ID, FROM, NULL, NULL, WHO, X64 "x@d.example", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@" X64 ".example", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@[192.0.2.1", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@[0.0.0.0]", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@*.example", NULL, NULL},
    {"orcpt", ID, FROM, NULL, NULL, WHO, TO, "rfc822;a+00b", NULL},
    {"orcpt", ID, FROM, NULL, NULL, WHO, TO, "rfc822;a+0Ab", NULL},
    {"orcpt", ID, FROM, NULL, NULL, WHO, TO, "rfc822;a\nb", NULL},
    {"orcpt", ID, FROM, NULL, NULL, WHO, TO, "rfc822;" X1024, NULL},
    {"orcpt", ID, FROM, NULL, NULL, WHO, TO, "", NULL},
    {"notify", ID, FROM, NULL, NULL, WHO, TO, NULL, ""},
    {"notify", ID, FROM, NULL, NULL, WHO, TO, NULL, "NEVER,SUCCESS"},
    {"notify", ID, FROM, NULL, NULL, WHO, TO, NULL, "SUCCESS\r\n"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mail_rcpt rcpt[2] = {{0, TO, NULL, NULL},
					    {1, row[i].rcpt, row[i].orcpt, row[i].notify}};
		struct mail m = {.queue_id = row[i].queue_id,
				 .reverse_path = row[i].sender,
				 .envid = row[i].envid,
				 .ret = row[i].ret,
				 .origin = row[i].origin,
				 .origin_key = ORIGIN_LOCAL,
				 .smtputf8 = row[i].smtputf8,
				 .rcpt = rcpt,
				 .nrcpt = 2};
		const char *got = mail_complaint(&m);
		if ((got == NULL) != (row[i].what == NULL) || (got && strcmp(got, row[i].what)))
			print_error("row %zu: %s instead of %s\n", i, got ? got : "fine",
				    row[i].what ? row[i].what : "fine");
		assert_int_equal(got == NULL, row[i].what == NULL);
		if (got != NULL)
			assert_string_equal(got, row[i].what);
	}
}

static struct mail plain_mail(struct mail_rcpt *rcpt, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rcpt[i] = (struct mail_rcpt){.address = TO};
	return (struct mail){.queue_id = ID,
			     .reverse_path = FROM,
			     .origin = WHO,
			     .origin_key = ORIGIN_LOCAL,
			     .rcpt = rcpt,
			     .nrcpt = n};
}

static void test_origins(void **state)
{
	(void)state;
	static const struct {
		uint64_t origin;
		bool good;
	} rows[] = {{ORIGIN_NONE, false},
		    {ORIGIN_LOCAL, true},
		    {ORIGIN_NOTICES, false},
		    {ORIGIN_RESERVED - 1, false},
		    {ORIGIN_RESERVED, true},
		    {((uint64_t)1 << ORIGIN_BITS) - 1, true},
		    {(uint64_t)1 << ORIGIN_BITS, false},
		    {UINT64_MAX, false}};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mail_rcpt one;
		struct mail m = plain_mail(&one, 1);
		m.origin_key = rows[i].origin;
		const char *got = mail_complaint(&m);
		assert_int_equal(got == NULL, rows[i].good);
		if (got != NULL)
			assert_string_equal(got, "origin-key");
	}
}

static void test_numbers_of_recipients(void **state)
{
	(void)state;
	static const struct {
		size_t n;
		bool good;
	} rows[] = {{0, false}, {1, true}, {MAIL_RCPTS_MAX, true}, {MAIL_RCPTS_MAX + 1, false}};
	struct mail_rcpt *rcpt = calloc(MAIL_RCPTS_MAX + 1, sizeof(*rcpt));
	assert_non_null(rcpt);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mail m = plain_mail(rcpt, rows[i].n);
		assert_int_equal(mail_complaint(&m) == NULL, rows[i].good);
	}
	free(rcpt);
}

/* --- The text --- */

enum source { INLINE, MEMORY, PIPE_END, SOCKET_END, FOLDER, DEVICE };

static int open_source(enum source kind, off_t octets)
{
	int two[2];
	switch (kind) {
	case INLINE:
		return -1;
	case MEMORY:
		two[0] = memfd_create("text", MFD_CLOEXEC);
		assert_int_equal(ftruncate(two[0], octets), 0);
		return two[0];
	case PIPE_END:
		assert_int_equal(pipe2(two, O_CLOEXEC), 0);
		close(two[1]);
		return two[0];
	case SOCKET_END:
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
		close(two[1]);
		return two[0];
	case FOLDER:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case DEVICE:
		return open("/dev/zero", O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

static void test_texts(void **state)
{
	(void)state;
	static const struct {
		const char *what, *text;
		uint64_t size;
		enum source kind;
		off_t octets; /* of the file */
	} rows[] = {
	    {NULL, "text", 4, INLINE, 0},
	    {NULL, "", 0, INLINE, 0},
	    {NULL, "", 70000, MEMORY, 70000},
	    {"size", "text", 3, INLINE, 0},
	    {"size", "text", 5, INLINE, 0},
	    {"size", "", 1, INLINE, 0},
	    {"size", "text", UINT64_MAX, INLINE, 0},
	    {"size", "", 70001, MEMORY, 70000},
	    {"size", "", 69999, MEMORY, 70000},
	    {"size", "", 0, MEMORY, 70000},
	    {"size", "", UINT64_MAX, MEMORY, 70000},
	    {"text", "text", 4, MEMORY, 4},
	    {"file", "", 0, PIPE_END, 0},
	    {"file", "", 0, SOCKET_END, 0},
	    {"file", "", 0, FOLDER, 0},
	    {"file", "", 0, DEVICE, 0},
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mail m = {.size = rows[i].size, .text = slice_str(rows[i].text)};
		int fd = open_source(rows[i].kind, rows[i].octets);
		const char *got = mail_text_complaint(&m, fd);
		if (got == NULL || rows[i].what == NULL ? got != rows[i].what
							: strcmp(got, rows[i].what) != 0)
			fail_msg("row %zu: %s", i, got != NULL ? got : "fine");
		if (fd >= 0)
			close(fd);
	}
}

/* An octet 0 inside a text never gets so far: no string of a payload may hold one. */
static void test_nul(void **state)
{
	(void)state;
	struct arena mem;
	struct buf b;
	struct submit s;
	struct mail_rcpt one;
	arena_init(&mem, 65536);
	buf_init(&b, 4096);
	s = (struct submit){1, plain_mail(&one, 1)};
	submit_put(&b, &s);
	struct slice whole = buf_slice(&b);
	assert_true(submit_get(whole, &mem, &s));
	static const char *const field[] = {ID, FROM, WHO, TO};
	for (size_t i = 0; i < ROWS(field); i++) {
		size_t at = 0;
		while (memcmp(whole.p + at, field[i], strlen(field[i])) != 0)
			at++;
		uint8_t *octet = (uint8_t *)(uintptr_t)(whole.p + at + 1), was = *octet;
		*octet = 0;
		assert_false(submit_get(whole, &mem, &s));
		*octet = was;
	}
	buf_free(&b);
	arena_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_origins),
	    cmocka_unit_test(test_numbers_of_recipients),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
