/* SPDX-License-Identifier: MIT */
/*
 * The control socket of the keeper: connections, lines, and answers that go out piece by piece, so
 * that a client that reads slowly, or not at all, costs one piece of memory and nobody's time. What
 * a command does is in control_command.c.
 */
#include "relay/control_int.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	OPERATORS_MAX = 32,
	OPERATOR_MS = 30000,
	GROUPS_MAX = 1024,    /* of a visitor that are looked at */
	CHILDREN_MAX = 65536, /* that can be told apart: more than any machine runs */
};

struct visitor {
	struct control *control;
	int fd;
	uid_t uid; /* when it connected */
	struct loop_io *io;
	struct loop_timer *timer; /* without progress */
	struct buf line;
	struct command *command;    /* NULL: the line is not whole */
	enum command_state state;   /* after its last turn */
	struct loop_deferred *turn; /* the next one is due */
	char *piece;                /* of the answer, on its way; one at a time */
	size_t length, written;
	struct visitor *next;
};

struct control {
	struct keeper *keeper;
	int fd;
	struct loop_io *io;
	struct visitor *visitor;
	size_t n;
	bool has_group;
	gid_t gid;    /* of relay.control-group */
	pid_t *child; /* the relay's processes that live */
	size_t nchild, child_room;
};

static void dismiss(struct visitor *o)
{
	struct visitor **at = &o->control->visitor;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	o->control->n--;
	loop_io_free(&o->io);
	loop_timer_free(&o->timer);
	if (o->turn != NULL)
		loop_defer_cancel(&o->turn);
	command_free(&o->command);
	buf_free(&o->line);
	free(o->piece);
	close(o->fd);
	free(o);
}

static void on_timer(void *arg)
{
	dismiss(arg);
}

static void on_turn(void *arg);

/* The piece is out: what now? */
static void go_on(struct visitor *o)
{
	switch (o->state) {
	case COMMAND_DONE:
		dismiss(o);
		return;
	case COMMAND_UNCOMMITTED: /* control_committed() follows */
		loop_io_want(o->io, 0);
		return;
	case COMMAND_MORE:
		loop_io_want(o->io, 0);
		if (o->turn == NULL)
			o->turn = loop_defer(o->control->keeper->process.loop, on_turn, o);
		if (o->turn == NULL)
			dismiss(o);
		return;
	}
}

static void write_piece(struct visitor *o)
{
	while (o->written < o->length) {
		ssize_t n =
		    send(o->fd, o->piece + o->written, o->length - o->written, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_io_want(o->io, LOOP_WRITE);
			return;
		}
		if (n < 0) {
			dismiss(o);
			return;
		}
		o->written += (size_t)n;
		loop_timer_set(o->timer, OPERATOR_MS);
	}
	free(o->piece);
	o->piece = NULL;
	go_on(o);
}

/* A client that hung up wants nothing more. One that has only said its last word still listens. */
static bool is_gone(const struct visitor *o)
{
	return send(o->fd, "", 0, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != EINTR;
}

static void take_turn(struct visitor *o)
{
	FILE *f = is_gone(o) ? NULL : open_memstream(&o->piece, &o->length);
	if (f == NULL) {
		dismiss(o);
		return;
	}
	o->written = 0;
	o->state = command_turn(o->command, f);
	loop_timer_set(o->timer, OPERATOR_MS);
	if (fclose(f) != 0)
		dismiss(o);
	else
		write_piece(o);
}

static void on_turn(void *arg)
{
	struct visitor *o = arg;
	o->turn = NULL;
	take_turn(o);
}

void control_committed(struct control *c, enum store_status s)
{
	for (struct visitor *o = c->visitor, *next; o != NULL; o = next) {
		next = o->next;
		if (o->command == NULL || o->state != COMMAND_UNCOMMITTED)
			continue;
		command_committed(o->command, s);
		o->state = COMMAND_MORE;
		if (s != STORE_OK && o->piece == NULL)
			take_turn(o); /* now: this process is about to end */
		else if (o->piece == NULL)
			go_on(o);
	}
}

static void start(struct visitor *o)
{
	struct slice rest;
	struct slice line = slice_cut(buf_slice(&o->line), '\n', &rest);
	o->command = command_new(o->control->keeper, line, o->uid);
	if (o->command != NULL)
		take_turn(o);
	else
		dismiss(o);
}

static void on_io(void *arg, unsigned ready)
{
	struct visitor *o = arg;
	uint8_t bytes[1024];
	if (o->command != NULL) {
		if (o->piece != NULL)
			write_piece(o);
		return;
	}
	(void)ready;
	ssize_t n = recv(o->fd, bytes, sizeof(bytes), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buf_add(&o->line, bytes, (size_t)n);
	if (n <= 0 || !buf_ok(&o->line))
		dismiss(o);
	else if (slice_find(buf_slice(&o->line), '\n') < buf_len(&o->line))
		start(o);
}

/* --- Who may --- */

/* By its groups as the kernel knows them since it connected. */
static bool is_member(int fd, const struct ucred *who, gid_t gid)
{
	gid_t group[GROUPS_MAX];
	socklen_t size = sizeof(group);
	if (who->gid == gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, group, &size) != 0)
		return false;
	for (size_t i = 0; i < size / sizeof(group[0]); i++) {
		if (group[i] == gid)
			return true;
	}
	return false;
}

static pid_t *find_child(struct control *c, pid_t pid)
{
	for (size_t i = 0; i < c->nchild; i++) {
		if (c->child[i] == pid)
			return &c->child[i];
	}
	return NULL;
}

void control_child(struct control *c, pid_t pid, bool alive)
{
	pid_t *known = find_child(c, pid);
	if (!alive && known != NULL)
		*known = c->child[--c->nchild];
	if (!alive || known != NULL)
		return;
	if (c->nchild == c->child_room) {
		size_t room = c->child_room == 0 ? 64 : 2 * c->child_room;
		pid_t *more = room <= CHILDREN_MAX ? realloc(c->child, room * sizeof(*more)) : NULL;
		if (more == NULL) { /* who cannot be told apart is not let in */
			keeper_fatal(c->keeper, "children", STORE_NO_MEMORY);
			return;
		}
		c->child = more;
		c->child_room = room;
	}
	c->child[c->nchild++] = pid;
}

/*
 * A process of the relay that was taken over is no operator. Its user is refused where that is
 * another than the one who started the relay; where it is the same, each by its number. (Their
 * profiles give them no such socket either.)
 */
static bool may_operate(struct control *c, int fd, const struct ucred *who)
{
	if (find_child(c, who->pid) != NULL)
		return false;
	if (who->uid == 0 || who->uid == c->keeper->process.starter)
		return true;
	return c->has_group && who->uid != geteuid() && is_member(fd, who, c->gid);
}

static bool is_welcome(struct control *c, int fd, struct ucred *who)
{
	char uid[LOG_INT_TEXT], pid[LOG_INT_TEXT];
	socklen_t size = sizeof(*who);
	*who = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
	bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &size) == 0;
	if (known && may_operate(c, fd, who))
		return true;
	log_event(c->keeper->process.log, LOG_LEVEL_WARN, "operator-refused", "uid",
		  log_int(uid, (int64_t)who->uid), "pid", log_int(pid, who->pid), NULL);
	return false;
}

static void on_accept(void *arg, unsigned ready)
{
	struct control *c = arg;
	struct ucred who;
	(void)ready;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (!is_welcome(c, fd, &who)) {
		static const char no[] = "{\"ok\":false,\"error\":\"not allowed: only root, who "
					 "started the relay, and relay.control-group\"}\n";
		(void)send(fd, no, sizeof(no) - 1, MSG_NOSIGNAL);
		close(fd);
		return;
	}
	struct visitor *o = c->n < OPERATORS_MAX ? calloc(1, sizeof(*o)) : NULL;
	if (o == NULL) {
		close(fd);
		return;
	}
	*o = (struct visitor){.control = c, .fd = fd, .uid = who.uid, .next = c->visitor};
	c->visitor = o;
	c->n++;
	buf_init(&o->line, CONTROL_LINE_MAX);
	o->io = loop_io_new(c->keeper->process.loop, fd, on_io, o);
	o->timer = loop_timer_new(c->keeper->process.loop, on_timer, o);
	if (o->io == NULL || o->timer == NULL) {
		dismiss(o);
		return;
	}
	loop_io_want(o->io, LOOP_READ);
	loop_timer_set(o->timer, OPERATOR_MS);
}

static bool find_group(struct control *c, const char *name)
{
	const struct group *g = name != NULL ? getgrnam(name) : NULL;
	c->has_group = g != NULL;
	c->gid = g != NULL ? g->gr_gid : 0;
	return name == NULL || g != NULL;
}

struct control *control_open(struct keeper *k, int fd, const char *group)
{
	struct control *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->keeper = k;
	c->fd = fd;
	errno = ENOENT;
	if (find_group(c, group))
		c->io = loop_io_new(k->process.loop, c->fd, on_accept, c);
	if (c->io == NULL) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "control", "group", group, "error",
			  strerror(errno), NULL);
		control_close(&c);
		return NULL;
	}
	loop_io_want(c->io, LOOP_READ);
	return c;
}

void control_close(struct control **cp)
{
	struct control *c = *cp;
	if (c == NULL)
		return;
	while (c->visitor != NULL)
		dismiss(c->visitor);
	loop_io_free(&c->io);
	close(c->fd);
	free(c->child);
	free(c);
	*cp = NULL;
}
