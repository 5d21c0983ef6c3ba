/* SPDX-License-Identifier: MIT */
/* See test_clock.h. */
#include "test_clock.h"

static uint64_t ahead;

/* The names are the linker's. */
uint64_t __real_loop_now_ms(void);
uint64_t __wrap_loop_now_ms(void);

void test_clock_ahead(uint64_t ms)
{
	ahead = ms;
}

uint64_t __wrap_loop_now_ms(void)
{
	return __real_loop_now_ms() + ahead;
}
