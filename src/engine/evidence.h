/* SPDX-License-Identifier: MIT */
/*
 * engine: collecting the evidence of a plan: the signed RRsets of the answers that it used, and the
 * keys of their zones up to the anchor, asked of the same resolver, which has them in its cache.
 *
 * Never part of a delivery: whoever starts it goes on, and what cannot be collected is a word why.
 */
#ifndef ENGINE_EVIDENCE_H
#define ENGINE_EVIDENCE_H

#include "dane/evidence.h"
#include "engine/engine.h"

struct evidence_run;
/* e: valid until the run is freed; NULL: there is none, and `why` says why. */
typedef void evidence_cb(void *arg, const struct evidence *e, const char *why);

/*
 * For one decided host of the plan. What is needed of the plan is taken at once: it may go before
 * the callback. NULL: out of memory, or the host has no secure TLSA records (evidence_possible()).
 */
struct evidence_run *evidence_start(struct engine *e, const struct plan *plan,
				    const struct plan_host *host, int64_t now, evidence_cb *cb,
				    void *arg);
void evidence_run_free(struct evidence_run **r); /* no callback any more */

/* Are there secure TLSA records that the policy of this host follows from? */
bool evidence_possible(const struct plan_host *host);

/* One digest of everything of the plan that the evidence follows from: as long as it is the same,
 * the evidence of last time will do (until evidence_until()). False: there is none. */
bool evidence_key(const struct plan *plan, const struct plan_host *host,
		  uint8_t out[static EVIDENCE_ID]);

/* --- as a file (evidence_json.c; docs/evidence.md) --- */

/* One JSON document on one line. `anchor`: lines for information, NULL-terminated, or NULL. */
bool evidence_write(const struct evidence *e, const char *const *anchor, FILE *f);
/* Strictly what evidence_write() writes, blanks apart. What it points to lives in `mem`. False:
 * `error` says what is wrong. */
bool evidence_read(struct slice text, struct arena *mem, struct evidence *out, char *error,
		   size_t room);
/* The id that belongs to the RRsets. */
void evidence_set_id(struct evidence *e);

#endif
