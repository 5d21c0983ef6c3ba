/* SPDX-License-Identifier: MIT */
/*
 * danelaw passwd: the passwords of submission users: add, change, delete, list.
 *
 * Knows how to ask a person without showing what they type. Refuses to know the file's form and the
 * hashes: that is the room users.
 */
#include "cmd/cmd.h"

#include "users/users.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

static const struct opt options[] = {
    {'d', "delete", NULL, "take the user out"},
    {'l', "list", NULL, "print the users and the methods of their hashes"},
};
enum { OPT_DELETE, OPT_LIST };

static const struct usage usage = {
    .synopsis = "passwd [--delete] FILE NAME | passwd --list FILE",
    .summary = "Sets the password of a submission user, or adds the user.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "The password is asked for twice; if standard input is no terminal, it is one line "
	    "of it.\n"
	    "Exit: 0 done, 64 usage, 65 the file or the password is not right, 66 no password, 67 "
	    "no such user.",
};

struct passwd {
	struct cmd *cmd;
	const char *file, *name;
	bool delete, list;
};

/* A password as it was typed; wiped by who asked for it. One octet more than may be, to notice. */
struct typed {
	uint8_t p[USERS_PASSWORD_MAX + 1];
	size_t n;
};

static struct slice slice_of(const struct typed *t)
{
	return slice_make(t->p, t->n);
}

/* --- Reading --- */

enum got { GOT_LINE, GOT_NOTHING, GOT_SIGNAL, GOT_ERROR };

/* Octet by octet and past stdio, so that no other copy stays in memory. signals < 0: not watched.
 */
static enum got read_line(int signals, struct typed *out)
{
	out->n = 0;
	for (bool any = false;;) {
		uint8_t c;
		struct pollfd watched[] = {{.fd = 0, .events = POLLIN},
					   {.fd = signals, .events = POLLIN}};
		if (poll(watched, 2, -1) < 0 && errno != EINTR)
			return GOT_ERROR;
		if (watched[1].revents != 0)
			return GOT_SIGNAL;
		if (watched[0].revents == 0)
			continue;
		ssize_t n = read(0, &c, 1);
		if (n < 0 && errno != EINTR)
			return GOT_ERROR;
		if (n == 0)
			return any ? GOT_LINE : GOT_NOTHING;
		if (n == 1 && c == '\n')
			return GOT_LINE;
		if (n == 1 && out->n < sizeof(out->p))
			out->p[out->n++] = c;
		any = true;
	}
}

/* --- The terminal --- */

struct silence {
	struct termios before;
	sigset_t mask_before;
	int signals;
};

/* Signals wait while the echo is off: they end us only once it is on again. */
static bool silence_begin(struct silence *s)
{
	static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaddset(&set, watched[i]);
	if (tcgetattr(0, &s->before) != 0)
		return false;
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signals < 0)
		return false;
	sigprocmask(SIG_BLOCK, &set, &s->mask_before);
	struct termios quiet = s->before;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	if (tcsetattr(0, TCSAFLUSH, &quiet) == 0)
		return true;
	sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
	close(s->signals);
	return false;
}

static void silence_end(struct silence *s)
{
	tcsetattr(0, TCSAFLUSH, &s->before);
	fputc('\n', stderr);
	close(s->signals);
	sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
}

static enum got ask(const char *prompt, const char *name, struct typed *out)
{
	struct silence s;
	if (!silence_begin(&s))
		return GOT_ERROR;
	say(stderr, "%s %s: ", prompt, name);
	fflush(stderr);
	enum got got = read_line(s.signals, out);
	silence_end(&s);
	return got;
}

/* --- Getting a password --- */

static int no_password(const struct passwd *p, enum got got)
{
	switch (got) {
	case GOT_LINE:
		return EX_OK;
	case GOT_NOTHING:
		return cmd_fail(p->cmd, EX_NOINPUT, "no password on standard input");
	case GOT_SIGNAL:
		return cmd_fail(p->cmd, EX_NOINPUT, "interrupted; nothing was changed");
	case GOT_ERROR:
		break;
	}
	return cmd_fail(p->cmd, EX_NOINPUT, "cannot read the password: %s", strerror(errno));
}

static int ask_twice(const struct passwd *p, struct typed *out)
{
	struct typed again = {.n = 0};
	int code = no_password(p, ask("New password of", p->name, out));
	if (code == EX_OK)
		code = no_password(p, ask("The same again, of", p->name, &again));
	if (code == EX_OK && !slice_eq(slice_of(out), slice_of(&again)))
		code =
		    cmd_fail(p->cmd, EX_DATAERR, "the two passwords differ; nothing was changed");
	explicit_bzero(&again, sizeof(again));
	return code;
}

static int get_password(const struct passwd *p, struct typed *out)
{
	if (p->cmd->stdin_closed)
		return cmd_fail(p->cmd, EX_NOINPUT, "standard input is closed");
	if (isatty(0))
		return ask_twice(p, out);
	return no_password(p, read_line(-1, out));
}

/* --- What it does --- */

static int report(const struct passwd *p, enum users_edit e, const char *error)
{
	switch (e) {
	case USERS_EDIT_FAILED:
		return cmd_fail(p->cmd, EX_DATAERR, "%s", error);
	case USERS_ADDED:
		say(stdout, "%s: added %s\n", p->file, p->name);
		return EX_OK;
	case USERS_CHANGED:
		say(stdout, "%s: changed the password of %s\n", p->file, p->name);
		return EX_OK;
	case USERS_REMOVED:
		say(stdout, "%s: deleted %s\n", p->file, p->name);
		return EX_OK;
	case USERS_UNKNOWN:
		return cmd_fail(p->cmd, EX_NOUSER, "%s: no user '%s'", p->file, p->name);
	}
	return EX_SOFTWARE;
}

static int set_password(const struct passwd *p)
{
	char hash[USERS_HASH_MAX + 1], error[CMD_ERROR_MAX] = "";
	struct typed typed = {.n = 0};
	int code = get_password(p, &typed);
	bool hashed = code == EX_OK && users_hash(slice_of(&typed), hash, error, sizeof(error));
	explicit_bzero(&typed, sizeof(typed));
	if (code != EX_OK)
		return code;
	if (!hashed)
		return cmd_fail(p->cmd, EX_DATAERR, "%s", error);
	enum users_edit e = users_set(p->file, p->name, hash, error, sizeof(error));
	explicit_bzero(hash, sizeof(hash));
	return report(p, e, error);
}

static int delete_user(const struct passwd *p)
{
	char error[CMD_ERROR_MAX] = "";
	enum users_edit e = users_remove(p->file, p->name, error, sizeof(error));
	return report(p, e, error);
}

static void list_one(void *arg, struct slice name, const char *method, const char *refused)
{
	(void)arg;
	say(stdout, "%.*s\t%s", (int)name.n, (const char *)name.p, method);
	if (refused != NULL)
		say(stdout, "\trefused: %s", refused);
	fputc('\n', stdout);
}

static int list_users(const struct passwd *p)
{
	char error[CMD_ERROR_MAX] = "";
	if (users_list(p->file, list_one, NULL, error, sizeof(error)))
		return EX_OK;
	return cmd_fail(p->cmd, EX_DATAERR, "%s", error);
}

/* --- Arguments --- */

/* Returns -1 to go on, else the exit code. */
static int read_options(struct passwd *p)
{
	const char *value;
	for (;;) {
		switch (opts_next("danelaw passwd", &usage, p->cmd->argc, p->cmd->argv, false,
				  &value)) {
		case OPT_DELETE:
			p->delete = true;
			break;
		case OPT_LIST:
			p->list = true;
			break;
		case OPTS_HELP:
			return EX_OK;
		case OPTS_BAD:
			return EX_USAGE;
		default: /* OPTS_END */
			return -1;
		}
	}
}

static int read_operands(struct passwd *p)
{
	int n = p->cmd->argc - optind;
	char **operand = p->cmd->argv + optind;
	if (p->list && p->delete)
		return cmd_fail(p->cmd, EX_USAGE, "--list and --delete exclude each other");
	if (p->list && n != 1)
		return cmd_fail(p->cmd, EX_USAGE,
				"--list needs one file; see 'danelaw passwd --help'");
	if (!p->list && n != 2)
		return cmd_fail(p->cmd, EX_USAGE,
				"needs a file and a name; see 'danelaw passwd --help'");
	p->file = operand[0];
	if (p->list)
		return -1;
	p->name = operand[1];
	const char *wrong = users_name_error(slice_str(p->name));
	if (wrong != NULL)
		return cmd_fail(p->cmd, EX_USAGE, "%s", wrong);
	return -1;
}

int cmd_passwd(struct cmd *c)
{
	struct passwd p = {.cmd = c};
	int code = read_options(&p);
	if (code < 0)
		code = read_operands(&p);
	if (code >= 0)
		return code;
	if (p.list)
		return list_users(&p);
	return p.delete ? delete_user(&p) : set_password(&p);
}
