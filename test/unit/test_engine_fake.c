/* SPDX-License-Identifier: MIT */
/* See test_engine_fake.h. */
#include "test_engine_fake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAKE_TEXT_MAX = 1024 * 1024 };

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

void fake_hang_up(struct fake_connection *c)
{
	if (!c->open)
		return;
	c->open = false;
	loop_io_free(&c->io);
	close(c->fd);
}

static void send_bytes(struct fake_connection *c, struct slice s)
{
	if (s.n > 0)
		must(send(c->fd, s.p, s.n, MSG_NOSIGNAL) == (ssize_t)s.n, "send");
}

static void send_cipher(struct fake_connection *c)
{
	struct buf out;
	buf_init(&out, FAKE_TEXT_MAX);
	tlss_pending(c->tls, &out);
	send_bytes(c, buf_slice(&out));
	buf_free(&out);
}

void fake_say(struct fake_connection *c, const char *text)
{
	if (c->tls == NULL) {
		send_bytes(c, slice_str(text));
		return;
	}
	tlss_write(c->tls, slice_str(text));
	send_cipher(c);
}

static const char *usual_reply(struct fake_connection *c, const char *verb)
{
	if (strcmp(verb, "greeting") == 0)
		return "220 fake ESMTP\r\n";
	if (strcmp(verb, "EHLO") == 0 && c->fake->chunks)
		return "250-fake\r\n250-CHUNKING\r\n250 PIPELINING\r\n";
	if (strcmp(verb, "EHLO") == 0)
		return c->fake->tls != NULL && c->tls == NULL
			   ? "250-fake\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
			   : "250-fake\r\n250 PIPELINING\r\n";
	if (strcmp(verb, "DATA") == 0)
		return "354 go\r\n";
	if (strcmp(verb, "STARTTLS") == 0)
		return "220 go\r\n";
	return strcmp(verb, "QUIT") == 0 ? "221 bye\r\n" : "250 2.0.0 ok\r\n";
}

static void answer(struct fake_connection *c, const char *verb)
{
	const char *reply = usual_reply(c, verb);
	for (size_t i = 0; i < FAKE_RULES; i++) {
		const struct fake_rule *r = &c->fake->rule[i];
		if (r->verb == NULL || strcmp(r->verb, verb) != 0 ||
		    (r->connection != 0 && r->connection != c->number))
			continue;
		if (++c->said[i] == r->nth || r->nth == 0)
			reply = r->reply;
	}
	c->mute = c->mute || (reply != NULL && reply[0] == '\0');
	if (reply == NULL)
		fake_hang_up(c);
	else if (!c->mute)
		fake_say(c, reply);
}

static void take_line(struct fake_connection *c, char *line)
{
	char error[256], verb[16] = "";
	buf_addf(&c->heard, "%s\n", line);
	if (c->text && strcmp(line, ".") != 0)
		return;
	sscanf(line, "%15s", verb);
	if (strcmp(verb, "BDAT") == 0 && sscanf(line, "BDAT %zu LAST", &c->chunk) == 1)
		return; /* answered when it is there */
	if (c->text) {
		c->text = false;
		c->messages++;
	}
	answer(c, verb);
	if (strcmp(verb, "DATA") == 0) {
		c->text = true;
	} else if (strcmp(verb, "STARTTLS") == 0) {
		c->tls = tlss_accept(c->fake->tls, loop_wall_s(), error, sizeof(error));
		must(c->tls != NULL, error);
	} else if (strcmp(verb, "QUIT") == 0) {
		fake_hang_up(c);
	}
}

/* False: more of it has to come. */
static bool take_chunk(struct fake_connection *c)
{
	struct slice part = slice_first(buf_slice(&c->line), c->chunk);
	if (c->chunk == 0)
		return true;
	c->chunk -= part.n;
	buf_add_slice(&c->heard, part);
	buf_consume(&c->line, part.n);
	if (c->chunk > 0)
		return false;
	c->messages++;
	answer(c, "BDAT");
	return c->open;
}

static void take_lines(struct fake_connection *c)
{
	char line[4096];
	while (c->open && take_chunk(c)) {
		struct slice all = buf_slice(&c->line);
		uint8_t *end = all.n > 0 ? memmem(all.p, all.n, "\r\n", 2) : NULL;
		if (end == NULL)
			return;
		size_t n = (size_t)(end - all.p);
		must(n < sizeof(line), "a long line");
		memcpy(line, all.p, n);
		line[n] = '\0';
		buf_consume(&c->line, n + 2);
		take_line(c, line);
	}
}

static void on_bytes(void *arg, unsigned ready)
{
	struct fake_connection *c = arg;
	uint8_t bytes[65536];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
	(void)ready;
	if (n <= 0) {
		fake_hang_up(c);
		return;
	}
	if (c->tls != NULL && c->number == c->fake->breaks) {
		if (c->fake->alert != NULL)
			must(send(c->fd, c->fake->alert, 7, MSG_NOSIGNAL) == 7, "an alert");
		fake_hang_up(c);
		return;
	}
	if (c->tls == NULL) {
		buf_add(&c->line, bytes, (size_t)n);
	} else {
		tlss_feed(c->tls, slice_make(bytes, (size_t)n), &c->line);
		send_cipher(c);
	}
	take_lines(c);
}

static void on_connection(void *arg, unsigned ready)
{
	struct fake *f = arg;
	(void)ready;
	must(f->n < FAKE_CONNECTIONS, "too many connections");
	struct fake_connection *c = &f->connection[f->n++];
	*c = (struct fake_connection){.fake = f, .number = f->n, .open = true};
	c->fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int one = 1;
	must(c->fd >= 0 && setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0,
	     "accept");
	buf_init(&c->line, FAKE_TEXT_MAX);
	buf_init(&c->heard, FAKE_TEXT_MAX);
	c->io = loop_io_new(f->loop, c->fd, on_bytes, c);
	loop_io_want(c->io, LOOP_READ);
	answer(c, "greeting");
}

void fake_open(struct fake *f, struct loop *l)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	memset(f, 0, sizeof(*f));
	f->loop = l;
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(f->fd >= 0 && bind(f->fd, (struct sockaddr *)&a, n) == 0 && listen(f->fd, 128) == 0 &&
		 getsockname(f->fd, (struct sockaddr *)&a, &n) == 0,
	     "listen");
	f->port = ntohs(a.sin_port);
	f->io = loop_io_new(l, f->fd, on_connection, f);
	loop_io_want(f->io, LOOP_READ);
}

void fake_close(struct fake *f)
{
	for (int i = 0; i < f->n; i++) {
		struct fake_connection *c = &f->connection[i];
		fake_hang_up(c);
		tlss_free(&c->tls);
		buf_free(&c->line);
		buf_free(&c->heard);
	}
	loop_io_free(&f->io);
	close(f->fd);
}

int fake_count_open(const struct fake *f)
{
	int n = 0;
	for (int i = 0; i < f->n; i++)
		n += f->connection[i].open;
	return n;
}

int fake_messages(const struct fake *f)
{
	int n = 0;
	for (int i = 0; i < f->n; i++)
		n += f->connection[i].messages;
	return n;
}

bool fake_heard(struct fake_connection *c, const char *what)
{
	return strstr(buf_cstr(&c->heard), what) != NULL;
}
