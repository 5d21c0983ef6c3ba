/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer with a declared maximum and a sticky error.
 *
 * Adding past `max` or running out of memory sets `failed`; every later add is a no-op, so that a
 * writer checks once at the end (fail closed: buf_ok() before the bytes are used). Bytes are
 * consumed from the front. Slices into a buffer are valid until the next call that changes it. Not
 * thread-safe.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"

#include <stdarg.h>

struct buf {
	uint8_t *p;
	size_t start; /* first live byte */
	size_t end;   /* one past the last live byte */
	size_t cap;
	size_t max; /* live bytes never exceed this */
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* also resets to an empty buffer with the same max */
void buf_reset(struct buf *b); /* empties, clears the error, keeps the memory */

struct slice buf_slice(const struct buf *b);
size_t buf_len(const struct buf *b);
size_t buf_room(const struct buf *b); /* how many bytes may still be added */
bool buf_ok(const struct buf *b);

void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_u8(struct buf *b, uint8_t v);
void buf_add_u16(struct buf *b, uint16_t v); /* big-endian */
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_add_hex(struct buf *b, struct slice s);

/* For reads into the buffer: at least `want` writable bytes (NULL on failure), then how many were
 * written. */
uint8_t *buf_reserve(struct buf *b, size_t want);
void buf_commit(struct buf *b, size_t n);

void buf_consume(struct buf *b, size_t n);
/* The content as a C string; adds a NUL behind the live bytes. Never NULL ("" after a failure). */
const char *buf_cstr(struct buf *b);

#endif
