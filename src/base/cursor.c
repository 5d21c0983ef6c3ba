/* SPDX-License-Identifier: MIT */
/*
 * Reading numbers and runs of octets from binary data.
 *
 * Knows network order and where the data ends. Refuses to know what is being read.
 */
#include "base/cursor.h"

struct cursor cursor_make(struct slice in)
{
	return (struct cursor){.in = in};
}

struct slice cursor_bytes(struct cursor *c, size_t n)
{
	if (c->failed || n > c->in.n - c->pos) {
		c->failed = true;
		return slice_make(NULL, 0);
	}
	struct slice run = slice_first(slice_from(c->in, c->pos), n);
	c->pos += n;
	return run;
}

static uint32_t number(struct cursor *c, size_t octets)
{
	struct slice run = cursor_bytes(c, octets);
	uint32_t value = 0;

	for (size_t i = 0; i < run.n; i++)
		value = value << 8 | run.p[i];
	return value;
}

uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)number(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)number(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
	return number(c, 4);
}

size_t cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : c->in.n - c->pos;
}
