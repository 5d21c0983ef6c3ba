/* SPDX-License-Identifier: MIT */
/*
 * Which of the children hangs: asked, then killed. Knows the clock of the loop; watch.c judges.
 * Refuses to start anybody: that follows the end, in parent.c.
 */
#include "relay/parent_int.h"

#include <signal.h>

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
