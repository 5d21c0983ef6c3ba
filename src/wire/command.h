/* SPDX-License-Identifier: MIT */
/*
 * wire: SMTP commands as the client writes them (RFC 5321 s4.1.1 and the extensions' parameters).
 *
 * Each function adds one line with its CRLF to `out`. Arguments that hold a control character
 * (base/foreign.h), what is no UTF-8, a blank or (in a path, outside quotes) an angle bracket fail
 * the buffer (buf_ok() is then false): nothing a caller passes can become a second command or
 * another parameter.
 */
#ifndef WIRE_COMMAND_H
#define WIRE_COMMAND_H

#include "base/buf.h"

struct mail_params {
	uint64_t size;     /* SIZE= (RFC 1870); 0: left out */
	bool body_8bit;    /* BODY=8BITMIME (RFC 6152) */
	bool smtputf8;     /* SMTPUTF8 (RFC 6531) */
	const char *ret;   /* RET= FULL or HDRS (RFC 3461); NULL: left out */
	const char *envid; /* ENVID=, plain text, xtext-encoded here; NULL: left out */
};

struct rcpt_params {
	const char *notify; /* NOTIFY= value (RFC 3461), NULL: left out */
	const char *orcpt;  /* ORCPT= address without its type, xtext-encoded here as rfc822; NULL:
			       left out */
	const char *orcpt_given; /* ORCPT= as it was received, with its type; wins over orcpt */
};

void command_ehlo(struct buf *out, const char *name);
void command_lhlo(struct buf *out, const char *name); /* RFC 2033 s4.1 */
void command_helo(struct buf *out, const char *name);
void command_starttls(struct buf *out);
void command_mail(struct buf *out, const char *reverse_path, const struct mail_params *p);
void command_rcpt(struct buf *out, const char *forward_path, const struct rcpt_params *p);
void command_data(struct buf *out);
/* The whole of a message as one chunk (RFC 3030 s2); its octets follow. */
void command_bdat_last(struct buf *out, uint64_t size);
void command_rset(struct buf *out);
void command_quit(struct buf *out);

/* xtext of RFC 3461 s4: octets outside 33..126, '+' and '=' as +HH. */
void xtext_encode(struct buf *out, struct slice in);

#endif
