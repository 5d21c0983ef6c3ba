/* SPDX-License-Identifier: MIT */
/*
 * The control socket of the keeper: connections and lines. What a command does is in
 * control_command.c.
 */
#include "relay/control_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { OPERATORS_MAX = 32, OPERATOR_MS = 30000 };

struct visitor {
	struct control *control;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct buf line;
	char *reply;
	size_t length, written;
	struct visitor *next;
};

struct control {
	struct keeper *keeper;
	int fd;
	char *path;
	struct loop_io *io;
	struct visitor *visitor;
	size_t n;
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
	buf_free(&o->line);
	free(o->reply);
	close(o->fd);
	free(o);
}

static void on_timer(void *arg)
{
	dismiss(arg);
}

static void write_reply(struct visitor *o)
{
	while (o->written < o->length) {
		ssize_t n =
		    send(o->fd, o->reply + o->written, o->length - o->written, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_io_want(o->io, LOOP_WRITE);
			return;
		}
		if (n < 0)
			break;
		o->written += (size_t)n;
	}
	dismiss(o);
}

static void answer(struct visitor *o)
{
	struct slice rest;
	struct slice line = slice_cut(buf_slice(&o->line), '\n', &rest);
	FILE *f = open_memstream(&o->reply, &o->length);
	if (f == NULL) {
		dismiss(o);
		return;
	}
	control_command(o->control->keeper, line, f);
	if (fclose(f) != 0)
		dismiss(o);
	else
		write_reply(o);
}

static void on_io(void *arg, unsigned ready)
{
	struct visitor *o = arg;
	uint8_t bytes[1024];
	if (o->reply != NULL) {
		write_reply(o);
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
		answer(o);
}

static void on_accept(void *arg, unsigned ready)
{
	struct control *c = arg;
	(void)ready;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct visitor *o = c->n < OPERATORS_MAX ? calloc(1, sizeof(*o)) : NULL;
	if (o == NULL) {
		close(fd);
		return;
	}
	*o = (struct visitor){.control = c, .fd = fd, .next = c->visitor};
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

static int listen_at(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	unlink(path); /* of an earlier keeper: the store's lock says that it is gone */
	mode_t before = umask(0077);
	bool ok =
	    bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && listen(fd, OPERATORS_MAX) == 0;
	int error = errno;
	umask(before);
	if (ok)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

struct control *control_open(struct keeper *k, const char *path)
{
	struct control *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->keeper = k;
	c->path = strdup(path);
	c->fd = c->path != NULL ? listen_at(path) : -1;
	if (c->fd >= 0)
		c->io = loop_io_new(k->process.loop, c->fd, on_accept, c);
	if (c->io == NULL) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "control", "path", path, "error",
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
	if (c->fd >= 0) {
		close(c->fd);
		unlink(c->path);
	}
	free(c->path);
	free(c);
	*cp = NULL;
}
