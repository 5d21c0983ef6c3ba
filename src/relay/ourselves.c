/* SPDX-License-Identifier: MIT */
/* Knows listeners and interfaces; refuses to know what an MX record is. */
#include "relay/ourselves.h"

#include "relay/network.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct found {
	struct ipaddr *list;
	size_t n;
	bool failed;
};

static void add_address(struct found *f, const struct ipaddr *ip)
{
	struct ipaddr *more = realloc(f->list, (f->n + 1) * sizeof(*more));
	if (more == NULL) {
		f->failed = true;
		return;
	}
	f->list = more;
	f->list[f->n++] = *ip;
}

static bool is_unspecified(const struct ipaddr *ip)
{
	static const uint8_t zero[16];
	return memcmp(ip->b, zero, ip->family == 6 ? 16 : 4) == 0;
}

static bool address_of(const struct sockaddr *sa, struct ipaddr *out)
{
	*out = (struct ipaddr){0};
	if (sa != NULL && sa->sa_family == AF_INET) {
		out->family = 4;
		memcpy(out->b, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa != NULL && sa->sa_family == AF_INET6) {
		out->family = 6;
		memcpy(out->b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	}
	return out->family != 0;
}

/* Interfaces that cannot be listed add nothing: smtp.own-addresses may say more. */
static void add_interfaces(struct found *f, uint8_t family)
{
	struct ifaddrs *all = NULL;
	struct ipaddr ip;
	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		if (address_of(i->ifa_addr, &ip) && ip.family == family && !ipaddr_is_loopback(&ip))
			add_address(f, &ip);
	}
	freeifaddrs(all);
}

static void add_listeners(struct found *f, const char *const *list)
{
	struct ipaddr ip;
	uint16_t port;
	for (size_t i = 0; list[i] != NULL; i++) {
		if (!endpoint_from_text(list[i], &ip, &port))
			continue; /* the start refuses it */
		if (is_unspecified(&ip))
			add_interfaces(f, ip.family);
		else
			add_address(f, &ip);
	}
}

struct ipaddr *ourselves_find(const struct conf *c, size_t *n)
{
	struct found f = {.list = calloc(1, sizeof(*f.list))};
	if (f.list == NULL)
		return NULL;
	add_listeners(&f, c->relay_smtp);
	add_listeners(&f, c->relay_submission);
	add_listeners(&f, c->relay_submissions);
	if (f.failed) {
		free(f.list);
		return NULL;
	}
	*n = f.n;
	return f.list;
}
