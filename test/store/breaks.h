/* SPDX-License-Identifier: MIT */
/*
 * A keeper in a process of its own which its disk, the power or a signal ends, and what must hold
 * when the next one has opened its files. A failed expectation ends the test.
 */
#ifndef TEST_STORE_BREAKS_H
#define TEST_STORE_BREAKS_H

#include "shim.h"

#include <stddef.h>

/* What the child told the world, in shared memory; a test's own ledger begins with it. All zero
 * when a run begins. */
struct breaks_ledger {
	volatile bool opened, finished;
	long operations;
};

struct breaks {
	struct breaks_ledger *ledger; /* of breaks_ledger() */
	size_t size;
	/* The child, on a file layer that breaks: opens, works, closes. */
	void (*broken)(const char *path, enum shim_fault fault, long at, uint32_t seed);
	/* The child that is killed: opens, sets ledger->opened, works. */
	void (*work)(const char *path);
	/* The parent, afterwards. Files beside the store are its own to remove. */
	void (*verify)(const char *path);
};

/* Shared memory of this size, until the process ends. Stores are made in memory from now on, if
 * TMPDIR says nothing else: there are thousands, and no power is cut for real. */
void *breaks_ledger(size_t size);

/* One run with one fault, in a store of its own. */
void breaks_one(const struct breaks *b, enum shim_fault fault, long at, uint32_t seed);
/* A run for every `step`-th of n operations (STORE_SWEEP=1 in the environment: for every one);
 * `after`, if not NULL, is called after each. Prints how many operations there were. */
void breaks_sweep(const struct breaks *b, enum shim_fault fault, long n, long step,
		  void (*after)(void));
/* As many runs that are killed, from at once to about the end of the work. `after` as above.
 * Returns how many were cut short. */
int breaks_kill(const struct breaks *b, int runs, void (*after)(void));

/* A row for cmocka: the test's state is the fault (BREAKS_FAULT()). */
#define BREAKS_TEST(name, test, fault)                                                             \
	{                                                                                          \
		(name), (test), NULL, NULL, (void *)(uintptr_t)(fault)                             \
	}
#define BREAKS_FAULT(state) ((enum shim_fault)(uintptr_t) * (state))

#endif
