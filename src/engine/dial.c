/* SPDX-License-Identifier: MIT */
/* Knows connect(2) and which of its errors are whose; refuses to know sessions. */
#include "engine/dial.h"

#include "loop/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum dial dial_start(const struct session_request *r, int *fd, char *error, size_t room)
{
	struct sockaddr_storage to;
	bool unix_socket = r->socket != NULL;
	socklen_t len = unix_socket ? net_sockaddr_unix(r->socket, &to)
				    : net_sockaddr(&r->address, r->port, &to);
	int one = 1;
	*fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0) {
		int why = errno;
		snprintf(error, room, "no socket: %s", strerror(why));
		return why == EAFNOSUPPORT ? DIAL_REFUSED : DIAL_LOCAL;
	}
	if ((!unix_socket && setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) ||
	    (connect(*fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)) {
		snprintf(error, room, "%s", strerror(errno));
		return DIAL_REFUSED;
	}
	return DIAL_UNDER_WAY;
}
