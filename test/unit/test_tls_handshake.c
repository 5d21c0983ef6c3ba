/* SPDX-License-Identifier: MIT */
/*
 * Handshakes in memory against an OpenSSL server: what a connection reports, policies, kinds of
 * keys, mismatch and poison (T5, T6, T7, T10, T11). The bytes are in test_tls_bytes.c, resumption
 * (T9) in test_tls_resume.c.
 */
#include "test_tls_fixture.h"

#include "tls/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- What a handshake says --- */

static void test_facts(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	const struct tls_facts *x = tls_facts(p.t);
	assert_true(x->authenticated);
	assert_int_equal(x->reason, REASON_OK);
	assert_string_equal(x->version, "TLSv1.3");
	assert_string_equal(x->cipher, "TLS_AES_128_GCM_SHA256");
	assert_string_equal(x->group, "x25519");
	assert_string_equal(x->detail, "");
	assert_false(x->resumed);
	assert_true(x->match.present);
	assert_int_equal(x->match.usage, 3);
	assert_int_equal(x->match.record, 0);
	assert_int_equal(x->match.depth, 0);
	assert_null(x->match.name);
	assert_int_equal(x->nchain, 3);
	assert_string_equal(x->chain[0].subject, "CN=leaf");
	assert_string_equal(x->chain[0].issuer, "CN=Lab CA");
	assert_string_equal(x->chain[0].names, LAB_BASE " " LAB_NEXT_HOP);
	assert_string_equal(x->chain[0].key, "EC P-256");
	assert_string_equal(x->chain[2].subject, "CN=Lab Root");
	assert_int_equal(x->chain[0].not_after - x->chain[0].not_before, 91 * LAB_DAY);
	assert_ptr_equal(x->chain, tls_facts(p.t)->chain);
	char hex[65];
	uint8_t digest[PKI_DATA_MAX];
	pki_tlsa_data(f->lab.ec, TLSA_CERT, TLSA_SHA256, digest);
	hex_encode(slice_make(digest, 32), hex);
	assert_string_equal(x->chain[0].sha256, hex);
	pki_tlsa_data(f->lab.ec, TLSA_SPKI, TLSA_SHA256, digest);
	hex_encode(slice_make(digest, 32), hex);
	assert_string_equal(x->chain[0].spki_sha256, hex);
	/* T5: the server saw the base domain. */
	assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), LAB_BASE);
	pair_close(&p);
	server_free(&s);
}

static void test_trust_anchor(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_terms terms = terms_dane(&f->ta);
	server_make(&s, &f->lab, &(struct server_options){.max = TLS1_2_VERSION});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	assert_int_equal(tls_facts(p.t)->match.usage, 2);
	assert_int_equal(tls_facts(p.t)->match.depth, 1);
	assert_string_equal(tls_facts(p.t)->match.name, LAB_BASE);
	assert_string_equal(tls_facts(p.t)->version, "TLSv1.2");
	assert_string_equal(tls_facts(p.t)->group, "x25519");
	pair_close(&p);
	/* Only the next hop is named: the second reference name carries it. */
	terms.reference_names[0] = "mx2.example.org";
	terms.sni = terms.reference_names[0];
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	assert_string_equal(tls_facts(p.t)->match.name, LAB_NEXT_HOP);
	pair_close(&p);
	terms.nreference_names = 1;
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_FAILED);
	assert_int_equal(tls_facts(p.t)->reason, REASON_CERT_HOST_MISMATCH);
	assert_string_equal(tls_facts(p.t)->detail, "certificate names " LAB_BASE " " LAB_NEXT_HOP
						    ", wanted mx2.example.org");
	assert_int_equal(tls_facts(p.t)->x509_error, X509_V_ERR_HOSTNAME_MISMATCH);
	pair_close(&p);
	server_free(&s);
}

/* What a connection was told it keeps: the caller's memory may be gone before the server answers.
 */
static void test_terms_are_copied(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	char sni[] = "mx2.example.org", names[2][32] = {"mx2.example.org", "mx3.example.org"};
	struct tls_terms terms = terms_dane(&f->ta);
	terms.sni = sni;
	terms.reference_names[0] = names[0];
	terms.reference_names[1] = names[1];
	server_make(&s, &f->lab, &(struct server_options){0});
	struct tls_conn *t = connect_with(f->client, &terms, &plain_options);
	memset(sni, 'x', sizeof(sni) - 1);
	memset(names, 'x', sizeof(names));
	memset(&terms, 0xff, sizeof(terms));
	pair_open(&p, t, &s);
	assert_int_equal(pair_run(&p), TLS_FAILED);
	assert_string_equal(tls_facts(p.t)->detail, "certificate names " LAB_BASE " " LAB_NEXT_HOP
						    ", wanted mx2.example.org or mx3.example.org");
	assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name),
			    "mx2.example.org");
	pair_close(&p);
	server_free(&s);
}

/* T7: no verification is no success, whatever error it left; nor is one that ran out of memory. */
static void test_no_verification(void **state)
{
	static const struct {
		bool ran;
		int error;
		enum reason reason;
	} rows[] = {
	    {true, X509_V_OK, REASON_OK},
	    {false, X509_V_OK, REASON_LOCAL_ERROR},
	    {true, X509_V_ERR_OUT_OF_MEM, REASON_LOCAL_ERROR},
	    {false, X509_V_ERR_OUT_OF_MEM, REASON_LOCAL_ERROR},
	    {false, X509_V_ERR_CERT_HAS_EXPIRED, REASON_LOCAL_ERROR},
	};
	struct fixture *f = *state;
	struct tls_terms terms = terms_dane(&f->ee);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct chain_check k = {.ran = rows[i].ran, .error = rows[i].error};
		assert_int_equal(tls_verdict_reason(&k, &terms), rows[i].reason);
	}
}

/* RFC 6066 s3: a name of one letter is one; none at all is not sent. */
static void test_short_server_names(void **state)
{
	static const char *const names[] = {"m", "", NULL};
	struct fixture *f = *state;
	for (size_t i = 0; i < 3; i++) {
		struct server s;
		struct pair p;
		struct tls_terms terms = terms_without(HOST_ENCRYPT);
		terms.sni = names[i];
		server_make(&s, &f->lab, &(struct server_options){0});
		assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
		const char *seen = SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name);
		if (i == 0)
			assert_string_equal(seen, "m");
		else
			assert_null(seen);
		pair_close(&p);
		server_free(&s);
	}
}

static void test_groups(void **state)
{
	struct fixture *f = *state;
	static const char *const row[][2] = {
	    {"X25519", "x25519"}, {"P-256", "P-256"}, {"P-384", "P-384"}};
	struct tls_terms terms = terms_dane(&f->ee);
	for (size_t i = 0; i < 6; i++) {
		struct server s;
		struct pair p;
		server_make(&s, &f->lab,
			    &(struct server_options){.groups = row[i / 2][0],
						     .max = i % 2 ? TLS1_2_VERSION : 0});
		assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
		assert_string_equal(tls_facts(p.t)->group, row[i / 2][1]);
		pair_close(&p);
		server_free(&s);
	}
}

/* Names in a certificate are the peer's choice: they stay on their line and in their word. */
static void test_odd_names(void **state)
{
	struct fixture *f = *state;
	uint8_t der[PKI_DATA_MAX];
	char error[128];
	struct arena mem;
	struct pki_spec spec = {.cn = "a,b=c\nreason=ok \xc3\xa9\x1b[2J",
				.san = "DNS:a b\x01\x1b\x7f.example,DNS:c",
				.until = 4 * LAB_DAY};
	X509 *cert = pki_issue(&spec, f->lab.ec_key, NULL, NULL);
	struct slice s = slice_make(der, pki_tlsa_data(cert, TLSA_CERT, TLSA_FULL, der));
	struct tls_chain *c = tls_chain_from_der(&s, 1, error, sizeof(error));
	struct tls_terms terms = terms_dane(&f->ee);
	arena_init(&mem, 1 << 20);
	const struct tls_facts *x = tls_verify(&mem, c, &terms, LAB_DAY);
	assert_non_null(x);
	assert_true(x->authenticated); /* 3 1 1: the key is what counts */
	assert_string_equal(x->chain[0].names, "a?b???.example c");
	assert_string_equal(x->chain[0].subject, "CN=a\\,b=c\\0Areason=ok \\C3\\A9\\1B[2J");
	arena_free(&mem);
	tls_chain_free(&c);
	X509_free(cert);
}

/* --- Policies --- */

static void test_encrypt_and_may(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		struct pair p;
		struct tls_terms terms = terms_without(i == 0 ? HOST_ENCRYPT : HOST_MAY);
		server_make(&s, &f->lab, &(struct server_options){.ec_cert = f->lab.ec_expired});
		assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
		assert_false(tls_facts(p.t)->authenticated);
		assert_false(tls_facts(p.t)->match.present);
		assert_int_equal(tls_facts(p.t)->reason, REASON_OK);
		assert_int_equal(tls_facts(p.t)->nchain, 3);
		pair_close(&p);
		server_free(&s);
	}
}

/* T6, T11: who may speak which version. */
static void test_versions(void **state)
{
	struct fixture *f = *state;
	static const int version[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
	for (size_t i = 0; i < 12; i++) {
		struct server s;
		struct pair p;
		bool may = i / 4 == 2, modern = version[i % 4] >= TLS1_2_VERSION;
		struct tls_terms terms =
		    i / 4 == 0 ? terms_dane(&f->ee) : terms_without(may ? HOST_MAY : HOST_ENCRYPT);
		server_make(&s, &f->lab,
			    &(struct server_options){
				.min = version[i % 4], .max = version[i % 4], .rsa = true});
		enum tls_state got = handshake(f, &p, &s, &terms, &plain_options);
		assert_int_equal(got, may || modern ? TLS_UP : TLS_FAILED);
		if (got == TLS_FAILED) {
			assert_int_equal(tls_facts(p.t)->reason, REASON_TLS_FAILED);
			assert_string_equal(tls_facts(p.t)->detail, "tlsv1 alert protocol version");
		}
		pair_close(&p);
		server_free(&s);
	}
}

/* T6: no anonymous cipher suites, ever, offered or accepted. */
static void test_anonymous_server(void **state)
{
	struct fixture *f = *state;
	struct server s;
	server_make(&s, &f->lab,
		    &(struct server_options){
			.anonymous = true, .max = TLS1_2_VERSION, .ciphers = "aNULL:@SECLEVEL=0"});
	for (int i = 0; i < 3; i++) {
		struct pair p;
		struct tls_terms terms =
		    i == 0 ? terms_dane(&f->ee) : terms_without(i == 1 ? HOST_ENCRYPT : HOST_MAY);
		assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_FAILED);
		assert_int_equal(tls_facts(p.t)->reason, REASON_TLS_FAILED);
		assert_non_null(strstr(tls_facts(p.t)->detail, "handshake failure"));
		pair_close(&p);
	}
	server_free(&s);
}

static void check_hello(const uint8_t *p, size_t n)
{
	/* RFC 8446 s4.1.2: record header 5, handshake header 4, version 2, random 32, session id */
	size_t at = 5 + 4 + 2 + 32;
	assert_true(n > at && n < 400);
	at += 1 + p[at];
	size_t suites = (size_t)p[at] << 8 | p[at + 1];
	assert_true(suites / 2 <= 24);
	SSL_CTX *all = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_set_cipher_list(all, "ALL:COMPLEMENTOFALL:@SECLEVEL=0"), 1);
	SSL *ssl = SSL_new(all);
	size_t seen = 0;
	for (size_t i = 0; i < suites; i += 2) {
		if (p[at + 2 + i] == 0x00 && p[at + 3 + i] == 0xff)
			continue; /* RFC 5746: the signalling value, no suite */
		const SSL_CIPHER *c = SSL_CIPHER_find(ssl, p + at + 2 + i);
		assert_non_null(c);
		seen++;
		int auth = SSL_CIPHER_get_auth_nid(c);
		assert_true(auth == NID_auth_rsa || auth == NID_auth_ecdsa || auth == NID_auth_any);
		assert_true(SSL_CIPHER_get_bits(c, NULL) >= 128);
		assert_int_not_equal(SSL_CIPHER_get_digest_nid(c), NID_md5);
	}
	assert_true(seen >= 5);
	at += 2 + suites;
	assert_int_equal(p[at], 1); /* compression: only null */
	assert_int_equal(p[at + 1], 0);
	SSL_free(ssl);
	SSL_CTX_free(all);
}

static void test_client_hello(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 9; i++) {
		struct tls_terms terms = i / 3 == 0
					     ? terms_dane(&f->ee)
					     : terms_without(i / 3 == 1 ? HOST_ENCRYPT : HOST_MAY);
		struct tls_options o = {.no_resumption = true, .kind = (enum tls_cert_kind)(i % 3)};
		struct tls_conn *t = connect_with(f->client, &terms, &o);
		struct buf b;
		buf_init(&b, 4096);
		tls_pending(t, &b);
		if (i == 0)
			print_message("ClientHello: %zu octets\n", buf_len(&b));
		check_hello(buf_slice(&b).p, buf_len(&b));
		buf_free(&b);
		tls_conn_free(&t);
	}
}

/* Probing RSA and ECDSA apart, in both versions. */
static void test_kinds(void **state)
{
	struct fixture *f = *state;
	static const char *const key[] = {NULL, "RSA 2048", "EC P-256"};
	struct records both;
	records_init(&both);
	records_add(&both, 3, 1, 1, f->lab.ec);
	records_add(&both, 3, 1, 1, f->lab.rsa);
	struct tls_terms terms = terms_dane(&both);
	for (int i = 0; i < 12; i++) {
		enum tls_cert_kind kind = (enum tls_cert_kind)(i % 3);
		struct tls_options o = {.no_resumption = true, .kind = kind};
		struct server s;
		struct pair p;
		bool ec_only = i >= 6;
		server_make(&s, &f->lab,
			    &(struct server_options){.rsa = !ec_only,
						     .max = i / 3 % 2 ? TLS1_2_VERSION : 0});
		bool up = !(ec_only && kind == TLS_CERT_RSA);
		assert_int_equal(handshake(f, &p, &s, &terms, &o), up ? TLS_UP : TLS_FAILED);
		if (up && key[kind] != NULL)
			assert_string_equal(tls_facts(p.t)->chain[0].key, key[kind]);
		if (up)
			assert_int_equal(tls_facts(p.t)->match.record,
					 tls_facts(p.t)->chain[0].key[0] == 'R');
		pair_close(&p);
		server_free(&s);
	}
	records_free(&both);
}

/* Static RSA needs no signature: a probe for ECDSA must not end up there. */
static void test_kind_without_signature(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct records rsa;
	records_init(&rsa);
	records_add(&rsa, 3, 1, 1, f->lab.rsa);
	struct tls_terms terms = terms_dane(&rsa);
	server_make(&s, &f->lab,
		    &(struct server_options){.no_ec = true,
					     .rsa = true,
					     .max = TLS1_2_VERSION,
					     .ciphers = "AES128-GCM-SHA256:@SECLEVEL=0"});
	for (int i = 0; i < 3; i++) {
		struct tls_options o = {.no_resumption = true, .kind = (enum tls_cert_kind)i};
		assert_int_equal(handshake(f, &p, &s, &terms, &o),
				 o.kind == TLS_CERT_ECDSA ? TLS_FAILED : TLS_UP);
		assert_string_equal(tls_facts(p.t)->group, "");
		pair_close(&p);
	}
	server_free(&s);
	records_free(&rsa);
}

/* --- Mismatch: never up, and no plaintext leaves (T7) --- */

static void test_mismatch(void **state)
{
	struct fixture *f = *state;
	static const int max[] = {TLS1_2_VERSION, 0};
	for (int i = 0; i < 2; i++) {
		struct server s;
		struct pair p;
		struct tls_terms terms = terms_dane(&f->wrong);
		server_make(&s, &f->lab, &(struct server_options){.max = max[i]});
		pair_open(&p, connect_with(f->client, &terms, &plain_options), &s);
		p.step = 1;
		assert_int_equal(pair_run(&p), TLS_FAILED);
		const struct tls_facts *x = tls_facts(p.t);
		assert_int_equal(x->reason, REASON_TLSA_INVALID);
		assert_int_equal(x->x509_error, X509_V_ERR_DANE_NO_MATCH);
		assert_string_equal(x->detail,
				    "no certificate of 3 served matches 1 usable TLSA record");
		assert_false(x->authenticated);
		assert_int_equal(x->nchain, 3);
		size_t sent = p.client_sent;
		assert_int_equal(tls_write(p.t, SLICE_LIT("EHLO secret\r\n")), TLS_FAILED);
		tls_shutdown(p.t);
		assert_int_equal(pair_run(&p), TLS_FAILED);
		assert_int_equal(p.client_sent, sent);
		assert_int_equal(buf_len(&p.got), 0);
		assert_true(p.server_failed); /* it got our alert */
		assert_false(SSL_is_init_finished(p.ssl));
		pair_close(&p);
		server_free(&s);
	}
}

static void test_write_too_early(void **state)
{
	struct fixture *f = *state;
	struct tls_terms terms = terms_dane(&f->ee);
	struct tls_conn *t = connect_with(f->client, &terms, &plain_options);
	struct buf b;
	buf_init(&b, 4096);
	tls_pending(t, &b);
	buf_reset(&b);
	assert_int_equal(tls_write(t, SLICE_LIT("EHLO\r\n")), TLS_FAILED);
	tls_pending(t, &b);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(tls_facts(t)->reason, REASON_LOCAL_ERROR);
	buf_free(&b);
	tls_conn_free(&t);
}

/* check --days: the certificate that will have expired by then. DANE-EE ignores dates (T3). */
static void test_verify_offset(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_client *now = f->client;
	f->client = client_make(&(struct tls_client_config){.verify_offset_s = 20 * LAB_DAY});
	server_make(&s, &f->lab, &(struct server_options){.ec_cert = f->lab.ec_ten_days});
	struct tls_terms terms = terms_dane(&f->ta);
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_FAILED);
	assert_int_equal(tls_facts(p.t)->reason, REASON_CERT_EXPIRED);
	assert_non_null(strstr(tls_facts(p.t)->detail, "certificate 0 (CN=leaf) expired 20"));
	pair_close(&p);
	terms = terms_dane(&f->ee);
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_close(&p);
	tls_client_free(&f->client);
	f->client = now;
	terms = terms_dane(&f->ta);
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_close(&p);
	server_free(&s);
}

/* --- T10: what cannot be loaded poisons the attempt --- */

static void refused(struct fixture *f, const struct tls_terms *terms, const char *why)
{
	char error[256] = "";
	assert_null(tls_connect(f->client, terms, &plain_options, error, sizeof(error)));
	if (strstr(error, why) == NULL)
		fail_msg("expected \"%s\" in \"%s\"", why, error);
}

static void test_poison(void **state)
{
	struct fixture *f = *state;
	uint8_t junk[40] = {0x30, 0x26};
	struct tlsa_entry e[2] = {f->ee.set.entry[0]};
	struct tlsa_set set = {.entry = e, .n = 2, .usable = 2};
	struct tls_terms terms = terms_dane(&f->ee);
	terms.tlsa = &set;
	/* One good record does not save the set. */
	e[1].rr = (struct tlsa){.usage = 2, .mtype = 0, .data = {junk, sizeof(junk)}};
	refused(f, &terms, "OpenSSL refuses TLSA record 2 (2 0 0)");
	e[1].rr = (struct tlsa){.usage = 3, .selector = 1, .mtype = 1, .data = {junk, 31}};
	refused(f, &terms, "bad digest length");
	e[1] = e[0];
	set.unknown = true;
	refused(f, &terms, "was not judged");
	set.unknown = false;
	e[0].use = e[1].use = TLSA_BAD_USAGE;
	refused(f, &terms, "no usable TLSA record");
	set.n = 0;
	refused(f, &terms, "no usable TLSA record");
	terms.tlsa = NULL;
	refused(f, &terms, "no TLSA records");
	terms = terms_dane(&f->ee);
	terms.nreference_names = 0;
	refused(f, &terms, "no reference name");
	terms = terms_dane(&f->ee);
	terms.reference_names[1] = ".example.org";
	refused(f, &terms, "starts with a dot");
	terms.reference_names[1] = "";
	refused(f, &terms, "empty");
	terms.policy = HOST_SKIP;
	terms.reference_names[1] = LAB_NEXT_HOP;
	refused(f, &terms, "TLS policy");
}

static void test_bad_sigalgs(void **state)
{
	char error[256] = "";
	(void)state;
	struct tls_client_config c = {.sigalgs = "no such algorithm"};
	assert_null(tls_client_new(&c, error, sizeof(error)));
	assert_int_not_equal(error[0], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_trust_anchor),
	    cmocka_unit_test(test_terms_are_copied),
	    cmocka_unit_test(test_short_server_names),
	    cmocka_unit_test(test_no_verification),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_odd_names),
	    cmocka_unit_test(test_encrypt_and_may),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_anonymous_server),
	    cmocka_unit_test(test_client_hello),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_kind_without_signature),
	    cmocka_unit_test(test_mismatch),
	    cmocka_unit_test(test_write_too_early),
	    cmocka_unit_test(test_verify_offset),
	    cmocka_unit_test(test_poison),
	    cmocka_unit_test(test_bad_sigalgs),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
