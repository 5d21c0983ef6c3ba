/* SPDX-License-Identifier: MIT */
/*
 * engine: names and passwords for submission servers on routes (S1), from a file that nobody else
 * may read:
 *   file = *( line LF )
 *   line = HOST [ ":" PORT ] SP USER SP PASSWORD    ; a tab is as good as a blank
 *        / *WSP [ "#" anything ]
 * The password is the rest of the line, blanks within it too. Without a port the line is for every
 * port of the host. The first line that fits counts.
 */
#ifndef ENGINE_CREDENTIALS_H
#define ENGINE_CREDENTIALS_H

#include "smtp/client.h"

enum {
	CREDENTIALS_FILE_MAX = 1024 * 1024, /* octets: a file that is something else ends here */
	CREDENTIALS_MAX = 10000,            /* lines with credentials */
};

struct credentials;

/* NULL: `error` says which file, line and column, and what is wrong. */
struct credentials *credentials_load(const char *path, char *error, size_t room);
/* The same from memory; `name` is what errors call it. The text is copied. */
struct credentials *credentials_parse(struct slice text, const char *name, char *error,
				      size_t room);
void credentials_free(struct credentials **c); /* wipes them */

/* NULL: none. Lives as long as c, which may be NULL. */
const struct smtpc_auth *credentials_find(const struct credentials *c, const char *host,
					  uint16_t port);

#endif
