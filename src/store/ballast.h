/* SPDX-License-Identifier: MIT */
/*
 * store: ballast: a file of real blocks beside the queue, given up when somebody else has filled
 * the disk, so that what was done can be recorded and the queue drains. Knows files and free
 * blocks; refuses to know the queue.
 *
 * The blocks are allocated (fallocate), not promised: on ext4, xfs, btrfs and tmpfs they are there
 * as long as the file is. Where a file system has no such call, octets that nothing can compress
 * are written. One that copies on write and has snapshots may keep the blocks of a removed file
 * (ZFS, btrfs): there the snapshots must go first. A quota counts the file as the user's.
 */
#ifndef STORE_BALLAST_H
#define STORE_BALLAST_H

#include "store/store.h"

enum {
	BALLAST_LEAST = 4 << 20, /* less is no help: none is made */
	BALLAST_PROBE = 4 << 20, /* with so much a store can work for a while */
	BALLAST_LOW = 16 << 20,  /* with less free it is given up before a commit fails */
};

enum ballast_step { BALLAST_KEEP, BALLAST_GIVE_UP, BALLAST_MAKE };

struct ballast_facts {
	uint64_t have;    /* octets of the file; 0: there is none */
	uint64_t want;    /* what it is to have; 0: none is wanted */
	uint64_t free;    /* octets that the file system has for us now */
	uint64_t reserve; /* that are left free besides it */
};
/* Pure. Between giving up and making again lie a quarter of it and the reserve, so that no disk
 * makes it come and go. */
enum ballast_step ballast_decide(const struct ballast_facts *f);
/* What a disk with so much free can spare: a quarter of it at most. Pure. */
uint64_t ballast_size(uint64_t option, uint64_t free);

/* `store` is the path of the queue. Free octets of its file system; false: nobody can say. */
bool ballast_free(const char *store, uint64_t *out);
/* Octets of the ballast that is there. */
uint64_t ballast_have(const char *store);
/* Makes it, in place of another one. FULL: there is no room, or the quota ends; IO. Nothing is left
 * of it then. */
enum store_status ballast_make(const char *store, uint64_t size);
/* Gone, and its blocks free. False: there was none. */
bool ballast_give_up(const char *store);
/* Can anything be written? Tries it with BALLAST_PROBE octets. */
enum store_status ballast_probe(const char *store);

#endif
