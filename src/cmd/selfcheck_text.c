/* SPDX-License-Identifier: MIT */
/* The report of danelaw selfcheck, for people and as JSON Lines. Knows findings; judges nothing. */
#include "cmd/selfcheck.h"

#include <sysexits.h>

enum { EXIT_WARNINGS = 1, EXIT_ERRORS = 2 };

static int exit_code_of(enum selfcheck_result r)
{
	switch (r) {
	case SELFCHECK_WELL:
		return EX_OK;
	case SELFCHECK_WARNINGS:
		return EXIT_WARNINGS;
	case SELFCHECK_ERRORS:
		return EXIT_ERRORS;
	case SELFCHECK_NO_LOOKUP:
		return EX_TEMPFAIL;
	}
	return EX_TEMPFAIL;
}

/* --- Text --- */

static enum tone tone_of(enum selfcheck_severity s)
{
	switch (s) {
	case SELFCHECK_NOTICE:
		return TONE_DIM;
	case SELFCHECK_WARNING:
		return TONE_WARN;
	case SELFCHECK_ERROR:
		return TONE_BAD;
	}
	return TONE_BAD;
}

/* One line a finding; what can be pasted stands by itself on the next. */
static void print_finding(const struct style *st, const struct selfcheck_finding *f)
{
	enum tone t = tone_of(f->severity);
	say(stdout, "%s%s%s %s ", tone_on(st, t), selfcheck_severity_name(f->severity),
	    tone_off(st), selfcheck_kind_name(f->kind));
	if (f->port != 0)
		say(stdout, "%s:%u: ", f->about, f->port);
	else
		say(stdout, "%s: ", f->about);
	say(stdout, "%s. %s\n", f->text, f->cure);
	if (f->paste[0] != '\0')
		say(stdout, "\t%s\n", f->paste);
}

static void print_match(const struct style *st, const struct selfcheck *h, size_t i)
{
	const struct selfcheck_chain *c = &h->facts.chain[i];
	enum selfcheck_promise p = h->verdict.of[i];
	if (p != SELFCHECK_KEPT)
		return;
	say(stdout, "%sok%s %s:%u: %s satisfies the TLSA record %u %u %u at %s\n",
	    tone_on(st, TONE_GOOD), tone_off(st), h->request.name, h->request.port, c->label,
	    c->match.usage, c->match.selector, c->match.mtype, h->verdict.owner);
}

/* A name of which no chain is known: a person should see that nothing was compared. */
static void print_unknown(const struct style *st, const struct selfcheck *h)
{
	if (h->facts.nchain > 0 || h->facts.no_tls != NULL || h->verdict.set == NULL)
		return;
	say(stdout,
	    "%s--%s %s:%u: %zu usable TLSA records at %s, and no chain to compare: give --chain or "
	    "--live\n",
	    tone_on(st, TONE_DIM), tone_off(st), h->request.name, h->request.port,
	    h->verdict.set->usable, h->verdict.owner);
}

static void print_text(const struct selfcheck_round *r)
{
	struct style st = style_of(stdout);
	for (size_t i = 0; i < r->nfinding; i++)
		print_finding(&st, r->finding[i]);
	for (size_t h = 0; h < r->ncheck; h++) {
		for (size_t i = 0; i < r->check[h]->facts.nchain; i++)
			print_match(&st, r->check[h], i);
		print_unknown(&st, r->check[h]);
	}
}

/* --- JSON --- */

static struct json *finding_json(const struct selfcheck_finding *f)
{
	struct json *j = json_object();
	json_set_str(j, "finding", selfcheck_kind_name(f->kind));
	json_set_str(j, "severity", selfcheck_severity_name(f->severity));
	json_set_str(j, "name", f->about);
	if (f->port != 0)
		json_set_int(j, "port", f->port);
	else
		json_set_null(j, "port");
	json_set_str(j, "text", f->text);
	json_set_str(j, "cure", f->cure);
	json_set_str(j, "paste", f->paste[0] != '\0' ? f->paste : NULL);
	json_set_str(j, "source", selfcheck_kind_source(f->kind));
	return j;
}

static void add_chain(struct json *chains, const struct selfcheck *h, size_t i)
{
	const struct selfcheck_chain *c = &h->facts.chain[i];
	struct json *j = json_append(chains, json_object());
	json_set_str(j, "chain", c->label);
	json_set_bool(j, "served", c->served);
	json_set_str(j, "promise", selfcheck_promise_name(h->verdict.of[i]));
	json_set_str(j, "key", c->ncert > 0 ? c->cert[0].key : NULL);
	match_json_set(j, c->authenticated ? &c->match : NULL);
}

static void add_host(struct json *hosts, const struct selfcheck *h)
{
	struct json *j = json_append(hosts, json_object());
	json_set_str(j, "name", h->request.name);
	json_set_int(j, "port", h->request.port);
	json_set_str(j, "tlsa", h->verdict.owner);
	json_set_str(j, "status",
		     h->verdict.tlsa != NULL ? dns_status_name(h->verdict.tlsa->status) : NULL);
	json_set_str(j, "promise", selfcheck_promise_name(h->verdict.promise));
	struct json *chains = json_set(j, "chains", json_array());
	for (size_t i = 0; i < h->facts.nchain; i++)
		add_chain(chains, h, i);
}

static bool write_and_free(struct json *j)
{
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

static bool print_json(const struct selfcheck_round *r)
{
	for (size_t i = 0; i < r->nfinding; i++) {
		if (!write_and_free(finding_json(r->finding[i])))
			return false;
	}
	struct json *j = json_object();
	json_set_str(j, "result", selfcheck_result_name(r->result));
	json_set_int(j, "findings", (int64_t)r->nfinding);
	struct json *hosts = json_set(j, "hosts", json_array());
	for (size_t i = 0; i < r->ncheck; i++)
		add_host(hosts, r->check[i]);
	return write_and_free(j);
}

int selfcheck_report_print(const struct selfcheck_round *r, bool json)
{
	if (json && !print_json(r))
		return EX_IOERR;
	if (!json)
		print_text(r);
	return exit_code_of(r->result);
}
