/* SPDX-License-Identifier: MIT */
/*
 * One look at the world: the records by validated lookup, at each name server of their zone, and
 * the chains at each address of the mail server. Then the facts of src/roll.
 *
 * Every look has an engine of its own: nothing of an earlier one is in a cache.
 */
#include "cmd/roll.h"

#include "dane/tlsaset.h"

#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { LOOK_MEM_MAX = 64 * 1024 * 1024, UNION_MAX = ANSWER_RECORDS_MAX + 2 * ROLL_RECORDS_MAX };

struct looking {
	struct roll_look *look;
	unsigned out;
};

/* --- Asking --- */

static void one_less(struct looking *g)
{
	if (--g->out == 0)
		loop_stop(g->look->engine->loop);
}

static void on_tlsa(void *arg, struct answer *a)
{
	struct looking *g = arg;
	g->look->own_tlsa = a != NULL ? answer_ref(a) : NULL;
	one_less(g);
}

static void on_authority(void *arg, struct authority *a)
{
	(void)a;
	one_less(arg);
}

static void on_served(void *arg, struct served *s)
{
	(void)s;
	one_less(arg);
}

static bool ask_all(const struct roll_job *j, struct roll_look *l)
{
	char owner[TLSA_OWNER_MAX];
	struct looking g = {.look = l, .out = 3};
	struct served_request q = {.host = j->host,
				   .port = j->connect_port,
				   .address = j->address,
				   .naddress = j->naddress};
	const struct engine_resolver *d = &l->engine->resolver;
	tlsa_owner(j->host, j->port, owner);
	if (d->ask(d->self, owner, DNS_TLSA, on_tlsa, &g) == NULL)
		return false;
	l->own_authority = authority_start(l->engine, j->owner, DNS_TLSA, on_authority, &g);
	l->own_served = served_start(l->engine, &q, on_served, &g);
	if (l->own_authority == NULL || l->own_served == NULL)
		return false;
	loop_run(l->engine->loop);
	return true;
}

/* --- DNS --- */

static void trouble(struct roll_look *l, const char *what)
{
	if (l->trouble == NULL)
		l->trouble = what;
}

static enum roll_zone zone_of(const struct answer *a)
{
	switch (a->status) {
	case DNS_SECURE:
		return ROLL_ZONE_SECURE;
	case DNS_INSECURE:
		return ROLL_ZONE_INSECURE;
	case DNS_ABSENT:
		return a->absence_secure ? ROLL_ZONE_SECURE : ROLL_ZONE_INSECURE;
	case DNS_FAILED:
		return ROLL_ZONE_FAILED;
	}
	return ROLL_ZONE_FAILED;
}

static size_t count_there(const struct roll_records *r, const struct answer *a)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n; i++) {
		bool there = false;
		for (size_t k = 0; k < a->nrr && !there; k++)
			there = tlsa_cmp(&a->rr[k].u.tlsa, &r->rr[i]) == 0;
		n += there;
	}
	return n;
}

static void count_answer(const struct roll_job *j, const struct answer *a, struct roll_facts *f)
{
	size_t old = count_there(&j->old, a), new = count_there(&j->new, a);
	f->servers++;
	f->servers_old += old == j->old.n;
	f->servers_new += new == j->new.n;
	f->servers_any_old += old > 0;
	f->servers_any_new += new > 0;
	for (size_t i = 0; i < a->nrr; i++)
		f->ttl = a->rr[i].ttl > f->ttl ? a->rr[i].ttl : f->ttl;
}

static void count_servers(const struct roll_job *j, struct roll_look *l)
{
	struct roll_facts *f = &l->facts;
	const struct authority *a = l->authority;
	if (a->why != NULL)
		trouble(l, a->why);
	for (size_t i = 0; i < a->nserver; i++) {
		const struct authority_server *s = &a->server[i];
		char ip[IPADDR_TEXT_MAX] = "";
		if (s->address.family != 0)
			ipaddr_to_text(&s->address, ip);
		if (s->why != NULL) {
			f->servers++;
			f->servers_failed++;
			trouble(l, arena_printf(&l->mem, "name server %s [%s]: %s", s->name, ip,
						s->why));
			continue;
		}
		count_answer(j, s->answer, f);
		if (s->answer->nrr == 0 && s->negative_ttl > f->ttl)
			f->ttl = s->negative_ttl;
	}
	/* No server at all is no zone at all. */
	if (a->nserver == 0 || a->local_failure)
		f->servers = f->servers_failed = 1;
}

/* What resolvers see counts like one more server: the way there may lead over an alias. */
static void count_lookup(const struct roll_job *j, struct roll_look *l)
{
	struct roll_facts *f = &l->facts;
	f->zone = l->tlsa != NULL ? zone_of(l->tlsa) : ROLL_ZONE_FAILED;
	if (f->zone == ROLL_ZONE_FAILED)
		trouble(l, l->tlsa != NULL ? l->tlsa->why : "out of memory");
	else
		count_answer(j, l->tlsa, f);
}

/* --- The server --- */

struct tls_source *roll_look_source(struct roll_look *l, const struct tls_facts *f)
{
	char error[CMD_ERROR_MAX];
	struct slice *der = arena_array(&l->mem, f->nchain, sizeof(*der));
	for (size_t i = 0; der != NULL && i < f->nchain; i++)
		der[i] = f->chain[i].der;
	return der != NULL ? tls_source_from_der(der, f->nchain, error, sizeof(error)) : NULL;
}

/* All records that count: published, old, new; without those of `except`. */
static size_t unite(const struct roll_job *j, const struct answer *a,
		    const struct roll_records *except, struct tlsa *out)
{
	size_t n = 0;
	const struct roll_records *ours[] = {&j->old, &j->new};
	for (size_t i = 0; a != NULL && i < a->nrr && n < UNION_MAX; i++) {
		const struct tlsa *rr = &a->rr[i].u.tlsa;
		if (!roll_records_have(&j->old, rr) && !roll_records_have(&j->new, rr))
			out[n++] = *rr;
	}
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; ours[k] != except && i < ours[k]->n && n < UNION_MAX; i++)
			out[n++] = ours[k]->rr[i];
	}
	for (size_t i = 0; i < n; i++)
		tls_judge_full(&out[i]);
	return n;
}

static bool satisfies(struct roll_look *l, const struct roll_job *j, const struct tls_source *s,
		      const struct tlsa *rr, size_t n)
{
	struct tlsa_set set;
	if (n == 0 || !tlsa_set_from_records(&l->mem, rr, n, &set) || set.usable == 0)
		return false;
	struct tls_terms terms = {.policy = HOST_DANE,
				  .sni = j->host,
				  .tlsa = &set,
				  .reference_names = {j->host},
				  .nreference_names = 1};
	const struct tls_facts *f = tls_verify(&l->mem, tls_source_chain(s), &terms, l->facts.now);
	return f != NULL && f->authenticated;
}

/* Returns whether the new records alone are enough for this chain. */
static bool count_chain(const struct roll_job *j, struct roll_look *l,
			const struct tls_facts *facts)
{
	struct tls_source *s = roll_look_source(l, facts);
	struct tlsa *rr = arena_array(&l->mem, UNION_MAX, sizeof(*rr));
	bool on_new = false;
	if (s == NULL || rr == NULL) {
		l->facts.need_old++; /* not judged: whatever is there stays */
		l->facts.need_new++;
	} else {
		bool all = satisfies(l, j, s, rr, unite(j, l->tlsa, NULL, rr));
		on_new = satisfies(l, j, s, j->new.rr, j->new.n);
		if (!satisfies(l, j, s, rr, unite(j, l->tlsa, &j->old, rr)))
			l->facts.need_old++;
		if (all && !satisfies(l, j, s, rr, unite(j, l->tlsa, &j->new, rr)))
			l->facts.need_new++;
	}
	tls_source_free(&s);
	return on_new;
}

static void count_chains(const struct roll_job *j, struct roll_look *l)
{
	const struct served *s = l->served;
	struct roll_facts *f = &l->facts;
	if (s->why != NULL)
		trouble(l, s->why);
	for (size_t i = 0; i < s->naddress; i++) {
		const struct served_address *a = &s->address[i];
		char ip[IPADDR_TEXT_MAX];
		bool on_new = false;
		ipaddr_to_text(&a->address, ip);
		f->addresses++;
		if (!a->reached || s->local_failure) {
			f->unreached++;
			trouble(l, arena_printf(&l->mem, "%s [%s] port %u: %s", j->host, ip,
						j->connect_port,
						a->why != NULL ? a->why : "not known"));
		}
		for (int k = 0; k < SERVED_KINDS; k++)
			on_new = (a->chain[k] != NULL && count_chain(j, l, a->chain[k])) || on_new;
		f->on_new += on_new;
	}
}

static void count_others(const struct roll_job *j, struct roll_look *l)
{
	struct tlsa_set set;
	if (l->tlsa == NULL || !tlsa_set_build(&l->mem, l->tlsa, &set))
		return;
	for (size_t i = 0; i < set.n; i++)
		l->facts.others += tlsa_use_is_usable(set.entry[i].use) &&
				   !roll_records_have(&j->old, &set.entry[i].rr) &&
				   !roll_records_have(&j->new, &set.entry[i].rr);
}

/* --- The clock --- */

/* Which boot this is: the monotonic clock begins anew with each. */
static uint64_t boot_number(void)
{
	char text[40] = "";
	uint64_t n = 14695981039346656037u; /* FNV-1a */
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < got; i++)
		n = (n ^ (uint8_t)text[i]) * 1099511628211u;
	return n;
}

int roll_look(const struct cmd *c, const struct roll_job *j, struct roll_look *l)
{
	char error[CMD_ERROR_MAX] = "";
	struct engine_config config = {.conf = c->conf, .log = c->log};
	*l = (struct roll_look){0};
	arena_init(&l->mem, LOOK_MEM_MAX);
	l->engine = engine_new(&config, error, sizeof(error));
	if (l->engine == NULL)
		return cmd_fail(c, EX_CONFIG, "%s", error);
	if (!ask_all(j, l))
		return cmd_fail(c, EX_OSERR, "out of memory");
	l->facts = (struct roll_facts){.now = loop_wall_s(),
				       .boot = boot_number(),
				       .ticks = (int64_t)(loop_now_ms() / 1000),
				       .key_ready = j->new.n > 0};
	l->tlsa = l->own_tlsa;
	l->authority = l->own_authority;
	l->served = l->own_served;
	l->zone = l->authority->zone;
	count_servers(j, l);
	count_lookup(j, l);
	count_chains(j, l);
	count_others(j, l);
	if (l->mem.failed)
		return cmd_fail(c, EX_OSERR, "out of memory");
	return EX_OK;
}

void roll_look_free(struct roll_look *l)
{
	served_free(&l->own_served);
	authority_free(&l->own_authority);
	answer_unref(&l->own_tlsa);
	engine_free(&l->engine);
	arena_free(&l->mem);
}
