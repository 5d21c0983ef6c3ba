/* SPDX-License-Identifier: MIT */
/* The bare resolver loop. Knows libunbound and libevent; parses nothing. */
#include "bare_dns.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>

enum { SECURE = 2 };

/* As src/dns/setup.c sets them, as far as they cost or save anything here. */
static const char *const settings[][2] = {
    {"module-config:", "validator iterator"},
    {"verbosity:", "0"},
    {"use-syslog:", "no"},
    {"harden-below-nxdomain:", "yes"},
    {"harden-short-bufsize:", "yes"},
    {"harden-large-queries:", "yes"},
    {"qname-minimisation:", "yes"},
    {"outgoing-range:", "256"},
    {"num-queries-per-thread:", "2048"},
    {"do-not-query-localhost:", "no"},
};

struct domain {
	struct bare_dns *dns;
	const struct asked_list *list;
	size_t asked, answered;
	bool ready; /* in the list below */
	struct domain *next;
};

struct bare_dns {
	struct event_base *base;
	struct ub_ctx *ctx;
	struct domain *ready; /* answers came: the library is not called again from its callback */
	size_t failed;
	size_t domains; /* under way */
};

static void on_event(void *arg, int rcode, void *packet, int len, int sec, char *why, int limited)
{
	(void)packet, (void)len, (void)why, (void)limited;
	struct domain *d = arg;
	if (rcode != 0 || sec != SECURE)
		d->dns->failed++;
	d->answered++;
	if (d->ready)
		return;
	d->ready = true;
	d->next = d->dns->ready;
	d->dns->ready = d;
}

static void ask_more(struct domain *d)
{
	const struct asked_list *l = d->list;
	while (d->asked < l->n && l->q[d->asked].after <= d->answered) {
		const struct asked *q = &l->q[d->asked++];
		int id;
		if (ub_resolve_event(d->dns->ctx, q->name, q->type, 1, d, on_event, &id) != 0)
			on_event(d, -1, NULL, 0, 0, NULL, 0);
	}
}

static void start(struct bare_dns *b, const struct asked_list *l)
{
	struct domain *d = calloc(1, sizeof(*d));
	if (d == NULL)
		abort();
	*d = (struct domain){.dns = b, .list = l};
	b->domains++;
	ask_more(d);
}

static void go_on(struct bare_dns *b)
{
	while (b->ready != NULL) {
		struct domain *d = b->ready;
		b->ready = d->next;
		d->ready = false;
		if (d->answered < d->list->n) {
			ask_more(d);
		} else {
			b->domains--;
			free(d);
		}
	}
}

size_t bare_dns_run(struct bare_dns *b, const struct asked_list *l, size_t n, size_t parallel)
{
	b->failed = 0;
	for (size_t next = 0; next < n || b->domains > 0;) {
		while (next < n && b->domains < parallel)
			start(b, &l[next++]);
		if (b->ready == NULL && b->domains > 0)
			event_base_loop(b->base, EVLOOP_ONCE);
		go_on(b);
	}
	return b->failed;
}

static bool set_up(struct ub_ctx *ctx, const struct conf *c)
{
	ub_ctx_debugout(ctx, NULL);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (ub_ctx_set_option(ctx, settings[i][0], settings[i][1]) != 0)
			return false;
	}
	return ub_ctx_set_option(ctx, "msg-cache-size:", c->dns_msg_cache_size) == 0 &&
	       ub_ctx_set_option(ctx, "rrset-cache-size:", c->dns_rrset_cache_size) == 0 &&
	       ub_ctx_set_stub(ctx, ".", c->dns_stub, 0) == 0 &&
	       ub_ctx_add_ta_file(ctx, c->dns_anchor[0]) == 0;
}

struct bare_dns *bare_dns_new(const struct conf *c)
{
	struct bare_dns *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->base = event_base_new();
	b->ctx = b->base != NULL ? ub_ctx_create_event(b->base) : NULL;
	if (b->ctx == NULL || !set_up(b->ctx, c)) {
		fputs("bare resolver: cannot set libunbound up\n", stderr);
		bare_dns_free(&b);
	}
	return b;
}

void bare_dns_free(struct bare_dns **b)
{
	if (*b == NULL)
		return;
	if ((*b)->ctx != NULL)
		ub_ctx_delete((*b)->ctx);
	if ((*b)->base != NULL)
		event_base_free((*b)->base);
	free(*b);
	*b = NULL;
}
