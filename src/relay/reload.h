/* SPDX-License-Identifier: MIT */
/*
 * relay: the parent's way to a new configuration: read, tried (trial.h), taken. And the files of
 * certificates that change without anybody's word.
 */
#ifndef RELAY_RELOAD_H
#define RELAY_RELOAD_H

#include "loop/loop.h"
#include "relay/certfiles.h"
#include "relay/relay.h"

#include <sys/types.h>

/* What the parent does; arg is the parent. */
struct reload_acts {
	void (*take)(void *arg, struct conf *fresh); /* it is the parent's then */
	void (*renew_warden)(void *arg);             /* the files are not what they were */
	pid_t (*start_trial)(void *arg, const struct conf *c); /* -1: it cannot be started */
	void *arg;
};

struct reload {
	const struct relay_config *config;
	struct log *log;
	const struct reload_acts *acts;
	const struct conf *present;
	struct conf *fresh; /* on trial */
	pid_t trial;        /* 0: none */
	bool files_changed; /* is why it is on trial */
	bool again;         /* asked for meanwhile */
	struct certfiles files;
	struct loop_timer *look;
};

/* At start, before anything else: false: this configuration is refused. Waits for the trial. */
bool reload_first(struct reload *r, const struct conf *c);
/* The files are watched from here on. False: out of memory. */
bool reload_watch(struct reload *r, struct loop *l);
void reload_start(struct reload *r); /* SIGHUP */
/* True: that process was the trial. */
bool reload_ended(struct reload *r, pid_t pid, int status);
void reload_free(struct reload *r);

#endif
