/* SPDX-License-Identifier: MIT */
/*
 * engine: real attempts over real sockets: joins the machines of src/deliver with the loop, the
 * resolver and TLS.
 *
 * One engine per process. Everything is asynchronous: callbacks come from the loop, exactly once
 * per request unless the request is freed before. Not thread-safe.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "conf/conf.h"
#include "deliver/attempt.h"
#include "dns/dns.h"
#include "engine/credentials.h"
#include "engine/no_chunks.h"
#include "engine/pool.h"
#include "log/log.h"
#include "loop/loop.h"
#include "tls/tls.h"

/*
 * Who answers DNS questions: this process's own resolver, or another process. ask() returns a
 * handle, NULL when out of memory; the callback comes from the loop exactly once unless cancel()
 * was called.
 */
struct engine_resolver {
	void *self;
	void *(*ask)(void *self, const char *name, uint16_t type, dns_cb *cb, void *arg);
	void (*cancel)(void *self, void *query);
};

/*
 * Who connects to the Unix socket of a route for a process that may make none (S1). The callback
 * comes from the loop exactly once unless cancel() was called: a connected descriptor, now the
 * callback's, or -1 and an errno. ask() returns a handle, NULL: it cannot be asked.
 */
typedef void engine_reached_cb(void *arg, int fd, int errnum);
struct engine_reach {
	void *self;
	void *(*ask)(void *self, const char *path, engine_reached_cb *cb, void *arg);
	void (*cancel)(void *self, void *asked);
};

struct engine_config {
	const struct conf *conf;
	struct log *log;                        /* may be NULL */
	int64_t verify_offset_s;                /* judge certificates as of now plus this */
	bool no_ipv4, no_ipv6;                  /* on top of the configuration */
	uint32_t phase_limit_ms;                /* upper bound of every SMTP phase; 0: none */
	const struct engine_resolver *resolver; /* NULL: one of our own, from the configuration */
	const struct engine_reach *reach;       /* NULL: sessions connect themselves */
	struct loop *loop;                      /* NULL: one of our own */
	/* T9: how long a session that went well waits for another message to the same address on
	 * equal terms; 0: QUIT at once */
	uint32_t keep_ms;
	const struct credentials *credentials; /* for routes; NULL: none */
	/* Of a process that hands on what the relay took in: D4, see struct plan_config. Beside
	 * smtp.own-addresses, these are this machine; copied. */
	bool relaying;
	const struct ipaddr *own_address;
	size_t nown_address;
	/* This process will not be able to open files: what routes need is read now. */
	bool sealed;
};

struct engine {
	const struct conf *conf;
	struct loop *loop;
	bool own_loop;
	struct dns *dns; /* NULL when another process resolves */
	struct engine_resolver resolver;
	struct engine_reach reach; /* .ask NULL: none */
	struct tls_client *tls;
	struct log *log;
	struct smtpc_timeouts timeouts;
	uint32_t connect_ms, opening_ms;
	char helo[256];
	bool helo_from_dns; /* not ours for certain: nothing may bounce because of it */
	struct ipaddr *own_address;
	size_t nown_address;
	bool relaying;
	bool no_ipv4, no_ipv6;
	uint32_t keep_ms;
	const struct credentials *credentials;
	struct pool pool;
	struct no_chunks no_chunks;
	uint64_t seed;
};

/* NULL: `error` says what failed and what to do. conf must outlive the engine. */
struct engine *engine_new(const struct engine_config *c, char *error, size_t room);
void engine_free(struct engine **e);

/* What the configuration says about the resolver, ready for dns_new(). */
void engine_dns_config(const struct conf *c, struct dns_config *out);
/* Says so loudly when dns.unbound has what may change what is true. False: it has not. */
bool engine_warn_of_unsafe_dns(const struct conf *c, struct log *log);
/* What the configuration says about one destination in normal form, ready for plan_new(). `address`
 * gets the text of a literal and must live as long as the plan. */
void engine_plan_config(struct engine *e, const char *destination,
			char address[static IPADDR_TEXT_MAX], struct plan_config *out);

/* --- Plans --- */

struct planner;
typedef void
planner_cb(void *arg); /* answers came in: look at the plan. Fires until the plan is done */

/* Puts the questions of a plan to the resolver. The plan must outlive the planner. NULL: out of
 * memory. */
struct planner *planner_start(struct engine *e, struct plan *p, planner_cb *cb, void *arg);
void planner_free(struct planner **p); /* pending questions are dropped */

/* --- Sessions --- */

/* The text of a message as it goes out (CRLF line ends), somebody else's: in memory, or a file read
 * with pread(2). */
struct body {
	struct slice bytes; /* p not NULL: this */
	int fd;             /* else this; -1: none */
};

struct session_request {
	const char *socket; /* not NULL: this Unix socket, no address; lives as long as terms */
	struct ipaddr address;
	uint16_t port;
	const struct tls_terms *terms;
	struct smtpc_config smtp;
	enum tls_cert_kind kind;
	bool no_resumption;  /* nor a connection that another session left */
	bool keep_der;       /* the TLS facts have the certificates themselves */
	uint32_t opening_ms; /* until the mail may begin, at most; 0: no limit */
	/* The message was tried before, and whatever stopped it may have been our BDAT: its text
	 * goes with DATA. What no_chunks.h remembers is one process's, and ends before a long wait
	 * does. */
	bool again;
	struct body body;
	/* NULL, or called when the final dot or a chunk that is the whole text is next: it goes
	 * when session_finish_text() is called.
	 * Of a small text nothing went out yet, it goes along. So somebody can record first that
	 * the message may have been delivered. */
	void (*before_dot)(void *arg);
	void *before_dot_arg;
	/* NULL, or called just before the end is told: what the server sent in the handshake, the
	 * callback's to free; not called without a chain. */
	void (*on_chain)(void *arg, struct tls_chain *c);
	void *on_chain_arg;
};

struct session;
/* `o` (and the TLS facts in it) is valid during the call only; the session is gone afterwards. */
typedef void session_cb(void *arg, const struct session_outcome *o);

/*
 * Over a connection that waits on equal terms (T9), else over a new one. When the host had given
 * the old one up before it said a word about this message, a new one is made and nobody is told.
 * r->terms and what they point to must live until the callback. NULL: out of memory.
 */
struct session *session_start(struct engine *e, const struct session_request *r, session_cb *cb,
			      void *arg);
void session_free(struct session **s); /* drops the connection without a word; no callback */
void session_finish_text(
    struct session *s,
    bool go); /* after before_dot; false: the attempt ends here, nothing is sent */

/* --- Deliveries --- */

/* A submission server instead of the destination's own hosts (S1, S2). */
struct submission {
	const char *host; /* A-labels, lower case */
	uint16_t port;    /* 465: TLS from the start; else STARTTLS */
	/* Look for MX and TLSA records of `host`: then mandatory DANE; else HOST_PKIX for `host`.
	 */
	bool mx;
	const struct smtpc_auth *auth; /* NULL: none */
};

struct delivery_request {
	const char *next_hop;          /* a destination in normal form (wire/destination.h) */
	struct smtpc_message *message; /* its recipients are all at this next hop */
	struct body body;
	const char *id;                      /* for the log */
	const struct dane_policy *policy;    /* NULL: the configuration's for this next hop */
	bool no_mx;                          /* next_hop is the host itself (D11) */
	bool again;                          /* as in session_request */
	const struct submission *submission; /* NULL: none; then next_hop is for the log only */
	/* NULL, or called when a session with a host begins; it must not end the delivery. */
	void (*on_host)(void *arg, const struct plan *plan, const struct plan_host *host);
	void (*before_dot)(
	    void *arg); /* as in session_request; answer with delivery_finish_text() */
};

struct delivery;
typedef void delivery_cb(void *arg,
			 struct attempt *a); /* a: done; valid until the delivery is freed */

/* next_hop, message, body and policy must outlive the delivery. NULL: out of memory. */
struct delivery *delivery_start(struct engine *e, const struct delivery_request *r, delivery_cb *cb,
				void *arg);
void delivery_finish_text(struct delivery *d, bool go);
void delivery_free(struct delivery **d); /* also after the callback: the results live until then */

#endif
