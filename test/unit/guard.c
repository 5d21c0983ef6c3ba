/* SPDX-License-Identifier: MIT */
/* The guard page. Knows mmap; aborts when that fails, for a test without it proves nothing. */
#include "guard.h"

#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void guard_init(struct guard *g, size_t max)
{
	size_t page = page_size();

	g->room = (max / page + 1) * page;
	g->map =
	    mmap(NULL, g->room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->map == MAP_FAILED || mprotect(g->map + g->room, page, PROT_NONE) != 0)
		abort();
}

struct slice guard_put(struct guard *g, struct slice s)
{
	if (s.n > g->room)
		abort();
	uint8_t *at = g->map + (g->room - s.n);
	if (s.n > 0)
		memcpy(at, s.p, s.n);
	return slice_make(at, s.n);
}

void guard_free(struct guard *g)
{
	if (g->map != NULL)
		(void)munmap(g->map, g->room + page_size());
	*g = (struct guard){0};
}
