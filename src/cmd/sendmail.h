/* SPDX-License-Identifier: MIT */
/*
 * cmd: what the parts of `danelaw sendmail` share: the message as it was read (sendmail_text.c),
 * its header section (sendmail_header.c), and the way to the relay (sendmail_smtp.c).
 */
#ifndef CMD_SENDMAIL_H
#define CMD_SENDMAIL_H

#include "base/arena.h"
#include "base/buf.h"
#include "cmd/cmd.h"
#include "smtp/client.h"

struct sendmail {
	struct cmd *cmd;
	struct arena mem;
	char host[256];        /* of this machine: behind addresses without a domain */
	const char *from;      /* the reverse-path as on the wire; "": null */
	const char *full_name; /* -F; NULL: none */
	const char *notify, *ret, *envid;
	bool from_header; /* -t: recipients from the header section */
	bool ignore_dots; /* -i: a line with a dot alone is text */
	bool verbose;
	struct smtpc_rcpt *rcpt;
	size_t nrcpt, room;
	bool utf8_address; /* a local part outside ASCII: needs SMTPUTF8 */
	struct buf text;   /* CRLF text as it came */
	struct buf head;   /* the header section that goes out, with its blank line */
	struct slice body; /* in text */
};

/* Standard input to CRLF text in s->text. Returns EX_OK or a code that was explained. */
int sendmail_read(struct sendmail *s);

/* Cuts s->text into head and body; takes recipients (-t), removes Bcc, adds what is missing.
 * Returns EX_OK or a code that was explained. */
int sendmail_make_message(struct sendmail *s);

/* Adds each address of an address list as a recipient; the same one twice counts once. `where` is
 * for complaints. */
int sendmail_add_rcpts(struct sendmail *s, struct slice list, const char *where);
/* An address as on the wire: with a domain, in A-labels (D10). NULL: explained. */
const char *sendmail_wire_address(struct sendmail *s, const char *text);

/* Hands the message over. Returns the exit code; what was refused was said. */
int sendmail_hand_over(struct sendmail *s);
/* -bs: standard input and output become an SMTP session with the relay. */
int sendmail_pass_through(struct sendmail *s);

#endif
