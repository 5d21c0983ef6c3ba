/* SPDX-License-Identifier: MIT */
/*
 * relay: the control socket: how an operator's commands reach the keeper. The file's permissions
 * and the kernel's word on who connects decide who is one: root, the user who started the relay,
 * the members of relay.control-group; never a process of the relay.
 *
 * The client connects, sends one line of fields separated by tabs, and reads JSON Lines until the
 * end of the stream. The last line is {"ok":true,...} or {"ok":false,"error":"..."}.
 * "ok" after a change means that it is on the disk. A client that hangs up ends its command; what
 * was changed by then stays.
 *
 *   list KEY=VALUE...           deliveries: next-hop, sender, recipient, id, state, limit
 *
 *   show QUEUE-ID               its deliveries with recipients and tries
 *
 *   stats                       totals, by destination, by reason
 *
 *   retry KEY=VALUE...          also hold, release, delete, bounce: all that match
 *
 *   policy PATTERN LEVEL SECS   an override that ends by itself; LEVEL clear ends it
 *
 *   policies                    what is in force
 *
 *   audit                       the last record of the audit file: {"n":...,"hash":...}
 */
#ifndef RELAY_CONTROL_H
#define RELAY_CONTROL_H

#include "store/store.h"

#include <sys/types.h>

enum { CONTROL_LINE_MAX = 8192 };

struct keeper;
struct control;

/* On the socket that the parent bound; takes fd over. group: relay.control-group. Before the
 * sandbox closes. NULL: logged. */
struct control *control_open(struct keeper *k, int fd, const char *group);
/* A process of the relay: it is no operator while it lives. */
void control_child(struct control *c, pid_t pid, bool alive);
void control_close(struct control **c);
/* The group was committed, or lost: who waited for that goes on. */
void control_committed(struct control *c, enum store_status s);

#endif
