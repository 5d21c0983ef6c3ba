/* SPDX-License-Identifier: MIT */
/* danelaw send: one message, any number of recipients and destinations, one attempt now, no queue.
 */
#include "cmd/cmd.h"

#include "base/arena.h"
#include "base/buf.h"
#include "cmd/send_report.h"
#include "cmd/spool.h"
#include "cmd/submit.h"
#include "engine/engine.h"
#include "wire/address.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { SEND_MEM_MAX = 256 * 1024 * 1024, PARALLEL_MAX = 64, ID_MAX = 24, RCPTS_MAX = 100000 };

static const struct opt options[] = {
    {'f', "from", "ADDRESS", "the envelope sender; '' or '<>' for the null reverse-path"},
    {'j', "json", NULL, "print one JSON document per recipient, one a line"},
    {'4', "ipv4", NULL, "connect to IPv4 addresses only"},
    {'6', "ipv6", NULL, "connect to IPv6 addresses only"},
    {0, "envid", "TEXT", "envelope identifier for delivery status notifications (RFC 3461)"},
    {0, "ret", "FULL|HDRS", "how much of the message a notification returns"},
    {0, "notify", "WHEN", "NEVER, or a list of SUCCESS, FAILURE and DELAY"},
    {0, "submit", "HOST[:PORT]", "hand the message to this submission server (port 587)"},
    {0, "user", "NAME", "log in there as this user"},
    {0, "password-file", "FILE", "with the password in the first line of this file"},
    {0, "mx", NULL, "look for MX and TLSA records of HOST and demand DANE"},
};
enum {
	OPT_FROM,
	OPT_JSON,
	OPT_IPV4,
	OPT_IPV6,
	OPT_ENVID,
	OPT_RET,
	OPT_NOTIFY,
	OPT_SUBMIT,
	OPT_USER,
	OPT_PASSWORD_FILE,
	OPT_MX,
};

static const struct usage usage = {
    .synopsis = "send -f FROM [--json] [-4 | -6] [--envid TEXT] [--ret WHAT] [--notify WHEN] "
		"[--submit HOST[:PORT] [--user NAME --password-file FILE] [--mx]] "
		"RCPT... < MESSAGE",
    .summary = "Delivers the message on standard input now, in one attempt per destination, "
	       "without a queue.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more =
	"Exit: 0 all sent, 75 some deferred (try again later), 69 some failed for good, 64 usage,\n"
	"65 bad message, 66 no message, 78 configuration.",
};

/* One next hop and its recipients. */
struct destination {
	struct send *send;
	const char *next_hop; /* in normal form */
	struct smtpc_message message;
	size_t room;
	size_t *order; /* index in the command line of each recipient */
	struct delivery *delivery;
};

/* A recipient of the command line, under the address as it goes on the wire. */
struct seen {
	const char *address; /* NULL: the place is free */
	size_t nth;
};

struct send {
	struct cmd *cmd;
	struct engine *engine;
	struct arena mem;
	const char *from_text;
	const char *from;
	const char *envid, *ret, *notify;
	struct submit submit;
	struct credentials *credentials; /* of routes */
	bool json, only4, only6;
	bool from_utf8; /* the sender's local part needs SMTPUTF8, wherever the message goes */
	char id[ID_MAX];
	struct spool spool;
	struct destination *destination;
	size_t ndestination, started, finished;
	struct send_result *result; /* per recipient of the command line */
	size_t nresult;
	struct seen *seen; /* open addressing by the address */
	size_t seen_mask;
	bool dns_trouble;
	bool unprinted; /* a result could not be written; what was begun still goes on */
	bool failed;
};

static void start_more(struct send *s);

/* --- Arguments --- */

/* The address as it goes on the wire: an internationalised domain becomes A-labels (D10). NULL:
 * explained. */
static const char *wire_address(struct send *s, const char *text, struct address *out,
				const char **domain)
{
	char ascii[512], error[CMD_ERROR_MAX];
	enum address_error e = address_parse(slice_str(text), out);
	if (e != ADDRESS_OK) {
		cmd_fail(s->cmd, EX_USAGE, "'%s' is not a mail address: %s", text,
			 address_strerror(e));
		return NULL;
	}
	const char *typed = arena_str(&s->mem, out->domain);
	if (typed == NULL) {
		cmd_fail(s->cmd, EX_OSERR, "out of memory");
		return NULL;
	}
	if (out->literal && !literal_from_text(typed, ascii, error, sizeof(error))) {
		cmd_fail(s->cmd, EX_USAGE, "'%s' is not a mail address: %s", text, error);
		return NULL;
	}
	if (out->literal) {
		*domain = arena_strdup(&s->mem, ascii);
		return arena_strdup(&s->mem, text);
	}
	if (!domain_from_text(typed, ascii, sizeof(ascii), error, sizeof(error))) {
		cmd_fail(s->cmd, EX_USAGE, "'%s' is not a mail address: %s", text, error);
		return NULL;
	}
	*domain = arena_strdup(&s->mem, ascii);
	return arena_printf(&s->mem, "%.*s@%s", (int)out->local.n, (const char *)out->local.p,
			    ascii);
}

static int take_from(struct send *s)
{
	struct address a;
	const char *domain;
	if (s->from_text == NULL)
		return cmd_fail(s->cmd, EX_USAGE,
				"-f is missing: the envelope sender, or -f '' for none");
	if (s->from_text[0] == '\0' || strcmp(s->from_text, "<>") == 0) {
		s->from = "";
		return EX_OK;
	}
	s->from = wire_address(s, s->from_text, &a, &domain);
	s->from_utf8 = a.utf8_local;
	return s->from != NULL ? EX_OK : EX_USAGE;
}

static struct destination *destination_of(struct send *s, const char *next_hop)
{
	for (size_t i = 0; i < s->ndestination; i++) {
		if (strcmp(s->destination[i].next_hop, next_hop) == 0)
			return &s->destination[i];
	}
	struct destination *d = &s->destination[s->ndestination++];
	*d = (struct destination){.send = s, .next_hop = next_hop};
	return d;
}

/* Doubling arrays in the arena; the old ones stay there, which at most doubles what is needed. */
static bool grow(struct send *s, struct destination *d)
{
	if (d->message.nrcpt < d->room)
		return true;
	size_t room = d->room == 0 ? 4 : d->room * 2;
	struct smtpc_rcpt *rcpt = arena_array(&s->mem, room, sizeof(*rcpt));
	size_t *order = arena_array(&s->mem, room, sizeof(*order));
	if (rcpt == NULL || order == NULL)
		return false;
	if (d->room > 0) {
		memcpy(rcpt, d->message.rcpt, d->room * sizeof(*rcpt));
		memcpy(order, d->order, d->room * sizeof(*order));
	}
	d->message.rcpt = rcpt;
	d->order = order;
	d->room = room;
	return true;
}

static uint64_t hash_text(const char *s)
{
	uint64_t h = 1469598103934665603u; /* FNV-1a */
	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 1099511628211u;
	return h;
}

/* The same recipient twice is delivered once; both lines report it. The table has an empty place
 * always: it has twice as many as there are recipients. An address has one destination only. */
static bool is_double(struct send *s, const char *address, size_t nth)
{
	size_t at = (size_t)hash_text(address) & s->seen_mask;
	for (; s->seen[at].address != NULL; at = (at + 1) & s->seen_mask) {
		if (strcmp(s->seen[at].address, address) == 0) {
			s->result[nth].same_as = (int)s->seen[at].nth;
			return true;
		}
	}
	s->seen[at] = (struct seen){address, nth};
	return false;
}

static bool make_seen(struct send *s)
{
	size_t room = 2;
	while (room < 2 * s->nresult)
		room *= 2;
	s->seen_mask = room - 1;
	s->seen = arena_array(&s->mem, room, sizeof(*s->seen));
	return s->seen != NULL;
}

static int take_rcpt(struct send *s, size_t nth, const char *text)
{
	struct address a;
	const char *domain;
	s->result[nth] = (struct send_result){.rcpt = text, .same_as = -1};
	const char *address = wire_address(s, text, &a, &domain);
	if (address == NULL)
		return EX_USAGE;
	if (domain == NULL)
		return cmd_fail(s->cmd, EX_OSERR, "out of memory");
	if (s->submit.server != NULL) /* one server for all */
		domain = s->submit.host;
	struct destination *d = destination_of(s, domain);
	if (is_double(s, address, nth))
		return EX_OK;
	if (!grow(s, d))
		return cmd_fail(s->cmd, EX_OSERR, "out of memory");
	d->message.smtputf8 = d->message.smtputf8 || a.utf8_local;
	d->order[d->message.nrcpt] = nth;
	d->message.rcpt[d->message.nrcpt++] = (struct smtpc_rcpt){
	    .address = address,
	    .params = {.notify = s->notify, .orcpt = s->notify != NULL ? address : NULL}};
	return EX_OK;
}

static int take_rcpts(struct send *s)
{
	struct cmd *c = s->cmd;
	s->nresult = (size_t)(c->argc - optind);
	if (s->nresult == 0)
		return cmd_fail(c, EX_USAGE, "no recipients; give at least one address");
	if (s->nresult > RCPTS_MAX)
		return cmd_fail(c, EX_USAGE, "more than %d recipients", RCPTS_MAX);
	s->result = arena_array(&s->mem, s->nresult, sizeof(*s->result));
	s->destination = arena_array(&s->mem, s->nresult, sizeof(*s->destination));
	if (s->result == NULL || s->destination == NULL || !make_seen(s))
		return cmd_fail(c, EX_OSERR, "out of memory");
	int code = EX_OK;
	for (size_t i = 0; i < s->nresult && code == EX_OK; i++)
		code = take_rcpt(s, i, c->argv[optind + (int)i]);
	return code;
}

/* RFC 3461 s4.1: NEVER alone, or a list of the other words. */
static bool notify_is_valid(const char *text)
{
	static const char *const words[] = {"SUCCESS", "FAILURE", "DELAY"};
	if (strcmp(text, "NEVER") == 0)
		return true;
	struct slice rest = slice_str(text);
	if (rest.n > 0 &&
	    rest.p[rest.n - 1] == ',') /* slice_cut() cannot show an empty last word */
		return false;
	do {
		struct slice word = slice_cut(rest, ',', &rest);
		bool known = false;
		for (size_t i = 0; i < 3; i++)
			known = known || slice_eq_str(word, words[i]);
		if (!known)
			return false;
	} while (rest.n > 0);
	return true;
}

static int take_option(void *arg, int o, const char *value)
{
	struct send *s = arg;
	switch (o) {
	case OPT_FROM:
		s->from_text = value;
		return EX_OK;
	case OPT_JSON:
		s->json = true;
		return EX_OK;
	case OPT_IPV4:
		s->only4 = true;
		return EX_OK;
	case OPT_IPV6:
		s->only6 = true;
		return EX_OK;
	case OPT_ENVID:
		if (value[0] == '\0' || strlen(value) > 100)
			return cmd_fail(s->cmd, EX_USAGE,
					"--envid: 1 to 100 characters (RFC 3461 s4.4)");
		s->envid = value;
		return EX_OK;
	case OPT_RET:
		if (strcmp(value, "FULL") != 0 && strcmp(value, "HDRS") != 0)
			return cmd_fail(s->cmd, EX_USAGE, "--ret: FULL or HDRS, not '%s'", value);
		s->ret = value;
		return EX_OK;
	case OPT_NOTIFY:
		if (!notify_is_valid(value))
			return cmd_fail(
			    s->cmd, EX_USAGE,
			    "--notify: NEVER, or a list of SUCCESS, FAILURE, DELAY; not '%s'",
			    value);
		s->notify = value;
		return EX_OK;
	case OPT_SUBMIT:
		s->submit.server = value;
		return EX_OK;
	case OPT_USER:
		s->submit.user = value;
		return EX_OK;
	case OPT_PASSWORD_FILE:
		s->submit.password_file = value;
		return EX_OK;
	case OPT_MX:
		s->submit.mx = true;
		return EX_OK;
	default: /* no such row */
		return EX_USAGE;
	}
}

/* --- The message --- */

static bool make_id(struct send *s)
{
	uint8_t random[8];
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	hex_encode(slice_make(random, sizeof(random)), s->id);
	return true;
}

/*
 * RFC 5321 s4.4. From a local program, so there is no "from"; the tls clause (RFC 8314 s4.3)
 * describes the way in and is the next server's to write.
 */
static void received_field(struct send *s, struct buf *out)
{
	char when[64];
	struct tm tm;
	time_t now = (time_t)loop_wall_s();
	localtime_r(&now, &tm);
	/* strftime's names of days and months follow LC_TIME, which this program leaves at "C". */
	if (strftime(when, sizeof(when), "%a, %d %b %Y %H:%M:%S %z", &tm) == 0)
		when[0] = '\0';
	buf_addf(out, "Received: by %s (Danelaw %s, from userid %u)\r\n\tid %s; %s\r\n",
		 s->engine->helo, DANELAW_VERSION, (unsigned)getuid(), s->id, when);
}

static int read_message(struct send *s)
{
	char error[CMD_ERROR_MAX] = "";
	struct buf prefix;
	if (s->cmd->stdin_closed)
		return cmd_fail(
		    s->cmd, EX_NOINPUT,
		    "standard input is closed; give the message there: danelaw send ... < message");
	if (isatty(STDIN_FILENO))
		fputs("danelaw send: reading the message from the terminal; end it with Ctrl-D\n",
		      stderr);
	if (!make_id(s))
		return cmd_fail(s->cmd, EX_OSERR, "the system gives no random numbers");
	buf_init(&prefix, 1024);
	received_field(s, &prefix);
	int code = spool_read(&s->spool, STDIN_FILENO, buf_cstr(&prefix), error, sizeof(error));
	buf_free(&prefix);
	if (code != EX_OK)
		return cmd_fail(s->cmd, code, "%s", error);
	for (size_t i = 0; i < s->ndestination; i++) {
		struct smtpc_message *m = &s->destination[i].message;
		m->reverse_path = s->from;
		m->envid = s->envid;
		m->ret = s->ret;
		m->size = s->spool.size;
		m->eight_bit = s->spool.eight_bit;
		m->smtputf8 = m->smtputf8 || s->from_utf8 || s->spool.header_eight_bit;
	}
	return EX_OK;
}

/* --- Delivery --- */

static void on_delivery(void *arg, struct attempt *a)
{
	struct destination *d = arg;
	struct send *s = d->send;
	for (size_t i = 0; i < d->message.nrcpt; i++) {
		send_result_take(&s->result[d->order[i]], a, i);
		enum reason r = attempt_rcpt(a, i)->reason;
		s->dns_trouble =
		    s->dns_trouble || r == REASON_DNS_FAILED || r == REASON_DNSSEC_INVALID;
	}
	s->finished++;
	for (size_t i = 0; i < d->message.nrcpt; i++) {
		if (!send_result_print(s->result, d->order[i], s->nresult, s->json, a))
			s->unprinted = true;
	}
	delivery_free(&d->delivery);
	if (s->finished == s->ndestination || s->failed)
		loop_stop(s->engine->loop);
	else
		start_more(s);
}

static void start_more(struct send *s)
{
	while (s->started < s->ndestination && s->started - s->finished < PARALLEL_MAX &&
	       !s->failed) {
		struct destination *d = &s->destination[s->started++];
		struct delivery_request q = {
		    .next_hop = d->next_hop,
		    .message = &d->message,
		    .body = {.fd = s->spool.fd},
		    .submission = s->submit.server != NULL ? &s->submit.submission : NULL,
		    .id = s->id};
		d->delivery = delivery_start(s->engine, &q, on_delivery, d);
		if (d->delivery == NULL)
			s->failed = true;
	}
}

static int deliver(struct send *s)
{
	start_more(s);
	if (!s->failed)
		loop_run(s->engine->loop);
	for (size_t i = 0; i < s->ndestination; i++)
		delivery_free(&s->destination[i].delivery);
	if (s->dns_trouble && !s->failed)
		diagnose_dns(s->cmd, s->engine);
	if (s->failed)
		return cmd_fail(s->cmd, EX_TEMPFAIL,
				"out of memory; recipients without a line above may or may not "
				"have the message");
	if (s->unprinted) /* "try again later" would deliver twice */
		cmd_fail(s->cmd, 0, "some results could not be written; the exit code counts them");
	return send_results_exit(s->result, s->nresult);
}

/* Only where a route leads to a submission server: whoever sends may not be able to read them. */
static int read_credentials(struct send *s)
{
	char error[CMD_ERROR_MAX] = "";
	const char *path = s->cmd->conf->smtp_credentials;
	bool needed = false;
	for (size_t i = 0; i < s->ndestination && s->submit.server == NULL; i++)
		needed = needed || conf_has_submission(s->cmd->conf, s->destination[i].next_hop);
	if (path == NULL || !needed)
		return EX_OK;
	s->credentials = credentials_load(path, error, sizeof(error));
	return s->credentials != NULL ? EX_OK
				      : cmd_fail(s->cmd, EX_CONFIG, "smtp.credentials: %s", error);
}

static int run(struct send *s)
{
	char error[CMD_ERROR_MAX] = "";
	struct engine_config e = {.conf = s->cmd->conf,
				  .log = s->cmd->log,
				  .no_ipv4 = s->only6,
				  .no_ipv6 = s->only4,
				  .credentials = s->credentials};
	s->engine = engine_new(&e, error, sizeof(error));
	if (s->engine == NULL)
		return cmd_fail(s->cmd, EX_CONFIG, "%s", error);
	int code = read_message(s);
	if (code == EX_OK)
		code = deliver(s);
	engine_free(&s->engine);
	spool_close(&s->spool);
	return code;
}

int cmd_send(struct cmd *c)
{
	struct send s = {.cmd = c, .spool = {.fd = -1}};
	int code;
	if (!opts_all("danelaw send", &usage, c, take_option, &s, &code))
		return code;
	arena_init(&s.mem, SEND_MEM_MAX);
	if (s.only4 && s.only6)
		code = cmd_fail(c, EX_USAGE, "-4 and -6 exclude each other");
	if (code == EX_OK)
		code = submit_prepare(c, &s.submit);
	if (code == EX_OK)
		code = take_from(&s);
	if (code == EX_OK)
		code = take_rcpts(&s);
	if (code == EX_OK)
		code = read_credentials(&s);
	if (code == EX_OK)
		code = run(&s);
	submit_wipe(&s.submit);
	credentials_free(&s.credentials);
	arena_free(&s.mem);
	return code;
}
