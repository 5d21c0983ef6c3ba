/* SPDX-License-Identifier: MIT */
/*
 * The states that a connection goes through as its bytes come and go, the same for both sides.
 *
 * Knows which bytes a state takes. Refuses to know which side we are: only the side says that a
 * handshake is good (TLS_UP) and what a failure means (TLS_FAILED); TLS_CLOSED is all that is set
 * here.
 */
#include "tls/room.h"

static enum tls_state handshake(struct tls_flow *f)
{
	switch (tls_bytes_handshake(&f->b)) {
	case BYTES_DONE:
		return f->side->up(f->conn);
	case BYTES_MORE:
		return f->state;
	case BYTES_BROKEN:
		break;
	}
	return f->side->fail(f->conn, FLOW_BROKEN, "the handshake broke off");
}

static enum tls_state read_on(struct tls_flow *f, struct buf *plain)
{
	switch (tls_bytes_read(&f->b, plain)) {
	case BYTES_DONE:
		f->state = TLS_CLOSED;
		return f->state;
	case BYTES_MORE:
		return f->state;
	case BYTES_BROKEN:
		break;
	}
	return f->side->fail(f->conn, FLOW_BROKEN, "the connection broke");
}

enum tls_state tls_flow_feed(struct tls_flow *f, struct slice cipher, struct buf *plain)
{
	/* After an end without close_notify what waits inside can still be had. */
	bool rest = f->state == TLS_CLOSED && f->eof;
	if (f->state == TLS_FAILED || (f->state == TLS_CLOSED && !rest))
		return f->state;
	if (cipher.n > INT32_MAX)
		return f->side->fail(f->conn, FLOW_LOCAL, "too many bytes at once");
	if (!tls_bytes_put(&f->b, cipher))
		return f->side->fail(f->conn, FLOW_LOCAL, "out of memory");
	if (f->state == TLS_HANDSHAKING && handshake(f) != TLS_UP)
		return f->state;
	return read_on(f, plain);
}

enum tls_state tls_flow_feed_eof(struct tls_flow *f)
{
	switch (f->state) {
	case TLS_HANDSHAKING:
		return f->side->fail(f->conn, FLOW_EOF, "peer closed during the handshake");
	case TLS_UP:
		f->eof = true;
		f->state = TLS_CLOSED;
		break;
	case TLS_FAILED:
	case TLS_CLOSED:
		break;
	}
	return f->state;
}

enum tls_state tls_flow_write(struct tls_flow *f, struct slice plain)
{
	if (f->state == TLS_HANDSHAKING)
		return f->side->fail(f->conn, FLOW_LOCAL, "written before the handshake was done");
	if (f->state != TLS_UP || plain.n == 0 || tls_bytes_write(&f->b, plain))
		return f->state;
	return f->side->fail(f->conn, FLOW_BROKEN, "the connection takes no more data");
}

void tls_flow_shutdown(struct tls_flow *f)
{
	if (f->state == TLS_UP || f->state == TLS_CLOSED)
		tls_bytes_shutdown(&f->b);
}
