/* SPDX-License-Identifier: MIT */
/*
 * Frames over a Unix stream socket. Knows the message table and nothing of what the messages mean.
 */
#include "relay/channel.h"

#include "base/arena.h"
#include "base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HEADER = 6,
	TYPE_OCTETS = 2,
	PAYLOAD_MAX = 8388608, /* 5000 recipients with all their parameters or replies */
	/* What may wait for a peer that does not read. A process that lets this fill up is broken
	   and is cut off. */
	OUT_MAX = 64 * 1024 * 1024,
	IN_MAX = 2 * (PAYLOAD_MAX + HEADER),
	READ_CHUNK = 65536,
	FDS_MAX = 256, /* descriptors received and not yet handed on */
	ROLE_ANY = -1,
};

static const struct rule {
	const char *name;
	int from, to;
	uint32_t min, max;
	enum message_fd fd;
} rules[MSG_COUNT] = {
#define MESSAGE(id, from, to, min, max, fd)                                                        \
	[MSG_##id] = {#id, ROLE_##from, ROLE_##to, min, max, fd},
#include "relay/messages.tbl"
#undef MESSAGE
};

/* A descriptor that waits to be sent with the frame that starts at `at`, counted in octets ever
 * written. */
struct pending_fd {
	int fd;
	uint64_t at;
};

struct channel {
	struct loop *loop;
	struct loop_io *io;
	struct loop_deferred *flush; /* what was queued goes out at the end of this turn */
	int fd;
	enum role self, peer;
	channel_cb *cb;
	channel_closed_cb *closed;
	void *arg;
	struct buf in, out, draft;
	enum message draft_type;
	uint64_t written, queued; /* octets ever sent, ever put into out */
	struct pending_fd *out_fd;
	size_t nout_fd, room_out_fd;
	int in_fd[FDS_MAX]; /* in the order of the frames that carry one */
	size_t nin_fd;
	int current_fd; /* of the message in the callback */
	bool dead;
	int broken;  /* errno: the peer reads no more; 0: it does */
	bool busy;   /* inside on_io(): freeing has to wait */
	bool doomed; /* freed meanwhile */
};

const char *role_name(enum role r)
{
	static const char *const names[] = {
	    [ROLE_PARENT] = "parent",   [ROLE_INTAKE] = "intake",     [ROLE_KEEPER] = "keeper",
	    [ROLE_COURIER] = "courier", [ROLE_RESOLVER] = "resolver", [ROLE_WARDEN] = "warden",
	    [ROLE_COUNT] = "?"};
	return names[r];
}

const char *message_name(enum message m)
{
	return m < MSG_COUNT ? rules[m].name : "?";
}

static bool allowed(enum message type, enum role from, enum role to)
{
	const struct rule *r = &rules[type];
	return (r->from == ROLE_ANY || r->from == (int)from) &&
	       (r->to == ROLE_ANY || r->to == (int)to);
}

static void on_io(void *arg, unsigned ready);

struct channel *channel_new(struct loop *l, int fd, enum role self, enum role peer, channel_cb *cb,
			    channel_closed_cb *closed, void *arg)
{
	struct channel *c = calloc(1, sizeof(*c));
	if (c != NULL && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		c->io = loop_io_new(l, fd, on_io, c);
	if (c == NULL || c->io == NULL) {
		free(c);
		close(fd);
		return NULL;
	}
	c->loop = l;
	c->fd = fd;
	c->self = self;
	c->peer = peer;
	c->cb = cb;
	c->closed = closed;
	c->arg = arg;
	c->current_fd = -1;
	buf_init(&c->in, IN_MAX);
	buf_init(&c->out, OUT_MAX);
	buf_init(&c->draft, PAYLOAD_MAX + HEADER);
	loop_io_want(c->io, LOOP_READ);
	return c;
}

static void drop_output(struct channel *c)
{
	for (size_t i = 0; i < c->nout_fd; i++)
		close(c->out_fd[i].fd);
	c->nout_fd = 0;
	buf_reset(&c->out);
}

static void release(struct channel *c)
{
	loop_io_free(&c->io);
	if (c->flush != NULL)
		loop_defer_cancel(&c->flush);
	for (size_t i = 0; i < c->nin_fd; i++)
		close(c->in_fd[i]);
	drop_output(c);
	if (c->current_fd >= 0)
		close(c->current_fd);
	free(c->out_fd);
	buf_free(&c->in);
	buf_free(&c->out);
	buf_free(&c->draft);
	close(c->fd);
	free(c);
}

void channel_free(struct channel **cp)
{
	struct channel *c = *cp;
	*cp = NULL;
	if (c == NULL)
		return;
	c->dead = true;
	if (c->busy)
		c->doomed = true;
	else
		release(c);
}

static void die(struct channel *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	loop_io_want(c->io, 0);
	c->closed(c->arg, c, c->broken != 0 ? strerror(c->broken) : why);
}

/* The peer takes nothing more. What it said before is still in the socket, a result perhaps: that
 * is read first, and its end tells the end. */
static void cannot_write(struct channel *c, int why)
{
	c->broken = why;
	drop_output(c);
	loop_io_want(c->io, LOOP_READ);
}

/* --- Output --- */

struct buf *channel_begin(struct channel *c, enum message type)
{
	buf_reset(&c->draft);
	c->draft_type = type;
	buf_add(&c->draft, "\0\0\0\0\0", HEADER);
	return &c->draft;
}

static bool queue_fd(struct channel *c, int fd)
{
	if (c->nout_fd == c->room_out_fd) {
		size_t room = c->room_out_fd == 0 ? 16 : 2 * c->room_out_fd;
		struct pending_fd *more = realloc(c->out_fd, room * sizeof(*more));
		if (more == NULL)
			return false;
		c->out_fd = more;
		c->room_out_fd = room;
	}
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return false;
	c->out_fd[c->nout_fd++] = (struct pending_fd){copy, c->queued};
	return true;
}

/* The header is filled in last: its length is known only now. The top bit of the type says that a
 * descriptor comes along. */
static void fill_header(struct channel *c, uint32_t payload, bool with_fd)
{
	uint8_t *h = c->draft.p + c->draft.start;
	uint32_t length = payload + TYPE_OCTETS;
	uint16_t type = (uint16_t)(c->draft_type | (with_fd ? 0x8000u : 0));
	h[0] = (uint8_t)(length >> 24);
	h[1] = (uint8_t)(length >> 16);
	h[2] = (uint8_t)(length >> 8);
	h[3] = (uint8_t)length;
	h[4] = (uint8_t)(type >> 8);
	h[5] = (uint8_t)type;
}

static void on_flush(void *arg);

bool channel_send(struct channel *c, int fd)
{
	const struct rule *r = &rules[c->draft_type];
	if (c->dead || !buf_ok(&c->draft) || !allowed(c->draft_type, c->self, c->peer))
		return false;
	size_t payload = buf_len(&c->draft) - HEADER;
	if (payload < r->min || payload > r->max || (fd >= 0 && r->fd == FD_NO) ||
	    buf_room(&c->out) < buf_len(&c->draft))
		return false;
	if (c->broken != 0) /* as if it had left before the peer ended */
		return true;
	if (fd >= 0 && !queue_fd(c, fd))
		return false;
	fill_header(c, (uint32_t)payload, fd >= 0);
	buf_add_slice(&c->out, buf_slice(&c->draft));
	c->queued += buf_len(&c->draft);
	if (c->flush == NULL)
		c->flush = loop_defer(c->loop, on_flush, c);
	if (c->flush == NULL) /* out of memory: the socket says when */
		loop_io_want(c->io, LOOP_READ | LOOP_WRITE);
	return true;
}

size_t channel_backlog(const struct channel *c)
{
	return buf_len(&c->out);
}

/*
 * One sendmsg(2). A descriptor goes with the first octet of its frame, and nothing of the next
 * frame that has one may go in the same call: the receiver gets descriptors in the order of frames.
 */
static ssize_t send_some(struct channel *c)
{
	struct slice w = buf_slice(&c->out);
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	bool with_fd = c->nout_fd > 0 && c->out_fd[0].at == c->written;
	size_t next = with_fd ? 1 : 0;
	if (c->nout_fd > next && c->out_fd[next].at - c->written < w.n)
		w.n = (size_t)(c->out_fd[next].at - c->written);
	struct iovec iov = {.iov_base = (void *)(uintptr_t)w.p, .iov_len = w.n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (with_fd) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &c->out_fd[0].fd, sizeof(int));
	}
	ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
	if (n > 0 && with_fd) {
		close(c->out_fd[0].fd);
		c->nout_fd--;
		memmove(c->out_fd, c->out_fd + 1, c->nout_fd * sizeof(*c->out_fd));
	}
	return n;
}

static void write_out(struct channel *c)
{
	while (buf_len(&c->out) > 0) {
		ssize_t n = send_some(c);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_io_want(c->io, LOOP_READ | LOOP_WRITE);
			return;
		}
		if (n < 0) {
			cannot_write(c, errno);
			return;
		}
		buf_consume(&c->out, (size_t)n);
		c->written += (uint64_t)n;
	}
	loop_io_want(c->io, LOOP_READ);
}

/* Calls nobody back: a peer that is gone shows when it is read. */
static void on_flush(void *arg)
{
	struct channel *c = arg;
	c->flush = NULL;
	if (!c->dead)
		write_out(c);
}

void channel_flush(struct channel *c)
{
	if (!c->dead)
		write_out(c);
}

/* --- Input --- */

static bool take_fds(struct channel *c, struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (c->nin_fd == FDS_MAX)
				close(fd);
			else
				c->in_fd[c->nin_fd++] = fd;
		}
	}
	return (m->msg_flags & MSG_CTRUNC) == 0 && c->nin_fd < FDS_MAX;
}

static bool check_frame(struct channel *c, uint32_t length, uint16_t raw_type)
{
	uint16_t type = raw_type & 0x7fff;
	bool with_fd = (raw_type & 0x8000) != 0;
	if (type >= MSG_COUNT || length < TYPE_OCTETS)
		return false;
	const struct rule *r = &rules[type];
	uint32_t payload = length - TYPE_OCTETS;
	return allowed((enum message)type, c->peer, c->self) && payload >= r->min &&
	       payload <= r->max && (!with_fd || r->fd == FD_MAY);
}

/* Hands on one whole frame. False: none is there, or the channel is gone. */
static bool take_frame(struct channel *c)
{
	struct slice in = buf_slice(&c->in);
	struct cursor k = cursor_make(in);
	uint32_t length = cursor_u32(&k);
	uint16_t raw = cursor_u16(&k);
	if (k.failed)
		return false;
	if (!check_frame(c, length, raw)) {
		die(c, "a message that this peer may not send");
		return false;
	}
	if (in.n < HEADER - TYPE_OCTETS + length)
		return false;
	if (raw & 0x8000) {
		if (c->nin_fd == 0) {
			die(c, "a descriptor is missing");
			return false;
		}
		c->current_fd = c->in_fd[0];
		c->nin_fd--;
		memmove(c->in_fd, c->in_fd + 1, c->nin_fd * sizeof(*c->in_fd));
	}
	c->cb(c->arg, c, (enum message)(raw & 0x7fff),
	      slice_make(in.p + HEADER, length - TYPE_OCTETS));
	if (c->doomed)
		return false;
	if (c->current_fd >= 0)
		close(c->current_fd);
	c->current_fd = -1;
	buf_consume(&c->in, HEADER - TYPE_OCTETS + length);
	return !c->dead;
}

int channel_take_fd(struct channel *c)
{
	int fd = c->current_fd;
	c->current_fd = -1;
	return fd;
}

static void read_in(struct channel *c)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	uint8_t *p = buf_reserve(&c->in, READ_CHUNK);
	if (p == NULL) {
		die(c, "out of memory");
		return;
	}
	struct iovec iov = {.iov_base = p, .iov_len = READ_CHUNK};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		die(c, n == 0 ? "closed" : strerror(errno));
		return;
	}
	buf_commit(&c->in, (size_t)n);
	if (!take_fds(c, &m)) {
		die(c, "too many descriptors");
		return;
	}
	while (take_frame(c))
		;
}

static void on_io(void *arg, unsigned ready)
{
	struct channel *c = arg;
	c->busy = true;
	if (ready & LOOP_WRITE)
		write_out(c);
	if (!c->dead && (ready & LOOP_READ))
		read_in(c);
	c->busy = false;
	if (c->doomed)
		release(c);
}

/* --- Fields --- */

static const uint32_t NULL_STRING = 0xffffffffu; /* no length: NULL */

void put_u8(struct buf *b, uint8_t v)
{
	buf_add_u8(b, v);
}

void put_u16(struct buf *b, uint16_t v)
{
	buf_add_u16(b, v);
}

void put_u32(struct buf *b, uint32_t v)
{
	buf_add_u16(b, (uint16_t)(v >> 16));
	buf_add_u16(b, (uint16_t)v);
}

void put_u64(struct buf *b, uint64_t v)
{
	put_u32(b, (uint32_t)(v >> 32));
	put_u32(b, (uint32_t)v);
}

void put_bytes(struct buf *b, struct slice s)
{
	put_u32(b, (uint32_t)s.n);
	buf_add_slice(b, s);
}

void put_str(struct buf *b, const char *s)
{
	if (s == NULL)
		put_u32(b, NULL_STRING);
	else
		put_bytes(b, slice_str(s));
}

uint64_t get_u64(struct cursor *c)
{
	uint64_t high = cursor_u32(c);
	return high << 32 | cursor_u32(c);
}

struct slice get_bytes(struct cursor *c)
{
	return cursor_bytes(c, cursor_u32(c));
}

const char *get_str(struct cursor *c, struct arena *mem)
{
	uint32_t n = cursor_u32(c);
	if (n == NULL_STRING || c->failed)
		return NULL;
	struct slice s = cursor_bytes(c, n);
	if (slice_find(s, 0) < s.n)
		c->failed = true;
	const char *copy = c->failed ? NULL : arena_str(mem, s);
	if (copy == NULL)
		c->failed = true;
	return copy;
}
