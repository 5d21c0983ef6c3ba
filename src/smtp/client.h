/* SPDX-License-Identifier: MIT */
/*
 * smtp: SMTP as sans-I/O machines: bytes and events in, bytes and wishes out. No socket, clock or
 * log. This header: the client (RFC 5321, with STARTTLS, PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN,
 * for submission AUTH and TLS from the start, and as LMTP, RFC 2033).
 *
 * The driver does, in a loop: write what smtpc_output() holds; do what smtpc_want() says; feed what
 * happened. Nothing calls back. A session carries one message at a time (in as many transactions as
 * its recipients need), and further ones when it was kept. Not thread-safe. The machine copies
 * nothing of the message: it must live until the session's end is known.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/buf.h"
#include "wire/command.h"
#include "wire/reply.h"

enum smtpc_tls {
	SMTPC_TLS_NONE, /* do not use STARTTLS: after a failed handshake at level may */
	SMTPC_TLS_MAY,  /* if offered */
	SMTPC_TLS_MUST, /* no mail and no envelope without TLS (T7) */
};

/* RFC 5321 s4.5.3.2, in milliseconds. */
struct smtpc_timeouts {
	uint32_t greeting, ehlo, starttls, handshake, mail, rcpt, data_init, data_block, data_done,
	    quit;
};
extern const struct smtpc_timeouts SMTPC_TIMEOUTS_RFC;

enum rcpt_state { RCPT_PENDING, RCPT_ACCEPTED, RCPT_SENT, RCPT_DEFERRED, RCPT_REJECTED };

enum { SMTPC_REPLY_MAX = 512 };

struct smtpc_rcpt {
	const char *address; /* as on the wire: A-label domain unless SMTPUTF8 is used */
	struct rcpt_params params;
	/* Filled by the machine: */
	enum rcpt_state state;
	struct enhanced_code enhanced;
	char reply[SMTPC_REPLY_MAX]; /* the reply that decided, on one line */
	/* The host offers DSN and was given what is in `params`: reports of success are its
	 * matter when it takes the message (RFC 3461 s5.2.2). */
	bool dsn_passed;
};

struct smtpc_message {
	const char *reverse_path; /* "" for the null path */
	const char *envid;        /* NULL: none */
	const char *ret;
	uint64_t size;  /* octets of the CRLF text before dot-stuffing */
	bool eight_bit; /* body needs BODY=8BITMIME */
	bool smtputf8;  /* an address or the header section needs SMTPUTF8 (RFC 6531) */
	struct smtpc_rcpt *rcpt;
	size_t nrcpt;
};

/* For AUTH PLAIN (RFC 4616) or LOGIN; neither is empty. Not copied; what the machine made of them
 * is wiped as soon as the host has answered. */
enum { SMTPC_AUTH_MAX = 255 };
struct smtpc_auth {
	const char *user; /* each SMTPC_AUTH_MAX octets at most */
	const char *password;
};

struct smtpc_config {
	const char *helo;
	/* RFC 2033: LHLO, no HELO, and after the final dot a reply for each accepted recipient. */
	bool lmtp;
	enum smtpc_tls tls;
	/* RFC 8314 s3.3: TLS before the greeting, smtpc_want() begins with STARTTLS; with
	 * SMTPC_TLS_MUST only. */
	bool implicit_tls;
	/* NULL: none. Only under TLS: without it there is no mail either (S1). Never with a TLS
	 * that authenticates nobody: that is the driver's to know. */
	const struct smtpc_auth *auth;
	/* 5yz to AUTH and 530 to any command of the mail (RFC 4954 s6) are our operator's to mend:
	 * the message waits and nobody is refused for good. */
	bool auth_waits;
	const struct smtpc_timeouts *timeouts;
	size_t rcpts_max; /* recipients in one transaction; 0: 100 (RFC 5321 s4.5.3.1.8) */
	const struct smtpc_message
	    *message; /* NULL: a probe (greeting, EHLO, STARTTLS, EHLO, QUIT) */
	/* Wait for another message instead of QUIT when this one ended well: the host took it with
	 * the last word that it said. Never after a probe. */
	bool keep;
	/* RFC 3030: a small text goes along with its envelope where the host offers CHUNKING and
	 * PIPELINING. */
	bool chunking;
};

/* How the session ended: exactly one. */
enum smtpc_end {
	SMTPC_RUNNING = 0,
	SMTPC_DONE,             /* every recipient has its own state; a probe got what it wanted */
	SMTPC_NO_STARTTLS,      /* TLS_MUST, not offered */
	SMTPC_STARTTLS_REFUSED, /* TLS_MUST, 4xx or 5xx to STARTTLS */
	SMTPC_INJECTION,        /* bytes behind the 220 to STARTTLS (T8) */
	SMTPC_TLS_FAILED,       /* smtpc_tls_done(false): TLS knows why */
	SMTPC_UNWILLING, /* greeting or EHLO/HELO refused, or 421: another host may be willing */
	SMTPC_MAIL_DEFERRED, /* 4xx to MAIL; in the recipients' states too */
	SMTPC_MAIL_REJECTED, /* 5xx to MAIL; the same */
	SMTPC_TOO_BIG,       /* over the SIZE that the host declared */
	SMTPC_NO_8BITMIME,
	SMTPC_NO_SMTPUTF8,
	SMTPC_PROTOCOL, /* a reply that is not SMTP, or that comes unasked */
	SMTPC_CLOSED,   /* by the peer */
	SMTPC_TIMEOUT,
	/* Closed or timed out between the final dot and its reply. Over LMTP: and the last of its
	   replies; in doubt are those in RCPT_ACCEPTED only. */
	SMTPC_LOST_AFTER_DATA,
	SMTPC_AUTH_REFUSED, /* 5yz to AUTH, or no mechanism that we have */
	SMTPC_AUTH_WAITS,   /* the same, or 530 to the mail, with auth_waits */
	SMTPC_LOCAL,        /* out of memory, message text failed, bad argument */
};

/* How far the session came with its present message: what the host has shown that it does. A
 * further message of a kept session begins at HELLO. */
enum smtpc_reached {
	SMTPC_REACHED_NOTHING,
	SMTPC_REACHED_GREETING, /* 220 */
	SMTPC_REACHED_HELLO,    /* all that comes before the mail, TLS and AUTH too */
	SMTPC_REACHED_MAIL,     /* MAIL was said: what follows may be due to the message */
	SMTPC_REACHED_RCPT,     /* somebody was accepted */
	SMTPC_REACHED_TEXT,     /* the text was asked for */
	SMTPC_REACHED_DOT,      /* the end of the text was given to the driver */
	SMTPC_REACHED_VERDICT,  /* and answered */
};

enum smtpc_want {
	SMTPC_WANT_READ,     /* bytes from the peer */
	SMTPC_WANT_STARTTLS, /* output is flushed first; then hand the connection to TLS:
				smtpc_tls_done() */
	SMTPC_WANT_BODY,     /* text of the message from smtpc_body_offset() on: smtpc_body() */
	SMTPC_WANT_IDLE,     /* ended with SMTPC_DONE and kept: smtpc_next_message() or
				smtpc_quit(). Feed what comes: unasked bytes end it */
	SMTPC_WANT_CLOSE,    /* ended: flush the output if you like, close */
};

struct smtpc;

struct smtpc *smtpc_new(const struct smtpc_config *config); /* NULL: out of memory */
void smtpc_free(struct smtpc **c);

enum smtpc_want smtpc_want(const struct smtpc *c);
struct buf *smtpc_output(struct smtpc *c); /* consume what you wrote */
uint32_t smtpc_timeout_ms(
    const struct smtpc *c); /* of the present phase, since it began or since the last progress */

void smtpc_recv(struct smtpc *c, struct slice bytes); /* all of them are taken */
void smtpc_tls_done(struct smtpc *c,
		    bool up);       /* answers SMTPC_WANT_STARTTLS; false ends the session */
void smtpc_closed(struct smtpc *c); /* the peer closed or the connection broke */
void smtpc_timed_out(struct smtpc *c);
void smtpc_abort(struct smtpc *c,
		 enum smtpc_end why); /* for the driver: SMTPC_LOCAL and the like */

/* SMTPC_WANT_IDLE only. The session runs again, from MAIL on; the result and the replies are the
 * new message's. rested: the host may have given the connection up meanwhile; no text goes out
 * before it has answered, so that the message can go over another one (smtpc_was_stale()). */
void smtpc_next_message(struct smtpc *c, const struct smtpc_message *message, bool rested);
/* Gives back the memory of buffers that are empty now: idle, or before a wait. */
void smtpc_rest(struct smtpc *c);
void smtpc_quit(struct smtpc *c); /* SMTPC_WANT_IDLE only: QUIT */
/*
 * After the end: this was a further message of a kept session, and the host closed or said 421
 * before it said anything about the message. No recipient has a state and no octet of the text has
 * left: over a new connection the message goes as if nothing had happened.
 */
bool smtpc_was_stale(const struct smtpc *c);
/* After the end: the host refused a further MAIL, or what follows it, as such (one message per
 * connection). Who has no state yet may go over a new connection. */
bool smtpc_was_sated(const struct smtpc *c);

/*
 * SMTPC_WANT_BODY: the text goes out as a chunk whose size was announced: its last octet ends the
 * message, no empty text is asked for. Who has to do something before a message may arrive does it
 * before that octet is given.
 */
bool smtpc_body_is_chunk(const struct smtpc *c);
/* After the end: the text was sent as a chunk, and the host did not know the command or was lost
 * before it answered: it may do better with DATA. */
bool smtpc_chunk_failed(const struct smtpc *c);
uint64_t smtpc_body_offset(const struct smtpc *c);
/* CRLF text from that offset; empty text means the end of the message was reached. Give at most
 * SMTPC_BODY_CHUNK. */
enum { SMTPC_BODY_CHUNK = 65536 };
void smtpc_body(struct smtpc *c, struct slice text);

enum smtpc_end smtpc_result(const struct smtpc *c);
const char *
smtpc_reply(const struct smtpc *c); /* the reply that decided, on one line; "" if none */
struct enhanced_code smtpc_enhanced(const struct smtpc *c);
/* Grows with every reply, phase and chunk of text: when it changes, the timeout starts anew. */
uint64_t smtpc_progress(const struct smtpc *c);
enum smtpc_reached smtpc_reached(const struct smtpc *c);
uint64_t smtpc_replies(const struct smtpc *c);  /* that have come, in all */
const char *smtpc_phase(const struct smtpc *c); /* "EHLO", "RCPT" ...: for people */
bool smtpc_under_tls(const struct smtpc *c);
bool smtpc_offered_starttls(const struct smtpc *c);
/* In clear because STARTTLS was refused, or before the TLS that the host demands: what it refuses
 * for good may be for want of TLS, and is refused for now. */
bool smtpc_is_tentative(const struct smtpc *c);
bool smtpc_past_final_dot(const struct smtpc *c); /* the final dot was given to the driver */

#endif
