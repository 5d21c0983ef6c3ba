/* SPDX-License-Identifier: MIT */
/* A record for people: on one line, or all of it. */
#include "cmd/audit.h"

#include "dane/tlsaset.h"

#include <inttypes.h>
#include <string.h>

enum { VALUE_MAX = 2 * AUDIT_TEXT_MAX + 64 };

/* "%.*s" wants two arguments each. */
#define TEXT(s) (int)(s).n, (s).n > 0 ? (const char *)(s).p : ""

static struct slice or_dash(struct slice s)
{
	return s.n > 0 ? s : SLICE_LIT("-");
}

static enum tone tone_of(const struct audit_attempt *a)
{
	if (a->continuity == CONTINUITY_UNAUTHORISED_CHANGE)
		return TONE_BAD;
	return slice_eq_str(a->reason, "ok") ? TONE_GOOD : TONE_WARN;
}

static void print_attempt(const struct audit_attempt *a, const struct style *s)
{
	enum tone tone = tone_of(a);
	say(stdout, "%.*s  %.*s", TEXT(or_dash(a->next_hop)), TEXT(or_dash(a->host)));
	if (a->address.n > 0)
		say(stdout, " [%.*s]", TEXT(a->address));
	if (a->port != 0 && a->address.n > 0)
		say(stdout, ":%u", a->port);
	say(stdout, "  %.*s  %s%.*s%s", TEXT(or_dash(a->policy)), tone_on(s, tone), TEXT(a->reason),
	    tone_off(s));
	if (a->version.n > 0)
		say(stdout, "  %.*s%s%s", TEXT(a->version), a->reused ? " reused" : "",
		    a->resumed ? " resumed" : "");
	else if (a->address.n > 0)
		say(stdout, "  in clear");
	if (a->continuity != CONTINUITY_NONE)
		say(stdout, "  %s%s%s",
		    a->continuity == CONTINUITY_UNAUTHORISED_CHANGE ? tone_on(s, TONE_BAD) : "",
		    continuity_name(a->continuity),
		    a->continuity == CONTINUITY_UNAUTHORISED_CHANGE ? tone_off(s) : "");
	say(stdout, "  %.*s", TEXT(or_dash(a->queue_id)));
}

static void print_override(const struct audit_override *o)
{
	char until[AUDIT_TIME_MAX];
	audit_time_text(o->expires, until);
	if (o->set)
		say(stdout, "policy of %.*s is %.*s until %s", TEXT(o->pattern), TEXT(o->policy),
		    until);
	else
		say(stdout, "policy of %.*s is what the configuration says", TEXT(o->pattern));
}

static void print_checkpoint(const struct audit_checkpoint *c)
{
	char before[AUDIT_TIME_MAX];
	audit_time_text(c->before, before);
	say(stdout, "records up to %" PRIu64 " were removed: older than %s", c->upto, before);
}

static void print_carried(const struct audit_carried *c)
{
	char hex[AUDIT_HEX_MAX], first[AUDIT_TIME_MAX];
	audit_time_text(c->first, first);
	say(stdout, "%.*s port %u %.*s: certificate %s is known since %s, authority %s",
	    TEXT(c->host), c->port, TEXT(c->key_type), audit_hex(c->cert, hex), first,
	    audit_authority_name(c->authority));
}

static void print_body(const struct audit_record *r, const struct style *s)
{
	char before[AUDIT_TIME_MAX];
	switch (r->type) {
	case AUDIT_ATTEMPT:
		print_attempt(&r->attempt, s);
		break;
	case AUDIT_OVERRIDE:
		print_override(&r->override);
		break;
	case AUDIT_SELFCHECK:
		say(stdout, "%.*s: %.*s %s%s%.*s", TEXT(r->selfcheck.name),
		    TEXT(r->selfcheck.finding), r->selfcheck.appeared ? "appeared" : "went",
		    r->selfcheck.detail.n > 0 ? ": " : "", TEXT(r->selfcheck.detail));
		break;
	case AUDIT_CHECKPOINT:
		print_checkpoint(&r->checkpoint);
		break;
	case AUDIT_CARRIED:
		print_carried(&r->carried);
		break;
	case AUDIT_FORGOTTEN:
		audit_time_text(r->forgotten.before, before);
		say(stdout,
		    "certificates without an authority that were not seen since %s are known no "
		    "more",
		    before);
		break;
	}
}

void audit_print_line(const struct audit_entry *e, const struct style *style)
{
	char when[AUDIT_TIME_MAX];
	audit_time_text(e->link.time, when);
	say(stdout, "%s  %6" PRIu64 "  ", when, e->link.n);
	if (e->error != AUDIT_OK)
		say(stdout, "%s", audit_strerror(e->error));
	else
		print_body(&e->record, style);
	putchar('\n');
}

/* --- All of it --- */

static void row(const char *label, struct slice value)
{
	if (value.n > 0)
		say(stdout, "  %-14s %.*s\n", label, TEXT(value));
}

static void digest_row(const char *label, const uint8_t *d)
{
	char hex[AUDIT_HEX_MAX];
	if (!audit_is_zero(d))
		say(stdout, "  %-14s %s\n", label, audit_hex(d, hex));
}

static void print_records(const struct audit_attempt *a)
{
	char hex[2 * AUDIT_TLSA_DATA + 1];
	for (size_t i = 0; i < a->tlsa.n; i++) {
		const struct audit_tlsa *t = &a->tlsa.entry[i];
		const char *why = tlsa_use_text((enum tlsa_use)t->use);
		hex_encode(t->data, hex);
		say(stdout, "  %-14s %u %u %u %s%s%s%s%s\n", "TLSA", t->usage, t->selector,
		    t->mtype, t->hashed ? "(long; SHA-256 of it) " : "", hex,
		    why != NULL ? "  " : "", why != NULL ? why : "",
		    a->match.present && a->match.record == i ? "  matched" : "");
	}
	if (a->tlsa.total > a->tlsa.n)
		say(stdout, "  %-14s and %d more\n", "TLSA", a->tlsa.total - a->tlsa.n);
}

static void print_match(const struct audit_match *m)
{
	if (!m->present)
		return;
	say(stdout, "  %-14s %u %u %u", "matched", m->usage, m->selector, m->mtype);
	if (m->depth == UINT8_MAX)
		say(stdout, ", the key in the record itself");
	else
		say(stdout, ", certificate %u of the chain", m->depth);
	if (m->name.n > 0)
		say(stdout, ", which names %.*s", TEXT(m->name));
	putchar('\n');
}

static void print_chain(const struct audit_attempt *a)
{
	char cert[AUDIT_HEX_MAX], key[AUDIT_HEX_MAX], label[16];
	for (size_t i = 0; i < a->chain.n; i++) {
		snprintf(label, sizeof(label), "certificate %zu", i);
		say(stdout, "  %-14s %s\n  %-14s %s\n", label,
		    audit_hex(a->chain.cert[i].sha256, cert), "    its key",
		    audit_hex(a->chain.cert[i].spki_sha256, key));
	}
	if (a->chain.total > a->chain.n)
		say(stdout, "  %-14s %d more\n", "certificates", a->chain.total - a->chain.n);
}

static void print_tls(const struct audit_attempt *a)
{
	if (a->version.n > 0)
		say(stdout, "  %-14s %.*s %.*s %.*s%s%s\n", "TLS", TEXT(a->version),
		    TEXT(a->cipher), TEXT(a->group), a->resumed ? ", resumed" : "",
		    a->reused ? ", on a connection that was open" : "");
	print_match(&a->match);
	row("key", a->key);
	print_chain(a);
	say(stdout, "  %-14s %s: %s\n", "continuity", continuity_name(a->continuity),
	    continuity_sentence(a->continuity));
	if (a->chain.n > 0)
		say(stdout, "  %-14s %s\n", "authority", audit_authority_name(a->authority));
	digest_row("key before", a->previous);
}

static void print_attempt_whole(const struct audit_attempt *a)
{
	say(stdout, "  %-14s %u of %u of the attempt, which ended %.*s\n", "part", a->index + 1u,
	    a->count, TEXT(a->outcome));
	row("message", a->queue_id);
	row("next hop", a->next_hop);
	row("host", a->host);
	row("address", a->address);
	if (a->address.n > 0 && a->port != 0)
		say(stdout, "  %-14s %u\n", "port", a->port);
	row("policy", a->policy);
	if (a->host.n > 0)
		say(stdout, "  %-14s %s\n", "MX records", a->mx_secure ? "secure" : "not secure");
	row("TLSA base", a->base);
	print_records(a);
	print_tls(a);
	digest_row("evidence", a->evidence);
	say(stdout, "  %-14s %.*s %.*s\n", "result", TEXT(a->code), TEXT(a->reason));
	row("detail", a->detail);
}

void audit_print_whole(const struct audit_entry *e, const struct style *style)
{
	audit_print_line(e, style);
	digest_row("hash", e->link.hash);
	if (e->error == AUDIT_OK && e->record.type == AUDIT_ATTEMPT)
		print_attempt_whole(&e->record.attempt);
}
