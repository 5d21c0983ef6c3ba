/* SPDX-License-Identifier: MIT */
/* The end of exceptions, to the side of more protection. Knows no clock: it is told the time. */
#include "dane/exception.h"

#include <string.h>

bool exception_is_weaker(enum dane_level exception, enum dane_level policy)
{
	return exception != LEVEL_DANE_ONLY && exception <= policy;
}

bool exception_is_of_this_boot(const struct exception *e, const struct exception_now *now)
{
	return e->boot[0] != '\0' && strcmp(e->boot, now->boot) == 0;
}

bool exception_holds(const struct exception *e, bool weaker, const struct exception_now *now)
{
	if (!exception_is_of_this_boot(e, now))
		return !weaker;
	bool by_wall = now->wall < e->expires, by_elapsed = now->elapsed < e->ends;
	return weaker ? by_wall && by_elapsed : by_wall || by_elapsed;
}
