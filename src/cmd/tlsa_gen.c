/* SPDX-License-Identifier: MIT */
/* danelaw tlsa gen: TLSA records from certificates, keys and requests, or from what a server
 * presents. */
#include "cmd/tlsa.h"

#include "base/buf.h"
#include "engine/served.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { MADE_MAX = 64, TTL_MAX = INT32_MAX /* RFC 2181 s8 */ };

static const struct opt options[] = {
    {'H', "host", "NAME",
     "the MX host that the records are for (default: the certificate's only name)"},
    {'p', "port", "PORT", "its port (default 25)"},
    {'t', "ttl", "SECONDS", "the TTL of the records (default 3600)"},
    {'u', "usage", "NUMBER", "certificate usage: 3 (default) or 2"},
    {'s', "selector", "NUMBER", "1 (public key, default) or 0 (certificate)"},
    {'m', "mtype", "NUMBER", "matching type: 1 (SHA-256, default), 2 (SHA-512) or 0 (full data)"},
    {0, "connect", "HOST[:PORT]", "take the certificates that this server presents"},
    {0, "nsupdate", NULL, "print commands for nsupdate(1)"},
    {'j', "json", NULL, "print one JSON document a record"},
};
enum {
	OPT_HOST,
	OPT_PORT,
	OPT_TTL,
	OPT_USAGE,
	OPT_SELECTOR,
	OPT_MTYPE,
	OPT_CONNECT,
	OPT_NSUPDATE,
	OPT_JSON
};

static const struct usage usage = {
    .synopsis = "tlsa gen [OPTIONS] ['U S M'] FILE... | tlsa gen [OPTIONS] --connect HOST[:PORT]",
    .summary = "Makes TLSA records. FILE is a chain, certificate request, private or public key in "
	       "PEM form.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "Exit: 0 made, 64 usage, 65 no such record can be made of this, 66 a file cannot be "
	    "read,\n75 the server, or one of its addresses, could not be asked.",
};

enum format { FORMAT_ZONE, FORMAT_NSUPDATE, FORMAT_JSON };

/* A record and where it comes from. */
struct made {
	struct tlsa rr;
	const char *from;  /* file, or address */
	const char *about; /* the certificate or key */
	const char *warning;
};

struct gen {
	struct cmd *cmd;
	struct arena mem;
	char host[TLSA_HOST_MAX]; /* "": not given */
	char server[TLSA_HOST_MAX];
	struct ipaddr address; /* of the server; family 0: by name */
	uint16_t port, server_port;
	bool port_given, connect;
	uint32_t ttl;
	struct tlsa form;
	enum format format;
	struct made made[MADE_MAX];
	size_t nmade;
};

/* --- Making --- */

static bool is_public_ca(const struct tls_source *s, size_t which)
{
	struct tls_cas *cas = tls_cas_load();
	bool yes = cas != NULL && tls_cas_know(cas, tls_source_chain(s), (int)which, loop_wall_s());
	tls_cas_free(&cas);
	return yes;
}

static const char *warning_for(struct gen *g, const struct tls_source *s, size_t which)
{
	if (g->form.usage == TLSA_DANE_TA && is_public_ca(s, which))
		return "the CA of this record is a public one: such CAs change their intermediate "
		       "certificates without notice, and the record would match no more; 3 1 1 is "
		       "safer (RFC 7672 s3.1.3)";
	if (g->form.usage == TLSA_DANE_EE && g->form.selector == TLSA_CERT)
		return "selector 0 is about the whole certificate: the record must be replaced at "
		       "every renewal; 3 1 1 holds as long as the key (RFC 7671 s5.1)";
	return NULL;
}

static bool is_there(const struct gen *g, const struct tlsa *rr)
{
	for (size_t i = 0; i < g->nmade; i++) {
		if (tlsa_cmp(&g->made[i].rr, rr) == 0)
			return true;
	}
	return false;
}

/* The name that goes into the record: as given, else the certificate's. */
static int settle_host(struct gen *g, const struct tls_source *s, const char *from)
{
	if (g->host[0] != '\0')
		return EX_OK;
	const char *name = tls_source_host(s, &g->mem);
	if (name == NULL)
		return cmd_fail(g->cmd, EX_USAGE,
				"--host is missing: the MX host name that the record is for (%s "
				"does not have exactly one)",
				from);
	return tlsa_take_host(g->cmd, from, name, g->host);
}

static int add_source(struct gen *g, const struct tls_source *s, const char *from)
{
	char error[CMD_ERROR_MAX] = "";
	struct tlsa rr;
	size_t which;
	int code = settle_host(g, s, from);
	if (code != EX_OK)
		return code;
	if (!tlsa_make_record(&g->mem, s, &g->form, g->host, loop_wall_s(), &rr, &which, error,
			      sizeof(error)))
		return cmd_fail(g->cmd, EX_DATAERR, "%s: %s", from, error);
	if (is_there(g, &rr))
		return EX_OK;
	if (g->nmade == MADE_MAX)
		return cmd_fail(g->cmd, EX_DATAERR, "more than %d records", MADE_MAX);
	g->made[g->nmade++] = (struct made){.rr = rr,
					    .from = arena_strdup(&g->mem, from),
					    .about = tls_source_text(s, which, &g->mem),
					    .warning = warning_for(g, s, which)};
	return g->mem.failed ? cmd_fail(g->cmd, EX_OSERR, "out of memory") : EX_OK;
}

static int add_file(struct gen *g, const char *path)
{
	int code;
	struct tls_source *s = tlsa_read_source(g->cmd, path, &code);
	if (s != NULL)
		code = add_source(g, s, path);
	tls_source_free(&s);
	return code;
}

/* --- A live server --- */

static void on_served(void *arg, struct served *s)
{
	struct engine *e = arg;
	(void)s;
	loop_stop(e->loop);
}

static int add_chain(struct gen *g, const struct tls_facts *f, const char *from)
{
	char error[CMD_ERROR_MAX] = "";
	struct slice *der = arena_array(&g->mem, f->nchain, sizeof(*der));
	for (size_t i = 0; der != NULL && i < f->nchain; i++)
		der[i] = f->chain[i].der;
	struct tls_source *s =
	    der != NULL ? tls_source_from_der(der, f->nchain, error, sizeof(error)) : NULL;
	int code = s != NULL ? add_source(g, s, from)
			     : cmd_fail(g->cmd, EX_DATAERR, "%s: %s", from, error);
	tls_source_free(&s);
	return code;
}

static int take_served(struct gen *g, const struct served *s)
{
	int code = EX_OK, missing = EX_OK;
	if (s->local_failure)
		return cmd_fail(g->cmd, EX_OSERR, "out of memory");
	if (s->why != NULL)
		return cmd_fail(g->cmd, EX_TEMPFAIL, "%s", s->why);
	for (size_t i = 0; i < s->naddress && code == EX_OK; i++) {
		const struct served_address *a = &s->address[i];
		char ip[IPADDR_TEXT_MAX];
		ipaddr_to_text(&a->address, ip);
		if (!a->reached)
			missing =
			    cmd_fail(g->cmd, EX_TEMPFAIL,
				     "%s port %u: %s; records for what it presents are missing", ip,
				     g->server_port, a->why != NULL ? a->why : "?");
		for (int k = 0; k < SERVED_KINDS && code == EX_OK; k++) {
			if (a->chain[k] != NULL)
				code = add_chain(g, a->chain[k], ip);
		}
	}
	return code != EX_OK ? code : missing;
}

static int add_served(struct gen *g)
{
	char error[CMD_ERROR_MAX] = "";
	struct engine_config config = {.conf = g->cmd->conf, .log = g->cmd->log};
	struct engine *e = engine_new(&config, error, sizeof(error));
	if (e == NULL)
		return cmd_fail(g->cmd, EX_CONFIG, "%s", error);
	struct served_request q = {.host = g->host,
				   .port = g->server_port,
				   .address = &g->address,
				   .naddress = g->address.family != 0 ? 1 : 0};
	if (g->server[0] != '\0')
		q.host = g->server;
	struct served *s = served_start(e, &q, on_served, e);
	int code = EX_OSERR;
	if (s != NULL) {
		loop_run(e->loop);
		code = take_served(g, s);
	} else {
		cmd_fail(g->cmd, code, "out of memory");
	}
	served_free(&s);
	engine_free(&e);
	return code;
}

/* --- Printing --- */

static bool print_json(const struct gen *g, const struct made *m, const char *owner)
{
	char *hex = malloc(2 * m->rr.data.n + 1);
	struct json *j = hex != NULL ? json_object() : NULL;
	if (hex != NULL)
		hex_encode(m->rr.data, hex);
	json_set_int(j, "version", 1);
	json_set_str(j, "name", owner);
	json_set_int(j, "ttl", g->ttl);
	json_set_int(j, "usage", m->rr.usage);
	json_set_int(j, "selector", m->rr.selector);
	json_set_int(j, "mtype", m->rr.mtype);
	json_set_str(j, "data", hex);
	json_set_str(j, "from", m->from);
	json_set_str(j, "about", m->about);
	json_set_str(j, "warning", m->warning);
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	free(hex);
	return ok;
}

static void print_comment(const struct made *m)
{
	say(stdout, "; %s: %s\n", m->from, m->about);
}

static int print(struct gen *g)
{
	char owner[TLSA_OWNER_MAX];
	tlsa_owner(g->host, g->port, owner);
	for (size_t i = 0; i < g->nmade; i++) {
		const struct made *m = &g->made[i];
		if (m->warning != NULL)
			cmd_fail(g->cmd, 0, "warning: %s: %s", m->from, m->warning);
		if (g->format == FORMAT_JSON) {
			if (!print_json(g, m, owner))
				return EX_IOERR;
			continue;
		}
		print_comment(m);
		say(stdout,
		    g->format == FORMAT_ZONE ? "%s. %u IN TLSA %s\n"
					     : "update add %s. %u IN TLSA %s\n",
		    owner, g->ttl, tlsa_to_text(&g->mem, &m->rr));
	}
	if (g->format == FORMAT_NSUPDATE && g->nmade > 0)
		puts("send");
	return EX_OK;
}

/* --- Arguments --- */

static int take_octet(const struct gen *g, const char *option, const char *value, uint8_t *out)
{
	uint64_t n;
	int code = tlsa_take_number(g->cmd, option, value, 0, 255, &n);
	if (code == EX_OK)
		*out = (uint8_t)n;
	return code;
}

static int take_option(void *arg, int o, const char *value)
{
	struct gen *g = arg;
	uint64_t n = 0;
	int code = EX_OK;
	switch (o) {
	case OPT_HOST:
		return tlsa_take_host(g->cmd, "--host", value, g->host);
	case OPT_PORT:
		code = tlsa_take_number(g->cmd, "--port", value, 1, UINT16_MAX, &n);
		g->port = (uint16_t)n;
		g->port_given = true;
		return code;
	case OPT_TTL:
		code = tlsa_take_number(g->cmd, "--ttl", value, 0, TTL_MAX, &n);
		g->ttl = (uint32_t)n;
		return code;
	case OPT_USAGE:
		return take_octet(g, "--usage", value, &g->form.usage);
	case OPT_SELECTOR:
		return take_octet(g, "--selector", value, &g->form.selector);
	case OPT_MTYPE:
		return take_octet(g, "--mtype", value, &g->form.mtype);
	case OPT_CONNECT:
		g->connect = true;
		return tlsa_take_server(g->cmd, "--connect", value, g->server, &g->address,
					&g->server_port);
	case OPT_NSUPDATE:
		g->format = FORMAT_NSUPDATE;
		return EX_OK;
	case OPT_JSON:
		g->format = FORMAT_JSON;
		return EX_OK;
	default: /* no such row */
		return EX_USAGE;
	}
}

static int check_connect(struct gen *g)
{
	if (!g->connect)
		return EX_OK;
	if (!g->port_given)
		g->port = g->server_port;
	if (g->host[0] == '\0' && g->server[0] != '\0')
		memcpy(g->host, g->server, sizeof(g->host));
	if (g->host[0] == '\0')
		return cmd_fail(g->cmd, EX_USAGE,
				"--host is missing: --connect has an address, and the record needs "
				"the host's name");
	return EX_OK;
}

static int run(struct gen *g)
{
	int code = tlsa_check_form(g->cmd, &g->form);
	if (code == EX_OK)
		code = check_connect(g);
	if (code != EX_OK)
		return code;
	int nfiles = g->cmd->argc - optind;
	for (int i = optind; i < g->cmd->argc && code == EX_OK; i++) {
		if (!tlsa_form_from_text(g->cmd->argv[i], &g->form))
			continue;
		nfiles--;
		code = tlsa_check_form(g->cmd, &g->form);
	}
	if (code == EX_OK && nfiles == 0 && !g->connect)
		return cmd_fail(
		    g->cmd, EX_USAGE,
		    "give a PEM file, or --connect HOST; see 'danelaw tlsa gen --help'");
	for (int i = optind; i < g->cmd->argc && code == EX_OK; i++) {
		struct tlsa form;
		if (!tlsa_form_from_text(g->cmd->argv[i], &form))
			code = add_file(g, g->cmd->argv[i]);
	}
	if (code == EX_OK && g->connect)
		code = add_served(g);
	/* What could be had of a server in parts is printed too. */
	if (code != EX_OK && code != EX_TEMPFAIL)
		return code;
	int printed = print(g);
	return printed != EX_OK ? printed : code;
}

int tlsa_gen(struct cmd *c)
{
	struct gen *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return cmd_fail(c, EX_OSERR, "out of memory");
	*g = (struct gen){.cmd = c,
			  .port = TLSA_PORT_DEFAULT,
			  .server_port = TLSA_PORT_DEFAULT,
			  .ttl = TLSA_TTL_DEFAULT,
			  .form = {.usage = 3, .selector = 1, .mtype = 1}};
	arena_init(&g->mem, TLSA_MEM_MAX);
	int code;
	if (opts_all("danelaw tlsa gen", &usage, c, take_option, g, &code))
		code = run(g);
	arena_free(&g->mem);
	free(g);
	return code;
}
