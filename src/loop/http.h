/* SPDX-License-Identifier: MIT */
/* loop: one document over HTTP (libevent's evhttp): for metrics on a loopback address, not for the
 * world. */
#ifndef LOOP_HTTP_H
#define LOOP_HTTP_H

#include "base/buf.h"
#include "loop/loop.h"

struct loop_http;

/* Fills `body` with the present document. Called from the loop for each GET. */
typedef void loop_http_cb(void *arg, struct buf *body);

/* Serves GET `path` as `type` on a listening socket (stays the caller's); everything else is 404.
 * NULL: out of memory. */
struct loop_http *loop_http_new(struct loop *l, int fd, const char *path, const char *type,
				loop_http_cb *cb, void *arg);
void loop_http_free(struct loop_http **h);

#endif
