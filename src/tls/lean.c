/* SPDX-License-Identifier: MIT */
/*
 * A library context of OpenSSL with few algorithms: those that our TLS client can use.
 *
 * OpenSSL 3.0 looks for the decoder of the public key in every certificate that it reads, and walks
 * over all algorithms and decoders that it has, several times, before it takes one: that was a
 * third of a full handshake. A provider of ours stands before the default provider and hands on
 * what a client of ours can come to use. The algorithms themselves are the default provider's.
 *
 * Knows OpenSSL's provider interface. Refuses to know what the algorithms are used for. What is
 * not listed does not exist in the context: a key of another kind cannot be read and proves
 * nothing.
 */
#include "tls/room.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/provider.h>

#include <string.h>

enum { LISTED_MAX = 32 };

static const char provider_name[] = "danelaw";

/* Of the suites in client.c. */
static const char *const ciphers[] = {"AES-128-GCM",
				      "AES-256-GCM",
				      "ChaCha20-Poly1305",
				      "AES-128-CBC",
				      "AES-256-CBC",
				      "AES-128-CBC-HMAC-SHA1",
				      "AES-256-CBC-HMAC-SHA1",
				      "AES-128-CBC-HMAC-SHA256",
				      "AES-256-CBC-HMAC-SHA256",
				      NULL};
static const char *const macs[] = {"HMAC", NULL};
static const char *const kdfs[] = {"HKDF", "TLS13-KDF", "TLS1-PRF", NULL};
/* Keys in certificates, key agreement, and the MAC of TLS, which is a key to OpenSSL too. */
static const char *const keys[] = {"RSA",    "RSA-PSS", "DSA", "EC",   "ED25519", "ED448",
				   "X25519", "DH",      "DHX", "HMAC", NULL};
/* Keys that can be in a certificate that signs. */
static const char *const decoded[] = {"RSA", "RSA-PSS", "DSA", "EC", "ED25519", "ED448", NULL};
static const char *const no_encoders[] = {NULL};

/* What is handed on of an operation; operations that are not here are handed on whole. */
static const struct part {
	int operation;
	const char *const *names;
	const char *properties[2]; /* each must be among the algorithm's; NULL: none */
} parts[] = {
    {OSSL_OP_CIPHER, ciphers, {NULL}},
    {OSSL_OP_MAC, macs, {NULL}},
    {OSSL_OP_KDF, kdfs, {NULL}},
    {OSSL_OP_KEYMGMT, keys, {NULL}},
    {OSSL_OP_DECODER, decoded, {"input=der", "structure=SubjectPublicKeyInfo"}},
    {OSSL_OP_ENCODER, no_encoders, {NULL}},
};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

/*
 * OpenSSL calls a provider with nothing but the context that its algorithms want, here the default
 * provider's. So what we hand on has to be found without it: filled in once, before the first use,
 * and never changed.
 */
static struct {
	OSSL_PROVIDER *whole; /* the default provider, in a context of its own */
	OSSL_ALGORITHM part[PARTS][LISTED_MAX + 1];
} shared;

/* The first of the names counts: "EC:id-ecPublicKey:1.2.840.10045.2.1". */
static bool is_named(const OSSL_ALGORITHM *a, const char *const *names)
{
	size_t length = strcspn(a->algorithm_names, ":");
	for (; *names != NULL; names++) {
		if (strlen(*names) == length && strncmp(*names, a->algorithm_names, length) == 0)
			return true;
	}
	return false;
}

static bool is_part(const OSSL_ALGORITHM *a, const struct part *p)
{
	for (size_t i = 0; i < 2 && p->properties[i] != NULL; i++) {
		if (strstr(a->property_definition, p->properties[i]) == NULL)
			return false;
	}
	return is_named(a, p->names);
}

/* False: more than we think. */
static bool list(const struct part *p, OSSL_ALGORITHM *out)
{
	int no_store = 0;
	size_t n = 0;
	const OSSL_ALGORITHM *a =
	    OSSL_PROVIDER_query_operation(shared.whole, p->operation, &no_store);
	for (; a != NULL && a->algorithm_names != NULL; a++) {
		if (!is_part(a, p))
			continue;
		if (n == LISTED_MAX)
			return false;
		out[n++] = *a;
	}
	return true;
}

static bool list_all(void)
{
	bool ok = true;
	for (size_t i = 0; i < PARTS && ok; i++)
		ok = list(&parts[i], shared.part[i]);
	return ok;
}

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store)
{
	(void)provider;
	*no_store = 0;
	for (size_t i = 0; i < PARTS; i++) {
		if (parts[i].operation == operation)
			return shared.part[i];
	}
	return OSSL_PROVIDER_query_operation(shared.whole, operation, no_store);
}

/* The groups of TLS. */
static int capabilities(void *provider, const char *capability, OSSL_CALLBACK *cb, void *arg)
{
	(void)provider;
	return OSSL_PROVIDER_get_capabilities(shared.whole, capability, cb, arg);
}

static const OSSL_PARAM *parameters(void *provider)
{
	(void)provider;
	return OSSL_PROVIDER_gettable_params(shared.whole);
}

static int get_parameters(void *provider, OSSL_PARAM p[])
{
	(void)provider;
	return OSSL_PROVIDER_get_params(shared.whole, p);
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
    {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))parameters},
    {OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_parameters},
    {0, NULL},
};

static int begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
		 void **provider)
{
	(void)handle;
	(void)in;
	*out = functions;
	*provider = OSSL_PROVIDER_get0_provider_ctx(shared.whole);
	return 1;
}

static bool share(void)
{
	if (shared.whole != NULL)
		return true;
	OSSL_LIB_CTX *inner = OSSL_LIB_CTX_new();
	if (inner == NULL)
		return false;
	shared.whole = OSSL_PROVIDER_load(inner, "default");
	if (shared.whole != NULL && list_all())
		return true;
	OSSL_PROVIDER_unload(shared.whole);
	OSSL_LIB_CTX_free(inner);
	shared.whole = NULL;
	return false;
}

bool tls_lean_open(struct tls_lean *l)
{
	*l = (struct tls_lean){0};
	/* A machine that demands certified algorithms gets what its configuration says. */
	if (EVP_default_properties_is_fips_enabled(NULL))
		return true;
	l->library = share() ? OSSL_LIB_CTX_new() : NULL;
	if (l->library != NULL && OSSL_PROVIDER_add_builtin(l->library, provider_name, begin) == 1)
		l->provider = OSSL_PROVIDER_load(l->library, provider_name);
	if (l->provider != NULL)
		return true;
	tls_lean_close(l);
	return false;
}

void tls_lean_close(struct tls_lean *l)
{
	if (l->provider != NULL)
		OSSL_PROVIDER_unload(l->provider);
	OSSL_LIB_CTX_free(l->library);
	*l = (struct tls_lean){0};
}
