/* SPDX-License-Identifier: MIT */
/* A sorted table of addresses. Knows the file; refuses to know who asks. */
#include "relay/recipients.h"

#include "base/buf.h"
#include "idn/idn.h"
#include "relay/postmaster.h"
#include "wire/address.h"
#include "wire/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_AT_ONCE = 65536, ENTRY_ROOM = ADDRESS_PATH_MAX + DESTINATION_ROOM };

struct recipients {
	char **entry; /* "local@domain" or "@domain", lower case, sorted */
	size_t n, room;
};

void recipients_free(struct recipients **r)
{
	if (*r == NULL)
		return;
	for (size_t i = 0; i < (*r)->n; i++)
		free((*r)->entry[i]);
	free((*r)->entry);
	free(*r);
	*r = NULL;
}

/* local@domain with its ASCII letters in lower case; false: too long. */
static bool make_entry(struct slice local, struct slice domain, char out[static ENTRY_ROOM])
{
	int n = snprintf(out, ENTRY_ROOM, "%.*s@%.*s", (int)local.n, (const char *)local.p,
			 (int)domain.n, (const char *)domain.p);
	for (char *c = out; *c != '\0'; c++)
		*c = (char)ascii_lower((uint8_t)*c);
	return n >= 0 && n < ENTRY_ROOM;
}

/* The last @ divides; false: there is none, or the local part is no local part. */
static bool divide(struct slice line, struct slice *local, struct slice *domain)
{
	struct address a;
	size_t at = line.n;
	while (at > 0 && line.p[at - 1] != '@')
		at--;
	if (at == 0)
		return false;
	*local = slice_first(line, at - 1);
	*domain = slice_from(line, at);
	return local->n == 0 || address_parse(line, &a) == ADDRESS_OK;
}

static const char *read_line(struct recipients *r, struct slice line)
{
	struct slice local, domain;
	char name[DESTINATION_ROOM], given[DESTINATION_ROOM], entry[ENTRY_ROOM];
	if (!divide(line, &local, &domain) || domain.n >= sizeof(given))
		return "neither an address nor @DOMAIN";
	snprintf(given, sizeof(given), "%.*s", (int)domain.n, (const char *)domain.p);
	if (idn_destination(given, name, NULL) != IDN_OK)
		return "the domain is no domain";
	if (!make_entry(local, slice_str(name), entry))
		return "too long";
	if (r->n == RECIPIENTS_MAX)
		return "more than a million recipients";
	if (r->n == r->room) {
		size_t room = r->room > 0 ? 2 * r->room : 64;
		char **more = reallocarray(r->entry, room, sizeof(*more));
		if (more == NULL)
			return "out of memory";
		r->entry = more;
		r->room = room;
	}
	r->entry[r->n] = strdup(entry);
	return r->entry[r->n] != NULL ? (r->n++, NULL) : "out of memory";
}

static int compare(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	return strcmp(*x, *y);
}

struct recipients *recipients_parse(struct slice text, const char *file, char *error, size_t room)
{
	struct recipients *r = calloc(1, sizeof(*r));
	const char *wrong = r == NULL ? "out of memory" : NULL;
	size_t number = 0;
	while (wrong == NULL && text.n > 0) {
		struct slice line = slice_cut(text, '\n', &text);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		line = slice_trim(line);
		number++;
		if (line.n > 0 && line.p[0] != '#')
			wrong = read_line(r, line);
	}
	if (wrong != NULL) {
		snprintf(error, room, "%s:%zu: %s", file, number, wrong);
		recipients_free(&r);
		return NULL;
	}
	if (r->n > 0)
		qsort(r->entry, r->n, sizeof(*r->entry), compare);
	return r;
}

/* False: errno says why. */
static bool read_all(int fd, struct buf *out)
{
	ssize_t n = 1;
	while (n != 0) {
		uint8_t *p = buf_reserve(out, READ_AT_ONCE);
		if (p == NULL) {
			errno = EFBIG;
			return false;
		}
		n = read(fd, p, READ_AT_ONCE);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			buf_commit(out, (size_t)n);
	}
	return true;
}

struct recipients *recipients_load(const char *file, char *error, size_t room)
{
	struct recipients *r = NULL;
	struct buf text;
	buf_init(&text, RECIPIENTS_FILE_MAX);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read_all(fd, &text))
		r = recipients_parse(buf_slice(&text), file, error, room);
	else
		snprintf(error, room, "%s: %s", file, strerror(errno));
	if (fd >= 0)
		close(fd);
	buf_free(&text);
	return r;
}

static bool has_entry(const struct recipients *r, const char *entry)
{
	return r->n > 0 && bsearch(&entry, r->entry, r->n, sizeof(*r->entry), compare) != NULL;
}

bool recipients_has(const struct recipients *r, struct slice local, struct slice domain)
{
	char entry[ENTRY_ROOM];
	if (postmaster_is_local_part(local))
		return true;
	if (make_entry(slice_make("", 0), domain, entry) && has_entry(r, entry))
		return true;
	return make_entry(local, domain, entry) && has_entry(r, entry);
}
