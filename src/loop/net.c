/* SPDX-License-Identifier: MIT */
/* Addresses for connect(2) and bind(2). Knows the kernel's structs so that nobody else has to. */
#include "loop/net.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

socklen_t net_sockaddr(const struct ipaddr *a, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

socklen_t net_sockaddr_unix(const char *path, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	struct sockaddr_un *un = (struct sockaddr_un *)out;
	size_t n = strlen(path);
	un->sun_family = AF_UNIX;
	if (n < sizeof(un->sun_path))
		memcpy(un->sun_path, path, n);
	return sizeof(*un);
}
