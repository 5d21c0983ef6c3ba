/* SPDX-License-Identifier: MIT */
/*
 * bench: what the measured peers that accept connections share: forked processes that take one
 * client at a time from one socket, blocking. Their cost is not measured.
 */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include <openssl/ssl.h>

/* One connection; fd is closed afterwards, and a read on it ends after some seconds of silence. */
typedef void serve_client(int fd, SSL_CTX *ctx, void *arg);

struct serve {
	const char *who;              /* for errors: "bench-sink" */
	const char *port, *processes; /* decimal, as on the command line */
	const char *chain, *key;      /* PEM files */
	serve_client *client;
	void *arg;
};

/* Serves on every address of this machine until it is killed; tickets are given, nothing is cached.
 * Returns only with an exit code: 78 when it cannot start (said on standard error), 70 when its
 * processes are gone. */
int serve(const struct serve *s);

#endif
