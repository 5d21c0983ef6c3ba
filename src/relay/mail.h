/* SPDX-License-Identifier: MIT */
/*
 * relay: the payloads of the messages that carry mail, and their codecs. Decoded strings live in
 * the caller's arena, slices in the payload. A decoder returns false for anything that is not
 * exactly one payload; the caller then cuts the peer off.
 */
#ifndef RELAY_MAIL_H
#define RELAY_MAIL_H

#include "base/arena.h"
#include "base/cursor.h"
#include "dane/outcome.h"
#include "relay/channel.h"

enum {
	MAIL_INLINE_MAX = 65536,   /* larger texts travel as descriptors */
	MAIL_RESULT_MAX = 8388608, /* as in messages.tbl */
	MAIL_RCPTS_MAX = 5000,     /* bounds what a broken peer can make us allocate */
	MAIL_TRIES_MAX = 600,
	SPOOL_FILES_MAX = 256, /* on disk, of one intake, with a text or without */
	MAIL_LEVEL_NONE = 255,
	MAIL_KEEP_MS = 5000, /* a courier's connection waits so long for the next message (T9) */
};

struct mail_rcpt {
	uint32_t n; /* JOB, RESULT: its number within the delivery */
	const char *address, *orcpt, *notify;
};

struct mail {
	const char *queue_id;
	int64_t arrived;
	const char *reverse_path, *envid, *ret, *origin;
	uint64_t origin_key; /* wire/origin.h: whose turns and limits it counts to */
	uint64_t size;
	bool eight_bit, smtputf8;
	struct mail_rcpt *rcpt;
	size_t nrcpt;
	struct slice text; /* empty when the message has a descriptor */
};

struct submit {
	uint64_t token; /* the intake's, to match the answer */
	struct mail mail;
	bool again; /* a keeper that is gone may have committed it already */
};

struct submitted {
	uint64_t token;
	uint16_t code;
	const char *text;
};

struct job {
	uint64_t delivery, take; /* take: which handing over of it (store.h) */
	const char *next_hop;
	uint8_t level;       /* enum dane_level by an operator's override, or MAIL_LEVEL_NONE */
	const char *pattern; /* of that override; NULL without one */
	struct mail mail;
	bool again; /* it was tried before */
};

struct result_try {
	const char *host, *address, *policy, *reason, *code, *detail, *tls;
	struct slice audit; /* its record (src/audit), as yet without continuity; empty: none */
};

struct result_rcpt {
	uint32_t n;
	uint8_t status; /* enum attempt_status */
	uint16_t reason;
	const char *code, *reply, *host;
	bool dsn_passed; /* sent: that host reports success itself (RFC 3461 s5.2.2) */
};

struct result {
	uint64_t delivery, take;
	uint16_t reason;  /* of the attempt as a whole */
	bool unknown;     /* the final dot went out, no reply came */
	uint8_t reach;    /* enum smtpc_reached: the furthest of the tries */
	bool unwilling;   /* the last host had no word for the message: 421, or no greeting */
	int32_t reply_ms; /* it took for a reply on average; -1: it gave none */
	struct result_try *tries;
	size_t ntries;
	struct result_rcpt *rcpt;
	size_t nrcpt;
};

struct question {
	uint64_t id;
	uint16_t type;
	const char *name;
};

struct answered {
	uint64_t id;
	uint8_t security; /* enum answer_security */
	uint16_t rcode;
	const char *why;
	struct slice packet;
};

void submit_put(struct buf *b, const struct submit *s);
bool submit_get(struct slice payload, struct arena *mem, struct submit *out);
void submitted_put(struct buf *b, const struct submitted *s);
bool submitted_get(struct slice payload, struct arena *mem, struct submitted *out);
void job_put(struct buf *b, const struct job *j);
bool job_get(struct slice payload, struct arena *mem, struct job *out);
void result_put(struct buf *b, const struct result *r);
bool result_get(struct slice payload, struct arena *mem, struct result *out);
void question_put(struct buf *b, const struct question *q);
bool question_get(struct slice payload, struct arena *mem, struct question *out);
void answered_put(struct buf *b, const struct answered *a);
bool answered_get(struct slice payload, struct arena *mem, struct answered *out);

#endif
