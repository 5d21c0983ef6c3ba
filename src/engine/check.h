/* SPDX-License-Identifier: MIT */
/*
 * engine: the examination of one domain: its plan, and a probe of every address of every host.
 */
#ifndef ENGINE_CHECK_H
#define ENGINE_CHECK_H

#include "engine/engine.h"

enum { CHECK_KINDS = 3 }; /* enum tls_cert_kind */

/* One probe of one address. */
struct check_probe {
	bool done;
	bool not_served;  /* RSA or ECDSA probe: the host has no certificate of this kind */
	bool clear_retry; /* level may: the handshake failed, the clear session that followed went
			     well */
	enum address_result result;
	struct session_outcome outcome; /* tls points into the check */
};

struct check_address {
	struct ipaddr address;
	struct check_probe probe[CHECK_KINDS]; /* TLS_CERT_ANY always, the others with all_certs */
};

struct check_host {
	const struct plan_host *plan;
	struct check_address *address;
	size_t naddress;
};

struct check_request {
	const char *domain;   /* as given, for people */
	const char *next_hop; /* a destination in normal form (wire/destination.h) */
	bool connect;         /* false: stop at the plan */
	bool all_certs;       /* probe for RSA and ECDSA apart as well */
};

struct check {
	struct check_request request;
	struct plan *plan;
	struct check_host *host; /* in the order of the plan */
	size_t nhost;
	uint16_t port;
	bool unsafe_dns;            /* dns.unbound may put answers in place of what is proven */
	bool unsafe_dns_configured; /* by the configuration, not for this run alone */
	const char *route; /* where mail for the domain goes instead, here; NULL: no route */
	struct domain_verdict verdict;
	bool local_failure; /* out of memory: nothing here may be trusted */
	uint64_t took_ms;
};

typedef void check_cb(void *arg, struct check *c); /* c: complete; valid until check_free() */

/* The strings of r must outlive the check. NULL: out of memory. */
struct check *check_start(struct engine *e, const struct check_request *r, check_cb *cb, void *arg);
void check_free(struct check **c);

#endif
