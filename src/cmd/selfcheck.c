/* SPDX-License-Identifier: MIT */
/* danelaw selfcheck: does a server keep what its TLSA records promise? (V1, V3) Reads arguments and
 * chains; src/engine/selfcheck.c asks, src/selfcheck decides, selfcheck_text.c prints. */
#include "cmd/selfcheck.h"

#include "engine/selfcheck_live.h"
#include "loop/loop.h"
#include "relay/published.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
	CHAIN_FILE_MAX = 4 * 1024 * 1024,
	MEM_MAX = 64 * 1024 * 1024,
	DOMAINS_MAX = 256,
	DAY = 86400,
	HOUR = 3600,
	DAYS_MAX = 3650,
};

static const struct opt options[] = {
    {0, "host", "NAME", "the name under which the server is published (its MX record)"},
    {0, "chain", "FILE", "a certificate chain that it serves (PEM, leaf first); may be repeated"},
    {0, "live", NULL, "connect, and judge what the server really serves"},
    {0, "port", "N", "the port that senders connect to (default 25)"},
    {0, "domain", "DOMAIN",
     "a mail domain whose MX records should name the server; may be repeated"},
    {0, "days", "N", "certificates that expire within N days expire soon"},
    {'j', "json", NULL, "print JSON, one document for each finding and one at the end"},
};
enum { OPT_HOST, OPT_CHAIN, OPT_LIVE, OPT_PORT, OPT_DOMAIN, OPT_DAYS, OPT_JSON };

static const struct usage usage = {
    .synopsis = "selfcheck [--json] [--days N] [--port N] [--live] [--host NAME [--chain FILE]... "
		"[--domain DOMAIN]...]",
    .summary = "Looks a server's own TLSA records up and says whether the chains that it serves "
	       "keep what they promise. Without --host: this relay, by its configuration.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "Exit: 0 all well (notices at most), 1 warnings, 2 errors, 75 something could not be "
	    "looked up,\n"
	    "64 usage, 65 unreadable chain, 66 no such file, 78 configuration.",
};

/* One name, and all that is known of what is served there. */
struct subject {
	struct selfcheck_cmd *cmd;
	struct selfcheck_target target;
	struct selfcheck_input chain[SELFCHECK_CHAINS_MAX];
	size_t nchain;
	struct selfcheck_live *live;
};

struct selfcheck_cmd {
	struct cmd *cmd;
	struct arena mem;
	struct engine *engine;
	struct subject *subject;
	size_t nsubject;
	const char **domain;
	size_t ndomain;
	struct published published; /* of our own configuration */
	struct certset certs;
	struct tls_chain *loaded[SELFCHECK_CHAINS_MAX];
	const char *file[SELFCHECK_CHAINS_MAX];
	size_t nloaded;
	const char *host;
	uint16_t port;
	int64_t days;
	bool json, connect, failed;
	size_t out;
};

/* --- Chains --- */

static int read_chain(struct selfcheck_cmd *s, const char *file, struct buf *pem)
{
	int error = input_read_file(file, pem);
	if (error != 0)
		return cmd_fail(s->cmd, error == ENOENT ? EX_NOINPUT : EX_DATAERR,
				"cannot read the chain %s: %s", file, strerror(error));
	if (!buf_ok(pem))
		return cmd_fail(s->cmd, EX_DATAERR, "the chain %s is larger than %d octets", file,
				CHAIN_FILE_MAX);
	return EX_OK;
}

static int add_chain(struct selfcheck_cmd *s, const char *file)
{
	char error[CMD_ERROR_MAX] = "";
	struct buf pem;
	if (s->nloaded == SELFCHECK_CHAINS_MAX / 2)
		return cmd_fail(s->cmd, EX_USAGE, "at most %d chains", SELFCHECK_CHAINS_MAX / 2);
	buf_init(&pem, CHAIN_FILE_MAX);
	int code = read_chain(s, file, &pem);
	if (code == EX_OK) {
		struct tls_chain *c = tls_chain_from_pem(buf_slice(&pem), error, sizeof(error));
		s->loaded[s->nloaded] = c;
		s->file[s->nloaded] = file;
		s->nloaded += c != NULL;
		if (c == NULL)
			code = cmd_fail(s->cmd, EX_DATAERR, "%s: %s", file, error);
	}
	buf_free(&pem);
	return code;
}

/* --- What is to be checked --- */

static int memory_out(struct selfcheck_cmd *s)
{
	return cmd_fail(s->cmd, EX_OSERR, "out of memory; nothing was judged");
}

/* --host, with the files of --chain. */
static int take_host(struct selfcheck_cmd *s)
{
	struct subject *u = arena_alloc(&s->mem, sizeof(*u));
	if (u == NULL)
		return memory_out(s);
	u->cmd = s;
	snprintf(u->target.name, sizeof(u->target.name), "%s", s->host);
	u->target.port = s->port != 0 ? s->port : 25;
	for (size_t i = 0; i < s->nloaded; i++)
		u->chain[u->nchain++] = (struct selfcheck_input){.chain = s->loaded[i],
								 .label = s->file[i],
								 .file = s->file[i],
								 .served = !s->connect};
	s->subject = u;
	s->nsubject = 1;
	return EX_OK;
}

static bool take_own_name(struct selfcheck_cmd *s, const struct selfcheck_target *t)
{
	struct subject *u = &s->subject[s->nsubject];
	if (s->port != 0 && s->port != t->port)
		return true;
	u->cmd = s;
	u->target = *t;
	s->nsubject++;
	return certset_shown(&s->certs, t->name, !s->connect, &s->mem, u->chain,
			     SELFCHECK_CHAINS_MAX / 2, &u->nchain);
}

/* This relay, by its configuration. */
static int take_configuration(struct selfcheck_cmd *s)
{
	char error[CMD_ERROR_MAX] = "";
	if (!published_load(&s->published, s->cmd->conf, error, sizeof(error)))
		return cmd_fail(s->cmd, EX_CONFIG, "%s", error);
	if (s->published.ntarget == 0)
		return cmd_fail(s->cmd, EX_USAGE,
				"no name to check: give --host NAME, or set selfcheck.names");
	if (!certset_load(&s->certs, s->cmd->conf, true, error, sizeof(error)))
		return cmd_fail(s->cmd, EX_DATAERR, "%s", error);
	s->subject = arena_array(&s->mem, s->published.ntarget, sizeof(*s->subject));
	bool ok = s->subject != NULL;
	for (size_t i = 0; ok && i < s->published.ntarget; i++)
		ok = take_own_name(s, &s->published.target[i]);
	s->domain = s->published.domain;
	s->ndomain = s->published.ndomain;
	if (ok && s->nsubject == 0)
		return cmd_fail(s->cmd, EX_USAGE, "no name in selfcheck.names has port %u",
				s->port);
	return ok ? EX_OK : memory_out(s);
}

/* --- What is really served --- */

static void on_live(void *arg, struct selfcheck_live *l)
{
	struct subject *u = arg;
	u->cmd->failed = u->cmd->failed || l->local_failure;
	if (--u->cmd->out == 0)
		loop_stop(u->cmd->engine->loop);
}

static struct selfcheck_input *find_file(struct subject *u, const struct tls_chain *c)
{
	for (size_t i = 0; i < u->nchain; i++) {
		if (tls_chain_equal(u->chain[i].chain, c))
			return &u->chain[i];
	}
	return NULL;
}

/* A file that is served is served; other files lie ready. */
static int take_live(struct selfcheck_cmd *s, struct subject *u)
{
	const struct selfcheck_live *l = u->live;
	if (l->nchain == 0 && l->no_tls == NULL)
		return cmd_fail(s->cmd, EX_TEMPFAIL, "%s:%u cannot be reached: %s", u->target.name,
				u->target.port, l->trouble != NULL ? l->trouble : "no answer");
	for (size_t i = 0; i < l->nchain && u->nchain < SELFCHECK_CHAINS_MAX; i++) {
		struct selfcheck_input *in = find_file(u, l->chain[i].chain);
		if (in != NULL)
			in->served = true;
		else
			u->chain[u->nchain++] = (struct selfcheck_input){
			    .chain = l->chain[i].chain, .label = l->chain[i].label, .served = true};
	}
	if (l->trouble != NULL)
		say(stderr, "danelaw selfcheck: %s:%u: %s\n", u->target.name, u->target.port,
		    l->trouble);
	return EX_OK;
}

static int connect_all(struct selfcheck_cmd *s)
{
	bool ok = true;
	int code = EX_OK;
	for (size_t i = 0; ok && i < s->nsubject; i++) {
		struct subject *u = &s->subject[i];
		u->live =
		    selfcheck_live_start(s->engine, u->target.name, u->target.port, on_live, u);
		ok = u->live != NULL;
		s->out += ok;
	}
	if (ok && s->out > 0)
		loop_run(s->engine->loop);
	if (!ok || s->failed)
		return memory_out(s);
	for (size_t i = 0; code == EX_OK && i < s->nsubject; i++)
		code = take_live(s, &s->subject[i]);
	return code;
}

/* --- The check --- */

static void on_round(void *arg, struct selfcheck_round *r)
{
	struct selfcheck_cmd *s = arg;
	(void)r;
	loop_stop(s->engine->loop);
}

static int report(struct selfcheck_cmd *s, const struct selfcheck_round *r)
{
	if (r == NULL || r->local_failure)
		return memory_out(s);
	return selfcheck_report_print(r, s->json);
}

static int check(struct selfcheck_cmd *s)
{
	struct selfcheck_item *item = arena_array(&s->mem, s->nsubject, sizeof(*item));
	struct tls_cas *cas = tls_cas_load();
	if (item == NULL)
		return memory_out(s);
	for (size_t i = 0; i < s->nsubject; i++) {
		const struct subject *u = &s->subject[i];
		item[i] =
		    (struct selfcheck_item){u->target.name, u->target.port, u->chain, u->nchain,
					    u->live != NULL ? u->live->no_tls : NULL};
	}
	struct selfcheck_round_request q = {.item = item,
					    .nitem = s->nsubject,
					    .domain = s->domain,
					    .ndomain = s->ndomain,
					    .cas = cas,
					    .now = loop_wall_s(),
					    .soon_s = s->days * DAY,
					    .signature_s =
						s->cmd->conf->selfcheck_signature_soon * HOUR};
	struct selfcheck_round *r = selfcheck_round_start(s->engine, &q, on_round, s);
	if (r != NULL)
		loop_run(s->engine->loop);
	int code = report(s, r);
	selfcheck_round_free(&r);
	tls_cas_free(&cas);
	return code;
}

static int run(struct selfcheck_cmd *s)
{
	char error[CMD_ERROR_MAX] = "";
	uint32_t limit = (uint32_t)s->cmd->conf->check_timeout * 1000;
	struct engine_config c = {
	    .conf = s->cmd->conf, .log = s->cmd->log, .phase_limit_ms = limit};
	int code = s->host != NULL ? take_host(s) : take_configuration(s);
	if (code != EX_OK)
		return code;
	s->engine = engine_new(&c, error, sizeof(error));
	if (s->engine == NULL)
		return cmd_fail(s->cmd, EX_CONFIG, "%s", error);
	if (s->connect)
		code = connect_all(s);
	if (code == EX_OK)
		code = check(s);
	for (size_t i = 0; i < s->nsubject; i++)
		selfcheck_live_free(&s->subject[i].live);
	engine_free(&s->engine);
	return code;
}

/* --- Arguments --- */

static int set_host(struct selfcheck_cmd *s, const char *text)
{
	char error[CMD_ERROR_MAX], name[256];
	if (!domain_from_text(text, name, sizeof(name), error, sizeof(error)))
		return cmd_fail(s->cmd, EX_USAGE, "%s", error);
	s->host = arena_strdup(&s->mem, name);
	return s->host != NULL ? EX_OK : memory_out(s);
}

static int add_domain(struct selfcheck_cmd *s, const char *text)
{
	char error[CMD_ERROR_MAX], name[256];
	if (!domain_from_text(text, name, sizeof(name), error, sizeof(error)))
		return cmd_fail(s->cmd, EX_USAGE, "%s", error);
	if (s->ndomain == DOMAINS_MAX)
		return cmd_fail(s->cmd, EX_USAGE, "at most %d domains", DOMAINS_MAX);
	if (s->domain == NULL)
		s->domain = arena_array(&s->mem, DOMAINS_MAX, sizeof(*s->domain));
	const char *copy = arena_strdup(&s->mem, name);
	if (s->domain == NULL || copy == NULL)
		return memory_out(s);
	s->domain[s->ndomain++] = copy;
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

static int take_option(void *arg, int o, const char *value)
{
	struct selfcheck_cmd *s = arg;
	uint64_t n = 0;
	int code;
	switch (o) {
	case OPT_HOST:
		return set_host(s, value);
	case OPT_CHAIN:
		return add_chain(s, value);
	case OPT_LIVE:
		s->connect = true;
		return EX_OK;
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
	default: /* no such row */
		return EX_USAGE;
	}
}

static int check_arguments(const struct selfcheck_cmd *s)
{
	if (opts_no_operand("danelaw selfcheck", s->cmd) != EX_OK)
		return EX_USAGE;
	if (s->host == NULL && (s->nloaded > 0 || s->ndomain > 0))
		return cmd_fail(s->cmd, EX_USAGE,
				"--chain and --domain are about the server of --host NAME");
	return EX_OK;
}

int cmd_selfcheck(struct cmd *c)
{
	struct selfcheck_cmd *s = calloc(1, sizeof(*s));
	int code;
	if (s == NULL)
		return cmd_fail(c, EX_OSERR, "out of memory");
	*s = (struct selfcheck_cmd){.cmd = c, .days = c->conf->selfcheck_expires_soon};
	arena_init(&s->mem, MEM_MAX);
	bool on = opts_all("danelaw selfcheck", &usage, c, take_option, s, &code);
	if (on)
		code = check_arguments(s);
	if (on && code == EX_OK)
		code = run(s);
	for (size_t i = 0; i < s->nloaded; i++)
		tls_chain_free(&s->loaded[i]);
	certset_free(&s->certs);
	published_free(&s->published);
	arena_free(&s->mem);
	free(s);
	return code;
}
