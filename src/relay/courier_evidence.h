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
/* Reports up to this one of the channel are committed, and what was sent before them. */
void courier_evidence_kept(struct courier_evidence *c, uint64_t report);
/* The keeper is gone: what it was sent and did not confirm it may not have kept. */
void courier_evidence_unsure(struct courier_evidence *c);
/* To the next one, before any report. False: out of memory. */
bool courier_evidence_again(struct courier_evidence *c, struct channel *keeper);

/* A session with this host of the plan begins. */
void courier_evidence_begin(struct courier_evidence *c, const struct plan *plan,
			    const struct plan_host *host);
/*
 * For the record of a try: the id of its evidence, which the keeper has, or which is sent to it
 * now (without a keeper: to the next one); it is to be used before the next call. next_report: the
 * number of the report that follows. NULL: there is none.
 */
const uint8_t *courier_evidence_id(struct courier_evidence *c, const struct plan *plan,
				   const struct plan_host *host, struct channel *keeper,
				   uint64_t next_report);

#endif
