/* SPDX-License-Identifier: MIT */
/*
 * dane: the decisions of RFC 7672 and RFC 7671 as pure functions from facts to verdicts.
 * This header: the closed table of outcomes (outcome.tbl) that every attempt ends with (rule M2).
 *
 * All strings are static. Pure; any thread.
 */
#ifndef DANE_OUTCOME_H
#define DANE_OUTCOME_H

#include "base/slice.h"

enum reason {
#define OUTCOME(id, name, fate, weight, code, report, sentence, cure) REASON_##id,
#include "dane/outcome.tbl"
#undef OUTCOME
	REASON_COUNT
};

enum fate { FATE_DONE, FATE_NEXT, FATE_DELAY, FATE_FAIL };

const char *reason_name(enum reason r); /* "tlsa-invalid" */
enum fate reason_fate(enum reason r);
int reason_weight(enum reason r);
const char *reason_code(enum reason r);   /* enhanced status code "4.7.323" (RFC 3463, RFC 5248) */
const char *reason_report(enum reason r); /* RFC 8460 s4.3 result type, "" if none */
const char *reason_sentence(enum reason r); /* for a person; no capital, no full stop */
const char *reason_cure(enum reason r);     /* what to change; "" if nothing can be said */
bool reason_from_name(const char *name, enum reason *out);

/* Does it say that the security of the channel could not be had (an RFC 8460 failure)? */
bool reason_is_security(enum reason r);

/* Of two failures of different hosts, the one to report: b if it says at least as much as a. */
enum reason reason_worse(enum reason a, enum reason b);

#endif
