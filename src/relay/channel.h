/* SPDX-License-Identifier: MIT */
/*
 * relay: the daemon: a few processes that trust each other little, and the messages between them.
 * This header: a channel: framed messages with at most one descriptor each, over a Unix stream
 * socket.
 *
 * The frame is 4 octets length (of what follows), 2 octets type, then the payload; both ends check
 * it against the message table (messages.tbl): a type the peer may not send, or a length out of its
 * bounds, ends the channel. Callbacks come from the loop. Not thread-safe.
 */
#ifndef RELAY_CHANNEL_H
#define RELAY_CHANNEL_H

#include "base/buf.h"
#include "loop/loop.h"

enum message {
#define MESSAGE(id, from, to, min, max, fd) MSG_##id,
#include "relay/messages.tbl"
#undef MESSAGE
	MSG_COUNT
};

enum role {
	ROLE_PARENT,
	ROLE_INTAKE,
	ROLE_KEEPER,
	ROLE_COURIER,
	ROLE_RESOLVER,
	ROLE_WARDEN,
	ROLE_COUNT
};
const char *role_name(enum role r);
const char *message_name(enum message m);

enum message_fd { FD_NO, FD_MAY };

struct channel;

/* payload and fd (-1: none) are valid during the call; take the descriptor over with
 * channel_take_fd(). */
typedef void channel_cb(void *arg, struct channel *c, enum message type, struct slice payload);
/* The peer is gone or broke the rules (`why` says which); the channel is dead and may be freed in
 * the callback. Whole messages that a peer sent before it was gone have been handed on by then. */
typedef void channel_closed_cb(void *arg, struct channel *c, const char *why);

/* Takes fd over. self is our role, peer the other end's. NULL: out of memory (fd is closed). */
struct channel *channel_new(struct loop *l, int fd, enum role self, enum role peer, channel_cb *cb,
			    channel_closed_cb *closed, void *arg);
void channel_free(struct channel **c);

/* A message to fill in: returns the output buffer (never NULL; a failure shows at channel_send). */
struct buf *channel_begin(struct channel *c, enum message type);
/* Sends what was filled in since channel_begin(); fd >= 0 is duplicated into the message (and stays
 * the caller's). False: the message broke the table's bounds or memory ran out; nothing was sent.
 * True says nothing about the peer: when it is gone, the end follows. */
bool channel_send(struct channel *c, int fd);
/* What waits goes out now, as far as the peer takes it: before the end of a channel. */
void channel_flush(struct channel *c);
/* Octets that wait for the peer: a producer that minds it stays bounded. */
size_t channel_backlog(const struct channel *c);
/* During the callback: the message's descriptor, now the caller's; -1 if there is none. */
int channel_take_fd(struct channel *c);

/* Fields of a payload: numbers big-endian, strings as 4 octets length and the octets. */
void put_u8(struct buf *b, uint8_t v);
void put_u16(struct buf *b, uint16_t v);
void put_u32(struct buf *b, uint32_t v);
void put_u64(struct buf *b, uint64_t v);
void put_bytes(struct buf *b, struct slice s);
void put_str(struct buf *b, const char *s); /* NULL is kept apart from "" */

struct cursor;
struct arena;
uint64_t get_u64(struct cursor *c);
struct slice get_bytes(struct cursor *c);
/* A NUL-terminated copy; NULL where NULL was put. A NUL inside, or a length past the end, fails the
 * cursor. */
const char *get_str(struct cursor *c, struct arena *mem);

#endif
