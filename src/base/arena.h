/* SPDX-License-Identifier: MIT */
/*
 * A bump allocator: many small objects of one lifetime, freed together.
 *
 * Memory is zeroed and aligned for any type. Allocation fails (NULL, and `failed` stays set) when
 * malloc fails or `max` bytes are used up: the limit stops a hostile answer from eating memory.
 * Not thread-safe.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *head;
	size_t used;
	size_t max;
	size_t chunk; /* size of the next one; 0: of the first */
	bool failed;
};

void arena_init(struct arena *a, size_t max);
void arena_free(struct arena *a); /* frees every object; the arena can be used again */
void *arena_alloc(struct arena *a, size_t n);
void *arena_array(struct arena *a, size_t count, size_t size); /* checks the product */
char *arena_strdup(struct arena *a, const char *s);
char *arena_str(struct arena *a, struct slice s); /* NUL-terminated copy */
struct slice arena_bytes(struct arena *a, struct slice s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
