/* SPDX-License-Identifier: MIT */
/* danelaw tlsa roll: start, run, status, abort: the arguments. */
#include "cmd/roll.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define STATE_FOLDER "/var/lib/danelaw"

static const struct opt options[] = {
    {'H', "host", "NAME", "the MX host"},
    {'p', "port", "PORT", "its port (default 25)"},
    {0, "state", "FILE", "the state file (default " STATE_FOLDER "/roll-NAME-PORT.json)"},
    {'n', "dry-run", NULL, "say what would be done, and change nothing"},
    {'w', "wait", NULL, "stay until the rollover is over, and show its progress"},
    {0, "poll", "SECONDS", "with --wait: look again after this time (default 30)"},
    {'j', "json", NULL, "print one JSON document a step"},
    /* start only, from here on */
    {0, "next", "FILE", "start: the next chain, key or request (PEM); may be repeated"},
    {0, "new-key", "FILE", "start: make the next key in this file, which must not exist"},
    {0, "csr", "FILE", "start: with --new-key, write a certificate request too"},
    {0, "type", "TYPE", "start: of the new key: ecdsa (default), rsa2048, rsa3072"},
    {0, "current", "FILE",
     "start: the chain or key in use (default: what the server presents); may be repeated"},
    {'t', "ttl", "SECONDS", "start: the TTL of the records (default: as published, or 3600)"},
    {0, "settle", "SECONDS",
     "start: keep both records so long after the deployment (default: as the first wait)"},
    {0, "connect", "ADDRESS[:PORT]",
     "start: where the server is looked at (default: all its addresses); may be repeated"},
    {0, "hook", "PROGRAM", "start: puts the new certificate into service (default: by hand)"},
    {0, "nsupdate", NULL, "start: publish by nsupdate(1) (default: by hand)"},
    {0, "server", "ADDRESS[@PORT]", "start: the name server that takes updates"},
    {0, "tsig", "FILE", "start: the key for updates, as nsupdate -k takes it"},
};
enum {
	OPT_HOST,
	OPT_PORT,
	OPT_STATE,
	OPT_DRY,
	OPT_WAIT,
	OPT_POLL,
	OPT_JSON,
	OPT_NEXT,
	OPT_NEW_KEY,
	OPT_CSR,
	OPT_TYPE,
	OPT_CURRENT,
	OPT_TTL,
	OPT_SETTLE,
	OPT_CONNECT,
	OPT_HOOK,
	OPT_NSUPDATE,
	OPT_SERVER,
	OPT_TSIG,
};

static const struct usage usage = {
    .synopsis = "tlsa roll start|run|status|abort [OPTIONS] --host NAME ['U S M']",
    .summary = "Changes the key or the CA of a server without a moment at which mail is held back "
	       "(RFC 7671 s8).",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more =
	"  start   begin, and do what can be done at once\n"
	"  run     do what is due; made for cron\n"
	"  status  say how it stands, what to do and when; changes nothing\n"
	"  abort   go back, as far as that is safe\n"
	"Exit: 0 over (done or aborted; start: nothing to publish), 1 somebody has to do "
	"something, 2 something\ncould not be looked at, 3 waiting, 4 something was done and more "
	"is to come; 64 usage, 65 bad input,\n66 no such file, 73 cannot write, 75 another "
	"process is at it, 78 configuration.",
};

enum verb { VERB_START, VERB_RUN, VERB_STATUS, VERB_ABORT, VERBS };
static const char *const verbs[] = {"start", "run", "status", "abort"};

enum { POLL_DEFAULT_S = 30, POLL_MAX_S = 86400, SETTLE_MAX_S = 366 * 86400 };

struct args {
	struct cmd *cmd;
	enum verb verb;
	char host[TLSA_HOST_MAX];
	uint16_t port;
	char path[PATH_MAX];
	bool dry, wait, json, ttl_given, port_of_connect;
	uint32_t poll_s;
	const char *start_option; /* the first of those that only start takes */
	const char *next[ROLL_NEXT_MAX], *current[ROLL_NEXT_MAX];
	size_t nnext, ncurrent;
	int64_t settle_s;
	struct roll_job job;
};

/* --- Start: what is what --- */

/* Kinds of keys that the next material has. */
static int next_kinds(struct args *a, bool kind[static SERVED_KINDS])
{
	int code = EX_OK;
	if (a->job.key_file != NULL)
		kind[a->job.key_type == TLS_KEY_ECDSA_P256 ? TLS_CERT_ECDSA : TLS_CERT_RSA] = true;
	for (size_t i = 0; i < a->nnext && code == EX_OK; i++) {
		struct tls_source *s = tlsa_read_source(a->cmd, a->next[i], &code);
		if (s != NULL)
			kind[tls_source_key_kind(s)] = true;
		tls_source_free(&s);
	}
	return code;
}

static int add_old(struct args *a, const struct roll_look *l, const struct tls_source *s)
{
	struct roll_job *j = &a->job;
	for (size_t i = 0; l->tlsa != NULL && i < l->tlsa->nrr; i++) {
		struct tlsa rr = l->tlsa->rr[i].u.tlsa;
		if (!tls_source_matches(s, &rr) || roll_records_have(&j->new, &rr))
			continue;
		rr.data = arena_bytes(&j->mem, rr.data);
		tls_judge_full(&rr);
		if (j->mem.failed || !roll_records_add(&j->old, &rr))
			return cmd_fail(a->cmd, EX_DATAERR, "more than %d records to be retired",
					ROLL_RECORDS_MAX);
	}
	return EX_OK;
}

/* A record that a chain of another kind needs too is not ours to retire: the RSA chain's when only
 * the ECDSA key is rolled. */
static void spare(struct roll_records *r, const struct tls_source *s)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (!tls_source_matches(s, &r->rr[i]))
			r->rr[n++] = r->rr[i];
	}
	r->n = n;
}

static int old_by_files(struct args *a, const struct roll_look *l)
{
	int code = EX_OK;
	for (size_t i = 0; i < a->ncurrent && code == EX_OK; i++) {
		struct tls_source *s = tlsa_read_source(a->cmd, a->current[i], &code);
		if (s != NULL)
			code = add_old(a, l, s);
		tls_source_free(&s);
	}
	return code;
}

/* Calls add_old() for chains of these kinds, and spare() for the others. */
static int old_by_chains(struct args *a, struct roll_look *l, const bool kind[static SERVED_KINDS],
			 bool sparing)
{
	int code = EX_OK;
	for (size_t i = 0; i < l->served->naddress && code == EX_OK; i++) {
		for (int k = 0; k < SERVED_KINDS && code == EX_OK; k++) {
			const struct tls_facts *f = l->served->address[i].chain[k];
			struct tls_source *s =
			    f != NULL && kind[k] != sparing ? roll_look_source(l, f) : NULL;
			if (s != NULL && sparing)
				spare(&a->job.old, s);
			else if (s != NULL)
				code = add_old(a, l, s);
			tls_source_free(&s);
		}
	}
	return code;
}

static int find_old(struct args *a, struct roll_look *l)
{
	bool kind[SERVED_KINDS] = {false};
	if (a->ncurrent > 0)
		return old_by_files(a, l);
	if (l->facts.addresses == 0 || l->facts.unreached > 0)
		return cmd_fail(
		    a->cmd, ROLL_EXIT_UNKNOWN,
		    "what the server presents now is not known (%s); give --current FILE",
		    l->trouble != NULL ? l->trouble : "it has no address");
	int code = next_kinds(a, kind);
	if (code == EX_OK)
		code = old_by_chains(a, l, kind, false);
	if (code == EX_OK)
		code = old_by_chains(a, l, kind, true);
	return code;
}

/* Nothing begins in a zone that cannot be relied on. */
static int check_zone(const struct args *a, const struct roll_look *l)
{
	switch (l->facts.zone) {
	case ROLL_ZONE_SECURE:
		return EX_OK;
	case ROLL_ZONE_INSECURE:
		return cmd_fail(a->cmd, ROLL_EXIT_BLOCKED, "%s: %s", a->job.owner,
				roll_why_text(ROLL_WHY_INSECURE));
	case ROLL_ZONE_FAILED:
		break;
	}
	return cmd_fail(a->cmd, ROLL_EXIT_UNKNOWN, "%s: %s: %s", a->job.owner,
			roll_why_text(ROLL_WHY_LOOKUP_FAILED),
			l->trouble != NULL ? l->trouble : "?");
}

static void take_owner_and_ttl(struct args *a, const struct roll_look *l)
{
	struct roll_job *j = &a->job;
	if (l->tlsa->naliases > 0)
		j->owner = arena_strdup(&j->mem, l->tlsa->canonical);
	if (!a->ttl_given)
		j->ttl = l->tlsa->nrr > 0 ? l->tlsa->rr[0].ttl : TLSA_TTL_DEFAULT;
}

static bool all_published(const struct roll_job *j, const struct roll_look *l)
{
	for (size_t i = 0; i < j->new.n; i++) {
		bool there = false;
		for (size_t k = 0; k < l->tlsa->nrr && !there; k++)
			there = tlsa_cmp(&l->tlsa->rr[k].u.tlsa, &j->new.rr[i]) == 0;
		if (!there)
			return false;
	}
	return j->new.n > 0;
}

/* EX_OK: *same says whether there is anything to be rolled. */
static int settle_records(struct args *a, struct roll_look *l, bool *same)
{
	struct roll_job *j = &a->job;
	int code = check_zone(a, l);
	if (code == EX_OK)
		code = find_old(a, l);
	if (code != EX_OK)
		return code;
	take_owner_and_ttl(a, l);
	*same = j->old.n == 0 && all_published(j, l);
	roll_begin(&j->machine, j->old.n > 0, a->settle_s);
	/* The old set's TTL counts from now on, whatever it is later. */
	j->machine.hold_s = l->facts.ttl;
	return j->mem.failed ? cmd_fail(a->cmd, EX_OSERR, "out of memory") : EX_OK;
}

static int say_same(const struct args *a)
{
	say(stdout,
	    "nothing to publish: the records that are published hold for the next certificate "
	    "too (the key is the same)\n"
	    "  it may go into service at any time; 'danelaw tlsa verify --host %s --chain FILE' "
	    "asks once more\n",
	    a->host);
	return ROLL_EXIT_OVER;
}

/* --- The verbs --- */

static int drive(struct args *a)
{
	struct roll_run r = {.cmd = a->cmd,
			     .path = a->path,
			     .job = &a->job,
			     .abort = a->verb == VERB_ABORT,
			     .dry = a->dry || a->verb == VERB_STATUS,
			     .wait = a->wait && !a->dry && a->verb != VERB_STATUS,
			     .json = a->json,
			     .poll_s = a->poll_s};
	return roll_drive(&r);
}

static int load_and_drive(struct args *a)
{
	int code = roll_load(a->cmd, a->path, &a->job);
	if (code == EX_OK && a->verb == VERB_STATUS && !a->json)
		roll_print_plan(&a->job);
	return code == EX_OK ? drive(a) : code;
}

/* A rollover that is over gives way to the next one. */
static int check_no_other(const struct args *a)
{
	struct roll_job other;
	if (!roll_file_exists(a->path))
		return EX_OK;
	roll_job_init(&other);
	int code = roll_load(a->cmd, a->path, &other);
	enum roll_state s = other.machine.state;
	roll_job_free(&other);
	if (code == EX_OK && s != ROLL_DONE && s != ROLL_ABORTED)
		return cmd_fail(a->cmd, EX_DATAERR,
				"a rollover is under way in %s (state %s); see 'danelaw tlsa roll "
				"status', or abort it",
				a->path, roll_state_name(s));
	return code;
}

static int begin(struct args *a)
{
	struct roll_look l;
	bool same = false;
	int code = roll_look(a->cmd, &a->job, &l);
	if (code == EX_OK)
		code = settle_records(a, &l, &same);
	roll_look_free(&l);
	if (code != EX_OK)
		return code;
	if (same)
		return say_same(a);
	if (!a->json)
		roll_print_plan(&a->job);
	if (!a->dry)
		code = roll_save(a->cmd, a->path, &a->job);
	return code == EX_OK ? drive(a) : code;
}

static int take_next(struct args *a)
{
	struct roll_job *j = &a->job;
	int code = EX_OK;
	if (j->key_file != NULL && roll_file_exists(j->key_file))
		return cmd_fail(a->cmd, EX_CANTCREAT,
				"--new-key: %s exists; use --next to roll to that key",
				j->key_file);
	if (j->csr_file != NULL && roll_file_exists(j->csr_file))
		return cmd_fail(a->cmd, EX_CANTCREAT, "--csr: %s exists", j->csr_file);
	for (size_t i = 0; i < a->nnext && code == EX_OK; i++)
		code = roll_take_key(a->cmd, j, a->next[i]);
	return code;
}

static int start(struct args *a)
{
	struct roll_job *j = &a->job;
	char owner[TLSA_OWNER_MAX];
	tlsa_owner(a->host, a->port, owner);
	j->host = a->host;
	j->port = a->port;
	if (!a->port_of_connect)
		j->connect_port = a->port;
	j->owner = arena_strdup(&j->mem, owner);
	int code = check_no_other(a);
	if (code == EX_OK)
		code = take_next(a);
	return code == EX_OK ? begin(a) : code;
}

/* --- Options --- */

/* Paths are kept in the state file and used from another folder later. */
static int take_path(struct args *a, const char *option, const char *value, const char **out)
{
	char here[PATH_MAX];
	if (value[0] == '\0')
		return cmd_fail(a->cmd, EX_USAGE, "%s is empty", option);
	if (value[0] == '/' || getcwd(here, sizeof(here)) == NULL)
		*out = arena_strdup(&a->job.mem, value);
	else
		*out = arena_printf(&a->job.mem, "%s/%s", here, value);
	return *out != NULL ? EX_OK : cmd_fail(a->cmd, EX_OSERR, "out of memory");
}

static int take_file(struct args *a, const char *option, const char *value, const char **list,
		     size_t *n)
{
	if (*n == ROLL_NEXT_MAX)
		return cmd_fail(a->cmd, EX_USAGE, "%s: at most %d", option, ROLL_NEXT_MAX);
	list[(*n)++] = value;
	return EX_OK;
}

static int take_connect(struct args *a, const char *value)
{
	struct roll_job *j = &a->job;
	char host[TLSA_HOST_MAX];
	uint16_t port = 0;
	if (j->naddress == ROLL_ADDRESSES_MAX)
		return cmd_fail(a->cmd, EX_USAGE, "--connect: at most %d", ROLL_ADDRESSES_MAX);
	struct ipaddr *ip = &j->address[j->naddress];
	if (tlsa_take_server(a->cmd, "--connect", value, host, ip, &port) != EX_OK)
		return EX_USAGE;
	if (ip->family == 0)
		return cmd_fail(a->cmd, EX_USAGE, "--connect: '%s' is not an address", value);
	if (a->port_of_connect && port != j->connect_port)
		return cmd_fail(a->cmd, EX_USAGE, "--connect: all addresses have the same port");
	j->naddress++;
	j->connect_port = port;
	a->port_of_connect = port != 0;
	return EX_OK;
}

static int take_server(struct args *a, const char *value)
{
	struct ipaddr ip;
	uint64_t port;
	struct slice text = slice_str(value), rest, address = slice_cut(text, '@', &rest);
	bool has_port = address.n < text.n;
	if (!ipaddr_from_text(address, &ip) ||
	    (has_port && (!slice_to_u64(rest, UINT16_MAX, &port) || port == 0)))
		return cmd_fail(a->cmd, EX_USAGE, "--server: '%s' is not ADDRESS[@PORT]", value);
	a->job.server = arena_strdup(&a->job.mem, value);
	return EX_OK;
}

static int take_tsig(struct args *a, const char *value)
{
	struct stat st;
	int code = take_path(a, "--tsig", value, &a->job.tsig);
	if (code != EX_OK)
		return code;
	if (access(value, R_OK) != 0)
		return cmd_fail(a->cmd, EX_NOINPUT, "--tsig: cannot read %s: %s", value,
				strerror(errno));
	if (stat(value, &st) == 0 && (st.st_mode & (S_IRGRP | S_IROTH)) != 0)
		cmd_fail(a->cmd, 0, "warning: others can read %s; chmod 600 it", value);
	return EX_OK;
}

static int take_seconds(struct args *a, const char *option, const char *value, uint64_t min,
			uint64_t max, int64_t *out)
{
	uint64_t n;
	int code = tlsa_take_number(a->cmd, option, value, min, max, &n);
	if (code == EX_OK)
		*out = (int64_t)n;
	return code;
}

static int take_start_option(struct args *a, int o, const char *value)
{
	struct roll_job *j = &a->job;
	int64_t n = 0;
	int code;
	switch (o) {
	case OPT_NEXT:
		return take_file(a, "--next", value, a->next, &a->nnext);
	case OPT_NEW_KEY:
		return take_path(a, "--new-key", value, &j->key_file);
	case OPT_CSR:
		return take_path(a, "--csr", value, &j->csr_file);
	case OPT_TYPE:
		if (tls_key_type_from_text(value, &j->key_type))
			return EX_OK;
		return cmd_fail(a->cmd, EX_USAGE, "--type: '%s' is not ecdsa, rsa2048 or rsa3072",
				value);
	case OPT_CURRENT:
		return take_file(a, "--current", value, a->current, &a->ncurrent);
	case OPT_TTL:
		code = take_seconds(a, "--ttl", value, 0, INT32_MAX, &n);
		j->ttl = (uint32_t)n;
		a->ttl_given = true;
		return code;
	case OPT_SETTLE:
		return take_seconds(a, "--settle", value, 0, SETTLE_MAX_S, &a->settle_s);
	case OPT_CONNECT:
		return take_connect(a, value);
	case OPT_HOOK:
		return take_path(a, "--hook", value, &j->hook);
	case OPT_NSUPDATE:
		j->nsupdate = true;
		return EX_OK;
	case OPT_SERVER:
		return take_server(a, value);
	case OPT_TSIG:
		return take_tsig(a, value);
	default: /* no such row */
		return EX_USAGE;
	}
}

static int take_state(struct args *a, const char *value)
{
	if (value[0] == '\0' || strlen(value) >= sizeof(a->path) - sizeof(".lock"))
		return cmd_fail(a->cmd, EX_USAGE, "--state: the path is empty or too long");
	snprintf(a->path, sizeof(a->path), "%s", value);
	return EX_OK;
}

static int take_option(void *arg, int o, const char *value)
{
	struct args *a = arg;
	int64_t n = 0;
	int code;
	if (o >= OPT_NEXT && a->start_option == NULL)
		a->start_option = options[o].word;
	switch (o) {
	case OPT_HOST:
		return tlsa_take_host(a->cmd, "--host", value, a->host);
	case OPT_PORT:
		code = take_seconds(a, "--port", value, 1, UINT16_MAX, &n);
		a->port = (uint16_t)n;
		return code;
	case OPT_STATE:
		return take_state(a, value);
	case OPT_DRY:
		a->dry = true;
		return EX_OK;
	case OPT_WAIT:
		a->wait = true;
		return EX_OK;
	case OPT_POLL:
		code = take_seconds(a, "--poll", value, 1, POLL_MAX_S, &n);
		a->poll_s = (uint32_t)n;
		return code;
	case OPT_JSON:
		a->json = true;
		return EX_OK;
	default:
		return take_start_option(a, o, value);
	}
}

static int check_start(struct args *a)
{
	const struct roll_job *j = &a->job;
	int code = tlsa_check_form(a->cmd, &j->form);
	if (code != EX_OK)
		return code;
	if (a->host[0] == '\0')
		return cmd_fail(a->cmd, EX_USAGE, "--host is missing: the MX host");
	if ((a->nnext == 0) == (j->key_file == NULL))
		return cmd_fail(a->cmd, EX_USAGE,
				"give --next FILE (a chain, key or request that is there), or "
				"--new-key FILE (to be made)");
	if (j->csr_file != NULL && j->key_file == NULL)
		return cmd_fail(a->cmd, EX_USAGE, "--csr goes with --new-key");
	if (j->form.usage == TLSA_DANE_TA && j->key_file != NULL)
		return cmd_fail(
		    a->cmd, EX_USAGE,
		    "a record of usage 2 is about a CA: give the next chain with --next");
	if ((j->server != NULL || j->tsig != NULL) && !j->nsupdate)
		return cmd_fail(a->cmd, EX_USAGE, "--server and --tsig go with --nsupdate");
	return EX_OK;
}

static int check_arguments(struct args *a)
{
	for (int i = optind; i < a->cmd->argc; i++) {
		if (a->verb != VERB_START || !tlsa_form_from_text(a->cmd->argv[i], &a->job.form))
			return cmd_fail(a->cmd, EX_USAGE,
					"unexpected argument '%s'; see 'danelaw tlsa roll --help'",
					a->cmd->argv[i]);
	}
	if (a->verb == VERB_START)
		return check_start(a);
	if (a->start_option != NULL)
		return cmd_fail(a->cmd, EX_USAGE, "--%s is for 'start' only", a->start_option);
	if (a->host[0] == '\0' && a->path[0] == '\0')
		return cmd_fail(a->cmd, EX_USAGE, "give --host NAME, or --state FILE");
	return EX_OK;
}

static int run(struct args *a)
{
	struct roll_lock lock = {.fd = -1};
	int code = check_arguments(a);
	if (code != EX_OK)
		return code;
	if (a->path[0] == '\0')
		snprintf(a->path, sizeof(a->path), STATE_FOLDER "/roll-%s-%u.json", a->host,
			 a->port);
	/* Who only looks needs no lock, and no right to write. */
	bool looks = a->verb == VERB_STATUS || a->dry;
	if (!looks && (a->verb == VERB_START || roll_file_exists(a->path)))
		code = roll_lock(a->cmd, a->path, &lock);
	if (code == EX_OK)
		code = a->verb == VERB_START ? start(a) : load_and_drive(a);
	roll_unlock(&lock);
	return code;
}

static int take_verb(struct args *a)
{
	const char *word = a->cmd->argc > 1 ? a->cmd->argv[1] : "";
	for (int i = 0; i < VERBS; i++) {
		if (strcmp(word, verbs[i]) != 0)
			continue;
		a->verb = (enum verb)i;
		a->cmd->argc--;
		a->cmd->argv++;
		return EX_OK;
	}
	return cmd_fail(a->cmd, EX_USAGE,
			"roll: start, run, status or abort; see 'danelaw tlsa "
			"roll --help'");
}

static int parse_and_run(struct args *a)
{
	struct cmd *c = a->cmd;
	bool help = c->argc > 1 && c->argv[1][0] == '-';
	int code = help ? EX_OK : take_verb(a);
	if (code != EX_OK || !opts_all("danelaw tlsa roll", &usage, c, take_option, a, &code))
		return code;
	if (help)
		code = take_verb(&(struct args){.cmd = &(struct cmd){.name = c->name}});
	return code == EX_OK ? run(a) : code;
}

int tlsa_roll(struct cmd *c)
{
	struct args *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return cmd_fail(c, EX_OSERR, "out of memory");
	a->cmd = c;
	a->port = TLSA_PORT_DEFAULT;
	a->poll_s = POLL_DEFAULT_S;
	a->settle_s = -1;
	roll_job_init(&a->job);
	a->job.form = (struct tlsa){.usage = 3, .selector = 1, .mtype = 1};
	int code = parse_and_run(a);
	roll_job_free(&a->job);
	free(a);
	return code;
}
