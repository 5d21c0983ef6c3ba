/* SPDX-License-Identifier: MIT */
/*
 * The bump allocator: a list of chunks, the newest first.
 *
 * Knows malloc and a limit. Refuses to free or grow a single object.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>

enum {
	CHUNK_MIN = 1024, /* small arenas are many (one per DNS answer) */
	CHUNK_MAX = 65536,
	PRINTF_FIRST = 256, /* longer texts are printed twice */
};

struct arena_chunk {
	struct arena_chunk *next;
	size_t used;
	size_t cap;
	alignas(max_align_t) uint8_t mem[];
};

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){.max = max};
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	for (struct arena_chunk *c = a->head, *next; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	arena_init(a, a->max);
}

/* Each chunk is twice the one before, so that a large arena has few. What an object needs beyond
 * that does not count: only small ones may follow it. */
static struct arena_chunk *add_chunk(struct arena *a, size_t need)
{
	size_t cap = a->chunk > 0 ? a->chunk : CHUNK_MIN;

	a->chunk = cap < CHUNK_MAX ? cap * 2 : cap;
	if (cap < need)
		cap = need;
	if (cap > SIZE_MAX - sizeof(struct arena_chunk))
		return NULL;
	struct arena_chunk *c = calloc(1, sizeof(struct arena_chunk) + cap);
	if (c == NULL)
		return NULL;
	c->cap = cap;
	c->next = a->head;
	a->head = c;
	return c;
}

/* n rounded up so that the next object is aligned too; 0 when that overflows. */
static size_t rounded(size_t n)
{
	size_t unit = alignof(max_align_t);

	if (n == 0)
		return unit;
	return n > SIZE_MAX - unit ? 0 : (n + unit - 1) / unit * unit;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t take = rounded(n);
	struct arena_chunk *c = a->head;

	if (a->failed || take == 0 || take > a->max - a->used)
		goto failed;
	if (c == NULL || take > c->cap - c->used)
		c = add_chunk(a, take);
	if (c == NULL)
		goto failed;
	void *p = c->mem + c->used;
	c->used += take;
	a->used += take;
	return p;
failed:
	a->failed = true;
	return NULL;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	if (size > 0 && count > SIZE_MAX / size) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, count * size);
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_str(a, slice_str(s));
}

char *arena_str(struct arena *a, struct slice s)
{
	char *copy = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

	/* the memory is zeroed: the NUL is there */
	if (copy != NULL && s.n > 0)
		memcpy(copy, s.p, s.n);
	return copy;
}

struct slice arena_bytes(struct arena *a, struct slice s)
{
	if (s.n == 0)
		return slice_make(NULL, 0);
	uint8_t *copy = arena_alloc(a, s.n);
	if (copy == NULL)
		return slice_make(NULL, 0);
	memcpy(copy, s.p, s.n);
	return slice_make(copy, s.n);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_list again;
	char first[PRINTF_FIRST];
	char *text = NULL;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(first, sizeof(first), fmt, ap);
	if (n >= 0)
		text = arena_alloc(a, (size_t)n + 1);
	else
		a->failed = true;
	if (text != NULL && (size_t)n < sizeof(first))
		memcpy(text, first, (size_t)n + 1);
	else if (text != NULL)
		(void)vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return text;
}
