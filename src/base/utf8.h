/* SPDX-License-Identifier: MIT */
/* base: one step through UTF-8 text (RFC 3629). Pure; any thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

/* Octets of the valid character at the start of s: 1 to 4, or 0 when it is empty or not valid (an
 * overlong form, a surrogate, above U+10FFFF, or cut off). */
size_t utf8_next(struct slice s);

/* The same, and which character it is. */
size_t utf8_take(struct slice s, uint32_t *c);

#endif
