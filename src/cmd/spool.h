/* SPDX-License-Identifier: MIT */
/*
 * cmd: a message on its way from standard input: CRLF text in an unlinked temporary file, so that a
 * message of any size needs no memory and may be read by many sessions at once.
 */
#ifndef CMD_SPOOL_H
#define CMD_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool {
	int fd;                /* -1: none */
	uint64_t size;         /* octets of CRLF text */
	bool eight_bit;        /* an octet above 0x7f anywhere */
	bool header_eight_bit; /* in the header section: SMTPUTF8 is needed (RFC 6532) */
};

/* Reads descriptor `in` to its end. `prefix` is CRLF text that goes before it (trace fields).
 * Returns 0, or a sysexits code with one line in `error`. */
int spool_read(struct spool *s, int in, const char *prefix, char *error, size_t room);
void spool_close(struct spool *s);

#endif
