/* SPDX-License-Identifier: MIT */
/*
 * dane: evidence: what a plan said about one host, and the signed DNS data that it followed from.
 * Plain data; whoever makes one says what it lives in.
 */
#ifndef DANE_EVIDENCE_H
#define DANE_EVIDENCE_H

#include "base/slice.h"

enum {
	EVIDENCE_ID = 32,         /* SHA-256 */
	EVIDENCE_RRSETS_MAX = 96, /* a chain of aliases through as many zones, and their keys */
	EVIDENCE_OCTETS_MAX = 512 * 1024, /* of a file */
	EVIDENCE_BODY_MAX = 128 * 1024,   /* of the form that is sent and stored */
};

/* How the way from the destination to the host is known. */
enum evidence_mx {
	EVIDENCE_MX_SECURE,   /* by signed MX records */
	EVIDENCE_MX_IMPLICIT, /* the destination is its own host: no MX records, which DNSSEC proved
				 then; the proof of absence is not kept */
	EVIDENCE_MX_INSECURE, /* by unsigned MX records: nothing is proven about it (D5) */
	EVIDENCE_MX_NONE,     /* not looked for: the destination is the host itself (D11) */
	EVIDENCE_MX_COUNT
};
const char *evidence_mx_name(enum evidence_mx m); /* "secure" ... */
bool evidence_mx_from_name(const char *name, enum evidence_mx *out);

struct evidence {
	int64_t time;            /* of the plan, seconds since 1970 UTC */
	const char *destination; /* next hop: A-labels, lower case */
	enum evidence_mx mx;
	const char *host;
	uint16_t port;
	const char *base; /* TLSA base domain: the host, or what it is an alias of (D7) */
	/* Each one RRset with its signatures (wire/rrset.h): the TLSA records first, with the
	 * aliases that lead to them, then the keys up to the anchor, then everything else. */
	struct slice rrset[EVIDENCE_RRSETS_MAX];
	size_t nrrset;
	/* SHA-256 over what is claimed (mx, destination, host, base, port) and the sorted SHA-256s
	 * of the RRsets: not over the time. */
	uint8_t id[EVIDENCE_ID];
};

/*
 * The form between processes and in files: everything but the id. The decoder takes what the
 * encoder makes and nothing else; what `out` points to is `in` and `mem`.
 */
struct buf;
struct arena;
bool evidence_encode(const struct evidence *e, struct buf *out); /* false: too large */
bool evidence_decode(struct slice in, struct arena *mem, struct evidence *out);
/* Does a body of an outbox row (src/store/audit.h) hold evidence and not a record? */
bool evidence_is(struct slice in);

/* When the first of its signatures ends: until then it also proves what was looked up later. */
int64_t evidence_until(const struct evidence *e, int64_t now);

#endif
