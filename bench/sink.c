/* SPDX-License-Identifier: MIT */
/*
 * bench-sink PORT PROCESSES CHAIN.pem KEY.pem SHARED: an SMTP server on every address of this
 * machine that offers STARTTLS, takes every message and keeps none. It waits before each reply as
 * long as SHARED says, like a host that is far away: replies to what came in one flight go out in
 * one, and waiting holds nobody else up.
 *
 * Its processes cost the same for every client and are not measured. What they saw is counted in
 * SHARED, a file of `struct sink_shared` (sink.h) that others map. Gives tickets and resumes
 * sessions; who does not want that does not come back with one.
 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	EVENTS = 256,
	READ_ROOM = 32768,
	LINE_ROOM = 1024,
	OUT_ROOM = 8192, /* replies that wait: who pipelines more than that is cut off */
	FLIGHTS = 16,    /* groups of replies with a time of their own; more go with the last */
	DESCRIPTORS = 20000,
};

enum state {
	STATE_COMMANDS,
	STATE_TEXT,      /* up to the line with the dot */
	STATE_CHUNK,     /* `left` octets of BDAT */
	STATE_TLS_NEXT,  /* the 220 is on its way: nothing is heard before the handshake */
	STATE_HANDSHAKE, /* going on */
	STATE_LEAVING,   /* closed when all is said */
};

struct sink_host {
	enum sink_kind kind;
	unsigned number; /* below SINK_HOSTS */
};

struct flight {
	size_t end; /* of the replies, in `out` */
	int64_t due_ms;
};

struct sink_client {
	int fd;
	SSL *ssl; /* NULL: in clear */
	struct sink_host host;
	enum state state;
	bool counted; /* among the sessions of its host */
	bool last;    /* the chunk is the message's last */
	uint64_t left;
	unsigned dot; /* how much of CRLF . CRLF was seen */
	size_t nline;
	char line[LINE_ROOM];
	size_t nout, nflight;
	char out[OUT_ROOM];
	struct flight flight[FLIGHTS];
	/* Who waits for its time, by kind, the first first: all of a kind wait equally long. */
	struct sink_client *prev, *next;
	bool queued;
	uint32_t asked; /* of epoll */
};

static const char ehlo_rest[] =
    "250-PIPELINING\r\n250-SIZE 10240000\r\n250-ENHANCEDSTATUSCODES\r\n";

static struct {
	struct sink_shared *shared;
	_Atomic uint32_t (*sessions)[SINK_HOSTS]; /* open ones, by kind and host */
	SSL_CTX *tls;
	int epoll, listener;
	struct sink_client *first[SINK_KINDS], *last[SINK_KINDS];
	int64_t now_ms;
} all;

static void look_at_clock(void)
{
	struct timespec t = {0};
	clock_gettime(CLOCK_MONOTONIC, &t);
	all.now_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Which of the hosts was called. */
static struct sink_host host_of(const struct sockaddr_storage *local)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *a = ((const struct sockaddr_in6 *)(const void *)local)->sin6_addr.s6_addr;
	unsigned kind = a[4] >> 4, number = ((unsigned)(a[4] & 15) << 8) | a[5];
	if (memcmp(a, mapped, sizeof(mapped)) == 0) {
		unsigned c = a[13] >= 100 ? a[13] - 100u : 0;
		kind = c / 10;
		number = c % 10 * 250 + a[14];
	}
	return (struct sink_host){kind < SINK_KINDS ? (enum sink_kind)kind : SINK_FAST,
				  number % SINK_HOSTS};
}

/* --- Clients --- */

static void unqueue(struct sink_client *c)
{
	if (!c->queued)
		return;
	*(c->prev != NULL ? &c->prev->next : &all.first[c->host.kind]) = c->next;
	*(c->next != NULL ? &c->next->prev : &all.last[c->host.kind]) = c->prev;
	c->queued = false;
}

static void queue(struct sink_client *c)
{
	if (c->queued)
		return;
	c->prev = all.last[c->host.kind];
	c->next = NULL;
	*(c->prev != NULL ? &c->prev->next : &all.first[c->host.kind]) = c;
	all.last[c->host.kind] = c;
	c->queued = true;
}

static void drop(struct sink_client *c)
{
	unqueue(c);
	if (c->counted)
		atomic_fetch_sub(&all.sessions[c->host.kind][c->host.number], 1);
	atomic_fetch_sub(&all.shared->open, 1);
	SSL_free(c->ssl);
	ERR_clear_error();
	close(c->fd);
	free(c);
}

static void listen_for(struct sink_client *c, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};
	if (c->asked != events)
		epoll_ctl(all.epoll, EPOLL_CTL_MOD, c->fd, &e);
	c->asked = events;
}

/* It goes out when its time has come; see flush_due(). */
static void say(struct sink_client *c, const char *text)
{
	size_t n = strlen(text);
	int64_t due = all.now_ms + (int64_t)atomic_load(&all.shared->pause_ms[c->host.kind]);
	if (n > sizeof(c->out) - c->nout) {
		c->state = STATE_LEAVING;
		return;
	}
	memcpy(c->out + c->nout, text, n);
	c->nout += n;
	bool apart = c->nflight == 0 || c->flight[c->nflight - 1].due_ms != due;
	if (apart && c->nflight < FLIGHTS)
		c->nflight++;
	c->flight[c->nflight - 1] = (struct flight){c->nout, due};
	queue(c);
}

static bool is_ready_to_send(const struct sink_client *c)
{
	return c->nflight > 0 && c->flight[0].due_ms <= all.now_ms;
}

/* False: it is gone. What the socket does not take at once is not worth waiting for: replies are
 * small. */
static bool flush_due(struct sink_client *c)
{
	while (is_ready_to_send(c)) {
		size_t n = c->flight[0].end;
		bool sent = c->ssl != NULL ? SSL_write(c->ssl, c->out, (int)n) == (int)n
					   : send(c->fd, c->out, n, MSG_NOSIGNAL) == (ssize_t)n;
		if (!sent)
			return false;
		c->nout -= n;
		memmove(c->out, c->out + n, c->nout);
		c->nflight--;
		memmove(c->flight, c->flight + 1, c->nflight * sizeof(c->flight[0]));
		for (size_t i = 0; i < c->nflight; i++)
			c->flight[i].end -= n;
	}
	if (c->nflight > 0)
		return true;
	unqueue(c);
	if (c->state == STATE_LEAVING && c->ssl != NULL)
		SSL_shutdown(c->ssl);
	return c->state != STATE_LEAVING;
}

/* --- What is said --- */

static void say_ehlo(struct sink_client *c)
{
	say(c, "250-sink.bench\r\n");
	say(c, ehlo_rest);
	if (c->ssl == NULL)
		say(c, "250-STARTTLS\r\n");
	if (atomic_load(&all.shared->chunking) != 0)
		say(c, "250-CHUNKING\r\n");
	say(c, "250 8BITMIME\r\n");
}

static void take_text(struct sink_client *c)
{
	c->state = STATE_COMMANDS;
	if (atomic_load(&all.shared->hold) != 0) {
		atomic_fetch_add(&all.shared->held, 1);
		return;
	}
	atomic_fetch_add(&all.shared->messages[c->host.kind], 1);
	if (c->ssl == NULL)
		atomic_fetch_add(&all.shared->in_clear, 1);
	say(c, "250 2.0.0 taken\r\n");
}

static void end_chunk(struct sink_client *c)
{
	c->state = STATE_COMMANDS;
	if (c->last)
		take_text(c);
	else
		say(c, "250 2.0.0 chunk\r\n");
}

/* bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ]                        ; RFC 3030 s2 */
static void start_chunk(struct sink_client *c)
{
	char *end = NULL;
	c->left = strtoull(c->line + 5, &end, 10);
	c->last = strcasecmp(end, " LAST") == 0;
	c->state = STATE_CHUNK;
	if (c->left == 0)
		end_chunk(c);
}

static bool is(const struct sink_client *c, const char *verb)
{
	return strncasecmp(c->line, verb, strlen(verb)) == 0;
}

static void answer(struct sink_client *c)
{
	if (is(c, "EHLO ")) {
		say_ehlo(c);
	} else if (is(c, "STARTTLS") && c->ssl == NULL) {
		say(c, "220 2.0.0 ready for TLS\r\n");
		c->state = STATE_TLS_NEXT;
	} else if (is(c, "MAIL ") || is(c, "RCPT ") || is(c, "RSET") || is(c, "NOOP")) {
		say(c, "250 2.1.0 ok\r\n");
	} else if (is(c, "DATA")) {
		say(c, "354 go on\r\n");
		c->state = STATE_TEXT;
		c->dot = 2; /* as after the CRLF of DATA */
	} else if (is(c, "BDAT ")) {
		start_chunk(c);
	} else if (is(c, "QUIT")) {
		say(c, "221 2.0.0 bye\r\n");
		c->state = STATE_LEAVING;
	} else {
		say(c, "502 5.5.2 not here\r\n");
	}
}

/* One octet of a command; what does not fit into a line is cut off. */
static void hear_octet(struct sink_client *c, char octet)
{
	if (octet == '\n') {
		c->line[c->nline] = '\0';
		c->nline = 0;
		answer(c);
	} else if (octet != '\r' && c->nline < sizeof(c->line) - 1) {
		c->line[c->nline++] = octet;
	}
}

static void hear_text(struct sink_client *c, char octet)
{
	static const char end[] = "\r\n.\r\n";
	if (octet == end[c->dot])
		c->dot++;
	else
		c->dot = octet == '\r' ? 1 : 0;
	if (c->dot == sizeof(end) - 1)
		take_text(c);
}

static void hear(struct sink_client *c, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (c->state == STATE_COMMANDS) {
			hear_octet(c, p[i]);
		} else if (c->state == STATE_TEXT) {
			hear_text(c, p[i]);
		} else if (c->state == STATE_CHUNK) {
			size_t part = n - i < c->left ? n - i : (size_t)c->left;
			c->left -= part;
			i += part - 1;
			if (c->left == 0)
				end_chunk(c);
		} else {
			return; /* behind STARTTLS and QUIT there is nothing to hear */
		}
	}
}

/* --- Events --- */

/* False: the client is gone. */
static bool shake_hands(struct sink_client *c)
{
	if (c->state == STATE_TLS_NEXT) {
		c->ssl = SSL_new(all.tls);
		if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
			return false;
		c->state = STATE_HANDSHAKE;
	}
	int done = SSL_accept(c->ssl);
	if (done == 1) {
		c->state = STATE_COMMANDS;
		atomic_fetch_add(
		    SSL_session_reused(c->ssl) ? &all.shared->resumed : &all.shared->full, 1);
		return true;
	}
	int error = SSL_get_error(c->ssl, done);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static bool read_client(struct sink_client *c)
{
	static char bytes[READ_ROOM]; /* one at a time */
	for (;;) {
		ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, bytes, sizeof(bytes))
					   : recv(c->fd, bytes, sizeof(bytes), 0);
		if (n <= 0) {
			return c->ssl != NULL ? SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ
					      : n < 0 && (errno == EAGAIN || errno == EINTR);
		}
		hear(c, bytes, (size_t)n);
		if (c->ssl == NULL || c->state == STATE_LEAVING)
			return true;
	}
}

static void serve_client(struct sink_client *c, uint32_t events)
{
	/* gone before its last words were due */
	bool on = c->state != STATE_LEAVING || (events & (EPOLLHUP | EPOLLERR)) == 0;
	if (on && (c->state == STATE_HANDSHAKE || (c->state == STATE_TLS_NEXT && c->nflight == 0)))
		on = shake_hands(c);
	if (on && (c->state == STATE_COMMANDS || c->state == STATE_TEXT || c->state == STATE_CHUNK))
		on = read_client(c);
	if (on)
		on = flush_due(c);
	if (!on)
		drop(c);
	else /* while it waits for its last words a client that hangs up would wake us for ever */
		listen_for(c, c->state == STATE_LEAVING ? 0 : EPOLLIN);
}

static bool admit(struct sink_client *c)
{
	uint64_t limit = atomic_load(&all.shared->limit[c->host.kind]);
	uint32_t n = atomic_fetch_add(&all.sessions[c->host.kind][c->host.number], 1) + 1;
	c->counted = true;
	return limit == 0 || n <= limit;
}

static void greet(struct sink_client *c)
{
	if (c->host.kind == SINK_SILENT)
		return;
	if (admit(c)) {
		say(c, "220 sink.bench ESMTP\r\n");
	} else {
		atomic_fetch_add(&all.shared->refused, 1);
		say(c, "421 4.7.0 too many sessions\r\n");
		c->state = STATE_LEAVING;
	}
}

static void accept_client(void)
{
	struct sockaddr_storage local;
	socklen_t n = sizeof(local);
	int one = 1, fd = accept4(all.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct sink_client *c = calloc(1, sizeof(*c));
	if (c == NULL || getsockname(fd, (struct sockaddr *)&local, &n) != 0) {
		free(c);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->fd = fd;
	c->asked = EPOLLIN;
	c->host = host_of(&local);
	atomic_fetch_add(&all.shared->connections, 1);
	atomic_fetch_add(&all.shared->open, 1);
	struct epoll_event e = {.events = c->asked, .data.ptr = c};
	epoll_ctl(all.epoll, EPOLL_CTL_ADD, fd, &e);
	greet(c);
	serve_client(c, 0);
}

/* Those whose time has come; the rest of a kind waits longer. */
static void flush_all(void)
{
	for (size_t kind = 0; kind < SINK_KINDS; kind++) {
		while (all.first[kind] != NULL && is_ready_to_send(all.first[kind])) {
			struct sink_client *c = all.first[kind];
			unqueue(c);
			if (!flush_due(c)) {
				drop(c);
				continue;
			}
			if (c->nflight > 0)
				queue(c);
			listen_for(c, EPOLLIN);
		}
	}
}

static int next_wait_ms(void)
{
	int64_t wait = -1;
	for (size_t kind = 0; kind < SINK_KINDS; kind++) {
		if (all.first[kind] == NULL)
			continue;
		int64_t w = all.first[kind]->flight[0].due_ms - all.now_ms;
		w = w > 0 ? w : 0;
		wait = wait < 0 || w < wait ? w : wait;
	}
	return (int)wait;
}

static void serve_for_ever(void)
{
	struct epoll_event ready[EVENTS];
	for (;;) {
		int n = epoll_wait(all.epoll, ready, EVENTS, next_wait_ms());
		look_at_clock();
		for (int i = 0; i < n; i++) {
			if (ready[i].data.ptr == NULL)
				accept_client();
			else
				serve_client(ready[i].data.ptr, ready[i].events);
		}
		flush_all();
	}
}

/* --- The start --- */

static SSL_CTX *context(const char *chain, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, chain) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		return NULL;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets alone */
	return ctx;
}

/* Each process has its own: the kernel shares the connections out. */
static int listen_everywhere(const char *port)
{
	struct sockaddr_in6 every = {.sin6_family = AF_INET6,
				     .sin6_port = htons((uint16_t)strtoul(port, NULL, 10)),
				     .sin6_addr = in6addr_any};
	int one = 1, zero = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) != 0 ||
	    bind(fd, (struct sockaddr *)&every, sizeof(every)) != 0 || listen(fd, BACKLOG) != 0) {
		perror("bench-sink: cannot listen");
		return -1;
	}
	return fd;
}

static void *map_shared(int fd, size_t n)
{
	void *at = mmap(NULL, n, PROT_READ | PROT_WRITE,
			fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

static bool share(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof(struct sink_shared)) != 0) {
		perror(path);
		return false;
	}
	all.shared = map_shared(fd, sizeof(struct sink_shared));
	all.sessions = map_shared(-1, sizeof(*all.sessions) * SINK_KINDS);
	if (all.shared != NULL)
		atomic_store(&all.shared->chunking, 1);
	return all.shared != NULL && all.sessions != NULL;
}

static int serve_child(int listener)
{
	struct epoll_event e = {.events = EPOLLIN};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	all.listener = listener;
	all.epoll = epoll_create1(EPOLL_CLOEXEC);
	look_at_clock();
	if (all.epoll < 0 || epoll_ctl(all.epoll, EPOLL_CTL_ADD, all.listener, &e) != 0)
		return 71;
	serve_for_ever();
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit files = {DESCRIPTORS, DESCRIPTORS};
	if (argc != 6) {
		fputs("usage: bench-sink PORT PROCESSES CHAIN.pem KEY.pem SHARED\n", stderr);
		return 64;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	all.tls = context(argv[3], argv[4]);
	if (all.tls == NULL || !share(argv[5]))
		return 78;
	for (unsigned long i = 0, n = strtoul(argv[2], NULL, 10); i < n; i++) {
		int listener = listen_everywhere(argv[1]);
		if (listener < 0)
			return 78;
		pid_t pid = fork();
		if (pid == 0)
			_exit(serve_child(listener));
		if (pid < 0)
			perror("fork");
		close(listener);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 70;
}
