/* SPDX-License-Identifier: MIT */
/*
 * dane: when an operator's exception from a policy ends.
 *
 * Two clocks know how late it is, and each can be wrong: the wall clock makes steps, and the time
 * that has passed since the machine started is forgotten when it starts again. So an exception ends
 * to the side of more protection: one that allows less than the policy when either clock says so,
 * one that demands more when both do. After a restart of the machine nobody knows how long it lasts
 * already: what allows less is over, what demands more begins again.
 */
#ifndef DANE_EXCEPTION_H
#define DANE_EXCEPTION_H

#include "dane/policy.h"

/* Milliseconds. */
struct exception {
	int64_t expires;  /* by the wall clock */
	int64_t ends;     /* by the time since the start `boot` */
	const char *boot; /* which start of the machine; "": not known */
};

struct exception_now {
	int64_t wall, elapsed;
	const char *boot;
};

/* Does it allow less than (or the same as) the policy that it replaces? */
bool exception_is_weaker(enum dane_level exception, enum dane_level policy);

/* Is its `boot` the one of now? If not, one that demands more is to begin again. */
bool exception_is_of_this_boot(const struct exception *e, const struct exception_now *now);

bool exception_holds(const struct exception *e, bool weaker, const struct exception_now *now);

#endif
