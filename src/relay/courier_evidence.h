/* SPDX-License-Identifier: MIT */
/*
 * relay: the courier's part of evidence: collected beside the session with a host, sent to the
 * keeper before the result that refers to it, and remembered, so that a destination whose records
 * are what they were costs one digest.
 *
 * No delivery ever waits for it: what is not there when a result goes is not referred to.
 */
#ifndef RELAY_COURIER_EVIDENCE_H
#define RELAY_COURIER_EVIDENCE_H

#include "engine/evidence.h"
#include "relay/channel.h"

struct courier_evidence;

struct courier_evidence *courier_evidence_new(struct engine *e); /* NULL: out of memory */
void courier_evidence_free(struct courier_evidence **c);
/* There is a new keeper, which has nothing. */
void courier_evidence_forget(struct courier_evidence *c);

/* A session with this host of the plan begins. */
void courier_evidence_begin(struct courier_evidence *c, const struct plan *plan,
			    const struct plan_host *host);
/*
 * For the record of a try: the id of its evidence, which the keeper has, or which is sent to it
 * now; it is to be used before the next call. NULL: there is none.
 */
const uint8_t *courier_evidence_id(struct courier_evidence *c, const struct plan *plan,
				   const struct plan_host *host, struct channel *keeper);

#endif
