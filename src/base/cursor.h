/* SPDX-License-Identifier: MIT */
/*
 * A reading position in binary data with a sticky error: after the first read past the end every
 * read gives zero and `failed` stays set, so that a parser checks once. Numbers are big-endian
 * (network order).
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include "base/slice.h"

struct cursor {
	struct slice in;
	size_t pos;
	bool failed;
};

struct cursor cursor_make(struct slice in);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
struct slice cursor_bytes(struct cursor *c, size_t n);
size_t cursor_left(const struct cursor *c);

#endif
