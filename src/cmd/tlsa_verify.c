/* SPDX-License-Identifier: MIT */
/*
 * danelaw tlsa verify: would these chains satisfy what is published now? For hooks that put
 * certificates into service (V3). src/engine/selfcheck.c asks, src/selfcheck decides.
 */
#include "cmd/tlsa.h"

#include "base/buf.h"
#include "engine/selfcheck.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* A contract with hooks: danelaw-tlsa(1). */
enum { EXIT_REFUSED = 1, EXIT_NOT_KNOWN = 2, EXIT_NO_USABLE = 3 };
enum { EXPLAIN_MAX = 1024 * 1024, SIGNATURE_S = 12 * 3600, SOON_S = 14 * 86400 };

static const struct opt options[] = {
    {'H', "host", "NAME", "the MX host that will present the chains"},
    {'p', "port", "PORT", "its port (default 25)"},
    {'c', "chain", "FILE",
     "a chain as the server will send it (PEM, its own certificate first); may be repeated"},
    {'q', "quiet", NULL, "print nothing when all is well"},
    {'j', "json", NULL, "print one JSON document a chain"},
};
enum { OPT_HOST, OPT_PORT, OPT_CHAIN, OPT_QUIET, OPT_JSON };

static const struct usage usage = {
    .synopsis = "tlsa verify [OPTIONS] --host NAME [--port PORT] --chain FILE...",
    .summary = "Says whether senders would accept these chains with the TLSA records that are "
	       "published now.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "Exit: 0 yes, each of them; 1 no; 2 not known, a lookup failed; 3 no usable record is "
	    "published;\n64 usage, 65 a chain cannot be used, 66 a file cannot be read, 78 "
	    "configuration.",
};

struct verify {
	struct cmd *cmd;
	struct arena mem;
	char host[TLSA_HOST_MAX];
	uint16_t port;
	struct tls_source *source[SELFCHECK_CHAINS_MAX];
	struct selfcheck_input input[SELFCHECK_CHAINS_MAX];
	size_t n;
	bool quiet, json;
};

static const char *promise_word(enum selfcheck_promise p)
{
	switch (p) {
	case SELFCHECK_KEPT:
		return "satisfied";
	case SELFCHECK_BROKEN:
		return "refused";
	case SELFCHECK_UNKNOWN:
		return "unknown";
	case SELFCHECK_NOTHING:
		return "nothing-published";
	}
	return "unknown";
}

static int promise_exit(enum selfcheck_promise p)
{
	switch (p) {
	case SELFCHECK_KEPT:
		return EX_OK;
	case SELFCHECK_BROKEN:
		return EXIT_REFUSED;
	case SELFCHECK_UNKNOWN:
		return EXIT_NOT_KNOWN;
	case SELFCHECK_NOTHING:
		return EXIT_NO_USABLE;
	}
	return EXIT_NOT_KNOWN;
}

/* --- Words --- */

/* What is to blame where no chain is. */
static const char *finding_text(const struct selfcheck *s, bool cure)
{
	for (size_t i = 0; i < s->verdict.nfinding; i++) {
		const struct selfcheck_finding *f = &s->verdict.finding[i];
		if (f->severity != SELFCHECK_NOTICE && f->chain < 0)
			return cure ? f->cure : f->text;
	}
	return cure ? "" : "what senders would see is not known";
}

static void explain(const struct verify *v, const struct selfcheck *s, size_t i, struct buf *out)
{
	const struct selfcheck_chain *c = &s->facts.chain[i];
	switch (s->verdict.of[i]) {
	case SELFCHECK_KEPT:
		match_to_text(&c->match, out);
		buf_addf(out, " (%s)", s->verdict.owner);
		return;
	case SELFCHECK_BROKEN:
		buf_addf(out, "senders would hold mail to %s back: ", v->host);
		reason_to_text(c->reason, c->detail, out);
		return;
	case SELFCHECK_UNKNOWN:
	case SELFCHECK_NOTHING:
		buf_add_str(out, finding_text(s, false));
		return;
	}
}

/* A chain that no record matches is deployed too early: its record comes first. */
static const char *cure_of(struct verify *v, const struct selfcheck *s, size_t i)
{
	const struct selfcheck_chain *c = &s->facts.chain[i];
	if (s->verdict.of[i] == SELFCHECK_KEPT)
		return NULL;
	if (s->verdict.of[i] != SELFCHECK_BROKEN)
		return finding_text(s, true);
	if (c->reason != REASON_TLSA_INVALID || c->ncert == 0)
		return reason_cure(c->reason);
	const char *line = selfcheck_record_line(&v->mem, s->verdict.owner, &c->cert[0]);
	return arena_printf(&v->mem,
			    "Keep the old certificate in service; publish '%s' beside the records "
			    "that are there, wait for twice their TTL, then deploy "
			    "('danelaw tlsa roll' does all of it)",
			    line != NULL ? line : "?");
}

static bool print_json(struct verify *v, const struct selfcheck *s, size_t i, const char *text)
{
	const struct selfcheck_chain *c = &s->facts.chain[i];
	struct json *j = json_object();
	json_set_int(j, "version", 1);
	json_set_str(j, "chain", v->input[i].file);
	json_set_str(j, "name", s->verdict.owner);
	json_set_str(j, "result", promise_word(s->verdict.of[i]));
	json_set_str(j, "reason",
		     s->verdict.of[i] == SELFCHECK_BROKEN ? reason_name(c->reason) : NULL);
	json_set_str(j, "explain", text);
	json_set_str(j, "cure", cure_of(v, s, i));
	match_json_set(j, s->verdict.of[i] == SELFCHECK_KEPT ? &c->match : NULL);
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

static void print_text(struct verify *v, const struct selfcheck *s, size_t i, const char *text)
{
	struct style st = style_of(stdout);
	enum selfcheck_promise p = s->verdict.of[i];
	const char *cure = cure_of(v, s, i);
	enum tone t = p == SELFCHECK_KEPT     ? TONE_GOOD
		      : p == SELFCHECK_BROKEN ? TONE_BAD
					      : TONE_WARN;
	if (p == SELFCHECK_KEPT && v->quiet)
		return;
	say(stdout, "%s%s%s  %s: %s\n", tone_on(&st, t), promise_word(p), tone_off(&st),
	    v->input[i].file, text);
	if (cure != NULL && cure[0] != '\0')
		say(stdout, "  what to do: %s\n", cure);
}

/* The worst counts: refused, then unknown, then nothing published. */
static int report(struct verify *v, const struct selfcheck *s)
{
	static const int rank[] = {
	    [EX_OK] = 0, [EXIT_REFUSED] = 3, [EXIT_NOT_KNOWN] = 2, [EXIT_NO_USABLE] = 1};
	int code = EX_OK;
	if (s->local_failure)
		return cmd_fail(v->cmd, EXIT_NOT_KNOWN, "out of memory; nothing was judged");
	for (size_t i = 0; i < v->n; i++) {
		struct buf text;
		buf_init(&text, EXPLAIN_MAX);
		explain(v, s, i, &text);
		bool ok = true;
		if (v->json)
			ok = print_json(v, s, i, buf_cstr(&text));
		else
			print_text(v, s, i, buf_cstr(&text));
		buf_free(&text);
		if (!ok)
			return EX_IOERR;
		int one = promise_exit(s->verdict.of[i]);
		code = rank[one] > rank[code] ? one : code;
	}
	return code;
}

/* --- The check --- */

static void on_done(void *arg, struct selfcheck *s)
{
	struct engine *e = arg;
	(void)s;
	loop_stop(e->loop);
}

static int check(struct verify *v, struct engine *e)
{
	struct selfcheck_request q = {.name = v->host,
				      .port = v->port,
				      .chain = v->input,
				      .nchain = v->n,
				      .now = loop_wall_s(),
				      .soon_s = SOON_S,
				      .signature_s = SIGNATURE_S};
	struct selfcheck *s = selfcheck_start(e, &q, on_done, e);
	if (s == NULL)
		return cmd_fail(v->cmd, EXIT_NOT_KNOWN, "out of memory; nothing was judged");
	loop_run(e->loop);
	int code = report(v, s);
	selfcheck_free(&s);
	if (code == EXIT_NOT_KNOWN)
		diagnose_dns(v->cmd, e);
	return code;
}

static int run(struct verify *v)
{
	char error[CMD_ERROR_MAX] = "";
	struct engine_config config = {.conf = v->cmd->conf, .log = v->cmd->log};
	struct engine *e = engine_new(&config, error, sizeof(error));
	if (e == NULL)
		return cmd_fail(v->cmd, EX_CONFIG, "%s", error);
	int code = check(v, e);
	engine_free(&e);
	return code;
}

/* --- Arguments --- */

static int add_chain(struct verify *v, const char *path)
{
	int code;
	if (v->n == SELFCHECK_CHAINS_MAX)
		return cmd_fail(v->cmd, EX_USAGE, "at most %d chains", SELFCHECK_CHAINS_MAX);
	struct tls_source *s = tlsa_read_source(v->cmd, path, &code);
	if (s == NULL)
		return code;
	if (tls_source_chain(s) == NULL) {
		tls_source_free(&s);
		return cmd_fail(v->cmd, EX_DATAERR,
				"%s has no certificate; --chain is what the server will send",
				path);
	}
	v->source[v->n] = s;
	v->input[v->n++] = (struct selfcheck_input){
	    .chain = tls_source_chain(s), .label = path, .file = path, .served = true};
	return EX_OK;
}

static int take_option(void *arg, int o, const char *value)
{
	struct verify *v = arg;
	uint64_t n = 0;
	int code;
	switch (o) {
	case OPT_HOST:
		return tlsa_take_host(v->cmd, "--host", value, v->host);
	case OPT_PORT:
		code = tlsa_take_number(v->cmd, "--port", value, 1, UINT16_MAX, &n);
		v->port = (uint16_t)n;
		return code;
	case OPT_CHAIN:
		return add_chain(v, value);
	case OPT_QUIET:
		v->quiet = true;
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
	if (opts_no_operand("danelaw tlsa verify", v->cmd) != EX_OK)
		return EX_USAGE;
	if (v->host[0] == '\0')
		return cmd_fail(v->cmd, EX_USAGE,
				"--host is missing: the MX host that will present the chain");
	if (v->n == 0)
		return cmd_fail(v->cmd, EX_USAGE,
				"--chain is missing: the PEM file that the server will send");
	return EX_OK;
}

int tlsa_verify(struct cmd *c)
{
	struct verify *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return cmd_fail(c, EX_OSERR, "out of memory");
	v->cmd = c;
	v->port = TLSA_PORT_DEFAULT;
	arena_init(&v->mem, TLSA_MEM_MAX);
	int code;
	bool on = opts_all("danelaw tlsa verify", &usage, c, take_option, v, &code);
	if (on)
		code = check_arguments(v);
	if (on && code == EX_OK)
		code = run(v);
	for (size_t i = 0; i < v->n; i++)
		tls_source_free(&v->source[i]);
	arena_free(&v->mem);
	free(v);
	return code;
}
