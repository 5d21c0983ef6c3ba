/* SPDX-License-Identifier: MIT */
/*
 * dsn: delivery status notifications: who is told what, and the text that tells it.
 * (RFC 3461 NOTIFY, RET; RFC 3464 the fields; RFC 6522 multipart/report; RFC 6533 with UTF-8.)
 *
 * Pure: dates, Message-ID and boundary come from the caller. Strings are borrowed for the call only
 * (for the writer: until dsn_end()). Whatever text of other hosts comes in (replies, details,
 * addresses, the original), what goes out is CRLF lines of at most DSN_LINE_MAX octets without NUL
 * or bare CR or LF, with the given boundary nowhere but between parts, and 7 bits wide unless
 * `utf8`. Control characters and what is no valid UTF-8 become '?'.
 * The notification itself goes out with the null reverse-path and NOTIFY=NEVER or none (RFC 3461
 * s6.1).
 */
#ifndef DSN_DSN_H
#define DSN_DSN_H

#include "base/buf.h"
#include "dane/outcome.h"

enum {
	DSN_LINE_MAX = 998,    /* octets without CRLF (RFC 5322 s2.1.1) */
	DSN_LINE_SOFT = 78,    /* where we fold if there is a blank */
	DSN_BOUNDARY_MAX = 70, /* RFC 2046 s5.1.1 */
	DSN_EVIDENCE_MAX = 16, /* records and certificates listed of one host: stops long bounces */
};

/* --- who is told ------------------------------------------------------------------------------ */

/* RFC 3461 s4.1. No bit: the parameter was not given. */
enum {
	DSN_NOTIFY_SUCCESS = 1,
	DSN_NOTIFY_FAILURE = 2,
	DSN_NOTIFY_DELAY = 4,
	DSN_NOTIFY_NEVER = 8,
};
/* "NEVER", or a list of the others, any case, each at most once. False: not that; *out is 0. */
bool dsn_notify_parse(struct slice text, unsigned *out);

enum dsn_event {
	DSN_EVENT_NOTHING, /* still trying, no warning is due */
	DSN_EVENT_SENT,    /* the next host took it */
	DSN_EVENT_DELAYED, /* still trying, and the warning time came */
	DSN_EVENT_FAILED,  /* for good, or the lifetime ended */
};

struct dsn_facts {
	enum dsn_event event;
	unsigned notify;     /* DSN_NOTIFY_* of this recipient */
	bool null_sender;    /* the reverse-path is <> */
	bool next_knows_dsn; /* SENT: that host offers DSN and got NOTIFY: it will report */
	bool warned;         /* DELAYED: was told before */
};

enum dsn_action { DSN_NONE, DSN_RELAYED, DSN_DELAYED, DSN_FAILED };
enum dsn_action dsn_decide(const struct dsn_facts *f);
const char *dsn_action_name(enum dsn_action a); /* RFC 3464 s2.3.3: "failed"; "" for DSN_NONE */

/* --- what is told ----------------------------------------------------------------------------- */

struct dsn_rcpt {
	enum dsn_action action; /* DSN_NONE: left out */
	const char *address;    /* as in RCPT TO, without <> */
	const char *orcpt_type; /* ORCPT: address type, NULL: rfc822 */
	const char *orcpt;      /* ORCPT: the address, xtext decoded; NULL: none was given */
	enum reason reason;
	const char *code;         /* enhanced status code of the last attempt */
	bool expired;             /* FAILED: not for good, the lifetime ended */
	const char *host;         /* MX host that decided; NULL: none */
	const char *address_text; /* its IP address; NULL: not known */
	const char *reply;        /* the host's words on one line; NULL or "": none */
	const char *detail;       /* further words; NULL or "": none */
	const char *last_attempt; /* RFC 5322 date; NULL: none */
	const char *const *tlsa;  /* records seen, "3 1 1 hex" */
	size_t ntlsa;
	const char *const *cert; /* served: subject and fingerprints on one line each, leaf first */
	size_t ncert;
};

enum dsn_ret { DSN_RET_NOT_GIVEN, DSN_RET_FULL, DSN_RET_HDRS }; /* RFC 3461 s4.3 */

struct dsn_message {
	const char *reporting_mta;                /* our host name */
	const char *from;                         /* address of our mail system, without <> */
	const char *to;                           /* the reverse-path, without <>; never "" */
	const char *date, *message_id, *boundary; /* message_id with <> */
	const char *queue_id;                     /* NULL: left out */
	const char *envid;                        /* xtext decoded; NULL: none was given */
	const char *arrival_date;                 /* NULL: left out */
	const char *retry_until;                  /* DELAYED: RFC 5322 date; NULL: left out */
	bool utf8; /* the original came with SMTPUTF8: the sender can read UTF-8 */
	enum dsn_ret ret;
	bool eight_bit;         /* the original has octets above 0x7f */
	uint64_t original_size; /* octets */
	uint64_t full_max;      /* a longer original comes back as headers only */
	const struct dsn_rcpt *rcpt;
	size_t nrcpt;
};

/* Does the whole text come back (true) or the header section only? Whole only for a failure, when
 * RET=FULL asks for it, it is not longer than full_max and a 7-bit notification can hold it. */
bool dsn_returns_text(const struct dsn_message *m);

/* Streams the third part. Fields are private. */
struct dsn_writer {
	char guard[DSN_BOUNDARY_MAX + 3]; /* "--" and the boundary */
	size_t guard_len, matched;
	size_t column;
	bool utf8, whole, cr, in_header, done;
};

/* Everything up to where the original begins. False: the message cannot be told (no recipient, a
 * null reverse-path or one that does not fit the width, a boundary that is none); nothing was
 * added. `out` may still fail: buf_ok().
 */
bool dsn_begin(struct dsn_writer *w, const struct dsn_message *m, struct buf *out);
/* The next octets of the original, in pieces of any size. Empty the buffer between the calls; at
 * most 4 * part.n + DSN_BOUNDARY_MAX + 8 octets are added. False: no more is needed. */
bool dsn_add_original(struct dsn_writer *w, struct slice part, struct buf *out);
void dsn_end(struct dsn_writer *w, struct buf *out);

#endif
