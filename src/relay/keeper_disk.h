/* SPDX-License-Identifier: MIT */
/*
 * relay: the keeper's look at the disk of the queue: ballast, deliveries that are not started, and
 * a keeper that can only look. Knows how much is free; refuses to know mail.
 */
#ifndef RELAY_KEEPER_DISK_H
#define RELAY_KEEPER_DISK_H

#include "loop/loop.h"

struct keeper;

/* Left free on the disk by new messages. */
enum { KEEPER_RESERVE = 64 * 1024 * 1024 };

struct keeper_disk {
	uint64_t want, ballast, free; /* octets */
	uint64_t given_up;            /* how often */
	uint64_t looked;
	uint32_t wait; /* ms until a keeper that can only look tries again */
	bool low;      /* no delivery is started */
	bool told;
	struct loop_timer *timer;
};

/* Before the store is opened: makes the ballast, or gives it up. */
void keeper_disk_open(struct keeper *k);
/* Before something is written. */
void keeper_disk_look(struct keeper *k);
/* A write found no room: the next keeper has more. */
void keeper_disk_full(struct keeper *k);
/* From now on, now and then. False: out of memory. */
bool keeper_disk_watch(struct keeper *k);

#endif
