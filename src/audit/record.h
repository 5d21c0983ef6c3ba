/* SPDX-License-Identifier: MIT */
/*
 * audit: the record of what the relay did (A1), in one canonical binary form: a record has exactly
 * one encoding, and the decoder takes nothing else. docs/audit.md describes the octets.
 *
 * Pure: no I/O, no clock, no allocation in the decoder; texts and data of a decoded record are
 * slices of its body. Numbers are big-endian, times milliseconds since 1970 UTC. Texts are at most
 * 255 octets without control characters; what is not known is the empty text.
 */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include "audit/continuity.h"
#include "base/buf.h"
#include "base/slice.h"

enum {
	AUDIT_VERSION = 1,
	AUDIT_TEXT_MAX = 255,
	AUDIT_TLSA_MAX = 32,    /* a longer set is cut, and says so */
	AUDIT_TLSA_DATA = 64,   /* longer data is kept as its SHA-256 */
	AUDIT_CHAIN_MAX = 10,   /* a longer chain is cut, and says so */
	AUDIT_BODY_MAX = 16384, /* bounds what a broken peer or file can make us believe */
};

enum audit_type {
#define AUDIT_TYPE(id, number, name) AUDIT_##id = (number),
#include "audit/types.tbl"
#undef AUDIT_TYPE
};
const char *audit_type_name(enum audit_type t);

struct audit_tlsa {
	uint8_t usage, selector, mtype;
	uint8_t use; /* enum tlsa_use: does it count, and if not, why? */
	bool hashed; /* data is the SHA-256 of the record's data */
	struct slice data;
};

struct audit_tlsa_set {
	uint16_t total; /* records in the answer; more than n when the set was cut */
	uint8_t n;
	struct audit_tlsa entry[AUDIT_TLSA_MAX];
};

struct audit_match {
	bool present;
	uint8_t usage, selector, mtype;
	uint8_t record; /* place in the set; 255: beyond what is kept, or not known */
	uint8_t
	    depth; /* of the matched certificate; 0: the server's own; 255: a key in the record */
	struct slice name;
};

struct audit_cert {
	uint8_t sha256[AUDIT_DIGEST], spki_sha256[AUDIT_DIGEST];
};

struct audit_chain {
	uint16_t total; /* certificates served; more than n when the chain was cut */
	uint8_t n;
	struct audit_cert cert[AUDIT_CHAIN_MAX]; /* the server's own first */
};

/* One host skipped, or one connection made or refused. An attempt at a delivery is `count` of
 * them; the last one (index + 1 = count) stands for its end. An attempt that got to no host has
 * one without a host. */
struct audit_attempt {
	enum continuity continuity;     /* judged by the keeper (A2) */
	enum audit_authority authority; /* of the key */
	uint8_t evidence[AUDIT_DIGEST]; /* id of the proof that was kept; zero: none */
	struct slice queue_id;
	uint64_t delivery; /* the queue's number of the message at this next hop */
	uint16_t index, count;
	struct slice outcome; /* reason of the attempt as a whole */
	struct slice next_hop;
	bool mx_secure; /* the way from the next hop to the host was authenticated */
	struct slice host, address;
	uint16_t port;
	struct slice policy; /* "dane", "may" ... */
	struct slice base;   /* TLSA base domain, when it is not the host */
	struct audit_tlsa_set tlsa;
	struct audit_match match;
	struct slice version, cipher, group; /* empty: no TLS */
	bool resumed, reused, clear_fallback;
	bool accepted;    /* the handshake met the terms */
	struct slice key; /* of the server's certificate: "RSA 2048" */
	struct audit_chain chain;
	uint8_t previous[AUDIT_DIGEST];    /* changes: SPKI SHA-256 of the key before; else zero */
	struct slice reason, code, detail; /* of this host or connection */
};

/* An operator's policy for a pattern of next hops. */
struct audit_override {
	bool set; /* false: ended before its time */
	struct slice pattern, policy;
	int64_t expires; /* set */
};

/* A finding of the server's check of itself (V1). */
struct audit_selfcheck {
	bool appeared; /* false: it went */
	struct slice name, finding, detail;
};

/* Records 1 to `upto` were removed; the last of them had the hash `hash`. */
struct audit_checkpoint {
	uint64_t upto;
	uint8_t hash[AUDIT_DIGEST];
	int64_t before; /* they were older than this */
};

/* What was known of a certificate when the record that it was known from was about to be removed:
 * from here on this record says it. */
struct audit_carried {
	struct slice host, key_type;
	uint16_t port;
	uint8_t cert[AUDIT_DIGEST], key[AUDIT_DIGEST];
	enum audit_authority authority;
	enum continuity continuity; /* at its first time */
	int64_t first, last;        /* seen */
};

/* Certificates without an authority that were last seen before that are known no more. */
struct audit_forgotten {
	int64_t before;
};

struct audit_record {
	enum audit_type type;
	union {
		struct audit_attempt attempt;
		struct audit_override override;
		struct audit_selfcheck selfcheck;
		struct audit_checkpoint checkpoint;
		struct audit_carried carried;
		struct audit_forgotten forgotten;
	};
};

/* Text as a record may hold it: cut at 255 octets (not inside a character), control characters
 * replaced by '?'. NULL is the empty text. `scratch` holds what had to be changed. */
struct slice audit_text(const char *s, char scratch[static AUDIT_TEXT_MAX + 1]);

/* False: a text is too long or has control characters, or the buffer is full. */
bool audit_encode(const struct audit_record *r, struct buf *out);

enum audit_error {
	AUDIT_OK = 0,
	AUDIT_BROKEN = -1, /* ends too early or too late, or holds what no encoder writes */
	AUDIT_NEWER = -2,  /* a version or type that this program does not know */
};
const char *audit_strerror(enum audit_error e);
enum audit_error audit_decode(struct slice body, struct audit_record *out);

#endif
