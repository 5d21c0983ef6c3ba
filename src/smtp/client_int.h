/* SPDX-License-Identifier: MIT */
/*
 * Inside of the client machine: its states and what the files of each verb share. Only
 * src/smtp/client*.c include this.
 *
 * A session is a walk through enum phase. Each phase that waits for a reply has one handler in the
 * step table (client.c); the handler moves the session on with smtpc_enter() or ends it with
 * smtpc_end().
 */
#ifndef SMTP_CLIENT_INT_H
#define SMTP_CLIENT_INT_H

#include "smtp/client.h"
#include "wire/dotstuff.h"

enum phase {
	PHASE_GREETING,
	PHASE_EHLO,
	PHASE_HELO,
	PHASE_STARTTLS,
	PHASE_HANDSHAKE,
	PHASE_AUTH, /* waits for 235, or for 334 and the next answer to it */
	PHASE_MAIL, /* waits for the reply to MAIL; with PIPELINING the RCPTs are out too */
	PHASE_RCPT, /* waits for the reply to the next RCPT of the transaction */
	PHASE_DATA,
	PHASE_BODY, /* the text goes out; nothing is expected */
	PHASE_DATA_DONE,
	PHASE_LONE_DOT, /* a text for nobody was ended at once: waits for what is said of it */
	PHASE_RSET,
	PHASE_IDLE, /* ended well and kept: whatever comes now was not asked for */
	PHASE_QUIT,
	PHASE_ENDED,
};

enum {
	/* Enough for a pipelined group of 1000 recipients or one stuffed chunk of text. */
	SMTPC_OUTPUT_MAX = 1024 * 1024,
	SMTPC_INPUT_MAX = REPLY_BYTES_MAX,
	RCPTS_MAX_DEFAULT = 100,
};

/* How the text of a transaction goes out. */
enum text_way {
	TEXT_ASKED,     /* DATA when the RCPTs are answered */
	TEXT_DATA_SOON, /* DATA is the last of the group (RFC 2920 s3.1) */
	TEXT_CHUNK,     /* the text itself is, as one chunk (RFC 3030): one round trip for all */
};

struct capabilities {
	bool starttls, pipelining, size, eight_bit, smtputf8, dsn, enhanced, chunking;
	bool auth_plain, auth_login;
	uint64_t size_max; /* 0: no limit declared */
};

struct smtpc {
	struct smtpc_config config;
	enum phase phase;
	enum smtpc_end end;
	struct buf in, out;
	struct capabilities cap;
	bool tls;           /* under TLS now */
	bool starttls_seen; /* was offered in clear */
	bool spoke_smtp;    /* the greeting was good: QUIT makes sense */
	unsigned expected;  /* replies that are still to come for what was written */
	size_t *batch;      /* the transaction: indices of its recipients */
	size_t nbatch;
	size_t answered; /* recipients of the batch whose reply has come */
	enum text_way way;
	bool chunk_open;    /* BDAT is written and text of it is missing */
	bool cautious;      /* the connection has rested: no text before the host has said a word */
	bool chunk_used;    /* by the present message */
	bool chunk_refused; /* as a command that the host does not have */
	size_t accepted;
	size_t
	    told; /* LMTP, after the final dot: recipients of the batch before this are settled */
	uint64_t progress;
	uint64_t body_offset;
	struct dotstuff stuff;
	unsigned auth_given; /* answers to 334 */
	bool final_dot;      /* given to the driver */
	bool taken;          /* the host's last word was that it took a message */
	bool odd;            /* it answered in a way that no sound host does: not to be kept */
	bool further;        /* the message is not the first of this session */
	bool weakened;       /* in clear because of a fault, or before TLS that the host demands */
	bool sated;          /* it takes no further message over this connection */
	unsigned mails;      /* MAIL commands that it took, over the whole connection */
	bool heard;          /* a reply has come since the message began, 421 apart */
	enum smtpc_reached reached;
	uint64_t replies;
	struct enhanced_code enhanced;
	char reply[SMTPC_REPLY_MAX];
};

/* Moves to a phase and, where it starts with a command, writes it. */
void smtpc_enter(struct smtpc *c, enum phase p);
/* Ends the session for this reason; says QUIT first when the peer still listens to SMTP. */
void smtpc_end(struct smtpc *c, enum smtpc_end why);
/* The session has come so far with its message. */
void smtpc_reach(struct smtpc *c, enum smtpc_reached r);
/* Keeps the reply as the one that decided. */
void smtpc_keep_reply(struct smtpc *c, const struct reply *r);

/* One handler per verb: the reply to it has come. */
void smtpc_on_greeting(struct smtpc *c, const struct reply *r);
void smtpc_on_ehlo(struct smtpc *c, const struct reply *r);
void smtpc_on_helo(struct smtpc *c, const struct reply *r);
void smtpc_on_starttls(struct smtpc *c, const struct reply *r);
void smtpc_on_auth(struct smtpc *c, const struct reply *r);
void smtpc_on_mail(struct smtpc *c, const struct reply *r);
void smtpc_on_rcpt(struct smtpc *c, const struct reply *r);
void smtpc_on_data(struct smtpc *c, const struct reply *r);
void smtpc_on_data_done(struct smtpc *c, const struct reply *r);
void smtpc_on_lone_dot(struct smtpc *c, const struct reply *r);
void smtpc_on_rset(struct smtpc *c, const struct reply *r);
void smtpc_on_quit(struct smtpc *c, const struct reply *r);

/* client_auth.c: AUTH, if the session is to have it, else the first transaction. */
void smtpc_after_hello(struct smtpc *c);
/* Our name or password, or their lack, is the reason. */
enum smtpc_end smtpc_auth_refusal(const struct smtpc *c);
/* Does the host refuse for want of a password that is our operator's to give (RFC 4954 s6)? */
bool smtpc_is_our_lack(const struct smtpc *c, const struct reply *r);
/* Overwrites what was written and taken by the driver. */
void smtpc_wipe_output(struct smtpc *c);
/* client_mail.c: starts the next transaction if recipients are pending, else ends the session well.
 */
void smtpc_next_transaction(struct smtpc *c);
/* client_idle.c: the message ended well: keeps the session if that was asked for, else QUIT. */
void smtpc_end_well(struct smtpc *c);
/* client_chunk.c: how the text of this transaction goes. */
enum text_way smtpc_choose_way(const struct smtpc *c);
void smtpc_open_chunk(struct smtpc *c);
void smtpc_feed_chunk(struct smtpc *c, struct slice text);
/* The last RCPT has its reply. */
void smtpc_chunk_is_next(struct smtpc *c);
/* What was said of the text counts for this recipient, for all that were accepted. */
void smtpc_settle_text_of(struct smtpc *c, struct smtpc_rcpt *rcpt, const struct reply *r);
void smtpc_settle_text(struct smtpc *c, const struct reply *r);
void smtpc_on_chunk_done(struct smtpc *c, const struct reply *r);
/* The whole text has left, and no more replies: who had none to RCPT may have the message. */
void smtpc_doubt_unanswered(struct smtpc *c);
/* client_rcpt.c: writes the RCPT commands that may go out now. */
void smtpc_send_rcpts(struct smtpc *c);
/* Settles every recipient in this state with this reply: 2xx sent, 4xx deferred, 5xx rejected. */
void smtpc_settle(struct smtpc *c, enum rcpt_state in, const struct reply *r);
void smtpc_settle_one(struct smtpc_rcpt *rcpt, const struct reply *r);
/* client_starttls.c: a refusal for want of TLS: 530, 5.7.10 (RFC 3207 s4, RFC 5248), or in words */
bool smtpc_demands_tls(const struct smtpc *c, const struct reply *r);
/* client_mail.c: does the host refuse this connection, not the message? */
bool smtpc_is_sated(const struct smtpc *c, const struct reply *r, bool is_mail);
void smtpc_end_sated(struct smtpc *c, const struct reply *r);
/* client_lmtp.c: after the final dot (RFC 2033 s4.2). */
void smtpc_expect_fates(struct smtpc *c);
void smtpc_on_fate(struct smtpc *c, const struct reply *r);
/* Settles the next accepted recipient with this reply; false: there was none. */
bool smtpc_settle_next(struct smtpc *c, const struct reply *r);
/* The extensions of an EHLO reply (client_ehlo.c). */
void capabilities_parse(const struct reply *r, struct capabilities *out);

static inline bool reply_is_ok(const struct reply *r)
{
	return r->code / 100 == 2;
}

static inline bool reply_is_permanent(const struct reply *r)
{
	return r->code / 100 == 5;
}

#endif
