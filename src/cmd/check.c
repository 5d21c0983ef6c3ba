/* SPDX-License-Identifier: MIT */
/* danelaw check DOMAIN...: many domains in parallel, printed in the order in which they were given.
 */
#include "cmd/check_evidence.h"
#include "cmd/cmd.h"

#include "cmd/audit_known.h"
#include "cmd/explain.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { EXIT_UNPROTECTED = 1, EXIT_BROKEN = 2, NAME_ROOM = 256, DAYS_MAX = 36500 };

static const struct opt options[] = {
    {'j', "json", NULL, "print one JSON document per domain, one a line"},
    {0, "no-connect", NULL, "stop at the plan: DNS only, no connection to any host"},
    {0, "all-certs", NULL, "probe RSA and ECDSA certificates apart"},
    {0, "days", "N", "judge certificates as of N days from now"},
    {0, "audit", "FILE",
     "compare with what the relay recorded there (default: its file, if readable)"},
    {0, "evidence", "FILE",
     "write the signed DNS records of the first host with TLSA records to this file"},
    {'4', "ipv4", NULL, "connect to IPv4 addresses only"},
    {'6', "ipv6", NULL, "connect to IPv6 addresses only"},
};
enum {
	OPT_JSON,
	OPT_NO_CONNECT,
	OPT_ALL_CERTS,
	OPT_DAYS,
	OPT_AUDIT,
	OPT_EVIDENCE,
	OPT_IPV4,
	OPT_IPV6
};

static const struct usage usage = {
    .synopsis =
	"check [--json] [--no-connect] [--all-certs] [--days N] [--audit FILE] [--evidence FILE] "
	"[-4 | -6] DOMAIN...",
    .summary =
	"Resolves each domain, connects to every address of every MX host, verifies, explains.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "Exit: 0 every domain is protected, 1 some domain is not protected by DANE, 2 "
	    "something is broken\n"
	    "(mail would be deferred), 64 usage, 78 configuration.",
};

struct item {
	struct batch *batch;
	const char *domain;
	char next_hop[NAME_ROOM];
	char *text; /* rendered; NULL until done */
	size_t length;
	int code;
};

struct batch {
	struct cmd *cmd;
	struct engine *engine;
	struct style style;
	const char *audit;         /* NULL: the relay's, if it can be read */
	struct store_audit *known; /* what the relay saw of hosts; NULL: nothing to be had */
	bool json, no_connect, all_certs, only4, only6;
	int64_t days;
	struct item *item;
	size_t n;
	size_t started, finished, printed;
	bool progress;
	bool dns_trouble;
	struct check_evidence evidence;
	bool failed; /* out of memory, or output failed */
};

static void start_more(struct batch *b);

static void show_progress(const struct batch *b)
{
	if (b->progress)
		say(stderr, "\r%zu of %zu domains\x1b[K", b->finished, b->n);
}

static void clear_progress(const struct batch *b)
{
	if (b->progress)
		fputs("\r\x1b[K", stderr);
}

static int code_of(enum domain_state s)
{
	switch (s) {
	case DOMAIN_PROTECTED:
		return EX_OK;
	case DOMAIN_HALF:
	case DOMAIN_PARTIAL:
	case DOMAIN_UNPROTECTED:
	case DOMAIN_UNDELIVERABLE:
		return EXIT_UNPROTECTED;
	case DOMAIN_BROKEN:
		return EXIT_BROKEN;
	}
	return EXIT_BROKEN;
}

/* Rendered at once, so that what waits for its turn is text and not a whole examination. */
static void render(struct item *it, const struct check *c)
{
	FILE *f = open_memstream(&it->text, &it->length);
	if (f == NULL) {
		it->batch->failed = true;
		return;
	}
	if (it->batch->json)
		it->batch->failed = !check_print_json(c, it->batch->known, f) || it->batch->failed;
	else
		check_print_text(c, it->batch->known, &it->batch->style, f);
	if (fclose(f) != 0)
		it->batch->failed = true;
}

static void print_ready(struct batch *b)
{
	while (b->printed < b->n && b->item[b->printed].text != NULL) {
		struct item *it = &b->item[b->printed++];
		clear_progress(b);
		if (fwrite(it->text, 1, it->length, stdout) != it->length)
			b->failed = true;
		free(it->text);
		it->text = NULL;
	}
	if (b->progress || b->json)
		fflush(stdout);
}

static void on_check(void *arg, struct check *c)
{
	struct item *it = arg;
	struct batch *b = it->batch;
	it->code = code_of(c->verdict.state);
	b->dns_trouble = b->dns_trouble || c->verdict.reason == REASON_DNS_FAILED ||
			 c->verdict.reason == REASON_DNSSEC_INVALID;
	render(it, c);
	bool more = b->evidence.path != NULL && check_evidence_start(&b->evidence, c);
	check_free(&c);
	b->finished++;
	print_ready(b);
	if (b->finished == b->n || b->failed) {
		clear_progress(b);
		if (!more)
			loop_stop(b->engine->loop);
		return;
	}
	show_progress(b);
	start_more(b);
}

static void start_more(struct batch *b)
{
	size_t parallel = (size_t)b->cmd->conf->check_parallel;
	while (b->started < b->n && b->started - b->finished < parallel && !b->failed) {
		struct item *it = &b->item[b->started++];
		struct check_request q = {.domain = it->domain,
					  .next_hop = it->next_hop,
					  .connect = !b->no_connect,
					  .all_certs = b->all_certs};
		if (check_start(b->engine, &q, on_check, it) == NULL)
			b->failed = true;
	}
}

static int result(const struct batch *b)
{
	int worst = EX_OK;
	if (b->failed)
		return cmd_fail(b->cmd, EX_OSERR,
				"out of memory, or the output could not be written");
	for (size_t i = 0; i < b->n; i++) {
		if (b->item[i].code > worst)
			worst = b->item[i].code;
	}
	return b->evidence.code != EX_OK ? b->evidence.code : worst;
}

static int run(struct batch *b)
{
	char error[CMD_ERROR_MAX] = "";
	struct engine_config e = {
	    .conf = b->cmd->conf,
	    .log = b->cmd->log,
	    .verify_offset_s = b->days * 86400,
	    .no_ipv4 = b->only6,
	    .no_ipv6 = b->only4,
	    .phase_limit_ms = (uint32_t)b->cmd->conf->check_timeout * 1000,
	};
	b->engine = engine_new(&e, error, sizeof(error));
	if (b->engine == NULL)
		return cmd_fail(b->cmd, EX_CONFIG, "%s", error);
	b->evidence.cmd = b->cmd;
	b->evidence.engine = b->engine;
	b->progress = b->n > 1 && isatty(STDERR_FILENO);
	b->style = style_of(stdout);
	start_more(b);
	if (!b->failed)
		loop_run(b->engine->loop);
	if (b->dns_trouble && !b->failed)
		diagnose_dns(b->cmd, b->engine);
	evidence_run_free(&b->evidence.run);
	engine_free(&b->engine);
	return result(b);
}

static int take_domains(struct batch *b)
{
	struct cmd *c = b->cmd;
	char error[CMD_ERROR_MAX];
	b->n = (size_t)(c->argc - optind);
	if (b->n == 0)
		return cmd_fail(c, EX_USAGE,
				"give at least one domain, like: danelaw check example.org");
	if (b->n > 1 && b->evidence.path != NULL)
		return cmd_fail(c, EX_USAGE, "--evidence is for one domain");
	b->item = calloc(b->n, sizeof(*b->item));
	if (b->item == NULL)
		return cmd_fail(c, EX_OSERR, "out of memory");
	for (size_t i = 0; i < b->n; i++) {
		struct item *it = &b->item[i];
		it->batch = b;
		it->domain = c->argv[optind + (int)i];
		if (!domain_from_text(it->domain, it->next_hop, sizeof(it->next_hop), error,
				      sizeof(error)))
			return cmd_fail(c, EX_USAGE, "%s", error);
	}
	return EX_OK;
}

/* Quiet about a file that nobody asked for. */
static int open_known(struct batch *b)
{
	char error[CMD_ERROR_MAX] = "";
	if (!b->no_connect)
		b->known = audit_open_quietly(b->cmd->conf, b->audit, error, sizeof(error));
	if (b->known == NULL && b->audit != NULL && !b->no_connect)
		return cmd_fail(b->cmd, EX_NOINPUT, "%s", error);
	return EX_OK;
}

static int take_days(struct batch *b, const char *value)
{
	uint64_t days;
	if (!slice_to_u64(slice_str(value), DAYS_MAX, &days))
		return cmd_fail(b->cmd, EX_USAGE, "--days: '%s' is not a number of days (0 to %d)",
				value, DAYS_MAX);
	b->days = (int64_t)days;
	return EX_OK;
}

static int take_option(void *arg, int o, const char *value)
{
	struct batch *b = arg;
	switch (o) {
	case OPT_JSON:
		b->json = true;
		return EX_OK;
	case OPT_NO_CONNECT:
		b->no_connect = true;
		return EX_OK;
	case OPT_ALL_CERTS:
		b->all_certs = true;
		return EX_OK;
	case OPT_DAYS:
		return take_days(b, value);
	case OPT_AUDIT:
		b->audit = value;
		return EX_OK;
	case OPT_EVIDENCE:
		b->evidence.path = value;
		return EX_OK;
	case OPT_IPV4:
		b->only4 = true;
		return EX_OK;
	case OPT_IPV6:
		b->only6 = true;
		return EX_OK;
	default: /* no such row */
		return EX_USAGE;
	}
}

int cmd_check(struct cmd *c)
{
	struct batch b = {.cmd = c};
	int code;
	if (!opts_all("danelaw check", &usage, c, take_option, &b, &code))
		return code;
	if (b.only4 && b.only6)
		code = cmd_fail(c, EX_USAGE, "-4 and -6 exclude each other");
	if (code == EX_OK)
		code = take_domains(&b);
	if (code == EX_OK)
		code = open_known(&b);
	if (code == EX_OK)
		code = run(&b);
	store_audit_close(&b.known);
	for (size_t i = 0; i < b.n && b.item != NULL; i++)
		free(b.item[i].text);
	free(b.item);
	return code;
}
