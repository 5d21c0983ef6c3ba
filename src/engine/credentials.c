/* SPDX-License-Identifier: MIT */
/*
 * The credentials file: read whole, kept in one piece of memory that is wiped at the end. Knows its
 * mode and its lines; refuses to know who asks.
 */
#include "engine/credentials.h"

#include "wire/dname.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	struct slice host;
	uint16_t port;          /* 0: every one */
	struct smtpc_auth auth; /* in the text */
};

struct credentials {
	struct entry *entry;
	size_t n;
	size_t size;
	char text[]; /* fields end in NUL where a blank or LF was */
};

/* A line while it is cut; columns count from 1. */
struct line {
	char *start, *at;
	const char *why; /* not NULL: wrong, at `at` */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool refuse(struct line *l, char *at, const char *why)
{
	l->at = at;
	l->why = why;
	return false;
}

/* The next field, ended by NUL; the rest of the line if it is the last one. */
static char *cut_field(struct line *l, bool last)
{
	while (is_blank(*l->at))
		l->at++;
	char *field = l->at;
	while (*l->at != '\0' && (last || !is_blank(*l->at)))
		l->at++;
	if (*l->at != '\0')
		*l->at++ = '\0';
	return field;
}

static bool take_host(struct line *l, struct entry *e)
{
	uint64_t port;
	char *field = cut_field(l, false);
	struct slice number, whole = slice_str(field);
	e->host = slice_cut(whole, ':', &number);
	if (!hostname_is_valid(e->host))
		return refuse(l, field, "expected HOST or HOST:PORT");
	if (e->host.n == whole.n)
		return true;
	if (!slice_to_u64(number, UINT16_MAX, &port) || port == 0)
		return refuse(l, field + e->host.n + 1, "the port is a number from 1 to 65535");
	e->port = (uint16_t)port;
	return true;
}

static bool take_word(struct line *l, bool last, const char *missing, const char **out)
{
	char *field = cut_field(l, last);
	if (field[0] == '\0')
		return refuse(l, field, missing);
	if (strlen(field) > SMTPC_AUTH_MAX)
		return refuse(l, field, "longer than 255 octets");
	*out = field;
	return true;
}

static bool take_entry(struct line *l, struct entry *e)
{
	return take_host(l, e) &&
	       take_word(l, false, "the user is missing behind the host", &e->auth.user) &&
	       take_word(l, true, "the password is missing behind the user", &e->auth.password);
}

/* A line without its end; whoever edits on another system leaves a CR. */
static bool take_line(struct credentials *c, struct line *l, size_t n)
{
	while (n > 0 && is_blank(l->start[n - 1]))
		l->start[--n] = '\0';
	l->at = l->start;
	while (is_blank(*l->at))
		l->at++;
	if (*l->at == '\0' || *l->at == '#')
		return true;
	if (c->n == CREDENTIALS_MAX)
		return refuse(l, l->at, "too many lines");
	struct entry *grown = realloc(c->entry, (c->n + 1) * sizeof(*grown));
	if (grown == NULL)
		return refuse(l, l->at, "out of memory");
	c->entry = grown;
	c->entry[c->n] = (struct entry){0};
	if (!take_entry(l, &c->entry[c->n]))
		return false;
	c->n++;
	return true;
}

static bool take_lines(struct credentials *c, const char *name, char *error, size_t room)
{
	char *p = c->text;
	for (unsigned number = 1; p < c->text + c->size; number++) {
		char *end = memchr(p, '\n', c->size - (size_t)(p - c->text));
		size_t n = end != NULL ? (size_t)(end - p) : c->size - (size_t)(p - c->text);
		struct line l = {.start = p};
		p[n] = '\0';
		bool ok = memchr(p, '\0', n) == NULL ? take_line(c, &l, n)
						     : refuse(&l, p + strlen(p), "a NUL");
		if (!ok) {
			snprintf(error, room, "%s:%u:%zu: %s", name, number,
				 (size_t)(l.at - l.start) + 1, l.why);
			return false;
		}
		p += n + 1;
	}
	return true;
}

struct credentials *credentials_parse(struct slice text, const char *name, char *error, size_t room)
{
	struct credentials *c =
	    text.n <= CREDENTIALS_FILE_MAX ? calloc(1, sizeof(*c) + text.n + 1) : NULL;
	if (c == NULL) {
		snprintf(error, room, "%s: larger than 1 MiB, or out of memory", name);
		return NULL;
	}
	c->size = text.n;
	if (text.n > 0)
		memcpy(c->text, text.p, text.n);
	if (!take_lines(c, name, error, room))
		credentials_free(&c);
	return c;
}

void credentials_free(struct credentials **c)
{
	if (*c == NULL)
		return;
	explicit_bzero((*c)->text, (*c)->size);
	free((*c)->entry);
	free(*c);
	*c = NULL;
}

static const char *judge_file(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "others than its owner can read or write the passwords (chmod 600)";
	return NULL;
}

static struct credentials *read_and_parse(int fd, const char *path, char *error, size_t room)
{
	size_t n = 0;
	ssize_t got = 1;
	uint8_t *text = malloc(CREDENTIALS_FILE_MAX + 1);
	struct credentials *c = NULL;
	while (text != NULL && got > 0 && n <= CREDENTIALS_FILE_MAX) {
		got = read(fd, text + n, CREDENTIALS_FILE_MAX + 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		snprintf(error, room, "cannot read %s: %s", path, strerror(errno));
	else if (text == NULL)
		snprintf(error, room, "out of memory");
	else
		c = credentials_parse(slice_make(text, n), path, error, room);
	if (text != NULL)
		explicit_bzero(text, CREDENTIALS_FILE_MAX + 1);
	free(text);
	return c;
}

struct credentials *credentials_load(const char *path, char *error, size_t room)
{
	struct credentials *c = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *why = fd >= 0 ? judge_file(fd) : strerror(errno);
	if (why != NULL)
		snprintf(error, room, "cannot use %s: %s", path, why);
	else
		c = read_and_parse(fd, path, error, room);
	if (fd >= 0)
		close(fd);
	return c;
}

const struct smtpc_auth *credentials_find(const struct credentials *c, const char *host,
					  uint16_t port)
{
	for (size_t i = 0; c != NULL && i < c->n; i++) {
		const struct entry *e = &c->entry[i];
		if (slice_eq_nocase_str(e->host, host) && (e->port == 0 || e->port == port))
			return &e->auth;
	}
	return NULL;
}
