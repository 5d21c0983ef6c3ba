/* SPDX-License-Identifier: MIT */
/*
 * Runs the plan of a domain and probes all its hosts at once. The verdicts come from src/dane; this
 * file only counts what is still out.
 */
#include "engine/check.h"

#include <stdlib.h>

enum {
	CHECK_MEM_MAX = 64 * 1024 * 1024,
	/* Probes of one domain at the same time: a domain with 64 hosts of 64 addresses must not
	   use all our sockets. */
	PROBES_MAX = 16,
	/* Addresses of one domain that are probed, best hosts first: stops a domain of thousands of
	   silent addresses. */
	ADDRESSES_MAX = 48,
};

struct running {
	struct check_run *run;
	struct session *session;
	size_t host, address;
	enum tls_cert_kind kind;
	bool in_clear;
	struct running *next;
};

/* The public part first: check_free() gets that pointer. */
struct check_run {
	struct check check;
	struct engine *engine;
	check_cb *cb;
	void *arg;
	struct dane_policy policy;
	char address[IPADDR_TEXT_MAX]; /* of a literal */
	struct arena mem;
	struct planner *planner;
	struct running *running;
	size_t nrunning;
	size_t started;                 /* first probes of an address */
	size_t next_host, next_address; /* the walk over what is to be probed */
	bool hosts_noted;
	bool told;
	uint64_t started_ms;
};

static void step(struct check_run *r);

/* --- Verdict --- */

/* The facts of one address: with --all-certs a failure of any certificate that is served counts,
 * but not that of a connection: the host may not like so many of them. */
static struct address_fact fact_of(const struct check_address *a)
{
	struct address_fact f = {a->probe[TLS_CERT_ANY].result,
				 a->probe[TLS_CERT_ANY].outcome.reason};
	for (int k = TLS_CERT_RSA; k < CHECK_KINDS; k++) {
		const struct check_probe *p = &a->probe[k];
		if (p->done && !p->not_served && p->result == RESULT_FAILED &&
		    reason_is_security(p->outcome.reason) && f.result != RESULT_FAILED)
			f = (struct address_fact){RESULT_FAILED, p->outcome.reason};
	}
	return f;
}

static bool host_facts(struct check_run *r, const struct check_host *h, struct checked_host *out)
{
	struct address_fact *facts = arena_array(&r->mem, h->naddress, sizeof(*facts));
	if (facts == NULL && h->naddress > 0)
		return false;
	for (size_t i = 0; i < h->naddress; i++)
		facts[i] = fact_of(&h->address[i]);
	*out = (struct checked_host){h->plan->verdict.policy, h->plan->verdict.reason, facts,
				     r->check.request.connect ? h->naddress : 0};
	return true;
}

static void judge(struct check_run *r)
{
	struct check *c = &r->check;
	struct checked_host *hosts = arena_array(&r->mem, c->nhost, sizeof(*hosts));
	const struct mx_verdict *mx = plan_mx(c->plan);
	bool ok = !plan_failed(c->plan) && mx != NULL && (hosts != NULL || c->nhost == 0);
	for (size_t i = 0; ok && i < c->nhost; i++)
		ok = host_facts(r, &c->host[i], &hosts[i]);
	if (!ok || c->local_failure) {
		c->local_failure = true;
		c->verdict = (struct domain_verdict){DOMAIN_BROKEN, REASON_LOCAL_ERROR};
		return;
	}
	struct domain_facts f = {
	    .mx = mx, .host = hosts, .nhost = c->nhost, .planned_only = !c->request.connect};
	domain_decide(&f, &c->verdict);
}

/* --- Probes --- */

static void unlink_running(struct check_run *r, struct running *p)
{
	struct running **at = &r->running;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	r->nrunning--;
}

static void start_probe(struct check_run *r, size_t host, size_t address, enum tls_cert_kind kind,
			bool in_clear);

static bool wants_clear_retry(const struct check_run *r, const struct running *p,
			      const struct session_outcome *o)
{
	const struct plan_host *h = r->check.host[p->host].plan;
	return o->tls_failed && o->reason != REASON_LOCAL_ERROR && !p->in_clear &&
	       p->kind == TLS_CERT_ANY && h->terms.policy == HOST_MAY && r->policy.clear_fallback;
}

static void record(struct check_run *r, const struct running *p, const struct session_outcome *o)
{
	struct check_probe *probe = &r->check.host[p->host].address[p->address].probe[p->kind];
	if (p->in_clear && o->reason == REASON_OK) {
		probe->clear_retry = true; /* the failed handshake's words stay: they explain */
		probe->result = RESULT_CLEARTEXT;
		return;
	}
	probe->done = true;
	probe->outcome = *o;
	probe->result = trouble_probe_result(o);
	probe->not_served = p->kind != TLS_CERT_ANY && o->reason == REASON_TLS_FAILED;
	if (o->tls != NULL) {
		probe->outcome.tls = tls_facts_copy(&r->mem, o->tls);
		r->check.local_failure = r->check.local_failure || probe->outcome.tls == NULL;
	}
}

/* RSA and ECDSA are asked for apart where the host speaks TLS at all. */
static void probe_kinds(struct check_run *r, const struct running *p,
			const struct session_outcome *o)
{
	if (!r->check.request.all_certs || p->kind != TLS_CERT_ANY || o->tls == NULL ||
	    o->tls->nchain == 0)
		return;
	start_probe(r, p->host, p->address, TLS_CERT_RSA, false);
	start_probe(r, p->host, p->address, TLS_CERT_ECDSA, false);
}

static void on_session(void *arg, const struct session_outcome *o)
{
	struct running *p = arg;
	struct check_run *r = p->run;
	unlink_running(r, p);
	record(r, p, o);
	if (wants_clear_retry(r, p, o))
		start_probe(r, p->host, p->address, p->kind, true);
	probe_kinds(r, p, o);
	free(p);
	step(r);
}

static void start_probe(struct check_run *r, size_t host, size_t address, enum tls_cert_kind kind,
			bool in_clear)
{
	const struct plan_host *h = r->check.host[host].plan;
	struct engine *e = r->engine;
	struct running *p = calloc(1, sizeof(*p));
	if (p == NULL) {
		r->check.local_failure = true;
		return;
	}
	*p = (struct running){.run = r,
			      .host = host,
			      .address = address,
			      .kind = kind,
			      .in_clear = in_clear,
			      .next = r->running};
	enum smtpc_tls optional = in_clear ? SMTPC_TLS_NONE : SMTPC_TLS_MAY;
	struct session_request q = {
	    .address = h->address[address],
	    .port = r->policy.port,
	    .terms = &h->terms,
	    .smtp = {.helo = e->helo,
		     .tls = h->terms.policy == HOST_MAY ? optional : SMTPC_TLS_MUST,
		     .timeouts = &e->timeouts},
	    .kind = kind,
	    .no_resumption = true,
	    .body = {.fd = -1},
	};
	p->session = session_start(e, &q, on_session, p);
	if (p->session == NULL) {
		free(p);
		r->check.local_failure = true;
		return;
	}
	r->running = p;
	r->nrunning++;
}

/* --- The walk --- */

static bool note_host(struct check_run *r, size_t i)
{
	struct check_host *h = &r->check.host[i];
	h->plan = plan_host(r->check.plan, i);
	h->naddress = h->plan->verdict.policy == HOST_SKIP ? 0 : h->plan->naddress;
	h->address = arena_array(&r->mem, h->naddress, sizeof(*h->address));
	for (size_t k = 0; h->address != NULL && k < h->naddress; k++) {
		h->address[k].address = h->plan->address[k];
		for (int kind = 0; kind < CHECK_KINDS; kind++)
			h->address[k].probe[kind].result = RESULT_UNTRIED;
	}
	return h->address != NULL || h->naddress == 0;
}

static void note_hosts(struct check_run *r)
{
	struct check *c = &r->check;
	const struct mx_verdict *mx = plan_mx(c->plan);
	if (plan_failed(c->plan) || mx == NULL || mx->kind == MX_END)
		return;
	c->nhost = plan_nhosts(c->plan);
	c->host = arena_array(&r->mem, c->nhost, sizeof(*c->host));
	if (c->host == NULL)
		c->nhost = 0;
	for (size_t i = 0; i < c->nhost; i++)
		c->local_failure = c->local_failure || !note_host(r, i);
	c->local_failure = c->local_failure || c->host == NULL;
}

/* Starts probes that were not started yet, in order, as long as there is room. */
static void start_probes(struct check_run *r)
{
	struct check *c = &r->check;
	while (r->next_host < c->nhost && r->nrunning < PROBES_MAX && !c->local_failure &&
	       r->started < ADDRESSES_MAX) {
		if (r->next_address < c->host[r->next_host].naddress) {
			start_probe(r, r->next_host, r->next_address++, TLS_CERT_ANY, false);
			r->started++;
		} else {
			r->next_host++;
			r->next_address = 0;
		}
	}
}

static void tell(struct check_run *r)
{
	r->told = true;
	planner_free(&r->planner);
	judge(r);
	r->check.took_ms = loop_now_ms() - r->started_ms;
	r->cb(r->arg, &r->check);
}

static void step(struct check_run *r)
{
	if (r->told || !plan_done(r->check.plan))
		return;
	if (!r->hosts_noted) {
		r->hosts_noted = true;
		note_hosts(r);
	}
	if (r->check.request.connect)
		start_probes(r);
	if (r->nrunning == 0)
		tell(r);
}

static void on_plan(void *arg)
{
	step(arg);
}

struct check *check_start(struct engine *e, const struct check_request *q, check_cb *cb, void *arg)
{
	struct check_run *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	*r = (struct check_run){.check = {.request = *q},
				.engine = e,
				.cb = cb,
				.arg = arg,
				.started_ms = loop_now_ms()};
	arena_init(&r->mem, CHECK_MEM_MAX);
	struct plan_config c;
	engine_plan_config(e, q->next_hop, r->address, &c);
	r->policy = c.policy;
	r->check.port = c.policy.port;
	r->check.unsafe_dns = dns_unsafe_option(e->conf->dns_unbound) != NULL;
	r->check.unsafe_dns_configured = r->check.unsafe_dns && !e->conf->dns_unbound_typed;
	r->check.route = conf_route_for(e->conf, q->next_hop);
	r->check.plan = plan_new(&c);
	if (r->check.plan != NULL)
		r->planner = planner_start(e, r->check.plan, on_plan, r);
	if (r->planner == NULL) {
		struct check *failed = &r->check;
		check_free(&failed);
		return NULL;
	}
	return &r->check;
}

void check_free(struct check **c)
{
	struct check_run *r = (struct check_run *)*c;
	if (r == NULL)
		return;
	while (r->running != NULL) {
		struct running *p = r->running;
		r->running = p->next;
		session_free(&p->session);
		free(p);
	}
	planner_free(&r->planner);
	plan_free(&r->check.plan);
	arena_free(&r->mem);
	free(r);
	*c = NULL;
}
