/* SPDX-License-Identifier: MIT */
/*
 * The parent's life: starts, restarts what dies, reloads, drains. It parses nothing that came from
 * the network and touches no mail. How children are born and connected is in children.c.
 */
#include "relay/parent_int.h"

#include "relay/listen.h"
#include "relay/trial.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
	CHILDREN_MAX = 512,
	DRAIN_MS = 60000, /* then what is left is killed: nothing is lost by that */
};

/* Twice in each watchdog period, as long as this loop turns and what hangs can be ended. */
static void on_watchdog(void *arg)
{
	struct parent *p = arg;
	if (!p->helpless)
		service_tell(&p->service, "WATCHDOG=1");
	loop_timer_set(p->watchdog, p->service.watchdog_ms);
}

/* What was started can be relied on only now. */
void parent_look_if_started(struct parent *p)
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

/* In the order of the mail's way: nobody comes in, what is out comes back, then the books are
 * closed. */
static void drain_on(struct parent *p)
{
	if (children_count(p, ROLE_INTAKE) + children_count(p, ROLE_COURIER) > 0)
		return;
	children_drain(p, ROLE_KEEPER);
	children_drain(p, ROLE_RESOLVER);
	if (children_count(p, ROLE_KEEPER) + children_count(p, ROLE_RESOLVER) == 0)
		loop_stop(p->loop);
}

/* At once, as a rule. What cannot do its work says so and ends: no storm of starts. */
static uint32_t restart_after(struct child *c, uint64_t lived, bool by_itself)
{
	c->soon = by_itself && lived < SOON_MS ? c->soon + 1 : 0;
	if (c->soon < 2)
		return lived < RESTART_MS ? RESTART_MS : 0;
	uint32_t wait = RESTART_MS;
	for (unsigned i = 2; i < c->soon && wait < RESTART_MAX_MS; i++)
		wait *= 2;
	return wait < RESTART_MAX_MS ? wait : RESTART_MAX_MS;
}

static void child_ended(struct child *c, int status)
{
	struct parent *p = c->parent;
	log_end(c, status);
	uint64_t lived = loop_now_ms() - c->born_ms;
	child_tell_life(p, c->pid, false);
	c->pid = 0;
	channel_free(&c->channel);
	if (!child_is_wanted(c)) {
		child_remove(c);
	} else if (!p->started) {
		/* It said why; what does not start once will not start the next time. */
		p->failed = true;
		loop_stop(p->loop);
	} else {
		p->restarts++;
		p->restarts_of[c->role]++;
		child_tell_restarts(p, c->role);
		loop_timer_set(c->restart, restart_after(c, lived, WIFEXITED(status)));
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
		char pid[LOG_INT_TEXT];
		if (c->pid == 0)
			continue;
		log_event(p->log, LOG_LEVEL_WARN, "drain-limit", "role", role_name(c->role), "pid",
			  log_int(pid, c->pid), NULL);
		kill(c->pid, SIGKILL);
	}
}

/* Who comes now is refused at once and not left waiting in a queue that nobody looks at. */
static void close_listeners(struct parent *p)
{
	for (size_t i = 0; i < p->nlistener; i++)
		close(p->listener[i].fd);
	p->nlistener = 0;
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
	close_listeners(p);
	children_drain(p, ROLE_INTAKE);
	children_drain(p, ROLE_COURIER);
	children_drain(p, ROLE_WARDEN);
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
	children_spawn(p, false);
	for (size_t i = 0; i < n; i++)
		child_retire(old[i]);
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
	struct child *old = child_find(p, ROLE_WARDEN);
	if (!p->draining && old != NULL && child_spawn(p, ROLE_WARDEN))
		child_drain(old);
}

/* In a process of its own: it reads keys and passwords, and they go with it. */
static pid_t start_trial(void *arg, const struct conf *c)
{
	struct parent *p = arg;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		child_reset_signals();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_listeners(p); /* it may outlive us for a moment, and is not to hold them */
		close(p->control_fd);
		close(p->metrics_fd);
		_exit(trial_main(c, p->log));
	}
	return pid;
}

/* Everything that only root may do is done; what the children will need they can still do under
 * these rules. */
static bool confine(struct parent *p)
{
	char store[PATH_MAX], control[PATH_MAX], report[SANDBOX_REPORT_ROOM] = "";
	snprintf(store, sizeof(store), "%s", p->conf->relay_store);
	snprintf(control, sizeof(control), "%s", p->conf->relay_control);
	const char *const write[] = {dirname(store), dirname(control), NULL};
	const char *const execute[] = {
	    p->program.path, p->program.interpreter[0] != '\0' ? p->program.interpreter : NULL,
	    NULL};
	struct sandbox_paths paths = {.write = write, .execute = execute};
	bool ok = sandbox_enter(SANDBOX_PARENT, &paths, report, sizeof(report));
	log_event(p->log, ok ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "confined", "process", "parent",
		  "by", report, NULL);
	return ok;
}

static bool open_control(struct parent *p)
{
	p->control_fd = listen_control(p->conf, p->log);
	if (p->control_fd >= 0)
		snprintf(p->control_path, sizeof(p->control_path), "%s", p->conf->relay_control);
	return p->control_fd >= 0;
}

static bool open_program(struct parent *p)
{
	if (program_open(&p->program))
		return true;
	log_event(p->log, LOG_LEVEL_ERROR, "program", "path", p->program.path, "error",
		  strerror(errno), NULL);
	return false;
}

static bool start(struct parent *p)
{
	tzset(); /* the children may not read the time zone later */
	p->loop = loop_new();
	if (p->loop == NULL)
		return false;
	p->drain_limit = loop_timer_new(p->loop, on_drain_limit, p);
	p->watchdog = loop_timer_new(p->loop, on_watchdog, p);
	p->look = loop_timer_new(p->loop, children_look, p);
	service_open(&p->service);
	p->sig_term = loop_signal_new(p->loop, SIGTERM, on_sigterm, p);
	p->sig_int = loop_signal_new(p->loop, SIGINT, on_sigterm, p);
	p->sig_hup = loop_signal_new(p->loop, SIGHUP, on_sighup, p);
	p->sig_chld = loop_signal_new(p->loop, SIGCHLD, on_sigchld, p);
	return p->drain_limit != NULL && p->watchdog != NULL && p->look != NULL &&
	       p->sig_term != NULL && p->sig_int != NULL && p->sig_hup != NULL &&
	       p->sig_chld != NULL &&
	       listen_all(p->conf, p->log, p->listener, &p->nlistener, &p->metrics_fd) &&
	       open_control(p) && open_program(p) && reload_watch(&p->reload, p->loop) &&
	       confine(p) && children_spawn(p, true);
}

static void close_control(struct parent *p)
{
	if (p->control_fd < 0)
		return;
	unlink(p->control_path);
	close(p->control_fd);
	p->control_fd = -1;
}

static void stop(struct parent *p)
{
	while (p->child != NULL) {
		if (p->child->pid != 0)
			kill(p->child->pid, SIGKILL);
		child_remove(p->child);
	}
	reload_free(&p->reload);
	close_listeners(p);
	if (p->metrics_fd >= 0)
		close(p->metrics_fd);
	close_control(p);
	program_close(&p->program);
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
	struct parent p = {.config = *c,
			   .conf = c->conf,
			   .log = c->log,
			   .service = {.fd = -1},
			   .log_target = c->conf->log_target,
			   .log_level = c->conf->log_level,
			   .program = {.fd = -1},
			   .metrics_fd = -1,
			   .control_fd = -1};
	const struct reload_acts acts = {take_conf, renew_warden, start_trial, &p};
	p.reload = (struct reload){.config = &p.config, .log = p.log, .acts = &acts};
	if (!reload_first(&p.reload, p.conf)) {
		conf_free(&p.conf);
		return EX_CONFIG;
	}
	bool ok = start(&p);
	if (ok) {
		p.last_look = loop_now_ms();
		children_look(&p);
		loop_run(p.loop);
		log_event(p.log, LOG_LEVEL_INFO, "stopped", NULL);
	}
	ok = ok && !p.failed;
	stop(&p);
	return ok ? EX_OK : EX_OSERR;
}
