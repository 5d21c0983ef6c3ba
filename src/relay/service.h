/* SPDX-License-Identifier: MIT */
/*
 * relay: what the service manager is told: sd_notify(3) without the library, one datagram each.
 * Without $NOTIFY_SOCKET nobody is told anything.
 */
#ifndef RELAY_SERVICE_H
#define RELAY_SERVICE_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct service {
	int fd; /* -1: nobody listens */
	struct sockaddr_un to;
	socklen_t len;
	uint32_t watchdog_ms; /* tell so often that all is well; 0: nobody watches */
};

/* Before the sandbox closes. */
void service_open(struct service *s);
void service_tell(const struct service *s, const char *text); /* "READY=1" */
void service_close(struct service *s);

#endif
