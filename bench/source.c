/* SPDX-License-Identifier: MIT */
/*
 * bench-source PORT SESSIONS MESSAGES PER-CONNECTION OCTETS <domains: hands mail to 127.0.0.1, one
 * recipient a message, the domains of standard input in turn. Prints "accepted refused lost
 * MICROSECONDS".
 *
 * bench-source PORT idle CLIENTS: that many clients say EHLO and then nothing until standard input
 * ends. Prints "idle N" when all were greeted.
 *
 * One process and no cleverness: it must cost little beside what it measures. Pipelines MAIL, RCPT
 * and DATA, as relays do.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	DOMAINS_MAX = 100000,
	DOMAIN_ROOM = 64,
	IN_ROOM = 4096,
	OUT_ROOM = 512,
	EVENTS = 256,
	PATIENCE_MS = 30000,
	LINE = 78, /* octets of a line of text */
};

enum state { GREETING, EHLO, MAIL, RCPT, DATA, DOT, QUIT };

struct session {
	int fd;
	enum state state;
	unsigned long sent; /* messages on this connection */
	bool refused;       /* of the present message: something was not accepted */
	size_t nin;
	char in[IN_ROOM];
};

static struct {
	unsigned long sessions, messages, per_connection, begun, accepted, refused, lost, open;
	char *text;
	size_t ntext;
	char (*domain)[DOMAIN_ROOM];
	size_t ndomain;
	struct sockaddr_in to;
	int epoll;
} all;

static int64_t now_us(void)
{
	struct timespec t = {0};
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void make_text(size_t octets)
{
	static const char header[] = "From: <sender@client.bench>\r\nTo: <all@bench>\r\n"
				     "Subject: a message of the bench\r\n"
				     "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n";
	all.text = malloc(octets + sizeof(header) + 3);
	if (all.text == NULL)
		exit(71);
	all.ntext = sizeof(header) - 1;
	memcpy(all.text, header, all.ntext);
	while (all.ntext + 2 < octets) {
		size_t n = octets - 2 - all.ntext < LINE ? octets - 2 - all.ntext : LINE;
		memset(all.text + all.ntext, 'a' + (int)(all.ntext % 26), n);
		memcpy(all.text + all.ntext + n, "\r\n", 2);
		all.ntext += n + 2;
	}
	memcpy(all.text + all.ntext, ".\r\n", 3);
	all.ntext += 3;
}

static void read_domains(void)
{
	char line[DOMAIN_ROOM];
	all.domain = calloc(DOMAINS_MAX, sizeof(*all.domain));
	while (all.domain != NULL && all.ndomain < DOMAINS_MAX &&
	       fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0')
			memcpy(all.domain[all.ndomain++], line, DOMAIN_ROOM);
	}
	if (all.ndomain == 0)
		exit(65);
}

static int dial(void)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&all.to, sizeof(all.to)) != 0) {
		perror("bench-source: cannot connect");
		exit(69);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Blocks when the other side does not read: the whole load then waits, as it should. */
static bool say(const struct session *s, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(s->fd, text, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		text += sent;
		n -= (size_t)sent;
	}
	return true;
}

static bool say_line(const struct session *s, const char *line)
{
	return say(s, line, strlen(line));
}

static bool start_session(struct session *s)
{
	if (all.begun == all.messages)
		return false;
	*s = (struct session){.fd = dial()};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
	epoll_ctl(all.epoll, EPOLL_CTL_ADD, s->fd, &e);
	all.open++;
	return true;
}

static void end_session(struct session *s)
{
	close(s->fd);
	all.open--;
	start_session(s);
}

static bool next_message(struct session *s)
{
	char out[OUT_ROOM];
	if (all.begun == all.messages || s->sent == all.per_connection) {
		s->state = QUIT;
		return say_line(s, "QUIT\r\n");
	}
	const char *domain = all.domain[all.begun++ % all.ndomain];
	s->sent++;
	s->refused = false;
	s->state = MAIL;
	int n =
	    snprintf(out, sizeof(out),
		     "MAIL FROM:<sender@client.bench>\r\nRCPT TO:<someone@%s>\r\nDATA\r\n", domain);
	return say(s, out, (size_t)n);
}

static bool on_reply(struct session *s, const char *line)
{
	bool good = line[0] == '2' || line[0] == '3';
	switch (s->state) {
	case GREETING:
		s->state = EHLO;
		return good && say_line(s, "EHLO client.bench\r\n");
	case EHLO:
		return good && next_message(s);
	case MAIL:
	case RCPT:
		s->refused = s->refused || !good;
		s->state++;
		return true;
	case DATA:
		if (!good || s->refused) {
			all.refused++;
			return false;
		}
		s->state = DOT;
		return say(s, all.text, all.ntext);
	case DOT:
		if (good)
			all.accepted++;
		else
			all.refused++;
		return next_message(s);
	case QUIT:
		return false;
	}
	return false;
}

static bool on_readable(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->nin, sizeof(s->in) - s->nin, 0);
	if (n <= 0)
		return false;
	s->nin += (size_t)n;
	char *line = s->in;
	for (char *end; (end = memchr(line, '\n', s->nin - (size_t)(line - s->in))) != NULL;
	     line = end + 1) {
		if (end - line > 3 && line[3] == ' ' && !on_reply(s, line))
			return false;
	}
	s->nin -= (size_t)(line - s->in);
	memmove(s->in, line, s->nin);
	return s->nin < sizeof(s->in);
}

static int load(void)
{
	struct epoll_event event[EVENTS];
	struct session *s = calloc(all.sessions, sizeof(*s));
	if (s == NULL)
		return 71;
	int64_t began = now_us();
	for (unsigned long i = 0; i < all.sessions && start_session(&s[i]); i++)
		;
	while (all.open > 0) {
		int n = epoll_wait(all.epoll, event, EVENTS, PATIENCE_MS);
		if (n == 0)
			break;
		for (int i = 0; i < n; i++) {
			struct session *at = event[i].data.ptr;
			if (!on_readable(at))
				end_session(at);
		}
	}
	all.lost = all.begun - all.accepted - all.refused;
	printf("%lu %lu %lu %" PRId64 "\n", all.accepted, all.refused, all.lost, now_us() - began);
	free(s);
	return all.accepted == all.messages ? 0 : 75;
}

static int idle(unsigned long clients)
{
	char in[IN_ROOM];
	unsigned long greeted = 0;
	for (unsigned long i = 0; i < clients; i++) {
		struct session s = {.fd = dial()};
		struct timeval patience = {.tv_sec = 10};
		setsockopt(s.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		bool ok = recv(s.fd, in, sizeof(in), 0) > 0 && in[0] == '2' &&
			  say_line(&s, "EHLO client.bench\r\n") &&
			  recv(s.fd, in, sizeof(in), 0) > 0;
		greeted += ok && in[0] == '2';
	}
	printf("idle %lu\n", greeted);
	fflush(stdout);
	while (read(0, in, sizeof(in)) > 0)
		;
	return greeted == clients ? 0 : 75;
}

int main(int argc, char **argv)
{
	bool idling = argc == 4 && strcmp(argv[2], "idle") == 0;
	if (argc != 6 && !idling) {
		fputs("usage: bench-source PORT SESSIONS MESSAGES PER-CONNECTION OCTETS <DOMAINS\n"
		      "       bench-source PORT idle CLIENTS\n",
		      stderr);
		return 64;
	}
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	all.to = (struct sockaddr_in){.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (idling)
		return idle(strtoul(argv[3], NULL, 10));
	all.sessions = strtoul(argv[2], NULL, 10);
	all.messages = strtoul(argv[3], NULL, 10);
	all.per_connection = strtoul(argv[4], NULL, 10);
	make_text(strtoul(argv[5], NULL, 10));
	read_domains();
	all.epoll = epoll_create1(EPOLL_CLOEXEC);
	return load();
}
