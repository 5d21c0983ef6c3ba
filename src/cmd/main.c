/* SPDX-License-Identifier: MIT */
/*
 * danelaw [-c FILE] [-o SECTION.KEY=VALUE]... COMMAND [ARGS]: global options, the configuration,
 * the subcommand.
 */
#include "cmd/cmd.h"

#include "base/nearest.h"
#include "idn/idn.h"
#include "relay/relay.h"
#include "tls/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum { OVERRIDES_MAX = 256 };

static const struct command {
	const char *name;
	int (*run)(struct cmd *c);
	const char *summary;
} commands[] = {
    {"check", cmd_check, "is mail to a domain protected by DANE, and if not, why?"},
    {"send", cmd_send, "deliver a message now, in one attempt, without a queue"},
    {"verify", cmd_verify, "judge a certificate chain against TLSA records, offline"},
    {"resolve", cmd_resolve, "ask the validating resolver"},
    {"tlsa", cmd_tlsa, "TLSA records for your own servers"},
    {"selfcheck", cmd_selfcheck, "does a server keep what its TLSA records promise?"},
    {"relay", cmd_relay, "the daemon: take mail in, keep it, deliver it by DANE"},
    {"queue", cmd_queue, "look at the relay's queue and change it"},
    {"audit", cmd_audit, "show what the relay did, and whether its records are untouched"},
    {"passwd", cmd_passwd, "set the passwords of submission users"},
    {"sendmail", cmd_sendmail, "hand a message to the relay, as programs expect of sendmail"},
};
enum { NCOMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct opt options[] = {
    {'c', "config", "FILE",
     "read this configuration file (default " CONF_DEFAULT_PATH ", if it exists)"},
    {'o', "option", "SECTION.KEY=VALUE",
     "override an option of the configuration; may be repeated"},
    {'v', "verbose", NULL, "log what is done to standard error; twice: more"},
    {'V', "version", NULL, "print the version and exit"},
    {0, "help-options", NULL, "list the options of the configuration and exit"},
};
enum { OPT_CONFIG, OPT_OVERRIDE, OPT_VERBOSE, OPT_VERSION, OPT_HELP_OPTIONS };

static const char commands_help[] =
    "Commands:\n"
    "  check     is mail to a domain protected by DANE, and if not, why?\n"
    "  send      deliver a message now, in one attempt, without a queue\n"
    "  verify    judge a certificate chain against TLSA records, offline\n"
    "  resolve   ask the validating resolver\n"
    "  tlsa      TLSA records for your own servers\n"
    "  selfcheck does a server keep what its TLSA records promise?\n"
    "  relay     the daemon: take mail in, keep it, deliver it by DANE\n"
    "  queue     look at the relay's queue and change it\n"
    "  audit     show what the relay did, and whether its records are untouched\n"
    "  passwd    set the passwords of submission users\n"
    "  sendmail  hand a message to the relay, as programs expect of sendmail\n"
    "\n'danelaw COMMAND --help' says more; so do danelaw(1) and danelaw.conf(5).";

static const struct usage usage = {
    .synopsis = "[-c FILE] [-o SECTION.KEY=VALUE]... COMMAND [ARGUMENTS]",
    .summary = "SMTP delivery where DANE is the law (RFC 7672).",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = commands_help,
};

struct globals {
	const char *config;
	const char *override[OVERRIDES_MAX];
	size_t noverride;
	int verbose;
};

int cmd_fail(const struct cmd *c, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(stderr, "danelaw%s%s: ", c->name != NULL ? " " : "", c->name != NULL ? c->name : "");
	say_list(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return code;
}

/* A closed standard descriptor must not become the configuration file or a socket. */
static bool guard_descriptors(void)
{
	bool stdin_closed = fcntl(0, F_GETFD) < 0 && errno == EBADF;
	for (;;) {
		int fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return stdin_closed;
		if (fd > 2) {
			close(fd);
			return stdin_closed;
		}
	}
}

/* The soft limit is low for the sake of select(2), which nothing here uses; many domains at once,
 * each with many addresses, need more. What cannot be had is not missed. */
static void raise_descriptors(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static const char *normalise_title(const char *title, char *out)
{
	const char *why;
	return idn_destination_pattern(title, out, &why) == IDN_OK ? NULL : why;
}

static void print_version(void)
{
	say(stdout, "danelaw %s (%s)\n", DANELAW_VERSION, tls_library_version());
}

/* Returns -1 to go on, else the exit code. */
static int read_globals(int argc, char **argv, struct globals *g)
{
	static const struct cmd nobody = {0};
	const char *value;
	for (;;) {
		switch (opts_next("danelaw", &usage, argc, argv, true, &value)) {
		case OPT_CONFIG:
			g->config = value;
			break;
		case OPT_OVERRIDE:
			if (g->noverride == OVERRIDES_MAX)
				return cmd_fail(&nobody, EX_USAGE, "more than %d options -o",
						OVERRIDES_MAX);
			g->override[g->noverride++] = value;
			break;
		case OPT_VERBOSE:
			g->verbose++;
			break;
		case OPT_VERSION:
			print_version();
			return EX_OK;
		case OPT_HELP_OPTIONS:
			return conf_print_options(stdout) ? EX_OK : EX_IOERR;
		case OPTS_HELP:
			return EX_OK;
		case OPTS_BAD:
			return EX_USAGE;
		default: /* OPTS_END */
			return -1;
		}
	}
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	static const struct cmd nobody = {0};
	const char *names[NCOMMANDS];
	for (size_t i = 0; i < NCOMMANDS; i++)
		names[i] = commands[i].name;
	const char *near = nearest_word(name, names, NCOMMANDS);
	if (near != NULL)
		return cmd_fail(&nobody, EX_USAGE, "unknown command '%s'; did you mean '%s'?", name,
				near);
	return cmd_fail(&nobody, EX_USAGE, "unknown command '%s'; see 'danelaw --help'", name);
}

/* Tools log to standard error, and only when asked; the configuration's log section is for those
 * who want more. */
static struct log *make_log(const struct conf *conf, int verbose)
{
	if (conf->log_target != LOG_TARGET_STDERR)
		return log_new(conf->log_target, conf->log_level);
	enum log_level level = verbose > 1   ? LOG_LEVEL_DEBUG
			       : verbose > 0 ? LOG_LEVEL_INFO
					     : LOG_LEVEL_WARN;
	return log_new(LOG_TARGET_STDERR, level);
}

/* What could not be printed was not done, whatever the command thinks. */
static int flushed(const struct cmd *c, int code)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EX_OK)
		return cmd_fail(c, EX_IOERR, "cannot write to standard output: %s",
				strerror(errno));
	return code;
}

static const struct conf_hooks hooks = {.normalise = normalise_title};

static struct conf *load(void *arg, char *error, size_t room)
{
	const struct globals *g = arg;
	return conf_load(g->config, g->override, g->noverride, &hooks, error, room);
}

static int run(const struct command *command, struct globals *g, struct cmd *c)
{
	char error[CMD_ERROR_MAX] = "";
	c->conf = load(g, error, sizeof(error));
	c->reload = load;
	c->reload_arg = g;
	if (c->conf == NULL) {
		static const struct cmd nobody = {0};
		return cmd_fail(&nobody, EX_CONFIG, "%s", error);
	}
	c->log = make_log(c->conf, g->verbose);
	optind = 0; /* getopt_long(3): start over */
	int code = command->run(c);
	log_free(&c->log);
	conf_free(&c->conf);
	return flushed(c, code);
}

/* Under the names that other programs know, the program is the one command and all options are its
 * own. */
static bool is_sendmail(const char *path)
{
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : path;
	return name != NULL && (strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0 ||
				strcmp(name, "newaliases") == 0);
}

int main(int argc, char **argv)
{
	struct globals g = {0};
	int born;
	setlocale(LC_CTYPE, "");
	if (relay_born(&hooks, &born)) /* a process of the relay */
		return born;
	struct cmd c = {.stdin_closed = guard_descriptors()};
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	if (is_sendmail(argv[0])) {
		c.name = "sendmail";
		c.argc = argc;
		c.argv = argv;
		return run(find_command(c.name), &g, &c);
	}
	int code = read_globals(argc, argv, &g);
	if (code >= 0)
		return flushed(&c, code);
	if (optind >= argc)
		return cmd_fail(&c, EX_USAGE, "no command given; see 'danelaw --help'");
	const struct command *command = find_command(argv[optind]);
	if (command == NULL)
		return unknown_command(argv[optind]);
	c.name = command->name;
	c.argc = argc - optind;
	c.argv = argv + optind;
	return run(command, &g, &c);
}
