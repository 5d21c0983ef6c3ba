/* SPDX-License-Identifier: MIT */
/* Loading a server's certificates: what is refused and in which words, what is only warned of. */
#include "test_tls_serve.h"

#include <openssl/pem.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct lab lab;
	struct pem good, expired, future, other, weak;
	char encrypted[SERVE_PEM_MAX];
	char folder[64];
	int64_t now;
};

static int setup(void **state)
{
	static struct fixture f;
	lab_make(&f.lab);
	int64_t now = f.now = (int64_t)time(NULL);
	const char *san = "DNS:a.example.org";
	pem_make(&f.good, &f.lab, f.lab.ec_key, "good", san, now - LAB_DAY, now + LAB_DAY);
	pem_make(&f.expired, &f.lab, f.lab.ec_key, "old", san, now - 9 * LAB_DAY, now - LAB_DAY);
	pem_make(&f.future, &f.lab, f.lab.ec_key, "new", san, now + LAB_DAY, now + 9 * LAB_DAY);
	pem_make(&f.other, &f.lab, f.lab.other_key, "other", san, now - LAB_DAY, now + LAB_DAY);
	EVP_PKEY *weak = pki_key(PKI_RSA512);
	pem_make(&f.weak, &f.lab, weak, "weak", san, now - LAB_DAY, now + LAB_DAY);
	EVP_PKEY_free(weak);
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL, phrase[] = "secret";
	PEM_write_bio_PrivateKey(b, f.lab.ec_key, EVP_aes_128_cbc(), (unsigned char *)phrase, 6,
				 NULL, NULL);
	long n = BIO_get_mem_data(b, &p);
	memcpy(f.encrypted, p, (size_t)n);
	BIO_free(b);
	snprintf(f.folder, sizeof(f.folder), "/tmp/test-tls-certs.XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	lab_free(&f->lab);
	return rmdir(f->folder);
}

static struct tls_server *load(const struct tls_server_cert *cert, size_t n, int64_t now,
			       char error[static 512])
{
	error[0] = '\0';
	struct tls_server *s =
	    tls_server_new(&(struct tls_server_config){.cert = cert, .ncert = n}, now, error, 512);
	assert_int_equal(s == NULL, error[0] != '\0');
	return s;
}

static void refused(const struct tls_server_cert *cert, size_t n, int64_t now, const char *words)
{
	char error[512];
	struct tls_server *s = load(cert, n, now, error);
	if (s != NULL || strcmp(error, words) != 0)
		fail_msg("'%s', not '%s'", error, words);
}

static void test_texts(void **state)
{
	struct fixture *f = *state;
	struct tls_server_cert c = pem_cert(&f->good);
	refused(NULL, 0, f->now, "no certificate configured");
	c.chain_pem = SLICE_LIT("hello\n");
	refused(&c, 1, f->now, "chain.pem: no certificate in the text");
	c.chain_pem = slice_str(f->good.key);
	refused(&c, 1, f->now, "chain.pem: no certificate in the text");
	c = pem_cert(&f->good);
	c.key_pem = SLICE_LIT("hello\n");
	refused(&c, 1, f->now, "key.pem: no private key in the text");
	c.key_pem = slice_str(f->good.chain);
	refused(&c, 1, f->now, "key.pem: no private key in the text");
	c.key_pem = slice_str(f->other.key);
	refused(&c, 1, f->now,
		"key.pem: the key does not belong to the first certificate of chain.pem");
	c.key_pem = slice_str(f->encrypted);
	refused(&c, 1, f->now,
		"key.pem: the private key has a passphrase; it must be stored without one");
	c = pem_cert(&f->weak);
	refused(&c, 1, f->now, "chain.pem: ee key too small");
	const char *const names[] = {"good.example", "bad name"};
	c = pem_cert(&f->good);
	c.name = names;
	c.nname = 2;
	refused(&c, 1, f->now, "chain.pem: 'bad name' is not a host name");
	/* The second of two is the bad one. */
	struct tls_server_cert two[] = {pem_cert(&f->good), pem_cert(&f->other)};
	two[1].chain_file = "two.pem";
	two[1].chain_pem = slice_str(f->good.chain);
	refused(two, 2, f->now,
		"key.pem: the key does not belong to the first certificate of two.pem");
}

static void test_names_refused(void **state)
{
	static const char *const bad[] = {"",           ".",  "a..b",  ".a",  "a b",
					  "*",          "*.", "a.*.b", "a/b", "\xc3\xbc.example",
					  "*a.example", "a\n"};
	struct fixture *f = *state;
	char error[512];
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tls_server_cert c = pem_cert(&f->good);
		c.name = &bad[i];
		c.nname = 1;
		struct tls_server *s = load(&c, 1, f->now, error);
		if (s != NULL)
			fail_msg("'%s' taken", bad[i]);
		assert_non_null(strstr(error, "is not a host name"));
	}
}

static void test_config(void **state)
{
	struct fixture *f = *state;
	char error[512] = "";
	struct tls_server_cert c = pem_cert(&f->good);
	struct tls_server *s = tls_server_new(
	    &(struct tls_server_config){
		.cert = &c, .ncert = 1, .use = TLS_SERVER_SUBMISSION, .tls10 = true},
	    f->now, error, sizeof(error));
	assert_null(s);
	assert_non_null(strstr(error, "RFC 8314"));
	tls_server_free(&s);
	refused(&c, TLS_SERVER_CERTS_MAX + 1, f->now, "too many certificates");
	c.key_file = NULL;
	c.key_pem = (struct slice){0};
	refused(&c, 1, f->now, "a certificate without a key file");
	c.chain_pem = (struct slice){0};
	c.chain_file = "";
	refused(&c, 1, f->now, "a certificate without a chain file");
}

/* --- Files --- */

static void put(const char *folder, const char *name, const char *text, mode_t mode, char *path)
{
	snprintf(path, 128, "%s/%s", folder, name);
	FILE *out = fopen(path, "we");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fchmod(fileno(out), mode), 0);
	fclose(out);
}

static void test_files(void **state)
{
	struct fixture *f = *state;
	char chain[128], key[128], error[512], want[512];
	const char *const *line = NULL;
	put(f->folder, "chain.pem", f->good.chain, 0644, chain);
	put(f->folder, "key.pem", f->good.key, 0600, key);
	struct tls_server_cert c = {.chain_file = chain, .key_file = key};
	int next = dup(STDIN_FILENO); /* the lowest number that is free */
	close(next);
	struct tls_server *s = load(&c, 1, f->now, error);
	if (s == NULL)
		fail_msg("%s", error);
	assert_int_equal(tls_server_warnings(s, &line), 0);
	tls_server_free(&s);
	int after = dup(STDIN_FILENO); /* no file was left open: a reload a day for years */
	close(after);
	assert_int_equal(after, next);

	chmod(key, 0644);
	s = load(&c, 1, f->now, error);
	assert_int_equal(tls_server_warnings(s, &line), 1);
	snprintf(want, sizeof(want), "%s: everybody can read this private key", key);
	assert_string_equal(line[0], want);
	tls_server_free(&s);

	/* Both in one file. */
	FILE *out = fopen(key, "ae");
	fputs(f->good.chain, out);
	fclose(out);
	chmod(key, 0600);
	c.chain_file = key;
	s = load(&c, 1, f->now, error);
	assert_non_null(s);
	tls_server_free(&s);

	c.chain_file = f->folder;
	snprintf(want, sizeof(want), "%s: cannot read: Is a directory", f->folder);
	refused(&c, 1, f->now, want);
	c.chain_file = "/dev/zero";
	refused(&c, 1, f->now, "/dev/zero: cannot read: File too large");
	c.chain_file = chain;
	unlink(key);
	snprintf(want, sizeof(want), "%s: cannot read: No such file or directory", key);
	refused(&c, 1, f->now, want);
	unlink(chain);
}

/* --- Issuers that this machine knows --- */

/* A CA of the machine's store, and what it has issued, now; not the leaf, and nobody else's. */
static void test_known_issuers(void **state)
{
	static const struct {
		bool ours; /* is our root in the store? */
		int depth;
		int64_t later;
		bool known;
	} rows[] = {{true, 1, 0, true},  {true, 2, 0, true},   {true, 0, 0, false},
		    {true, 3, 0, false}, {false, 1, 0, false}, {true, 1, 40000 * LAB_DAY, false}};
	struct fixture *f = *state;
	char root[SERVE_PEM_MAX], stranger[SERVE_PEM_MAX], whole[2 * SERVE_PEM_MAX], path[128],
	    error[256];
	pem_of_cert(f->lab.root, root);
	pem_of_cert(f->lab.other, stranger);
	snprintf(whole, sizeof(whole), "%s%s", f->good.chain, root);
	struct tls_chain *chain = tls_chain_from_pem(slice_str(whole), error, sizeof(error));
	assert_non_null(chain);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put(f->folder, "cas.pem", rows[i].ours ? root : stranger, 0644, path);
		setenv("SSL_CERT_FILE", path, 1);
		setenv("SSL_CERT_DIR", f->folder, 1);
		struct tls_cas *cas = tls_cas_load();
		assert_non_null(cas);
		assert_int_equal(tls_cas_know(cas, chain, rows[i].depth, f->now + rows[i].later),
				 rows[i].known);
		tls_cas_free(&cas);
		assert_false(tls_cas_know(NULL, chain, rows[i].depth, f->now));
		unlink(path);
	}
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	tls_chain_free(&chain);
}

/* --- Warnings --- */

static void warned(const struct tls_server_cert *c, int64_t now, size_t n, const char *words)
{
	char error[512];
	const char *const *line = NULL;
	struct tls_server *s = load(c, 1, now, error);
	assert_non_null(s);
	size_t got = tls_server_warnings(s, &line);
	if (got != n || (n > 0 && strstr(line[0], words) == NULL))
		fail_msg("%zu warnings: %s", got, got > 0 ? line[0] : "");
	tls_server_free(&s);
}

static void test_warnings(void **state)
{
	struct fixture *f = *state;
	struct tls_server_cert c = pem_cert(&f->good);
	warned(&c, f->now, 0, "");
	warned(&c, f->now + 2 * LAB_DAY, 1, "chain.pem: certificate 1 expired on 20");
	warned(&c, f->now + 500 * LAB_DAY, 2, "chain.pem: certificate 1 expired on 20");
	c = pem_cert(&f->expired);
	warned(&c, f->now, 1, "chain.pem: certificate 1 expired on 20");
	c = pem_cert(&f->future);
	warned(&c, f->now, 1, "chain.pem: certificate 1 is not valid before 20");
	/* Two leaves in one chain. */
	char *two = malloc(2 * SERVE_PEM_MAX);
	snprintf(two, 2 * SERVE_PEM_MAX, "%s%s", f->good.chain, f->good.chain);
	c = pem_cert(&f->good);
	c.chain_pem = slice_str(two);
	warned(&c, f->now, 1, "chain.pem: certificate 2 was not issued by certificate 3");
	free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts),  cmocka_unit_test(test_names_refused),
	    cmocka_unit_test(test_config), cmocka_unit_test(test_known_issuers),
	    cmocka_unit_test(test_files),  cmocka_unit_test(test_warnings),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
