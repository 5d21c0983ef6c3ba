/* SPDX-License-Identifier: MIT */
/*
 * Setting up the resolver library.
 *
 * Knows unbound's options, and which of its defaults do not suit a mail relay. Refuses to know what
 * is asked later. Whatever can be wrong with the operator's settings is found here and not at the
 * first question: the library reads trust anchors only when it is used for the first time.
 */
#include "dns/room.h"

#include "base/slice.h"
#include "wire/ipaddr.h"

#include <errno.h>
#include <stdarg.h>
#include <unbound.h>
#include <unbound-event.h>

#define TEXT_OF(n) TEXT_OF_IT(n)
#define TEXT_OF_IT(n) #n

struct setting {
	const char *key;
	const char *value;
};

static const struct setting ours[] = {
    {"module-config:", "validator iterator"},
    {"verbosity:", "0"},
    {"use-syslog:", "no"},
    {"prefetch:", "no"},
    /* Synthesised denials would make "absent" depend on what else was asked before. */
    {"aggressive-nsec:", "no"},
    {"harden-glue:", "yes"},
    {"harden-dnssec-stripped:", "yes"},
    {"harden-below-nxdomain:", "yes"},
    {"harden-short-bufsize:", "yes"},
    {"harden-large-queries:", "yes"},
    {"val-permissive-mode:", "no"},
    {"val-clean-additional:", "yes"},
    /* The library does not count an alias that a shortened question meets (1.17.1 to 1.24 at
       least): one endless chain costs thousands of queries, as often as it is looked up. The price:
       name servers of the root and of top-level domains see whole names, as those of the domain do.
     */
    {"qname-minimisation:", "no"},
    /* A name server that was down is tried again now and then, not forgotten for 15 minutes. */
    {"infra-keep-probing:", "yes"},
    /* The library's 16 sockets are too few for hundreds of domains at once. */
    {"outgoing-range:", "256"},
    {"num-queries-per-thread:", "2048"},
};

/* What one question may cost, spelled out where the library lets us; an older one has the same or
 * less built in, and refuses the key. */
static const struct setting bounds[] = {
    {"max-query-restarts:", TEXT_OF(DNS_ALIASES_MAX)}, /* an endless chain of aliases */
    {"max-sent-count:", "32"},             /* queries between two of those or two referrals */
    {"outbound-msg-retry:", "5"},          /* to one address */
    {"max-global-quota:", "128"},          /* for everything that one question leads to */
    {"iter-scrub-ns:", "20"},              /* name servers of one delegation (NXNSAttack) */
    {"iter-scrub-cname:", "11"},           /* aliases in one reply */
    {"target-fetch-policy:", "0 0 0 0 0"}, /* addresses of name servers only when they are needed */
    {"val-max-restart:", "5"},             /* other servers asked when a signature is wrong */
};

bool setup_fail(struct setup_error *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, e->room, fmt, ap);
	va_end(ap);
	return false;
}

/* --- options --------------------------------------------------------------------------------- */

static bool set(struct ub_ctx *ctx, const char *key, const char *value, struct setup_error *e)
{
	if (ub_ctx_set_option(ctx, key, value) == 0)
		return true;
	return setup_fail(e, "the resolver library refuses \"%s %s\"", key, value);
}

static bool set_number(struct ub_ctx *ctx, const char *key, uint32_t v, struct setup_error *e)
{
	char text[16];
	snprintf(text, sizeof text, "%u", v);
	return set(ctx, key, text, e);
}

/* Without validation every answer would be insecure, and every DANE policy would silently be gone.
 * (The library also crashes after an unknown module.) */
static bool turns_validation_off(struct slice key)
{
	return slice_eq_nocase_str(key, "module-config") ||
	       slice_eq_nocase_str(key, "val-permissive-mode");
}

/* The value as the library's setter wants it, where that is not what unbound.conf(5) says: its
 * parser strips quotes ("test." nodefault), and only there does nodefault work. A transparent zone
 * without data is the same thing. */
static void to_setter_form(struct slice key, struct slice value, char *out, size_t room)
{
	struct slice tail, quoted = slice_cut(value, ' ', &tail);
	if (value.n > 0 && (value.p[0] == '"' || value.p[0] == '\'')) {
		struct slice inside = slice_from(value, 1);
		size_t end = slice_find(inside, value.p[0]);
		if (end < inside.n) {
			quoted = slice_first(inside, end);
			tail = slice_from(inside, end + 1);
		}
	}
	tail = slice_trim(tail);
	if (slice_eq_nocase_str(key, "local-zone") && slice_eq_nocase_str(tail, "nodefault"))
		tail = SLICE_LIT("transparent");
	snprintf(out, room, "%.*s%s%.*s", (int)quoted.n, (const char *)quoted.p, tail.n ? " " : "",
		 (int)tail.n, tail.n ? (const char *)tail.p : "");
}

/* "key: value" as in unbound.conf(5). */
static bool set_line(struct ub_ctx *ctx, const char *line, struct setup_error *e)
{
	struct slice value, key = slice_trim(slice_cut(slice_str(line), ':', &value));
	char k[64], v[1024];
	value = slice_trim(value);
	if (key.n == 0 || value.n == 0 || key.n > sizeof k - 2 || value.n + 16 >= sizeof v)
		return setup_fail(e, "resolver option \"%.80s\": expected \"key: value\"", line);
	if (turns_validation_off(key))
		return setup_fail(e,
				  "resolver option \"%.80s\": not allowed, DNSSEC validation is "
				  "not optional",
				  line);
	snprintf(k, sizeof k, "%.*s:", (int)key.n, (const char *)key.p);
	to_setter_form(key, value, v, sizeof v);
	if (ub_ctx_set_option(ctx, k, v) == 0)
		return true;
	return setup_fail(e, "resolver option \"%.80s\": unknown, or the value is not allowed",
			  line);
}

static bool is_loopback(const char *server)
{
	struct slice port;
	struct ipaddr ip;
	static const uint8_t one[16] = {[15] = 1};
	if (!server || !ipaddr_from_text(slice_cut(slice_str(server), '@', &port), &ip))
		return false;
	return ip.family == 4 ? ip.b[0] == 127 : memcmp(ip.b, one, sizeof one) == 0;
}

static bool set_zone_server(struct ub_ctx *ctx, const struct dns_config *c, struct setup_error *e)
{
	if (!c->zone)
		return true;
	if (ub_ctx_set_stub(ctx, c->zone, c->zone_server, 0) != 0)
		return setup_fail(e, "cannot ask %.80s for the zone %.255s", c->zone_server,
				  c->zone);
	return set(ctx, "cache-max-ttl:", "2147483647", e) &&
	       set(ctx, "cache-max-negative-ttl:", "2147483647", e);
}

/* Where questions go. */
static bool set_route(struct ub_ctx *ctx, const struct dns_config *c, struct setup_error *e)
{
	if (c->stub && c->forward)
		return setup_fail(e, "dns.stub and dns.forward exclude each other");
	if (c->no_ipv4 && c->no_ipv6)
		return setup_fail(e, "name servers need IPv4 or IPv6");
	if (c->stub && ub_ctx_set_stub(ctx, ".", c->stub, 0) != 0)
		return setup_fail(e, "dns.stub: \"%.80s\" is not ADDRESS[@PORT]", c->stub);
	if (c->forward && ub_ctx_set_fwd(ctx, c->forward) != 0)
		return setup_fail(e, "dns.forward: \"%.80s\" is not ADDRESS[@PORT]", c->forward);
	if (!set_zone_server(ctx, c, e))
		return false;
	/* A hostile delegation must not make us talk to what listens on this machine. */
	bool local = is_loopback(c->stub) || is_loopback(c->forward);
	return set(ctx, "do-not-query-localhost:", local ? "no" : "yes", e) &&
	       set(ctx, "do-ip4:", c->no_ipv4 ? "no" : "yes", e) &&
	       set(ctx, "do-ip6:", c->no_ipv6 ? "no" : "yes", e);
}

bool setup_options(struct ub_ctx *ctx, const struct dns_config *c, struct setup_error *e)
{
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (!set(ctx, ours[i].key, ours[i].value, e))
			return false;
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
		(void)ub_ctx_set_option(ctx, bounds[i].key, bounds[i].value);
	if (c->msg_cache_size && !set(ctx, "msg-cache-size:", c->msg_cache_size, e))
		return false;
	if (c->rrset_cache_size && !set(ctx, "rrset-cache-size:", c->rrset_cache_size, e))
		return false;
	/* Both bounds: the default of a tenth of the lifetime takes signatures that expired hours
	   ago. */
	if (!set_number(ctx, "val-sig-skew-min:", c->sig_skew_s, e) ||
	    !set_number(ctx, "val-sig-skew-max:", c->sig_skew_s, e) || !set_route(ctx, c, e))
		return false;
	for (const char *const *o = c->options; o && *o; o++)
		if (!set_line(ctx, *o, e))
			return false;
	const char *unsafe = c->unsafe_options ? NULL : dns_unsafe_option(c->options);
	return !unsafe ||
	       setup_fail(e,
			  "dns.unbound: \"%.80s\" may turn DNSSEC validation off or put answers in "
			  "its place; leave it out, or say dns.unsafe = yes",
			  unsafe);
}

/* --- anchors --------------------------------------------------------------------------------- */

/* Is one of the words of a zone-file line DS or DNSKEY? */
static bool line_has_key(const char *text)
{
	struct slice line = slice_cut(slice_str(text), ';', &(struct slice){0});
	for (size_t i = 0; i < line.n;) {
		size_t from = i;
		while (i < line.n && !memchr(" \t\r\n", line.p[i], 4))
			i++;
		struct slice word = slice_make(line.p + from, i - from);
		if (slice_eq_nocase_str(word, "DS") || slice_eq_nocase_str(word, "DNSKEY"))
			return true;
		i++;
	}
	return false;
}

static bool check_anchor(const char *path, struct setup_error *e)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return setup_fail(e, "trust anchor file %.200s: %s", path, strerror(errno));
	char line[4096];
	bool found = false;
	while (!found && fgets(line, sizeof line, f))
		found = line_has_key(line);
	bool bad = ferror(f);
	fclose(f);
	if (bad)
		return setup_fail(e, "trust anchor file %.200s: cannot be read", path);
	if (!found)
		return setup_fail(e, "trust anchor file %.200s: has no DS or DNSKEY record", path);
	return true;
}

bool setup_anchors(struct ub_ctx *ctx, const struct dns_config *c, struct setup_error *e)
{
	if (!c->anchors || !c->anchors[0])
		return setup_fail(e, "no DNSSEC trust anchor: install the package dns-root-data, "
				     "or set dns.anchor to a file with the root's DS or DNSKEY");
	for (const char *const *a = c->anchors; *a; a++) {
		if (!check_anchor(*a, e))
			return false;
		if (ub_ctx_add_ta_file(ctx, *a) != 0)
			return setup_fail(e, "trust anchor file %.200s: out of memory", *a);
	}
	return true;
}

/* --- the first use --------------------------------------------------------------------------- */

static void ignore_event(void *arg, int rcode, void *packet, int len, int sec, char *why, int limit)
{
	(void)arg, (void)rcode, (void)packet, (void)len, (void)sec, (void)why, (void)limit;
}

/* The first line that the library wrote, without its "[time] libunbound[pid:tid] " marks: the
 * cause. Later lines say what it led to. */
static struct slice first_message(const char *text, size_t n)
{
	struct slice rest, s = slice_cut(slice_make(text, n), '\n', &rest);
	for (int marks = 0; marks < 2; marks++) {
		size_t at = slice_find(s, ']');
		if (at < s.n)
			s = slice_trim(slice_from(s, at + 1));
	}
	if (slice_starts_nocase(s, "error: "))
		s = slice_from(s, strlen("error: "));
	return s;
}

/* A question that the library answers by itself makes it read its settings and anchor files.
 * What it has to say about them comes as log lines only. */
bool setup_finish(struct ub_ctx *ctx, struct setup_error *e)
{
	char *text = NULL;
	size_t n = 0;
	int id = 0;
	FILE *log = open_memstream(&text, &n);
	if (!log)
		return setup_fail(e, "out of memory");
	ub_ctx_debugout(ctx, log);
	int rc = ub_resolve_event(ctx, "localhost", 1, 1, NULL, ignore_event, &id);
	ub_ctx_debugout(ctx, NULL);
	fclose(log);
	if (rc == 0) {
		ub_cancel(ctx, id); /* for the operator who turned local zones off */
	} else {
		struct slice said = first_message(text, n);
		setup_fail(e, "the resolver does not start: %s%s%.*s", ub_strerror(rc),
			   said.n ? ": " : "", (int)(said.n < 300 ? said.n : 300),
			   said.n ? (const char *)said.p : "");
	}
	free(text);
	return rc == 0;
}
