/* SPDX-License-Identifier: MIT */
/* One domain's examination as a tree for people: verdict first, then what it rests on, then what to
 * change. */
#include "cmd/cmd.h"

#include "base/buf.h"
#include "cmd/audit_known.h"
#include "cmd/explain.h"

#include <string.h>

enum { TEXT_MAX = 10240, DATA_SHOWN = 32 };

struct tree {
	const struct style *st;
	FILE *f;
	const char *indent; /* of the present host's children */
	struct store_audit *known;
};

static enum tone tone_of_state(enum domain_state s)
{
	switch (s) {
	case DOMAIN_PROTECTED:
		return TONE_GOOD;
	case DOMAIN_HALF:
	case DOMAIN_PARTIAL:
	case DOMAIN_UNPROTECTED:
		return TONE_WARN;
	case DOMAIN_BROKEN:
	case DOMAIN_UNDELIVERABLE:
		return TONE_BAD;
	}
	return TONE_BAD;
}

static enum tone tone_of_result(enum address_result r)
{
	switch (r) {
	case RESULT_AUTHENTICATED:
		return TONE_GOOD;
	case RESULT_ENCRYPTED:
	case RESULT_CLEARTEXT:
		return TONE_WARN;
	case RESULT_FAILED:
		return TONE_BAD;
	case RESULT_UNTRIED:
		return TONE_DIM;
	}
	return TONE_BAD;
}

static void print_toned(const struct tree *t, enum tone tone, const char *s)
{
	say(t->f, "%s%s%s", tone_on(t->st, tone), s, tone_off(t->st));
}

static const char *branch(const struct tree *t, bool last)
{
	if (t->st->utf8)
		return last ? "└─ " : "├─ ";
	return last ? "`- " : "|- ";
}

static const char *trunk(const struct tree *t, bool last)
{
	if (last)
		return "   ";
	return t->st->utf8 ? "│  " : "|  ";
}

static void print_day(const struct tree *t, int64_t when)
{
	char text[TIME_TEXT_MAX];
	time_to_text(when, text);
	say(t->f, "%.10s", text);
}

static void print_cert(const struct tree *t, size_t depth, const struct tls_cert *c, bool matched)
{
	say(t->f, "%s     cert %zu  %s  %s  ", t->indent, depth,
	    c->subject[0] ? c->subject : "(no subject)", c->key);
	print_day(t, c->not_before);
	fputs(" to ", t->f);
	print_day(t, c->not_after);
	if (matched)
		print_toned(t, TONE_GOOD, "  <- matched");
	fputc('\n', t->f);
	if (depth == 0 && c->names[0] != '\0')
		say(t->f, "%s             names %s\n", t->indent, c->names);
}

static void print_tls(const struct tree *t, const struct tls_facts *tls)
{
	if (tls == NULL)
		return;
	if (tls->version[0] != '\0')
		say(t->f, "%s     %s  %s  %s\n", t->indent, tls->version, tls->cipher, tls->group);
	for (size_t i = 0; i < tls->nchain; i++)
		print_cert(t, i, &tls->chain[i], tls->match.present && tls->match.depth == (int)i);
}

static void print_probe(const struct tree *t, const struct plan_host *h,
			const struct check_probe *p)
{
	struct buf text;
	buf_init(&text, TEXT_MAX);
	print_toned(t, tone_of_result(p->result), address_result_name(p->result));
	explain_probe(h, p, &text);
	if (p->result == RESULT_FAILED) {
		char code[CODE_TEXT_MAX];
		trouble_code(p->outcome.reason, p->outcome.enhanced, false, code);
		say(t->f, "  %s %s\n", code, reason_name(p->outcome.reason));
		say(t->f, "%s     %s\n", t->indent, buf_cstr(&text));
		if (reason_cure(p->outcome.reason)[0] != '\0')
			say(t->f, "%s     what to change: %s\n", t->indent,
			    reason_cure(p->outcome.reason));
	} else {
		say(t->f, "  %s\n", buf_cstr(&text));
	}
	print_tls(t, p->outcome.tls);
	buf_free(&text);
}

/* What the relay saw of this host before, where its records can be read. */
static void print_continuity(const struct tree *t, const char *name)
{
	if (name != NULL)
		say(t->f, "%s     continuity: %s\n", t->indent, name);
}

static void print_address(const struct tree *t, const struct check *c, const struct check_host *h,
			  size_t i)
{
	const struct check_address *a = &h->address[i];
	bool last = i + 1 == h->naddress;
	char text[IPADDR_TEXT_MAX];
	ipaddr_to_text(&a->address, text);
	say(t->f, "%s%s%s%s%s:%u  ", t->indent, branch(t, last), a->address.family == 6 ? "[" : "",
	    text, a->address.family == 6 ? "]" : "", c->port);
	print_probe(t, h->plan, &a->probe[TLS_CERT_ANY]);
	print_continuity(
	    t, audit_continuity_of(t->known, h->plan, c->port, a->probe[TLS_CERT_ANY].outcome.tls));
	static const char *const names[] = {[TLS_CERT_RSA] = "RSA", [TLS_CERT_ECDSA] = "ECDSA"};
	for (int k = TLS_CERT_RSA; k < CHECK_KINDS; k++) {
		if (!a->probe[k].done)
			continue;
		say(t->f, "%s   %s only: ", t->indent, names[k]);
		if (a->probe[k].not_served)
			fputs("no such certificate served\n", t->f);
		else
			print_probe(t, h->plan, &a->probe[k]);
	}
}

/* Did any probe of the host match this record? */
static bool record_matched(const struct check_host *h, int record)
{
	for (size_t i = 0; i < h->naddress; i++) {
		for (int k = 0; k < CHECK_KINDS; k++) {
			const struct tls_facts *tls = h->address[i].probe[k].outcome.tls;
			if (tls != NULL && tls->match.present && tls->match.record == record)
				return true;
		}
	}
	return false;
}

static void print_record(const struct tree *t, const struct check_host *h,
			 const struct tlsa_entry *e, int i)
{
	struct buf hex;
	buf_init(&hex, 2 * DATA_SHOWN + 8);
	buf_add_hex(&hex, slice_first(e->rr.data, DATA_SHOWN));
	bool matched = record_matched(h, i);
	say(t->f, "%s%s     %u %u %u %s%s", t->indent, t->st->utf8 ? "│" : "|", e->rr.usage,
	    e->rr.selector, e->rr.mtype, buf_cstr(&hex), e->rr.data.n > DATA_SHOWN ? "..." : "");
	if (matched)
		print_toned(t, TONE_GOOD, "  <- matched");
	else if (tlsa_use_text(e->use) != NULL)
		say(t->f, "  %s: %s", tlsa_use_is_usable(e->use) ? "does not count" : "unusable",
		    tlsa_use_text(e->use));
	fputc('\n', t->f);
	buf_free(&hex);
}

static void print_tlsa(const struct tree *t, const struct check_host *h)
{
	const struct answer *a = host_tlsa_answer(h->plan);
	if (a == NULL)
		return;
	struct arena mem;
	struct tlsa_set set;
	arena_init(&mem, 1024 * 1024);
	say(t->f, "%s%s%s TLSA  %s\n", t->indent, branch(t, h->naddress == 0), a->name,
	    dns_status_name(a->status));
	if (tlsa_set_build(&mem, a, &set)) {
		for (size_t i = 0; i < set.n; i++)
			print_record(t, h, &set.entry[i], (int)i);
	}
	arena_free(&mem);
}

static void print_host(struct tree *t, const struct check *c, size_t i)
{
	const struct check_host *h = &c->host[i];
	const struct plan_host *p = h->plan;
	bool last = i + 1 == c->nhost;
	say(t->f, "%s%u %s%s%s  %s, addresses %s\n", branch(t, last), p->preference,
	    tone_on(t->st, TONE_BOLD), p->name, tone_off(t->st),
	    host_policy_name(p->verdict.policy), host_address_status(p));
	t->indent = trunk(t, last);
	if (p->verdict.policy == HOST_SKIP) {
		struct buf text;
		buf_init(&text, TEXT_MAX);
		explain_skip(p, &text);
		say(t->f, "%s", t->indent);
		print_toned(t, TONE_BAD, "skipped");
		say(t->f, "  %s %s\n%s  %s\n", reason_code(p->verdict.reason),
		    reason_name(p->verdict.reason), t->indent, buf_cstr(&text));
		if (reason_cure(p->verdict.reason)[0] != '\0')
			say(t->f, "%s  what to change: %s\n", t->indent,
			    reason_cure(p->verdict.reason));
		buf_free(&text);
	}
	const struct answer *a = p->facts.answer[HOST_Q_A];
	if (a != NULL && a->naliases > 0)
		say(t->f, "%salias of %s\n", t->indent, a->canonical);
	print_tlsa(t, h);
	for (size_t k = 0; k < h->naddress; k++)
		print_address(t, c, h, k);
}

static void print_mx(const struct tree *t, const struct check *c)
{
	const struct mx_verdict *mx = plan_mx(c->plan);
	const struct answer *a = plan_mx_answer(c->plan);
	if (mx == NULL || a == NULL)
		return;
	say(t->f, "%sMX %s", branch(t, c->nhost == 0), dns_status_name(a->status));
	if (a->status == DNS_ABSENT)
		say(t->f, " (%s)", a->absence_secure ? "proven" : "not signed");
	if (mx->kind == MX_IMPLICIT)
		fputs(", the domain is its own host", t->f);
	if (a->naliases > 0)
		say(t->f, ", alias of %s", a->canonical);
	fputc('\n', t->f);
}

void check_print_text(const struct check *c, struct store_audit *known, const struct style *st,
		      FILE *f)
{
	struct tree t = {.st = st, .f = f, .indent = "", .known = known};
	struct buf text;
	char code[CODE_TEXT_MAX];
	buf_init(&text, TEXT_MAX);
	explain_code(c, code);
	explain_domain(c, &text);
	print_toned(&t, TONE_BOLD, c->request.domain);
	fputs("  ", f);
	print_toned(&t, tone_of_state(c->verdict.state), domain_state_name(c->verdict.state));
	say(f, "  %s %s  %s\n", code, reason_name(c->verdict.reason), buf_cstr(&text));
	buf_free(&text);
	if (c->route != NULL)
		say(f,
		    "   here mail for it takes the route %s; this check is of its own MX hosts\n",
		    c->route);
	if (c->unsafe_dns_configured)
		fputs(
		    "   UNSAFE: dns.unbound may put answers in place of what is proven; dns.unsafe "
		    "allows that here\n",
		    f);
	print_mx(&t, c);
	for (size_t i = 0; i < c->nhost; i++)
		print_host(&t, c, i);
	const struct mx_verdict *mx = plan_mx(c->plan);
	if (mx != NULL && mx->kind == MX_END && reason_cure(c->verdict.reason)[0] != '\0')
		say(f, "   what to change: %s\n", reason_cure(c->verdict.reason));
}
