/* SPDX-License-Identifier: MIT */
/* loop: our addresses in the kernel's form. Pure. */
#ifndef LOOP_NET_H
#define LOOP_NET_H

#include "wire/ipaddr.h"

#include <sys/socket.h>

/* Fills `out` for IPv4 or IPv6; returns how long it is. */
socklen_t net_sockaddr(const struct ipaddr *a, uint16_t port, struct sockaddr_storage *out);

#endif
