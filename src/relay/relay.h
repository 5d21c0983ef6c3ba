/* SPDX-License-Identifier: MIT */
/* relay: the whole daemon as one call, for `danelaw relay`. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "conf/conf.h"
#include "log/log.h"

struct relay_config {
	struct conf *conf; /* taken over */
	struct log *log;
	/* Reads the configuration again (SIGHUP). NULL: `error` says why; the old one stays. */
	struct conf *(*reload)(void *arg, char *error, size_t room);
	void *arg;
};

/* What can be found wrong without starting: addresses, files, keys. Prints one line each on
 * standard error. */
bool relay_check(const struct conf *c);
/* What is allowed and hardly meant: one line each on standard error. */
void relay_warn(const struct conf *c);
/* First of all in main(): was this program started by a relay, to be one of its processes? Then its
 * life is the call, and *code the exit code. */
bool relay_born(const struct conf_hooks *hooks, int *code);
/* Runs until SIGTERM or SIGINT. Returns the exit code. */
int relay_run(const struct relay_config *c);

#endif
