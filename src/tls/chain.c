/* SPDX-License-Identifier: MIT */
/*
 * Certificate chains from files: PEM text or a list of DER certificates, leaf first.
 *
 * Knows the two encodings. Refuses to reorder, complete or judge a chain: it is what would be
 * served.
 */
#include "tls/room.h"
#include "tls/tls_server.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static struct tls_chain *chain_new(char *error, size_t room)
{
	ERR_clear_error();
	struct tls_chain *c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->certs = sk_X509_new_null();
	if (c == NULL || c->certs == NULL) {
		snprintf(error, room, "out of memory");
		tls_chain_free(&c);
	}
	return c;
}

void tls_chain_free(struct tls_chain **c)
{
	if (*c == NULL)
		return;
	if ((*c)->certs != NULL)
		sk_X509_pop_free((*c)->certs, X509_free);
	free(*c);
	*c = NULL;
}

struct tls_chain *tls_chain_of(STACK_OF(X509) * certs)
{
	struct tls_chain *c =
	    certs != NULL && sk_X509_num(certs) > 0 ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL)
		return NULL;
	c->certs = X509_chain_up_ref(certs);
	if (c->certs == NULL)
		tls_chain_free(&c);
	return c;
}

/* Takes cert (NULL: it did not parse). */
static bool chain_push(struct tls_chain *c, X509 *cert, char *error, size_t room)
{
	int at = sk_X509_num(c->certs) + 1;
	if (cert == NULL) {
		char what[64];
		snprintf(what, sizeof(what), "certificate %d does not parse", at);
		tls_openssl_error(what, error, room);
		return false;
	}
	if (at > CHAIN_CERTS_MAX) {
		snprintf(error, room, "more than %d certificates", CHAIN_CERTS_MAX);
	} else if (sk_X509_push(c->certs, cert) > 0) {
		return true;
	} else {
		snprintf(error, room, "out of memory");
	}
	X509_free(cert);
	return false;
}

/* Certificates are never encrypted; OpenSSL's default would ask on the terminal. */
static int no_password(char *out, int room, int writing, void *arg)
{
	(void)out;
	(void)room;
	(void)writing;
	(void)arg;
	return -1;
}

/* The end of the text, as opposed to a certificate that does not parse. */
static bool pem_ended(void)
{
	unsigned long e = ERR_peek_last_error();
	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static bool pem_read_all(BIO *in, struct tls_chain *c, char *error, size_t room)
{
	for (;;) {
		X509 *cert = PEM_read_bio_X509(in, NULL, no_password, NULL);
		if (cert == NULL && pem_ended())
			break;
		if (!chain_push(c, cert, error, room))
			return false;
	}
	ERR_clear_error();
	if (sk_X509_num(c->certs) > 0)
		return true;
	snprintf(error, room, "no certificate in the text");
	return false;
}

struct tls_chain *tls_chain_from_pem(struct slice pem, char *error, size_t room)
{
	struct tls_chain *c = chain_new(error, room);
	if (c == NULL)
		return NULL;
	BIO *in = pem.n > 0 && pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	bool ok = in != NULL && pem_read_all(in, c, error, room);
	if (in == NULL)
		snprintf(error, room, "no certificate in the text");
	BIO_free(in);
	if (!ok)
		tls_chain_free(&c);
	return c;
}

static X509 *der_read(struct slice der)
{
	const unsigned char *p = der.p;
	if (der.n == 0 || der.n > LONG_MAX)
		return NULL;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	if (cert != NULL && p != der.p + der.n) {
		X509_free(cert);
		cert = NULL;
	}
	return cert;
}

struct tls_chain *tls_chain_from_der(const struct slice *der, size_t n, char *error, size_t room)
{
	struct tls_chain *c = chain_new(error, room);
	bool ok = c != NULL && n > 0;
	if (c != NULL && n == 0)
		snprintf(error, room, "no certificate");
	for (size_t i = 0; i < n && ok; i++)
		ok = chain_push(c, der_read(der[i]), error, room);
	if (!ok)
		tls_chain_free(&c);
	return c;
}

void tls_chain_to_pem(const struct tls_chain *c, struct buf *out)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text = NULL;
	bool ok = b != NULL;
	for (int i = 0; ok && i < sk_X509_num(c->certs); i++)
		ok = PEM_write_bio_X509(b, sk_X509_value(c->certs, i)) == 1;
	long n = ok ? BIO_get_mem_data(b, &text) : 0;
	if (n > 0)
		buf_add(out, text, (size_t)n);
	else
		out->failed = true;
	BIO_free(b);
	ERR_clear_error();
}
