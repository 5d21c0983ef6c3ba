/* SPDX-License-Identifier: MIT */
/*
 * The parent: starts the others, connects them, restarts what dies, reloads, drains. It parses
 * nothing that came from the network and touches no mail.
 */
#include "relay/relay.h"

#include "relay/gate.h"
#include "relay/listen.h"
#include "relay/process.h"
#include "relay/published.h"
#include "relay/reload.h"
#include "relay/service.h"
#include "relay/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	CHILDREN_MAX = 512,
	RESTART_MS = 1000, /* for a child that lived shorter than this */
	DRAIN_MS = 60000,  /* then what is left is killed: nothing is lost by that */
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
	struct loop *loop;
	struct child *child;
	unsigned last_number[ROLE_COUNT];
	unsigned generation;
	struct listener listener[LISTENERS_MAX];
	size_t nlistener;
	int metrics_fd;
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

static bool spawn(struct parent *p, enum role role);
static void on_watchdog(void *arg);

/* --- Children --- */

static struct child *find_role(struct parent *p, enum role role)
{
	struct child *best = NULL;
	for (struct child *c = p->child; c != NULL; c = c->next) {
		if (c->role == role && c->pid != 0 && !c->leaving &&
		    (best == NULL || c->generation > best->generation))
			best = c;
	}
	return best;
}

static void send_peer(struct child *to, enum role role, int fd)
{
	put_u8(channel_begin(to->channel, MSG_PEER), (uint8_t)role);
	channel_send(to->channel, fd);
}

/* A channel between two children; each end gets its half. */
static void connect_children(struct parent *p, struct child *a, struct child *b)
{
	int pair[2];
	if (a == NULL || b == NULL || a->channel == NULL || b->channel == NULL)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		log_event(p->log, LOG_LEVEL_ERROR, "connect", "error", strerror(errno), NULL);
		return;
	}
	send_peer(a, b->role, pair[0]);
	send_peer(b, a->role, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* Of one configuration only: another one's certificates are another one's matter. */
static bool are_warden_and_ward(const struct child *a, const struct child *b)
{
	bool roles = (a->role == ROLE_WARDEN && b->role == ROLE_INTAKE) ||
		     (a->role == ROLE_INTAKE && b->role == ROLE_WARDEN);
	return roles && a->generation == b->generation && !a->leaving && !b->leaving;
}

static void connect_new(struct parent *p, struct child *n)
{
	for (struct child *c = p->child; c != NULL; c = c->next) {
		/* An intake that leaves still takes mail. */
		if (c == n || c->pid == 0 || (c->leaving && c->role != ROLE_INTAKE))
			continue;
		bool asks = c->role == ROLE_COURIER || c->role == ROLE_WARDEN;
		bool related = (n->role == ROLE_KEEPER && (asks || c->role == ROLE_INTAKE)) ||
			       (n->role == ROLE_RESOLVER && asks) || are_warden_and_ward(n, c);
		if (related)
			connect_children(p, n, c);
	}
	if (n->role == ROLE_COURIER || n->role == ROLE_WARDEN)
		connect_children(p, n, find_role(p, ROLE_RESOLVER));
	if (n->role == ROLE_INTAKE || n->role == ROLE_COURIER || n->role == ROLE_WARDEN)
		connect_children(p, n, find_role(p, ROLE_KEEPER));
}

/* What was started can be relied on only now. */
static void look_if_started(struct parent *p)
{
	for (const struct child *c = p->child; c != NULL; c = c->next) {
		if (!c->ready)
			return;
	}
	p->started = true;
	log_event(p->log, LOG_LEVEL_INFO, "started", NULL);
	service_tell(&p->service, "READY=1");
	if (p->service.watchdog_ms > 0)
		on_watchdog(p);
}

/* The other end is alive and has cut the channel, else it would have a successor by now. */
static void give_again(struct child *c, unsigned role)
{
	struct child *other = role == ROLE_KEEPER ? find_role(c->parent, ROLE_KEEPER) : NULL;
	char pid[LOG_INT_TEXT];
	if (other == NULL || c->parent->draining)
		return;
	log_event(c->parent->log, LOG_LEVEL_WARN, "reconnected", "role", role_name(c->role), "pid",
		  log_int(pid, c->pid), "to", role_name(other->role), NULL);
	connect_children(c->parent, c, other);
}

static void on_message(void *arg, struct channel *ch, enum message type, struct slice payload)
{
	struct child *c = arg;
	(void)ch;
	if (type == MSG_READY) {
		c->ready = true;
		watch_ready(&c->watch);
	} else if (type == MSG_PONG) {
		watch_answered(&c->watch);
	} else if (type == MSG_LACKING) {
		give_again(c, payload.p[0]);
	}
	if (!c->parent->started)
		look_if_started(c->parent);
}

static void on_channel_closed(void *arg, struct channel *ch, const char *why)
{
	struct child *c = arg;
	(void)ch;
	(void)why;
	channel_free(&c->channel); /* SIGCHLD follows, or the watch */
	watch_cut_off(&c->watch, loop_now_ms());
}

/* In the child: what belongs to the parent alone is closed, except what this role needs. */
static void close_others(const struct parent *p, int keep, enum role role)
{
	int high = (int)sysconf(_SC_OPEN_MAX);
	if (high < 0 || high > 65536)
		high = 65536;
	for (int fd = 3; fd < high; fd++) {
		bool mine = fd == keep || (role == ROLE_KEEPER && fd == p->metrics_fd);
		for (size_t i = 0; i < p->nlistener && role == ROLE_INTAKE; i++)
			mine = mine || p->listener[i].fd == fd;
		if (!mine)
			close(fd);
	}
}

static void child_signals(void)
{
	static const int back[] = {SIGCHLD, SIGPIPE};
	static const int ignore[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
	sigset_t none;
	for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++)
		signal(back[i], SIG_DFL);
	/* The parent hears them and says what to do; a child whose parent is gone ends by itself.
	 */
	for (size_t i = 0; i < sizeof(ignore) / sizeof(ignore[0]); i++)
		signal(ignore[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void be_child(struct parent *p, enum role role, unsigned number, int fd)
{
	static int (*const mains[])(const struct birth *) = {[ROLE_INTAKE] = intake_main,
							     [ROLE_KEEPER] = keeper_main,
							     [ROLE_COURIER] = courier_main,
							     [ROLE_RESOLVER] = resolver_main,
							     [ROLE_WARDEN] = warden_main};
	child_signals();
	close_others(p, fd, role);
	struct birth b = {.role = role,
			  .number = number,
			  .parent_fd = fd,
			  .conf = p->conf,
			  .log = p->log,
			  .listener = role == ROLE_INTAKE ? p->listener : NULL,
			  .nlistener = role == ROLE_INTAKE ? p->nlistener : 0,
			  .metrics_fd = role == ROLE_KEEPER ? p->metrics_fd : -1};
	_exit(mains[role](&b));
}

static void on_restart(void *arg);
static void tell_restarts(struct parent *p, enum role role);

static struct child *add_child(struct parent *p, enum role role)
{
	struct child *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	*c = (struct child){.parent = p,
			    .role = role,
			    .number = ++p->last_number[role],
			    .generation = p->generation,
			    .next = p->child};
	c->restart = loop_timer_new(p->loop, on_restart, c);
	if (c->restart == NULL) {
		free(c);
		return NULL;
	}
	p->child = c;
	return c;
}

static bool give_birth(struct child *c)
{
	struct parent *p = c->parent;
	char number[LOG_INT_TEXT], text[LOG_INT_TEXT];
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		be_child(p, c->role, c->number, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return false;
	}
	c->pid = pid;
	log_event(p->log, LOG_LEVEL_INFO, "process-started", "role", role_name(c->role), "n",
		  log_int(number, c->number), "pid", log_int(text, pid), NULL);
	c->ready = false;
	c->born_ms = loop_now_ms();
	watch_born(&c->watch, c->born_ms);
	c->channel =
	    channel_new(p->loop, pair[0], ROLE_PARENT, c->role, on_message, on_channel_closed, c);
	connect_new(p, c);
	return c->channel != NULL;
}

static bool spawn(struct parent *p, enum role role)
{
	struct child *c = add_child(p, role);
	bool ok = c != NULL && give_birth(c);
	if (!ok)
		log_event(p->log, LOG_LEVEL_ERROR, "spawn", "role", role_name(role), "error",
			  strerror(errno), NULL);
	return ok;
}

static void on_restart(void *arg)
{
	struct child *c = arg;
	if (c->parent->draining)
		return;
	if (!give_birth(c))
		loop_timer_set(c->restart, RESTART_MS);
	else if (c->role == ROLE_KEEPER)
		for (int r = ROLE_INTAKE; r < ROLE_COUNT; r++)
			tell_restarts(c->parent, (enum role)r);
}

static unsigned count_of(long configured)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (configured > 0)
		return (unsigned)configured;
	return cores > 0 ? (unsigned)cores : 1;
}

static bool spawn_all(struct parent *p, bool keeper)
{
	bool ok = (!keeper || spawn(p, ROLE_KEEPER)) && spawn(p, ROLE_RESOLVER);
	for (unsigned i = 0; ok && i < count_of(p->conf->relay_couriers); i++)
		ok = spawn(p, ROLE_COURIER);
	for (unsigned i = 0; ok && p->nlistener > 0 && i < count_of(p->conf->relay_intakes); i++)
		ok = spawn(p, ROLE_INTAKE);
	return ok && (!published_any(p->conf) || spawn(p, ROLE_WARDEN));
}

/* --- Ends --- */

static void log_end(const struct child *c, int status)
{
	char text[64], pid[LOG_INT_TEXT];
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "exit %d", WEXITSTATUS(status));
	bool expected = c->leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	log_event(c->parent->log, expected ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "process-ended",
		  "role", role_name(c->role), "pid", log_int(pid, c->pid), "how", text, NULL);
}

static void remove_child(struct child *c)
{
	struct child **at = &c->parent->child;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	channel_free(&c->channel);
	loop_timer_free(&c->restart);
	free(c);
}

static size_t count_alive(const struct parent *p, enum role role)
{
	size_t n = 0;
	for (const struct child *c = p->child; c != NULL; c = c->next)
		n += c->role == role && c->pid != 0;
	return n;
}

static void drain_child(struct child *c)
{
	if (c->channel == NULL)
		return;
	c->leaving = true;
	channel_begin(c->channel, MSG_DRAIN);
	channel_send(c->channel, -1);
}

/* Couriers finish what they have; intakes may have clients that stay for long. */
static void retire_child(struct child *c)
{
	if (c->role != ROLE_INTAKE) {
		drain_child(c);
	} else if (c->channel != NULL && !c->leaving) {
		c->leaving = true;
		channel_begin(c->channel, MSG_RETIRE);
		channel_send(c->channel, -1);
	}
}

static void drain_role(struct parent *p, enum role role)
{
	for (struct child *c = p->child; c != NULL; c = c->next) {
		if (c->role == role)
			drain_child(c);
	}
}

/* In the order of the mail's way: nobody comes in, what is out comes back, then the books are
 * closed. */
static void drain_on(struct parent *p)
{
	if (count_alive(p, ROLE_INTAKE) + count_alive(p, ROLE_COURIER) > 0)
		return;
	drain_role(p, ROLE_KEEPER);
	drain_role(p, ROLE_RESOLVER);
	if (count_alive(p, ROLE_KEEPER) + count_alive(p, ROLE_RESOLVER) == 0)
		loop_stop(p->loop);
}

/* A new keeper counts from nothing: it is told of all of them. */
static void tell_restarts(struct parent *p, enum role role)
{
	struct child *keeper = find_role(p, ROLE_KEEPER);
	if (keeper == NULL || keeper->channel == NULL)
		return;
	struct buf *b = channel_begin(keeper->channel, MSG_RESTARTS);
	put_u8(b, (uint8_t)role);
	put_u32(b, p->restarts_of[role]);
	channel_send(keeper->channel, -1);
}

static void child_ended(struct child *c, int status)
{
	struct parent *p = c->parent;
	log_end(c, status);
	uint64_t lived = loop_now_ms() - c->born_ms;
	c->pid = 0;
	channel_free(&c->channel);
	if (c->leaving || p->draining) {
		remove_child(c);
	} else if (!p->started) {
		/* It said why; what does not start once will not start the next time. */
		p->failed = true;
		loop_stop(p->loop);
	} else {
		p->restarts++;
		p->restarts_of[c->role]++;
		tell_restarts(p, c->role);
		loop_timer_set(c->restart, lived < RESTART_MS ? RESTART_MS : 0);
	}
	if (p->draining)
		drain_on(p);
}

static void on_sigchld(void *arg)
{
	struct parent *p = arg;
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (reload_ended(&p->reload, pid, status))
			continue;
		for (struct child *c = p->child; c != NULL; c = c->next) {
			if (c->pid == pid) {
				child_ended(c, status);
				break;
			}
		}
	}
}

static void on_drain_limit(void *arg)
{
	struct parent *p = arg;
	for (struct child *c = p->child; c != NULL; c = c->next) {
		if (c->pid != 0)
			kill(c->pid, SIGKILL);
	}
}

static void on_sigterm(void *arg)
{
	struct parent *p = arg;
	if (p->draining)
		return;
	p->draining = true;
	log_event(p->log, LOG_LEVEL_INFO, "draining", NULL);
	service_tell(&p->service, "STOPPING=1");
	loop_timer_set(p->drain_limit, DRAIN_MS);
	reload_free(&p->reload);
	drain_role(p, ROLE_INTAKE);
	drain_role(p, ROLE_COURIER);
	drain_role(p, ROLE_WARDEN);
	drain_on(p);
}

/* New processes with the new configuration beside the old ones, which finish what they have. The
 * keeper stays: it holds the queue; its options count from the next start. */
static void take_conf(void *arg, struct conf *fresh)
{
	struct parent *p = arg;
	conf_free(&p->conf); /* the older children have their own copies */
	p->conf = fresh;
	p->generation++;
	struct child *old[CHILDREN_MAX];
	size_t n = 0;
	for (struct child *c = p->child; c != NULL && n < CHILDREN_MAX; c = c->next) {
		if (c->role != ROLE_KEEPER)
			old[n++] = c;
	}
	spawn_all(p, false);
	for (size_t i = 0; i < n; i++)
		retire_child(old[i]);
	log_event(p->log, LOG_LEVEL_INFO, "reloaded", NULL);
}

static void on_sighup(void *arg)
{
	struct parent *p = arg;
	if (!p->draining)
		reload_start(&p->reload);
}

/* It reads the files at its birth. */
static void renew_warden(void *arg)
{
	struct parent *p = arg;
	struct child *old = find_role(p, ROLE_WARDEN);
	if (!p->draining && old != NULL && spawn(p, ROLE_WARDEN))
		drain_child(old);
}

static pid_t start_gate(void *arg, const struct conf *c)
{
	struct parent *p = arg;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		child_signals();
		close_others(p, -1, ROLE_RESOLVER);
		_exit(gate_main(c, p->log));
	}
	return pid;
}

/* Twice in each watchdog period, as long as this loop turns and what hangs can be ended. */
static void on_watchdog(void *arg)
{
	struct parent *p = arg;
	if (!p->helpless)
		service_tell(&p->service, "WATCHDOG=1");
	loop_timer_set(p->watchdog, p->service.watchdog_ms);
}

/* --- Who hangs --- */

static void log_hang(const struct child *c, const char *event, uint64_t now)
{
	char number[LOG_INT_TEXT], pid[LOG_INT_TEXT], silent[LOG_INT_TEXT], limit[LOG_INT_TEXT];
	log_event(c->parent->log, LOG_LEVEL_ERROR, event, "role", role_name(c->role), "n",
		  log_int(number, c->number), "pid", log_int(pid, c->pid), "silent-for",
		  log_int(silent, (int64_t)((now - c->watch.since) / 1000)), "limit",
		  log_int(limit, c->parent->conf->relay_hang_limit), NULL);
}

/* True: it hangs, and nothing helps. */
static bool look_at(struct child *c, uint64_t now)
{
	uint64_t limit = (uint64_t)c->parent->conf->relay_hang_limit * 1000;
	switch (watch_judge(&c->watch, now, limit)) {
	case WATCH_FINE:
		return false;
	case WATCH_ASK:
		channel_begin(c->channel, MSG_PING);
		channel_send(c->channel, -1);
		return false;
	case WATCH_KILL:
		log_hang(c, "process-hangs", now);
		kill(c->pid, SIGKILL);
		return false;
	case WATCH_LOST:
		if (!c->parent->helpless)
			log_hang(c, "process-cannot-be-ended", now);
		return true;
	}
	return false;
}

static void on_look(void *arg)
{
	struct parent *p = arg;
	uint64_t now = loop_now_ms();
	uint32_t tick = watch_tick_ms((uint64_t)p->conf->relay_hang_limit * 1000);
	uint64_t late = now - p->last_look > 2 * tick ? now - p->last_look - tick : 0;
	bool helpless = false;
	for (struct child *c = p->child; c != NULL; c = c->next) {
		if (c->pid == 0)
			continue;
		watch_excuse(&c->watch, late); /* it was this process that did not turn */
		helpless = look_at(c, now) || helpless;
	}
	p->helpless = helpless;
	p->last_look = now;
	loop_timer_set(p->look, tick);
}

/* Everything that only root may do is done; what the children will need they can still do under
 * these rules. */
static bool confine(struct parent *p)
{
	char store[PATH_MAX], control[PATH_MAX], report[SANDBOX_REPORT_ROOM] = "";
	snprintf(store, sizeof(store), "%s", p->conf->relay_store);
	snprintf(control, sizeof(control), "%s", p->conf->relay_control);
	const char *const write[] = {dirname(store), dirname(control), NULL};
	struct sandbox_paths paths = {.write = write};
	bool ok = sandbox_enter(SANDBOX_PARENT, &paths, report, sizeof(report));
	log_event(p->log, ok ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "confined", "process", "parent",
		  "by", report, NULL);
	return ok;
}

static bool start(struct parent *p)
{
	tzset(); /* the children may not read the time zone later */
	p->loop = loop_new();
	if (p->loop == NULL)
		return false;
	p->drain_limit = loop_timer_new(p->loop, on_drain_limit, p);
	p->watchdog = loop_timer_new(p->loop, on_watchdog, p);
	p->look = loop_timer_new(p->loop, on_look, p);
	service_open(&p->service);
	p->sig_term = loop_signal_new(p->loop, SIGTERM, on_sigterm, p);
	p->sig_int = loop_signal_new(p->loop, SIGINT, on_sigterm, p);
	p->sig_hup = loop_signal_new(p->loop, SIGHUP, on_sighup, p);
	p->sig_chld = loop_signal_new(p->loop, SIGCHLD, on_sigchld, p);
	return p->drain_limit != NULL && p->watchdog != NULL && p->look != NULL &&
	       p->sig_term != NULL && p->sig_int != NULL && p->sig_hup != NULL &&
	       p->sig_chld != NULL &&
	       listen_all(p->conf, p->log, p->listener, &p->nlistener, &p->metrics_fd) &&
	       reload_watch(&p->reload, p->loop) && confine(p) && spawn_all(p, true);
}

static void stop(struct parent *p)
{
	while (p->child != NULL) {
		if (p->child->pid != 0)
			kill(p->child->pid, SIGKILL);
		remove_child(p->child);
	}
	reload_free(&p->reload);
	for (size_t i = 0; i < p->nlistener; i++)
		close(p->listener[i].fd);
	if (p->metrics_fd >= 0)
		close(p->metrics_fd);
	loop_signal_free(&p->sig_term);
	loop_signal_free(&p->sig_int);
	loop_signal_free(&p->sig_hup);
	loop_signal_free(&p->sig_chld);
	loop_timer_free(&p->drain_limit);
	loop_timer_free(&p->watchdog);
	loop_timer_free(&p->look);
	service_close(&p->service);
	loop_free(&p->loop);
	conf_free(&p->conf);
}

int relay_run(const struct relay_config *c)
{
	struct parent p = {
	    .config = *c, .conf = c->conf, .log = c->log, .service = {.fd = -1}, .metrics_fd = -1};
	const struct reload_acts acts = {take_conf, renew_warden, start_gate, &p};
	p.reload = (struct reload){.config = &p.config, .log = p.log, .acts = &acts};
	if (!reload_first(&p.reload, p.conf)) {
		conf_free(&p.conf);
		return EX_CONFIG;
	}
	bool ok = start(&p);
	if (ok) {
		p.last_look = loop_now_ms();
		on_look(&p);
		loop_run(p.loop);
		log_event(p.log, LOG_LEVEL_INFO, "stopped", NULL);
	}
	ok = ok && !p.failed;
	stop(&p);
	return ok ? EX_OK : EX_OSERR;
}
