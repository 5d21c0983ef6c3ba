/* SPDX-License-Identifier: MIT */
/* relay: who is meant by "postmaster" at this relay (RFC 5321 s4.1.1.3, s4.5.1). Pure. */
#ifndef RELAY_POSTMASTER_H
#define RELAY_POSTMASTER_H

#include "base/slice.h"

#include <stddef.h>

enum postmaster {
	POSTMASTER_NOT,
	POSTMASTER_BARE, /* without a domain: every SMTP server must have one */
	POSTMASTER_OURS, /* at our own name */
};

/* Does its local part say so, whatever its domain? */
bool postmaster_is_local_part(struct slice rcpt);
/* `rcpt` as path_parse() leaves it, its domain in A-labels; `host`: our own name. */
enum postmaster postmaster_judge(struct slice rcpt, const char *host);
/* relay.postmaster: NULL: good; else what is wrong with it. It must not lead back to itself. */
const char *postmaster_complaint(const char *address, const char *host);

#endif
