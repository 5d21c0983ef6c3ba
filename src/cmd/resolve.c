/* SPDX-License-Identifier: MIT */
/* danelaw resolve: what the validating resolver says, and how far it can be trusted (D1). */
#include "cmd/cmd.h"

#include "base/buf.h"
#include "engine/engine.h"
#include "idn/idn.h"
#include "loop/loop.h"
#include "wire/dname.h"

#include <ctype.h>
#include <getopt.h>
#include <string.h>
#include <sysexits.h>

enum { EXIT_FAILED = 2, RECORD_TEXT_MAX = 5 * 65536 };

static const struct opt options[] = {
    {'j', "json", NULL, "print one JSON document"},
};
static const struct usage usage = {
    .synopsis = "resolve [--json] NAME TYPE",
    .summary = "Asks the validating resolver and prints the records with their DNSSEC status.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "TYPE is a mnemonic (A, AAAA, MX, CNAME, TLSA ...) or TYPEnnn. Exit: 0 an answer or a "
	    "proven or\n"
	    "insecure absence, 2 the lookup failed, 64 usage, 78 configuration.",
};

struct resolve {
	struct loop *loop;
	struct answer *answer;
};

static void on_answer(void *arg, struct answer *a)
{
	struct resolve *r = arg;
	if (a != NULL)
		r->answer = answer_ref(a);
	loop_stop(r->loop);
}

static const char *absence_of(const struct answer *a)
{
	if (a->status != DNS_ABSENT)
		return NULL;
	return a->absence_secure ? "secure" : "insecure";
}

static int print_json(const struct answer *a)
{
	char scratch[16];
	struct json *j = json_object();
	json_set_str(j, "name", a->name);
	json_set_str(j, "type", dns_type_name(a->type, scratch));
	json_set_str(j, "status", dns_status_name(a->status));
	json_set_str(j, "absence", absence_of(a));
	json_set_str(j, "rcode", dns_rcode_name(a->rcode, scratch));
	json_set_str(j, "why", a->why);
	struct json *records = json_set(j, "records", json_array());
	for (size_t i = 0; i < a->nrr; i++) {
		struct buf text;
		buf_init(&text, RECORD_TEXT_MAX);
		dns_rr_to_text(&a->rr[i], &text);
		json_append_str(records, buf_cstr(&text));
		buf_free(&text);
	}
	struct json *chain = json_set(j, "chain", json_array());
	for (size_t i = 0; i < a->naliases; i++)
		json_append_str(chain, a->aliases[i]);
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok ? EX_OK : EX_IOERR;
}

static enum tone tone_of(enum dns_status s)
{
	return s == DNS_SECURE ? TONE_GOOD : s == DNS_FAILED ? TONE_BAD : TONE_WARN;
}

static void print_text(const struct answer *a)
{
	char scratch[16], rcode[16];
	struct style st = style_of(stdout);
	say(stdout, "%s %s: %s%s%s", a->name, dns_type_name(a->type, scratch),
	    tone_on(&st, tone_of(a->status)), dns_status_name(a->status), tone_off(&st));
	if (a->status == DNS_ABSENT)
		say(stdout, " (%s, %s)", a->nxdomain ? "no such name" : "no such records",
		    a->absence_secure ? "proven by DNSSEC" : "not signed");
	if (a->status == DNS_FAILED)
		say(stdout, " (%s): %s", dns_rcode_name(a->rcode, rcode), a->why);
	putchar('\n');
	for (size_t i = 0; i < a->naliases; i++)
		say(stdout, "  alias of %s\n", a->aliases[i]);
	for (size_t i = 0; i < a->nrr; i++) {
		struct buf text;
		buf_init(&text, RECORD_TEXT_MAX);
		dns_rr_to_text(&a->rr[i], &text);
		say(stdout, "  %u %s\n", a->rr[i].ttl, buf_cstr(&text));
		buf_free(&text);
	}
}

static struct dns *open_dns(struct cmd *c, struct loop *loop, char *error, size_t room)
{
	struct dns_config d;
	engine_dns_config(c->conf, &d);
	engine_warn_of_unsafe_dns(c->conf, c->log);
	return dns_new(loop, &d, error, room);
}

static int ask(struct cmd *c, const char *name, uint16_t type, bool json)
{
	char error[CMD_ERROR_MAX] = "";
	struct resolve r = {.loop = loop_new()};
	if (r.loop == NULL)
		return cmd_fail(c, EX_OSERR, "cannot start an event loop");
	int code = EX_CONFIG;
	struct dns *dns = open_dns(c, r.loop, error, sizeof(error));
	if (dns == NULL) {
		cmd_fail(c, code, "%s", error);
	} else if (dns_ask(dns, name, type, on_answer, &r) == NULL) {
		code = cmd_fail(c, EX_OSERR, "out of memory");
	} else {
		loop_run(r.loop);
		code = r.answer == NULL ? cmd_fail(c, EX_OSERR, "out of memory") : EX_OK;
	}
	if (r.answer != NULL) {
		code = EX_OK;
		if (json)
			code = print_json(r.answer);
		else
			print_text(r.answer);
		if (code == EX_OK && r.answer->status == DNS_FAILED)
			code = EXIT_FAILED;
	}
	answer_unref(&r.answer);
	dns_free(&dns);
	loop_free(&r.loop);
	return code;
}

static bool parse_name(struct cmd *c, const char *text, char *out, size_t room)
{
	struct dname name;
	char canonical[DNAME_TEXT_MAX];
	if (idn_to_ascii(text, out, room) != IDN_OK)
		snprintf(out, room, "%s", text); /* names with escapes are not IDNs */
	enum dname_error e = dname_from_text(slice_str(out), &name);
	if (e != DNAME_OK) {
		cmd_fail(c, EX_USAGE, "'%s' is not a domain name: %s", text, dname_strerror(e));
		return false;
	}
	dname_to_text(&name, canonical);
	snprintf(out, room, "%s", canonical);
	return true;
}

/* Question types, OPT and 0: no record has them, so that their absence means nothing (RFC 6895
 * s3.1). */
static bool is_record_type(uint16_t type)
{
	enum { OPT = 41, QTYPE_FIRST = 128, QTYPE_LAST = 255 };
	return type != 0 && type != OPT && (type < QTYPE_FIRST || type > QTYPE_LAST);
}

int cmd_resolve(struct cmd *c)
{
	const char *value;
	bool json = false;
	for (int o; (o = opts_next("danelaw resolve", &usage, c->argc, c->argv, false, &value)) !=
		    OPTS_END;) {
		if (o == OPTS_HELP)
			return EX_OK;
		if (o == OPTS_BAD)
			return EX_USAGE;
		json = true;
	}
	if (c->argc - optind != 2)
		return cmd_fail(c, EX_USAGE,
				"give a name and a type, like: danelaw resolve example.org MX");
	char name[DNAME_TEXT_MAX];
	uint16_t type;
	if (!parse_name(c, c->argv[optind], name, sizeof(name)))
		return EX_USAGE;
	if (!dns_type_from_text(slice_str(c->argv[optind + 1]), &type))
		return cmd_fail(
		    c, EX_USAGE,
		    "unknown record type '%s'; use a mnemonic like MX or TLSA, or TYPEnnn",
		    c->argv[optind + 1]);
	if (!is_record_type(type))
		return cmd_fail(c, EX_USAGE, "'%s' is not a type that a record can have",
				c->argv[optind + 1]);
	return ask(c, name, type, json);
}
