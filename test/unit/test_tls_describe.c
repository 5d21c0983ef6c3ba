/* SPDX-License-Identifier: MIT */
/* What a server sees of its own chains (V1): description, matches, which are shown for a name. */
#include "test_tls_serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define HOST "mx.example.org"

enum { DAY = 86400, MEM_MAX = 1 << 20 };

/* A CA, an intermediate and leaves. */
struct fixture {
	int64_t now;
	EVP_PKEY *ca_key, *inter_key, *ec, *rsa, *weak;
	X509 *ca, *inter, *leaf, *rsa_leaf, *weak_leaf, *sha1_leaf;
	struct arena mem;
};

static X509 *issue(const struct fixture *f, const char *cn, const char *san, EVP_PKEY *key,
		   X509 *issuer, EVP_PKEY *issuer_key, bool ca, bool sha1)
{
	struct pki_spec s = {.cn = cn,
			     .san = san,
			     .from = f->now - DAY,
			     .until = f->now + 90 * DAY,
			     .basic = ca ? "critical,CA:TRUE" : NULL,
			     .usage = ca ? "keyCertSign" : NULL,
			     .sha1 = sha1};
	return pki_issue(&s, key, issuer, issuer_key);
}

static int setup(void **state)
{
	static struct fixture f;
	f.now = (int64_t)time(NULL);
	f.ca_key = pki_key(PKI_P256);
	f.inter_key = pki_key(PKI_P256);
	f.ec = pki_key(PKI_P256);
	f.rsa = pki_key(PKI_RSA2048);
	f.weak = pki_key(PKI_RSA1024);
	f.ca = issue(&f, "ca", NULL, f.ca_key, NULL, NULL, true, false);
	f.inter = issue(&f, "inter", NULL, f.inter_key, f.ca, f.ca_key, true, false);
	f.leaf = issue(&f, "leaf", "DNS:" HOST, f.ec, f.inter, f.inter_key, false, false);
	f.rsa_leaf =
	    issue(&f, "rsa", "DNS:*.example.org", f.rsa, f.inter, f.inter_key, false, false);
	f.weak_leaf =
	    issue(&f, "weak", "DNS:other.example", f.weak, f.inter, f.inter_key, false, false);
	f.sha1_leaf = issue(&f, "sha1", "DNS:" HOST, f.ec, f.inter, f.inter_key, false, true);
	arena_init(&f.mem, MEM_MAX);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *const keys[] = {f->ca_key, f->inter_key, f->ec, f->rsa, f->weak};
	X509 *const certs[] = {f->ca, f->inter, f->leaf, f->rsa_leaf, f->weak_leaf, f->sha1_leaf};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		EVP_PKEY_free(keys[i]);
	for (size_t i = 0; i < sizeof(certs) / sizeof(certs[0]); i++)
		X509_free(certs[i]);
	arena_free(&f->mem);
	return 0;
}

static void pem_text(X509 *const *cert, size_t n, struct buf *out)
{
	char pem[SERVE_PEM_MAX];
	buf_init(out, (size_t)8 * SERVE_PEM_MAX);
	for (size_t i = 0; i < n; i++) {
		pem_of_cert(cert[i], pem);
		buf_add_str(out, pem);
	}
}

static struct tls_chain *chain_of(X509 *const *cert, size_t n)
{
	char error[256];
	struct buf b;
	pem_text(cert, n, &b);
	struct tls_chain *c = tls_chain_from_pem(buf_slice(&b), error, sizeof(error));
	buf_free(&b);
	assert_non_null(c);
	return c;
}

static void describe(struct fixture *f, X509 *const *cert, size_t n, const char *name,
		     struct tls_chain_facts *out)
{
	struct tls_chain *c = chain_of(cert, n);
	assert_true(tls_chain_describe(&f->mem, c, name, out));
	assert_int_equal(out->ncert, n);
	tls_chain_free(&c);
}

static void test_description(void **state)
{
	struct fixture *f = *state;
	X509 *const full[] = {f->leaf, f->inter, f->ca}, *const rsa[] = {f->rsa_leaf, f->inter},
		    *const shuffled[] = {f->leaf, f->ca, f->inter},
		    *const weak[] = {f->weak_leaf, f->inter}, *const sha1[] = {f->sha1_leaf};
	struct tls_chain_facts d;
	describe(f, full, 3, HOST, &d);
	assert_int_equal(d.kind, TLS_CERT_ECDSA);
	assert_true(d.named);
	assert_true(d.complete);
	assert_int_equal(d.disorder, -1);
	assert_null(d.weak);
	describe(f, full, 3, "other.example.org", &d);
	assert_false(d.named);
	describe(f, rsa, 2, HOST, &d);
	assert_int_equal(d.kind, TLS_CERT_RSA);
	assert_true(d.named); /* by a wildcard of one label (T5) */
	assert_false(d.complete);
	describe(f, rsa, 2, "a.b.example.org", &d);
	assert_false(d.named);
	describe(f, shuffled, 3, HOST, &d);
	assert_int_equal(d.disorder, 0);
	describe(f, weak, 2, HOST, &d);
	assert_non_null(strstr(d.weak, "RSA 1024"));
	describe(f, sha1, 1, HOST, &d);
	assert_non_null(strstr(d.weak, "SHA-1"));
}

/* RFC 7671 s5: usage 3 is about the leaf, usage 2 about what stands above it. */
static void test_matches(void **state)
{
	struct fixture *f = *state;
	X509 *const full[] = {f->leaf, f->inter, f->ca}, *const alone[] = {f->leaf};
	const struct {
		uint8_t usage, selector, mtype;
		X509 *cert;
		bool short_chain, matches;
		int depth;
	} row[] = {
	    {3, 1, 1, f->leaf, false, true, 0},   {3, 0, 2, f->leaf, false, true, 0},
	    {3, 1, 1, f->inter, false, false, 0}, {2, 1, 1, f->leaf, false, false, 0},
	    {2, 1, 1, f->inter, false, true, 1},  {2, 0, 1, f->ca, false, true, 2},
	    {2, 0, 1, f->ca, true, false, 0},     {2, 0, 0, f->inter, true, true, -1},
	    {1, 1, 1, f->leaf, false, false, 0},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t store[PKI_DATA_MAX];
		struct tlsa rr =
		    pki_tlsa(row[i].usage, row[i].selector, row[i].mtype, row[i].cert, store);
		struct tls_chain *c =
		    chain_of(row[i].short_chain ? alone : full, row[i].short_chain ? 1 : 3);
		int depth = 99;
		assert_int_equal(tls_chain_matches(c, &rr, &depth), row[i].matches);
		if (row[i].matches)
			assert_int_equal(depth, row[i].depth);
		tls_chain_free(&c);
	}
}

static void test_equal(void **state)
{
	struct fixture *f = *state;
	X509 *const full[] = {f->leaf, f->inter}, *const other[] = {f->rsa_leaf, f->inter};
	struct tls_chain *a = chain_of(full, 2), *b = chain_of(full, 2), *c = chain_of(other, 2),
			 *d = chain_of(full, 1);
	assert_true(tls_chain_equal(a, b));
	assert_false(tls_chain_equal(a, c));
	assert_false(tls_chain_equal(a, d));
	struct buf pem;
	buf_init(&pem, (size_t)4 * SERVE_PEM_MAX);
	tls_chain_to_pem(a, &pem);
	char error[256];
	struct tls_chain *back = tls_chain_from_pem(buf_slice(&pem), error, sizeof(error));
	assert_non_null(back);
	assert_true(tls_chain_equal(a, back));
	buf_free(&pem);
	struct tls_chain *all[] = {a, b, c, d, back};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tls_chain_free(&all[i]);
}

/* RFC 6066 s3, V1: of each kind of key the first that has the name; without keys nobody can
 * connect. */
static void test_shown(void **state)
{
	struct fixture *f = *state;
	X509 *const leaves[] = {f->weak_leaf, f->leaf, f->rsa_leaf};
	struct buf pem[3];
	struct tls_server_cert cert[3] = {0};
	char error[256] = "";
	size_t out[TLS_SERVER_KINDS_MAX];
	for (size_t i = 0; i < 3; i++) {
		pem_text(&leaves[i], 1, &pem[i]);
		cert[i] =
		    (struct tls_server_cert){.chain_file = "x", .chain_pem = buf_slice(&pem[i])};
	}
	struct tls_server_config config = {.cert = cert, .ncert = 3, .public_only = true};
	struct tls_server *s = tls_server_new(&config, f->now, error, sizeof(error));
	assert_non_null(s);
	assert_int_equal(tls_server_shown(s, HOST, out), 2);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[1], 2);
	assert_int_equal(tls_server_shown(s, "another.example.org", out), 1);
	assert_int_equal(out[0], 2);
	assert_int_equal(tls_server_shown(s, "unknown.test", out), 1);
	assert_int_equal(out[0], 0);
	assert_null(tlss_accept(s, f->now, error, sizeof(error)));
	tls_server_free(&s);
	for (size_t i = 0; i < 3; i++)
		buf_free(&pem[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_description),
	    cmocka_unit_test(test_matches),
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_shown),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
