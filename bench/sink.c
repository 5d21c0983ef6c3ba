/* SPDX-License-Identifier: MIT */
/*
 * bench-sink PORT PROCESSES CHAIN.pem KEY.pem COUNTS: an SMTP server on every address of this
 * machine that offers STARTTLS, takes every message and keeps none.
 *
 * Its processes (serve.h) cost the same for every client and are not measured. What they saw is
 * counted in COUNTS, a file of `struct counts` that others may map. Gives tickets and resumes
 * sessions; who does not want that does not come back with one.
 */
#include "serve.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROOM = 32768,
	LINE_ROOM = 1024,
};

/* bench/relay reads it: eight octets each, in this order. */
struct counts {
	_Atomic uint64_t connections, full, resumed, messages, in_clear;
};

static const char greeting[] = "220 sink.bench ESMTP\r\n";
static const char ehlo_clear[] = "250-sink.bench\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n"
				 "250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n";
static const char ehlo_tls[] = "250-sink.bench\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n"
			       "250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n";

struct client {
	int fd;
	SSL *ssl; /* NULL: in clear */
	struct counts *counts;
	size_t at, n; /* what was read and not yet looked at: in[at] to in[n - 1] */
	char in[ROOM];
	size_t nout; /* replies, sent when the client's words are used up */
	char out[ROOM];
};

static bool send_out(struct client *c)
{
	size_t n = c->nout;
	c->nout = 0;
	if (n == 0)
		return true;
	if (c->ssl != NULL)
		return SSL_write(c->ssl, c->out, (int)n) == (int)n;
	return send(c->fd, c->out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool say(struct client *c, const char *text)
{
	size_t n = strlen(text);
	if (c->nout + n > sizeof(c->out) && !send_out(c))
		return false;
	memcpy(c->out + c->nout, text, n);
	c->nout += n;
	return true;
}

/* One octet of what the client sent; -1: it is gone. */
static int next(struct client *c)
{
	if (c->at == c->n) {
		if (!send_out(c))
			return -1;
		ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, c->in, sizeof(c->in))
					   : recv(c->fd, c->in, sizeof(c->in), 0);
		if (n <= 0)
			return -1;
		c->at = 0;
		c->n = (size_t)n;
	}
	return (unsigned char)c->in[c->at++];
}

/* One line without its end; what does not fit is cut off. */
static bool hear(struct client *c, char line[LINE_ROOM])
{
	for (size_t n = 0;;) {
		int octet = next(c);
		if (octet < 0)
			return false;
		if (octet == '\n') {
			line[n] = '\0';
			return true;
		}
		if (octet != '\r' && n < LINE_ROOM - 1)
			line[n++] = (char)octet;
	}
}

/* The text up to the line with the dot. */
static bool swallow(struct client *c)
{
	static const char end[] = "\r\n.\r\n";
	for (size_t seen = 2; end[seen] != '\0';) { /* as after the CRLF of DATA */
		int octet = next(c);
		if (octet < 0)
			return false;
		if (octet == end[seen])
			seen++;
		else
			seen = octet == '\r' ? 1 : 0;
	}
	return true;
}

static bool start_tls(struct client *c, SSL_CTX *ctx)
{
	if (!say(c, "220 2.0.0 ready for TLS\r\n") || !send_out(c))
		return false;
	SSL *ssl = SSL_new(ctx);
	if (ssl == NULL || SSL_set_fd(ssl, c->fd) != 1 || SSL_accept(ssl) != 1) {
		SSL_free(ssl);
		return false;
	}
	c->ssl = ssl;
	c->at = c->n = 0;
	atomic_fetch_add(SSL_session_reused(ssl) ? &c->counts->resumed : &c->counts->full, 1);
	return true;
}

static bool take_text(struct client *c)
{
	if (!say(c, "354 go on\r\n") || !swallow(c))
		return false;
	atomic_fetch_add(&c->counts->messages, 1);
	if (c->ssl == NULL)
		atomic_fetch_add(&c->counts->in_clear, 1);
	return say(c, "250 2.0.0 taken\r\n");
}

static bool is(const char *line, const char *verb)
{
	return strncasecmp(line, verb, strlen(verb)) == 0;
}

static void talk(struct client *c, SSL_CTX *ctx)
{
	char line[LINE_ROOM];
	bool on = say(c, greeting);
	while (on && hear(c, line)) {
		if (is(line, "EHLO "))
			on = say(c, c->ssl != NULL ? ehlo_tls : ehlo_clear);
		else if (is(line, "STARTTLS") && c->ssl == NULL)
			on = start_tls(c, ctx);
		else if (is(line, "MAIL ") || is(line, "RCPT ") || is(line, "RSET") ||
			 is(line, "NOOP"))
			on = say(c, "250 2.1.0 ok\r\n");
		else if (is(line, "DATA"))
			on = take_text(c);
		else if (is(line, "QUIT"))
			break;
		else
			on = say(c, "502 5.5.2 not here\r\n");
	}
	if (on && is(line, "QUIT") && say(c, "221 2.0.0 bye\r\n") && send_out(c) && c->ssl != NULL)
		SSL_shutdown(c->ssl);
}

static void on_client(int fd, SSL_CTX *ctx, void *arg)
{
	static struct client c; /* large; one at a time */
	c.fd = fd;
	c.ssl = NULL;
	c.counts = arg;
	c.at = c.n = c.nout = 0;
	atomic_fetch_add(&c.counts->connections, 1);
	talk(&c, ctx);
	SSL_free(c.ssl);
}

static struct counts *map_counts(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	void *at = MAP_FAILED;
	if (fd >= 0 && ftruncate(fd, sizeof(struct counts)) == 0)
		at = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		perror(path);
	if (fd >= 0)
		close(fd);
	return at == MAP_FAILED ? NULL : at;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fputs("usage: bench-sink PORT PROCESSES CHAIN.pem KEY.pem COUNTS\n", stderr);
		return 64;
	}
	struct counts *counts = map_counts(argv[5]);
	if (counts == NULL)
		return 78;
	return serve(&(struct serve){.who = "bench-sink",
				     .port = argv[1],
				     .processes = argv[2],
				     .chain = argv[3],
				     .key = argv[4],
				     .client = on_client,
				     .arg = counts});
}
