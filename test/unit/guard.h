/* SPDX-License-Identifier: MIT */
/*
 * Test input that ends exactly where a page nobody may read begins: one octet too far is a crash,
 * not luck.
 */
#ifndef TEST_GUARD_H
#define TEST_GUARD_H

#include "base/slice.h"

struct guard {
	uint8_t *map;
	size_t room; /* octets before the guard page */
};

void guard_init(struct guard *g, size_t max); /* for inputs of up to max octets */
/* The copy is valid until the next put. An empty input points at the guard page itself. */
struct slice guard_put(struct guard *g, struct slice s);
void guard_free(struct guard *g);

#endif
