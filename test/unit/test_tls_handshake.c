/* SPDX-License-Identifier: MIT */
/*
 * Handshakes in memory against an OpenSSL server: T5, T6, T7, T10, T11, and the bytes in between.
 * Resumption (T9) is in test_tls_resume.c.
 */
#include "test_tls_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/rand.h>

static const struct tls_options plain_options = {.no_resumption = true};

struct fixture {
	struct lab lab;
	struct tls_client *client;
	struct records ee;    /* 3 1 1 of the EC leaf */
	struct records ta;    /* 2 0 1 of the CA */
	struct records wrong; /* 3 1 1 of a stranger */
};

static struct tls_client *client_make(const struct tls_client_config *c)
{
	char error[256] = "";
	struct tls_client *t = tls_client_new(c, error, sizeof(error));
	if (t == NULL)
		fail_msg("%s", error);
	return t;
}

static int setup(void **state)
{
	static struct fixture f;
	lab_make(&f.lab);
	f.client = client_make(&(struct tls_client_config){0});
	records_init(&f.ee);
	records_add(&f.ee, 3, 1, 1, f.lab.ec);
	records_init(&f.ta);
	records_add(&f.ta, 2, 0, 1, f.lab.ca);
	records_init(&f.wrong);
	records_add(&f.wrong, 3, 1, 1, f.lab.other);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	tls_client_free(&f->client);
	records_free(&f->ee);
	records_free(&f->ta);
	records_free(&f->wrong);
	lab_free(&f->lab);
	return 0;
}

static struct tls_terms terms_dane(struct records *r)
{
	return (struct tls_terms){.policy = HOST_DANE,
				  .sni = LAB_BASE,
				  .reference_names = {LAB_BASE, LAB_NEXT_HOP},
				  .nreference_names = 2,
				  .tlsa = records_set(r)};
}

static struct tls_terms terms_without(enum host_policy policy)
{
	return (struct tls_terms){.policy = policy, .sni = LAB_BASE};
}

static struct tls_conn *connect_with(struct tls_client *c, const struct tls_terms *terms,
				     const struct tls_options *o)
{
	char error[256] = "";
	struct tls_conn *t = tls_connect(c, terms, o, error, sizeof(error));
	if (t == NULL)
		fail_msg("tls_connect: %s", error);
	return t;
}

/* A whole handshake; the caller closes the pair. */
static enum tls_state handshake(struct fixture *f, struct pair *p, struct server *s,
				const struct tls_terms *terms, const struct tls_options *o)
{
	pair_open(p, connect_with(f->client, terms, o), s);
	return pair_run(p);
}

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

/* --- Bytes --- */

static void test_one_octet_at_a_time(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		struct pair p;
		struct tls_terms terms = terms_dane(i == 0 ? &f->ee : &f->ta);
		server_make(&s, &f->lab,
			    &(struct server_options){.max = i == 0 ? 0 : TLS1_2_VERSION});
		pair_open(&p, connect_with(f->client, &terms, &plain_options), &s);
		p.step = 1;
		assert_int_equal(pair_run(&p), TLS_UP);
		pair_server_write(&p, "250 ok\r\n", 8);
		assert_int_equal(tls_write(p.t, SLICE_LIT("EHLO a\r\n")), TLS_UP);
		assert_int_equal(pair_run(&p), TLS_UP);
		assert_true(slice_eq_str(buf_slice(&p.plain), "250 ok\r\n"));
		assert_true(slice_eq_str(buf_slice(&p.got), "EHLO a\r\n"));
		pair_close(&p);
		server_free(&s);
	}
}

/* The server's answer to the ClientHello, fresh for each use. */
static void flight(struct fixture *f, struct pair *p, struct server *s, struct buf *out)
{
	struct tls_terms terms = terms_dane(&f->ee);
	pair_open(p, connect_with(f->client, &terms, &plain_options), s);
	pair_to_server(p);
	pair_from_server(p, out);
}

static void test_every_split_and_end(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		size_t length = 100;
		server_make(&s, &f->lab, &(struct server_options){.max = i ? TLS1_2_VERSION : 0});
		/* The length varies: an ECDSA signature is a number or two shorter now and then. */
		for (size_t at = 0; at + 4 < length; at++) {
			struct pair p;
			struct buf b;
			flight(f, &p, &s, &b);
			length = buf_len(&b);
			struct slice all = buf_slice(&b);
			tls_feed(p.t, slice_first(all, at), &p.plain);
			assert_int_equal(tls_state(p.t), TLS_HANDSHAKING);
			if (at % 2 == 0) {
				tls_feed(p.t, slice_from(all, at), NULL);
				assert_int_equal(pair_run(&p), TLS_UP);
				assert_int_equal(tls_feed_eof(p.t), TLS_CLOSED);
			} else {
				assert_int_equal(tls_feed_eof(p.t), TLS_FAILED);
				assert_int_equal(tls_facts(p.t)->reason, REASON_TLS_FAILED);
				assert_string_equal(tls_facts(p.t)->detail,
						    "peer closed during the handshake");
				tls_feed(p.t, slice_from(all, at), &p.plain);
				assert_int_equal(tls_state(p.t), TLS_FAILED);
			}
			buf_free(&b);
			pair_close(&p);
		}
		server_free(&s);
	}
}

/* Somebody on the way changes one bit. Some octets of a TLS 1.2 flight have no meaning for the
 * client (the record header's minor version); none may lead to TLS_UP without the match. */
static void test_every_octet_damaged(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		size_t length = 1, up = 0;
		server_make(&s, &f->lab, &(struct server_options){.max = i ? TLS1_2_VERSION : 0});
		for (size_t at = 0; at < length; at++) {
			struct pair p;
			struct buf b;
			flight(f, &p, &s, &b);
			length = buf_len(&b);
			if (at >= length)
				at = length - 1;
			b.p[b.start + at] ^= (uint8_t)(1u << (at % 8));
			tls_feed(p.t, buf_slice(&b), &p.plain);
			if (pair_run(&p) == TLS_UP) {
				assert_true(tls_facts(p.t)->authenticated);
				up++;
			} else {
				assert_false(tls_facts(p.t)->authenticated);
				assert_false(tls_facts(p.t)->match.present);
			}
			buf_free(&b);
			pair_close(&p);
		}
		print_message("damage: %zu octets, %zu without effect\n", length, up);
		assert_true(up <= 8);
		server_free(&s);
	}
}

static void test_garbage(void **state)
{
	struct fixture *f = *state;
	static const char *const row[][2] = {
	    {"HTTP/1.0 400 Bad Request\r\n\r\n", "wrong version number"},
	    {"220 ready\r\n250 pipelined\r\n", "wrong version number"},
	    {"\x15\x03\x03\x00\x02\x02\x28", "alert handshake failure"},
	    {"\x15\x03\x03\x00\x02\x02\x46", "alert protocol version"},
	    {"\x16\x03\x03\xff\xff\x02\x00", "packet length too long"},
	};
	struct tls_terms terms = terms_dane(&f->ee);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct tls_conn *t = connect_with(f->client, &terms, &plain_options);
		size_t n = i < 2 ? strlen(row[i][0]) : 7;
		assert_int_equal(tls_feed(t, slice_make(row[i][0], n), NULL), TLS_FAILED);
		assert_int_equal(tls_facts(t)->reason, REASON_TLS_FAILED);
		if (strstr(tls_facts(t)->detail, row[i][1]) == NULL)
			fail_msg("expected \"%s\", got \"%s\"", row[i][1], tls_facts(t)->detail);
		assert_string_equal(tls_facts(t)->version, "");
		tls_conn_free(&t);
	}
}

static void test_big_data(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 1 << 20, ROOM = 1000 };
	static uint8_t data[SIZE];
	struct server s;
	struct pair p;
	struct buf b, small;
	size_t got = 0;
	struct tls_terms terms = terms_dane(&f->ee);
	assert_int_equal(RAND_bytes(data, SIZE), 1);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_server_write(&p, data, SIZE);
	pair_from_server(&p, &b);
	/* All at once into a buffer with little room: the rest waits inside. */
	buf_init(&small, ROOM);
	tls_feed(p.t, buf_slice(&b), &small);
	while (buf_len(&small) > 0) {
		struct slice x = buf_slice(&small);
		assert_true(x.n <= ROOM && got + x.n <= SIZE);
		assert_memory_equal(x.p, data + got, x.n);
		got += x.n;
		buf_consume(&small, x.n);
		assert_int_equal(tls_feed(p.t, slice_make(NULL, 0), &small), TLS_UP);
	}
	assert_int_equal(got, SIZE);
	buf_free(&b);
	/* The other way through small buffers. */
	assert_int_equal(tls_write(p.t, slice_make(data, SIZE)), TLS_UP);
	for (;;) {
		tls_pending(p.t, &small);
		struct slice x = buf_slice(&small);
		if (x.n == 0)
			break;
		assert_true(x.n <= ROOM);
		assert_int_equal(BIO_write(p.in, x.p, (int)x.n), (int)x.n);
		buf_consume(&small, x.n);
	}
	assert_int_equal(pair_run(&p), TLS_UP);
	assert_int_equal(buf_len(&p.got), SIZE);
	assert_memory_equal(buf_slice(&p.got).p, data, SIZE);
	buf_free(&small);
	pair_close(&p);
	server_free(&s);
}

/* What waits inside is not lost when the transport ends. */
static void test_rest_after_eof(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct buf b, small;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_server_write(&p, "0123456789", 10);
	pair_from_server(&p, &b);
	buf_init(&small, 4);
	assert_int_equal(tls_feed(p.t, buf_slice(&b), &small), TLS_UP);
	assert_int_equal(tls_feed_eof(p.t), TLS_CLOSED);
	assert_int_equal(tls_feed(p.t, slice_make(NULL, 0), &p.plain), TLS_CLOSED);
	assert_true(slice_eq_str(buf_slice(&small), "0123"));
	assert_true(slice_eq_str(buf_slice(&p.plain), "456789"));
	buf_free(&b);
	buf_free(&small);
	pair_close(&p);
	server_free(&s);
}

static void test_close_notify(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_server_write(&p, "221 bye\r\n", 9);
	SSL_shutdown(p.ssl);
	assert_int_equal(pair_run(&p), TLS_CLOSED);
	assert_true(slice_eq_str(buf_slice(&p.plain), "221 bye\r\n"));
	assert_int_equal(tls_write(p.t, SLICE_LIT("x")), TLS_CLOSED);
	assert_int_equal(tls_feed_eof(p.t), TLS_CLOSED);
	pair_close(&p);
	/* Ours. */
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	tls_write(p.t, SLICE_LIT("QUIT\r\n"));
	tls_shutdown(p.t);
	pair_run(&p);
	assert_true(slice_eq_str(buf_slice(&p.got), "QUIT\r\n"));
	assert_true((SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
	pair_close(&p);
	server_free(&s);
}

/* A TLS 1.2 server that asks to renegotiate gets none, and nothing breaks. */
static void test_no_renegotiation(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){.max = TLS1_2_VERSION});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	assert_int_equal(SSL_renegotiate(p.ssl), 1);
	SSL_do_handshake(p.ssl);
	enum tls_state got = pair_run(&p);
	assert_true(got == TLS_UP || got == TLS_FAILED);
	assert_int_equal(SSL_num_renegotiations(p.ssl), 1); /* it asked, that is all */
	assert_false(SSL_session_reused(p.ssl));
	pair_close(&p);
	server_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_trust_anchor),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_encrypt_and_may),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_anonymous_server),
	    cmocka_unit_test(test_client_hello),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_mismatch),
	    cmocka_unit_test(test_write_too_early),
	    cmocka_unit_test(test_verify_offset),
	    cmocka_unit_test(test_poison),
	    cmocka_unit_test(test_bad_sigalgs),
	    cmocka_unit_test(test_one_octet_at_a_time),
	    cmocka_unit_test(test_every_split_and_end),
	    cmocka_unit_test(test_every_octet_damaged),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_big_data),
	    cmocka_unit_test(test_rest_after_eof),
	    cmocka_unit_test(test_close_notify),
	    cmocka_unit_test(test_no_renegotiation),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
