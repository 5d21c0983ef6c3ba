/* SPDX-License-Identifier: MIT */
/*
 * The resolver process: one validated cache for all couriers and the warden. Knows questions and
 * packets; refuses to know mail.
 */
#include "relay/mail.h"
#include "relay/process.h"

#include "engine/engine.h"
#include "wire/dname.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DNS_PORT = 53 };

struct asker {
	struct resolver *resolver;
	struct channel *channel;
	struct pending *open;
	struct loop_deferred *deaf; /* it is about to be cut off */
	struct asker *next;
};

struct pending {
	struct asker *asker;
	struct dns_query *query;
	uint64_t id;
	struct pending *next;
};

struct resolver {
	struct process process;
	struct dns *dns;
	struct asker *asker;
};

static void unlink_pending(struct pending *p)
{
	struct pending **at = &p->asker->open;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

static void drop_asker(struct asker *k);

static void on_deaf(void *arg)
{
	struct asker *k = arg;
	k->deaf = NULL;
	drop_asker(k);
}

/* It will not get this answer, and would wait for it: it is cut off, asks its parent for a new
 * channel and puts its questions again. Later, for this may be inside of one of its questions. */
static void cut_off(struct asker *k)
{
	if (k->deaf == NULL)
		k->deaf = loop_defer(k->resolver->process.loop, on_deaf, k);
	if (k->deaf == NULL)
		process_exit(&k->resolver->process); /* a successor starts with all questions */
}

static void answer(struct asker *k, uint64_t id, const struct dns_packet *p)
{
	struct answered a = {.id = id,
			     .security = (uint8_t)p->security,
			     .rcode = p->rcode,
			     .why = p->why,
			     .packet = p->packet};
	answered_put(channel_begin(k->channel, MSG_ANSWER), &a);
	if (!channel_send(k->channel, -1)) /* it does not read, or out of memory */
		cut_off(k);
}

static void on_packet(void *arg, const struct dns_packet *packet)
{
	struct pending *p = arg;
	answer(p->asker, p->id, packet);
	unlink_pending(p);
	free(p);
}

static void refuse(struct asker *k, uint64_t id, const char *why)
{
	answer(k, id, &(struct dns_packet){.rcode = DNS_SERVFAIL, .why = why});
}

static void ask(struct asker *k, const struct question *q)
{
	struct dname name;
	struct pending *p = calloc(1, sizeof(*p));
	if (p == NULL || dname_from_text(slice_str(q->name), &name) != DNAME_OK) {
		refuse(k, q->id, p == NULL ? "out of memory" : "not a domain name");
		free(p);
		return;
	}
	*p = (struct pending){.asker = k, .id = q->id, .next = k->open};
	p->query = dns_ask_packet(k->resolver->dns, q->name, q->type, on_packet, p);
	if (p->query == NULL) {
		refuse(k, q->id, "out of memory");
		free(p);
		return;
	}
	k->open = p;
}

static void drop_asker(struct asker *k)
{
	struct asker **at = &k->resolver->asker;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	while (k->open != NULL) {
		struct pending *p = k->open;
		k->open = p->next;
		dns_cancel(&p->query);
		free(p);
	}
	if (k->deaf != NULL)
		loop_defer_cancel(&k->deaf);
	channel_free(&k->channel);
	free(k);
}

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct asker *k = arg;
	struct arena mem;
	struct question q;
	(void)c;
	arena_init(&mem, 8192);
	bool ok = type == MSG_ASK && question_get(payload, &mem, &q);
	if (ok)
		ask(k, &q);
	arena_free(&mem);
	if (!ok)
		drop_asker(k);
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	(void)c;
	(void)why;
	drop_asker(arg);
}

static void on_peer(void *self, enum role role, int fd)
{
	struct resolver *r = self;
	bool may_ask = role == ROLE_COURIER || role == ROLE_WARDEN;
	struct asker *k = may_ask ? calloc(1, sizeof(*k)) : NULL;
	if (k == NULL) {
		close(fd);
		return;
	}
	k->resolver = r;
	k->channel = channel_new(r->process.loop, fd, ROLE_RESOLVER, role, on_message, on_gone, k);
	if (k->channel == NULL) {
		free(k);
		return;
	}
	k->next = r->asker;
	r->asker = k;
}

static void on_drain(void *self)
{
	struct resolver *r = self;
	process_exit(&r->process);
}

static struct dns *open_dns(struct resolver *r, char *error, size_t room)
{
	struct dns_config d;
	engine_dns_config(r->process.birth.conf, &d);
	engine_warn_of_unsafe_dns(r->process.birth.conf, r->process.log);
	return dns_new(r->process.loop, &d, error, room);
}

/* The ports of name servers: 53, and what a private root or a forwarder uses. */
void resolver_paths(const struct conf *c, uint16_t ports[static RESOLVER_PORTS_MAX],
		    struct sandbox_paths *out)
{
	const char *const servers[] = {c->dns_stub, c->dns_forward};
	ports[0] = DNS_PORT;
	*out = (struct sandbox_paths){.read = c->dns_anchor, .connect = ports, .nconnect = 1};
	for (size_t i = 0; i < 2; i++) {
		const char *at = servers[i] != NULL ? strchr(servers[i], '@') : NULL;
		uint64_t port;
		if (at != NULL && slice_to_u64(slice_str(at + 1), 65535, &port))
			ports[out->nconnect++] = (uint16_t)port;
	}
}

static bool confine(struct resolver *r)
{
	uint16_t ports[RESOLVER_PORTS_MAX];
	struct sandbox_paths paths;
	resolver_paths(r->process.birth.conf, ports, &paths);
	return process_confine(&r->process, SANDBOX_RESOLVER, &paths);
}

int resolver_main(const struct birth *b)
{
	char error[512] = "";
	int code = EXIT_FAILURE;
	struct resolver r = {0};
	if (!process_init(&r.process, b, &r))
		return EXIT_FAILURE;
	r.process.on_peer = on_peer;
	r.process.on_drain = on_drain;
	if (process_drop(&r.process))
		r.dns = open_dns(&r, error, sizeof(error));
	if (r.dns != NULL && confine(&r))
		code = process_run(&r.process);
	else if (r.dns == NULL)
		log_event(r.process.log, LOG_LEVEL_ERROR, "resolver", "error", error, NULL);
	while (r.asker != NULL)
		drop_asker(r.asker);
	dns_free(&r.dns);
	process_free(&r.process);
	return code;
}
