/* SPDX-License-Identifier: MIT */
/*
 * The offline verifier, single rows: digest agility, records of wrong length, several records,
 * anchors given in full, and what OpenSSL 3.0 does where the RFCs leave room or say otherwise.
 * Each row cites its sentence.
 */
#include "dane_matrix_pki.h"

#include "tls/tls.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600) /* 2026-01-01 */
#define DAY INT64_C(86400)
#define BASE "mx.example.org"

enum which { LEAF, CA, ROOT, STRANGER, WHICH_COUNT };

struct fixture {
	EVP_PKEY *key[WHICH_COUNT];
	X509 *cert[WHICH_COUNT];
	struct tls_chain *full; /* leaf, CA, root */
};

static const struct pki_spec good_ca = {.cn = "Lab CA",
					.from = NOW - DAY,
					.until = NOW + DAY,
					.basic = "critical,CA:TRUE",
					.usage = "critical,keyCertSign"};
static const struct pki_spec good_leaf = {.cn = "leaf",
					  .san = "DNS:" BASE,
					  .from = NOW - DAY,
					  .until = NOW + DAY,
					  .basic = "CA:FALSE",
					  .usage = "critical,digitalSignature",
					  .extended = "serverAuth"};

static struct tls_chain *chain_of(X509 *const *cert, size_t n)
{
	static unsigned char der[8][PKI_DATA_MAX];
	struct slice s[8];
	char error[128] = "";
	for (size_t i = 0; i < n; i++)
		s[i] = slice_make(der[i], pki_tlsa_data(cert[i], TLSA_CERT, TLSA_FULL, der[i]));
	struct tls_chain *c = tls_chain_from_der(s, n, error, sizeof(error));
	if (c == NULL)
		fail_msg("%s", error);
	return c;
}

static int setup(void **state)
{
	static struct fixture f;
	struct pki_spec root = good_ca;
	for (int i = 0; i < WHICH_COUNT; i++)
		f.key[i] = pki_key(PKI_P256);
	root.cn = "Lab Root";
	f.cert[ROOT] = pki_issue(&root, f.key[ROOT], NULL, NULL);
	f.cert[CA] = pki_issue(&good_ca, f.key[CA], f.cert[ROOT], f.key[ROOT]);
	f.cert[LEAF] = pki_issue(&good_leaf, f.key[LEAF], f.cert[CA], f.key[CA]);
	f.cert[STRANGER] = pki_issue(&root, f.key[STRANGER], NULL, NULL);
	f.full = chain_of(f.cert, 3);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	tls_chain_free(&f->full);
	for (int i = 0; i < WHICH_COUNT; i++) {
		X509_free(f->cert[i]);
		EVP_PKEY_free(f->key[i]);
	}
	return 0;
}

/* --- Helpers --- */

struct run {
	struct arena mem;
	struct tlsa_set set;
	const struct tls_facts *facts; /* NULL: refused */
};

static void run_rr(struct run *r, const struct tls_chain *c, struct tlsa *rr, size_t n)
{
	arena_init(&r->mem, 1 << 20);
	for (size_t i = 0; i < n; i++)
		tls_judge_full(&rr[i]);
	assert_true(tlsa_set_from_records(&r->mem, rr, n, &r->set));
	struct tls_terms terms = {.policy = HOST_DANE,
				  .sni = BASE,
				  .reference_names = {BASE},
				  .nreference_names = 1,
				  .tlsa = &r->set};
	r->facts = tls_verify(&r->mem, c, &terms, NOW);
}

static enum reason reason_of(struct run *r)
{
	enum reason x = r->facts != NULL ? r->facts->reason : REASON_COUNT;
	arena_free(&r->mem);
	return x;
}

/* One record of cert against a chain. */
static enum reason judge(const struct tls_chain *c, uint8_t usage, uint8_t selector, uint8_t mtype,
			 X509 *cert)
{
	uint8_t store[PKI_DATA_MAX];
	struct run r;
	struct tlsa rr = pki_tlsa(usage, selector, mtype, cert, store);
	run_rr(&r, c, &rr, 1);
	return reason_of(&r);
}

/* --- Several records, and digest agility --- */

struct wanted {
	uint8_t usage, selector, mtype;
	enum which cert;
};

static void test_sets(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *why;
		struct wanted rr[3];
		size_t n;
		enum reason reason;
		int record; /* that matched */
	} row[] = {
	    {"one of several is enough (RFC 6698 s2.1)",
	     {{3, 1, 1, STRANGER}, {3, 1, 1, LEAF}},
	     2,
	     REASON_OK,
	     1},
	    {"a DANE-EE match stands whatever the DANE-TA records say",
	     {{2, 0, 1, STRANGER}, {3, 1, 1, LEAF}},
	     2,
	     REASON_OK,
	     1},
	    {"and the other way round", {{3, 1, 1, STRANGER}, {2, 1, 2, CA}}, 2, REASON_OK, 1},
	    {"none of several",
	     {{3, 1, 1, STRANGER}, {2, 0, 1, STRANGER}},
	     2,
	     REASON_TLSA_INVALID,
	     0},
	    {"RFC 7671 s9: only the strongest digest counts: the weaker one that would match does "
	     "not",
	     {{3, 1, 1, LEAF}, {3, 1, 2, STRANGER}},
	     2,
	     REASON_TLSA_INVALID,
	     0},
	    {"the strongest matches", {{3, 1, 1, STRANGER}, {3, 1, 2, LEAF}}, 2, REASON_OK, 1},
	    {"RFC 7671 s9: per usage and selector: 3 0 2 does not silence 3 1 1",
	     {{3, 0, 2, STRANGER}, {3, 1, 1, LEAF}},
	     2,
	     REASON_OK,
	     1},
	    {"nor 2 1 2 a 3 1 1", {{2, 1, 2, STRANGER}, {3, 1, 1, LEAF}}, 2, REASON_OK, 1},
	    {"RFC 7671 s9: Full(0) always counts",
	     {{3, 1, 2, STRANGER}, {3, 1, 0, LEAF}},
	     2,
	     REASON_OK,
	     1},
	    {"Full(0) does not silence a digest",
	     {{3, 1, 0, STRANGER}, {3, 1, 1, LEAF}},
	     2,
	     REASON_OK,
	     1},
	    {"an unusable record beside a good one is ignored",
	     {{1, 1, 1, LEAF}, {3, 1, 1, LEAF}, {0, 0, 1, ROOT}},
	     3,
	     REASON_OK,
	     1},
	    {"an unusable record that would match does not help",
	     {{1, 1, 1, LEAF}, {3, 1, 1, STRANGER}},
	     2,
	     REASON_TLSA_INVALID,
	     0},
	    {"unusable records do not take part in agility",
	     {{1, 1, 2, STRANGER}, {3, 1, 1, LEAF}},
	     2,
	     REASON_OK,
	     1},
	    {"of two anchors of one path the nearer to the leaf",
	     {{2, 0, 1, ROOT}, {2, 0, 1, CA}},
	     2,
	     REASON_OK,
	     1},
	    {"OPENSSL: of two records for one certificate, the later loaded comes first",
	     {{2, 0, 1, CA}, {2, 1, 1, CA}},
	     2,
	     REASON_OK,
	     1},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t store[3][PKI_DATA_MAX];
		struct tlsa rr[3];
		struct run r;
		for (size_t j = 0; j < row[i].n; j++)
			rr[j] = pki_tlsa(row[i].rr[j].usage, row[i].rr[j].selector,
					 row[i].rr[j].mtype, f->cert[row[i].rr[j].cert], store[j]);
		run_rr(&r, f->full, rr, row[i].n);
		if (r.facts == NULL || r.facts->reason != row[i].reason)
			fail_msg("%s: %s", row[i].why,
				 r.facts != NULL ? r.facts->detail : "refused");
		if (row[i].reason == REASON_OK && r.facts->match.record != row[i].record)
			fail_msg("%s: record %d", row[i].why, r.facts->match.record);
		arena_free(&r.mem);
	}
}

/* --- Records of wrong length (T1): unusable, never a crash, and never a match --- */

static void test_lengths(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint8_t usage, selector, mtype;
		int delta; /* octets more (zeros) or fewer than right */
	} row[] = {
	    {3, 1, 1, -1}, {3, 1, 1, +1}, {3, 1, 2, -1}, {3, 1, 2, +1},  {2, 0, 1, -1},
	    {2, 0, 1, +1}, {2, 0, 2, -1}, {2, 0, 2, +1}, {3, 1, 1, -32}, {3, 1, 2, -64},
	    {2, 0, 0, -1}, {2, 0, 0, +1}, {2, 1, 0, -1}, {2, 1, 0, +1},  {3, 0, 0, -1},
	    {3, 0, 0, +1}, {3, 1, 0, -1}, {3, 1, 0, +1}, {3, 1, 1, +32}, {3, 1, 2, -32},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t store[PKI_DATA_MAX + 64] = {0};
		struct run r;
		X509 *cert = f->cert[row[i].usage == 3 ? LEAF : CA];
		struct tlsa rr = pki_tlsa(row[i].usage, row[i].selector, row[i].mtype, cert, store);
		rr.data.n = (size_t)((int)rr.data.n + row[i].delta);
		rr.full = TLSA_FULL_UNKNOWN;
		run_rr(&r, f->full, &rr, 1);
		assert_int_equal(r.set.usable, 0);
		assert_false(r.set.unknown);
		assert_null(r.facts); /* no usable record is not a case for authentication */
		arena_free(&r.mem);
	}
}

static void test_short_rdata(void **state)
{
	struct fixture *f = *state;
	static const uint8_t rdata[4] = {3, 1, 1, 0};
	uint8_t store[PKI_DATA_MAX];
	for (size_t n = 0; n <= 4; n++) {
		struct run r;
		struct tlsa rr[2];
		tlsa_parse(slice_make(rdata, n), &rr[0]);
		run_rr(&r, f->full, rr, 1);
		assert_int_equal(r.set.usable, 0);
		assert_int_equal(reason_of(&r), REASON_COUNT);
		/* Beside a good one it does no harm. */
		rr[1] = pki_tlsa(3, 1, 1, f->cert[LEAF], store);
		run_rr(&r, f->full, rr, 2);
		assert_int_equal(reason_of(&r), REASON_OK);
	}
}

static void test_judge_full(void **state)
{
	struct fixture *f = *state;
	static const uint8_t junk[] = {0x30, 0x03, 0x02, 0x01, 0x00};
	uint8_t store[PKI_DATA_MAX];
	for (uint8_t selector = 0; selector < 2; selector++) {
		struct tlsa rr = pki_tlsa(3, selector, TLSA_FULL, f->cert[LEAF], store);
		rr.full = TLSA_FULL_UNKNOWN;
		tls_judge_full(&rr);
		assert_int_equal(rr.full, TLSA_FULL_PARSES);
		rr.selector = !selector; /* a key is no certificate, and the other way round */
		tls_judge_full(&rr);
		assert_int_equal(rr.full, TLSA_FULL_BROKEN);
		for (size_t n = 0; n <= sizeof(junk); n++) {
			rr.data = slice_make(n > 0 ? junk : NULL, n);
			rr.full = TLSA_FULL_UNKNOWN;
			tls_judge_full(&rr);
			assert_int_equal(rr.full, TLSA_FULL_BROKEN);
		}
	}
	struct tlsa digest = pki_tlsa(3, 1, 1, f->cert[LEAF], store);
	tls_judge_full(&digest);
	assert_int_equal(digest.full, TLSA_FULL_UNKNOWN);
	struct tlsa none = {.short_rdata = true};
	tls_judge_full(&none);
	assert_int_equal(none.full, TLSA_FULL_UNKNOWN);
}

/* --- Anchors in the record, and records at the wrong place --- */

static void test_full_anchor(void **state)
{
	struct fixture *f = *state;
	struct tls_chain *no_root = chain_of(f->cert, 2), *leaf = chain_of(f->cert, 1);
	/* RFC 7671 s5.2.2: 2 0 0 with the anchor only in DNS MUST work. */
	assert_int_equal(judge(no_root, 2, 0, 0, f->cert[ROOT]), REASON_OK);
	assert_int_equal(judge(leaf, 2, 0, 0, f->cert[CA]), REASON_OK);
	/* RFC 7671 s5.2.3: 2 1 0 SHOULD (RECOMMENDED). */
	assert_int_equal(judge(no_root, 2, 1, 0, f->cert[ROOT]), REASON_OK);
	assert_int_equal(judge(leaf, 2, 1, 0, f->cert[CA]), REASON_OK);
	/* Two steps cannot be bridged. */
	assert_int_equal(judge(leaf, 2, 0, 0, f->cert[ROOT]), REASON_TLSA_INVALID);
	assert_int_equal(judge(leaf, 2, 1, 0, f->cert[ROOT]), REASON_TLSA_INVALID);
	assert_int_equal(judge(no_root, 2, 0, 0, f->cert[STRANGER]), REASON_TLSA_INVALID);
	/* A stranger's key under the root's name: 2 1 0 has no name, the signature decides. */
	assert_int_equal(judge(no_root, 2, 1, 0, f->cert[STRANGER]), REASON_TLSA_INVALID);
	tls_chain_free(&no_root);
	tls_chain_free(&leaf);
}

static void test_misplaced(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint8_t usage;
		enum which cert;
		const char *detail;
	} row[] = {
	    {2, LEAF,
	     "no certificate of 3 served matches 1 usable TLSA record; record 2 1 1 matches the "
	     "server certificate itself, but usage 2 must match a CA certificate above it"},
	    {3, CA,
	     "no certificate of 3 served matches 1 usable TLSA record; record 3 1 1 matches "
	     "certificate 1, but usage 3 must match the server certificate"},
	    {3, STRANGER, "no certificate of 3 served matches 1 usable TLSA record"},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t store[PKI_DATA_MAX];
		struct run r;
		struct tlsa rr = pki_tlsa(row[i].usage, 1, 1, f->cert[row[i].cert], store);
		run_rr(&r, f->full, &rr, 1);
		assert_int_equal(r.facts->reason, REASON_TLSA_INVALID);
		assert_string_equal(r.facts->detail, row[i].detail);
		assert_int_equal(r.facts->nchain, 3);
		arena_free(&r.mem);
	}
}

/*
 * A self-signed server certificate under usage 2. RFC 7671 s5.2 has the anchor issue the server's
 * certificate. OPENSSL: no digest of the leaf matches at depth 0, nor does 2 0 0; 2 1 0 does, for
 * its key did sign the topmost certificate. Names and dates apply then.
 */
static void test_self_signed_leaf(void **state)
{
	struct fixture *f = *state;
	X509 *self = pki_issue(&good_leaf, f->key[LEAF], NULL, NULL);
	struct tls_chain *once = chain_of(&self, 1), *twice = chain_of((X509 *[]){self, self}, 2);
	for (uint8_t i = 0; i < 6; i++) {
		bool ok = i == 3;
		assert_int_equal(judge(once, 2, i / 3, i % 3, self),
				 ok ? REASON_OK : REASON_TLSA_INVALID);
		assert_int_equal(judge(once, 3, i / 3, i % 3, self), REASON_OK);
	}
	/* Served twice, the copy is no CA above the leaf: OpenSSL ends the path at the leaf. */
	assert_int_equal(judge(twice, 2, 0, 1, self), REASON_TLSA_INVALID);
	tls_chain_free(&once);
	tls_chain_free(&twice);
	X509_free(self);
}

/* --- The path --- */

/* A leaf that only claims to come from the CA. */
static void test_forged(void **state)
{
	struct fixture *f = *state;
	X509 *forged = pki_issue(&good_leaf, f->key[LEAF], f->cert[CA], f->key[STRANGER]);
	struct tls_chain *c = chain_of((X509 *[]){forged, f->cert[CA], f->cert[ROOT]}, 3);
	for (uint8_t i = 0; i < 6; i++) {
		assert_int_equal(judge(c, 2, i / 3, i % 3, f->cert[CA]), REASON_CERT_NOT_TRUSTED);
		assert_int_equal(judge(c, 2, i / 3, i % 3, f->cert[ROOT]), REASON_CERT_NOT_TRUSTED);
		assert_int_equal(judge(c, 3, i / 3, i % 3, forged), REASON_OK);
	}
	tls_chain_free(&c);
	X509_free(forged);
}

/* Verdict for a leaf of this description under "2 0 1 CA". */
static enum reason judge_leaf(struct fixture *f, const struct pki_spec *s, EVP_PKEY *key)
{
	X509 *leaf = pki_issue(s, key, f->cert[CA], f->key[CA]);
	struct tls_chain *c = chain_of((X509 *[]){leaf, f->cert[CA], f->cert[ROOT]}, 3);
	enum reason r = judge(c, 2, 0, 1, f->cert[CA]);
	tls_chain_free(&c);
	X509_free(leaf);
	return r;
}

static void test_leaf_purpose(void **state)
{
	struct fixture *f = *state;
	struct pki_spec s = good_leaf;
	s.extended = NULL;
	assert_int_equal(judge_leaf(f, &s, f->key[LEAF]), REASON_OK);
	s.extended = "clientAuth"; /* RFC 5280 s4.2.1.12 */
	assert_int_equal(judge_leaf(f, &s, f->key[LEAF]), REASON_CERT_NOT_TRUSTED);
	s = good_leaf;
	s.usage = "critical,keyAgreement";
	assert_int_equal(judge_leaf(f, &s, f->key[LEAF]), REASON_OK);
	s.usage = "critical,cRLSign";
	assert_int_equal(judge_leaf(f, &s, f->key[LEAF]), REASON_CERT_NOT_TRUSTED);
}

/* Keys and signatures that OpenSSL's security level 1 holds too weak. OPENSSL: the leaf's key is
 * judged even under DANE-EE, where RFC 7671 s5.1 asks for nothing but the match. */
static void test_weak(void **state)
{
	struct fixture *f = *state;
	struct pki_spec s = good_leaf;
	EVP_PKEY *weak = pki_key(PKI_RSA512), *old = pki_key(PKI_RSA1024);
	assert_int_equal(judge_leaf(f, &s, old), REASON_OK);
	assert_int_equal(judge_leaf(f, &s, weak), REASON_CERT_NOT_TRUSTED);
	X509 *leaf = pki_issue(&s, weak, f->cert[CA], f->key[CA]);
	struct tls_chain *c = chain_of(&leaf, 1);
	assert_int_equal(judge(c, 3, 1, 1, leaf), REASON_CERT_NOT_TRUSTED);
	assert_int_equal(judge(c, 3, 1, 1, f->cert[STRANGER]), REASON_TLSA_INVALID);
	tls_chain_free(&c);
	X509_free(leaf);
	s.sha1 = true;
	assert_int_equal(judge_leaf(f, &s, f->key[LEAF]), REASON_CERT_NOT_TRUSTED);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(old);
}

/* RFC 7672 s3.2.3 and OpenSSL's own narrowing. */
static void test_names(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *cn, *san;
		bool ok;
	} row[] = {
	    {"leaf", "DNS:MX.Example.ORG", true}, /* RFC 4343 */
	    {"leaf", "DNS:*.example.org", true},
	    /* OPENSSL: "*.org" would match by the RFC's words only a two-label reference name; it
	       refuses a wildcard with fewer than two labels behind it. */
	    {"leaf", "DNS:*.org", false},
	    {"leaf", "DNS:*", false},
	    {"leaf", "DNS:mx.*.org", false},
	    {"leaf", "DNS:*x.example.org", false},
	    {"leaf", "DNS:m*.example.org", false},
	    {"leaf", "DNS:example.org", false},
	    {"leaf", "DNS:.example.org", false},
	    {"leaf", "DNS:" BASE ".", false},
	    {"*.example.org", NULL,
	     true}, /* "Wildcards are valid in either DNS-IDs or the CN-ID" */
	    {BASE, "email:a@example.org", true}, /* no DNS-ID: the CN counts */
	    {BASE, "IP:192.0.2.1", true},
	    {BASE, "IP:192.0.2.1,DNS:other.example", false},
	    {BASE ".evil.example", NULL, false},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pki_spec s = good_leaf;
		s.cn = row[i].cn;
		s.san = row[i].san;
		enum reason r = judge_leaf(f, &s, f->key[LEAF]);
		if (r != (row[i].ok ? REASON_OK : REASON_CERT_HOST_MISMATCH))
			fail_msg("cn %s san %s: %s", s.cn, s.san, reason_name(r));
	}
}

/* The dates of an anchor that is not self-signed: OpenSSL skips them, T3 does not (check.c). */
static void test_anchor_dates(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int64_t from, until;
		enum reason reason;
		const char *detail;
	} row[] = {
	    {NOW - 9 * DAY, NOW - DAY, REASON_CERT_EXPIRED,
	     "certificate 1 (CN=Old CA) expired 2025-12-31"},
	    {NOW + DAY, NOW + 9 * DAY, REASON_CERT_NOT_YET_VALID,
	     "certificate 1 (CN=Old CA) is not valid before 2026-01-02"},
	    {NOW - 9 * DAY, NOW + 9 * DAY, REASON_OK, ""},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pki_spec s = good_ca;
		uint8_t store[PKI_DATA_MAX];
		struct run r;
		s.cn = "Old CA";
		s.from = row[i].from;
		s.until = row[i].until;
		X509 *ca = pki_issue(&s, f->key[CA], f->cert[ROOT], f->key[ROOT]);
		X509 *leaf = pki_issue(&good_leaf, f->key[LEAF], ca, f->key[CA]);
		struct tls_chain *c = chain_of((X509 *[]){leaf, ca}, 2);
		struct tlsa rr = pki_tlsa(2, 1, 1, ca, store);
		run_rr(&r, c, &rr, 1);
		assert_int_equal(r.facts->reason, row[i].reason);
		assert_string_equal(r.facts->detail, row[i].detail);
		assert_int_equal(r.facts->authenticated, row[i].reason == REASON_OK);
		assert_int_equal(r.facts->x509_depth, row[i].reason == REASON_OK ? 0 : 1);
		arena_free(&r.mem);
		tls_chain_free(&c);
		X509_free(ca);
		X509_free(leaf);
	}
}

/* RFC 7671 s5.2.1: constraints of the anchor's certificate apply, name constraints among them. */
static void test_name_constraints(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *constraints;
		enum reason reason;
	} row[] = {
	    {"critical,permitted;DNS:example.org", REASON_OK},
	    {"critical,permitted;DNS:example.net", REASON_CERT_NOT_TRUSTED},
	    {"critical,excluded;DNS:example.org", REASON_CERT_NOT_TRUSTED},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pki_spec s = good_ca;
		s.constraints = row[i].constraints;
		X509 *ca = pki_issue(&s, f->key[CA], f->cert[ROOT], f->key[ROOT]);
		X509 *leaf = pki_issue(&good_leaf, f->key[LEAF], ca, f->key[CA]);
		struct tls_chain *c = chain_of((X509 *[]){leaf, ca, f->cert[ROOT]}, 3);
		assert_int_equal(judge(c, 2, 0, 1, ca), row[i].reason);
		assert_int_equal(judge(c, 2, 1, 1, f->cert[ROOT]), row[i].reason);
		assert_int_equal(judge(c, 3, 0, 1, leaf), REASON_OK);
		tls_chain_free(&c);
		X509_free(ca);
		X509_free(leaf);
	}
}

/* RFC 5280 s4.1.2.5: valid "from notBefore through notAfter, inclusive". OPENSSL: not in the last
 * second any more. */
static void test_borders_of_dates(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int64_t from, until;
		enum reason reason;
	} row[] = {
	    {NOW, NOW + DAY, REASON_OK},
	    {NOW + 1, NOW + DAY, REASON_CERT_NOT_YET_VALID},
	    {NOW - DAY, NOW + 1, REASON_OK},
	    {NOW - DAY, NOW, REASON_CERT_EXPIRED},
	    {NOW - DAY, NOW - 1, REASON_CERT_EXPIRED},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pki_spec s = good_leaf;
		s.from = row[i].from;
		s.until = row[i].until;
		assert_int_equal(judge_leaf(f, &s, f->key[LEAF]), row[i].reason);
	}
}

/* A CA that the record names but that issued nothing here. */
static void test_unrelated_anchor(void **state)
{
	struct fixture *f = *state;
	uint8_t store[PKI_DATA_MAX];
	struct run r;
	struct tls_chain *c =
	    chain_of((X509 *[]){f->cert[LEAF], f->cert[CA], f->cert[STRANGER]}, 3);
	struct tlsa rr = pki_tlsa(2, 1, 1, f->cert[STRANGER], store);
	run_rr(&r, c, &rr, 1);
	/* The stranger bears the root's name; only its key is another. */
	assert_int_equal(r.facts->reason, REASON_CERT_NOT_TRUSTED);
	assert_false(r.facts->authenticated);
	arena_free(&r.mem);
	tls_chain_free(&c);
	c = chain_of((X509 *[]){f->cert[LEAF], f->cert[ROOT]}, 2);
	rr = pki_tlsa(2, 1, 1, f->cert[ROOT], store);
	run_rr(&r, c, &rr, 1);
	assert_int_equal(r.facts->reason, REASON_CERT_NOT_TRUSTED);
	assert_non_null(strstr(r.facts->detail, "the issuer of certificate 0 (CN=leaf) was not "
						"served"));
	arena_free(&r.mem);
	tls_chain_free(&c);
}

/* A hostile domain: many full keys, many certificates. The verdict stays, the cost is bounded. */
static void test_hostile_set(void **state)
{
	struct fixture *f = *state;
	enum { RECORDS = 500, SERVED = 60 };
	static X509 *cert[SERVED];
	static unsigned char der[SERVED][1024];
	static struct slice s[SERVED];
	static struct tlsa rr[RECORDS];
	uint8_t store[PKI_DATA_MAX];
	char error[128];
	struct run r;
	for (int i = 0; i < SERVED; i++) {
		cert[i] = pki_issue(&good_leaf, f->key[LEAF], f->cert[CA], f->key[CA]);
		s[i] = slice_make(der[i], pki_tlsa_data(cert[i], TLSA_CERT, TLSA_FULL, der[i]));
	}
	struct tls_chain *c = tls_chain_from_der(s, SERVED, error, sizeof(error));
	assert_non_null(c);
	struct tlsa one = pki_tlsa(2, 1, 0, f->cert[STRANGER], store);
	for (int i = 0; i < RECORDS; i++)
		rr[i] = one;
	run_rr(&r, c, rr, RECORDS);
	assert_int_equal(r.facts->reason, REASON_TLSA_INVALID);
	assert_int_equal(r.facts->nchain, SERVED);
	arena_free(&r.mem);
	tls_chain_free(&c);
	for (int i = 0; i < SERVED; i++)
		X509_free(cert[i]);
}

/* --- Chains from files --- */

static void test_pem(void **state)
{
	struct fixture *f = *state;
	char error[128] = "";
	BIO *b = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(b, f->cert[LEAF]), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(b, f->key[LEAF], NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(PEM_write_bio_X509(b, f->cert[CA]), 1);
	char *text = NULL;
	long n = BIO_get_mem_data(b, &text);
	struct tls_chain *c = tls_chain_from_pem(slice_make(text, (size_t)n), error, sizeof(error));
	if (c == NULL)
		fail_msg("%s", error);
	assert_int_equal(judge(c, 2, 1, 1, f->cert[CA]), REASON_OK);
	tls_chain_free(&c);
	/* Every cut is an error or a shorter chain, never a crash. */
	for (long i = 0; i < n; i++) {
		c = tls_chain_from_pem(slice_make(text, (size_t)i), error, sizeof(error));
		assert_true(c != NULL || error[0] != '\0');
		tls_chain_free(&c);
	}
	/* Damage inside the second certificate names it. */
	char *second = strstr(text + 100, "BEGIN CERTIFICATE");
	assert_non_null(second);
	memset(second + 23, 'A', 8); /* the outermost DER header */
	c = tls_chain_from_pem(slice_make(text, (size_t)n), error, sizeof(error));
	assert_null(c);
	assert_non_null(strstr(error, "certificate 2 does not parse"));
	c = tls_chain_from_pem(SLICE_LIT("hello"), error, sizeof(error));
	assert_null(c);
	assert_string_equal(error, "no certificate in the text");
	struct slice junk = SLICE_LIT("\x30\x00");
	c = tls_chain_from_der(&junk, 1, error, sizeof(error));
	assert_null(c);
	assert_non_null(strstr(error, "certificate 1 does not parse"));
	c = tls_chain_from_der(NULL, 0, error, sizeof(error));
	assert_null(c);
	BIO_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sets),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_short_rdata),
	    cmocka_unit_test(test_judge_full),
	    cmocka_unit_test(test_full_anchor),
	    cmocka_unit_test(test_misplaced),
	    cmocka_unit_test(test_self_signed_leaf),
	    cmocka_unit_test(test_forged),
	    cmocka_unit_test(test_leaf_purpose),
	    cmocka_unit_test(test_weak),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_anchor_dates),
	    cmocka_unit_test(test_unrelated_anchor),
	    cmocka_unit_test(test_name_constraints),
	    cmocka_unit_test(test_borders_of_dates),
	    cmocka_unit_test(test_hostile_set),
	    cmocka_unit_test(test_pem),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
