/* SPDX-License-Identifier: MIT */
/* cmd: one question to the running relay over its control socket (relay/control.h). */
#ifndef CMD_CONTROL_CLIENT_H
#define CMD_CONTROL_CLIENT_H

#include "base/buf.h"
#include "cmd/cmd.h"

/* A connected socket, or -1 with errno. */
int control_connect(const struct cmd *c);
/* Sends all of the line, or as much as the relay wants to know; false with errno. */
bool control_send(int fd, struct buf *line);
/* Sends the line and reads the answer to its end; false with errno. */
bool control_exchange(int fd, struct buf *line, struct buf *reply);

#endif
