/* SPDX-License-Identifier: MIT */
/*
 * smtp: the server (RFC 5321 with STARTTLS, AUTH, PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN,
 * CHUNKING, ENHANCEDSTATUSCODES), as a sans-I/O machine. Rules P1-P3, T8, S3.
 *
 * The driver does, in a loop: write what smtps_output() holds; take the text from smtps_text(); do
 * what smtps_want() says; feed what happened. Nothing calls back. Decisions that need knowledge of
 * the world (may this client relay there? is the password right? is the message on disk?) are
 * wishes: SMTPS_WANT_DECISION, answered by smtps_decide(). While a decision is out, no further
 * command is looked at, however many the client has pipelined. Not thread-safe.
 *
 * Who speaks too early: after a command that must be the last of a group (RFC 2920 s3.1: EHLO,
 * HELO, DATA, VRFY, NOOP, STARTTLS, AUTH) and before the greeting, bytes that smtps_recv() gets
 * while the reply has not been taken from smtps_output() to its end were sent by somebody who did
 * not wait for it. That does not depend on how the bytes were cut into reads. So take the output as
 * soon as it is there, and count a reply as taken when it is on its way.
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "base/buf.h"
#include "wire/address.h"
#include "wire/reply.h"

struct smtps_timeouts {   /* milliseconds */
	uint32_t command; /* between commands; RFC 5321 s4.5.3.2.7: at least 5 minutes */
	uint32_t text;    /* between blocks of text, and between its chunks */
	uint32_t handshake;
};
extern const struct smtps_timeouts SMTPS_TIMEOUTS_RFC;

struct smtps_config {
	const char *host;   /* our name, in the greeting and in replies */
	bool submission;    /* 587, 465: AUTH under TLS, and nothing but AUTH before (S3). Else a
			       relay: AUTH never */
	bool tls_available; /* a certificate is there: STARTTLS is offered */
	bool tls_implicit;  /* 465: the driver has TLS up before the first byte */
	uint64_t size_max;  /* of a message, octets; 0: none */
	uint32_t rcpts_max; /* per transaction; at least 100 (RFC 5321 s4.5.3.1.8) */
	/* 5yz replies before 421: stops scanners and dictionary attacks; 0: none */
	uint32_t errors_max;
	/* Commands without a message that was taken: stops who says RSET and NOOP for ever, begins
	 * transactions and ends none, or cuts a text into crumbs. Recipients and chunks of a proper
	 * size do not count. 421 beyond it; 0: none */
	uint32_t junk_max;
	const struct smtps_timeouts *timeouts;
};

struct smtps_envelope {
	const char *helo;         /* as given with EHLO, HELO */
	bool esmtp;               /* by EHLO */
	const char *reverse_path; /* "" for the null path */
	uint64_t declared_size;   /* SIZE=, 0: not given */
	bool body_8bit;           /* BODY=8BITMIME */
	bool smtputf8;
	const char *ret;   /* "FULL", "HDRS" or NULL */
	const char *envid; /* xtext-decoded; NULL */
	const struct smtps_rcpt {
		const char *address;
		const char *notify; /* as given; NULL */
		const char *orcpt;  /* as given, with its type; NULL */
	} * rcpt;                   /* accepted ones */
	size_t nrcpt;
};

enum smtps_question {
	SMTPS_Q_CONNECT, /* the greeting: 220, 421 or 554 */
	SMTPS_Q_AUTH,    /* smtps_user(), smtps_password(): 235, 535, 454 */
	SMTPS_Q_MAIL,    /* reverse-path in the envelope: 250, 4yz, 5yz */
	SMTPS_Q_RCPT,    /* smtps_rcpt(): 250, 4yz, 5yz. The machine itself never says 250 to a
			    recipient (P3) */
	SMTPS_Q_TEXT,    /* before 354 or the first BDAT: room for it? 354 (or 250), 4yz. A new text
			    begins: one that was not followed by SMTPS_Q_MESSAGE (too big, RSET
			    between chunks) is to be thrown away, as at the end of the session */
	SMTPS_Q_MESSAGE, /* all text is with the driver: 250 only when it is durable; 4yz; 5yz */
	SMTPS_Q_VRFY,    /* smtps_vrfy(): usually 252 */
};

enum smtps_want {
	SMTPS_WANT_READ,
	SMTPS_WANT_STARTTLS, /* output is flushed first; then TLS: smtps_tls_done() */
	SMTPS_WANT_DECISION, /* smtps_question(): smtps_decide() */
	SMTPS_WANT_DRAIN,    /* smtps_text() is full, or the last of a message: take it, then
				smtps_drained() */
	SMTPS_WANT_CLOSE,    /* flush, close */
};

/* Why the session ended. */
enum smtps_end {
	SMTPS_RUNNING = 0,
	SMTPS_QUIT,
	SMTPS_CLOSED, /* by the client, without QUIT */
	SMTPS_TIMEOUT,
	SMTPS_ERRORS,    /* too many refused commands */
	SMTPS_SMUGGLING, /* bare CR, bare LF, NUL: in a command or in the text (P2) */
	SMTPS_EARLY, /* spoke before the greeting, or bytes between STARTTLS and the handshake (P2,
			T8) */
	SMTPS_TLS_FAILED,
	SMTPS_SHUTDOWN, /* our side: 421 */
	SMTPS_LOCAL,    /* out of memory */
};

struct smtps;

struct smtps *smtps_new(
    const struct smtps_config *c); /* config and its strings must outlive it. NULL: out of memory */
void smtps_free(struct smtps **s);

enum smtps_want smtps_want(const struct smtps *s);
struct buf *smtps_output(struct smtps *s);
/* No room for what comes of this text: it is read on and thrown away, and answered with this at its
 * end. `text` is a literal. Ignored outside of a text. */
void smtps_refuse_text(struct smtps *s, uint16_t code, const char *text);
/* CRLF text, dots removed; consume what you took. A last line that BDAT left unfinished gets its
 * CRLF. */
struct buf *smtps_text(struct smtps *s);
void smtps_drained(struct smtps *s);
uint32_t smtps_timeout_ms(const struct smtps *s);
uint64_t smtps_progress(const struct smtps *s); /* when it changes, the timeout starts anew */
/* From 354, or the first chunk, until the whole text is there. Then commands are no progress, and
 * how fast the text comes is the driver's to judge. */
bool smtps_in_text(const struct smtps *s);
uint64_t smtps_text_octets(const struct smtps *s); /* read so far, of all texts of the session */

/* Takes all of the bytes. Read only at SMTPS_WANT_READ, and at most SMTPS_RECV_MAX at once: far
 * more ends the session. */
enum { SMTPS_RECV_MAX = 65536 };
void smtps_recv(struct smtps *s, struct slice bytes);
void smtps_tls_done(struct smtps *s, bool up);
void smtps_closed(struct smtps *s);
void smtps_timed_out(struct smtps *s);
void smtps_shutdown(
    struct smtps *s); /* 421 at the next command border; a text under way is taken */
void smtps_shutdown_now(
    struct smtps *s); /* 421 wherever the client is, unless a decision is out: then after it */
/* 421 with this text wherever the client is. False: a decision is out, or it has ended: nothing was
 * done. */
bool smtps_send_away(struct smtps *s, const char *text);

enum smtps_question smtps_question(const struct smtps *s);
/* code 2yz/3yz: yes; the machine writes the code that the command asks for. 4yz, 5yz: no; 421
 * closes too. Any other code is 451. `text` is the whole text behind the code, with its enhanced
 * code; no CR or LF (they become '?'). NULL: a standard text. Ignored while no decision is wanted.
 */
void smtps_decide(struct smtps *s, uint16_t code, const char *text);

const struct smtps_envelope *smtps_envelope(const struct smtps *s); /* of the present transaction */
const struct smtps_rcpt *smtps_rcpt(const struct smtps *s); /* SMTPS_Q_RCPT: the one in question */
const char *smtps_user(const struct smtps *s);     /* SMTPS_Q_AUTH, and after it succeeded */
const char *smtps_password(const struct smtps *s); /* SMTPS_Q_AUTH only; wiped afterwards */
const char *smtps_vrfy(const struct smtps *s);     /* SMTPS_Q_VRFY: what was asked for */
bool smtps_authenticated(const struct smtps *s);
bool smtps_under_tls(const struct smtps *s);
/* "ESMTPSA" ...: with-types of RFC 3848 and RFC 6531 s4.3. */
const char *smtps_with(const struct smtps *s);
const char *smtps_phase(const struct smtps *s); /* "command", "text" ...: for people */
enum smtps_end smtps_result(const struct smtps *s);

#endif
