/* SPDX-License-Identifier: MIT */
/* Drives one attempt machine: its plan by the resolver, its sessions one after another. Decides
 * nothing. */
#include "engine/engine.h"

#include "wire/route.h"

#include <stdlib.h>

struct delivery {
	struct engine *engine;
	struct delivery_request request;
	delivery_cb *cb;
	void *arg;
	struct attempt *attempt;
	struct planner *planner;
	char address[IPADDR_TEXT_MAX]; /* of a literal */
	char route[256];               /* the configured next hop or socket, when there is one */
	struct session *session;
	bool told;
};

static void step(struct delivery *d);

static void log_try(const struct delivery *d)
{
	const struct attempt *a = d->attempt;
	const struct attempt_try *t = attempt_try(a, attempt_ntries(a) - 1);
	const struct tls_facts *tls = t->tls;
	const char *how = t->reason != REASON_OK && tls == NULL ? NULL
			  : tls == NULL                         ? "clear"
								: "encrypted";
	if (tls != NULL && tls->reason != REASON_OK)
		how = "refused";
	else if (tls != NULL && tls->authenticated)
		how = "authenticated";
	const struct mx_verdict *mx = plan_mx(attempt_plan(d->attempt));
	log_event(d->engine->log, LOG_LEVEL_INFO, "try", "id", d->request.id, "next-hop",
		  d->request.next_hop, "mx", mx != NULL && mx->secure ? "secure" : "insecure",
		  "host", t->host, "address", t->address, "reused", t->reused ? "yes" : NULL,
		  "policy", host_policy_name(t->policy), "channel", how, "name",
		  tls != NULL ? tls->match.name : NULL, "version",
		  tls != NULL ? tls->version : NULL, "reason", reason_name(t->reason), "code",
		  reason_code(t->reason), "detail", t->detail[0] != '\0' ? t->detail : NULL, NULL);
}

static void on_session(void *arg, const struct session_outcome *o)
{
	struct delivery *d = arg;
	d->session = NULL;
	attempt_session_ended(d->attempt, o);
	log_try(d);
	step(d);
}

static void on_dot(void *arg)
{
	struct delivery *d = arg;
	d->request.before_dot(d->arg);
}

void delivery_finish_text(struct delivery *d, bool go)
{
	if (d->session != NULL)
		session_finish_text(d->session, go);
}

static void start_session(struct delivery *d)
{
	struct attempt_session s;
	attempt_session(d->attempt, &s);
	if (d->request.on_host != NULL)
		d->request.on_host(d->arg, attempt_plan(d->attempt), s.host);
	struct session_request r = {
	    .socket = s.socket,
	    .address = s.address,
	    .port = s.port,
	    .terms = s.terms,
	    .opening_ms = s.opening_ms,
	    .again = d->request.again,
	    .smtp = s.smtp,
	    .body = d->request.body,
	    .before_dot = d->request.before_dot != NULL ? on_dot : NULL,
	    .before_dot_arg = d,
	};
	d->session = session_start(d->engine, &r, on_session, d);
	if (d->session == NULL)
		attempt_abort(d->attempt, "out of memory");
}

static void step(struct delivery *d)
{
	if (d->told || d->session != NULL)
		return;
	if (attempt_want(d->attempt) == ATTEMPT_WANT_SESSION)
		start_session(d);
	if (attempt_want(d->attempt) == ATTEMPT_DONE) {
		d->told = true;
		planner_free(&d->planner);
		d->cb(d->arg, d->attempt);
	}
}

static void on_plan(void *arg)
{
	step(arg);
}

static void copy_route(struct delivery *d, const struct route *r)
{
	struct slice from = r->path.n > 0 ? r->path : r->host;
	for (size_t i = 0; i < from.n && i + 1 < sizeof(d->route); i++)
		d->route[i] = (char)(r->path.n > 0 ? from.p[i] : ascii_lower(from.p[i]));
}

/* D11, D12, S1: somewhere else than the domain's own MX hosts. The policy stays the domain's. */
/* False: there is a route and it cannot be read. The configuration refuses such routes; whatever
 * let this one through, the domain's own hosts are not where its mail should go. */
static bool follow_route(struct delivery *d, struct attempt_config *c)
{
	struct route r;
	size_t at;
	const char *text = conf_route_for(d->engine->conf, d->request.next_hop);
	if (text == NULL || d->request.no_mx)
		return true;
	if (route_parse(slice_str(text), &r, &at) != ROUTE_OK)
		return false;
	copy_route(d, &r);
	c->plan.route = text;
	c->plan.next_hop = d->route;
	c->plan.socket = r.path.n > 0 ? d->route : NULL;
	c->plan.no_mx = r.itself;
	c->plan.lmtp = r.lmtp;
	c->plan.pkix = route_is_submission(&r);
	c->plan.literal = r.ip;
	if (r.port != 0)
		c->plan.policy.port = r.port;
	if (c->plan.pkix)
		c->auth = credentials_find(d->engine->credentials, d->route, r.port);
	c->relayed = c->plan.pkix;
	c->implicit_tls = c->plan.pkix && r.port == ROUTE_SUBMISSIONS_PORT;
	return true;
}

static void use_submission(const struct submission *s, struct attempt_config *c)
{
	c->plan.next_hop = s->host;
	c->plan.literal = (struct ipaddr){0};
	c->plan.policy.port = s->port;
	/* whatever the level of that name: a CA was asked for, or DANE */
	c->plan.policy.level = s->mx ? LEVEL_DANE_ONLY : LEVEL_DANE;
	c->plan.no_mx = c->plan.pkix = !s->mx;
	c->implicit_tls = s->port == ROUTE_SUBMISSIONS_PORT;
	c->auth = s->auth;
}

struct delivery *delivery_start(struct engine *e, const struct delivery_request *r, delivery_cb *cb,
				void *arg)
{
	struct delivery *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	*d = (struct delivery){.engine = e, .request = *r, .cb = cb, .arg = arg};
	struct attempt_config c = {
	    .helo = e->helo,
	    .timeouts = &e->timeouts,
	    .opening_ms = e->opening_ms,
	    .rcpts_max = (size_t)e->conf->smtp_rcpts_max,
	    .message = r->message,
	};
	engine_plan_config(e, r->next_hop, d->address, &c.plan);
	c.plan.no_mx = r->no_mx;
	if (r->policy != NULL)
		c.plan.policy = *r->policy;
	bool ok = true;
	if (r->submission != NULL)
		use_submission(r->submission, &c);
	else
		ok = follow_route(d, &c);
	if (ok)
		d->attempt = attempt_new(&c);
	if (d->attempt != NULL)
		d->planner = planner_start(e, attempt_plan(d->attempt), on_plan, d);
	if (d->planner == NULL)
		delivery_free(&d);
	return d;
}

void delivery_free(struct delivery **d)
{
	if (*d == NULL)
		return;
	session_free(&(*d)->session);
	planner_free(&(*d)->planner);
	attempt_free(&(*d)->attempt);
	free(*d);
	*d = NULL;
}
