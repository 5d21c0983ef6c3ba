/* SPDX-License-Identifier: MIT */
/* The words for what the operator wants. Knows no more than the words. */
#include "dane/policy.h"

#include <string.h>

const char *dane_level_name(enum dane_level l)
{
	switch (l) {
	case LEVEL_MAY:
		return "may";
	case LEVEL_DANE:
		return "dane";
	case LEVEL_DANE_ONLY:
		return "dane-only";
	}
	return "?";
}

bool dane_level_from_name(const char *name, enum dane_level *out)
{
	static const enum dane_level all[] = {LEVEL_MAY, LEVEL_DANE, LEVEL_DANE_ONLY};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(name, dane_level_name(all[i])) == 0) {
			*out = all[i];
			return true;
		}
	}
	return false;
}
