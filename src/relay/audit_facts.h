/* SPDX-License-Identifier: MIT */
/*
 * relay: what an attempt found out, as records of the audit (A1). The courier makes them, the
 * keeper adds what only it knows: continuity, and when.
 */
#ifndef RELAY_AUDIT_FACTS_H
#define RELAY_AUDIT_FACTS_H

#include "audit/record.h"
#include "deliver/attempt.h"

/* What all tries of one attempt have in common. Strings; NULL where not known. */
struct audit_context {
	const char *queue_id, *next_hop;
	uint64_t delivery;
	size_t count; /* tries */
	enum reason outcome;
	const char *detail;      /* of a record without a host */
	const uint8_t *evidence; /* its id, AUDIT_DIGEST octets; NULL: none */
};

/* Appends the record of try i. False: it does not fit. */
bool audit_facts_put(const struct audit_context *c, struct attempt *a, size_t i, struct buf *out);

/* The record of an attempt of which nothing else is known: it got to no host, or who made it died.
 */
bool audit_facts_put_none(const struct audit_context *c, struct buf *out);

#endif
