/* SPDX-License-Identifier: MIT */
/*
 * wire: signed RRsets: what DNSSEC proves, as octets that can be kept and proven again later.
 *
 * The octets are those of RFC 9102 s2.2: each record as owner, type, class, TTL, length and RDATA,
 * names never compressed; the records of the RRset first, its RRSIG records behind them. Here one
 * RRset has one spelling: owner and the names that RFC 4034 s6.2 names in lower case, records and
 * signatures each in the order of RFC 4034 s6.3 without doubles, every TTL the original one of the
 * signatures. So the same signed data have the same octets, whatever cache they came from, and no
 * octet can be changed that is neither signed nor refused. Pure; nothing here verifies a signature.
 */
#ifndef WIRE_RRSET_H
#define WIRE_RRSET_H

#include "wire/answer.h"
#include "wire/dname.h"

enum {
	RRSET_RECORDS_MAX =
	    256,             /* of one packet and of one RRset: sorting hostile packets is dear */
	RRSET_SIGS_MAX = 16, /* each may cost a verification (KeyTrap) */
	RRSET_OCTETS_MAX = 65535,
	RRSET_OF_PACKET_MAX = 64,
};

struct rrset {
	struct slice octets;
	struct dname owner;
	uint16_t type;
	size_t nrr, nsig;
};

/* The octets as above and nothing behind them; anything else is refused. Points into `octets`. */
bool rrset_parse(struct slice octets, struct rrset *out);

/* The RDATA of a record; i < nrr. */
struct slice rrset_rdata(const struct rrset *s, size_t i);

struct rrset_sig {
	struct slice rr; /* the whole record */
	uint16_t covered, keytag;
	uint8_t algorithm, labels;
	uint32_t inception, expiration; /* serial numbers (RFC 4034 s3.1.5) */
	struct dname signer;
};
/* A signature; i < nsig. */
void rrset_sig(const struct rrset *s, size_t i, struct rrset_sig *out);

/* Labels of a name without the root, and without a leading "*" (RFC 4034 s3.1.3). */
size_t dname_labels(const struct dname *n);
/* The name without its first `labels` labels; more than it has: the root. */
void dname_chop(const struct dname *n, size_t labels, struct dname *out);
/* Is `n` the same as `above` or below it? */
bool dname_is_under(const struct dname *n, const struct dname *above);

/*
 * The signed RRsets of a response packet: of the answer section those of the types that lead to a
 * host (A, AAAA, CNAME, DNAME, MX, TLSA, DS, DNSKEY), of the authority section NSEC and NSEC3,
 * which a wildcard's expansion needs. What is not signed is left out: the packet was judged as a
 * whole. Octets live in `mem`. False: not a packet, too many records, or out of memory.
 */
bool rrset_extract(struct slice packet, struct arena *mem,
		   struct rrset out[static RRSET_OF_PACKET_MAX], size_t *n);

/*
 * Quickly, without memory: the RDATA of all RRSIG records of the answer and authority sections, as
 * they stand, in the order of their octets. Signatures stand for what they sign. Points into the
 * packet. False: not a packet, or more than max.
 */
bool rrset_signatures(struct slice packet, struct slice *out, size_t max, size_t *n);

/* --- for the two files of this module --- */

/* RDATA in the one spelling, read at `at` in `msg` where it may be compressed. False: malformed, or
 * a type that is not kept. */
bool rrset_put_rdata(struct buf *b, struct slice msg, size_t at, size_t len, uint16_t type);

#endif
