/* SPDX-License-Identifier: MIT */
/*
 * A driver of the server machine for tests: a session is a list of flights, each what a client
 * sends before it waits for replies. Every session is played whole, one octet at a time, and cut in
 * two at every place; with decisions at once and with decisions that come late. All must give the
 * same.
 */
#ifndef TEST_SMTP_SERVER_PLAY_H
#define TEST_SMTP_SERVER_PLAY_H

#include "smtp/server.h"

#include "guard.h"

#define S(text)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

enum play_kind {
	PLAY_MX,         /* port 25, STARTTLS offered */
	PLAY_MX_PLAIN,   /* port 25, no certificate */
	PLAY_SUBMISSION, /* 587 */
	PLAY_IMPLICIT,   /* 465 */
	PLAY_SMALL,      /* port 25; 20 octets, 2 recipients, 3 errors, 12 commands */
};

enum { PLAY_FLIGHTS = 16 };

/*
 * Flights that are events: "@tls" the handshake went well, "@notls" it did not, "@close",
 * "@timeout",
 * "@stop" our shutdown, "@stop-now" that does not wait, "@wait" bytes come before the decision
 * about the greeting. The driver's decisions: a local part that begins with "no" is 550, with
 * "later" 450, with "bye" 421; the password is "secret"; a text with "spam" is refused; a helo that
 * begins with "full" has no room.
 */
struct play_row {
	const char *name;
	enum play_kind kind;
	struct slice flight[PLAY_FLIGHTS];
	const char *replies;  /* "220, 250, 250 2.1.0": codes with their enhanced codes */
	const char *messages; /* "from>to,to:text" of each accepted message, joined by "|" */
	enum smtps_end end;   /* SMTPS_RUNNING: still up */
};

/* Plays the row in every way; fails the test with its name where one differs from the row. */
void play_row(const struct play_row *r);
/* The whole output of the row, played in one way; the caller frees `out`. */
void play_output(const struct play_row *r, struct buf *out);

#endif
