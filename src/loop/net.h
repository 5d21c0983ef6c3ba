/* SPDX-License-Identifier: MIT */
/* loop: our addresses in the kernel's form. Pure. */
#ifndef LOOP_NET_H
#define LOOP_NET_H

#include "wire/ipaddr.h"

#include <sys/socket.h>

/* Fills `out` for IPv4 or IPv6; returns how long it is. */
socklen_t net_sockaddr(const struct ipaddr *a, uint16_t port, struct sockaddr_storage *out);
/* The same for a Unix socket; path: at most 107 octets, else it is cut to "", which nobody listens
 * on. */
socklen_t net_sockaddr_unix(const char *path, struct sockaddr_storage *out);

#endif
