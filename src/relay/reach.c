/* SPDX-License-Identifier: MIT */
/* Questions for connections, and their answers. Knows routes; refuses to know what is said over
 * them. */
#include "relay/reach.h"

#include "base/cursor.h"
#include "loop/net.h"
#include "sandbox/sandbox.h"
#include "wire/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	REACH_MEM_MAX = 4096,
	/* A courier that asks and does not read the answers would fill the parent's table of
	   descriptors: it is told to come back later. */
	UNREAD_MAX = 1024,
};

/* --- The courier's side --- */

struct asked {
	struct reach *reach;
	uint64_t token;
	engine_reached_cb *cb;
	void *arg;
	struct asked *next;
};

struct reach {
	struct channel *parent;
	struct asked *open;
	uint64_t last_token;
};

struct reach *reach_new(struct channel *parent)
{
	struct reach *r = calloc(1, sizeof(*r));
	if (r != NULL)
		r->parent = parent;
	return r;
}

static void release(struct asked *a)
{
	struct asked **at = &a->reach->open;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	free(a);
}

void reach_free(struct reach **r)
{
	if (*r == NULL)
		return;
	while ((*r)->open != NULL)
		release((*r)->open);
	free(*r);
	*r = NULL;
}

static void *ask(void *self, const char *path, engine_reached_cb *cb, void *arg)
{
	struct reach *r = self;
	struct asked *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	*a = (struct asked){.reach = r, .token = ++r->last_token, .cb = cb, .arg = arg};
	struct buf *b = channel_begin(r->parent, MSG_REACH);
	put_u64(b, a->token);
	put_str(b, path);
	if (!channel_send(r->parent, -1)) {
		free(a);
		return NULL;
	}
	a->next = r->open;
	r->open = a;
	return a;
}

static void cancel(void *self, void *asked)
{
	(void)self;
	release(asked);
}

struct engine_reach reach_engine(struct reach *r)
{
	return (struct engine_reach){.self = r, .ask = ask, .cancel = cancel};
}

void reach_answered(struct reach *r, struct slice payload, int fd)
{
	struct cursor c = cursor_make(payload);
	uint64_t token = get_u64(&c);
	int errnum = (int)cursor_u32(&c);
	struct asked *a = r->open;
	while (a != NULL && a->token != token)
		a = a->next;
	if (a == NULL) { /* it waits no more */
		if (fd >= 0)
			close(fd);
		return;
	}
	engine_reached_cb *cb = a->cb;
	void *arg = a->arg;
	release(a);
	cb(arg, fd, errnum != 0 ? errnum : EPROTO);
}

/* --- The parent's --- */

static bool is_route(const struct conf *c, const char *path)
{
	struct route r;
	size_t at;
	for (size_t i = 0; i < c->ndestination; i++) {
		const char *route = c->destination[i].route;
		if (route != NULL && route_parse(slice_str(route), &r, &at) == ROUTE_OK &&
		    slice_eq_str(r.path, path))
			return true;
	}
	return false;
}

/* Does not wait: a full backlog is EAGAIN. Returns the descriptor, or -1 and errno. */
static int connect_to(const char *path)
{
	struct sockaddr_storage to;
	socklen_t len = net_sockaddr_unix(path, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, len) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int connect_as_user(const struct conf *c, const char *path)
{
	struct sandbox_loan loan;
	if (!sandbox_borrow_user(c->relay_user, &loan))
		return -1;
	int fd = connect_to(path);
	int error = errno;
	sandbox_return_user(&loan);
	errno = error;
	return fd;
}

bool reach_serve(struct channel *ch, const struct conf *conf, struct slice payload)
{
	struct arena mem;
	struct cursor c = cursor_make(payload);
	arena_init(&mem, REACH_MEM_MAX);
	uint64_t token = get_u64(&c);
	const char *path = get_str(&c, &mem);
	bool ok = !c.failed && cursor_left(&c) == 0 && path != NULL && path[0] != '\0';
	int fd = -1;
	errno = EACCES;
	if (ok && channel_backlog(ch) > UNREAD_MAX)
		errno = EAGAIN;
	else if (ok && is_route(conf, path))
		fd = connect_as_user(conf, path);
	uint32_t errnum = fd < 0 ? (uint32_t)errno : 0;
	arena_free(&mem);
	if (ok) {
		struct buf *b = channel_begin(ch, MSG_REACHED);
		put_u64(b, token);
		put_u32(b, errnum);
		channel_send(ch, fd);
	}
	if (fd >= 0)
		close(fd);
	return ok;
}
