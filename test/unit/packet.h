/* SPDX-License-Identifier: MIT */
/* DNS response packets made by hand, for tests. Names are not compressed unless a test does it. */
#ifndef TEST_PACKET_H
#define TEST_PACKET_H

#include "base/buf.h"

enum { PACKET_MAX = 65535 };

enum packet_section { PACKET_ANSWER = 1, PACKET_AUTHORITY = 2, PACKET_ADDITIONAL = 3 };

/* Starts a response (QR, RD, RA) to a question of class IN. `out` is initialised here. */
void packet_begin(struct buf *out, const char *name, uint16_t type, uint16_t rcode);
/* Adds a record of class IN with a TTL of 300 and counts it; sections in order. */
void packet_add(struct buf *out, enum packet_section s, const char *owner, uint16_t type,
		struct slice rdata);
void packet_add_name(struct buf *out, const char *owner, uint16_t type, const char *target);
void packet_add_mx(struct buf *out, const char *owner, uint16_t preference, const char *exchange);
/* The octet at `at` becomes v: for damage. */
void packet_poke(struct buf *out, size_t at, uint8_t v);

#endif
