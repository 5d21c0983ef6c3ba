/* SPDX-License-Identifier: MIT */
/* danelaw queue: an operator's view of the queue, through the relay's control socket. */
#include "cmd/cmd.h"

#include "cmd/control_client.h"
#include "relay/control.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { LINE_MAX_OCTETS = 256 * 1024 * 1024, CHUNK = 65536 }; /* 5000 recipients in one line */

static const struct opt options[] = {
    {'j', "json", NULL, "print the JSON Lines of the relay as they are"},
    {0, "for", "TIME", "policy: how long, as 30m, 24h, 7d"},
};
enum { OPT_JSON, OPT_FOR };

static const struct usage usage = {
    .synopsis = "queue [--json] ACTION [ARGUMENTS]",
    .summary = "Looks at the relay's queue and changes it.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more =
	"Actions:\n"
	"  list [FILTER...]                 deliveries in the queue\n"
	"  show ID, why ID                  the whole story of a message: every attempt, what to "
	"change, when next\n"
	"  stats                            totals, by destination, by reason\n"
	"  retry|hold|release FILTER...     try now, keep back, let go\n"
	"  bounce FILTER...                 give up and tell the sender\n"
	"  delete FILTER...                 give up and tell nobody\n"
	"  policy PATTERN LEVEL --for TIME  may, dane or dane-only for a destination, for a while\n"
	"  policy PATTERN clear             end that\n"
	"  policies                         what is in force\n"
	"  check                            has every delivery a next event? (it always should)\n\n"
	"A FILTER is next-hop=, sender=, recipient=, id=, state=, older-than=SECONDS or limit=.\n"
	"Exit: 0 done, 64 usage, 69 no such message, 75 the relay does not run or is busy, 77 not "
	"permitted.",
};

static const char *const actions[] = {"list",    "show",   "why",    "stats",  "retry",    "hold",
				      "release", "bounce", "delete", "policy", "policies", "check"};

/* --- The socket --- */

static int connect_control(struct cmd *c)
{
	int fd = control_connect(c);
	if (fd < 0 && errno == ENAMETOOLONG)
		cmd_fail(c, EX_CONFIG, "relay.control: the path is too long: %s",
			 c->conf->relay_control);
	else if (fd < 0)
		cmd_fail(c, EX_TEMPFAIL, "cannot talk to the relay at %s: %s; does it run?",
			 c->conf->relay_control, strerror(errno));
	return fd;
}

/* --- Words --- */

static void print_time(const char *label, int64_t t)
{
	char text[TIME_TEXT_MAX];
	if (t == 0)
		return;
	time_to_text(t, text);
	say(stdout, "  %s %s", label, text);
}

static const char *or_dash(const char *s)
{
	return s != NULL && s[0] != '\0' ? s : "-";
}

static void print_tries(struct json *j)
{
	for (size_t i = 0; i < json_get_count(j, "tries"); i++) {
		struct json *t = json_get_item(j, "tries", i);
		char when[TIME_TEXT_MAX];
		time_to_text(json_get_int(t, "at"), when);
		say(stdout, "    %s  %s [%s]  policy %s  %s %s\n", when,
		    or_dash(json_get_str(t, "host")), or_dash(json_get_str(t, "address")),
		    or_dash(json_get_str(t, "policy")), or_dash(json_get_str(t, "code")),
		    or_dash(json_get_str(t, "reason")));
		if (json_get_str(t, "sentence") != NULL)
			say(stdout, "      %s%s%s\n", json_get_str(t, "sentence"),
			    json_get_str(t, "detail") != NULL ? ": " : "",
			    json_get_str(t, "detail") != NULL ? json_get_str(t, "detail") : "");
		if (json_get_str(t, "tls") != NULL)
			say(stdout, "      tls: %s\n", json_get_str(t, "tls"));
		if (json_get_str(t, "continuity") != NULL)
			say(stdout, "      certificate: %s\n", json_get_str(t, "continuity"));
		if (json_get_str(t, "cure") != NULL)
			say(stdout, "      what to change: %s\n", json_get_str(t, "cure"));
	}
}

static void print_delivery(struct json *j, bool whole)
{
	say(stdout, "%s  %s  from <%s> to %s", json_get_str(j, "id"), json_get_str(j, "state"),
	    or_dash(json_get_str(j, "sender")), or_dash(json_get_str(j, "next_hop")));
	print_time("due", json_get_int(j, "due"));
	say(stdout, "  %s %s%s\n", or_dash(json_get_str(j, "code")),
	    or_dash(json_get_str(j, "reason")),
	    json_get_bool(j, "possibly_delivered") ? "  POSSIBLY DELIVERED" : "");
	if (!whole)
		return;
	say(stdout, "  %" PRId64 " octets from %s, %" PRId64 " attempts,", json_get_int(j, "size"),
	    or_dash(json_get_str(j, "origin")), json_get_int(j, "attempts"));
	print_time("arrived", json_get_int(j, "arrived"));
	print_time("given up at", json_get_int(j, "expires"));
	putchar('\n');
	for (size_t i = 0; i < json_get_count(j, "recipients"); i++) {
		struct json *r = json_get_item(j, "recipients", i);
		say(stdout, "  <%s> %s  %s %s  %s\n", json_get_str(r, "address"),
		    json_get_str(r, "state"), or_dash(json_get_str(r, "code")),
		    or_dash(json_get_str(r, "reason")), or_dash(json_get_str(r, "reply")));
	}
	print_tries(j);
}

/* Names, and a mark when there are more. */
static void print_examples(struct json *j, const char *list, const char *key, int64_t count)
{
	size_t n = json_get_count(j, list);
	for (size_t i = 0; i < n; i++) {
		struct json *x = json_get_item(j, list, i);
		say(stdout, "%s %s", i > 0 ? "," : "", or_dash(json_get_str(x, key)));
		if (json_get_str(x, "policy") != NULL)
			say(stdout, " %s (%s)", json_get_str(x, "policy"),
			    or_dash(json_get_str(x, "by")));
	}
	puts(count > (int64_t)n ? ", ..." : "");
}

/* Of a policy that was set: what it is about now, and what it does not touch. */
static void print_reach(struct json *j)
{
	int64_t n = json_get_int(j, "matching_destinations"), stay = json_get_int(j, "stay");
	if (n == 0)
		puts("matches nothing that waits now");
	else
		say(stdout, "matches %" PRId64 " deliveries to %" PRId64 " destinations now:",
		    json_get_int(j, "matching_deliveries"), n);
	if (n > 0)
		print_examples(j, "examples", "destination", n);
	if (stay == 0)
		return;
	say(stdout, "does not touch %" PRId64 " closer ones:", stay);
	print_examples(j, "staying", "pattern", stay);
}

static void print_other(struct json *j)
{
	if (json_has_key(j, "messages"))
		say(stdout,
		    "%" PRId64 " messages, %" PRId64 " octets, %" PRId64
		    " recipients; deliveries: %" PRId64 " waiting, %" PRId64 " active, %" PRId64
		    " held, %" PRId64 " possibly delivered\n",
		    json_get_int(j, "messages"), json_get_int(j, "bytes"),
		    json_get_int(j, "recipients"), json_get_int(j, "waiting"),
		    json_get_int(j, "active"), json_get_int(j, "held"),
		    json_get_int(j, "possibly_delivered"));
	else if (json_has_key(j, "destination"))
		say(stdout,
		    "%-40s %6" PRId64 " waiting %4" PRId64 " active %4" PRId64 " held  %s\n",
		    json_get_str(j, "destination"), json_get_int(j, "waiting"),
		    json_get_int(j, "active"), json_get_int(j, "held"),
		    or_dash(json_get_str(j, "reason")));
	else if (json_has_key(j, "deliveries"))
		say(stdout, "%-40s %6" PRId64 " deliveries\n", or_dash(json_get_str(j, "reason")),
		    json_get_int(j, "deliveries"));
	else if (json_has_key(j, "lacking"))
		say(stdout, "delivery %" PRId64 ": %s\n", json_get_int(j, "lacking"),
		    or_dash(json_get_str(j, "why")));
	else if (json_has_key(j, "pattern")) {
		say(stdout, "%-40s %s", json_get_str(j, "pattern"),
		    or_dash(json_get_str(j, "policy")));
		print_time("until", json_get_int(j, "expires"));
		puts(json_get_bool(j, "never_matches") ? "  NEVER MATCHES, clear it" : "");
	} else if (json_has_key(j, "matching_deliveries")) {
		print_reach(j);
	}
}

static int code_of_error(const char *error)
{
	if (strncmp(error, "no such", 7) == 0)
		return EX_UNAVAILABLE;
	return strncmp(error, "no destination", 14) == 0 ? EX_USAGE : EX_TEMPFAIL;
}

/* The last line says how it went. */
static int print_end(struct cmd *c, struct json *j, const char *action)
{
	if (!json_get_bool(j, "ok")) {
		const char *error = or_dash(json_get_str(j, "error"));
		return cmd_fail(c, code_of_error(error), "%s", error);
	}
	if (strcmp(action, "check") == 0) {
		puts("every delivery has a next event");
		return EX_OK;
	}
	bool changes = strcmp(action, "list") != 0 && strcmp(action, "show") != 0 &&
		       strcmp(action, "stats") != 0 && strcmp(action, "policies") != 0;
	if (changes)
		say(stdout, "%s: %" PRId64 "\n", action, json_get_int(j, "count"));
	else if (strcmp(action, "list") == 0 && json_get_int(j, "count") == 0)
		puts("the queue is empty, or nothing matches");
	return EX_OK;
}

struct reader {
	struct cmd *cmd;
	const char *action;
	bool json, ended;
	int code;
};

static void print_line(struct reader *r, struct slice line)
{
	struct json *j = json_parse((const char *)line.p, line.n);
	bool ok = json_get_bool(j, "ok");
	r->ended = json_has_key(j, "ok");
	if (r->json)
		json_write_line(j, stdout);
	if (r->ended)
		r->code = r->json ? (ok ? EX_OK : EX_TEMPFAIL) : print_end(r->cmd, j, r->action);
	else if (!r->json && json_has_key(j, "delivery"))
		print_delivery(j, strcmp(r->action, "show") == 0);
	else if (!r->json && j != NULL)
		print_other(j);
	json_free(&j);
}

/* Prints lines as they come: the whole answer may be longer than memory. False: it broke off. */
static bool print_reply(int fd, struct reader *r)
{
	struct buf text;
	size_t seen = 0; /* octets without a line end */
	ssize_t n = -1;
	buf_init(&text, LINE_MAX_OCTETS);
	for (uint8_t *p; (p = buf_reserve(&text, CHUNK)) != NULL;) {
		n = read(fd, p, CHUNK);
		if (n <= 0)
			break;
		buf_commit(&text, (size_t)n);
		for (struct slice all; (all = buf_slice(&text)).n > seen;) {
			size_t end = seen + slice_find(slice_from(all, seen), '\n');
			seen = end;
			if (end == all.n)
				break;
			print_line(r, slice_first(all, end));
			buf_consume(&text, end + 1);
			seen = 0;
		}
	}
	buf_free(&text);
	return n == 0;
}

/* --- Arguments --- */

/* "24h" in seconds; 0: not a time. */
static uint64_t seconds_of(const char *text)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	struct slice s = slice_str(text);
	uint64_t n;
	for (size_t i = 0; s.n > 1 && i < 4; i++) {
		if (s.p[s.n - 1] == units[i].unit &&
		    slice_to_u64(slice_first(s, s.n - 1), 1000000, &n))
			return n * units[i].seconds;
	}
	return 0;
}

static bool add_field(struct buf *line, const char *text)
{
	if (strpbrk(text, "\t\n\r") != NULL)
		return false;
	if (buf_len(line) > 0)
		buf_add_u8(line, '\t');
	buf_add_str(line, text);
	return true;
}

static int make_line(struct cmd *c, const char *action, const char *duration, struct buf *line)
{
	bool ok = add_field(line, action);
	for (int i = optind + 1; i < c->argc && ok; i++)
		ok = add_field(line, c->argv[i]);
	if (strcmp(action, "policy") == 0 && c->argc - optind == 3 &&
	    strcmp(c->argv[optind + 2], "clear") != 0) {
		uint64_t seconds = duration != NULL ? seconds_of(duration) : 0;
		if (seconds == 0)
			return cmd_fail(c, EX_USAGE, "an override needs an end: --for 24h");
		buf_addf(line, "\t%" PRIu64, seconds);
	}
	buf_add_u8(line, '\n');
	if (!ok || buf_len(line) > CONTROL_LINE_MAX)
		return cmd_fail(c, EX_USAGE, "an argument has control characters or is too long");
	return EX_OK;
}

static int run(struct cmd *c, const char *action, const char *duration, bool json)
{
	struct buf line;
	struct reader r = {.cmd = c, .action = action, .json = json, .code = EX_TEMPFAIL};
	buf_init(&line, CONTROL_LINE_MAX * 2);
	int code = make_line(c, action, duration, &line);
	int fd = code == EX_OK ? connect_control(c) : -1;
	if (code == EX_OK && fd < 0)
		code = EX_TEMPFAIL;
	else if (code == EX_OK && (!control_send(fd, &line) || !print_reply(fd, &r)))
		code = cmd_fail(c, EX_TEMPFAIL, "the relay broke off: %s", strerror(errno));
	else if (code == EX_OK)
		code = r.ended ? r.code : cmd_fail(c, EX_TEMPFAIL, "the relay broke off");
	if (fd >= 0)
		close(fd);
	buf_free(&line);
	return code;
}

int cmd_queue(struct cmd *c)
{
	const char *value, *duration = NULL;
	bool json = false;
	for (int o; (o = opts_next("danelaw queue", &usage, c->argc, c->argv, false, &value)) !=
		    OPTS_END;) {
		if (o == OPTS_HELP)
			return EX_OK;
		if (o == OPTS_BAD)
			return EX_USAGE;
		if (o == OPT_JSON)
			json = true;
		else
			duration = value;
	}
	if (optind >= c->argc)
		return cmd_fail(
		    c, EX_USAGE,
		    "say what to do: list, why ID, stats ...; see 'danelaw queue --help'");
	const char *action = c->argv[optind];
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i], action) == 0)
			return run(c, strcmp(action, "why") == 0 ? "show" : action, duration, json);
	}
	return cmd_fail(c, EX_USAGE, "unknown action '%s'; see 'danelaw queue --help'", action);
}
