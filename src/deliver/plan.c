/* SPDX-License-Identifier: MIT */
/*
 * The plan machine: keeps facts and asks the decisions of src/dane what they need next. Knows
 * orders and lists; refuses to know what an answer means.
 */
#include "deliver/plan.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

enum { PLAN_MEM_MAX = 4 * 1024 * 1024, OWNER_MAX = 300 };
enum { QUESTION_MX = 0, QUESTION_HOSTS = 1 };

/* What the plan owns of a host beside what it shows. */
struct held {
	struct answer *answer[HOST_Q_COUNT];
	unsigned asked; /* bits of the queries handed out */
};

struct plan {
	struct plan_config config;
	struct arena mem;
	struct answer *mx;
	struct mx_verdict verdict;
	bool mx_asked, mx_known, failed;
	struct plan_host *dead_end; /* why the list is empty */
	struct plan_host *host;
	struct held *held; /* per host, same index */
	size_t nhost;
};

static void start_implicit(struct plan *p, struct mx_verdict v);

/* Not all of 127.0.0.0/8: a host of its own may stand behind another address of it. */
static bool is_always_ourselves(const struct ipaddr *x)
{
	static const uint8_t low[16] = {[15] = 1}, zero[16], four[4] = {127, 0, 0, 1};
	if (x->family == 4)
		return memcmp(x->b, four, 4) == 0 || memcmp(x->b, zero, 4) == 0;
	return x->family == 6 && (memcmp(x->b, low, 16) == 0 || memcmp(x->b, zero, 16) == 0);
}

/* ::ffff:192.0.2.1 leads to where 192.0.2.1 leads. */
static bool is_own_address(const struct plan *p, const struct ipaddr *ip)
{
	struct ipaddr x = ipaddr_unmapped(ip);
	if (p->config.relaying && is_always_ourselves(&x))
		return true;
	for (size_t i = 0; i < p->config.nown_address; i++) {
		struct ipaddr own = ipaddr_unmapped(&p->config.own_address[i]);
		if (ipaddr_eq(&x, &own))
			return true;
	}
	return false;
}

static bool is_own_name(const struct plan *p, const char *name)
{
	static const char local[] = ".localhost";
	const char *own = p->config.own_name;
	struct slice x = slice_str(name);
	if (own != NULL && slice_eq_nocase(x, slice_str(own)))
		return true;
	if (!p->config.relaying)
		return false;
	size_t n = sizeof(local) - 1; /* RFC 6761 s6.3: also what ends in it */
	return slice_eq_nocase(x, slice_str(local + 1)) ||
	       (x.n > n && slice_eq_nocase(slice_make(x.p + x.n - n, n), slice_str(local)));
}

/* D11: would return mail, or nobody knows, because of what an operator wrote. */
static bool is_slip(const struct plan *p, enum reason r)
{
	return p->config.route != NULL && (reason_fate(r) == FATE_FAIL || r == REASON_DNS_FAILED);
}

/* `why` comes from p->mem; NULL: out of memory. */
static void dead_end(struct plan *p, enum reason r, const char *host, const char *why)
{
	if (why != NULL && is_slip(p, r)) {
		r = REASON_ROUTE_NOWHERE;
		why = arena_printf(&p->mem, "route = \"%s\": %s", p->config.route, why);
	}
	p->verdict.kind = MX_END;
	p->verdict.reason = r;
	p->verdict.detail = why;
	p->dead_end = arena_alloc(&p->mem, sizeof(*p->dead_end));
	p->failed = p->failed || p->dead_end == NULL || why == NULL;
	if (p->dead_end != NULL)
		*p->dead_end =
		    (struct plan_host){.name = host,
				       .culprit = HOST_Q_COUNT,
				       .verdict = {.decided = true,
						   .policy = HOST_SKIP,
						   .reason = r,
						   .tlsa = HOST_Q_COUNT},
				       .facts = {.name = host, .mx_secure = p->verdict.secure}};
}

static const char *loop_by_address(struct plan *p, const char *host, const struct ipaddr *ip)
{
	char text[IPADDR_TEXT_MAX];
	ipaddr_to_text(ip, text);
	return arena_printf(&p->mem, "%s has the address %s, which is this machine", host, text);
}

struct plan *plan_new(const struct plan_config *c)
{
	if ((c->pkix || c->lmtp || c->socket != NULL) && !c->no_mx) /* a bug of the caller (S2) */
		return NULL;
	struct plan *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->config = *c;
	arena_init(&p->mem, PLAN_MEM_MAX);
	if (!c->no_mx && c->literal.family != 0 && is_own_address(p, &c->literal)) { /* D4 */
		p->mx_known = true;
		dead_end(p, REASON_MAIL_LOOP, c->next_hop,
			 arena_printf(&p->mem, "the address %s is this machine", c->next_hop));
	} else if (c->no_mx ||
		   c->literal.family != 0) /* the operator's own word is secure (RFC 7672 s2.2.2) */
		start_implicit(p, (struct mx_verdict){.kind = MX_IMPLICIT,
						      .secure = true,
						      .no_dane = c->policy.level == LEVEL_MAY});
	return p;
}

static void drop_host(struct plan *p, size_t i)
{
	for (int q = 0; q < HOST_Q_COUNT; q++) {
		p->host[i].facts.answer[q] = NULL;
		answer_unref(&p->held[i].answer[q]);
	}
}

void plan_free(struct plan **pp)
{
	struct plan *p = *pp;
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->nhost; i++)
		drop_host(p, i);
	answer_unref(&p->mx);
	arena_free(&p->mem);
	free(p);
	*pp = NULL;
}

/* --- The list of hosts --- */

static bool make_hosts(struct plan *p, size_t n)
{
	p->host = arena_array(&p->mem, n, sizeof(*p->host));
	p->held = arena_array(&p->mem, n, sizeof(*p->held));
	p->failed = p->host == NULL || p->held == NULL;
	return !p->failed;
}

static void set_one_address(struct plan *p, struct plan_host *h, const struct ipaddr *ip)
{
	h->address = arena_alloc(&p->mem, sizeof(*ip));
	p->failed = p->failed || h->address == NULL;
	if (h->address != NULL) {
		*h->address = *ip;
		h->naddress = 1;
	}
}

static struct plan_host *add_host(struct plan *p, const char *name, uint16_t preference)
{
	struct plan_host *h = &p->host[p->nhost++];
	h->name = name;
	h->preference = preference;
	h->culprit = HOST_Q_COUNT;
	h->facts = (struct host_facts){.name = name,
				       .no_dane = p->verdict.no_dane,
				       .pkix = p->config.pkix,
				       .lmtp = p->config.lmtp,
				       .unix_socket = p->config.socket != NULL,
				       .mx_secure = p->verdict.secure,
				       .no_ipv4 = p->config.no_ipv4,
				       .no_ipv6 = p->config.no_ipv6};
	struct ipaddr ip = {0};
	if (h->facts.unix_socket) {
		set_one_address(p, h, &ip);
	} else if (ipaddr_from_text(slice_str(name), &ip)) { /* D10: where a host name belongs */
		h->facts.literal = true;
		h->facts.loopback = ipaddr_is_loopback(&ip);
		set_one_address(p, h, &ip);
	}
	return h;
}

static void start_implicit(struct plan *p, struct mx_verdict v)
{
	p->verdict = v;
	p->mx_known = true;
	if (make_hosts(p, 1))
		add_host(p, p->config.socket != NULL ? "localhost" : p->config.next_hop, 0)
		    ->facts.implicit = true;
}

/* splitmix64: the plan is pure, so randomness is an argument. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

struct candidate {
	const char *name;
	uint16_t preference;
	uint64_t lot;
};

static int by_preference(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->lot < y->lot ? -1 : x->lot > y->lot;
}

static bool listed(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->nhost; i++) {
		if (strcmp(p->host[i].name, name) == 0)
			return true;
	}
	return false;
}

/* D4: hosts as good as we are or worse would only send the mail back to us; r if none is left. */
static void cut_at(struct plan *p, uint16_t preference, enum reason r, const char *host,
		   const char *why)
{
	while (p->nhost > 0 && p->host[p->nhost - 1].preference >= preference) {
		p->nhost--;
		drop_host(p, p->nhost);
	}
	if (p->nhost == 0)
		dead_end(p, r, host, why);
}

/* By name, or by an address where a name belongs (D10). */
static bool is_ourselves(const struct plan *p, const char *exchange)
{
	struct ipaddr ip;
	return is_own_name(p, exchange) ||
	       (ipaddr_from_text(slice_str(exchange), &ip) && is_own_address(p, &ip));
}

static const char *loop_by_name(struct plan *p, const char *exchange)
{
	struct ipaddr ip;
	bool literal = ipaddr_from_text(slice_str(exchange), &ip);
	return arena_printf(
	    &p->mem, literal ? "the address %s is this machine" : "%s is the name of this machine",
	    exchange);
}

static void list_hosts(struct plan *p)
{
	size_t n = p->mx->nrr;
	struct candidate *c = arena_array(&p->mem, n, sizeof(*c));
	if (c == NULL || !make_hosts(p, n < PLAN_HOSTS_MAX ? n : PLAN_HOSTS_MAX)) {
		p->failed = true;
		return;
	}
	uint64_t state = p->config.seed;
	for (size_t i = 0; i < n; i++)
		c[i] = (struct candidate){p->mx->rr[i].u.mx.exchange, p->mx->rr[i].u.mx.preference,
					  next_random(&state)};
	qsort(c, n, sizeof(*c), by_preference);
	for (size_t i = 0; i < n && p->nhost < PLAN_HOSTS_MAX; i++) {
		if (!listed(p, c[i].name))
			add_host(p, c[i].name, c[i].preference);
	}
	for (size_t i = 0; i < n; i++) {
		if (is_ourselves(p, c[i].name)) {
			cut_at(p, c[i].preference, REASON_MAIL_LOOP, c[i].name,
			       loop_by_name(p, c[i].name));
			return;
		}
	}
}

/* --- Answers --- */

static void take_mx(struct plan *p, struct answer *a)
{
	p->mx_known = true;
	p->mx = answer_ref(a);
	mx_decide(&p->config.policy, a, &p->verdict);
	switch (p->verdict.kind) {
	case MX_END:
		if (is_slip(p, p->verdict.reason))
			dead_end(p, p->verdict.reason, p->config.next_hop,
				 arena_printf(&p->mem, "%s MX: %s", p->config.next_hop,
					      p->verdict.reason == REASON_DNS_FAILED
						  ? (a->why != NULL ? a->why : "no answer")
						  : reason_sentence(p->verdict.reason)));
		break;
	case MX_IMPLICIT:
		if (is_ourselves(p, p->config.next_hop))
			dead_end(p, REASON_MAIL_LOOP, p->config.next_hop,
				 loop_by_name(p, p->config.next_hop));
		else
			start_implicit(p, p->verdict);
		break;
	case MX_HOSTS:
		list_hosts(p);
		break;
	}
}

/* IPv6 and IPv4 in turn, so that one broken family costs one attempt and not all of them. */
static void collect_addresses(struct plan *p, struct plan_host *h)
{
	const struct answer *six = h->facts.answer[HOST_Q_AAAA], *four = h->facts.answer[HOST_Q_A];
	size_t n6 = six != NULL ? six->nrr : 0, n4 = four != NULL ? four->nrr : 0;
	if (n6 + n4 == 0)
		return;
	h->address = arena_array(&p->mem, n6 + n4, sizeof(*h->address));
	if (h->address == NULL) {
		p->failed = true;
		return;
	}
	for (size_t i = 0; i < (n6 > n4 ? n6 : n4); i++) {
		if (i < n6 && h->naddress < PLAN_ADDRESSES_MAX)
			h->address[h->naddress++] = six->rr[i].u.addr;
		if (i < n4 && h->naddress < PLAN_ADDRESSES_MAX)
			h->address[h->naddress++] = four->rr[i].u.addr;
	}
}

/* NULL: nothing in it leads to ourselves. */
static const char *leads_here(struct plan *p, const struct plan_host *h, const struct answer *a)
{
	for (size_t i = 0; a != NULL && i < a->naliases; i++) {
		if (is_own_name(p, a->aliases[i]))
			return arena_printf(&p->mem,
					    "%s is an alias of %s, the name of this machine",
					    h->name, a->aliases[i]);
	}
	for (size_t i = 0; a != NULL && i < a->nrr; i++) {
		if (is_own_address(p, &a->rr[i].u.addr))
			return loop_by_address(p, h->name, &a->rr[i].u.addr);
	}
	return NULL;
}

/* Does DANE promise that nobody between us and the hosts can make mail bounce (T7)? */
static bool forgery_matters(const struct plan *p)
{
	enum dane_level level = p->config.policy.level;
	return level == LEVEL_DANE_ONLY || (level == LEVEL_DANE && p->verdict.secure);
}

/*
 * D4. REASON_OK: no loop. A route to ourselves (another port, a filter) is the operator's word and
 * no loop. An address of ours that anybody may have forged is a delay at most (T7); under mandatory
 * DANE it is not even believed (M1).
 */
static enum reason loop_at(struct plan *p, const struct plan_host *h, const char **why)
{
	static const enum host_query families[] = {HOST_Q_A, HOST_Q_AAAA};
	enum reason r = REASON_OK;
	for (size_t i = 0; i < 2 && !p->config.no_mx; i++) {
		const struct answer *a = h->facts.answer[families[i]];
		const char *here = leads_here(p, h, a);
		if (here == NULL)
			continue;
		*why = here;
		if (a->status == DNS_SECURE || !forgery_matters(p))
			return REASON_MAIL_LOOP;
		if (p->config.policy.level != LEVEL_DANE_ONLY)
			r = REASON_ADDRESS_UNPROVEN;
	}
	return r;
}

static bool addresses_known(const struct plan_host *h)
{
	const struct host_facts *f = &h->facts;
	return f->literal || f->unix_socket || h->verdict.decided ||
	       ((f->no_ipv4 || f->answer[HOST_Q_A] != NULL) &&
		(f->no_ipv6 || f->answer[HOST_Q_AAAA] != NULL));
}

static void set_terms(struct plan *p, struct plan_host *h)
{
	const struct host_verdict *v = &h->verdict;
	struct tls_terms *t = &h->terms;
	t->policy = v->policy;
	t->sni = h->facts.literal || h->facts.unix_socket ? NULL : v->base; /* T5 */
	if (v->policy ==
	    HOST_PKIX) { /* S1: the one name that the user gave, whatever its aliases */
		t->sni = h->name;
		t->reference_names[0] = h->name;
		t->nreference_names = 1;
		return;
	}
	t->tlsa = v->tlsa < HOST_Q_COUNT ? h->facts.tlsa[v->tlsa] : NULL;
	const char *expanded = p->mx != NULL && p->mx->naliases > 0 ? p->mx->canonical : NULL;
	bool names_count = p->verdict.secure || h->facts.implicit;
	reference_names_set(&p->config.policy, names_count, v->base, p->config.next_hop,
			    p->verdict.secure ? expanded : NULL, t);
}

static void note_culprit(struct plan_host *h)
{
	for (int q = 0; q < HOST_Q_COUNT; q++) {
		if (h->verdict.culprit != NULL && h->facts.answer[q] == h->verdict.culprit)
			h->culprit = (enum host_query)q;
	}
}

static void decide(struct plan *p, struct plan_host *h)
{
	host_decide(&p->config.policy, &h->facts, &h->verdict);
	if (!h->verdict.decided)
		return;
	if (h->verdict.policy == HOST_SKIP && is_slip(p, h->verdict.reason))
		h->verdict.reason = REASON_ROUTE_NOWHERE;
	if (h->verdict.policy == HOST_SKIP)
		note_culprit(h);
	else
		set_terms(p, h);
}

static void judge_tlsa(struct plan *p, struct plan_host *h, enum host_query q,
		       const struct answer *a)
{
	if (q < HOST_Q_TLSA_EXPANDED || a->status != DNS_SECURE)
		return;
	struct tlsa_set *set = arena_alloc(&p->mem, sizeof(*set));
	if (set == NULL || !tlsa_set_build(&p->mem, a, set)) {
		p->failed = true;
		return;
	}
	h->facts.tlsa[q] = set;
}

static void take_host_answer(struct plan *p, size_t i, enum host_query q, struct answer *a)
{
	struct plan_host *h = &p->host[i];
	if (h->facts.answer[q] != NULL)
		return;
	p->held[i].answer[q] = answer_ref(a);
	h->facts.answer[q] = a;
	judge_tlsa(p, h, q, a);
	if ((q == HOST_Q_A || q == HOST_Q_AAAA) && addresses_known(h) && h->address == NULL) {
		collect_addresses(p, h);
		const char *why = NULL;
		enum reason loop = loop_at(p, h, &why);
		if (loop != REASON_OK) {
			cut_at(p, h->preference, loop, h->name, why);
			return;
		}
	}
	decide(p, h);
}

void plan_answer(struct plan *p, unsigned id, struct answer *a)
{
	if (a == NULL) {
		p->failed = true;
		return;
	}
	if (id == QUESTION_MX) {
		if (!p->mx_known)
			take_mx(p, a);
		return;
	}
	size_t i = (id - QUESTION_HOSTS) / HOST_Q_COUNT;
	if (i < p->nhost) /* else: cut meanwhile */
		take_host_answer(p, i, (enum host_query)((id - QUESTION_HOSTS) % HOST_Q_COUNT), a);
}

/* --- Questions --- */

static const char *owner_name(struct plan *p, struct plan_host *h, enum host_query q)
{
	if (q < HOST_Q_TLSA_EXPANDED)
		return h->name;
	char text[OWNER_MAX];
	if (!tlsa_owner_name(p->config.policy.port, h->verdict.base, text, sizeof(text)))
		return NULL;
	h->tlsa_name[q] = arena_strdup(&p->mem, text);
	p->failed = p->failed || h->tlsa_name[q] == NULL;
	return h->tlsa_name[q];
}

/* A name that cannot exist has no TLSA records, but nobody has proven that: treat it as a failed
 * lookup. */
static void answer_unaskable(struct plan *p, size_t i, enum host_query q)
{
	struct answer *a = answer_failed(p->host[i].verdict.base, DNS_TLSA, DNS_SERVFAIL,
					 "the TLSA owner name is too long for a domain name");
	if (a == NULL)
		p->failed = true;
	else
		take_host_answer(p, i, q, a);
	answer_unref(&a);
}

static bool host_question(struct plan *p, size_t i, struct plan_question *out)
{
	static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_CNAME, DNS_TLSA, DNS_TLSA};
	struct plan_host *h = &p->host[i];
	if (!h->verdict.decided && h->verdict.ask == 0)
		decide(p, h); /* first look at this host */
	for (int q = 0; q < HOST_Q_COUNT && !h->verdict.decided; q++) {
		unsigned bit = 1u << q;
		if ((h->verdict.ask & bit) == 0 || (p->held[i].asked & bit) != 0)
			continue;
		p->held[i].asked |= bit;
		const char *name = owner_name(p, h, (enum host_query)q);
		if (name == NULL) {
			answer_unaskable(p, i, (enum host_query)q);
			continue;
		}
		*out = (struct plan_question){.id = (unsigned)(QUESTION_HOSTS + i * HOST_Q_COUNT) +
						    (unsigned)q,
					      .name = name,
					      .type = types[q]};
		return true;
	}
	return false;
}

bool plan_next_question(struct plan *p, struct plan_question *out)
{
	if (p->failed || (p->mx_known && p->verdict.kind == MX_END))
		return false;
	if (!p->mx_known) {
		if (p->mx_asked)
			return false;
		p->mx_asked = true;
		*out = (struct plan_question){QUESTION_MX, p->config.next_hop, DNS_MX};
		return true;
	}
	for (size_t i = 0; i < p->nhost; i++) {
		if (host_question(p, i, out))
			return true;
	}
	return false;
}

/* --- The result --- */

bool plan_failed(const struct plan *p)
{
	return p->failed || p->mem.failed;
}

bool plan_done(const struct plan *p)
{
	if (plan_failed(p))
		return true;
	for (size_t i = 0; i < p->nhost; i++) {
		if (!p->host[i].verdict.decided)
			return false;
	}
	return p->mx_known;
}

const char *plan_next_hop(const struct plan *p)
{
	return p->config.next_hop;
}

uint16_t plan_port(const struct plan *p)
{
	return p->config.policy.port;
}

const struct mx_verdict *plan_mx(const struct plan *p)
{
	return p->mx_known ? &p->verdict : NULL;
}

const struct answer *plan_mx_answer(const struct plan *p)
{
	return p->mx;
}

size_t plan_nhosts(const struct plan *p)
{
	return p->nhost;
}

const struct plan_host *plan_host(const struct plan *p, size_t i)
{
	return &p->host[i];
}

const struct plan_host *plan_dead_end(const struct plan *p)
{
	return p->dead_end;
}

/* By what only an address lookup tells: an address, or an alias of our name. */
static bool looks_for_ourselves(const struct plan *p)
{
	const struct plan_config *c = &p->config;
	return !c->no_mx && (c->relaying || c->nown_address > 0 || c->own_name != NULL);
}

bool plan_host_ready(const struct plan *p, size_t i)
{
	const struct plan_host *h = &p->host[i];
	if (!h->verdict.decided)
		return false;
	for (size_t k = 0; looks_for_ourselves(p) && k < p->nhost; k++) {
		if (p->host[k].preference <= h->preference && !addresses_known(&p->host[k]))
			return false;
	}
	return true;
}

void plan_explain_skip(const struct plan_host *h, struct buf *out)
{
	const struct answer *a = h->culprit < HOST_Q_COUNT ? h->facts.answer[h->culprit] : NULL;
	if (a == NULL)
		return;
	char scratch[16];
	buf_addf(out, "%s %s: %s", a->name, dns_type_name(a->type, scratch),
		 a->why != NULL ? a->why : dns_status_name(a->status));
}
