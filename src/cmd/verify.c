/* SPDX-License-Identifier: MIT */
/* danelaw verify: the offline verifier: would a strict client accept this chain for these TLSA
 * records at this time? */
#include "cmd/cmd.h"

#include "base/arena.h"
#include "base/buf.h"
#include "dane/hosts.h"
#include "loop/loop.h"
#include "tls/tls.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
	EXIT_NOT_AUTHENTICATED = 1,
	EXIT_NO_USABLE = 3,
	CHAIN_FILE_MAX = 4 * 1024 * 1024,
	RECORDS_MAX = 512,
	VERIFY_MEM_MAX = 64 * 1024 * 1024,
	EXPLAIN_MAX = 1024 * 1024, /* the names in a certificate have no limit of their own */
};

static const struct opt options[] = {
    {0, "chain", "PEM", "the served chain, leaf first; - for standard input"},
    {0, "record", "'U S M HEX'",
     "a TLSA record; may be repeated; - reads them from standard input, one a line"},
    {0, "base", "NAME", "the TLSA base domain (the MX host name)"},
    {0, "name", "NAME", "a further reference name, such as the mail domain; may be repeated"},
    {0, "at", "RFC3339", "judge as of this time (default now)"},
    {'j', "json", NULL, "print one JSON document"},
};
enum { OPT_CHAIN, OPT_RECORD, OPT_BASE, OPT_NAME, OPT_AT, OPT_JSON };

static const struct usage usage = {
    .synopsis = "verify --chain PEM --record 'U S M HEX'... --base NAME [--name NAME]... [--at "
		"TIME] [--json]",
    .summary = "Judges a certificate chain against TLSA records as an SMTP client would, without a "
	       "network.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "Exit: 0 authenticated, 1 not authenticated, 3 no usable record, 64 usage, 65 "
	    "unreadable input.",
};

struct verify {
	struct cmd *cmd;
	struct arena mem;
	const char *chain_file;
	struct tlsa record[RECORDS_MAX];
	size_t nrecord;
	char base[256];
	const char *name[REFERENCE_NAMES_MAX];
	size_t nname;
	int64_t at;
	bool json, records_from_stdin;
};

static int add_record(struct verify *v, const char *text, const char *where)
{
	uint8_t *store = arena_alloc(&v->mem, strlen(text) / 2 + 1);
	if (store == NULL)
		return cmd_fail(v->cmd, EX_DATAERR, "too many or too long TLSA records");
	if (v->nrecord == RECORDS_MAX)
		return cmd_fail(v->cmd, EX_DATAERR, "more than %d TLSA records", RECORDS_MAX);
	struct tlsa *rr = &v->record[v->nrecord];
	enum tlsa_text_error e = tlsa_from_text(slice_str(text), store, strlen(text) / 2 + 1, rr);
	if (e != TLSA_TEXT_OK)
		return cmd_fail(v->cmd, EX_DATAERR, "%s: '%.60s' is not a TLSA record: %s", where,
				text, tlsa_text_strerror(e));
	tls_judge_full(rr);
	v->nrecord++;
	return EX_OK;
}

static int read_records(struct verify *v)
{
	char *line = NULL, where[48];
	size_t room = 0;
	int code = EX_OK;
	for (unsigned n = 1; code == EX_OK && getline(&line, &room, stdin) > 0; n++) {
		line[strcspn(line, "\r\n")] = '\0';
		snprintf(where, sizeof(where), "standard input, line %u", n);
		if (line[strspn(line, " \t")] != '\0' && line[0] != '#' && line[0] != ';')
			code = add_record(v, line, where);
	}
	free(line);
	if (code == EX_OK && (ferror(stdin) || v->cmd->stdin_closed))
		return cmd_fail(v->cmd, EX_DATAERR, "cannot read TLSA records from standard input");
	if (code == EX_OK && v->nrecord == 0)
		return cmd_fail(v->cmd, EX_DATAERR, "no TLSA record on standard input");
	return code;
}

static int read_chain(struct verify *v, struct buf *pem)
{
	int error = input_read(v->chain_file, pem);
	if (error != 0)
		return cmd_fail(v->cmd, EX_DATAERR, "cannot read the chain %s: %s", v->chain_file,
				strerror(error));
	if (!buf_ok(pem))
		return cmd_fail(v->cmd, EX_DATAERR, "the chain %s is larger than %d octets",
				v->chain_file, CHAIN_FILE_MAX);
	return EX_OK;
}

static const char *result_name(const struct tlsa_set *set, const struct tls_facts *f)
{
	if (set->usable == 0 || f == NULL)
		return "encrypted";
	return f->authenticated ? "authenticated" : "failed";
}

static void explain(const struct tlsa_set *set, const struct tls_facts *f, struct buf *out)
{
	if (set->usable == 0 || f == NULL) {
		buf_add_str(out, "no record is usable: a client would demand TLS and not "
				 "authenticate the server");
	} else if (f->authenticated) {
		match_to_text(&f->match, out);
	} else {
		reason_to_text(f->reason, f->detail, out);
	}
}

static bool print_json(const char *result, enum reason reason, const char *explanation,
		       const struct tlsa_set *set, const struct tls_facts *f)
{
	struct json *j = json_object();
	json_set_str(j, "result", result);
	json_set_str(j, "code", reason_code(reason));
	json_set_str(j, "reason", reason_name(reason));
	json_set_str(j, "explain", explanation);
	match_json_set(j, f != NULL && f->match.present ? &f->match : NULL);
	json_set(j, "records", tlsa_records_json(set));
	struct json *x = json_set(j, "x509", json_object());
	json_set_int(x, "error", f != NULL ? f->x509_error : 0);
	json_set_int(x, "depth", f != NULL ? f->x509_depth : 0);
	json_set_str(x, "text", f != NULL && f->x509_text != NULL ? f->x509_text : "ok");
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

static void print_text(const char *result, enum reason reason, const char *explanation,
		       const struct tlsa_set *set)
{
	struct style st = style_of(stdout);
	enum tone t = reason != REASON_OK ? TONE_BAD : set->usable > 0 ? TONE_GOOD : TONE_WARN;
	say(stdout, "%s%s%s  %s  %s: %s\n", tone_on(&st, t), result, tone_off(&st),
	    reason_code(reason), reason_name(reason), explanation);
	for (size_t i = 0; i < set->n; i++) {
		const struct tlsa_entry *e = &set->entry[i];
		if (e->use != TLSA_COUNTS)
			say(stdout, "  record %zu (%u %u %u) does not count: %s\n", i + 1,
			    e->rr.usage, e->rr.selector, e->rr.mtype, tlsa_use_text(e->use));
	}
	if (reason != REASON_OK && reason_cure(reason)[0] != '\0')
		say(stdout, "  what to change: %s\n", reason_cure(reason));
}

static int judge(struct verify *v, const struct tls_chain *chain)
{
	struct tlsa_set set;
	if (!tlsa_set_from_records(&v->mem, v->record, v->nrecord, &set))
		return cmd_fail(v->cmd, EX_OSERR, "out of memory");
	struct tls_terms terms = {.policy = HOST_DANE,
				  .sni = v->base,
				  .tlsa = &set,
				  .reference_names = {v->base},
				  .nreference_names = 1};
	for (size_t i = 0; i < v->nname && terms.nreference_names < REFERENCE_NAMES_MAX; i++)
		terms.reference_names[terms.nreference_names++] = v->name[i];
	const struct tls_facts *f = NULL;
	if (set.usable > 0) {
		f = tls_verify(&v->mem, chain, &terms, v->at);
		if (f == NULL)
			return cmd_fail(v->cmd, EX_SOFTWARE,
					"the TLS library failed; nothing was verified");
	}
	struct buf text;
	buf_init(&text, EXPLAIN_MAX);
	explain(&set, f, &text);
	enum reason reason = f == NULL ? REASON_OK : f->reason;
	const char *result = result_name(&set, f);
	bool ok = true;
	if (v->json)
		ok = print_json(result, reason, buf_cstr(&text), &set, f);
	else
		print_text(result, reason, buf_cstr(&text), &set);
	buf_free(&text);
	if (!ok)
		return EX_IOERR;
	return f == NULL ? EXIT_NO_USABLE : f->authenticated ? EX_OK : EXIT_NOT_AUTHENTICATED;
}

static int add_name(struct verify *v, const char *text)
{
	char error[CMD_ERROR_MAX], name[256];
	if (!domain_from_text(text, name, sizeof(name), error, sizeof(error)))
		return cmd_fail(v->cmd, EX_USAGE, "%s", error);
	if (v->nname == REFERENCE_NAMES_MAX - 1)
		return cmd_fail(v->cmd, EX_USAGE, "at most %d names", REFERENCE_NAMES_MAX - 1);
	v->name[v->nname++] = arena_strdup(&v->mem, name);
	return v->mem.failed ? cmd_fail(v->cmd, EX_OSERR, "out of memory") : EX_OK;
}

static int set_base(struct verify *v, const char *text)
{
	char error[CMD_ERROR_MAX];
	if (!domain_from_text(text, v->base, sizeof(v->base), error, sizeof(error)))
		return cmd_fail(v->cmd, EX_USAGE, "%s", error);
	return EX_OK;
}

static int take_option(void *arg, int o, const char *value)
{
	struct verify *v = arg;
	switch (o) {
	case OPT_CHAIN:
		v->chain_file = value;
		return EX_OK;
	case OPT_RECORD:
		if (strcmp(value, "-") != 0)
			return add_record(v, value, "--record");
		v->records_from_stdin = true;
		return EX_OK;
	case OPT_BASE:
		return set_base(v, value);
	case OPT_NAME:
		return add_name(v, value);
	case OPT_AT:
		if (!time_from_text(value, &v->at))
			return cmd_fail(v->cmd, EX_USAGE,
					"--at: '%s' is not a time; use 2026-01-31T12:00:00Z",
					value);
		return EX_OK;
	case OPT_JSON:
		v->json = true;
		return EX_OK;
	default: /* no such row */
		return EX_USAGE;
	}
}

static int check_arguments(struct verify *v)
{
	if (opts_no_operand("danelaw verify", v->cmd) != EX_OK)
		return EX_USAGE;
	if (v->chain_file == NULL)
		return cmd_fail(
		    v->cmd, EX_USAGE,
		    "--chain is missing: the PEM file with the chain that the server sends");
	if (v->base[0] == '\0')
		return cmd_fail(
		    v->cmd, EX_USAGE,
		    "--base is missing: the MX host name that the TLSA records belong to");
	if (v->nrecord == 0 && !v->records_from_stdin)
		return cmd_fail(
		    v->cmd, EX_USAGE,
		    "--record is missing: give at least one, like --record '3 1 1 HEX'");
	if (v->records_from_stdin && strcmp(v->chain_file, "-") == 0)
		return cmd_fail(v->cmd, EX_USAGE,
				"--chain and --record cannot both be read from standard input");
	return EX_OK;
}

static int run(struct verify *v)
{
	struct buf pem;
	char error[CMD_ERROR_MAX] = "";
	buf_init(&pem, CHAIN_FILE_MAX);
	int code = v->records_from_stdin ? read_records(v) : EX_OK;
	if (code == EX_OK)
		code = read_chain(v, &pem);
	if (code == EX_OK) {
		struct tls_chain *chain = tls_chain_from_pem(buf_slice(&pem), error, sizeof(error));
		code = chain == NULL ? cmd_fail(v->cmd, EX_DATAERR, "%s: %s", v->chain_file, error)
				     : judge(v, chain);
		tls_chain_free(&chain);
	}
	buf_free(&pem);
	return code;
}

int cmd_verify(struct cmd *c)
{
	struct verify *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return cmd_fail(c, EX_OSERR, "out of memory");
	v->cmd = c;
	v->at = loop_wall_s();
	arena_init(&v->mem, VERIFY_MEM_MAX);
	int code;
	bool on = opts_all("danelaw verify", &usage, c, take_option, v, &code);
	if (on)
		code = check_arguments(v);
	if (on && code == EX_OK)
		code = run(v);
	arena_free(&v->mem);
	free(v);
	return code;
}
