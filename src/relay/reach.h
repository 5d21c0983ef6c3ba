/* SPDX-License-Identifier: MIT */
/*
 * relay: how a courier comes to the Unix sockets of routes: it may make no such socket, so that it
 * asks the parent, which connects to what its configuration names and to nothing else.
 */
#ifndef RELAY_REACH_H
#define RELAY_REACH_H

#include "conf/conf.h"
#include "engine/engine.h"
#include "relay/channel.h"

/* --- The courier's side --- */

struct reach;

struct reach *reach_new(struct channel *parent); /* NULL: out of memory */
void reach_free(struct reach **r);               /* nobody is called back any more */
struct engine_reach reach_engine(struct reach *r);
/* MSG_REACHED; takes fd over. */
void reach_answered(struct reach *r, struct slice payload, int fd);

/* --- The parent's --- */

/*
 * MSG_REACH: connects as relay.user, whose rights on the socket count, and answers on `c`. False:
 * this is no question.
 */
bool reach_serve(struct channel *c, const struct conf *conf, struct slice payload);

#endif
