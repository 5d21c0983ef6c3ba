/* SPDX-License-Identifier: MIT */
/*
 * The way of a message from sendmail to the relay: the client machine over one blocking socket, in
 * clear text, because it does not leave this machine. Knows sockets and exit codes; refuses to know
 * what is in the message.
 */
#include "cmd/sendmail.h"

#include "relay/network.h"
#include "wire/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum { CHUNK = 65536 };

/* --- The connection --- */

/* A listener on all addresses is reached by the loopback one. */
static socklen_t to_sockaddr(const struct ipaddr *a, uint16_t port, struct sockaddr_storage *out)
{
	static const uint8_t none[16] = {0};
	memset(out, 0, sizeof(*out));
	if (a->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		if (memcmp(a->b, none, 4) == 0)
			in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	if (memcmp(a->b, none, 16) == 0)
		in6->sin6_addr = in6addr_loopback;
	return sizeof(*in6);
}

/* -1: *code says why, and it was explained. */
static int connect_relay(struct sendmail *s, int *code)
{
	const char *text = s->cmd->conf->relay_smtp[0];
	struct ipaddr address;
	struct sockaddr_storage to;
	uint16_t port;
	if (text == NULL || !endpoint_from_text(text, &address, &port)) {
		*code = cmd_fail(s->cmd, EX_CONFIG,
				 "relay.smtp names no ADDRESS:PORT to hand the message to");
		return -1;
	}
	socklen_t len = to_sockaddr(&address, port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = s->cmd->conf->smtp_timeout_connect};
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
	    connect(fd, (struct sockaddr *)&to, len) == 0)
		return fd;
	*code = cmd_fail(s->cmd, EX_TEMPFAIL, "cannot reach the relay at %s: %s", text,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- The session --- */

static void receive(struct smtpc *c, int fd)
{
	uint8_t bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	if (n > 0)
		smtpc_recv(c, slice_make(bytes, (size_t)n));
	else if (n == 0 || errno != EINTR)
		smtpc_closed(c);
}

static bool is_ready(struct smtpc *c, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, (int)smtpc_timeout_ms(c));
	if (n == 0)
		smtpc_timed_out(c);
	return n > 0;
}

/* False: the relay hung up, perhaps with a last word that can still be read. */
static bool flush(struct smtpc *c, int fd)
{
	struct buf *out = smtpc_output(c);
	while (buf_len(out) > 0) {
		struct slice s = buf_slice(out);
		ssize_t n =
		    is_ready(c, fd, POLLOUT) ? send(fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
		if (smtpc_want(c) == SMTPC_WANT_CLOSE)
			return false;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n > 0)
			buf_consume(out, (size_t)n);
	}
	return true;
}

static struct slice text_at(const struct sendmail *s, uint64_t offset)
{
	struct slice head = buf_slice(&s->head);
	struct slice part = offset < head.n ? slice_from(head, (size_t)offset)
					    : slice_from(s->body, (size_t)(offset - head.n));
	return slice_first(part, SMTPC_BODY_CHUNK);
}

static void converse(struct sendmail *s, struct smtpc *c, int fd)
{
	for (;;) {
		bool up = flush(c, fd);
		enum smtpc_want want = smtpc_want(c);
		if (want == SMTPC_WANT_CLOSE)
			return;
		if (!up || want == SMTPC_WANT_READ) {
			if (is_ready(c, fd, POLLIN))
				receive(c, fd);
			if (!up)
				smtpc_closed(c);
		} else if (want == SMTPC_WANT_BODY) {
			smtpc_body(c, text_at(s, smtpc_body_offset(c)));
		} else {
			smtpc_abort(c, SMTPC_LOCAL); /* no TLS was asked for */
		}
	}
}

/* --- What became of it --- */

/* RFC 3463 to sysexits(3). */
static int code_of_refusal(const struct enhanced_code *e)
{
	if (e->class == 5 && e->subject == 1)
		return e->detail == 2 ? EX_NOHOST : EX_NOUSER;
	if (e->class == 5 && e->subject == 7)
		return EX_NOPERM;
	if (e->class == 5 && (e->subject == 6 || (e->subject == 3 && e->detail == 4)))
		return EX_DATAERR;
	return EX_UNAVAILABLE;
}

static int code_of_rcpt(const struct sendmail *s, const struct smtpc_rcpt *r)
{
	if (r->state == RCPT_SENT) {
		if (s->verbose)
			say(stderr, "<%s>: %s\n", r->address, r->reply);
		return EX_OK;
	}
	bool refused = r->state == RCPT_REJECTED;
	return cmd_fail(s->cmd, refused ? code_of_refusal(&r->enhanced) : EX_TEMPFAIL, "<%s>: %s",
			r->address, r->reply);
}

/* To try again later is better advice than any other. */
static int code_of_rcpts(const struct sendmail *s)
{
	int code = EX_OK;
	for (size_t i = 0; i < s->nrcpt; i++) {
		int one = code_of_rcpt(s, &s->rcpt[i]);
		if (code == EX_OK || one == EX_TEMPFAIL)
			code = one != EX_OK ? one : code;
	}
	return code;
}

static int code_of_end(const struct sendmail *s, const struct smtpc *c)
{
	enum smtpc_end end = smtpc_result(c);
	const char *reply = smtpc_reply(c);
	if (end == SMTPC_DONE || end == SMTPC_MAIL_DEFERRED || end == SMTPC_MAIL_REJECTED)
		return code_of_rcpts(s);
	if (end == SMTPC_TOO_BIG)
		return cmd_fail(s->cmd, EX_DATAERR, "the message is larger than the relay takes");
	if (end == SMTPC_NO_8BITMIME || end == SMTPC_NO_SMTPUTF8)
		return cmd_fail(s->cmd, EX_DATAERR, "the relay takes ASCII only");
	if (end == SMTPC_UNWILLING && reply[0] == '5')
		return cmd_fail(s->cmd, EX_UNAVAILABLE, "the relay refuses: %s", reply);
	return cmd_fail(s->cmd, EX_TEMPFAIL, "the relay broke off at %s%s%s%s", smtpc_phase(c),
			reply[0] != '\0' ? ": " : "", reply,
			end == SMTPC_LOST_AFTER_DATA ? "; it may have taken the message" : "");
}

static bool has_eight_bit(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] > 0x7f)
			return true;
	}
	return false;
}

int sendmail_hand_over(struct sendmail *s)
{
	struct slice head = buf_slice(&s->head);
	bool head_8bit = has_eight_bit(head);
	struct smtpc_message m = {.reverse_path = s->from,
				  .envid = s->envid,
				  .ret = s->ret,
				  .size = head.n + s->body.n,
				  .eight_bit = head_8bit || has_eight_bit(s->body),
				  .smtputf8 = s->utf8_address || (head_8bit && utf8_is_valid(head)),
				  .rcpt = s->rcpt,
				  .nrcpt = s->nrcpt};
	struct smtpc_config config = {.helo = s->host,
				      .tls = SMTPC_TLS_NONE,
				      .timeouts = &SMTPC_TIMEOUTS_RFC,
				      .rcpts_max = (size_t)s->cmd->conf->relay_rcpts_max,
				      .message = &m};
	int code, fd = connect_relay(s, &code);
	if (fd < 0)
		return code;
	struct smtpc *c = smtpc_new(&config);
	if (c != NULL)
		converse(s, c, fd);
	code = c != NULL ? code_of_end(s, c) : cmd_fail(s->cmd, EX_OSERR, "out of memory");
	smtpc_free(&c);
	close(fd);
	return code;
}

/* --- -bs --- */

static bool write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno != EINTR)
			return false;
		p += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return true;
}

/* > 0: octets moved, 0: the end, < 0: an error. */
static ssize_t move(int from, int to)
{
	uint8_t bytes[CHUNK];
	ssize_t n = read(from, bytes, sizeof(bytes));
	if (n < 0 && errno == EINTR)
		return 1;
	return n > 0 && !write_all(to, bytes, (size_t)n) ? -1 : n;
}

int sendmail_pass_through(struct sendmail *s)
{
	int code, fd = connect_relay(s, &code);
	if (fd < 0)
		return code;
	struct timeval patient = {0};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patient, sizeof(patient));
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	ssize_t n = 1;
	while (n > 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents != 0)
			n = move(fd, STDOUT_FILENO);
		if (n > 0 && p[0].revents != 0 && move(STDIN_FILENO, fd) <= 0) {
			shutdown(fd, SHUT_WR); /* the relay's last replies still come */
			p[0].fd = -1;
			p[0].revents = 0;
		}
	}
	close(fd);
	return n == 0 ? EX_OK
		      : cmd_fail(s->cmd, EX_IOERR, "the session broke: %s", strerror(errno));
}
