/* SPDX-License-Identifier: MIT */
/* Inside of the parent: what parent.c (its life), children.c and children_look.c share. */
#ifndef RELAY_PARENT_INT_H
#define RELAY_PARENT_INT_H

#include "loop/loop.h"
#include "relay/birth.h"
#include "relay/process.h"
#include "relay/reload.h"
#include "relay/relay.h"
#include "relay/service.h"
#include "relay/watch.h"

#include <sys/types.h>

enum {
	RESTART_MS = 1000, /* for a child that lived shorter than this */
	/* For one that ends by itself soon after its start, again and again: doubles up to this. */
	RESTART_MAX_MS = 30000,
	SOON_MS = 10000,
};

struct parent;

struct child {
	struct parent *parent;
	enum role role;
	unsigned number;
	unsigned generation; /* of the configuration it was started with */
	pid_t pid;           /* 0: dead, to be restarted */
	uint64_t born_ms;
	bool ready, leaving;
	unsigned soon; /* lives in a row that ended by themselves, soon after their start */
	struct watch watch;
	struct channel *channel;
	struct loop_timer *restart;
	struct child *next;
};

struct parent {
	struct relay_config config;
	struct conf *conf;
	bool started, failed; /* all were ready once; one never was */
	struct log *log;
	enum log_target log_target; /* of the start, for all children */
	enum log_level log_level;
	struct program program;
	struct loop *loop;
	struct child *child;
	unsigned last_number[ROLE_COUNT];
	unsigned generation;
	struct listener listener[LISTENERS_MAX];
	size_t nlistener;
	int metrics_fd, control_fd; /* -1: none */
	char control_path[108];     /* of control_fd: a new configuration does not move it */
	uint32_t restarts_of[ROLE_COUNT];
	bool draining;
	uint64_t restarts;
	struct loop_timer *drain_limit, *watchdog, *look;
	uint64_t last_look;
	bool helpless; /* a child hangs and cannot be ended: the service manager is to know */
	struct service service;
	struct reload reload;
	struct loop_signal *sig_term, *sig_int, *sig_hup, *sig_chld;
};

/* parent.c */
void parent_look_if_started(struct parent *p);

/* children.c */
struct child *child_find(struct parent *p, enum role role); /* the newest that stays; or NULL */
bool child_spawn(struct parent *p, enum role role);         /* false: logged */
bool children_spawn(struct parent *p, bool keeper);
void child_tell_life(struct parent *p, pid_t pid, bool alive);
void child_tell_restarts(struct parent *p, enum role role);
void child_remove(struct child *c);
size_t children_count(const struct parent *p, enum role role); /* those alive */
bool child_is_wanted(const struct child *c); /* to be started again when it has died */
void child_drain(struct child *c);
void child_retire(struct child *c);
void children_drain(struct parent *p, enum role role);
/* In a new process: */
void child_reset_signals(void);

/* children_look.c */
void children_look(void *arg); /* of the timer; the parent */

#endif
