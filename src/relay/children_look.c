/* SPDX-License-Identifier: MIT */
/*
 * Which of the children hangs: asked, looked at, then killed. Knows the clock of the loop and what
 * the kernel says of a process; watch.c judges. Refuses to start anybody: that follows the end, in
 * parent.c.
 */
#include "relay/parent_int.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STAT_ROOM = 512, NS_PER_MS = 1000000 };

static void log_hang(const struct child *c, const char *event, uint64_t now)
{
	char number[LOG_INT_TEXT], pid[LOG_INT_TEXT], silent[LOG_INT_TEXT], limit[LOG_INT_TEXT];
	log_event(c->parent->log, LOG_LEVEL_ERROR, event, "role", role_name(c->role), "n",
		  log_int(number, c->number), "pid", log_int(pid, c->pid), "silent-for",
		  log_int(silent, (int64_t)((now - c->watch.since) / 1000)), "limit",
		  log_int(limit, c->parent->conf->relay_hang_limit), "state",
		  watch_state_name(c->watch.state), NULL);
}

/* The letter behind the name in /proc/PID/stat; '\0': there is none to be had. */
static char letter_of(pid_t pid)
{
	char path[64], text[STAT_ROOM];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return '\0';
	text[n] = '\0';
	const char *name_end = strrchr(text, ')');
	return name_end != NULL && name_end[1] == ' ' ? name_end[2] : '\0';
}

/* A system may hide /proc, or have none. That a child is stopped is told to its parent even so. */
static enum watch_state state_of(pid_t pid)
{
	siginfo_t told = {0};
	if (waitid(P_PID, (id_t)pid, &told, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	    told.si_pid == pid && told.si_code == CLD_STOPPED)
		return WATCH_STOPPED;
	return watch_state_of(letter_of(pid));
}

static uint64_t cpu_of(pid_t pid)
{
	clockid_t clock;
	struct timespec t;
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

/* True: it hangs, and nothing helps. */
static bool look_at(struct child *c, uint64_t now)
{
	uint64_t limit = (uint64_t)c->parent->conf->relay_hang_limit * 1000;
	if (c->watch.since != 0)
		watch_saw(&c->watch, state_of(c->pid), cpu_of(c->pid));
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

void children_look(void *arg)
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
