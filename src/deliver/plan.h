/* SPDX-License-Identifier: MIT */
/*
 * deliver: one delivery attempt as pure machines: questions, connections and bytes are wishes that
 * a driver fulfils. This header: the plan, from a next-hop domain to hosts with their policies
 * (rules D; RFC 7672 s2).
 *
 * The driver asks plan_next_question() until it gives false, resolves the questions in any order
 * and hands in the answers; hosts become ready one by one. Names and records live as long as the
 * plan. Not thread-safe.
 */
#ifndef DELIVER_PLAN_H
#define DELIVER_PLAN_H

#include "dane/hosts.h"

enum {
	PLAN_HOSTS_MAX = 16,     /* best-preference hosts of one MX RRset that are looked at */
	PLAN_ADDRESSES_MAX = 64, /* of one host */
	/* Of one attempt, by what stands above. Each may cost the resolver some dozen of its own
	 * (an alias chain, delegations without addresses), and with TTL 0 every attempt pays again:
	 * this bounds what one message to a hostile domain costs. */
	PLAN_QUESTIONS_MAX = 1 + PLAN_HOSTS_MAX * HOST_Q_COUNT,
};

struct plan_config {
	struct dane_policy policy;
	const char
	    *next_hop; /* A-labels, lower case, no trailing dot; or an address when literal */
	struct ipaddr literal; /* family 0: next_hop is a name */
	bool no_mx;            /* a [bracketed] route: next_hop is the host itself (D11) */
	bool pkix;             /* with no_mx: a submission host, verified as HOST_PKIX (S1) */
	bool lmtp;             /* with no_mx: it speaks LMTP (D12) */
	const char *socket;    /* with no_mx: this Unix socket; next_hop does not matter */
	/* What an operator wrote (D11), NULL: nothing. His slip returns no mail: what would, is a
	 * delay that names it. */
	const char *route;
	const char *own_name; /* D4: the list is cut there; NULL: no cut */
	const struct ipaddr *own_address;
	size_t nown_address;
	/* Who asks takes mail in and hands it on: an MX host at 127.0.0.1, ::1, an unspecified
	 * address or called localhost is ourselves too. Other addresses of 127.0.0.0/8 are so only
	 * where own_address has them. */
	bool relaying;
	bool no_ipv4, no_ipv6;
	uint64_t seed; /* shuffles hosts of equal preference */
};

struct plan_host {
	const char *name;
	uint16_t preference;
	struct host_facts facts;
	struct host_verdict verdict;
	struct tls_terms terms; /* valid when decided and not HOST_SKIP */
	struct ipaddr *address; /* of a Unix socket: one of family 0 */
	size_t naddress;
	const char *tlsa_name[HOST_Q_COUNT]; /* the two TLSA owner names, made when asked */
	enum host_query culprit;             /* HOST_SKIP: which query; HOST_Q_COUNT if none */
};

struct plan_question {
	unsigned id;
	const char *name;
	uint16_t type;
};

struct plan;

struct plan *plan_new(
    const struct plan_config *c); /* copies c; strings must outlive the plan. NULL: out of memory */
void plan_free(struct plan **p);

bool plan_next_question(struct plan *p, struct plan_question *out); /* every question comes once */
/* Keeps a reference. NULL means that the lookup failed on this side. An unknown or repeated id is
 * ignored. */
void plan_answer(struct plan *p, unsigned id, struct answer *a);

bool plan_done(const struct plan *p);
const char *plan_next_hop(const struct plan *p);
uint16_t plan_port(const struct plan *p);
/* What the MX lookup said; NULL until it is known. */
const struct mx_verdict *plan_mx(const struct plan *p);
const struct answer *plan_mx_answer(const struct plan *p); /* NULL when none was needed */
size_t plan_nhosts(const struct plan *p); /* in the order in which they must be tried (D4) */
const struct plan_host *plan_host(const struct plan *p, size_t i);
/* May this host be tried (or skipped) now? Its own lookups are done, and so are the addresses of
 * all hosts of better or equal preference when we must find out whether one of them is ourselves.
 */
bool plan_host_ready(const struct plan *p, size_t i);
/* When the mail loops (D4), or a route leads nowhere: the host where it ends, of which only its
 * name is to be read; the detail of plan_mx() says why. NULL: neither. */
const struct plan_host *plan_dead_end(const struct plan *p);
bool plan_failed(const struct plan *p); /* out of memory: nothing in the plan may be used (T10) */

/* The record that decided a skip, on one line for people: "_25._tcp.mx.example.org TLSA: SERVFAIL".
 * "" if none. */
struct buf;
void plan_explain_skip(const struct plan_host *h, struct buf *out);

#endif
