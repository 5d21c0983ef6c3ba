/* SPDX-License-Identifier: MIT */
/* The room's own: the table of profiles as data, and the two guards. */
#ifndef SANDBOX_ROOM_H
#define SANDBOX_ROOM_H

#include "sandbox/sandbox.h"

/* Groups of system calls, as bits. */
enum sandbox_group {
	GROUP_RUN = 1 << 0,
	GROUP_ACCEPT = 1 << 1,
	GROUP_BIND = 1 << 2,
	GROUP_CONNECT = 1 << 3,
	GROUP_MEMFD = 1 << 4,
	GROUP_READ = 1 << 5,
	GROUP_WRITE = 1 << 6,
	GROUP_SET_UP = 1 << 7,
};

/* Sockets, as bits. */
enum sandbox_socket {
	SOCKET_NONE = 0,
	SOCKET_TCP = 1 << 0,
	SOCKET_UDP = 1 << 1,
	SOCKET_UNIX_STREAM = 1 << 2,
	SOCKET_UNIX_DGRAM = 1 << 3,
};

enum sandbox_files { FILES_NOTHING, FILES_LISTED, FILES_ANY_READ };
enum sandbox_ports { PORTS_NONE, PORTS_ANY, PORTS_DNS, PORTS_EPHEMERAL };

struct sandbox_rules {
	const char *name;
	unsigned groups, sockets;
	enum sandbox_files files;
	enum sandbox_ports connect, bind;
	bool abstract_sockets, keep_capabilities;
};

const struct sandbox_rules *sandbox_rules(enum sandbox_profile p);

/* False: `error` says why. */
bool landlock_enter(const struct sandbox_rules *r, const struct sandbox_paths *paths, char *error,
		    size_t room);
bool seccomp_enter(const struct sandbox_rules *r, char *error, size_t room);

bool sandbox_fail(char *error, size_t room, const char *what, int errnum); /* always false */

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_ASAN 1
#endif
#endif
#ifndef SANDBOX_ASAN
#define SANDBOX_ASAN 0
#endif

#endif
