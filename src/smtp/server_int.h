/* SPDX-License-Identifier: MIT */
/*
 * Inside of the server machine: its states and what the files of each verb share. Only
 * src/smtp/server*.c include this.
 *
 * A session is a walk through enum phase. Each phase that reads has one function in the step table
 * (server.c), which takes one line or one piece of text. A verb's function reads its arguments and
 * either answers with smtps_reply() or asks the driver with smtps_ask(); the answer comes to the
 * smtps_on_ function of the question. No function but the driver's side touches `in`: arguments are
 * slices of it.
 */
#ifndef SMTP_SERVER_INT_H
#define SMTP_SERVER_INT_H

#include "base/arena.h"
#include "smtp/server.h"
#include "wire/cmdline.h"

enum phase {
	PHASE_GREETING, /* the decision about the connection is out */
	PHASE_COMMAND,
	PHASE_AUTH, /* waits for a line of the exchange (RFC 4954 s4) */
	PHASE_HANDSHAKE,
	PHASE_TEXT,  /* behind 354 */
	PHASE_CHUNK, /* behind a BDAT command */
	PHASE_ENDED,
};

enum {
	/* RFC 5321 s4.5.3.1.4 asks for 512 and every extension adds to it. A longer line is a
	 * flood or another protocol. */
	SMTPS_LINE_MAX = 2048,
	/* AUTH and its answers: a token may be long (RFC 4954 s4.3). */
	SMTPS_AUTH_LINE_MAX = 8192,
	/* What the driver may have given and nobody has looked at yet. */
	SMTPS_INPUT_MAX = 2 * SMTPS_RECV_MAX,
	/* Replies to one read full of pipelined commands. A client that does not read is not read
	 * from: the driver flushes first. */
	SMTPS_OUTPUT_MAX = 1024 * 1024,
	/* Text that waits for the driver: a slow disk stops the client and not the memory. */
	SMTPS_TEXT_MAX = 128 * 1024,
	/* Refused text of one session that is read on and thrown away, so that the client hears its
	 * reply where it listens for it. More is a flood. */
	SMTPS_SWALLOW_MAX = 64 * 1024 * 1024,
	HELO_MAX = 255,
	ENVID_MAX = 100, /* octets as written, RFC 3461 s4.4 */
	AUTH_USER_MAX = 255,
	AUTH_PASSWORD_MAX = 1024,
	/* Envelope: one recipient with its parameters and what the arena rounds up. */
	ENVELOPE_RCPT_MAX = 1024,
	ENVELOPE_BASE = 65536,
	/* RCPT commands of one transaction beyond rcpts_max that are only told "too many": a list
	 * server says all of them. More are junk, as everything else is. */
	RCPT_OVERSHOOT = 1000,
	/* Chunks below this are crumbs, and junk. */
	CHUNK_PROPER_MIN = 512,
};

/* Where the scanner of the text stands; the states of the grammar in server_text.c. */
enum text_state {
	TEXT_LINE_START,
	TEXT_IN_LINE,
	TEXT_CR,
	TEXT_DOT,    /* "." at the start of a line */
	TEXT_DOT_CR, /* and CR */
};

enum text_status {
	TEXT_MORE, /* all was read */
	TEXT_FULL, /* the driver has to take text first */
	TEXT_END,  /* CRLF.CRLF */
	TEXT_BAD,  /* a bare CR, a bare LF, NUL */
};

enum auth_step {
	AUTH_PLAIN,
	AUTH_LOGIN_USER,
	AUTH_LOGIN_PASSWORD,
};

/* A reply that is written before its time has come. */
struct refusal {
	uint16_t code;
	const char *text;
};

struct smtps {
	struct smtps_config config;
	enum phase phase;
	enum smtps_end end;
	struct buf in, out, text;
	bool asked; /* a decision is out: this one */
	enum smtps_question question;
	bool full;     /* the text has to be drained */
	bool refused;  /* by the greeting: nothing but QUIT (RFC 5321 s3.1) */
	bool stopping; /* smtps_shutdown() */
	bool tls;
	/* Early talkers: the reply to the last command has to be out before another byte comes. */
	bool sync;
	uint64_t written;   /* octets of output so far */
	uint64_t sync_mark; /* of them before that reply */
	uint64_t progress;
	uint32_t errors;
	uint32_t junk;           /* commands that count since the last message was taken */
	uint32_t rcpt_commands;  /* of this transaction */
	uint64_t text_octets;    /* read, of all texts */
	char helo[HELO_MAX + 1]; /* "": none yet */
	bool esmtp;
	/* The transaction */
	bool mail; /* MAIL was accepted */
	struct arena arena;
	struct smtps_envelope envelope;
	struct smtps_rcpt *rcpt;
	size_t rcpt_room;
	bool rcpt_tried; /* with whatever result */
	/* What a question is about that is not in the transaction yet */
	struct arena scratch;
	struct smtps_rcpt pending;
	const char *vrfy;
	/* Its text */
	enum text_state state;
	bool dots;               /* DATA: dots are doubled, and one ends it */
	uint64_t octets;         /* of the message so far */
	bool too_big;            /* or there is no room: not wanted, */
	struct refusal unwanted; /* and this is why */
	uint64_t swallowed;      /* in the whole session */
	/* BDAT */
	bool chunking;     /* a chunk was accepted */
	bool chunk_failed; /* until RSET or LAST */
	bool chunk_last;
	uint64_t chunk_size, chunk_left;
	struct refusal chunk_refusal; /* code 0: the chunk is wanted */
	/* AUTH */
	bool authenticated;
	enum auth_step auth_step;
	char user[AUTH_USER_MAX + 1];
	char password[AUTH_PASSWORD_MAX + 1];
};

/* ---- server.c ---- */

/* One reply line. Counts refusals, and ends the session after too many. */
void smtps_reply(struct smtps *s, uint16_t code, const char *text);
/* The same without counting. */
void smtps_say(struct smtps *s, uint16_t code, const char *text);
/* Octets of a reply of several lines; the caller cares for its form. */
void smtps_write(struct smtps *s, const char *octets);
void smtps_ask(struct smtps *s, enum smtps_question q);
/* Ends the session; what is in the output may still be written. */
void smtps_finish(struct smtps *s, enum smtps_end why);
/* 554 and the end: a bare CR, a bare LF, NUL. */
void smtps_finish_smuggling(struct smtps *s);
/* The reply is awaited before the next byte may come; called before it is written. */
void smtps_expect_silence(struct smtps *s);
/* Forgets the transaction and its text. */
void smtps_reset_transaction(struct smtps *s);

static inline bool smtps_is_yes(uint16_t code)
{
	return code / 100 == 2 || code / 100 == 3;
}

/* Goes on with what is in the input, as far as it may. */
void smtps_pump(struct smtps *s);

/* ---- server_command.c ---- */
void smtps_command(struct smtps *s, const struct cmdline *c);
/* The command that is being done was no junk. */
void smtps_not_junk(struct smtps *s);

/* ---- server_decide.c ---- */

/* The last of the text has to be with the driver before it says that it is durable. */
bool smtps_text_waits(const struct smtps *s);

/* ---- one function per verb: the arguments without blanks around them ---- */
void smtps_ehlo(struct smtps *s, struct slice args);
void smtps_helo(struct smtps *s, struct slice args);
void smtps_mail(struct smtps *s, struct slice args);
void smtps_rcpt_to(struct smtps *s, struct slice args);
void smtps_data(struct smtps *s, struct slice args);
void smtps_bdat(struct smtps *s, struct slice args);
void smtps_rset(struct smtps *s, struct slice args);
void smtps_noop(struct smtps *s, struct slice args);
void smtps_quit(struct smtps *s, struct slice args);
void smtps_help(struct smtps *s, struct slice args);
void smtps_vrfy_string(struct smtps *s, struct slice args);
void smtps_not_here(struct smtps *s, struct slice args); /* known and not implemented */
void smtps_stray(struct smtps *s, struct slice args);    /* another protocol's command */
void smtps_starttls(struct smtps *s, struct slice args);
void smtps_auth(struct smtps *s, struct slice args);

/* ---- one function per question: the driver's answer; `code` is of class 2 to 5 ---- */
void smtps_on_mail(struct smtps *s, uint16_t code, const char *text);
void smtps_on_rcpt(struct smtps *s, uint16_t code, const char *text);
void smtps_on_text(struct smtps *s, uint16_t code, const char *text);
void smtps_on_message(struct smtps *s, uint16_t code, const char *text);
void smtps_on_vrfy(struct smtps *s, uint16_t code, const char *text);
void smtps_on_auth(struct smtps *s, uint16_t code, const char *text);

/* ---- server_auth.c ---- */
void smtps_auth_line(struct smtps *s, struct slice line);
void smtps_wipe_password(struct smtps *s);

/* ---- server_bdat.c ---- */

/* A BDAT that may not be: its chunk is read on and thrown away, and then refused. */
void smtps_refuse_chunk(struct smtps *s, struct slice args, struct refusal r);
/* The first chunk of a text: answered by the driver. */
void smtps_on_first_chunk(struct smtps *s, uint16_t code, const char *text);
/* Reads what there is of the chunk: octets used; sets `full` when it cannot go on. */
size_t smtps_chunk_feed(struct smtps *s, struct slice in);
/* The whole chunk is there. False: the text has to be drained first. */
bool smtps_chunk_done(struct smtps *s);

/* ---- server_data.c ---- */
void smtps_text_done(struct smtps *s); /* the whole text is there */

/* ---- server_text.c ---- */
void smtps_text_begin(struct smtps *s, bool dots);
/* Text into smtps_text(), dots removed. *used: octets of `in` that were read. */
enum text_status smtps_text_feed(struct smtps *s, struct slice in, size_t *used);
/* The text of BDAT ends here: TEXT_MORE: it does; TEXT_FULL, TEXT_BAD. */
enum text_status smtps_text_end(struct smtps *s);
/* Counts octets that are thrown away; false when it was too much. */
bool smtps_swallow(struct smtps *s, uint64_t n);

#endif
