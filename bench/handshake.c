/* SPDX-License-Identifier: MIT */
/*
 * bench-handshake CONF DOMAIN SESSIONS ROUNDS: what a session to the first MX host of a domain
 * costs through the engine and through OpenSSL alone (bare_tls.c), to the same address, in turn.
 *
 * A round is every kind once, SESSIONS times each; each round starts with another kind. Every
 * session of the engine has its own plan, made from the warm cache, and must end authenticated.
 */
#include "bare_tls.h"
#include "engine/engine.h"
#include "sample.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 8, AT_ONCE = 16 };

enum kind {
	KIND_ENGINE,       /* plan and session */
	KIND_ENGINE_MANY,  /* AT_ONCE at the same time */
	KIND_ENGINE_CLEAR, /* plan and session without STARTTLS */
	KIND_PLAN,         /* plan alone */
	KIND_BARE,
	KIND_BARE_AHEAD,
	KIND_BARE_DANE,
	KIND_BARE_CLEAR,
	KINDS,
};

static const char *const kind_names[KINDS] = {
    [KIND_ENGINE] = "engine",
    [KIND_ENGINE_MANY] = "engine-many",
    [KIND_ENGINE_CLEAR] = "engine-clear",
    [KIND_PLAN] = "plan",
    [KIND_BARE] = "bare",
    [KIND_BARE_AHEAD] = "bare-ahead",
    [KIND_BARE_DANE] = "bare-dane",
    [KIND_BARE_CLEAR] = "bare-clear",
};

struct bench {
	struct conf *conf;
	struct engine *engine;
	const char *domain;
	struct ipaddr address;
	uint16_t port;
	struct bare *bare;
	struct bare_target target;
	struct bare_record record[RECORDS_MAX];
	/* the batch that runs */
	enum kind kind;
	size_t to_start, running;
	bool failed;
};

struct job {
	struct bench *bench;
	struct plan *plan;
	struct planner *planner;
};

/* --- The engine --- */

static bool start_job(struct bench *b);

static void end_job(struct job *j, bool ok)
{
	struct bench *b = j->bench;
	planner_free(&j->planner);
	plan_free(&j->plan);
	free(j);
	b->running--;
	b->failed = b->failed || !ok;
	if (b->to_start > 0 && !b->failed && !start_job(b))
		b->failed = true;
	if (b->running == 0 || b->failed)
		loop_stop(b->engine->loop);
}

static void on_session(void *arg, const struct session_outcome *o)
{
	struct job *j = arg;
	bool clear = j->bench->kind == KIND_ENGINE_CLEAR;
	bool ok = o->reason == REASON_OK && (clear || (o->tls != NULL && o->tls->authenticated &&
						       !o->tls->resumed && o->tls->nchain > 0));
	if (!ok)
		fprintf(stderr, "bench-handshake: %s %s\n", reason_name(o->reason), o->detail);
	end_job(j, ok);
}

static void on_plan(void *arg)
{
	struct job *j = arg;
	struct bench *b = j->bench;
	if (!plan_done(j->plan))
		return;
	planner_free(&j->planner);
	const struct plan_host *h = plan_nhosts(j->plan) > 0 ? plan_host(j->plan, 0) : NULL;
	bool planned = h != NULL && h->verdict.policy == HOST_DANE && h->naddress > 0;
	if (b->kind == KIND_PLAN || !planned) {
		if (!planned)
			fprintf(stderr, "bench-handshake: no DANE policy for %s\n", b->domain);
		end_job(j, planned);
		return;
	}
	bool clear = b->kind == KIND_ENGINE_CLEAR;
	struct session_request q = {
	    .address = b->address,
	    .port = b->port,
	    .terms = &h->terms,
	    .smtp = {.helo = b->engine->helo,
		     .tls = clear ? SMTPC_TLS_NONE : SMTPC_TLS_MUST,
		     .timeouts = &b->engine->timeouts},
	    .no_resumption = true,
	    .body = {.fd = -1},
	};
	if (session_start(b->engine, &q, on_session, j) == NULL)
		end_job(j, false);
}

static bool start_job(struct bench *b)
{
	struct job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return false;
	char address[IPADDR_TEXT_MAX];
	struct plan_config c;
	engine_plan_config(b->engine, b->domain, address, &c);
	j->bench = b;
	j->plan = plan_new(&c);
	j->planner = j->plan != NULL ? planner_start(b->engine, j->plan, on_plan, j) : NULL;
	if (j->planner == NULL) {
		plan_free(&j->plan);
		free(j);
		return false;
	}
	b->to_start--;
	b->running++;
	return true;
}

static bool run_engine(struct bench *b, size_t n)
{
	size_t width = b->kind == KIND_ENGINE_MANY ? AT_ONCE : 1;
	b->to_start = n;
	while (b->to_start > 0 && b->running < width) {
		if (!start_job(b))
			return false;
	}
	loop_run(b->engine->loop);
	return !b->failed;
}

/* --- The peer --- */

static bool run_bare(struct bench *b, size_t n, enum bare_mode mode)
{
	for (size_t i = 0; i < n; i++) {
		if (!bare_session(b->bare, &b->target, mode))
			return false;
	}
	return true;
}

static bool run_kind(struct bench *b, enum kind kind, size_t n)
{
	b->kind = kind;
	switch (kind) {
	case KIND_ENGINE:
	case KIND_ENGINE_MANY:
	case KIND_ENGINE_CLEAR:
	case KIND_PLAN:
		return run_engine(b, n);
	case KIND_BARE:
		return run_bare(b, n, BARE_TLS);
	case KIND_BARE_AHEAD:
		return run_bare(b, n, BARE_AHEAD);
	case KIND_BARE_DANE:
		return run_bare(b, n, BARE_DANE);
	case KIND_BARE_CLEAR:
		return run_bare(b, n, BARE_CLEAR);
	case KINDS:
		break;
	}
	return false;
}

/* --- Where to --- */

static void set_address(struct bench *b)
{
	if (b->address.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)&b->target.to;
		in->sin_family = AF_INET;
		in->sin_port = htons(b->port);
		memcpy(&in->sin_addr, b->address.b, 4);
		b->target.length = sizeof(*in);
		return;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&b->target.to;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(b->port);
	memcpy(&in6->sin6_addr, b->address.b, 16);
	b->target.length = sizeof(*in6);
}

/* The peer gets what the plan found out; the plan is kept for that until the end. */
static bool set_target(struct bench *b, const struct plan *p)
{
	const struct plan_host *h = plan_nhosts(p) > 0 ? plan_host(p, 0) : NULL;
	if (h == NULL || h->verdict.policy != HOST_DANE || h->naddress == 0) {
		fprintf(stderr, "bench-handshake: %s has no host with a DANE policy\n", b->domain);
		return false;
	}
	b->address = h->address[0];
	b->port = (uint16_t)b->conf->smtp_port;
	set_address(b);
	b->target.helo = b->engine->helo;
	b->target.name = h->terms.sni;
	b->target.record = b->record;
	for (size_t i = 0; i < h->terms.tlsa->n && b->target.nrecord < RECORDS_MAX; i++) {
		const struct tlsa *rr = &h->terms.tlsa->entry[i].rr;
		if (h->terms.tlsa->entry[i].use == TLSA_COUNTS)
			b->record[b->target.nrecord++] = (struct bare_record){
			    rr->usage, rr->selector, rr->mtype, rr->data.p, rr->data.n};
	}
	return true;
}

static void on_first_plan(void *arg)
{
	struct job *j = arg;
	if (plan_done(j->plan))
		loop_stop(j->bench->engine->loop);
}

static struct plan *first_plan(struct bench *b)
{
	char address[IPADDR_TEXT_MAX];
	struct plan_config c;
	engine_plan_config(b->engine, b->domain, address, &c);
	struct job j = {.bench = b, .plan = plan_new(&c)};
	if (j.plan != NULL)
		j.planner = planner_start(b->engine, j.plan, on_first_plan, &j);
	if (j.planner != NULL)
		loop_run(b->engine->loop);
	planner_free(&j.planner);
	return j.plan;
}

/* --- Rounds --- */

static bool run_rounds(struct bench *b, size_t n, size_t rounds)
{
	for (int k = 0; k < KINDS; k++) {
		if (!run_kind(b, (enum kind)k, n / 10 + 1)) /* warms up */
			return false;
	}
	for (size_t r = 0; r < rounds; r++) {
		for (size_t i = 0; i < KINDS; i++) {
			enum kind k = (enum kind)((r + i) % KINDS);
			size_t units = k == KIND_PLAN ? n * 4 : n;
			struct moment from;
			moment_now(&from);
			if (!run_kind(b, k, units))
				return false;
			sample_print(kind_names[k], units, &from);
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	char error[512] = "usage: bench-handshake CONF DOMAIN SESSIONS ROUNDS";
	struct bench b = {0};
	bool ok = argc == 5;
	if (ok)
		b.conf = conf_load(argv[1], NULL, 0, NULL, error, sizeof(error));
	if (b.conf != NULL)
		b.engine =
		    engine_new(&(struct engine_config){.conf = b.conf}, error, sizeof(error));
	if (b.engine == NULL) {
		fprintf(stderr, "%s\n", error);
		conf_free(&b.conf);
		return 64;
	}
	b.domain = argv[2];
	b.bare = bare_new();
	struct plan *p = first_plan(&b);
	ok = b.bare != NULL && p != NULL && set_target(&b, p) &&
	     run_rounds(&b, strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	plan_free(&p);
	bare_free(&b.bare);
	if (ok)
		engine_free(&b.engine); /* after a failure jobs may still hold on to it */
	conf_free(&b.conf);
	return ok ? 0 : 70;
}
