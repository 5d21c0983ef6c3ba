/* SPDX-License-Identifier: MIT */
/*
 * bench-server PORT PROCESSES CHAIN.pem KEY.pem: an SMTP server that offers STARTTLS and takes no
 * mail, on every address of this machine.
 *
 * As plain as a server can be (serve.h). It is the other end of a measurement, and its cost is not
 * measured. Gives tickets, and resumes the sessions of a client that comes back with one.
 */
#include "serve.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { LINE_ROOM = 1024 }; /* longer lines end the connection */

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

static void talk(struct client *c, SSL_CTX *ctx)
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
}

static void on_client(int fd, SSL_CTX *ctx, void *arg)
{
	(void)arg;
	struct client c = {.fd = fd};
	talk(&c, ctx);
	SSL_free(c.ssl);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fputs("usage: bench-server PORT PROCESSES CHAIN.pem KEY.pem\n", stderr);
		return 64;
	}
	return serve(&(struct serve){.who = "bench-server",
				     .port = argv[1],
				     .processes = argv[2],
				     .chain = argv[3],
				     .key = argv[4],
				     .client = on_client});
}
