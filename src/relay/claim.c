/* SPDX-License-Identifier: MIT */
/* Whose a delivery is after a keeper has ended. Knows facts and refuses to know where from. */
#include "relay/claim.h"

enum claim_verdict claim_judge(const struct claim_facts *f)
{
	if (f->found == STORE_NOT_FOUND || f->found == STORE_STATE)
		return CLAIM_OVER;
	if (f->found != STORE_OK)
		return CLAIM_UNSURE;
	if (f->take_stored != f->take_claimed || f->carried)
		return CLAIM_STALE;
	/* What was allowed was committed before. */
	return f->dot_out && !f->dot_noted ? CLAIM_FALSE : CLAIM_GRANTED;
}

const char *claim_verdict_name(enum claim_verdict v)
{
	static const char *const names[] = {
	    [CLAIM_GRANTED] = "granted", [CLAIM_OVER] = "over",     [CLAIM_STALE] = "stale",
	    [CLAIM_FALSE] = "false",     [CLAIM_UNSURE] = "unsure",
	};
	return names[v];
}
