/* SPDX-License-Identifier: MIT */
/*
 * The parent's children: born, connected with each other, started again, sent away.
 *
 * Knows who talks to whom. Refuses to know why somebody has to leave: parent.c says that.
 */
#include "relay/parent_int.h"

#include "relay/birth.h"
#include "relay/published.h"
#include "relay/reach.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

struct child *child_find(struct parent *p, enum role role)
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
		/* An intake that leaves still takes mail; a courier that leaves takes none, but
		 * still asks for what it has, and reports on it. */
		bool stays = !c->leaving || c->role == ROLE_INTAKE ||
			     (c->role == ROLE_COURIER &&
			      (n->role == ROLE_RESOLVER || n->role == ROLE_KEEPER));
		if (c == n || c->pid == 0 || !stays)
			continue;
		bool asks = c->role == ROLE_COURIER || c->role == ROLE_WARDEN;
		bool related = (n->role == ROLE_KEEPER && (asks || c->role == ROLE_INTAKE)) ||
			       (n->role == ROLE_RESOLVER && asks) || are_warden_and_ward(n, c);
		if (related)
			connect_children(p, n, c);
	}
	if (n->role == ROLE_COURIER || n->role == ROLE_WARDEN)
		connect_children(p, n, child_find(p, ROLE_RESOLVER));
	if (n->role == ROLE_INTAKE || n->role == ROLE_COURIER || n->role == ROLE_WARDEN)
		connect_children(p, n, child_find(p, ROLE_KEEPER));
}

/* The other end is alive and has cut the channel, else it would have a successor by now. */
static void give_again(struct child *c, unsigned role)
{
	bool asks = c->role == ROLE_COURIER || c->role == ROLE_WARDEN;
	bool hands = c->role == ROLE_INTAKE || c->role == ROLE_COURIER;
	bool lawful = (role == ROLE_KEEPER && hands) || (role == ROLE_RESOLVER && asks);
	struct child *other = lawful ? child_find(c->parent, (enum role)role) : NULL;
	char pid[LOG_INT_TEXT];
	if (other == NULL || c->parent->draining || c->pid == 0)
		return;
	if (!watch_wants_channel(&c->watch)) {
		log_event(c->parent->log, LOG_LEVEL_ERROR, "process-greedy", "role",
			  role_name(c->role), "pid", log_int(pid, c->pid), "error",
			  "asks for new channels again and again: killed", NULL);
		kill(c->pid, SIGKILL);
		return;
	}
	log_event(c->parent->log, LOG_LEVEL_WARN, "reconnected", "role", role_name(c->role), "pid",
		  log_int(pid, c->pid), "to", role_name(other->role), NULL);
	connect_children(c->parent, c, other);
}

static void on_message(void *arg, struct channel *ch, enum message type, struct slice payload)
{
	struct child *c = arg;
	if (type == MSG_READY) {
		c->ready = true;
		watch_ready(&c->watch);
	} else if (type == MSG_PONG) {
		watch_answered(&c->watch);
	} else if (type == MSG_LACKING) {
		give_again(c, payload.p[0]);
	} else if (type == MSG_REACH && !reach_serve(ch, c->parent->conf, payload)) {
		log_event(c->parent->log, LOG_LEVEL_ERROR, "process-confused", "role",
			  role_name(c->role), "error", "asks for a connection to nothing", NULL);
		kill(c->pid, SIGKILL);
	}
	if (!c->parent->started)
		parent_look_if_started(c->parent);
}

static void on_channel_closed(void *arg, struct channel *ch, const char *why)
{
	struct child *c = arg;
	(void)ch;
	(void)why;
	channel_free(&c->channel); /* SIGCHLD follows, or the watch */
	watch_cut_off(&c->watch, loop_now_ms());
}

void child_reset_signals(void)
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

_Noreturn static void be_child(const struct parent *p, enum role role, unsigned number, int fd)
{
	child_reset_signals();
	const struct birth b = {.role = role,
				.number = number,
				.parent_fd = fd,
				.conf = p->conf,
				.log_target = p->log_target,
				.log_level = p->log_level,
				.listener = role == ROLE_INTAKE ? p->listener : NULL,
				.nlistener = role == ROLE_INTAKE ? p->nlistener : 0,
				.metrics_fd = role == ROLE_KEEPER ? p->metrics_fd : -1,
				.control_fd = role == ROLE_KEEPER ? p->control_fd : -1};
	birth_exec(&p->program, &b);
	log_event(p->log, LOG_LEVEL_ERROR, "birth", "role", role_name(role), "error",
		  strerror(errno), NULL);
	_exit(EX_OSERR);
}

static void on_restart(void *arg);

/* The keeper's control socket is not for them. */
void child_tell_life(struct parent *p, pid_t pid, bool alive)
{
	struct child *keeper = child_find(p, ROLE_KEEPER);
	if (keeper == NULL || keeper->channel == NULL)
		return;
	struct buf *b = channel_begin(keeper->channel, MSG_CHILD);
	put_u32(b, (uint32_t)pid);
	put_u8(b, alive);
	channel_send(keeper->channel, -1);
}

static void tell_lives(struct child *c)
{
	if (c->role != ROLE_KEEPER)
		child_tell_life(c->parent, c->pid, true);
	for (const struct child *o = c->parent->child; o != NULL && c->role == ROLE_KEEPER;
	     o = o->next) {
		if (o->pid != 0)
			child_tell_life(c->parent, o->pid, true);
	}
}

/* Behind their channels: a new keeper waits for what they have. */
static void tell_couriers(const struct parent *p, struct child *keeper)
{
	if (keeper->channel == NULL)
		return;
	put_u32(channel_begin(keeper->channel, MSG_COURIERS),
		(uint32_t)children_count(p, ROLE_COURIER));
	channel_send(keeper->channel, -1);
}

/* A new keeper counts from nothing: it is told of all of them. */
void child_tell_restarts(struct parent *p, enum role role)
{
	struct child *keeper = child_find(p, ROLE_KEEPER);
	if (keeper == NULL || keeper->channel == NULL)
		return;
	struct buf *b = channel_begin(keeper->channel, MSG_RESTARTS);
	put_u8(b, (uint8_t)role);
	put_u32(b, p->restarts_of[role]);
	channel_send(keeper->channel, -1);
}

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
	tell_lives(c);
	connect_new(p, c);
	if (c->role == ROLE_KEEPER)
		tell_couriers(p, c);
	return c->channel != NULL;
}

bool child_spawn(struct parent *p, enum role role)
{
	struct child *c = add_child(p, role);
	bool ok = c != NULL && give_birth(c);
	if (!ok)
		log_event(p->log, LOG_LEVEL_ERROR, "child_spawn", "role", role_name(role), "error",
			  strerror(errno), NULL);
	return ok;
}

static void on_restart(void *arg)
{
	struct child *c = arg;
	if (!child_is_wanted(c))
		return;
	if (!give_birth(c))
		loop_timer_set(c->restart, RESTART_MS);
	else if (c->role == ROLE_KEEPER)
		for (int r = ROLE_INTAKE; r < ROLE_COUNT; r++)
			child_tell_restarts(c->parent, (enum role)r);
}

static unsigned count_of(long configured)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (configured > 0)
		return (unsigned)configured;
	return cores > 0 ? (unsigned)cores : 1;
}

bool children_spawn(struct parent *p, bool keeper)
{
	bool ok = (!keeper || child_spawn(p, ROLE_KEEPER)) && child_spawn(p, ROLE_RESOLVER);
	for (unsigned i = 0; ok && i < count_of(p->conf->relay_couriers); i++)
		ok = child_spawn(p, ROLE_COURIER);
	for (unsigned i = 0; ok && p->nlistener > 0 && i < count_of(p->conf->relay_intakes); i++)
		ok = child_spawn(p, ROLE_INTAKE);
	return ok && (!published_any(p->conf) || child_spawn(p, ROLE_WARDEN));
}

void child_remove(struct child *c)
{
	struct child **at = &c->parent->child;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	channel_free(&c->channel);
	loop_timer_free(&c->restart);
	free(c);
}

size_t children_count(const struct parent *p, enum role role)
{
	size_t n = 0;
	for (const struct child *c = p->child; c != NULL; c = c->next)
		n += c->role == role && c->pid != 0;
	return n;
}

/* Who drains starts nobody anew, except whom couriers wait for: without answers they would not come
 * to an end, and without a keeper nobody would know what they did. */
bool child_is_wanted(const struct child *c)
{
	const struct parent *p = c->parent;
	bool asked = (c->role == ROLE_RESOLVER || c->role == ROLE_KEEPER) &&
		     children_count(p, ROLE_COURIER) > 0;
	return !c->leaving && (!p->draining || asked);
}

void child_drain(struct child *c)
{
	if (c->channel == NULL)
		return;
	c->leaving = true;
	channel_begin(c->channel, MSG_DRAIN);
	channel_send(c->channel, -1);
}

/* Couriers finish what they have; intakes may have clients that stay for long. */
void child_retire(struct child *c)
{
	if (c->role != ROLE_INTAKE) {
		child_drain(c);
	} else if (c->channel != NULL && !c->leaving) {
		c->leaving = true;
		channel_begin(c->channel, MSG_RETIRE);
		channel_send(c->channel, -1);
	}
}

void children_drain(struct parent *p, enum role role)
{
	for (struct child *c = p->child; c != NULL; c = c->next) {
		if (c->role == role)
			child_drain(c);
	}
}
