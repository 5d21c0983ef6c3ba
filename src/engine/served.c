/* SPDX-License-Identifier: MIT */
/*
 * Probes of one host, whatever it presents: addresses side by side, kinds of certificates one after
 * another. Knows sessions; decides nothing about what came.
 */
#include "engine/served.h"

#include <stdlib.h>

enum { SERVED_MEM_MAX = 32 * 1024 * 1024, SUBMISSIONS_PORT = 465 };

struct probe {
	struct served_run *run;
	size_t at;
	enum tls_cert_kind kind;
	bool no_rsa;
	struct session *session;
};

/* The public part first: served_free() gets that pointer. */
struct served_run {
	struct served served;
	struct engine *engine;
	struct served_request request;
	struct tls_terms terms;
	served_cb *cb;
	void *arg;
	struct arena mem;
	void *query[2]; /* A, AAAA */
	struct answer *answer[2];
	struct lookup {
		struct served_run *run;
		int family;
	} lookup[2];
	struct probe *probe;
	size_t running;
	struct loop_deferred *deferred;
};

static void start_probe(struct probe *p);

static void tell(struct served_run *r)
{
	r->cb(r->arg, &r->served);
}

/* --- Probes --- */

static void ended(struct probe *p)
{
	if (--p->run->running == 0)
		tell(p->run);
}

static void note_failure(struct probe *p, const struct session_outcome *o)
{
	struct served_address *a = &p->run->served.address[p->at];
	const char *detail = o->detail[0] != '\0' ? o->detail : reason_sentence(o->reason);
	a->reached = false;
	a->why = arena_strdup(&p->run->mem, detail);
}

static void keep_chain(struct probe *p, const struct tls_facts *f)
{
	struct served_address *a = &p->run->served.address[p->at];
	a->reached = true;
	a->chain[p->kind] = tls_facts_copy(&p->run->mem, f);
	if (a->chain[p->kind] == NULL)
		p->run->served.local_failure = true;
}

/* A handshake that fails when only one kind may be shown means that there is none of it, if the
 * other kind is there; when neither is, whatever the server has is asked for. */
static bool next_kind(struct probe *p, bool not_served)
{
	switch (p->kind) {
	case TLS_CERT_RSA:
		p->no_rsa = not_served;
		p->kind = TLS_CERT_ECDSA;
		return true;
	case TLS_CERT_ECDSA:
		if (!p->no_rsa || !not_served)
			return false;
		p->kind = TLS_CERT_ANY;
		return true;
	case TLS_CERT_ANY:
		return false;
	}
	return false;
}

static void on_session(void *arg, const struct session_outcome *o)
{
	struct probe *p = arg;
	p->session = NULL;
	bool came = o->under_tls && o->tls != NULL && o->tls->nchain > 0;
	bool not_served = !came && o->reason == REASON_TLS_FAILED && p->kind != TLS_CERT_ANY;
	if (came)
		keep_chain(p, o->tls);
	else if (!not_served)
		note_failure(p, o);
	if ((came || not_served) && next_kind(p, not_served))
		start_probe(p);
	else
		ended(p);
}

static void start_probe(struct probe *p)
{
	struct served_run *r = p->run;
	struct session_request q = {
	    .address = r->served.address[p->at].address,
	    .port = r->request.port,
	    .terms = &r->terms,
	    .smtp = {.helo = r->engine->helo,
		     .tls = SMTPC_TLS_MUST,
		     .implicit_tls = r->request.port == SUBMISSIONS_PORT,
		     .timeouts = &r->engine->timeouts},
	    .kind = p->kind,
	    .no_resumption = true,
	    .keep_der = true,
	    .body = {.fd = -1},
	};
	p->session = session_start(r->engine, &q, on_session, p);
	if (p->session != NULL)
		return;
	r->served.local_failure = true;
	ended(p);
}

/* From the loop only: the last probe to end tells. */
static void start_probes(struct served_run *r)
{
	struct served *s = &r->served;
	r->probe = arena_array(&r->mem, s->naddress, sizeof(*r->probe));
	if (r->probe == NULL || s->naddress == 0) {
		s->local_failure = s->local_failure || s->naddress > 0;
		tell(r);
		return;
	}
	r->running = s->naddress;
	for (size_t i = 0; i < s->naddress; i++) {
		r->probe[i] = (struct probe){.run = r, .at = i, .kind = TLS_CERT_RSA};
		start_probe(&r->probe[i]);
	}
}

/* --- Addresses --- */

static void take_addresses(struct served_run *r)
{
	struct served *s = &r->served;
	for (int f = 0; f < 2; f++) {
		const struct answer *a = r->answer[f];
		for (size_t i = 0; a != NULL && i < a->nrr && s->naddress < SERVED_ADDRESSES_MAX;
		     i++)
			s->address[s->naddress++].address = a->rr[i].u.addr;
	}
}

/* A family whose lookup failed may have addresses that would go unseen. */
static const char *failed_lookup(struct served_run *r)
{
	for (int f = 0; f < 2; f++) {
		const struct answer *a = r->answer[f];
		if (a == NULL || a->status == DNS_FAILED)
			return arena_printf(&r->mem, "the %s lookup of %s failed: %s",
					    f == 0 ? "A" : "AAAA", r->request.host,
					    a != NULL ? a->why : "out of memory");
	}
	return NULL;
}

static void on_answer(void *arg, struct answer *a)
{
	struct lookup *l = arg;
	struct served_run *r = l->run;
	r->query[l->family] = NULL;
	r->answer[l->family] = a != NULL ? answer_ref(a) : NULL;
	if (r->query[0] != NULL || r->query[1] != NULL)
		return;
	r->served.why = failed_lookup(r);
	if (r->served.why == NULL) {
		take_addresses(r);
		if (r->served.naddress == 0)
			r->served.why = arena_printf(&r->mem, "%s has no address", r->request.host);
	}
	start_probes(r);
}

static bool ask(struct served_run *r)
{
	static const uint16_t types[] = {DNS_A, DNS_AAAA};
	const struct engine_resolver *d = &r->engine->resolver;
	bool skip[] = {r->engine->no_ipv4, r->engine->no_ipv6};
	for (int f = 0; f < 2; f++) {
		r->lookup[f] = (struct lookup){r, f};
		if (skip[f]) {
			r->answer[f] = answer_new(r->request.host, types[f]);
			continue;
		}
		r->query[f] = d->ask(d->self, r->request.host, types[f], on_answer, &r->lookup[f]);
		if (r->query[f] == NULL)
			return false;
	}
	return r->query[0] != NULL || r->query[1] != NULL;
}

/* --- The start --- */

static void on_deferred(void *arg)
{
	struct served_run *r = arg;
	r->deferred = NULL;
	start_probes(r);
}

static bool start(struct served_run *r)
{
	struct served *s = &r->served;
	s->address = arena_array(&r->mem, SERVED_ADDRESSES_MAX, sizeof(*s->address));
	if (s->address == NULL)
		return false;
	if (r->request.naddress == 0)
		return ask(r);
	for (size_t i = 0; i < r->request.naddress && i < SERVED_ADDRESSES_MAX; i++)
		s->address[s->naddress++].address = r->request.address[i];
	r->deferred = loop_defer(r->engine->loop, on_deferred, r);
	return r->deferred != NULL;
}

struct served *served_start(struct engine *e, const struct served_request *q, served_cb *cb,
			    void *arg)
{
	struct served_run *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	*r = (struct served_run){.engine = e, .request = *q, .cb = cb, .arg = arg};
	r->terms = (struct tls_terms){.policy = HOST_ENCRYPT, .sni = q->host};
	arena_init(&r->mem, SERVED_MEM_MAX);
	struct served *s = &r->served;
	if (!start(r))
		served_free(&s);
	return s;
}

void served_free(struct served **s)
{
	struct served_run *r = (struct served_run *)*s;
	if (r == NULL)
		return;
	const struct engine_resolver *d = &r->engine->resolver;
	for (int f = 0; f < 2; f++) {
		if (r->query[f] != NULL)
			d->cancel(d->self, r->query[f]);
		answer_unref(&r->answer[f]);
	}
	for (size_t i = 0; r->probe != NULL && i < (*s)->naddress; i++)
		session_free(&r->probe[i].session);
	if (r->deferred != NULL)
		loop_defer_cancel(&r->deferred);
	arena_free(&r->mem);
	free(r);
	*s = NULL;
}
