/* SPDX-License-Identifier: MIT */
/*
 * engine: a server's look at itself (V1, V3): the TLSA records of one name and port, looked up with
 * the eyes of a sender, against the chains that are served there or will be.
 *
 * Connects to nobody: chains are given. Decisions are those of src/selfcheck.
 */
#ifndef ENGINE_SELFCHECK_H
#define ENGINE_SELFCHECK_H

#include "engine/engine.h"
#include "selfcheck/selfcheck.h"

/* One chain. Everything here must live until selfcheck_free(). */
struct selfcheck_input {
	const struct tls_chain *chain;
	const char *label;       /* for people: "/etc/ssl/mx.pem" */
	const char *file;        /* where the chain can be mended; NULL: not known */
	bool served;             /* false: it lies ready, and is judged as if it were served */
	const char *key_trouble; /* why it cannot be served with its key; NULL: nothing known */
};

struct selfcheck_request {
	const char *name; /* the host, A-labels, lower case, no dot at the end */
	uint16_t port;
	const struct selfcheck_input *chain;
	size_t nchain;             /* at most SELFCHECK_CHAINS_MAX; 0: only DNS is looked at */
	const char *no_tls;        /* as in struct selfcheck_facts */
	const struct tls_cas *cas; /* to see public CAs; NULL: that is not looked at */
	int64_t now;               /* certificates are judged as of this time */
	int64_t soon_s;            /* as in struct selfcheck_facts */
	int64_t signature_s;
};

/* All of it lives until selfcheck_free(). facts.chain[i] is request.chain[i]; a record is an index
 * into verdict.set->entry, and facts.chain[i].fit[record] says whether it matches that chain. */
struct selfcheck {
	struct selfcheck_request request;
	struct selfcheck_facts facts;
	struct selfcheck_verdict verdict;
	bool local_failure; /* out of memory: nothing here may be trusted, the promise is unknown */
};

/* s: complete. Comes from the loop, exactly once unless freed before; s may be freed in it. */
typedef void selfcheck_cb(void *arg, struct selfcheck *s);

/* Strings of r must outlive it. NULL: out of memory. */
struct selfcheck *selfcheck_start(struct engine *e, const struct selfcheck_request *r,
				  selfcheck_cb *cb, void *arg);
void selfcheck_free(struct selfcheck **s);

/* --- A domain whose mail should come here --- */

struct selfcheck_domain_request {
	const char *domain; /* A-labels, lower case, no dot at the end */
	const char *const *ours;
	size_t nours;
	uint16_t port;
	int64_t now, signature_s;
};

struct selfcheck_domain {
	struct selfcheck_domain_request request;
	struct selfcheck_domain_facts facts;
	struct selfcheck_verdict verdict; /* finding, nfinding */
	bool local_failure;
};
typedef void selfcheck_domain_cb(void *arg, struct selfcheck_domain *s);

struct selfcheck_domain *selfcheck_domain_start(struct engine *e,
						const struct selfcheck_domain_request *r,
						selfcheck_domain_cb *cb, void *arg);
void selfcheck_domain_free(struct selfcheck_domain **s);

#endif
