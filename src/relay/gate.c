/* SPDX-License-Identifier: MIT */
/* Looks once, with a resolver of its own, at the chains that would be served. Decides nothing but
 * the exit code; knows no listener and no mail. */
#include "relay/gate.h"

#include "relay/process.h"
#include "relay/published.h"

#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>

enum {
	GATE_MEM_MAX = 64 * 1024 * 1024,
	LIMIT_MS = 45000,
	DAY = 86400,
	HOUR = 3600,
	ERROR_ROOM = 512
};

struct gate {
	const struct conf *conf;
	struct log *log;
	struct published published;
	struct certset certs;
	struct arena mem;
	struct engine *engine;
	bool done;
};

bool gate_wanted(const struct conf *c)
{
	return c->selfcheck_on_mismatch == ON_MISMATCH_REFUSE_START &&
	       c->relay_certificate[0] != NULL;
}

static void on_round(void *arg, struct selfcheck_round *r)
{
	struct gate *g = arg;
	(void)r;
	g->done = true;
	loop_stop(g->engine->loop);
}

static void on_limit(void *arg)
{
	struct gate *g = arg;
	loop_stop(g->engine->loop);
}

static void print_errors(const struct selfcheck *s)
{
	for (size_t i = 0; i < s->verdict.nfinding; i++) {
		const struct selfcheck_finding *f = &s->verdict.finding[i];
		if (f->severity != SELFCHECK_ERROR)
			continue;
		fprintf(stderr, "danelaw relay: %s:%u: %s: %s. %s\n", f->about, f->port,
			selfcheck_kind_name(f->kind), f->text, f->cure);
		if (f->paste[0] != '\0')
			fprintf(stderr, "\t%s\n", f->paste);
	}
}

static int judge(const struct selfcheck_round *r)
{
	int code = r->result == SELFCHECK_NO_LOOKUP ? EX_TEMPFAIL : EX_OK;
	for (size_t i = 0; i < r->ncheck; i++) {
		if (r->check[i]->verdict.promise != SELFCHECK_BROKEN)
			continue;
		print_errors(r->check[i]);
		code = EX_CONFIG;
	}
	return code;
}

static bool fill(struct gate *g, struct selfcheck_item *item)
{
	for (size_t i = 0; i < g->published.ntarget; i++) {
		const struct selfcheck_target *t = &g->published.target[i];
		struct selfcheck_input *in =
		    arena_array(&g->mem, TLS_SERVER_KINDS_MAX, sizeof(*in));
		size_t n = 0;
		if (in == NULL ||
		    !certset_shown(&g->certs, t->name, true, &g->mem, in, TLS_SERVER_KINDS_MAX, &n))
			return false;
		item[i] = (struct selfcheck_item){
		    .name = t->name, .port = t->port, .chain = in, .nchain = n};
	}
	return true;
}

static int look(struct gate *g)
{
	struct selfcheck_item *item = arena_array(&g->mem, g->published.ntarget + 1, sizeof(*item));
	struct loop_timer *limit = loop_timer_new(g->engine->loop, on_limit, g);
	struct selfcheck_round *r = NULL;
	int code = EX_TEMPFAIL;
	if (item != NULL && limit != NULL && fill(g, item)) {
		struct selfcheck_round_request q = {.item = item,
						    .nitem = g->published.ntarget,
						    .now = loop_wall_s(),
						    .soon_s = g->conf->selfcheck_expires_soon * DAY,
						    .signature_s =
							g->conf->selfcheck_signature_soon * HOUR};
		loop_timer_set(limit, LIMIT_MS);
		r = selfcheck_round_start(g->engine, &q, on_round, g);
	}
	if (r != NULL)
		loop_run(g->engine->loop);
	if (r != NULL && g->done && !r->local_failure)
		code = judge(r);
	selfcheck_round_free(&r);
	loop_timer_free(&limit);
	return code;
}

static bool confine(struct gate *g)
{
	char report[SANDBOX_REPORT_ROOM] = "";
	uint16_t ports[RESOLVER_PORTS_MAX];
	struct sandbox_paths paths;
	resolver_paths(g->conf, ports, &paths);
	return sandbox_enter(SANDBOX_RESOLVER, &paths, report, sizeof(report));
}

static bool prepare(struct gate *g, char *error, size_t room)
{
	struct engine_config c = {.conf = g->conf, .log = g->log};
	if (!published_load(&g->published, g->conf, error, room) ||
	    !certset_load_apart(&g->certs, g->conf, error, room) ||
	    !sandbox_drop_privileges(g->conf->relay_user, NULL, error, room))
		return false;
	g->engine = engine_new(&c, error, room);
	if (g->engine == NULL)
		return false;
	snprintf(error, room, "the sandbox cannot be entered");
	return confine(g);
}

int gate_main(const struct conf *c, struct log *log)
{
	char error[ERROR_ROOM] = "";
	struct gate g = {.conf = c, .log = log};
	arena_init(&g.mem, GATE_MEM_MAX);
	int code = EX_TEMPFAIL;
	if (prepare(&g, error, sizeof(error)))
		code = look(&g);
	else
		log_event(log, LOG_LEVEL_ERROR, "selfcheck", "error", error, NULL);
	engine_free(&g.engine);
	certset_free(&g.certs);
	published_free(&g.published);
	arena_free(&g.mem);
	return code;
}

bool gate_open(int status, struct log *log)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	if (code == EX_CONFIG) {
		log_event(log, LOG_LEVEL_ERROR, "selfcheck-refused", "why",
			  "what would be served does not satisfy our own TLSA records; "
			  "selfcheck.on-tlsa-mismatch = refuse-start",
			  NULL);
		return false;
	}
	if (code != EX_OK)
		log_event(
		    log, LOG_LEVEL_WARN, "selfcheck", "error",
		    "our own TLSA records could not be looked up: nothing is refused for that",
		    NULL);
	return true;
}
