/* SPDX-License-Identifier: MIT */
/* Knows the socket; refuses to know commands and answers. */
#include "cmd/control_client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int control_connect(const struct cmd *c)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = c->conf->relay_control;
	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

bool control_send(int fd, struct buf *line)
{
	while (buf_len(line) > 0) {
		struct slice s = buf_slice(line);
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0) /* who is refused is not listened to: the answer is there already */
			return errno == EPIPE || errno == ECONNRESET;
		buf_consume(line, (size_t)n);
	}
	return true;
}

bool control_exchange(int fd, struct buf *line, struct buf *reply)
{
	if (!control_send(fd, line))
		return false;
	for (;;) {
		uint8_t *p = buf_reserve(reply, 65536);
		ssize_t n = p != NULL ? read(fd, p, 65536) : -1;
		if (n == 0)
			return true;
		if (n < 0) /* a refusal may be followed by a reset: our line was not read */
			return errno == ECONNRESET && buf_len(reply) > 0;
		buf_commit(reply, (size_t)n);
	}
}
