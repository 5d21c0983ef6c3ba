/* SPDX-License-Identifier: MIT */
/* danelaw relay: the daemon. */
#include "cmd/cmd.h"

#include "relay/relay.h"

#include <sysexits.h>

static const struct opt options[] = {
    {0, "check-config", NULL, "look for errors in the configuration and exit"},
};
static const struct usage usage = {
    .synopsis = "relay [--check-config]",
    .summary = "Takes mail in, keeps it, and delivers it by DANE, until SIGTERM. SIGHUP reads the "
	       "configuration again.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more = "Runs in the foreground; logs as log.target says. Exit: 0 after SIGTERM, 71 it could "
	    "not start, 78\n"
	    "configuration.",
};

static struct conf *reload(void *arg, char *error, size_t room)
{
	struct cmd *c = arg;
	return c->reload(c->reload_arg, error, room);
}

int cmd_relay(struct cmd *c)
{
	const char *value;
	bool check = false;
	for (int o; (o = opts_next("danelaw relay", &usage, c->argc, c->argv, false, &value)) !=
		    OPTS_END;) {
		if (o == OPTS_HELP)
			return EX_OK;
		if (o == OPTS_BAD)
			return EX_USAGE;
		check = true;
	}
	if (opts_no_operand("danelaw relay", c) != EX_OK)
		return EX_USAGE;
	if (check && !relay_check(c->conf))
		return EX_CONFIG;
	if (check) {
		relay_warn(c->conf);
		puts("the configuration is good");
		return EX_OK;
	}
	/* Even with nothing asked for, a daemon says what it does. */
	struct log *log = log_new(c->conf->log_target, c->conf->log_level);
	struct relay_config r = {.conf = c->conf, .log = log, .reload = reload, .arg = c};
	c->conf = NULL; /* the relay's now */
	int code = relay_run(&r);
	log_free(&log);
	return code;
}
