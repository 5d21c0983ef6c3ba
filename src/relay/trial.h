/* SPDX-License-Identifier: MIT */
/*
 * relay: a configuration is tried before it is taken, in a process of its own: files that hold
 * secrets are read there, and the parent never has one in its memory. Then the look at ourselves,
 * where that is wanted (gate.h).
 */
#ifndef RELAY_TRIAL_H
#define RELAY_TRIAL_H

#include "conf/conf.h"
#include "log/log.h"

/* The process: its exit code is for trial_passed(). What is wrong is said on standard error. */
int trial_main(const struct conf *c, struct log *log);

/* What the exit status (of waitpid) means: may the configuration be taken? */
bool trial_passed(int status, struct log *log);

#endif
