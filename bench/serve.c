/* SPDX-License-Identifier: MIT */
/* See serve.h. Knows sockets, processes and the server's certificate; refuses to know what is
 * spoken. */
#include "serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	PATIENCE_S = 10, /* a client that is silent for so long must not hold a process */
};

static void accept_for_ever(const struct serve *s, int listener, SSL_CTX *ctx)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int one = 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		s->client(fd, ctx, s->arg);
		ERR_clear_error();
		close(fd);
	}
}

static SSL_CTX *context(const char *chain, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, chain) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets alone */
	return ctx;
}

static int listen_everywhere(const struct serve *s)
{
	struct sockaddr_in6 all = {.sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)strtoul(s->port, NULL, 10)),
				   .sin6_addr = in6addr_any};
	int one = 1, zero = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) != 0 ||
	    bind(fd, (struct sockaddr *)&all, sizeof(all)) != 0 || listen(fd, BACKLOG) != 0) {
		fprintf(stderr, "%s: ", s->who);
		perror("cannot listen");
		return -1;
	}
	return fd;
}

int serve(const struct serve *s)
{
	unsigned long processes = strtoul(s->processes, NULL, 10);
	SSL_CTX *ctx = context(s->chain, s->key);
	int fd = listen_everywhere(s);
	if (ctx == NULL || fd < 0)
		return 78;
	signal(SIGPIPE, SIG_IGN);
	for (unsigned long i = 0; i < processes; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			accept_for_ever(s, fd, ctx);
		}
		if (pid < 0)
			perror("fork");
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 70;
}
