/* SPDX-License-Identifier: MIT */
/*
 * The text of a message while it comes in: small ones in memory, larger ones in a memory file; on
 * the way by it counts what must be known of it. Refuses to know its meaning beyond "is this line a
 * Received field" (RFC 5321 s6.3).
 */
#include "relay/intake_int.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE_SEEN = 16 }; /* enough of a line for "Received:" */

void mailtext_init(struct mailtext *t)
{
	*t = (struct mailtext){.fd = -1, .in_header = true, .line_start = true};
	buf_init(&t->small, MAIL_INLINE_MAX);
	buf_init(&t->line, LINE_SEEN);
}

void mailtext_free(struct mailtext *t)
{
	buf_free(&t->small);
	buf_free(&t->line);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

static void end_line(struct mailtext *t)
{
	struct slice line = buf_slice(&t->line);
	if (line.n == 0 || line.p[0] == '\r')
		t->in_header = false;
	else if (slice_starts_nocase(line, "Received:"))
		t->received++;
	buf_reset(&t->line);
}

/* A loop that the compiler can make wide. */
static bool has_eight_bit(struct slice bytes)
{
	uint8_t seen = 0;
	for (size_t i = 0; i < bytes.n; i++)
		seen |= bytes.p[i];
	return seen > 0x7f;
}

static void look(struct mailtext *t, struct slice bytes)
{
	t->eight_bit = t->eight_bit || has_eight_bit(bytes);
	while (t->in_header && bytes.n > 0) {
		size_t n = slice_find(bytes, '\n');
		buf_add_slice(&t->line, slice_first(slice_first(bytes, n), buf_room(&t->line)));
		if (n < bytes.n)
			end_line(t);
		bytes = slice_from(bytes, n + 1);
	}
}

static bool write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		s = slice_from(s, (size_t)n);
	}
	return true;
}

static bool move_to_file(struct mailtext *t)
{
	t->fd = memfd_create("danelaw-message", MFD_CLOEXEC);
	if (t->fd < 0 || !write_all(t->fd, buf_slice(&t->small)))
		return false;
	buf_free(&t->small);
	return true;
}

bool mailtext_add(struct mailtext *t, struct slice bytes)
{
	look(t, bytes);
	t->size += bytes.n;
	if (t->fd < 0 && bytes.n > buf_room(&t->small) && !move_to_file(t))
		return false;
	if (t->fd >= 0)
		return write_all(t->fd, bytes);
	buf_add_slice(&t->small, bytes);
	return buf_ok(&t->small);
}
