/* SPDX-License-Identifier: MIT */
/*
 * What every fuzz target needs. A target is one function that aborts when an invariant is broken;
 * main() comes from libFuzzer or from replay.c.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert() it can not be compiled out. */
#define FUZZ_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static inline bool fuzz_is_inside(struct slice part, struct slice whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* Takes the first octet of the input for a decision of the target; 0 when there is none. */
static inline uint8_t fuzz_take(struct slice *in)
{
	uint8_t octet = in->n > 0 ? in->p[0] : 0;

	*in = slice_from(*in, 1);
	return octet;
}

/* Printable ASCII and blanks only: may go into a log line. */
static inline bool fuzz_is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	}
	return true;
}

#endif
