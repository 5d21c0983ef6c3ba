/* SPDX-License-Identifier: MIT */
/* Binds what the configuration says. Knows sockets; refuses to know who accepts. */
#include "relay/listen.h"

#include "loop/net.h"
#include "relay/network.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

struct listening {
	const struct conf *conf;
	struct log *log;
	struct listener *listener;
	size_t *n;
	int *metrics_fd;
};

static int bind_endpoint(const char *text, char *error, size_t room)
{
	struct ipaddr address;
	uint16_t port;
	struct sockaddr_storage to;
	int one = 1;
	if (!endpoint_from_text(text, &address, &port)) {
		snprintf(error, room, "'%s' is not ADDRESS:PORT or [ADDRESS]:PORT", text);
		return -1;
	}
	socklen_t len = net_sockaddr(&address, port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0;
	if (ok && to.ss_family == AF_INET6)
		ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0;
	ok = ok && bind(fd, (struct sockaddr *)&to, len) == 0 && listen(fd, BACKLOG) == 0;
	if (ok)
		return fd;
	snprintf(error, room, "cannot listen on %s: %s", text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
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
		int fd = bind_endpoint(list[i], error, sizeof(error));
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
	*p->metrics_fd = bind_endpoint(p->conf->relay_metrics, error, sizeof(error));
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
