/* SPDX-License-Identifier: MIT */
/*
 * The growing byte buffer: where its bytes lie and when it refuses to grow.
 *
 * Knows a maximum and malloc. Refuses to know what the bytes mean, and to abort on want of memory:
 * an add that did not happen shows in buf_ok().
 */
#include "base/buf.h"

enum { BUF_FIRST_CAP = 256 };

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->p);
	buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
	b->start = 0;
	b->end = 0;
	b->failed = false;
}

struct slice buf_slice(const struct buf *b)
{
	return slice_from(slice_make(b->p, b->end), b->start);
}

size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

size_t buf_room(const struct buf *b)
{
	return b->failed ? 0 : b->max - buf_len(b);
}

bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

static void move_to_front(struct buf *b)
{
	size_t live = buf_len(b);

	if (b->start > 0 && live > 0)
		memmove(b->p, b->p + b->start, live);
	b->start = 0;
	b->end = live;
}

static bool grow(struct buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_CAP;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	uint8_t *p = realloc(b->p, cap);
	if (p == NULL)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

/* Room for n bytes behind the live ones. `max` was checked by the caller: the NUL of buf_cstr() may
 * go one over it. */
static bool make_space(struct buf *b, size_t n)
{
	if (b->p != NULL && n <= b->cap - b->end)
		return true;
	size_t live = buf_len(b);
	if (n > SIZE_MAX - live)
		return false;
	/* Moving is only worth it when at least half of the memory is dead: else small adds behind
	 * small consumes would move everything each time. Growing instead ends that. */
	bool fits = b->p != NULL && n <= b->cap - live;
	bool half_dead = b->start >= b->cap / 2;
	move_to_front(b);
	if (fits && half_dead)
		return true;
	return grow(b, fits ? b->cap + 1 : live + n);
}

uint8_t *buf_reserve(struct buf *b, size_t want)
{
	if (b->failed)
		return NULL;
	if (want > buf_room(b) || !make_space(b, want > 0 ? want : 1)) {
		b->failed = true;
		return NULL;
	}
	return b->p + b->end;
}

void buf_commit(struct buf *b, size_t n)
{
	/* More than was reserved is our bug: the bytes were written past the memory. */
	if (n > b->cap - b->end)
		abort();
	if (!b->failed)
		b->end += n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	uint8_t *to = buf_reserve(b, n);
	if (to == NULL)
		return;
	memcpy(to, p, n);
	b->end += n;
}

void buf_add_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.p, s.n);
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add_slice(b, slice_str(s));
}

void buf_add_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

void buf_add_u16(struct buf *b, uint16_t v)
{
	uint8_t octets[2] = {(uint8_t)(v >> 8), (uint8_t)(v & 0xff)};

	buf_add(b, octets, sizeof(octets));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;

	if (b->failed)
		return;
	/* Mostly there is space already: what is written behind the end is not content yet. */
	size_t space = b->cap - b->end;
	va_copy(again, ap);
	int n = vsnprintf(space > 0 ? (char *)b->p + b->end : NULL, space, fmt, ap);
	/* vsnprintf writes a NUL behind the text, which is not part of the content */
	if (n < 0 || (size_t)n > buf_room(b) || !make_space(b, (size_t)n + 1)) {
		b->failed = true;
	} else {
		if ((size_t)n >= space)
			(void)vsnprintf((char *)b->p + b->end, (size_t)n + 1, fmt, again);
		buf_commit(b, (size_t)n);
	}
	va_end(again);
}

void buf_add_hex(struct buf *b, struct slice s)
{
	if (s.n > SIZE_MAX / 2 - 1 || 2 * s.n > buf_room(b) || !make_space(b, 2 * s.n + 1)) {
		b->failed = true;
		return;
	}
	hex_encode(s, (char *)b->p + b->end);
	buf_commit(b, 2 * s.n);
}

void buf_consume(struct buf *b, size_t n)
{
	size_t live = buf_len(b);

	b->start += n < live ? n : live;
	if (b->start == b->end) {
		b->start = 0;
		b->end = 0;
	}
}

const char *buf_cstr(struct buf *b)
{
	if (b->failed || !make_space(b, 1)) {
		b->failed = true;
		return "";
	}
	b->p[b->end] = '\0';
	return (const char *)b->p + b->start;
}
