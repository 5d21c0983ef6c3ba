/* SPDX-License-Identifier: MIT */
/*
 * audit: the chain (A3). Records have numbers 1, 2, 3 ... and each carries
 *
 *     hash(n) = SHA-256(hash(n-1) || n || time || body)      hash(0) is 32 zero octets
 *
 * with n and time as 8 octets, big-endian. Whoever changes, removes, adds or swaps a record changes
 * every hash behind it, and with it the head: the number and hash of the last record, which is also
 * kept elsewhere. Removal by age is signed off by a checkpoint record in the chain.
 *
 * Pure: the hash function is handed in.
 */
#ifndef AUDIT_CHAIN_H
#define AUDIT_CHAIN_H

#include "audit/record.h"

/* SHA-256 of the parts one after the other. */
typedef void audit_sha256(const struct slice *part, size_t n, uint8_t out[static AUDIT_DIGEST]);

struct audit_head {
	uint64_t n; /* 0: nothing was ever recorded */
	uint8_t hash[AUDIT_DIGEST];
};

struct audit_link {
	uint64_t n;
	int64_t time;
	struct slice body;
	uint8_t hash[AUDIT_DIGEST];
};

/* The link behind `last`: fills n and hash from time and body. */
void audit_link_next(audit_sha256 *sha256, const struct audit_head *last, struct audit_link *l);

/*
 * Verification: begin, each record in the order of the numbers, end. It stops at the first record
 * that is not as it was written.
 */
struct audit_verify {
	audit_sha256 *sha256;
	struct audit_head start; /* what the records begin behind; hash of a removed record */
	struct audit_head last;
	const struct audit_head *head; /* must be in the chain, or be its end */
	size_t nhead;
	uint64_t count;   /* records that were verified */
	uint64_t broken;  /* the first that is broken; 0: none */
	const char *why;  /* static */
	uint64_t vouched; /* a checkpoint behind this number signs nothing off; no limit at first */
	bool signed_off;  /* a checkpoint names `start` */
};

/* start: n 0 and zeros, or the last removed record. heads: remembered elsewhere; they must live as
 * long as the verification. */
void audit_verify_begin(struct audit_verify *v, audit_sha256 *sha256,
			const struct audit_head *start, const struct audit_head *heads,
			size_t nhead);
bool audit_verify_link(struct audit_verify *v, const struct audit_link *l); /* false: broken */
bool audit_verify_end(struct audit_verify *v);

#endif
