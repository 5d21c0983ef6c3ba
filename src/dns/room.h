/* SPDX-License-Identifier: MIT */
/* dns, inside: what the files of this room share. Nobody else includes this. */
#ifndef DNS_ROOM_H
#define DNS_ROOM_H

#include "dns/dns.h"

struct ub_ctx;

#define DNS_ALIASES_MAX 11 /* of one chain: the library's own number; an option is a text */

/* A message with its place: where dns_new() says what is wrong. */
struct setup_error {
	char *text;
	size_t room;
};

/* Always returns false. */
bool setup_fail(struct setup_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* All settings of a fresh context, ours first, then the operator's. */
bool setup_options(struct ub_ctx *ctx, const struct dns_config *c, struct setup_error *e);
/* Checks the anchor files as far as we can, and hands them over. */
bool setup_anchors(struct ub_ctx *ctx, const struct dns_config *c, struct setup_error *e);
/* Makes the library read everything now instead of at the first question. */
bool setup_finish(struct ub_ctx *ctx, struct setup_error *e);

#endif
