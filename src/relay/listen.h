/* SPDX-License-Identifier: MIT */
/* relay: the sockets that the parent binds, before its privileges go. */
#ifndef RELAY_LISTEN_H
#define RELAY_LISTEN_H

#include "relay/process.h"

/* Adds to listener and *n; *metrics_fd as in struct birth. False: logged; what was bound is the
 * caller's to close. */
bool listen_all(const struct conf *c, struct log *log,
		struct listener listener[static LISTENERS_MAX], size_t *n, int *metrics_fd);

/* The control socket: the file belongs to who started the relay, and is for the members of
 * relay.control-group too. -1: logged. */
int listen_control(const struct conf *c, struct log *log);

#endif
