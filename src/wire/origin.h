/* SPDX-License-Identifier: MIT */
/*
 * wire: who handed a message in, as a number: the unit that limits and turns are counted by. A
 * reverse-path says nothing of that: one client can name as many as it likes.
 *
 * An origin is an account, else the client's network (IPv4 /24, IPv6 /56: what one customer gets),
 * this machine's own programs, or ourselves (notices). It is a hash of 40 bits: two that share one
 * share their turns, and nothing worse. A sender is an origin and, within it, a reverse-path. Both
 * are kept in the queue: never to be changed.
 */
#ifndef WIRE_ORIGIN_H
#define WIRE_ORIGIN_H

#include "wire/ipaddr.h"

enum {
	ORIGIN_BITS = 40,
	ORIGIN_PATH_BITS = 24, /* of a sender, the low ones */
	/* Numbers that no hash has. */
	ORIGIN_NONE = 0, /* of mail that came in before origins were kept, and is unknown */
	ORIGIN_LOCAL = 1,
	ORIGIN_NOTICES = 2,
	ORIGIN_RESERVED = 16,
};

uint64_t origin_of_user(const char *user);
/* Loopback, and no address at all (a Unix socket): ORIGIN_LOCAL. */
uint64_t origin_of_address(const struct ipaddr *client);
bool origin_is_valid(uint64_t origin); /* fits */

/* `within`: who it is inside of the origin: a reverse-path, or what stands for one. */
uint64_t origin_sender(uint64_t origin, const char *within);
uint64_t origin_of_sender(uint64_t sender);

#endif
