/* SPDX-License-Identifier: MIT */
/* cmd: the relay's memory of hosts, for danelaw check. */
#ifndef CMD_AUDIT_KNOWN_H
#define CMD_AUDIT_KNOWN_H

#include "conf/conf.h"
#include "deliver/plan.h"
#include "store/audit.h"

/* The given file, or the relay's. NULL: it cannot be read; `error` says why. */
struct store_audit *audit_open_quietly(const struct conf *c, const char *file, char *error,
				       size_t room);
/* "same-key" ...; NULL: nobody can say. */
const char *audit_continuity_of(struct store_audit *a, const struct plan_host *h, uint16_t port,
				const struct tls_facts *t);

#endif
