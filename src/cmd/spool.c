/* SPDX-License-Identifier: MIT */
/* Standard input to CRLF text on disk. Nothing is sent before all of the message was read and found
 * sound. */
#include "cmd/spool.h"

#include "base/buf.h"
#include "wire/dotstuff.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { CHUNK = 65536 };

/* Without a name from the start where the file system can do that. */
static int open_unlinked(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/danelaw.XXXXXX", dir);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int write_all(struct spool *s, struct buf *b)
{
	if (!buf_ok(b)) {
		errno = ENOMEM;
		return -1;
	}
	while (buf_len(b) > 0) {
		struct slice w = buf_slice(b);
		ssize_t n = write(s->fd, w.p, w.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buf_consume(b, (size_t)n);
		s->size += (uint64_t)n;
	}
	return 0;
}

static int bad_text(const struct linefix *l, enum linefix_error e, char *error, size_t room)
{
	const char *what =
	    e == LINEFIX_NUL ? "a NUL octet" : "a carriage return without a line feed";
	snprintf(error, room,
		 "the message has %s in line %" PRIu64
		 "; that cannot be sent by SMTP: encode the part (base64 or quoted-printable)",
		 what, l->line);
	return EX_DATAERR;
}

static int copy(struct spool *s, int in, struct linefix *l, struct buf *out, char *error,
		size_t room)
{
	uint8_t chunk[CHUNK];
	for (;;) {
		ssize_t n = read(in, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			snprintf(error, room, "cannot read the message from standard input: %s",
				 strerror(errno));
			return EX_NOINPUT;
		}
		enum linefix_error e = n > 0 ? linefix_feed(l, slice_make(chunk, (size_t)n), out)
					     : linefix_end(l, out);
		if (e == LINEFIX_BARE_CR || e == LINEFIX_NUL)
			return bad_text(l, e, error, room);
		if (write_all(s, out) != 0) {
			snprintf(error, room, "cannot keep the message in a temporary file: %s",
				 strerror(errno));
			return EX_IOERR;
		}
		if (n == 0)
			return EX_OK;
	}
}

int spool_read(struct spool *s, int in, const char *prefix, char *error, size_t room)
{
	struct linefix l;
	struct buf out;
	const char *dir = getenv("TMPDIR");
	if (dir == NULL || dir[0] == '\0')
		dir = "/var/tmp"; /* /tmp may be memory */
	*s = (struct spool){.fd = open_unlinked(dir)};
	if (s->fd < 0) {
		snprintf(error, room, "cannot make a temporary file in %s: %s; set TMPDIR", dir,
			 strerror(errno));
		return EX_CANTCREAT;
	}
	linefix_init(&l);
	buf_init(&out, 2 * CHUNK + 16);
	buf_add_str(&out, prefix);
	int code = EX_OK;
	if (write_all(s, &out) != 0) {
		snprintf(error, room, "cannot keep the message in a temporary file: %s",
			 strerror(errno));
		code = EX_IOERR;
	} else {
		code = copy(s, in, &l, &out, error, room);
	}
	s->eight_bit = l.eight_bit;
	s->header_eight_bit = l.header_eight_bit;
	buf_free(&out);
	if (code != EX_OK)
		spool_close(s);
	return code;
}

void spool_close(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
