/* SPDX-License-Identifier: MIT */
/* Making an engine from the configuration. Knows every edge room; decides nothing. */
#include "engine/engine.h"

#include "wire/destination.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static uint32_t limited_ms(long seconds, uint32_t limit)
{
	uint32_t ms = (uint32_t)seconds * 1000;
	return limit > 0 && ms > limit ? limit : ms;
}

static void set_timeouts(struct engine *e, uint32_t limit)
{
	const struct conf *c = e->conf;
	e->connect_ms = limited_ms(c->smtp_timeout_connect, limit);
	e->opening_ms = (uint32_t)c->smtp_timeout_opening * 1000;
	e->timeouts = (struct smtpc_timeouts){
	    .greeting = limited_ms(c->smtp_timeout_greeting, limit),
	    .ehlo = limited_ms(c->smtp_timeout_ehlo, limit),
	    .starttls = limited_ms(c->smtp_timeout_starttls, limit),
	    .handshake = limited_ms(c->smtp_timeout_handshake, limit),
	    .mail = limited_ms(c->smtp_timeout_mail, limit),
	    .rcpt = limited_ms(c->smtp_timeout_rcpt, limit),
	    .data_init = limited_ms(c->smtp_timeout_data_init, limit),
	    .data_block = limited_ms(c->smtp_timeout_data_block, limit),
	    .data_done = limited_ms(c->smtp_timeout_data_done, limit),
	    .quit = limited_ms(c->smtp_timeout_quit, limit),
	};
}

/* smtp.helo, else the machine's fully qualified name, else an address literal of nothing in
 * particular. */
static void set_helo(struct engine *e)
{
	char host[256];
	if (e->conf->smtp_helo != NULL) {
		snprintf(e->helo, sizeof(e->helo), "%s", e->conf->smtp_helo);
		return;
	}
	if (gethostname(host, sizeof(host) - 1) != 0)
		snprintf(host, sizeof(host), "localhost");
	host[sizeof(host) - 1] = '\0';
	struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM},
			*info = NULL;
	bool dotted = strchr(host, '.') != NULL;
	if (!dotted && getaddrinfo(host, NULL, &hints, &info) == 0 && info->ai_canonname != NULL) {
		snprintf(host, sizeof(host), "%s", info->ai_canonname);
		e->helo_from_dns = true;
	}
	if (info != NULL)
		freeaddrinfo(info);
	snprintf(e->helo, sizeof(e->helo), "%s", host);
}

static bool set_own_addresses(struct engine *e, const struct engine_config *c)
{
	size_t n = 0;
	while (e->conf->smtp_own_addresses[n] != NULL)
		n++;
	e->own_address = calloc(n + c->nown_address + 1, sizeof(*e->own_address));
	if (e->own_address == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct slice text = slice_str(e->conf->smtp_own_addresses[i]);
		if (ipaddr_from_text(text, &e->own_address[e->nown_address]))
			e->nown_address++;
	}
	for (size_t i = 0; i < c->nown_address; i++)
		e->own_address[e->nown_address++] = c->own_address[i];
	return true;
}

void engine_dns_config(const struct conf *c, struct dns_config *out)
{
	*out = (struct dns_config){
	    .anchors = c->dns_anchor,
	    .stub = c->dns_stub,
	    .forward = c->dns_forward,
	    .options = c->dns_unbound,
	    .unsafe_options = c->dns_unsafe || c->dns_unbound_typed,
	    .msg_cache_size = c->dns_msg_cache_size,
	    .rrset_cache_size = c->dns_rrset_cache_size,
	    .sig_skew_s = (uint32_t)c->dns_sig_skew,
	    .timeout_ms = (uint32_t)c->dns_timeout * 1000,
	};
}

bool engine_warn_of_unsafe_dns(const struct conf *c, struct log *log)
{
	const char *unsafe = dns_unsafe_option(c->dns_unbound);
	if (unsafe != NULL)
		log_event(log, LOG_LEVEL_ERROR, "dns-unsafe", "option", unsafe, "text",
			  "dns.unbound may turn DNSSEC validation off or put answers in its place: "
			  "what is called proven here need not be",
			  NULL);
	return unsafe != NULL;
}

static bool start_dns(struct engine *e, char *error, size_t room)
{
	struct dns_config d;
	engine_dns_config(e->conf, &d);
	e->dns = dns_new(e->loop, &d, error, room);
	if (e->dns != NULL)
		engine_warn_of_unsafe_dns(e->conf, e->log);
	if (e->dns != NULL && dns_library_warning() != NULL)
		log_event(e->log, LOG_LEVEL_WARN, "dns-library", "text", dns_library_warning(),
			  NULL);
	return e->dns != NULL;
}

static void *ask_own(void *self, const char *name, uint16_t type, dns_cb *cb, void *arg)
{
	return dns_ask(self, name, type, cb, arg);
}

static void cancel_own(void *self, void *query)
{
	struct dns_query *q = query;
	(void)self;
	dns_cancel(&q);
}

static bool start_resolver(struct engine *e, const struct engine_config *c, char *error,
			   size_t room)
{
	if (c->resolver != NULL) {
		e->resolver = *c->resolver;
		return true;
	}
	if (!start_dns(e, error, room))
		return false;
	e->resolver = (struct engine_resolver){e->dns, ask_own, cancel_own};
	return true;
}

static bool start(struct engine *e, const struct engine_config *c, char *error, size_t room)
{
	snprintf(error, room, "out of memory");
	set_timeouts(e, c->phase_limit_ms);
	set_helo(e);
	e->own_loop = c->loop == NULL;
	e->loop = c->loop != NULL ? c->loop : loop_new();
	if (e->loop == NULL || !set_own_addresses(e, c))
		return false;
	if (getrandom(&e->seed, sizeof(e->seed), 0) != (ssize_t)sizeof(e->seed)) {
		snprintf(error, room, "the system gives no random numbers");
		return false;
	}
	struct tls_client_config t = {.sessions_max = (size_t)e->conf->tls_sessions,
				      .verify_offset_s = c->verify_offset_s};
	e->tls = tls_client_new(&t, error, room);
	if (e->tls == NULL || (c->sealed && conf_has_submission(e->conf, NULL) &&
			       !tls_client_load_cas(e->tls, error, room)))
		return false;
	return start_resolver(e, c, error, room);
}

struct engine *engine_new(const struct engine_config *c, char *error, size_t room)
{
	struct engine *e = calloc(1, sizeof(*e));
	if (e == NULL) {
		snprintf(error, room, "out of memory");
		return NULL;
	}
	e->conf = c->conf;
	e->log = c->log;
	e->keep_ms = c->keep_ms;
	e->relaying = c->relaying;
	e->credentials = c->credentials;
	if (c->reach != NULL)
		e->reach = *c->reach;
	e->no_ipv4 = c->no_ipv4 || !c->conf->smtp_ipv4;
	e->no_ipv6 = c->no_ipv6 || !c->conf->smtp_ipv6;
	if (!start(e, c, error, room))
		engine_free(&e);
	return e;
}

void engine_free(struct engine **e)
{
	if (*e == NULL)
		return;
	pool_empty(&(*e)->pool);
	dns_free(&(*e)->dns);
	tls_client_free(&(*e)->tls);
	if ((*e)->own_loop)
		loop_free(&(*e)->loop);
	free((*e)->own_address);
	free(*e);
	*e = NULL;
}

void engine_plan_config(struct engine *e, const char *destination,
			char address[static IPADDR_TEXT_MAX], struct plan_config *out)
{
	*out = (struct plan_config){
	    .next_hop = destination,
	    /* T7: who forges the name of this machine must not make a mail loop of somebody's MX */
	    .own_name = e->helo_from_dns ? NULL : e->helo,
	    .own_address = e->own_address,
	    .nown_address = e->nown_address,
	    .relaying = e->relaying,
	    .no_ipv4 = e->no_ipv4,
	    .no_ipv6 = e->no_ipv6,
	    .seed = e->seed++,
	};
	if (destination_address(destination, &out->literal)) {
		ipaddr_to_text(&out->literal, address);
		out->next_hop = address;
	}
	conf_policy_for(e->conf, destination, &out->policy);
}
