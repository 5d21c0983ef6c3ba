/* SPDX-License-Identifier: MIT */
/*
 * From an owner name to the name servers of its zone, and one resolver for each of their addresses.
 *
 * Knows how a zone is found: the closest name above with NS records. Refuses to know what the
 * records mean.
 */
#include "engine/authority.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AUTHORITY_MEM_MAX = 16 * 1024 * 1024, ERROR_MAX = 256, SOA_NUMBERS = 20 };

enum question { ASK_RECORDS, ASK_SOA, QUESTIONS };

/* One address of one name server, with a resolver that asks nobody else about the zone. */
struct voice {
	struct authority_run *run;
	struct authority_server server;
	struct dns *dns;
	struct dns_query *query[QUESTIONS];
	struct answer *soa;
	struct hearing {
		struct voice *voice;
		enum question what;
	} hearing[QUESTIONS];
};

struct lookup {
	struct authority_run *run;
	void *query;
	const char *name;
	bool six;
};

/* The public part first: authority_free() gets that pointer. */
struct authority_run {
	struct authority authority;
	struct engine *engine;
	authority_cb *cb;
	void *arg;
	struct arena mem;
	const char *cut; /* the name that is asked for NS records */
	void *cut_query;
	struct lookup lookup[2 * AUTHORITY_NAMES_MAX];
	size_t nlookup;
	struct voice voice[AUTHORITY_SERVERS_MAX];
	size_t nvoice;
	size_t out; /* questions */
};

static void ask_cut(struct authority_run *r);

static void *ask(struct authority_run *r, const char *name, uint16_t type, dns_cb *cb, void *arg)
{
	const struct engine_resolver *d = &r->engine->resolver;
	void *q = d->ask(d->self, name, type, cb, arg);
	r->out += q != NULL;
	r->authority.local_failure = r->authority.local_failure || q == NULL;
	return q;
}

static void tell(struct authority_run *r)
{
	r->authority.local_failure = r->authority.local_failure || r->mem.failed;
	r->cb(r->arg, &r->authority);
}

static void give_up(struct authority_run *r, const char *why)
{
	r->authority.why = why != NULL ? why : "out of memory";
	tell(r);
}

/* --- The end --- */

static bool answered(const struct authority_run *r, uint8_t family)
{
	for (size_t i = 0; i < r->nvoice; i++) {
		const struct authority_server *s = &r->voice[i].server;
		if (s->address.family == family && s->why == NULL)
			return true;
	}
	return false;
}

/* A family in which nobody answers is this machine's lack, as long as the other one works; and a
 * failed address lookup (family 0) counts always. */
static bool counts(const struct authority_run *r, const struct authority_server *s)
{
	uint8_t other = s->address.family == 4 ? 6 : 4;
	return s->address.family == 0 || answered(r, s->address.family) || !answered(r, other);
}

static void collect(struct authority_run *r)
{
	struct authority *a = &r->authority;
	a->server = arena_array(&r->mem, r->nvoice, sizeof(*a->server));
	for (size_t i = 0; a->server != NULL && i < r->nvoice; i++) {
		if (counts(r, &r->voice[i].server))
			a->server[a->nserver++] = r->voice[i].server;
	}
	if (a->nserver == 0)
		a->why = arena_printf(&r->mem, "no name server of %s has an address", a->zone);
	tell(r);
}

static void one_less(struct authority_run *r)
{
	if (--r->out == 0)
		collect(r);
}

/* --- Asking one server --- */

/* RFC 2308 s5: the smaller of the SOA's own TTL and its last field. */
static uint32_t negative_ttl(const struct answer *soa)
{
	if (soa == NULL || soa->nrr == 0 || soa->rr[0].rdata.n < SOA_NUMBERS)
		return 0;
	const uint8_t *p = soa->rr[0].rdata.p + soa->rr[0].rdata.n - 4;
	uint32_t minimum = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return minimum < soa->rr[0].ttl ? minimum : soa->rr[0].ttl;
}

static void judge_voice(struct voice *v)
{
	struct arena *mem = &v->run->mem;
	const struct answer *a = v->server.answer, *soa = v->soa;
	v->server.negative_ttl = negative_ttl(soa);
	if (a == NULL || soa == NULL)
		v->server.why = "out of memory";
	else if (a->status == DNS_FAILED)
		v->server.why = arena_strdup(mem, a->why);
	else if (soa->nrr == 0)
		v->server.why = soa->why != NULL ? arena_strdup(mem, soa->why)
						 : "it has no SOA record of the zone";
	else
		v->server.why = NULL;
}

static void on_voice(void *arg, struct answer *a)
{
	struct hearing *h = arg;
	struct voice *v = h->voice;
	v->query[h->what] = NULL;
	if (h->what == ASK_RECORDS)
		v->server.answer = a != NULL ? answer_ref(a) : NULL;
	else
		v->soa = a != NULL ? answer_ref(a) : NULL;
	if (v->query[ASK_RECORDS] == NULL && v->query[ASK_SOA] == NULL)
		judge_voice(v);
	one_less(v->run);
}

static bool start_voice(struct voice *v, char *error, size_t room)
{
	struct authority_run *r = v->run;
	char ip[IPADDR_TEXT_MAX];
	struct dns_config c;
	ipaddr_to_text(&v->server.address, ip);
	engine_dns_config(r->engine->conf, &c);
	c.zone = r->authority.zone;
	c.zone_server = ip;
	v->dns = dns_new(r->engine->loop, &c, error, room);
	if (v->dns == NULL)
		return false;
	for (int q = 0; q < QUESTIONS; q++) {
		bool soa = q == ASK_SOA;
		v->hearing[q] = (struct hearing){v, (enum question)q};
		v->query[q] = dns_ask(v->dns, soa ? r->authority.zone : r->authority.owner,
				      soa ? DNS_SOA : r->authority.type, on_voice, &v->hearing[q]);
		r->out += v->query[q] != NULL;
		r->authority.local_failure = r->authority.local_failure || v->query[q] == NULL;
	}
	return true;
}

static struct voice *add_voice(struct authority_run *r, const char *name, const struct ipaddr *ip)
{
	if (r->nvoice == AUTHORITY_SERVERS_MAX)
		return NULL;
	struct voice *v = &r->voice[r->nvoice++];
	*v = (struct voice){.run = r, .server = {.name = name, .why = "not asked"}};
	if (ip != NULL)
		v->server.address = *ip;
	return v;
}

static void add_server(struct authority_run *r, const char *name, const struct ipaddr *ip)
{
	char error[ERROR_MAX] = "";
	struct voice *v = add_voice(r, name, ip);
	if (v != NULL && !start_voice(v, error, sizeof(error)))
		v->server.why = arena_strdup(&r->mem, error);
}

/* --- Addresses of the servers --- */

static void on_address(void *arg, struct answer *a)
{
	struct lookup *l = arg;
	struct authority_run *r = l->run;
	l->query = NULL;
	if (a == NULL || a->status == DNS_FAILED) {
		struct voice *v = add_voice(r, l->name, NULL);
		if (v != NULL)
			v->server.why =
			    arena_printf(&r->mem, "its %s lookup failed: %s", l->six ? "AAAA" : "A",
					 a != NULL ? a->why : "out of memory");
	}
	for (size_t i = 0; a != NULL && i < a->nrr; i++)
		add_server(r, l->name, &a->rr[i].u.addr);
	one_less(r);
}

static void ask_address(struct authority_run *r, const char *name, bool six)
{
	struct lookup *l = &r->lookup[r->nlookup++];
	*l = (struct lookup){.run = r, .name = name, .six = six};
	l->query = ask(r, name, six ? DNS_AAAA : DNS_A, on_address, l);
}

static void ask_addresses(struct authority_run *r, const struct answer *ns)
{
	for (size_t i = 0; i < ns->nrr && i < AUTHORITY_NAMES_MAX; i++) {
		const char *name = arena_strdup(&r->mem, ns->rr[i].u.name);
		if (name == NULL)
			break;
		if (!r->engine->no_ipv4)
			ask_address(r, name, false);
		if (!r->engine->no_ipv6)
			ask_address(r, name, true);
	}
	if (r->out == 0)
		give_up(r, NULL);
}

/* --- The zone --- */

static void go_up(struct authority_run *r)
{
	const char *dot = strchr(r->cut, '.');
	r->cut = dot != NULL ? dot + 1 : ".";
	ask_cut(r);
}

static void on_cut(void *arg, struct answer *a)
{
	struct authority_run *r = arg;
	r->cut_query = NULL;
	r->out--;
	if (a == NULL || a->status == DNS_FAILED) {
		give_up(r, arena_printf(&r->mem, "the NS lookup of %s failed: %s", r->cut,
					a != NULL ? a->why : "out of memory"));
	} else if (a->nrr > 0 && a->naliases == 0) {
		r->authority.zone = r->cut;
		ask_addresses(r, a);
	} else if (strcmp(r->cut, ".") == 0) {
		give_up(r, "no zone was found");
	} else {
		go_up(r);
	}
}

static void ask_cut(struct authority_run *r)
{
	r->cut_query = ask(r, r->cut, DNS_NS, on_cut, r);
	if (r->cut_query == NULL)
		give_up(r, NULL);
}

struct authority *authority_start(struct engine *e, const char *owner, uint16_t type,
				  authority_cb *cb, void *arg)
{
	struct authority_run *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	*r = (struct authority_run){.authority = {.owner = owner, .type = type},
				    .engine = e,
				    .cb = cb,
				    .arg = arg,
				    .cut = owner};
	arena_init(&r->mem, AUTHORITY_MEM_MAX);
	struct authority *a = &r->authority;
	r->cut_query = ask(r, r->cut, DNS_NS, on_cut, r);
	if (r->cut_query == NULL)
		authority_free(&a);
	return a;
}

static void free_voice(struct voice *v)
{
	for (int q = 0; q < QUESTIONS; q++) {
		if (v->query[q] != NULL)
			dns_cancel(&v->query[q]);
	}
	answer_unref(&v->server.answer);
	answer_unref(&v->soa);
	dns_free(&v->dns);
}

void authority_free(struct authority **a)
{
	struct authority_run *r = (struct authority_run *)*a;
	if (r == NULL)
		return;
	const struct engine_resolver *d = &r->engine->resolver;
	if (r->cut_query != NULL)
		d->cancel(d->self, r->cut_query);
	for (size_t i = 0; i < r->nlookup; i++) {
		if (r->lookup[i].query != NULL)
			d->cancel(d->self, r->lookup[i].query);
	}
	for (size_t i = 0; i < r->nvoice; i++)
		free_voice(&r->voice[i]);
	arena_free(&r->mem);
	free(r);
	*a = NULL;
}
