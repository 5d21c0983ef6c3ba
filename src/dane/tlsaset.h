/* SPDX-License-Identifier: MIT */
/*
 * dane: which records of a TLSA RRset count (T1 usability, T2 digest agility; RFC 7671 s4, s9; RFC
 * 7672 s3.1).
 */
#ifndef DANE_TLSASET_H
#define DANE_TLSASET_H

#include "base/arena.h"
#include "wire/answer.h"

enum tlsa_use {
	TLSA_COUNTS = 0,    /* usable, and counts in authentication */
	TLSA_WEAKER_DIGEST, /* usable, but a stronger digest for the same usage and selector is
			       there (T2) */
	TLSA_BAD_USAGE,     /* PKIX-TA(0), PKIX-EE(1) or unknown */
	TLSA_BAD_SELECTOR,
	TLSA_BAD_MTYPE,
	TLSA_BAD_LENGTH, /* digest of wrong length, empty data, RDATA too short */
	TLSA_BAD_DATA,   /* Full(0): does not parse as a certificate or key */
};

struct tlsa_entry {
	struct tlsa rr;
	enum tlsa_use use;
};

struct tlsa_set {
	struct tlsa_entry *entry; /* in the order of the answer */
	size_t n;
	size_t usable; /* entries that are usable, counting or weaker */
	bool unknown;  /* a Full(0) record that nobody tried to parse: a local failure (T10) */
};

/* Judges every TLSA record of an answer. The set points into the answer (keep a reference) and the
 * arena. Returns false when out of memory. */
bool tlsa_set_build(struct arena *mem, const struct answer *a, struct tlsa_set *out);
/* The same for records that did not come from DNS. */
bool tlsa_set_from_records(struct arena *mem, const struct tlsa *rr, size_t n,
			   struct tlsa_set *out);

const char *tlsa_use_text(enum tlsa_use u); /* one sentence; NULL for TLSA_COUNTS */
bool tlsa_use_is_usable(enum tlsa_use u);

/* Canonical text of the counting records for session keys (T9): sorted, "usm:hex;" each. */
struct buf;
void tlsa_set_key(const struct tlsa_set *s, struct buf *out);

#endif
