/* SPDX-License-Identifier: MIT */
/*
 * relay: selfcheck.on-tlsa-mismatch = refuse-start (V2): a look at ourselves before a configuration
 * is taken, in a process of its own that ends with it.
 */
#ifndef RELAY_GATE_H
#define RELAY_GATE_H

#include "conf/conf.h"
#include "log/log.h"

/* Is there something to look at before this configuration is taken? */
bool gate_wanted(const struct conf *c);

/* The process: reads the certificates, becomes relay.user, asks DNS, prints findings on standard
 * error. Returns its exit code for gate_open(). */
int gate_main(const struct conf *c, struct log *log);

/* What the exit status (of waitpid) means: may the configuration be taken? A lookup that failed, or
 * a look that failed, refuses nothing. */
bool gate_open(int status, struct log *log);

#endif
