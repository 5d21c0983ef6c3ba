/* SPDX-License-Identifier: MIT */
/*
 * engine: what a mail server presents: the chains at every address of a host, RSA and ECDSA apart.
 * Nobody is authenticated: this is for operators who look at their own servers (V3).
 */
#ifndef ENGINE_SERVED_H
#define ENGINE_SERVED_H

#include "engine/engine.h"

enum { SERVED_KINDS = 3 /* enum tls_cert_kind */, SERVED_ADDRESSES_MAX = 64 };

struct served_request {
	const char *host; /* A-labels: the server name that is sent, and whose addresses are looked
			     up unless some are given */
	uint16_t port;    /* 465: TLS from the start; else STARTTLS */
	const struct ipaddr *address;
	size_t naddress; /* 0: look them up, in the families that the configuration allows; at most
			    SERVED_ADDRESSES_MAX */
};

struct served_address {
	struct ipaddr address;
	bool reached; /* at least one chain came, and where another kind was asked for the answer is
			 known */
	const char *why; /* not reached: one line */
	/* NULL: no certificate of that kind. TLS_CERT_ANY only where neither RSA nor ECDSA is
	 * served. The certificates' own octets are in the facts. */
	const struct tls_facts *chain[SERVED_KINDS];
};

struct served {
	const char *why; /* no address is known: one line; else NULL */
	struct served_address *address;
	size_t naddress;
	bool local_failure; /* out of memory: nothing here may be trusted */
};

typedef void served_cb(void *arg, struct served *s); /* valid until served_free() */

/* The strings of r must live until the callback. NULL: out of memory. */
struct served *served_start(struct engine *e, const struct served_request *r, served_cb *cb,
			    void *arg);
void served_free(struct served **s);

#endif
