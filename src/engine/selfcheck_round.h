/* SPDX-License-Identifier: MIT */
/* engine: all names and domains of one server at once: the checks of selfcheck.h, gathered. */
#ifndef ENGINE_SELFCHECK_ROUND_H
#define ENGINE_SELFCHECK_ROUND_H

#include "engine/selfcheck.h"

/* A name with the chains that a client sees who asks for it. */
struct selfcheck_item {
	const char *name;
	uint16_t port;
	const struct selfcheck_input *chain;
	size_t nchain;
	const char *no_tls; /* as in struct selfcheck_facts */
};

struct selfcheck_round_request {
	const struct selfcheck_item *item;
	size_t nitem;
	const char *const *domain; /* their MX records should name one of the items */
	size_t ndomain;
	const struct tls_cas *cas; /* may be NULL */
	int64_t now, soon_s, signature_s;
};

/* Everything lives until selfcheck_round_free(). */
struct selfcheck_round {
	struct selfcheck **check; /* one for each item */
	size_t ncheck;
	struct selfcheck_domain **domain;
	size_t ndomain;
	const struct selfcheck_finding **finding; /* of all of them, names first */
	size_t nfinding;
	enum selfcheck_result result;
	int64_t fresh_s;    /* the shortest of all names */
	bool local_failure; /* out of memory: what is here is not all */
};

typedef void selfcheck_round_cb(void *arg, struct selfcheck_round *r);

/* What r points to must outlive it. The callback comes from the loop, once. NULL: out of memory. */
struct selfcheck_round *selfcheck_round_start(struct engine *e,
					      const struct selfcheck_round_request *r,
					      selfcheck_round_cb *cb, void *arg);
void selfcheck_round_free(struct selfcheck_round **r);

#endif
