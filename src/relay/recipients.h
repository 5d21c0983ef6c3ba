/* SPDX-License-Identifier: MIT */
/*
 * relay: the file of recipients that are there (verify-recipients = table): mail for others is
 * refused at RCPT, and nobody gets a notice that a stranger caused.
 *
 *     # a comment
 *     alice@example.org
 *     @lists.example.org         everybody there
 *
 * One a line. Local parts are compared without regard to the case of ASCII letters, as nearly every
 * mail store does; domains by their normal form. A line that is neither makes the file wrong as a
 * whole: half a table would refuse mail for people who are there.
 */
#ifndef RELAY_RECIPIENTS_H
#define RELAY_RECIPIENTS_H

#include "base/slice.h"

enum {
	RECIPIENTS_MAX = 1000000, /* lines of one file */
	RECIPIENTS_FILE_MAX = 64 * 1024 * 1024,
};

struct recipients;

/* NULL: `error` is "file:line: what is wrong" or "file: ...". */
struct recipients *recipients_load(const char *file, char *error, size_t room);
struct recipients *recipients_parse(struct slice text, const char *file, char *error, size_t room);
void recipients_free(struct recipients **r);

/* Is this mailbox there? The domain in normal form (wire/destination.h). Postmaster is everywhere
 * (RFC 5321 s4.5.1). */
bool recipients_has(const struct recipients *r, struct slice local, struct slice domain);

#endif
