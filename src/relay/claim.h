/* SPDX-License-Identifier: MIT */
/*
 * relay: a courier that outlives a keeper claims from its successor what it carries. This decides
 * whether that stays the courier's: a pure function.
 *
 * A delivery has a number for each handing over (store.h: take). So a claim on something that was
 * put back and handed to somebody else meanwhile is told from the real one, by every successor.
 */
#ifndef RELAY_CLAIM_H
#define RELAY_CLAIM_H

#include "store/store.h"

struct claim_facts {
	enum store_status found; /* of store_active() */
	int64_t take_stored, take_claimed;
	bool carried;   /* another claim on it was granted, or this keeper handed it out */
	bool dot_noted; /* in the store: the final dot was allowed */
	bool dot_out;   /* the courier says that it was allowed */
};

enum claim_verdict {
	CLAIM_GRANTED,
	CLAIM_OVER,   /* its result was recorded, or it was put back: the courier forgets it */
	CLAIM_STALE,  /* it was handed to somebody else since */
	CLAIM_FALSE,  /* no courier that keeps to the rules says so: it is cut off */
	CLAIM_UNSURE, /* the store could not say: an error is no refusal, the next keeper looks */
};
enum claim_verdict claim_judge(const struct claim_facts *f);
const char *claim_verdict_name(enum claim_verdict v); /* "granted" */

#endif
