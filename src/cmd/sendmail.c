/* SPDX-License-Identifier: MIT */
/*
 * danelaw sendmail: what cron, PHP, git and mail readers call to get rid of a message. Knows the
 * command line that they expect, and hands the message to the relay on this machine by SMTP.
 *
 * The program under the name sendmail, mailq or newaliases is this command. Any user of the machine
 * may call it, also through a web form that passes a recipient on: no option names a file to read
 * or write.
 */
#include "cmd/sendmail.h"

#include "wire/address.h"
#include "wire/dname.h"
#include "wire/header.h"

#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	SENDMAIL_MEM_MAX = 64 * 1024 * 1024,
	SENDMAIL_RCPTS_MAX = 10000,
	HEAD_ROOM = 65536, /* for the fields that are added */
};

static const char help[] =
    "Usage: danelaw sendmail [-t] [-i] [-f FROM] [-F NAME] [RCPT...] < MESSAGE\n"
    "       danelaw sendmail -bs | -bp\n\n"
    "Hands a message to the relay on this machine, as programs expect of sendmail.\n\n"
    "  -t            recipients from To, Cc and Bcc; Bcc is removed\n"
    "  -i, -oi       a line with a dot alone does not end the message\n"
    "  -f, -r FROM   the envelope sender; '' or '<>' for none\n"
    "  -F NAME       the display name of a From field that is added\n"
    "  -N, -R, -V X  notification when, how much, envelope identifier (RFC 3461)\n"
    "  -bs           speak SMTP on standard input and output\n"
    "  -bp           print the queue, as mailq does\n"
    "  -v            say what became of each recipient\n\n"
    "Other options of sendmail are accepted where they ask for nothing.\n"
    "Exit: 0 the relay has it, 75 try later, 64 usage, 65 bad message, 67 or 68 bad recipient,\n"
    "69 and 77 refused, 78 configuration.\n";

struct request {
	const char *from;
	char mode; /* m, s, p, i */
	bool flush;
};

/* --- Who --- */

/* As the relay calls itself. */
static void set_host(struct sendmail *s)
{
	const char *helo = s->cmd->conf->smtp_helo;
	char host[256] = "";
	struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
	struct addrinfo *info = NULL;
	if (helo == NULL && gethostname(host, sizeof(host) - 1) != 0)
		snprintf(host, sizeof(host), "localhost");
	snprintf(s->host, sizeof(s->host), "%s", helo != NULL ? helo : host);
	if (helo == NULL && strchr(host, '.') == NULL &&
	    getaddrinfo(host, NULL, &hints, &info) == 0 && info->ai_canonname != NULL)
		snprintf(s->host, sizeof(s->host), "%s", info->ai_canonname);
	if (info != NULL)
		freeaddrinfo(info);
	/* a machine may have a name that no address can have */
	if (helo == NULL && !hostname_is_valid(slice_str(s->host)))
		snprintf(s->host, sizeof(s->host), "localhost");
}

const char *sendmail_wire_address(struct sendmail *s, const char *text)
{
	struct address a;
	char ascii[512], error[CMD_ERROR_MAX];
	enum address_error e = address_parse(slice_str(text), &a);
	if (e == ADDRESS_NO_AT) {
		text = arena_printf(&s->mem, "%s@%s", text, s->host);
		e = address_parse(slice_str(text), &a);
	}
	if (e != ADDRESS_OK) {
		cmd_fail(s->cmd, EX_DATAERR, "'%s' is not a mail address: %s",
			 text != NULL ? text : "", address_strerror(e));
		return NULL;
	}
	s->utf8_address = s->utf8_address || a.utf8_local;
	if (a.literal)
		return arena_strdup(&s->mem, text);
	const char *typed = arena_str(&s->mem, a.domain);
	if (typed == NULL || !domain_from_text(typed, ascii, sizeof(ascii), error, sizeof(error))) {
		cmd_fail(s->cmd, EX_DATAERR, "'%s' is not a mail address: %s", text,
			 typed != NULL ? error : "out of memory");
		return NULL;
	}
	return arena_printf(&s->mem, "%.*s@%s", (int)a.local.n, (const char *)a.local.p, ascii);
}

static bool add_rcpt(struct sendmail *s, const char *address)
{
	for (size_t i = 0; i < s->nrcpt; i++) {
		if (strcmp(s->rcpt[i].address, address) == 0)
			return true;
	}
	if (s->nrcpt == s->room) {
		size_t room = s->room == 0 ? 16 : s->room * 2;
		struct smtpc_rcpt *more =
		    room <= 2 * SENDMAIL_RCPTS_MAX ? realloc(s->rcpt, room * sizeof(*more)) : NULL;
		if (more == NULL)
			return false;
		s->rcpt = more;
		s->room = room;
	}
	s->rcpt[s->nrcpt++] = (struct smtpc_rcpt){
	    .address = address,
	    .params = {.notify = s->notify, .orcpt = s->notify != NULL ? address : NULL}};
	return s->nrcpt <= SENDMAIL_RCPTS_MAX;
}

int sendmail_add_rcpts(struct sendmail *s, struct slice list, const char *where)
{
	struct address_list l = {.rest = list};
	char text[HEADER_ADDRESS_MAX];
	int got;
	while ((got = address_list_next(&l, text)) > 0) {
		const char *address = sendmail_wire_address(s, text);
		if (address == NULL)
			return EX_DATAERR;
		if (!add_rcpt(s, address))
			return cmd_fail(s->cmd, EX_DATAERR, "more than %d recipients",
					SENDMAIL_RCPTS_MAX);
	}
	if (got < 0)
		return cmd_fail(s->cmd, EX_DATAERR, "%s: no list of addresses: %s", where,
				address_list_strerror(got));
	return EX_OK;
}

/* Without -f: who calls. */
static int set_sender(struct sendmail *s, const char *text)
{
	char address[HEADER_ADDRESS_MAX], user[64];
	struct address_list l = {.rest = slice_str(text)};
	if (text != NULL && (text[0] == '\0' || strcmp(text, "<>") == 0)) {
		s->from = "";
		return EX_OK;
	}
	if (text == NULL) {
		const struct passwd *who = getpwuid(getuid());
		snprintf(user, sizeof(user), "uid-%u", (unsigned)getuid());
		s->from = sendmail_wire_address(s, who != NULL ? who->pw_name : user);
	} else if (address_list_next(&l, address) == 1 && l.rest.n == 0) {
		s->from = sendmail_wire_address(s, address);
	} else {
		cmd_fail(s->cmd, 0, "-f: '%s' is not one mail address", text);
	}
	return s->from != NULL ? EX_OK : EX_USAGE;
}

/* --- Options --- */

/* "success,delay" as the words of RFC 3461 s4.1. NULL: not such words. */
static const char *notify_of(struct sendmail *s, const char *text)
{
	static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
	const char *list = NULL;
	struct slice rest = slice_str(text);
	while (rest.n > 0) {
		struct slice word = slice_cut(rest, ',', &rest);
		size_t i = 0;
		while (i < 4 && !slice_eq_nocase_str(word, words[i]))
			i++;
		if (i == 4 || (list != NULL && (i == 0 || strcmp(list, words[0]) == 0)))
			return NULL;
		list = list == NULL ? words[i] : arena_printf(&s->mem, "%s,%s", list, words[i]);
	}
	return list;
}

static int set_notification(struct sendmail *s, int letter, const char *value)
{
	size_t length = strlen(value);
	if (letter == 'N') {
		s->notify = notify_of(s, value);
		return s->notify != NULL ? EX_OK
					 : cmd_fail(s->cmd, EX_USAGE,
						    "-N: never, or a list of success, failure and "
						    "delay; not '%s'",
						    value);
	}
	if (letter == 'V') {
		s->envid = value;
		return length > 0 && length <= 100
			   ? EX_OK
			   : cmd_fail(s->cmd, EX_USAGE, "-V: 1 to 100 characters");
	}
	bool full = slice_eq_nocase_str(slice_str(value), "full");
	bool hdrs = slice_eq_nocase_str(slice_str(value), "hdrs");
	s->ret = full ? "FULL" : "HDRS";
	return full || hdrs ? EX_OK
			    : cmd_fail(s->cmd, EX_USAGE, "-R: full or hdrs, not '%s'", value);
}

/* Options that change nothing here: body type, error mode, debugging, hops, labels, protocols. */
static const char option_letters[] = "A:B:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx";

static int set_mode(struct sendmail *s, struct request *r, const char *value)
{
	r->mode = value[0];
	if (strlen(value) == 1 && strchr("mspi", value[0]) != NULL)
		return EX_OK;
	return cmd_fail(s->cmd, EX_USAGE, "-b%s is not known here; the daemon is 'danelaw relay'",
			value);
}

static int set_flush(struct sendmail *s, struct request *r, const char *value)
{
	r->flush = true;
	if (value == NULL)
		return EX_OK;
	return cmd_fail(s->cmd, EX_USAGE, "-q%s is not known here; see 'danelaw queue --help'",
			value);
}

/* Options of the message. True: it was one. */
static bool take_flag(struct sendmail *s, struct request *r, int letter, const char *value)
{
	bool set = letter == 'o';
	if (letter == 't' || (set && strcmp(value, "t") == 0))
		s->from_header = true;
	else if (letter == 'i' || (set && strcmp(value, "i") == 0))
		s->ignore_dots = true;
	else if (letter == 'f' || letter == 'r')
		r->from = value;
	else if (letter == 'F')
		s->full_name = value;
	else if (letter == 'v')
		s->verbose = true;
	else
		return set; /* others behind -o ask for nothing */
	return true;
}

static int take_option(struct sendmail *s, struct request *r, int letter, const char *value)
{
	if (take_flag(s, r, letter, value))
		return EX_OK;
	if (strchr("NRV", letter) != NULL)
		return set_notification(s, letter, value);
	if (letter == 'b' || letter == 'I')
		return set_mode(s, r, letter == 'b' ? value : "i");
	if (letter == 'q')
		return set_flush(s, r, value);
	if (letter == '?' || letter == ':')
		return cmd_fail(s->cmd, EX_USAGE, "%s -%c; see 'danelaw sendmail --help'",
				letter == ':' ? "a value is missing behind" : "unknown option",
				optopt);
	return EX_OK; /* accepted: it asks for nothing */
}

/* --- Modes --- */

static int ask_queue(struct cmd *c, const char *action, const char *filter)
{
	char name[] = "queue", what[16], which[32];
	char *argv[] = {name, what, filter != NULL ? which : NULL, NULL};
	struct cmd queue = *c;
	snprintf(what, sizeof(what), "%s", action);
	snprintf(which, sizeof(which), "%s", filter != NULL ? filter : "");
	queue.name = "queue";
	queue.argc = filter != NULL ? 3 : 2;
	queue.argv = argv;
	optind = 0; /* getopt_long(3): start over */
	return cmd_queue(&queue);
}

static int send_message(struct sendmail *s, const char *from)
{
	struct cmd *c = s->cmd;
	int code = set_sender(s, from);
	for (int i = optind; i < c->argc && code == EX_OK; i++)
		code = sendmail_add_rcpts(s, slice_str(c->argv[i]), c->argv[i]);
	if (code == EX_OK && s->nrcpt == 0 && !s->from_header)
		code =
		    cmd_fail(c, EX_USAGE, "no recipients; give them, or -t to take the header's");
	if (code == EX_OK)
		code = sendmail_read(s);
	if (code == EX_OK)
		code = sendmail_make_message(s);
	if (code == EX_OK && s->nrcpt == 0)
		code = cmd_fail(c, EX_DATAERR, "no recipients in To, Cc and Bcc");
	if (code == EX_OK)
		code = sendmail_hand_over(s);
	return code;
}

static int run(struct sendmail *s, const struct request *r)
{
	if (r->mode == 'p')
		return ask_queue(s->cmd, "list", NULL);
	if (r->mode == 'i') /* there are no aliases to make anew */
		return EX_OK;
	if (r->flush)
		return ask_queue(s->cmd, "retry", "state=waiting");
	if (r->mode == 's')
		return sendmail_pass_through(s);
	set_host(s);
	return send_message(s, r->from);
}

static char mode_of_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	return strcmp(name, "mailq") == 0 ? 'p' : strcmp(name, "newaliases") == 0 ? 'i' : 'm';
}

int cmd_sendmail(struct cmd *c)
{
	struct sendmail s = {.cmd = c};
	struct request r = {.mode = mode_of_name(c->argv[0])};
	char shorts[sizeof(option_letters) + 1];
	int code = EX_OK, letter;
	if (c->argc > 1 && strcmp(c->argv[1], "--help") == 0) {
		fputs(help, stdout);
		return EX_OK;
	}
	snprintf(shorts, sizeof(shorts), ":%s", option_letters);
	arena_init(&s.mem, SENDMAIL_MEM_MAX);
	buf_init(&s.text, (size_t)c->conf->relay_size_max + 2);
	buf_init(&s.head, (size_t)c->conf->relay_size_max + HEAD_ROOM);
	opterr = 0;
	while (code == EX_OK && (letter = getopt(c->argc, c->argv, shorts)) != -1)
		code = take_option(&s, &r, letter, optarg);
	if (code == EX_OK)
		code = run(&s, &r);
	free(s.rcpt);
	buf_free(&s.text);
	buf_free(&s.head);
	arena_free(&s.mem);
	return code;
}
