/* SPDX-License-Identifier: MIT */
/* danelaw selfcheck: does a server keep what its TLSA records promise? (V1, V3) Reads arguments and
 * chains; src/engine/selfcheck.c asks, src/selfcheck decides, selfcheck_text.c prints. */
#include "cmd/selfcheck.h"

#include "engine/selfcheck.h"
#include "loop/loop.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
	CHAIN_FILE_MAX = 4 * 1024 * 1024,
	MEM_MAX = 64 * 1024 * 1024,
	DOMAINS_MAX = 256,
	DAY = 86400,
	DAYS_DEFAULT = 14,
	DAYS_MAX = 3650,
	SIGNATURE_S = 12 * 3600,
};

static const struct opt options[] = {
    {0, "host", "NAME", "the name under which the server is published (its MX record)"},
    {0, "chain", "FILE", "a certificate chain that it serves (PEM, leaf first); may be repeated"},
    {0, "port", "N", "the port that senders connect to (default 25)"},
    {0, "domain", "DOMAIN",
     "a mail domain whose MX records should name the server; may be repeated"},
    {0, "days", "N", "certificates that expire within N days expire soon (default 14)"},
    {'j', "json", NULL, "print JSON, one document for each finding and one at the end"},
};
enum { OPT_HOST, OPT_CHAIN, OPT_PORT, OPT_DOMAIN, OPT_DAYS, OPT_JSON };

static const struct usage usage = {
    .synopsis = "selfcheck [--json] [--days N] [--port N] --host NAME [--chain FILE]... "
		"[--domain DOMAIN]...",
    .summary = "Looks a server's own TLSA records up and says whether the chains that it serves "
	       "keep what they promise.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "Exit: 0 all well (notices at most), 1 warnings, 2 errors, 75 something could not be "
	    "looked up,\n"
	    "64 usage, 65 unreadable chain, 66 no such file, 78 configuration.",
};

struct selfcheck_cmd {
	struct cmd *cmd;
	struct arena mem;
	struct engine *engine;
	char host[256];
	uint16_t port;
	struct selfcheck_input chain[SELFCHECK_CHAINS_MAX];
	struct tls_chain *loaded[SELFCHECK_CHAINS_MAX];
	size_t nchain;
	const char *domain[DOMAINS_MAX];
	size_t ndomain;
	int64_t days;
	bool json;
	size_t out;
	struct selfcheck_report report;
	bool failed;
};

/* --- Chains --- */

static int read_chain(struct selfcheck_cmd *s, const char *file, struct buf *pem)
{
	FILE *f = fopen(file, "re");
	uint8_t chunk[8192];
	size_t n;
	if (f == NULL)
		return cmd_fail(s->cmd, errno == ENOENT ? EX_NOINPUT : EX_DATAERR,
				"cannot read the chain %s: %s", file, strerror(errno));
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(pem, chunk, n);
	int error = ferror(f) != 0 ? errno : 0;
	fclose(f);
	if (error != 0)
		return cmd_fail(s->cmd, EX_DATAERR, "cannot read the chain %s: %s", file,
				strerror(error));
	if (!buf_ok(pem))
		return cmd_fail(s->cmd, EX_DATAERR, "the chain %s is larger than %d octets", file,
				CHAIN_FILE_MAX);
	return EX_OK;
}

static int add_chain(struct selfcheck_cmd *s, const char *file)
{
	char error[CMD_ERROR_MAX] = "";
	struct buf pem;
	if (s->nchain == SELFCHECK_CHAINS_MAX)
		return cmd_fail(s->cmd, EX_USAGE, "at most %d chains", SELFCHECK_CHAINS_MAX);
	buf_init(&pem, CHAIN_FILE_MAX);
	int code = read_chain(s, file, &pem);
	if (code == EX_OK) {
		struct tls_chain *c = tls_chain_from_pem(buf_slice(&pem), error, sizeof(error));
		s->loaded[s->nchain] = c;
		s->chain[s->nchain] = (struct selfcheck_input){
		    .chain = c, .label = file, .file = file, .served = true};
		s->nchain += c != NULL;
		if (c == NULL)
			code = cmd_fail(s->cmd, EX_DATAERR, "%s: %s", file, error);
	}
	buf_free(&pem);
	return code;
}

/* --- The check --- */

static void one_done(struct selfcheck_cmd *s, const struct selfcheck_verdict *v, bool failed)
{
	s->failed =
	    s->failed || failed || !selfcheck_report_add(&s->report, v->finding, v->nfinding);
	if (--s->out == 0)
		loop_stop(s->engine->loop);
}

static void on_host(void *arg, struct selfcheck *c)
{
	struct selfcheck_cmd *s = arg;
	selfcheck_report_host(&s->report, c);
	one_done(s, &c->verdict, c->local_failure);
}

static void on_domain(void *arg, struct selfcheck_domain *d)
{
	one_done(arg, &d->verdict, d->local_failure);
}

static bool start_domain(struct selfcheck_cmd *s, const char *domain, int64_t now,
			 struct selfcheck_domain **out)
{
	static const size_t one = 1;
	const char **ours = arena_array(&s->mem, one, sizeof(*ours));
	if (ours == NULL)
		return false;
	ours[0] = s->host;
	struct selfcheck_domain_request q = {.domain = domain,
					     .ours = ours,
					     .nours = one,
					     .port = s->port,
					     .now = now,
					     .signature_s = SIGNATURE_S};
	*out = selfcheck_domain_start(s->engine, &q, on_domain, s);
	s->out += *out != NULL;
	return *out != NULL;
}

static int check(struct selfcheck_cmd *s)
{
	struct selfcheck_domain *domain[DOMAINS_MAX] = {NULL};
	struct tls_cas *cas = tls_cas_load();
	struct selfcheck_request q = {.name = s->host,
				      .port = s->port,
				      .chain = s->chain,
				      .nchain = s->nchain,
				      .cas = cas,
				      .now = loop_wall_s(),
				      .soon_s = s->days * DAY,
				      .signature_s = SIGNATURE_S};
	struct selfcheck *host = selfcheck_start(s->engine, &q, on_host, s);
	bool ok = host != NULL;
	s->out += ok;
	for (size_t i = 0; ok && i < s->ndomain; i++)
		ok = start_domain(s, s->domain[i], q.now, &domain[i]);
	if (ok)
		loop_run(s->engine->loop);
	int code = EX_OSERR;
	if (!ok || s->failed)
		cmd_fail(s->cmd, code, "out of memory; nothing was judged");
	else
		code = selfcheck_report_print(&s->report, s->json);
	selfcheck_free(&host);
	for (size_t i = 0; i < s->ndomain; i++)
		selfcheck_domain_free(&domain[i]);
	tls_cas_free(&cas);
	return code;
}

static int run(struct selfcheck_cmd *s)
{
	char error[CMD_ERROR_MAX] = "";
	struct engine_config c = {.conf = s->cmd->conf, .log = s->cmd->log};
	s->engine = engine_new(&c, error, sizeof(error));
	if (s->engine == NULL)
		return cmd_fail(s->cmd, EX_CONFIG, "%s", error);
	int code = check(s);
	engine_free(&s->engine);
	return code;
}

/* --- Arguments --- */

static int set_host(struct selfcheck_cmd *s, const char *text)
{
	char error[CMD_ERROR_MAX];
	if (!domain_from_text(text, s->host, sizeof(s->host), error, sizeof(error)))
		return cmd_fail(s->cmd, EX_USAGE, "%s", error);
	return EX_OK;
}

static int add_domain(struct selfcheck_cmd *s, const char *text)
{
	char error[CMD_ERROR_MAX], name[256];
	if (!domain_from_text(text, name, sizeof(name), error, sizeof(error)))
		return cmd_fail(s->cmd, EX_USAGE, "%s", error);
	if (s->ndomain == DOMAINS_MAX)
		return cmd_fail(s->cmd, EX_USAGE, "at most %d domains", DOMAINS_MAX);
	s->domain[s->ndomain] = arena_strdup(&s->mem, name);
	if (s->domain[s->ndomain] == NULL)
		return cmd_fail(s->cmd, EX_OSERR, "out of memory");
	s->ndomain++;
	return EX_OK;
}

static int set_number(struct selfcheck_cmd *s, const char *option, const char *text, uint64_t max,
		      uint64_t *out)
{
	if (slice_to_u64(slice_str(text), max, out) && *out > 0)
		return EX_OK;
	return cmd_fail(s->cmd, EX_USAGE, "--%s: '%s' is not a number from 1 to %u", option, text,
			(unsigned)max);
}

static int take_option(struct selfcheck_cmd *s, int o, const char *value)
{
	uint64_t n = 0;
	int code;
	switch (o) {
	case OPT_HOST:
		return set_host(s, value);
	case OPT_CHAIN:
		return add_chain(s, value);
	case OPT_PORT:
		code = set_number(s, "port", value, UINT16_MAX, &n);
		s->port = (uint16_t)n;
		return code;
	case OPT_DOMAIN:
		return add_domain(s, value);
	case OPT_DAYS:
		code = set_number(s, "days", value, DAYS_MAX, &n);
		s->days = (int64_t)n;
		return code;
	case OPT_JSON:
		s->json = true;
		return EX_OK;
	default: /* OPTS_BAD */
		return EX_USAGE;
	}
}

static int check_arguments(const struct selfcheck_cmd *s)
{
	if (optind < s->cmd->argc)
		return cmd_fail(s->cmd, EX_USAGE,
				"unexpected argument '%s'; see 'danelaw selfcheck --help'",
				s->cmd->argv[optind]);
	if (s->host[0] == '\0')
		return cmd_fail(
		    s->cmd, EX_USAGE,
		    "--host is missing: the name of the server, as its MX record has it");
	return EX_OK;
}

int cmd_selfcheck(struct cmd *c)
{
	struct selfcheck_cmd *s = calloc(1, sizeof(*s));
	const char *value;
	int code = EX_OK, o = OPTS_END;
	if (s == NULL)
		return cmd_fail(c, EX_OSERR, "out of memory");
	*s = (struct selfcheck_cmd){.cmd = c, .port = 25, .days = DAYS_DEFAULT};
	arena_init(&s->mem, MEM_MAX);
	selfcheck_report_init(&s->report);
	while (code == EX_OK && (o = opts_next("danelaw selfcheck", &usage, c->argc, c->argv, false,
					       &value)) != OPTS_END) {
		if (o == OPTS_HELP)
			break;
		code = take_option(s, o, value);
	}
	if (code == EX_OK && o == OPTS_END)
		code = check_arguments(s);
	if (code == EX_OK && o == OPTS_END)
		code = run(s);
	for (size_t i = 0; i < s->nchain; i++)
		tls_chain_free(&s->loaded[i]);
	selfcheck_report_free(&s->report);
	arena_free(&s->mem);
	free(s);
	return code;
}
