/* SPDX-License-Identifier: MIT */
/*
 * The keys of session tickets (RFC 5077, RFC 8446 s4.6.1).
 *
 * A ratchet: each epoch's secret is a hash of the one before, which is then forgotten. Processes
 * that started from one secret agree on every key without a word; and who steals a process's memory
 * learns no key of an earlier epoch but the one that still reads. Refuses to know what a ticket
 * holds: that is OpenSSL's.
 */
#include "tls/server_room.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <string.h>

enum { IV_BYTES = 16 };

static bool derive(const uint8_t secret[32], const char *label, uint8_t out[32])
{
	unsigned n = 0;
	return HMAC(EVP_sha256(), secret, 32, (const unsigned char *)label, strlen(label), out,
		    &n) != NULL &&
	       n == 32;
}

static void make_key(const struct tickets *t, struct ticket_key *k)
{
	uint8_t name[32];
	k->usable = derive(t->secret, "danelaw ticket name", name) &&
		    derive(t->secret, "danelaw ticket aes", k->aes) &&
		    derive(t->secret, "danelaw ticket mac", k->mac);
	memcpy(k->name, name, sizeof(k->name));
}

static bool reseed(struct tickets *t, const uint8_t *seed, int64_t epoch)
{
	tls_tickets_wipe(t);
	if (seed != NULL)
		memcpy(t->secret, seed, TLS_TICKET_SEED);
	else if (RAND_bytes(t->secret, sizeof(t->secret)) != 1)
		return false;
	t->epoch = epoch;
	make_key(t, &t->now);
	return t->now.usable;
}

bool tls_tickets_init(struct tickets *t, const uint8_t *seed, int64_t at)
{
	return reseed(t, seed, at / TICKET_SECONDS);
}

static bool step(struct tickets *t)
{
	uint8_t next[32];
	if (!t->now.usable) /* the secret may be gone: nothing follows from it */
		return false;
	if (!derive(t->secret, "danelaw ticket next", next))
		return false;
	t->before = t->now;
	memcpy(t->secret, next, sizeof(next));
	OPENSSL_cleanse(next, sizeof(next));
	t->epoch++;
	make_key(t, &t->now);
	return t->now.usable;
}

void tls_tickets_rotate(struct tickets *t, int64_t now)
{
	int64_t epoch = now / TICKET_SECONDS;
	if (epoch > t->epoch && epoch - t->epoch > TICKET_STEPS_MAX) {
		(void)reseed(t, NULL, epoch);
		return;
	}
	while (t->epoch < epoch) {
		if (step(t) || reseed(t, NULL, epoch))
			continue;
		/* Without keys there are no tickets: full handshakes. */
		tls_tickets_wipe(t);
		t->epoch = epoch;
	}
}

void tls_tickets_wipe(struct tickets *t)
{
	OPENSSL_cleanse(t, sizeof(*t));
}

static bool use_mac(EVP_MAC_CTX *mac, const struct ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM p[] = {
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, unconst(k->mac), sizeof(k->mac)),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(mac, p) == 1;
}

static int make_ticket(const struct ticket_key *k, unsigned char *name, unsigned char *iv,
		       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	if (!k->usable)
		return 0;
	if (RAND_bytes(iv, IV_BYTES) != 1)
		return -1;
	memcpy(name, k->name, sizeof(k->name));
	if (EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1 ||
	    !use_mac(mac, k))
		return -1;
	return 1;
}

static bool is_of(const struct ticket_key *k, const unsigned char *name)
{
	return k->usable && CRYPTO_memcmp(k->name, name, sizeof(k->name)) == 0;
}

/* -1: error, 0: no such key (a full handshake follows), 1: go on, 2: go on and send a new one. */
int tls_tickets_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			 EVP_MAC_CTX *mac, int making)
{
	const struct tls_server *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct tickets *t = &s->tickets;
	if (making)
		return make_ticket(&t->now, name, iv, cipher, mac);
	bool old = is_of(&t->before, name);
	if (!old && !is_of(&t->now, name))
		return 0;
	const struct ticket_key *k = old ? &t->before : &t->now;
	if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1 ||
	    !use_mac(mac, k))
		return -1;
	return old ? 2 : 1;
}
