/* SPDX-License-Identifier: MIT */
/*
 * The users' file: lines, hashes that are taken and refused, checks and what they cost, changes
 * that keep everything else, and readers that see an old or a new file.
 */
#include "unit.h"

#include "users/room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define YES "$5$rounds=1000$saltsalt$" /* cheap: SHA-256, 1000 rounds */
#define DES "ab01FAX.bQRSU"

struct fixture {
	char folder[64], file[96], hash[USERS_HASH_MAX + 1];
};

static int setup(void **state)
{
	static struct fixture f;
	snprintf(f.folder, sizeof(f.folder), "/tmp/test-users.XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	snprintf(f.file, sizeof(f.file), "%s/users", f.folder);
	assert_true(users_crypt("secret", YES, f.hash));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unlink(f->file);
	/* Nothing is left behind: no temporary file, no lock. */
	return rmdir(f->folder);
}

static void put(const char *file, const char *text, mode_t mode)
{
	FILE *out = fopen(file, "we");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fchmod(fileno(out), mode), 0);
	assert_int_equal(fclose(out), 0);
}

static void is_now(const char *file, const char *text)
{
	char got[8192];
	FILE *in = fopen(file, "re");
	assert_non_null(in);
	size_t n = fread(got, 1, sizeof(got) - 1, in);
	fclose(in);
	got[n] = '\0';
	assert_string_equal(got, text);
}

/* --- Lines --- */

static void test_lines(void **state)
{
	static const struct {
		const char *line, *name, *hash, *comment;
	} row[] = {
	    {"a:h", "a", "h", ""},
	    {"alice@example.org:$y$x/.=,:hello", "alice@example.org", "$y$x/.=,", ":hello"},
	    {"a:h:", "a", "h", ":"},
	    {"a:h:b:c d\te", "a", "h", ":b:c d\te"},
	    {"\xc3\xbc:h", "\xc3\xbc", "h", ""},
	    {"", "", "", ""},
	    {"  \t ", "", "", ""},
	    {"# a:h", "", "", ""},
	    {"  # note", "", "", ""},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct users_line l;
		assert_null(users_line_parse(slice_str(row[i].line), &l));
		assert_true(slice_eq_str(l.name, row[i].name));
		assert_true(slice_eq_str(l.hash, row[i].hash));
		assert_true(slice_eq_str(l.comment, row[i].comment));
	}
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *line, *words;
	} row[] = {
	    {"alice", "no colon"},
	    {":h", "an empty name"},
	    {"a:", "an empty password hash"},
	    {"a::c", "an empty password hash"},
	    {" a:h", "a blank"},
	    {"a b:h", "a blank"},
	    {"a\tb:h", "a blank"},
	    {"a\x7f:h", "a control character"},
	    {"a:h\r", "carriage return"},
	    {"a:h:\x1b[2J", "a control character"},
	    {"\xc3:h", "UTF-8"},
	    {"\xff\xfe:h", "UTF-8"},
	    {"a:*", "disable"},
	    {"a:!", "disable"},
	    {"a:!$6$x", "disable"},
	    {"a:h h", "no password hash"},
	    {"a:h\xc3\xbc", "no password hash"},
	};
	(void)state;
	struct users_line l;
	char long_line[USERS_LINE_MAX + 8];
	for (size_t i = 0; i < ROWS(row); i++) {
		const char *wrong = users_line_parse(slice_str(row[i].line), &l);
		if (wrong == NULL || strstr(wrong, row[i].words) == NULL)
			fail_msg("row %zu: %s", i, wrong != NULL ? wrong : "taken");
		assert_int_equal(l.name.n, 0);
	}
	assert_non_null(users_line_parse(slice_make("a\0:h", 4), &l));
	memset(long_line, 'x', sizeof(long_line));
	long_line[USERS_NAME_MAX] = ':';
	assert_null(
	    users_line_parse(slice_make(long_line, USERS_NAME_MAX + 1 + USERS_HASH_MAX), &l));
	assert_non_null(
	    users_line_parse(slice_make(long_line, USERS_NAME_MAX + 2 + USERS_HASH_MAX), &l));
	long_line[USERS_NAME_MAX] = 'x';
	long_line[USERS_NAME_MAX + 1] = ':';
	assert_non_null(users_line_parse(slice_make(long_line, 300), &l));
	memset(long_line, '#', sizeof(long_line));
	assert_null(users_line_parse(slice_make(long_line, USERS_LINE_MAX), &l));
	assert_non_null(users_line_parse(slice_make(long_line, USERS_LINE_MAX + 1), &l));
}

/* --- Hashes --- */

#define X22 "xxxxxxxxxxxxxxxxxxxxxx"
#define X43 X22 "xxxxxxxxxxxxxxxxxxxxx"
#define X86 X43 X43

static void test_methods(void **state)
{
	static const struct {
		const char *hash, *method, *words; /* words NULL: taken */
	} row[] = {
	    {"$y$j9T$" X22 "$" X43, "yescrypt", NULL},
	    {"$gy$j9T$" X22 "$" X43, "gost-yescrypt", NULL},
	    {"$7$CU..../....saltsalt$" X43, "scrypt", NULL},
	    {"$2b$12$" X22 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "bcrypt", NULL},
	    {"$6$salt$" X86, "SHA-512", NULL},
	    {"$5$salt$" X43, "SHA-256", NULL},
	    {"$6$salt$", "SHA-512", "incomplete"},
	    {"$6$salt$" X43, "SHA-512", "incomplete"},
	    {"$y$j9T$salt", "yescrypt", "incomplete"},
	    {"$2b$12$" X22, "bcrypt", "incomplete"},
	    {"$2x$12$" X22 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "bcrypt", "faulty"},
	    {"$1$salt$" X22, "MD5", "MD5 hash, which is too weak"},
	    {"$md5$salt$$" X22, "MD5", "too weak"},
	    {"$sha1$1000$salt$xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "SHA-1", "too weak"},
	    {"$3$$8846f7eaee8fb117ad06bdd830b7586c", "NT", "too weak"},
	    {DES, "DES", "DES hash, which is too weak"},
	    {"ab01FAX.bQRSU01FAX.bQRSU", "DES", "DES"},
	    {"_J9..rasmBYk8r9AiWNc", "DES", "DES"},
	    {"{SSHA}abcdef", "unknown", "braces"},
	    {"$99$salt$" X22, "unknown", "unknown method"},
	    {"swordfish", "unknown", "the password itself"},
	    {"x", "unknown", "not a password hash"},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct slice hash = slice_str(row[i].hash);
		const char *refused = users_hash_refused(hash);
		assert_string_equal(users_method(hash), row[i].method);
		if ((refused == NULL) != (row[i].words == NULL) ||
		    (refused != NULL && strstr(refused, row[i].words) == NULL))
			fail_msg("row %zu: %s", i, refused != NULL ? refused : "taken");
	}
}

static void test_new_hash(void **state)
{
	char hash[USERS_HASH_MAX + 1], again[USERS_HASH_MAX + 1], error[128] = "", text[1024];
	(void)state;
	assert_true(users_hash(SLICE_LIT("correct horse"), hash, error, sizeof(error)));
	assert_true(users_hash(SLICE_LIT("correct horse"), again, error, sizeof(error)));
	assert_string_not_equal(hash, again); /* a salt */
	assert_string_equal(users_method(slice_str(hash)), "yescrypt");
	assert_null(users_hash_refused(slice_str(hash)));
	memset(text, 'x', sizeof(text));
	assert_true(users_hash(slice_make(text, USERS_PASSWORD_MAX), hash, error, sizeof(error)));
	assert_false(
	    users_hash(slice_make(text, USERS_PASSWORD_MAX + 1), hash, error, sizeof(error)));
	assert_non_null(strstr(error, "511"));
	assert_false(users_hash(SLICE_LIT(""), hash, error, sizeof(error)));
	assert_non_null(strstr(error, "empty"));
	assert_false(users_hash(SLICE_LIT("a\0b"), hash, error, sizeof(error)));
	assert_false(users_hash(SLICE_LIT("a\rb"), hash, error, sizeof(error)));
	assert_non_null(strstr(error, "control"));
}

/* --- Loading and checking --- */

static void refused(const char *text, const char *words)
{
	char error[512] = "";
	struct users *u = users_parse(slice_str(text), "f", error, sizeof(error));
	if (u != NULL || strcmp(error, words) != 0)
		fail_msg("'%s', not '%s'", error, words);
}

static void test_load_errors(void **state)
{
	struct fixture *f = *state;
	char text[4096], error[512] = "", want[256];
	refused("# x\n\nalice\n", "f:3: no colon: a line is name:hash or name:hash:comment");
	refused("a:" DES "\n", "f:1: a DES hash, which is too weak");
	refused("a:$1$salt$xxxxxxxxxxxxxxxxxxxxxx", "f:1: an MD5 hash, which is too weak");
	refused("a:$y$!\n",
		"f:1: no password hash after the name (put # before a line to disable it)");
	snprintf(text, sizeof(text), "a:%s\n#\nb:%s\na:%s\n", f->hash, f->hash, f->hash);
	refused(text, "f:4: a is already in line 1");
	assert_null(users_load(f->file, error, sizeof(error)));
	snprintf(want, sizeof(want), "%s: cannot read: No such file or directory", f->file);
	assert_string_equal(error, want);
	assert_null(users_load(f->folder, error, sizeof(error)));
	assert_non_null(strstr(error, "not a regular file"));
	snprintf(text, sizeof(text), "a:%s\n", f->hash);
	put(f->file, text, 0644);
	assert_null(users_load(f->file, error, sizeof(error)));
	assert_non_null(strstr(error, "everybody can read"));
	put(f->file, text, 0640);
	struct users *u = users_load(f->file, error, sizeof(error));
	assert_non_null(u);
	assert_int_equal(users_count(u), 1);
	users_free(&u);
	assert_null(u);
	users_free(&u);
	put(f->file, "", 0600);
	u = users_load(f->file, error, sizeof(error));
	assert_non_null(u);
	assert_int_equal(users_count(u), 0);
	users_free(&u);
}

static enum users_verdict check(const struct users *u, const char *name, const char *password)
{
	return users_check(u, slice_str(name), slice_str(password));
}

static void test_check(void **state)
{
	struct fixture *f = *state;
	char text[4096], error[512] = "", long_one[600];
	char other[USERS_HASH_MAX + 1];
	assert_true(users_crypt("other", YES, other));
	snprintf(text, sizeof(text), "bob:%s:c\n# x\n\nalice@example.org:%s\n\xc3\xbc:%s", f->hash,
		 other, f->hash);
	struct users *u = users_parse(slice_str(text), "f", error, sizeof(error));
	if (u == NULL)
		fail_msg("%s", error);
	assert_int_equal(users_count(u), 3);
	assert_int_equal(check(u, "bob", "secret"), USERS_YES);
	assert_int_equal(check(u, "\xc3\xbc", "secret"), USERS_YES);
	assert_int_equal(check(u, "alice@example.org", "other"), USERS_YES);
	assert_int_equal(check(u, "alice@example.org", "secret"), USERS_NO);
	assert_int_equal(check(u, "bob", "Secret"), USERS_NO);
	assert_int_equal(check(u, "bob", "secret "), USERS_NO);
	assert_int_equal(check(u, "bob", ""), USERS_NO);
	assert_int_equal(check(u, "Bob", "secret"), USERS_NO);
	assert_int_equal(check(u, "bo", "secret"), USERS_NO);
	assert_int_equal(check(u, "", "secret"), USERS_NO);
	/* the stand-in's password opens nothing */
	for (int i = 0; i < 20; i++) {
		char name[8];
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(check(u, name, "secret"), USERS_NO);
		assert_int_equal(check(u, name, "other"), USERS_NO);
	}
	assert_int_equal(users_check(u, SLICE_LIT("bob"), SLICE_LIT("secret\0x")), USERS_NO);
	assert_int_equal(users_check(u, SLICE_LIT("bob\0"), SLICE_LIT("secret")), USERS_NO);
	memset(long_one, 'x', sizeof(long_one));
	assert_int_equal(users_check(u, SLICE_LIT("bob"), slice_make(long_one, 512)), USERS_NO);
	assert_int_equal(users_check(u, slice_make(long_one, 600), SLICE_LIT("secret")), USERS_NO);
	users_free(&u);
}

/* A setting that crypt(3) cannot use: our fault, not the user's. */
static void test_unusable_hash(void **state)
{
	char error[512] = "";
	(void)state;
	struct users *u =
	    users_parse(SLICE_LIT("a:$y$@@@@" X22 X43 "\n"), "f", error, sizeof(error));
	if (u == NULL)
		fail_msg("%s", error);
	assert_int_equal(check(u, "a", "secret"), USERS_ERROR);
	assert_int_equal(check(u, "b", "secret"), USERS_NO);
	users_free(&u);
}

static double cost(const struct users *u, const char *name, const char *password)
{
	struct timespec a, b;
	double least = 1e9;
	for (int i = 0; i < 5; i++) {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
		check(u, name, password);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
		double t = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
		least = t < least ? t : least;
	}
	return least;
}

/* CPU time, not the clock's: the machine may be busy. */
static void test_equal_work(void **state)
{
	char text[4096], error[512] = "", hash[USERS_HASH_MAX + 1];
	(void)state;
	assert_true(users_hash(SLICE_LIT("secret"), hash, error, sizeof(error)));
	snprintf(text, sizeof(text), "a:%s\n", hash);
	struct users *u = users_parse(slice_str(text), "f", error, sizeof(error));
	struct users *none = users_parse(slice_str(""), "f", error, sizeof(error));
	assert_non_null(u);
	assert_non_null(none);
	double yes = cost(u, "a", "secret");
	double other[] = {cost(u, "a", "wrong"), cost(u, "b", "secret"), cost(u, "a", ""),
			  cost(none, "a", "secret")};
	for (size_t i = 0; i < ROWS(other); i++) {
		if (other[i] < 0.5 * yes || other[i] > 2 * yes)
			fail_msg("%zu: %g s, not %g s", i, other[i], yes);
	}
	assert_true(yes > 0.001);
	users_free(&u);
	/* where hashes are cheap, an unknown name is cheap too */
	assert_true(users_crypt("secret", YES, hash));
	snprintf(text, sizeof(text), "a:%s\n", hash);
	u = users_parse(slice_str(text), "f", error, sizeof(error));
	assert_non_null(u);
	assert_true(cost(u, "b", "secret") < 3 * cost(u, "a", "secret"));
	users_free(&u);
	users_free(&none);
}

/* --- Editing --- */

static void test_edit(void **state)
{
	struct fixture *f = *state;
	char text[2048], want[2048], error[512] = "";
	struct stat st;
	const char *h = f->hash;
	unlink(f->file);
	assert_int_equal(users_remove(f->file, "a", error, sizeof(error)), USERS_EDIT_FAILED);
	assert_non_null(strstr(error, "No such file"));
	assert_int_equal(access(f->file, F_OK), -1);
	/* made */
	assert_int_equal(users_set(f->file, "a", h, error, sizeof(error)), USERS_ADDED);
	snprintf(want, sizeof(want), "a:%s\n", h);
	is_now(f->file, want);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* changed: order, comments, blanks, a weak neighbour; no line feed at the end */
	snprintf(text, sizeof(text), "# one\n\nb:" DES ":keep: me\n  # two\nc:" DES);
	put(f->file, text, 0640);
	assert_int_equal(users_set(f->file, "b", h, error, sizeof(error)), USERS_CHANGED);
	snprintf(want, sizeof(want), "# one\n\nb:%s:keep: me\n  # two\nc:" DES "\n", h);
	is_now(f->file, want);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(users_set(f->file, "d", h, error, sizeof(error)), USERS_ADDED);
	assert_int_equal(users_remove(f->file, "c", error, sizeof(error)), USERS_REMOVED);
	assert_int_equal(users_remove(f->file, "c", error, sizeof(error)), USERS_UNKNOWN);
	snprintf(want, sizeof(want), "# one\n\nb:%s:keep: me\n  # two\nd:%s\n", h, h);
	is_now(f->file, want);
	/* rights for everybody go */
	chmod(f->file, 0666);
	assert_int_equal(users_remove(f->file, "d", error, sizeof(error)), USERS_REMOVED);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void test_edit_errors(void **state)
{
	struct fixture *f = *state;
	char error[512] = "", want[256];
	const char *h = f->hash;
	const char *const bad[] = {"", "#a", "a:b", "a b", "\xff"};
	put(f->file, "x:" DES "\nno line\n", 0600);
	for (size_t i = 0; i < ROWS(bad); i++) {
		assert_int_equal(users_set(f->file, bad[i], h, error, sizeof(error)),
				 USERS_EDIT_FAILED);
		assert_int_equal(users_remove(f->file, bad[i], error, sizeof(error)),
				 USERS_EDIT_FAILED);
	}
	assert_int_equal(users_set(f->file, "a", DES, error, sizeof(error)), USERS_EDIT_FAILED);
	assert_string_equal(error, "a DES hash, which is too weak");
	assert_int_equal(users_set(f->file, "a", "$5$a$b:c", error, sizeof(error)),
			 USERS_EDIT_FAILED);
	assert_int_equal(users_set(f->file, "a", "$5$a\nroot:x", error, sizeof(error)),
			 USERS_EDIT_FAILED);
	assert_int_equal(users_set(f->file, "a", h, error, sizeof(error)), USERS_EDIT_FAILED);
	snprintf(want, sizeof(want), "%s:2: no colon: a line is name:hash or name:hash:comment",
		 f->file);
	assert_string_equal(error, want);
	is_now(f->file, "x:" DES "\nno line\n");
	put(f->file, "x:" DES "\nx:" DES "\n", 0600);
	assert_int_equal(users_remove(f->file, "x", error, sizeof(error)), USERS_EDIT_FAILED);
	assert_non_null(strstr(error, ":2: this user is there twice"));
	assert_int_equal(users_set(f->folder, "a", h, error, sizeof(error)), USERS_EDIT_FAILED);
}

static void test_symlink(void **state)
{
	struct fixture *f = *state;
	char link[128], error[512] = "";
	struct stat st;
	snprintf(link, sizeof(link), "%s/link", f->folder);
	put(f->file, "", 0600);
	assert_int_equal(symlink("users", link), 0);
	assert_int_equal(users_set(link, "a", f->hash, error, sizeof(error)), USERS_ADDED);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(f->file);
	/* dangling: refused, not replaced */
	assert_int_equal(users_set(link, "a", f->hash, error, sizeof(error)), USERS_EDIT_FAILED);
	assert_int_equal(lstat(link, &st), 0);
	unlink(link);
}

struct listed {
	char text[512];
};

static void list_one(void *arg, struct slice name, const char *method, const char *why)
{
	struct listed *l = arg;
	size_t n = strlen(l->text);
	snprintf(l->text + n, sizeof(l->text) - n, "%.*s=%s%s ", (int)name.n, (const char *)name.p,
		 method, why != NULL ? "!" : "");
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	char text[1024], error[512] = "";
	struct listed l = {""};
	snprintf(text, sizeof(text), "z:%s\n#\na:" DES ":x\n", f->hash);
	put(f->file, text, 0644);
	assert_true(users_list(f->file, list_one, &l, error, sizeof(error)));
	assert_string_equal(l.text, "z=SHA-256 a=DES! ");
	put(f->file, "a\n", 0600);
	assert_false(users_list(f->file, list_one, &l, error, sizeof(error)));
	assert_non_null(strstr(error, ":1: no colon"));
}

/* --- All at once --- */

enum { WRITERS = 3, ROUNDS = 40 };

static void write_many(const char *file, const char *hash, int writer)
{
	char name[32], error[512];
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "w%d-%d", writer, i);
		if (users_set(file, name, hash, error, sizeof(error)) != USERS_ADDED)
			_exit(1);
	}
	_exit(0);
}

/* A reader always sees a whole file: the number of users never falls, and the last line is whole.
 * No writer's work is lost. */
static void test_concurrent(void **state)
{
	struct fixture *f = *state;
	char error[512] = "";
	size_t seen = 0;
	int left = WRITERS, status;
	put(f->file, "# start\n", 0600);
	for (int i = 0; i < WRITERS; i++) {
		if (fork() == 0)
			write_many(f->file, f->hash, i);
	}
	while (left > 0) {
		struct users *u = users_load(f->file, error, sizeof(error));
		if (u == NULL)
			fail_msg("%s", error);
		assert_true(users_count(u) >= seen);
		seen = users_count(u);
		users_free(&u);
		if (waitpid(-1, &status, WNOHANG) > 0) {
			assert_int_equal(status, 0);
			left--;
		}
	}
	struct users *u = users_load(f->file, error, sizeof(error));
	assert_non_null(u);
	assert_int_equal(users_count(u), WRITERS * ROUNDS);
	users_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),         cmocka_unit_test(test_bad_lines),
	    cmocka_unit_test(test_methods),       cmocka_unit_test(test_new_hash),
	    cmocka_unit_test(test_load_errors),   cmocka_unit_test(test_check),
	    cmocka_unit_test(test_unusable_hash), cmocka_unit_test(test_equal_work),
	    cmocka_unit_test(test_edit),          cmocka_unit_test(test_edit_errors),
	    cmocka_unit_test(test_symlink),       cmocka_unit_test(test_list),
	    cmocka_unit_test(test_concurrent),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
