/* SPDX-License-Identifier: MIT */
/* Binds what the configuration says. Knows sockets; refuses to know who accepts. */
#include "relay/listen.h"

#include "loop/net.h"
#include "relay/network.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	BACKLOG = 4096, /* a flood waits there and not in SYNs; net.core.somaxconn cuts it */
	OPERATORS_BACKLOG = 32,
	/* After a kill the processes of the relay before end some milliseconds after their parent,
	   and hold the addresses so long. Who holds one for longer is another program. */
	BUSY_TRIES = 50,
	BUSY_PAUSE_MS = 100,
};

struct listening {
	const struct conf *conf;
	struct log *log;
	struct listener *listener;
	size_t *n;
	int *metrics_fd;
};

static void rest_a_moment(void)
{
	const struct timespec t = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};
	nanosleep(&t, NULL);
}

/* Tries again while somebody who is about to end holds the address; says so once. */
static int patiently(struct log *log, const char *what, int (*try)(const void *arg),
		     const void *arg)
{
	int fd = try(arg);
	for (int i = 0; fd < 0 && errno == EADDRINUSE && i < BUSY_TRIES; i++) {
		if (i == 0)
			log_event(log, LOG_LEVEL_WARN, "address-busy", "on", what, "why",
				  "a process of an earlier relay may still hold it: waiting for "
				  "its end for up to 5 s",
				  NULL);
		rest_a_moment();
		fd = try(arg);
	}
	return fd;
}

struct endpoint {
	struct sockaddr_storage to;
	socklen_t len;
};

static int listen_once(const void *arg)
{
	const struct endpoint *e = arg;
	int one = 1, family = e->to.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0;
	if (ok && family == AF_INET6)
		ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0;
	ok = ok && bind(fd, (const struct sockaddr *)&e->to, e->len) == 0 &&
	     listen(fd, BACKLOG) == 0;
	if (ok)
		return fd;
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

static int bind_endpoint(struct log *log, const char *text, char *error, size_t room)
{
	struct ipaddr address;
	struct endpoint e;
	uint16_t port;
	if (!endpoint_from_text(text, &address, &port)) {
		snprintf(error, room, "'%s' is not ADDRESS:PORT or [ADDRESS]:PORT", text);
		return -1;
	}
	e.len = net_sockaddr(&address, port, &e.to);
	int fd = patiently(log, text, listen_once, &e);
	if (fd < 0)
		snprintf(error, room, "cannot listen on %s: %s", text, strerror(errno));
	return fd;
}

static bool listen_on(struct listening *p, const char *const *list, const char *name,
		      bool submission, bool implicit_tls)
{
	char error[256];
	for (size_t i = 0; list[i] != NULL; i++) {
		if (*p->n == LISTENERS_MAX) {
			log_event(p->log, LOG_LEVEL_ERROR, "listen", "error", "too many listeners",
				  NULL);
			return false;
		}
		int fd = bind_endpoint(p->log, list[i], error, sizeof(error));
		if (fd < 0) {
			log_event(p->log, LOG_LEVEL_ERROR, "listen", "error", error, NULL);
			return false;
		}
		p->listener[(*p->n)++] = (struct listener){fd, name, submission, implicit_tls};
		log_event(p->log, LOG_LEVEL_INFO, "listening", "on", list[i], "for", name, NULL);
	}
	return true;
}

static bool open_metrics(struct listening *p)
{
	char error[256];
	if (p->conf->relay_metrics == NULL)
		return true;
	*p->metrics_fd = bind_endpoint(p->log, p->conf->relay_metrics, error, sizeof(error));
	if (*p->metrics_fd < 0)
		log_event(p->log, LOG_LEVEL_ERROR, "listen", "error", error, NULL);
	return *p->metrics_fd >= 0;
}

bool listen_all(const struct conf *c, struct log *log,
		struct listener listener[static LISTENERS_MAX], size_t *n, int *metrics_fd)
{
	struct listening l = {c, log, listener, n, metrics_fd};
	return open_metrics(&l) && listen_on(&l, c->relay_smtp, "smtp", false, false) &&
	       listen_on(&l, c->relay_submission, "submission", true, false) &&
	       listen_on(&l, c->relay_submissions, "submissions", true, true);
}

/* --- The control socket --- */

struct control_place {
	struct sockaddr_un to;
	mode_t mask; /* of the rights: umask(2) */
};

/* Does somebody answer there? Then the file is not a dead relay's and must stay. */
static bool is_alive(const struct sockaddr_un *to)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0;
	if (fd >= 0)
		close(fd);
	return alive;
}

static int control_once(const void *arg)
{
	const struct control_place *p = arg;
	if (is_alive(&p->to)) {
		errno = EADDRINUSE;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	unlink(p->to.sun_path);
	mode_t before = umask(p->mask);
	bool ok = bind(fd, (const struct sockaddr *)&p->to, sizeof(p->to)) == 0 &&
		  listen(fd, OPERATORS_BACKLOG) == 0;
	int error = errno;
	umask(before);
	if (ok)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

/* Made by root the file gets its group by being made with it: to change that later would need one
 * capability more. */
static int make_control(const struct conf *c, struct log *log, struct control_place *p)
{
	const struct group *g = NULL;
	gid_t own = getegid();
	if (c->relay_control_group != NULL) {
		errno = 0;
		g = getgrnam(c->relay_control_group);
		if (g == NULL) {
			errno = errno != 0 ? errno : ENOENT;
			return -1;
		}
		p->mask = 0117;
	}
	bool root = geteuid() == 0;
	if (g != NULL && root && setegid(g->gr_gid) != 0)
		return -1;
	int fd = patiently(log, c->relay_control, control_once, p);
	int error = errno;
	if (g != NULL && root && setegid(own) != 0)
		abort();
	errno = error;
	if (fd >= 0 && g != NULL && !root && chown(c->relay_control, (uid_t)-1, g->gr_gid) != 0) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int listen_control(const struct conf *c, struct log *log)
{
	struct control_place p = {.to = {.sun_family = AF_UNIX}, .mask = 0177};
	int fd = -1;
	errno = ENAMETOOLONG;
	if (strlen(c->relay_control) < sizeof(p.to.sun_path)) {
		memcpy(p.to.sun_path, c->relay_control, strlen(c->relay_control));
		fd = make_control(c, log, &p);
	}
	if (fd < 0)
		log_event(log, LOG_LEVEL_ERROR, "control", "path", c->relay_control, "group",
			  c->relay_control_group, "error", strerror(errno), NULL);
	return fd;
}
