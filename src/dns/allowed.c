/* SPDX-License-Identifier: MIT */
/*
 * Which options of the resolver library cannot change what is true.
 *
 * A list of what is known to be harmless: sizes, times, sockets, logs, and the strict side of each
 * switch. Whatever is not in it (domain-insecure, local-data, val-override-date, serve-expired, an
 * option of a later library) may make an answer of somebody's choice count, and needs the
 * operator's word. Refuses to know what else the library can do.
 */
#include "dns/dns.h"

#include "base/slice.h"

#include <string.h>

enum values { ANY, NO, YES, ZONE_OF_THE_WORLD };

static const struct {
	const char *key;
	enum values values; /* that are harmless */
} harmless[] = {
    {"cache-max-negative-ttl", ANY},
    {"delay-close", ANY},
    {"discard-timeout", ANY},
    {"do-ip4", ANY},
    {"do-ip6", ANY},
    {"do-not-query-localhost", ANY},
    {"do-tcp", ANY},
    {"do-udp", ANY},
    {"edns-buffer-size", ANY},
    {"harden-algo-downgrade", YES},
    {"harden-below-nxdomain", YES},
    {"harden-dnssec-stripped", YES},
    {"harden-glue", YES},
    {"harden-large-queries", ANY},
    {"harden-referral-path", ANY},
    {"harden-short-bufsize", ANY},
    {"infra-cache-max-rtt", ANY},
    {"infra-cache-min-rtt", ANY},
    {"infra-cache-numhosts", ANY},
    {"infra-cache-slabs", ANY},
    {"infra-host-ttl", ANY},
    {"infra-keep-probing", ANY},
    {"interface", ANY},
    {"jostle-timeout", ANY},
    {"key-cache-size", ANY},
    {"key-cache-slabs", ANY},
    {"local-zone", ZONE_OF_THE_WORLD},
    {"log-identity", ANY},
    {"log-queries", ANY},
    {"log-replies", ANY},
    {"log-servfail", ANY},
    {"log-time-ascii", ANY},
    {"max-query-restarts", ANY},
    {"max-sent-count", ANY},
    {"msg-cache-size", ANY},
    {"msg-cache-slabs", ANY},
    {"neg-cache-size", ANY},
    {"num-queries-per-thread", ANY},
    {"outbound-msg-retry", ANY},
    {"outgoing-interface", ANY},
    {"outgoing-num-tcp", ANY},
    {"outgoing-port-avoid", ANY},
    {"outgoing-port-permit", ANY},
    {"outgoing-range", ANY},
    {"outgoing-tcp-mss", ANY},
    {"prefer-ip4", ANY},
    {"prefer-ip6", ANY},
    {"prefetch", NO},
    {"prefetch-key", ANY},
    {"qname-minimisation", ANY},
    {"qname-minimisation-strict", ANY},
    {"rrset-cache-size", ANY},
    {"rrset-cache-slabs", ANY},
    {"serve-expired", NO},
    {"so-rcvbuf", ANY},
    {"so-sndbuf", ANY},
    {"stream-wait-size", ANY},
    {"target-fetch-policy", ANY},
    {"tcp-idle-timeout", ANY},
    {"tcp-mss", ANY},
    {"unknown-server-time-limit", ANY},
    {"use-caps-for-id", ANY},
    {"val-bogus-ttl", ANY},
    {"val-clean-additional", YES},
    {"val-log-level", ANY},
    {"val-log-squelch", ANY},
    {"val-max-restart", ANY},
    {"verbosity", ANY},
};

/* A zone that the library has built in is looked up in the world again; every other kind answers
 * from here, and unsigned. */
static bool is_of_the_world(struct slice value)
{
	static const char *const kinds[] = {"transparent", "nodefault"};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t n = strlen(kinds[i]);
		if (value.n > n && memchr(" \t\"'", value.p[value.n - n - 1], 4) &&
		    slice_eq_nocase_str(slice_from(value, value.n - n), kinds[i]))
			return true;
	}
	return false;
}

static bool is_harmless(const char *line)
{
	struct slice value, key = slice_trim(slice_cut(slice_str(line), ':', &value));
	value = slice_trim(value);
	for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
		if (!slice_eq_nocase_str(key, harmless[i].key))
			continue;
		switch (harmless[i].values) {
		case ANY:
			return true;
		case NO:
			return slice_eq_nocase_str(value, "no");
		case YES:
			return slice_eq_nocase_str(value, "yes");
		case ZONE_OF_THE_WORLD:
			return is_of_the_world(value);
		}
	}
	return false;
}

const char *dns_unsafe_option(const char *const *options)
{
	for (; options && *options; options++)
		if (!is_harmless(*options))
			return *options;
	return NULL;
}
