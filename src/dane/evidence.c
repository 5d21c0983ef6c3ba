/* SPDX-License-Identifier: MIT */
/* The names of the ways to a host. */
#include "dane/evidence.h"

#include <string.h>

static const char *const names[EVIDENCE_MX_COUNT] = {
    [EVIDENCE_MX_SECURE] = "secure",
    [EVIDENCE_MX_IMPLICIT] = "implicit",
    [EVIDENCE_MX_INSECURE] = "insecure",
    [EVIDENCE_MX_NONE] = "none",
};

const char *evidence_mx_name(enum evidence_mx m)
{
	return names[m];
}

bool evidence_mx_from_name(const char *name, enum evidence_mx *out)
{
	for (int i = 0; name != NULL && i < EVIDENCE_MX_COUNT; i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum evidence_mx)i;
			return true;
		}
	}
	return false;
}
