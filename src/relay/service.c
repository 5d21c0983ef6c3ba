/* SPDX-License-Identifier: MIT */
/* Datagrams to the service manager. Knows its environment variables; refuses to know when all is
 * well. */
#include "relay/service.h"

#include "base/slice.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void service_open(struct service *s)
{
	const char *path = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC");
	uint64_t n = 0;
	*s = (struct service){.fd = -1};
	if (path == NULL || strlen(path) >= sizeof(s->to.sun_path))
		return;
	s->to.sun_family = AF_UNIX;
	memcpy(s->to.sun_path, path, strlen(path));
	if (s->to.sun_path[0] == '@')
		s->to.sun_path[0] = '\0';
	s->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (usec != NULL && slice_to_u64(slice_str(usec), UINT64_MAX, &n)) /* twice a period */
		s->watchdog_ms = (uint32_t)(n / 2000 < UINT32_MAX ? n / 2000 : UINT32_MAX);
}

void service_tell(const struct service *s, const char *text)
{
	if (s->fd >= 0)
		sendto(s->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&s->to,
		       s->len);
}

void service_close(struct service *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
