/* SPDX-License-Identifier: MIT */
/*
 * deliver: one attempt to deliver one message to the recipients of one destination (rules D4, D9,
 * T7, T11, M1).
 *
 * The driver loops on attempt_want(). The attempt tries hosts and addresses in order, delivers to
 * each recipient at most once, and stops at once when a message may have been delivered without our
 * knowing. Not thread-safe.
 */
#ifndef DELIVER_ATTEMPT_H
#define DELIVER_ATTEMPT_H

#include "deliver/plan.h"
#include "deliver/trouble.h"

enum { ATTEMPT_ADDRESSES_DEFAULT = 8 };

struct attempt_config {
	struct plan_config plan;
	const char *helo;
	const struct smtpc_timeouts *timeouts;
	/* Submission (S1, S2): TLS before the greeting; credentials, which no host gets that is not
	 * authenticated. NULL: none. */
	bool implicit_tls;
	const struct smtpc_auth *auth;
	bool relayed; /* from a queue: what a host says of our credentials delays, see client.h */
	size_t rcpts_max;     /* per transaction; 0: default */
	size_t addresses_max; /* addresses tried at most, over all hosts; 0: default; 256 at most */
	/* Time to find a host that is ready for the mail, over all of them: what is silent takes no
	 * more of it, however many addresses it has. The rest waits for the next attempt. 0: no
	 * limit. */
	uint32_t opening_ms;
	/* must outlive the attempt; its recipients' states are the machine's */
	struct smtpc_message *message;
};

enum attempt_status { ATTEMPT_PENDING, ATTEMPT_SENT, ATTEMPT_DEFERRED, ATTEMPT_FAILED };
const char *attempt_status_name(enum attempt_status s); /* "sent", "deferred", "failed" */

/* One host skipped, or one connection made or refused. In order; lives as long as the attempt. */
struct attempt_try {
	const char *host;
	const char *address; /* or the path of a Unix socket; NULL: the host was skipped */
	uint16_t port;
	const struct plan_host *planned; /* what was known of the host; never NULL */
	enum host_policy policy;
	bool clear_fallback; /* the second, clear session after a failed handshake (T11) */
	bool reused;         /* over the connection of an earlier message (T9) */
	enum reason reason;
	const char *detail;            /* "" if nothing to add */
	const char *reply;             /* "" if none */
	struct enhanced_code enhanced; /* of that reply; class 0: none */
	const struct tls_facts *tls;   /* NULL: no TLS */
};

struct attempt_rcpt {
	enum attempt_status status;
	enum reason reason;
	char code[CODE_TEXT_MAX];
	int decided_by;    /* index of the try that decided, -1: none (the MX lookup did) */
	const char *reply; /* the host's words to this recipient, "" if none */
	bool dsn_passed;   /* SENT: that host knows DSN and will report itself (RFC 3461 s5.2.2) */
};

/* What the driver has to do. */
enum attempt_want {
	/* put the questions of attempt_plan() to the resolver, hand in answers */
	ATTEMPT_WANT_ANSWERS,
	/* run the session that attempt_session() describes to its end: attempt_session_ended() */
	ATTEMPT_WANT_SESSION,
	/* read the recipients' results and the tries */
	ATTEMPT_DONE,
};

struct attempt_session {
	const struct plan_host *host;
	const char *socket; /* not NULL: this Unix socket, no address */
	struct ipaddr address;
	uint16_t port;
	const struct tls_terms *terms;
	uint32_t opening_ms; /* for the session at most; 0: no limit */
	struct smtpc_config smtp;
};

struct attempt;

struct attempt *attempt_new(const struct attempt_config *c); /* NULL: out of memory */
void attempt_free(struct attempt **a);

struct plan *attempt_plan(struct attempt *a);
enum attempt_want attempt_want(struct attempt *a); /* moves on as far as it can */
void attempt_session(const struct attempt *a, struct attempt_session *out);
void attempt_session_ended(struct attempt *a, const struct session_outcome *o);
/* The driver cannot go on (out of memory, shutdown): everybody who is pending is deferred. */
void attempt_abort(struct attempt *a, const char *why);

/* The furthest that any of its sessions came: did the destination show that it works? */
enum smtpc_reached attempt_phase(const struct attempt *a);
/* Of its last session: the host had no word for the message (trouble.h). */
bool attempt_unwilling(const struct attempt *a);
/* As in session_outcome, of the last session that had a reply; -1: none had. */
int32_t attempt_reply_ms(const struct attempt *a);

size_t attempt_ntries(const struct attempt *a);
/* Until attempt_want() is called again. */
const struct attempt_try *attempt_try(const struct attempt *a, size_t i);
/* i: the index in the message. */
const struct attempt_rcpt *attempt_rcpt(const struct attempt *a, size_t i);

#endif
