/* SPDX-License-Identifier: MIT */
/* engine: the first step of a session: a socket that connects to where its request says. */
#ifndef ENGINE_DIAL_H
#define ENGINE_DIAL_H

#include "engine/engine.h"

enum dial {
	DIAL_UNDER_WAY, /* writable when it is connected, or when it is known that it is not */
	DIAL_REFUSED,   /* the network's fault */
	DIAL_LOCAL,     /* ours */
};

/* *fd is the caller's to close, -1: there is none. Not under way: `error` says why. */
enum dial dial_start(const struct session_request *r, int *fd, char *error, size_t room);

#endif
