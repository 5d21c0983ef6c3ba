/* SPDX-License-Identifier: MIT */
/*
 * An SSL between two memory BIOs: what a client's and a server's connection do alike with bytes.
 *
 * Knows OpenSSL's rules for reading and writing. Refuses to know which side we are, whether the
 * peer is to be trusted, and what a failure means: that is conn.c's and server_conn.c's.
 */
#include "tls/room.h"

#include <openssl/err.h>

/* One read asks for at most this much: a TLS record's plaintext (RFC 8446 s5.1). */
enum { READ_MAX = 16384 };

bool tls_bytes_open(struct tls_bytes *b)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	if (in == NULL || out == NULL) {
		BIO_free(in);
		BIO_free(out);
		return false;
	}
	/* Empty means "not yet", never the end of the stream. */
	BIO_set_mem_eof_return(in, -1);
	b->in = in;
	b->out = out;
	SSL_set_bio(b->ssl, in, out);
	return true;
}

static enum bytes_end ended(struct tls_bytes *b, int r)
{
	int error = SSL_get_error(b->ssl, r);
	if (error == SSL_ERROR_WANT_READ)
		return BYTES_MORE;
	return error == SSL_ERROR_ZERO_RETURN ? BYTES_DONE : BYTES_BROKEN;
}

enum bytes_end tls_bytes_handshake(struct tls_bytes *b)
{
	ERR_clear_error();
	int r = SSL_do_handshake(b->ssl);
	if (r == 1)
		return BYTES_DONE;
	return SSL_get_error(b->ssl, r) == SSL_ERROR_WANT_READ ? BYTES_MORE : BYTES_BROKEN;
}

bool tls_bytes_put(struct tls_bytes *b, struct slice cipher)
{
	if (cipher.n == 0)
		return true;
	return cipher.n <= INT32_MAX && BIO_write(b->in, cipher.p, (int)cipher.n) == (int)cipher.n;
}

static size_t read_size(struct tls_bytes *b, const struct buf *plain)
{
	size_t room = buf_room(plain);
	/* Plaintext is shorter than its ciphertext: no need to reserve more. */
	size_t most = BIO_ctrl_pending(b->in) + (size_t)SSL_pending(b->ssl);
	if (most < 1)
		most = 1;
	if (most > READ_MAX)
		most = READ_MAX;
	return room < most ? room : most;
}

enum bytes_end tls_bytes_read(struct tls_bytes *b, struct buf *plain)
{
	while (plain != NULL && buf_ok(plain)) {
		size_t want = read_size(b, plain);
		uint8_t *p = want > 0 ? buf_reserve(plain, want) : NULL;
		if (p == NULL)
			break;
		ERR_clear_error();
		int r = SSL_read(b->ssl, p, (int)want);
		if (r <= 0)
			return ended(b, r);
		buf_commit(plain, (size_t)r);
	}
	return BYTES_MORE;
}

bool tls_bytes_write(struct tls_bytes *b, struct slice plain)
{
	size_t written = 0;
	ERR_clear_error();
	int r = SSL_write_ex(b->ssl, plain.p, plain.n, &written);
	return r == 1 && written == plain.n;
}

void tls_bytes_pending(struct tls_bytes *b, struct buf *out)
{
	size_t n = BIO_ctrl_pending(b->out);
	size_t room = buf_room(out);
	if (n > room)
		n = room;
	if (n > INT32_MAX)
		n = INT32_MAX;
	uint8_t *p = n > 0 ? buf_reserve(out, n) : NULL;
	if (p == NULL)
		return;
	int r = BIO_read(b->out, p, (int)n);
	if (r > 0)
		buf_commit(out, (size_t)r);
}

void tls_bytes_shutdown(struct tls_bytes *b)
{
	ERR_clear_error();
	SSL_shutdown(b->ssl);
	ERR_clear_error();
}

/* A memory BIO never shrinks, so that new ones take their place. */
void tls_bytes_rest(struct tls_bytes *b)
{
	bool empty = BIO_ctrl_pending(b->in) == 0 && BIO_ctrl_pending(b->out) == 0;
	if (!empty || SSL_has_pending(b->ssl) || SSL_free_buffers(b->ssl) != 1)
		return;
	tls_bytes_open(b); /* if not, the old ones go on */
}
