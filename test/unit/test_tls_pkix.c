/* SPDX-License-Identifier: MIT */
/* Submission servers (S1, RFC 9525): the system's CAs and exactly one name; and that no other
 * connection ever sees those CAs. */
#include "test_tls_fixture.h"
#include "unit.h"

#include <openssl/pem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* SSL_CERT_FILE as the system's store: this certificate and nothing else. NULL: none at all. */
static void trust(X509 *ca)
{
	char path[] = "/tmp/danelaw-pkix-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	FILE *file = fdopen(fd, "w");
	if (ca != NULL)
		PEM_write_X509(file, ca);
	fclose(file);
	const char *old = getenv("SSL_CERT_FILE");
	if (old != NULL)
		unlink(old);
	setenv("SSL_CERT_FILE", path, 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
}

static struct tls_terms terms_pkix(const char *name)
{
	return (struct tls_terms){
	    .policy = HOST_PKIX, .sni = name, .reference_names = {name}, .nreference_names = 1};
}

enum anchor { ANCHOR_ROOT, ANCHOR_OTHER, ANCHOR_NONE };

struct pkix_row {
	const char *rule;
	const char *wanted;
	const char *cn, *san, *extended;
	int days; /* until it expires */
	enum anchor anchor;
	enum reason reason;
};

static const struct pkix_row rows[] = {
    {"S1: the name and a CA of the system", "smtp.example.org", "x",
     "DNS:a.example,DNS:smtp.example.org", "serverAuth", 9, ANCHOR_ROOT, REASON_OK},
    {"RFC 9525 s6.3: a wildcard as the whole first label", "smtp.example.org", "x",
     "DNS:*.example.org", "serverAuth", 9, ANCHOR_ROOT, REASON_OK},
    {"RFC 9525 s6.3: not a part of a label", "smtp.example.org", "x", "DNS:sm*.example.org",
     "serverAuth", 9, ANCHOR_ROOT, REASON_CERT_HOST_MISMATCH},
    {"RFC 9525 s6.3: one label, not two", "a.smtp.example.org", "x", "DNS:*.example.org",
     "serverAuth", 9, ANCHOR_ROOT, REASON_CERT_HOST_MISMATCH},
    {"another name", "smtp.example.org", "x", "DNS:smtp.example.net", "serverAuth", 9, ANCHOR_ROOT,
     REASON_CERT_HOST_MISMATCH},
    {"the domain above is another name", "smtp.example.org", "x", "DNS:example.org", "serverAuth",
     9, ANCHOR_ROOT, REASON_CERT_HOST_MISMATCH},
    {"RFC 9525 s2: never the common name", "smtp.example.org", "smtp.example.org", NULL,
     "serverAuth", 9, ANCHOR_ROOT, REASON_CERT_HOST_MISMATCH},
    {"expired", "smtp.example.org", "x", "DNS:smtp.example.org", "serverAuth", -1, ANCHOR_ROOT,
     REASON_CERT_EXPIRED},
    {"a CA that the system does not know", "smtp.example.org", "x", "DNS:smtp.example.org",
     "serverAuth", 9, ANCHOR_OTHER, REASON_CERT_NOT_TRUSTED},
    {"an empty store trusts nobody", "smtp.example.org", "x", "DNS:smtp.example.org", "serverAuth",
     9, ANCHOR_NONE, REASON_CERT_NOT_TRUSTED},
    {"a certificate for clients", "smtp.example.org", "x", "DNS:smtp.example.org", "clientAuth", 9,
     ANCHOR_ROOT, REASON_CERT_NOT_TRUSTED},
};

static X509 *leaf_of(const struct fixture *f, const struct pkix_row *r)
{
	int64_t now = (int64_t)time(NULL);
	struct pki_spec s = {.cn = r->cn,
			     .san = r->san,
			     .from = now - 20 * LAB_DAY,
			     .until = now + r->days * LAB_DAY,
			     .basic = "CA:FALSE",
			     .usage = "critical,digitalSignature",
			     .extended = r->extended};
	return pki_issue(&s, f->lab.ec_key, f->lab.ca, f->lab.ca_key);
}

static void pkix_rows(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(rows) * 2; i++) {
		const struct pkix_row *r = &rows[i / 2];
		X509 *anchors[] = {f->lab.root, f->lab.other, NULL};
		X509 *leaf = leaf_of(f, r);
		struct tls_client *c = client_make(&(struct tls_client_config){.sessions_max = 9});
		struct tls_terms terms = terms_pkix(r->wanted);
		struct server s;
		struct pair p;
		server_make(
		    &s, &f->lab,
		    &(struct server_options){.ec_cert = leaf, .max = i % 2 ? TLS1_2_VERSION : 0});
		trust(anchors[r->anchor]);
		pair_open(&p, connect_with(c, &terms, &(struct tls_options){.peer = "a:587"}), &s);
		enum tls_state got = pair_run(&p);
		const struct tls_facts *x = tls_facts(p.t);
		if (x->reason != r->reason || x->authenticated != (r->reason == REASON_OK) ||
		    (got == TLS_UP) != (r->reason == REASON_OK))
			fail_msg("%s: %s: %s", r->rule, reason_name(x->reason), x->detail);
		assert_false(x->match.present);
		if (r->reason != REASON_OK)
			assert_true(x->detail[0] != '\0');
		pair_close(&p);
		server_free(&s);
		tls_client_free(&c);
		X509_free(leaf);
	}
}

static enum tls_state once(struct tls_client *c, struct server *s, const struct tls_terms *terms,
			   struct tls_facts *out)
{
	struct pair p;
	pair_open(&p, connect_with(c, terms, &(struct tls_options){.peer = "a:587"}), s);
	enum tls_state got = pair_run(&p);
	if (got == TLS_UP) { /* tickets arrive */
		pair_server_write(&p, "220\r\n", 5);
		pair_run(&p);
	}
	*out = *tls_facts(p.t);
	pair_close(&p);
	return got;
}

/* After the store was loaded for one: DANE still wants its records, and nothing is resumed. */
static void store_is_apart(void **state)
{
	struct fixture *f = *state;
	struct tls_client *c = client_make(&(struct tls_client_config){.sessions_max = 9});
	struct tls_terms pkix = terms_pkix(LAB_BASE), dane = terms_dane(&f->wrong);
	struct tls_facts x;
	struct server s;
	server_make(&s, &f->lab, &(struct server_options){0});
	trust(f->lab.root);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(once(c, &s, &pkix, &x), TLS_UP);
		assert_false(x.resumed);
	}
	assert_int_equal(once(c, &s, &dane, &x), TLS_FAILED);
	assert_int_equal(x.reason, REASON_TLSA_INVALID);
	server_free(&s);
	tls_client_free(&c);
}

/* One name, not none and not two; and a host that is not to be connected to is not. */
static void closed_terms(void **state)
{
	struct fixture *f = *state;
	struct tls_terms none = terms_pkix("a.example"), two = none, dot = terms_pkix(".example"),
			 skip = terms_without(HOST_SKIP);
	const struct tls_terms *bad[] = {&none, &two, &dot, &skip};
	char error[256];
	none.nreference_names = 0;
	two.reference_names[1] = "b.example";
	two.nreference_names = 2;
	for (size_t i = 0; i < ROWS(bad); i++)
		assert_null(tls_connect(f->client, bad[i], &plain_options, error, sizeof(error)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pkix_rows),
	    cmocka_unit_test(store_is_apart),
	    cmocka_unit_test(closed_terms),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);
	const char *store = getenv("SSL_CERT_FILE");
	if (store != NULL)
		unlink(store);
	return failed;
}
