/* SPDX-License-Identifier: MIT */
/* An operator's own keys: what records are made of, and new keys. What the records should be is
 * computed here with OpenSSL directly; records of certificates are tested by test/cli/test_tlsa.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls/keys.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string.h>

enum { MEM_MAX = 1024 * 1024, TEXT_MAX = 64 * 1024 };

struct fixture {
	struct arena mem;
	struct buf key, request;
	char error[256];
};

static int set_up(void **state)
{
	static struct fixture f;
	arena_init(&f.mem, MEM_MAX);
	buf_init(&f.key, TLS_KEY_PEM_MAX);
	buf_init(&f.request, TEXT_MAX);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	arena_free(&f->mem);
	buf_free(&f->key);
	buf_free(&f->request);
	return 0;
}

static struct tls_source *source(struct fixture *f, struct slice pem)
{
	struct tls_source *s = tls_source_from_pem(pem, f->error, sizeof(f->error));
	if (s == NULL)
		fail_msg("%s", f->error);
	return s;
}

static EVP_PKEY *parse_key(struct slice pem)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	BIO_free(in);
	assert_non_null(key);
	return key;
}

static void test_new_keys(void **state)
{
	static const struct {
		const char *name;
		int id, bits;
		enum tls_cert_kind kind;
	} rows[] = {{"ecdsa", EVP_PKEY_EC, 256, TLS_CERT_ECDSA},
		    {"rsa2048", EVP_PKEY_RSA, 2048, TLS_CERT_RSA},
		    {"rsa3072", EVP_PKEY_RSA, 3072, TLS_CERT_RSA}};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum tls_key_type type;
		assert_true(tls_key_type_from_text(rows[i].name, &type));
		assert_string_equal(tls_key_type_name(type), rows[i].name);
		buf_reset(&f->key);
		assert_true(tls_key_make(type, &f->key, f->error, sizeof(f->error)));
		EVP_PKEY *key = parse_key(buf_slice(&f->key));
		assert_int_equal(EVP_PKEY_get_base_id(key), rows[i].id);
		assert_int_equal(EVP_PKEY_get_bits(key), rows[i].bits);
		EVP_PKEY_free(key);
		struct tls_source *s = source(f, buf_slice(&f->key));
		assert_int_equal(tls_source_kind(s), TLS_SOURCE_PRIVATE);
		assert_int_equal(tls_source_key_kind(s), rows[i].kind);
		assert_null(tls_source_chain(s));
		assert_null(tls_source_host(s, &f->mem));
		tls_source_free(&s);
	}
	enum tls_key_type none;
	assert_false(tls_key_type_from_text("dsa", &none));
	assert_false(tls_key_type_from_text("", &none));
}

static void test_two_keys_differ(void **state)
{
	struct fixture *f = *state;
	struct buf other;
	buf_init(&other, TLS_KEY_PEM_MAX);
	assert_true(tls_key_make(TLS_KEY_ECDSA_P256, &f->key, f->error, sizeof(f->error)));
	assert_true(tls_key_make(TLS_KEY_ECDSA_P256, &other, f->error, sizeof(f->error)));
	assert_false(slice_eq(buf_slice(&f->key), buf_slice(&other)));
	buf_free(&other);
}

/* The request is for this key and these names, and signed with it. */
static void test_request(void **state)
{
	static const char *const names[] = {"mx.example.org", "mx2.example.org"};
	struct fixture *f = *state;
	assert_true(tls_key_make(TLS_KEY_ECDSA_P256, &f->key, f->error, sizeof(f->error)));
	assert_true(tls_request_make(buf_slice(&f->key), names, 2, &f->request, f->error,
				     sizeof(f->error)));
	struct slice pem = buf_slice(&f->request);
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_REQ *r = PEM_read_bio_X509_REQ(in, NULL, NULL, NULL);
	EVP_PKEY *key = parse_key(buf_slice(&f->key));
	assert_non_null(r);
	assert_int_equal(X509_REQ_verify(r, key), 1);
	STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(r);
	GENERAL_NAMES *alt = X509V3_get_d2i(all, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(alt), 2);
	for (int i = 0; i < 2; i++) {
		const ASN1_IA5STRING *text = sk_GENERAL_NAME_value(alt, i)->d.dNSName;
		assert_int_equal(ASN1_STRING_length(text), strlen(names[i]));
		assert_memory_equal(ASN1_STRING_get0_data(text), names[i], strlen(names[i]));
	}
	GENERAL_NAMES_free(alt);
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	EVP_PKEY_free(key);
	X509_REQ_free(r);
	BIO_free(in);
}

static void test_request_refusals(void **state)
{
	static const char *const names[] = {"mx.example.org"};
	struct fixture *f = *state;
	assert_false(tls_request_make(SLICE_LIT("no key"), names, 1, &f->request, f->error,
				      sizeof(f->error)));
	assert_true(f->error[0] != '\0');
	assert_true(tls_key_make(TLS_KEY_ECDSA_P256, &f->key, f->error, sizeof(f->error)));
	assert_false(tls_request_make(buf_slice(&f->key), names, 0, &f->request, f->error,
				      sizeof(f->error)));
	char longest[254];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	const char *one[] = {longest};
	/* Longer than a CN may be: then there is none. */
	assert_true(
	    tls_request_make(buf_slice(&f->key), one, 1, &f->request, f->error, sizeof(f->error)));
}

/* A key and its request make the same record, and each matches the other's (RFC 6698 s2.1). */
static void test_records(void **state)
{
	static const char *const names[] = {"mx.example.org"};
	struct fixture *f = *state;
	assert_true(tls_key_make(TLS_KEY_RSA_2048, &f->key, f->error, sizeof(f->error)));
	assert_true(tls_request_make(buf_slice(&f->key), names, 1, &f->request, f->error,
				     sizeof(f->error)));
	struct tls_source *key = source(f, buf_slice(&f->key));
	struct tls_source *request = source(f, buf_slice(&f->request));
	assert_int_equal(tls_source_kind(request), TLS_SOURCE_REQUEST);
	EVP_PKEY *raw = parse_key(buf_slice(&f->key));
	unsigned char *der = NULL, digest[64];
	int n = i2d_PUBKEY(raw, &der);
	for (uint8_t mtype = 0; mtype <= 2; mtype++) {
		struct tlsa like = {.usage = 3, .selector = 1, .mtype = mtype}, a, b;
		unsigned len = (unsigned)n;
		const unsigned char *want = der;
		if (mtype > 0) {
			EVP_Digest(der, (size_t)n, digest, &len,
				   mtype == 1 ? EVP_sha256() : EVP_sha512(), NULL);
			want = digest;
		}
		assert_true(
		    tls_source_record(key, 0, &like, &f->mem, &a, f->error, sizeof(f->error)));
		assert_true(
		    tls_source_record(request, 0, &like, &f->mem, &b, f->error, sizeof(f->error)));
		assert_int_equal(tlsa_cmp(&a, &b), 0);
		assert_true(slice_eq(a.data, slice_make(want, len)));
		assert_true(tls_source_matches(request, &a));
		/* A bare key says nothing about a CA. */
		a.usage = 2;
		assert_false(tls_source_matches(request, &a));
	}
	OPENSSL_free(der);
	EVP_PKEY_free(raw);
	tls_source_free(&key);
	tls_source_free(&request);
}

/* A certificate of this key, with itself as its issuer, as PEM. */
static void add_certificate(struct buf *out, EVP_PKEY *key)
{
	X509 *cert = X509_new();
	BIO *pem = BIO_new(BIO_s_mem());
	char *text = NULL;
	X509_set_version(cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(pem, cert), 1);
	size_t n = (size_t)BIO_get_mem_data(pem, &text);
	buf_add(out, text, n);
	BIO_free(pem);
	X509_free(cert);
}

/* RFC 7671 s5.1, s5.2: a DANE-EE record is about the leaf, a DANE-TA record about any of the chain,
 * and one of another key about none of it. */
static void test_matches_of_a_chain(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *leaf = EVP_EC_gen("P-256"), *above = EVP_EC_gen("P-256"),
		 *other = EVP_EC_gen("P-256");
	struct {
		uint8_t usage;
		EVP_PKEY *key;
		bool matches;
	} rows[] = {{3, leaf, true},  {2, leaf, true},   {3, above, false},
		    {2, above, true}, {3, other, false}, {2, other, false}};
	struct buf pem, single;
	buf_init(&pem, TEXT_MAX);
	buf_init(&single, TEXT_MAX);
	add_certificate(&pem, leaf);
	add_certificate(&pem, above);
	struct tls_source *chain = source(f, buf_slice(&pem));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tlsa like = {.usage = 3, .selector = 1, .mtype = 1}, rr;
		buf_reset(&single);
		add_certificate(&single, rows[i].key);
		struct tls_source *one = source(f, buf_slice(&single));
		assert_true(
		    tls_source_record(one, 0, &like, &f->mem, &rr, f->error, sizeof(f->error)));
		rr.usage = rows[i].usage;
		assert_int_equal(tls_source_matches(chain, &rr), rows[i].matches);
		rr.short_rdata = true;
		assert_false(tls_source_matches(chain, &rr));
		tls_source_free(&one);
	}
	tls_source_free(&chain);
	buf_free(&pem);
	buf_free(&single);
	EVP_PKEY_free(leaf);
	EVP_PKEY_free(above);
	EVP_PKEY_free(other);
}

static void test_record_refusals(void **state)
{
	static const struct tlsa bad[] = {{.usage = 3, .selector = 0, .mtype = 1},
					  {.usage = 3, .selector = 2, .mtype = 1},
					  {.usage = 3, .selector = 1, .mtype = 3}};
	struct fixture *f = *state;
	struct tlsa out;
	assert_true(tls_key_make(TLS_KEY_ECDSA_P256, &f->key, f->error, sizeof(f->error)));
	struct tls_source *key = source(f, buf_slice(&f->key));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->error[0] = '\0';
		assert_false(
		    tls_source_record(key, 0, &bad[i], &f->mem, &out, f->error, sizeof(f->error)));
		assert_true(f->error[0] != '\0');
	}
	struct tlsa good = {.usage = 3, .selector = 1, .mtype = 1};
	assert_false(tls_source_record(key, 1, &good, &f->mem, &out, f->error, sizeof(f->error)));
	struct tlsa cut = {.usage = 3, .selector = 1, .mtype = 1, .short_rdata = true};
	assert_false(tls_source_matches(key, &cut));
	tls_source_free(&key);
}

/* Every prefix of a file is refused or read, and nothing else happens. */
static void test_every_prefix(void **state)
{
	struct fixture *f = *state;
	assert_true(tls_key_make(TLS_KEY_ECDSA_P256, &f->key, f->error, sizeof(f->error)));
	struct slice all = buf_slice(&f->key);
	unsigned read = 0;
	for (size_t n = 0; n <= all.n; n++) {
		struct tls_source *s =
		    tls_source_from_pem(slice_first(all, n), f->error, sizeof(f->error));
		read += s != NULL;
		if (s == NULL)
			assert_true(f->error[0] != '\0');
		tls_source_free(&s);
	}
	assert_true(read >= 1 && read <= 2); /* with and without the last line end */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_new_keys, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_two_keys_differ, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_request, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_request_refusals, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_records, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_record_refusals, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_matches_of_a_chain, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_every_prefix, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
