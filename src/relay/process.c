/* SPDX-License-Identifier: MIT */
/* The common part of the relay's children. Knows the messages of the parent and nothing of any
 * role. */
#include "relay/process.h"

#include "base/cursor.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

static void on_parent(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct process *p = arg;
	if (type == MSG_DRAIN) {
		if (!p->draining) {
			p->draining = true;
			p->on_drain(p->self);
		}
	} else if (type == MSG_PING) {
		channel_begin(c, MSG_PONG);
		channel_send(c, -1);
	} else if (type == MSG_RETIRE) {
		if (p->on_retire != NULL)
			p->on_retire(p->self);
	} else if (type == MSG_RESTARTS && p->on_restarts != NULL && payload.p[0] < ROLE_COUNT) {
		struct cursor cur = cursor_make(slice_from(payload, 1));
		p->on_restarts(p->self, (enum role)payload.p[0], cursor_u32(&cur));
	} else if (type == MSG_COURIERS && p->on_couriers != NULL) {
		struct cursor cur = cursor_make(payload);
		p->on_couriers(p->self, cursor_u32(&cur));
	} else if (type == MSG_PEER && payload.p[0] < ROLE_COUNT) {
		int fd = channel_take_fd(c);
		if (fd >= 0)
			p->on_peer(p->self, (enum role)payload.p[0], fd);
	} else if (p->on_word != NULL) {
		p->on_word(p->self, type, payload, channel_take_fd(c)); /* takes it over */
	}
}

static void on_grace(void *arg)
{
	struct process *p = arg;
	if (p->owes(p->self) && loop_now_ms() - p->orphaned_ms < p->grace_ms)
		loop_timer_set(p->grace, GRACE_STEP_MS);
	else
		process_exit(p);
}

/* Without a parent nobody restarts us and nobody can stop us: end, and let the next start recover.
 * What is between two of us now is settled first. */
static void on_parent_gone(void *arg, struct channel *c, const char *why)
{
	struct process *p = arg;
	(void)c;
	log_event(p->log, LOG_LEVEL_ERROR, "parent-gone", "why", why, NULL);
	p->orphaned = true;
	p->orphaned_ms = loop_now_ms();
	if (p->owes == NULL)
		process_exit(p);
	else
		on_grace(p);
}

/* --- Who hangs when the parent goes would keep what it holds: addresses, the store's lock --- */

static pid_t parent_pid;
static struct itimerval last_moment;

/* The kernel sends it when the parent ends, and it wakes who was stopped. A loop that turns ends
 * before the alarm does it. */
static void on_orphan(int signal)
{
	(void)signal;
	if (getppid() != parent_pid)
		setitimer(ITIMER_REAL, &last_moment, NULL);
}

static bool end_with_parent(const struct process *p)
{
	if (p->owes == NULL)
		return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
	parent_pid = getppid();
	last_moment.it_value.tv_sec = p->grace_ms / 1000 + GRACE_SLACK_S;
	struct sigaction a = {.sa_handler = on_orphan, .sa_flags = SA_RESTART};
	return signal(SIGALRM, SIG_DFL) != SIG_ERR && sigaction(SIGCONT, &a, NULL) == 0 &&
	       prctl(PR_SET_PDEATHSIG, SIGCONT) == 0;
}

bool process_init(struct process *p, const struct birth *b, void *self)
{
	char number[LOG_INT_TEXT];
	p->birth = *b;
	p->self = self;
	p->starter = geteuid();
	/* Before anything is read that nobody else may see. */
	char error[256] = "";
	if (!sandbox_seal(error, sizeof(error))) {
		log_event(b->log, LOG_LEVEL_ERROR, "start", "error", error, NULL);
		return false;
	}
	p->log =
	    log_child(b->log, "process", role_name(b->role), "n", log_int(number, b->number), NULL);
	p->loop = loop_new();
	if (p->loop != NULL)
		p->parent = channel_new(p->loop, b->parent_fd, b->role, ROLE_PARENT, on_parent,
					on_parent_gone, p);
	if (p->parent != NULL)
		p->grace = loop_timer_new(p->loop, on_grace, p);
	if (p->grace == NULL)
		log_event(p->log, LOG_LEVEL_ERROR, "start", "error", "out of memory", NULL);
	return p->grace != NULL;
}

void process_host(const struct conf *c, char *out, size_t room)
{
	snprintf(out, room, "localhost");
	if (c->smtp_helo != NULL)
		snprintf(out, room, "%s", c->smtp_helo);
	else if (gethostname(out, room) != 0)
		snprintf(out, room, "localhost");
	out[room - 1] = '\0';
}

bool process_drop(struct process *p)
{
	char error[256] = "";
	/* Becoming another user would undo what comes behind. */
	if (sandbox_drop_privileges(p->birth.conf->relay_user, NULL, error, sizeof(error)) &&
	    end_with_parent(p))
		return true;
	log_event(p->log, LOG_LEVEL_ERROR, "privileges", "user", p->birth.conf->relay_user, "error",
		  error, NULL);
	return false;
}

bool process_confine(struct process *p, enum sandbox_profile profile,
		     const struct sandbox_paths *paths)
{
	char report[SANDBOX_REPORT_ROOM] = "";
	bool ok = sandbox_enter(profile, paths, report, sizeof(report));
	log_event(p->log, ok ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "confined", "by", report, NULL);
	return ok;
}

int process_run(struct process *p)
{
	channel_begin(p->parent, MSG_READY);
	if (!channel_send(p->parent, -1))
		return EXIT_FAILURE;
	log_event(p->log, LOG_LEVEL_DEBUG, "ready", NULL);
	loop_run(p->loop);
	return EXIT_SUCCESS;
}

/* Otherwise only what is free at the end of the heap does, and one long-lived piece lies behind it.
 */
void process_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void process_exit(struct process *p)
{
	loop_stop(p->loop);
}

void process_free(struct process *p)
{
	channel_free(&p->parent);
	loop_timer_free(&p->grace);
	loop_free(&p->loop);
	log_free(&p->log);
}
