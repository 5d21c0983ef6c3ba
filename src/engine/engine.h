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
#include "log/log.h"
#include "loop/loop.h"
#include "tls/tls.h"

struct engine_config {
	const struct conf *conf;
	struct log *log;         /* may be NULL */
	int64_t verify_offset_s; /* judge certificates as of now plus this */
	bool no_ipv4, no_ipv6;   /* on top of the configuration */
	uint32_t phase_limit_ms; /* upper bound of every SMTP phase; 0: none */
	bool no_dns;             /* no resolver is needed */
};

struct engine {
	const struct conf *conf;
	struct loop *loop;
	struct dns *dns;
	struct tls_client *tls;
	struct log *log;
	struct smtpc_timeouts timeouts;
	uint32_t connect_ms;
	char helo[256];
	struct ipaddr *own_address;
	size_t nown_address;
	bool no_ipv4, no_ipv6;
	uint64_t seed;
};

/* NULL: `error` says what failed and what to do. conf must outlive the engine. */
struct engine *engine_new(const struct engine_config *c, char *error, size_t room);
void engine_free(struct engine **e);

/* What the configuration says about one next hop (A-labels), ready for plan_new(). */
void engine_plan_config(struct engine *e, const char *next_hop, struct plan_config *out);

/* --- Plans --- */

struct planner;
typedef void
planner_cb(void *arg); /* answers came in: look at the plan. Fires until the plan is done */

/* Puts the questions of a plan to the resolver. The plan must outlive the planner. NULL: out of
 * memory. */
struct planner *planner_start(struct engine *e, struct plan *p, planner_cb *cb, void *arg);
void planner_free(struct planner **p); /* pending questions are dropped */

/* --- Sessions --- */

struct session_request {
	struct ipaddr address;
	uint16_t port;
	const struct tls_terms *terms;
	struct smtpc_config smtp;
	enum tls_cert_kind kind;
	bool no_resumption;
	int body_fd; /* text of the message as it goes out (CRLF), read with pread(2); -1: none */
};

struct session;
/* `o` (and the TLS facts in it) is valid during the call only; the session is gone afterwards. */
typedef void session_cb(void *arg, const struct session_outcome *o);

struct session *session_start(struct engine *e, const struct session_request *r, session_cb *cb,
			      void *arg);
void session_free(struct session **s); /* drops the connection without a word; no callback */

/* --- Deliveries --- */

struct delivery_request {
	const char *next_hop;  /* A-labels, lower case; or an address literal without brackets */
	struct ipaddr literal; /* family 0: next_hop is a domain */
	struct smtpc_message *message; /* its recipients are all at this next hop */
	int body_fd;
	const char *id; /* for the log */
};

struct delivery;
typedef void delivery_cb(void *arg,
			 struct attempt *a); /* a: done; valid until the delivery is freed */

/* next_hop, message and body_fd must outlive the delivery. NULL: out of memory. */
struct delivery *delivery_start(struct engine *e, const struct delivery_request *r, delivery_cb *cb,
				void *arg);
void delivery_free(struct delivery **d); /* also after the callback: the results live until then */

#endif
