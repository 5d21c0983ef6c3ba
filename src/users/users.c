/* SPDX-License-Identifier: MIT */
/*
 * The users of one file in memory: reading it all or refusing it, and checking passwords.
 *
 * Knows how much work a check must cost. Refuses to know SASL, limits on attempts, and the network.
 */
#include "users/room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct user {
	struct slice name, hash; /* into text */
	unsigned line;
};

struct users {
	struct buf text;
	struct user *user; /* by name */
	size_t n;
	uint64_t key; /* chooses whom an unknown name is measured against */
};

/* For a file without users: yescrypt at its default cost. Nobody has the password. */
static const char nobody[] =
    "$y$j9T$ZT6YUhWWbLlSZPJ1WPoU10$QdBok3wuRjmCgat1ePiEJRzyOZyi392NqJz1aqvTrV6";

void users_free(struct users **u)
{
	if (*u == NULL)
		return;
	if ((*u)->text.p != NULL)
		explicit_bzero((*u)->text.p, (*u)->text.cap);
	buf_free(&(*u)->text);
	free((*u)->user);
	free(*u);
	*u = NULL;
}

size_t users_count(const struct users *u)
{
	return u->n;
}

/* --- Reading --- */

static bool push(struct users *u, size_t *room, const struct user *one)
{
	if (u->n == *room) {
		size_t more = 2 * *room + 16;
		struct user *p = reallocarray(u->user, more, sizeof(*p));
		if (p == NULL)
			return false;
		u->user = p;
		*room = more;
	}
	u->user[u->n++] = *one;
	return true;
}

static const char *read_line(struct users *u, size_t *room, struct slice line, unsigned number)
{
	struct users_line l;
	const char *wrong = users_line_parse(line, &l);
	if (wrong != NULL || l.name.n == 0)
		return wrong;
	wrong = users_hash_refused(l.hash);
	if (wrong != NULL)
		return wrong;
	if (!users_crypt_knows(l.hash))
		return "a password hash that crypt(3) of this system cannot read";
	if (u->n == USERS_MAX)
		return "more than 100000 users";
	struct user one = {.name = l.name, .hash = l.hash, .line = number};
	return push(u, room, &one) ? NULL : "out of memory";
}

static bool read_lines(struct users *u, const char *file, char *error, size_t room)
{
	struct slice rest = buf_slice(&u->text), line;
	size_t user_room = 0;
	for (unsigned number = 1; users_line_next(&rest, &line); number++) {
		const char *wrong = read_line(u, &user_room, line, number);
		if (wrong != NULL) {
			snprintf(error, room, "%s:%u: %s", file, number, wrong);
			return false;
		}
	}
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct user *x = a, *y = b;
	int c = slice_cmp(x->name, y->name);
	if (c != 0)
		return c;
	return x->line < y->line ? -1 : x->line > y->line;
}

static bool sort(struct users *u, const char *file, char *error, size_t room)
{
	if (u->n > 1)
		qsort(u->user, u->n, sizeof(*u->user), by_name);
	for (size_t i = 1; i < u->n; i++) {
		const struct user *a = &u->user[i - 1], *b = &u->user[i];
		if (!slice_eq(a->name, b->name))
			continue;
		snprintf(error, room, "%s:%u: %.*s is already in line %u", file, b->line,
			 (int)b->name.n, (const char *)b->name.p, a->line);
		return false;
	}
	return true;
}

/* Takes the text. */
static struct users *take(struct buf *text, const char *file, char *error, size_t room)
{
	struct users *u = calloc(1, sizeof(*u));
	if (u == NULL) {
		snprintf(error, room, "%s: out of memory", file);
		return NULL;
	}
	u->text = *text;
	buf_init(text, 0);
	bool random = getrandom(&u->key, sizeof(u->key), 0) == (ssize_t)sizeof(u->key);
	if (!random)
		snprintf(error, room, "%s: no random number: %s", file, strerror(errno));
	if (!random || !read_lines(u, file, error, room) || !sort(u, file, error, room))
		users_free(&u);
	return u;
}

struct users *users_parse(struct slice text, const char *file, char *error, size_t room)
{
	struct buf copy;
	struct users *u = NULL;
	buf_init(&copy, USERS_FILE_MAX);
	buf_add_slice(&copy, text);
	if (buf_ok(&copy))
		u = take(&copy, file, error, room);
	else
		snprintf(error, room, "%s: larger than 32 MiB, or out of memory", file);
	buf_free(&copy);
	return u;
}

struct users *users_load(const char *file, char *error, size_t room)
{
	struct users_file f;
	struct users *u = NULL;
	if (users_file_open(&f, file, FILE_READ, error, room))
		u = take(&f.text, file, error, room);
	users_file_close(&f);
	return u;
}

/* --- Checking --- */

static int is_named(const void *key, const void *user)
{
	return slice_cmp(*(const struct slice *)key, ((const struct user *)user)->name);
}

/* FNV-1a over a secret key: the same name gives the same user, and nobody outside knows whom. */
static const struct user *stand_in(const struct users *u, struct slice name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ u->key;
	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	return u->n > 0 ? &u->user[h % u->n] : NULL;
}

/* Both NUL-terminated; the time depends on the lengths only, which are no secret. */
static bool same(const char *a, const char *b)
{
	size_t n = strlen(a);
	unsigned char differ = 0;
	if (strlen(b) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

enum users_verdict users_check(const struct users *u, struct slice name, struct slice password)
{
	const struct user *known =
	    u->n > 0 ? bsearch(&name, u->user, u->n, sizeof(*u->user), is_named) : NULL;
	const struct user *against = known != NULL ? known : stand_in(u, name);
	char setting[USERS_HASH_MAX + 1], got[USERS_HASH_MAX + 1] = "";
	char text[USERS_PASSWORD_MAX + 1] = "";
	struct slice hash = against != NULL ? against->hash : slice_str(nobody);
	bool sane = password.n > 0 && password.n <= USERS_PASSWORD_MAX &&
		    memchr(password.p, '\0', password.n) == NULL;

	memcpy(setting, hash.p, hash.n);
	setting[hash.n] = '\0';
	if (sane)
		memcpy(text, password.p, password.n);
	bool worked = users_crypt(text, setting, got);
	bool equal = worked && same(got, setting);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(got, sizeof(got));
	explicit_bzero(setting, sizeof(setting));
	if (known == NULL || !sane)
		return USERS_NO;
	if (!worked)
		return USERS_ERROR;
	return equal ? USERS_YES : USERS_NO;
}
