/* SPDX-License-Identifier: MIT */
/*
 * dns: the validating resolver in this process (libunbound; rule D1, RFC 7672 s2.1).
 *
 * Full recursion from the root with DNSSEC by default; or a private root (stub); or a forwarder,
 * whose answers are still validated here. Every answer comes through the loop, never inside
 * dns_ask(). Not thread-safe.
 */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "loop/loop.h"
#include "wire/answer.h"

#include <stddef.h>

struct dns_config {
	const char *const *anchors; /* files with DS or DNSKEY lines in zone-file form;
				       NULL-terminated; none: refused */
	const char *stub;           /* ADDR[@PORT] where the root lives, NULL: the real one */
	const char *forward;        /* ADDR[@PORT], NULL: recurse */
	const char *const *options; /* "key: value" for unbound, NULL-terminated or NULL */
	bool unsafe_options;        /* the operator's word: any of them; else harmless ones only */
	const char *msg_cache_size; /* "64m" */
	const char *rrset_cache_size;
	uint32_t sig_skew_s;   /* tolerated clock difference of signatures, both bounds */
	uint32_t timeout_ms;   /* of one question, all retries included */
	bool no_ipv4, no_ipv6; /* families for talking to name servers */
	/* To see what one name server of a zone has: for names in this zone only `zone_server`
	 * (ADDR[@PORT]) is asked, validated as ever, and TTLs are shown as they came, however long.
	 * NULL: no such zone. */
	const char *zone, *zone_server;
};

struct dns;
struct dns_query;

/* NULL on error; then `error` (of size room) says what and what to do: unreadable anchor, bad
 * option ... */
/* The first option that may change what an answer says or what its proof is worth; NULL: none. */
const char *dns_unsafe_option(const char *const *options);

struct dns *dns_new(struct loop *l, const struct dns_config *c, char *error, size_t room);
void dns_free(struct dns **d); /* pending questions are dropped without a callback */

/* The answer is the callback's to keep with answer_ref(); else it is gone when the callback
 * returns. NULL answer: out of memory. Fires exactly once unless cancelled. */
typedef void dns_cb(void *arg, struct answer *a);

/* name: presentation form, A-labels. NULL: out of memory. The handle dies with the callback. */
struct dns_query *dns_ask(struct dns *d, const char *name, uint16_t type, dns_cb *cb, void *arg);

/* For a process that hands answers on to others: what answer_parse() makes an answer of. Valid
 * during the call. */
struct dns_packet {
	struct slice packet; /* empty: there is none, and `why` says why */
	enum answer_security security;
	uint16_t rcode;  /* without a packet */
	const char *why; /* NULL: nothing to say */
};
typedef void dns_packet_cb(void *arg, const struct dns_packet *p);
struct dns_query *dns_ask_packet(struct dns *d, const char *name, uint16_t type, dns_packet_cb *cb,
				 void *arg);
void dns_cancel(struct dns_query **q); /* the callback will not fire */

/* Questions since dns_new(); timed_out are among failed. A packet that says SERVFAIL has not failed
 * for dns_ask_packet(). */
struct dns_stats {
	uint64_t asked, failed, timed_out;
};
void dns_stats(const struct dns *d, struct dns_stats *out);

/* A warning to print at start, or NULL: the linked library is older than the KeyTrap fixes
 * (CVE-2023-50387). */
const char *dns_library_warning(void);

#endif
