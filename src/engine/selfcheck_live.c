/* SPDX-License-Identifier: MIT */
/* Connects to every address of a host, once for each kind of key, and keeps the chains. Sends no
 * mail, authenticates nobody, judges nothing. */
#include "engine/selfcheck_live.h"

#include <stdlib.h>
#include <string.h>

enum {
	LIVE_MEM_MAX = 16 * 1024 * 1024,
	ADDRESSES_MAX = 16, /* more addresses than one mail server has */
	KINDS = 2,
	PROBES_MAX = ADDRESSES_MAX * KINDS,
	IMPLICIT_TLS_PORT = 465,
};

struct live;

struct probe {
	struct live *live;
	struct session *session;
	struct ipaddr address;
	enum tls_cert_kind kind;
	bool got;
	enum reason reason;
	const char *detail;
};

/* The public part first. */
struct live {
	struct selfcheck_live result;
	struct engine *engine;
	const char *name;
	uint16_t port;
	selfcheck_live_cb *cb;
	void *arg;
	struct arena mem;
	struct tls_terms terms;
	void *query[2]; /* A, AAAA */
	struct probe probe[PROBES_MAX];
	size_t nprobe, out;
};

static void step(struct live *l);

static void fail(struct live *l)
{
	l->result.local_failure = true;
}

/* --- Chains --- */

static bool known(const struct live *l, const struct tls_chain *c)
{
	for (size_t i = 0; i < l->result.nchain; i++) {
		if (tls_chain_equal(l->result.chain[i].chain, c))
			return true;
	}
	return false;
}

static const char *address_text(struct live *l, const struct probe *p)
{
	char text[IPADDR_TEXT_MAX];
	ipaddr_to_text(&p->address, text);
	return arena_strdup(&l->mem, text);
}

static void on_chain(void *arg, struct tls_chain *c)
{
	struct probe *p = arg;
	struct live *l = p->live;
	struct tls_chain_facts d;
	const char *address = address_text(l, p);
	p->got = true;
	if (known(l, c)) {
		tls_chain_free(&c);
		return;
	}
	struct selfcheck_live_chain *x = &l->result.chain[l->result.nchain++];
	x->chain = c;
	bool ok = address != NULL && tls_chain_describe(&l->mem, c, l->name, &d);
	x->label = ok ? arena_printf(&l->mem, "what %s serves (%s)", address, d.cert[0].key) : NULL;
	if (x->label == NULL)
		fail(l);
}

/* --- Sessions --- */

static void on_session(void *arg, const struct session_outcome *o)
{
	struct probe *p = arg;
	struct live *l = p->live;
	p->session = NULL;
	p->reason = o->reason;
	p->detail =
	    arena_strdup(&l->mem, o->detail[0] != '\0' ? o->detail : reason_sentence(o->reason));
	if (p->detail == NULL)
		fail(l);
	l->out--;
	step(l);
}

static void start_probe(struct live *l, const struct ipaddr *address, enum tls_cert_kind kind)
{
	struct probe *p = &l->probe[l->nprobe];
	if (l->nprobe == PROBES_MAX)
		return;
	*p = (struct probe){.live = l, .address = *address, .kind = kind};
	struct session_request q = {
	    .address = *address,
	    .port = l->port,
	    .terms = &l->terms,
	    .smtp = {.helo = l->engine->helo,
		     .tls = SMTPC_TLS_MUST,
		     .implicit_tls = l->port == IMPLICIT_TLS_PORT,
		     .timeouts = &l->engine->timeouts},
	    .kind = kind,
	    .no_resumption = true,
	    .body = {.fd = -1},
	    .on_chain = on_chain,
	    .on_chain_arg = p,
	};
	p->session = session_start(l->engine, &q, on_session, p);
	if (p->session == NULL) {
		fail(l);
		return;
	}
	l->nprobe++;
	l->out++;
}

static void on_addresses(struct live *l, const struct answer *a)
{
	if (a->status == DNS_FAILED && l->result.trouble == NULL)
		l->result.trouble =
		    arena_printf(&l->mem, "the lookup of its address failed: %s", a->why);
	for (size_t i = 0; i < a->nrr && i < ADDRESSES_MAX; i++) {
		start_probe(l, &a->rr[i].u.addr, TLS_CERT_RSA);
		start_probe(l, &a->rr[i].u.addr, TLS_CERT_ECDSA);
	}
}

static void on_answer(struct live *l, size_t i, struct answer *a)
{
	l->query[i] = NULL;
	l->out--;
	if (a == NULL)
		fail(l);
	else
		on_addresses(l, a);
	step(l);
}

static void on_a(void *arg, struct answer *a)
{
	on_answer(arg, 0, a);
}

static void on_aaaa(void *arg, struct answer *a)
{
	on_answer(arg, 1, a);
}

/* --- The end --- */

static bool other_kind_got(const struct live *l, const struct probe *p)
{
	for (size_t i = 0; i < l->nprobe; i++) {
		if (l->probe[i].got && ipaddr_eq(&l->probe[i].address, &p->address))
			return true;
	}
	return false;
}

/* An address that serves one kind of key need not serve the other. */
static void note_failure(struct live *l, const struct probe *p)
{
	const char **to = NULL;
	if (p->got || other_kind_got(l, p))
		return;
	if (p->reason == REASON_NO_STARTTLS || p->reason == REASON_STARTTLS_REFUSED ||
	    p->reason == REASON_TLS_FAILED)
		to = &l->result.no_tls;
	else
		to = &l->result.trouble;
	const char *address = address_text(l, p);
	if (*to == NULL && address != NULL)
		*to = arena_printf(&l->mem, "%s: %s", address, p->detail);
}

static void step(struct live *l)
{
	if (l->out > 0)
		return;
	for (size_t i = 0; i < l->nprobe && !l->result.local_failure; i++)
		note_failure(l, &l->probe[i]);
	if (l->nprobe == 0 && l->result.trouble == NULL)
		l->result.trouble = "it has no address";
	l->result.local_failure = l->result.local_failure || l->mem.failed;
	l->cb(l->arg, &l->result);
}

static void ask(struct live *l)
{
	const struct engine_resolver *r = &l->engine->resolver;
	if (!l->engine->no_ipv4)
		l->query[0] = r->ask(r->self, l->name, DNS_A, on_a, l);
	if (!l->engine->no_ipv6)
		l->query[1] = r->ask(r->self, l->name, DNS_AAAA, on_aaaa, l);
	l->out = (size_t)(l->query[0] != NULL) + (l->query[1] != NULL);
}

struct selfcheck_live *selfcheck_live_start(struct engine *e, const char *name, uint16_t port,
					    selfcheck_live_cb *cb, void *arg)
{
	struct live *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	*l = (struct live){.engine = e, .name = name, .port = port, .cb = cb, .arg = arg};
	arena_init(&l->mem, LIVE_MEM_MAX);
	l->terms = (struct tls_terms){.policy = HOST_ENCRYPT, .sni = name};
	l->result.chain = calloc(PROBES_MAX, sizeof(*l->result.chain));
	if (l->result.chain != NULL)
		ask(l);
	if (l->out == 0) {
		struct selfcheck_live *failed = &l->result;
		selfcheck_live_free(&failed);
		return NULL;
	}
	return &l->result;
}

void selfcheck_live_free(struct selfcheck_live **p)
{
	struct live *l = (struct live *)*p;
	if (l == NULL)
		return;
	for (size_t i = 0; i < 2; i++) {
		if (l->query[i] != NULL)
			l->engine->resolver.cancel(l->engine->resolver.self, l->query[i]);
	}
	for (size_t i = 0; i < l->nprobe; i++)
		session_free(&l->probe[i].session);
	for (size_t i = 0; i < l->result.nchain; i++)
		tls_chain_free(&l->result.chain[i].chain);
	free(l->result.chain);
	arena_free(&l->mem);
	free(l);
	*p = NULL;
}
