/* SPDX-License-Identifier: MIT */
/*
 * cmd: sentences for a postmaster: what was seen, which record, host, address and certificate, and
 * what to change.
 */
#ifndef CMD_EXPLAIN_H
#define CMD_EXPLAIN_H

#include "engine/check.h"

struct buf;

/* One sentence on the domain, ending without a full stop. */
void explain_domain(const struct check *c, struct buf *out);
/* The enhanced status code of the verdict: the host's own where it gave one. */
void explain_code(const struct check *c, char out[static CODE_TEXT_MAX]);
/* One sentence on one address. */
void explain_probe(const struct plan_host *h, const struct check_probe *p, struct buf *out);
/* One sentence on a host that is skipped. */
void explain_skip(const struct plan_host *h, struct buf *out);
/* The answer whose TLSA records count for this host; NULL when none was asked for. */
const struct answer *host_tlsa_answer(const struct plan_host *h);
/* "secure", "absent" ...: of the addresses of a host; NULL for an address in place of a name. */
const char *host_address_status(const struct plan_host *h);

/* NULL where the table has nothing to advise. */
const char *explain_cure(enum reason r);

/* Printing (check_json.c, check_text.c). `known`: what the relay saw of the hosts; NULL: nothing.
 */
struct style;
struct store_audit;
bool check_print_json(const struct check *c, struct store_audit *known, FILE *f);
void check_print_text(const struct check *c, struct store_audit *known, const struct style *st,
		      FILE *f);

#endif
