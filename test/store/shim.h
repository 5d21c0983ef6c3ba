/* SPDX-License-Identifier: MIT */
/*
 * A file layer under SQLite that breaks on purpose. It counts the operations that change a disk
 * (write, sync, truncate, unlink); at the chosen one it does what the plan says.
 */
#ifndef TEST_STORE_SHIM_H
#define TEST_STORE_SHIM_H

#include <stdbool.h>
#include <stdint.h>

enum shim_fault {
	SHIM_NONE,
	SHIM_EIO,        /* that operation fails, once */
	SHIM_EIO_SYNC,   /* the first sync from there on fails; what it should have synced is lost
			    when the power goes, though it can be read until then */
	SHIM_ENOSPC,     /* that operation and all writes after it, until shim_heal() */
	SHIM_POWER_CUT,  /* all that was not synced is undone, the process ends with SHIM_EXIT */
	SHIM_POWER_TORN, /* the same, but some of it stays: each write's fate by `seed` */
};
enum { SHIM_EXIT = 77 };

void shim_install(void); /* once; becomes SQLite's default */
void shim_plan(enum shim_fault fault, long at, uint32_t seed);
void shim_heal(void);
void shim_power_cut(void); /* now */
long shim_count(void);     /* operations since shim_plan() */
bool shim_struck(void);

#endif
