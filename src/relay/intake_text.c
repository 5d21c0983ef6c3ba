/* SPDX-License-Identifier: MIT */
/*
 * The text of a message while it comes in: small ones in memory, larger ones in a memory
 * file, the largest, and all when memory is short, in a file on disk; on the way by it counts what
 * must be known of it. Refuses to know its meaning beyond "is this line a
 * Received field" (RFC 5321 s6.3).
 */
#include "relay/intake_int.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum {
	LINE_SEEN = 16,            /* enough of a line for "Received:" */
	MEMORY_TEXT_MAX = 1 << 20, /* larger ones are on disk, as much memory as there may be */
	GRANT_SMALL = 16 * 1024,   /* asked for at once: who asks looks at all clients */
	GRANT_LARGE = 256 * 1024,
	COPY_PART = 1 << 20,
};

void mailtext_init(struct mailtext *t, const struct text_room *room)
{
	*t = (struct mailtext){.room = room, .fd = -1, .in_header = true, .line_start = true};
	buf_init(&t->small, MAIL_INLINE_MAX);
	buf_init(&t->line, LINE_SEEN);
}

void mailtext_free(struct mailtext *t)
{
	buf_free(&t->small);
	buf_free(&t->line);
	if (t->on_disk)
		t->room->give_file(t->room->arg, t->fd);
	else if (t->fd >= 0)
		close(t->fd);
	if (t->granted > 0)
		t->room->may_hold(t->room->arg, 0, 0, false);
	t->fd = -1;
	t->on_disk = false;
	t->granted = 0;
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

static uint64_t rounded(uint64_t octets)
{
	uint64_t step = octets > GRANT_LARGE ? GRANT_LARGE : GRANT_SMALL;
	return (octets + step - 1) / step * step;
}

/* Room for a text of so many octets where it is now. */
static bool grant(struct mailtext *t, uint64_t octets, bool past_budget)
{
	if (t->room == NULL || octets <= t->granted)
		return true;
	uint64_t all = rounded(octets);
	if (!t->room->may_hold(t->room->arg, t->on_disk ? 0 : all, t->on_disk ? all : 0,
			       past_budget)) {
		t->granted = 0;
		return false;
	}
	t->granted = all;
	return true;
}

static bool move_to_memory_file(struct mailtext *t)
{
	t->fd = memfd_create("danelaw-message", MFD_CLOEXEC);
	if (t->fd < 0 || !write_all(t->fd, buf_slice(&t->small)))
		return false;
	buf_free(&t->small);
	return true;
}

/* What is in a memory file already, into another file. */
static bool copy_all(int to, int from)
{
	off_t at = 0;
	ssize_t n;
	while ((n = sendfile(to, from, &at, COPY_PART)) > 0 || (n < 0 && errno == EINTR))
		;
	return n == 0;
}

static bool move_to_disk(struct mailtext *t, int fd)
{
	bool ok = t->fd >= 0 ? copy_all(fd, t->fd) : write_all(fd, buf_slice(&t->small));
	buf_free(&t->small);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = fd;
	t->on_disk = true;
	t->granted = 0;
	return ok;
}

/* A place for so many octets in all. */
static enum mailtext_status make_room(struct mailtext *t, uint64_t octets)
{
	bool small = t->room == NULL || octets <= MEMORY_TEXT_MAX;
	if (!t->on_disk && !(small && grant(t, octets, false))) {
		int fd = t->room->take_file(t->room->arg);
		if (fd < 0)
			return grant(t, octets, true) ? MAILTEXT_OK : MAILTEXT_NO_ROOM;
		if (!move_to_disk(t, fd))
			return MAILTEXT_NO_ROOM;
	}
	return grant(t, octets, false) ? MAILTEXT_OK : MAILTEXT_NO_ROOM;
}

enum mailtext_status mailtext_add(struct mailtext *t, struct slice bytes)
{
	look(t, bytes);
	enum mailtext_status s = make_room(t, t->size + bytes.n);
	if (s != MAILTEXT_OK)
		return s;
	t->size += bytes.n;
	if (t->fd < 0 && bytes.n > buf_room(&t->small) && !move_to_memory_file(t))
		return MAILTEXT_BROKEN;
	if (t->fd >= 0)
		return write_all(t->fd, bytes) ? MAILTEXT_OK : MAILTEXT_NO_ROOM;
	buf_add_slice(&t->small, bytes);
	return buf_ok(&t->small) ? MAILTEXT_OK : MAILTEXT_BROKEN;
}
