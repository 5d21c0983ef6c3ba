/* SPDX-License-Identifier: MIT */
/*
 * relay: what every process of the relay has and does: a loop, its configuration, a channel to the
 * parent, and the same answers to "drain" and "the parent is gone".
 */
#ifndef RELAY_PROCESS_H
#define RELAY_PROCESS_H

#include "conf/conf.h"
#include "log/log.h"
#include "relay/channel.h"
#include "sandbox/sandbox.h"

#include <sys/types.h>

enum {
	LISTENERS_MAX = 64,
	/* When the parent is gone. A courier that has sent all of a message hears the reply, and
	 * reports it: else it would be sent again. */
	COURIER_GRACE_MS = 2000,
	INTAKE_GRACE_MS = 1000, /* who has handed in a message hears whether it was taken */
	KEEPER_GRACE_MS = 3000, /* the keeper takes the reports */
	GRACE_STEP_MS = 20,
	GRACE_SLACK_S = 1, /* who hangs is ended by the kernel so much later */
};

struct listener {
	int fd;
	const char *name; /* "smtp", "submission", "submissions" */
	bool submission, implicit_tls;
};

/* What the parent gives to a child at birth. */
struct birth {
	enum role role;
	unsigned number; /* among those of the role, from 1 */
	int parent_fd;
	const struct conf *conf;
	struct log *log;
	enum log_target log_target; /* where it leads */
	enum log_level log_level;
	const struct listener *listener; /* intake only */
	size_t nlistener;
	int metrics_fd; /* keeper: a listening socket, -1: none */
	int control_fd; /* keeper: the listening control socket */
};

struct process {
	struct birth birth;
	struct loop *loop;
	struct log *log;
	struct channel *parent;
	uid_t starter; /* who started the relay; the process may become another user */
	bool draining;
	/* Of the role: */
	void *self;
	void (*on_peer)(void *self, enum role role, int fd); /* takes fd over */
	void (*on_drain)(void *self); /* stop taking new work; process_exit() when done */
	void (*on_restarts)(void *self, enum role role, uint32_t n); /* NULL: not told */
	void (*on_couriers)(void *self, uint32_t n);                 /* the same */
	void (*on_retire)(void *self); /* NULL: the role does not retire */
	/* The parent is gone: is there still something to be told, or to be heard? Asked again and
	 * again, for at most grace_ms. NULL: the end of the parent is the end, at once. */
	bool (*owes)(void *self);
	uint32_t grace_ms;
	bool orphaned; /* nothing new is begun */
	struct loop_timer *grace;
	uint64_t orphaned_ms;
	/* What the parent says to this role alone; takes fd (-1: none) over. NULL: nothing */
	void (*on_word)(void *self, enum message type, struct slice payload, int fd);
};

/* Loop and channel. False: logged. */
bool process_init(struct process *p, const struct birth *b, void *self);
/* Becomes relay.user for good, when started by root. Before anything of that user is opened. False:
 * logged. */
bool process_drop(struct process *p);
/* Our name in greetings and notifications: smtp.helo, else the machine's. */
void process_host(const struct conf *c, char *out, size_t room);
/* The last step of the set-up: from here on only what the profile allows. False: logged. */
bool process_confine(struct process *p, enum sandbox_profile profile,
		     const struct sandbox_paths *paths);
/* Set-up is over: tells the parent and runs until process_exit(). Returns the exit code. */
int process_run(struct process *p);
/* After a burst: free memory that lies scattered goes back to the system. */
void process_trim(void);
void process_exit(struct process *p);
void process_free(struct process *p);

/* What the resolver process, and who resolves by itself for once, may reach: the ports of name
 * servers, and its files. `out` points to ports and the configuration. */
enum { RESOLVER_PORTS_MAX = 3 };
void resolver_paths(const struct conf *c, uint16_t ports[static RESOLVER_PORTS_MAX],
		    struct sandbox_paths *out);

/* The processes' main functions: from birth to exit code. */
int resolver_main(const struct birth *b);
int courier_main(const struct birth *b);
int keeper_main(const struct birth *b);
int intake_main(const struct birth *b);
int warden_main(const struct birth *b);

#endif
