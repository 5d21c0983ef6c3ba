/* SPDX-License-Identifier: MIT */
/*
 * A clock that tests set ahead, for what nobody wants to wait for. It stands before loop_now_ms()
 * of the rooms under test (link with -Wl,--wrap=loop_now_ms); the loop's own timers run by the real
 * one.
 */
#ifndef TEST_CLOCK_H
#define TEST_CLOCK_H

#include <stdint.h>

/* From now on so many milliseconds later than it is. */
void test_clock_ahead(uint64_t ms);

#endif
