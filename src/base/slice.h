/* SPDX-License-Identifier: MIT */
/*
 * base: what every room needs and libc lacks. Slices are views of bytes that somebody else owns.
 *
 * A slice never owns memory and is valid as long as the bytes it points into. Functions are pure
 * and safe to call from any thread. A slice with n == 0 may have p == NULL.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
	const uint8_t *p;
	size_t n;
};

/* A slice over a string literal, without its NUL. */
#define SLICE_LIT(s) ((struct slice){.p = (const uint8_t *)(s), .n = sizeof(s) - 1})

struct slice slice_make(const void *p, size_t n);
struct slice slice_str(const char *s); /* NULL gives the empty slice */

/* The part from `from` (clamped to the length) to the end. */
struct slice slice_from(struct slice s, size_t from);
/* The first n bytes (clamped). */
struct slice slice_first(struct slice s, size_t n);

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_str(struct slice a, const char *b);
/* ASCII case-insensitive; bytes above 0x7f compare as they are. */
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_eq_nocase_str(struct slice a, const char *b);
bool slice_starts_nocase(struct slice s, const char *prefix);
int slice_cmp(struct slice a, struct slice b); /* memcmp order, shorter first on a tie */

/* Index of the first byte c, or s.n. */
size_t slice_find(struct slice s, uint8_t c);

/* Splits off what comes before the first c; *rest is what follows it (empty if there is no c). */
struct slice slice_cut(struct slice s, uint8_t c, struct slice *rest);
struct slice slice_trim(struct slice s); /* without leading and trailing SP and HTAB */

/* Decimal without sign, no leading '+' or blanks, at most max. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

/* ASCII helpers that ignore the locale. */
uint8_t ascii_lower(uint8_t c);
bool ascii_is_alpha(uint8_t c);
bool ascii_is_digit(uint8_t c);
bool ascii_is_alnum(uint8_t c);

/* Hexadecimal, either case. Returns false on an odd count, a bad digit or too little room. */
bool hex_decode(struct slice text, uint8_t *out, size_t room, size_t *n);
/* Writes 2*in.n lower-case digits and a NUL; `out` has room for 2*in.n+1 bytes. */
void hex_encode(struct slice in, char *out);

#endif
