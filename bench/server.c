/* SPDX-License-Identifier: MIT */
/*
 * bench-server PORT PROCESSES CHAIN.pem KEY.pem: an SMTP server that offers STARTTLS and takes no
 * mail, on every address of this machine.
 *
 * As plain as a server can be: forked processes that accept from one socket and serve one
 * connection at a time, blocking. It is the other end of a measurement, and its cost is not
 * measured. Never resumes a session.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LINE_ROOM = 1024, /* longer lines end the connection */
	BACKLOG = 4096,
	PATIENCE_S = 10, /* a client that is silent for so long must not hold a process */
};

static const char greeting[] = "220 server.bench ESMTP\r\n";
static const char ehlo_clear[] = "250-server.bench\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n"
				 "250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n";
static const char ehlo_tls[] = "250-server.bench\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n"
			       "250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n";
static const char ready[] = "220 2.0.0 ready for TLS\r\n";
static const char bye[] = "221 2.0.0 bye\r\n";
static const char what[] = "502 5.5.2 not here\r\n";

struct client {
	int fd;
	SSL *ssl; /* NULL: in clear */
	char line[LINE_ROOM];
	size_t n;
};

static bool say(struct client *c, const char *text)
{
	size_t n = strlen(text);
	if (c->ssl != NULL)
		return SSL_write(c->ssl, text, (int)n) == (int)n;
	return send(c->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* One line, its CRLF cut off. */
static bool hear(struct client *c)
{
	for (c->n = 0; c->n < sizeof(c->line);) {
		size_t room = sizeof(c->line) - c->n;
		ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, c->line + c->n, (int)room)
					   : recv(c->fd, c->line + c->n, room, 0);
		if (n <= 0)
			return false;
		c->n += (size_t)n;
		if (c->n >= 2 && c->line[c->n - 1] == '\n') {
			c->line[c->n - 2] = '\0';
			return true;
		}
	}
	return false;
}

static bool start_tls(struct client *c, SSL_CTX *ctx)
{
	c->ssl = SSL_new(ctx);
	return c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_accept(c->ssl) == 1;
}

static void serve(struct client *c, SSL_CTX *ctx)
{
	bool on = say(c, greeting);
	while (on && hear(c)) {
		if (strncasecmp(c->line, "EHLO ", 5) == 0) {
			on = say(c, c->ssl != NULL ? ehlo_tls : ehlo_clear);
		} else if (strcasecmp(c->line, "STARTTLS") == 0 && c->ssl == NULL) {
			on = say(c, ready) && start_tls(c, ctx);
		} else if (strcasecmp(c->line, "QUIT") == 0) {
			say(c, bye);
			on = false;
			if (c->ssl != NULL)
				SSL_shutdown(c->ssl);
		} else {
			on = say(c, what);
		}
	}
	ERR_clear_error();
}

static void accept_for_ever(int listener, SSL_CTX *ctx)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int one = 1;
	for (;;) {
		struct client c = {.fd = accept(listener, NULL, NULL)};
		if (c.fd < 0)
			continue;
		setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		serve(&c, ctx);
		SSL_free(c.ssl);
		close(c.fd);
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
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

static int listen_everywhere(unsigned long port)
{
	struct sockaddr_in6 all = {
	    .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any};
	int one = 1, zero = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) != 0 ||
	    bind(fd, (struct sockaddr *)&all, sizeof(all)) != 0 || listen(fd, BACKLOG) != 0) {
		perror("bench-server: cannot listen");
		return -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fputs("usage: bench-server PORT PROCESSES CHAIN.pem KEY.pem\n", stderr);
		return 64;
	}
	unsigned long processes = strtoul(argv[2], NULL, 10);
	SSL_CTX *ctx = context(argv[3], argv[4]);
	int fd = listen_everywhere(strtoul(argv[1], NULL, 10));
	if (ctx == NULL || fd < 0)
		return 78;
	signal(SIGPIPE, SIG_IGN);
	for (unsigned long i = 0; i < processes; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			accept_for_ever(fd, ctx);
		}
		if (pid < 0)
			perror("bench-server: fork");
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 70;
}
