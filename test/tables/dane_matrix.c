/* SPDX-License-Identifier: MIT */
/*
 * The offline verifier against an oracle: every combination of usage, selector, matching type,
 * matched certificate, names, dates and shape of the chain.
 *
 * expected() is written from the RFCs' sentences and T1-T5, with no help from the code under test.
 * Where it says OPENSSL the RFCs leave room and the row records what OpenSSL 3.0 does.
 */
#include "dane_matrix_pki.h"

#include "tls/tls.h"

#include <openssl/x509.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600) /* 2026-01-01 */
#define DAY INT64_C(86400)
#define BASE "mx.lab.example.org"
#define NEXT_HOP "example.net"

enum which { LEAF, INTER, ROOT, STRANGER, WHICH_COUNT };

enum names {
	NAME_BASE,
	NAME_NEXT_HOP,
	NAME_WILDCARD,
	NAME_WILDCARD_TWO_LABELS,
	NAME_PARTIAL_WILDCARD,
	NAME_CN_ONLY,
	NAME_CN_BESIDE_SAN,
	NAME_NONE,
	NAMES_COUNT
};

static const struct {
	const char *cn, *san;
	const char *matches; /* the reference name that it satisfies; NULL: none */
} names_table[NAMES_COUNT] = {
    /* RFC 7672 s3.2.2: "the SMTP client MUST employ the TLSA base domain as the primary reference
       identifier" */
    [NAME_BASE] = {"leaf", "DNS:other.example,DNS:" BASE, BASE},
    /* "the original next-hop domain used in the MX lookup MUST be included as a second reference
       identifier" */
    [NAME_NEXT_HOP] = {"leaf", "DNS:" NEXT_HOP, NEXT_HOP},
    /* RFC 7672 s3.2.3: "SMTP clients MUST support wildcards that match the first label of the
       reference identifier" */
    [NAME_WILDCARD] = {"leaf", "DNS:*.lab.example.org", BASE},
    /* "SMTP clients MAY ... allow wildcards to match multiple reference identifier labels": ours
       does not (T5) */
    [NAME_WILDCARD_TWO_LABELS] = {"leaf", "DNS:*.example.org", NULL},
    /* "The wildcard character must be the entire first label" */
    [NAME_PARTIAL_WILDCARD] = {"leaf", "DNS:m*.lab.example.org,DNS:*x.lab.example.org", NULL},
    /* "The CN-ID is only considered when no DNS-IDs are present" */
    [NAME_CN_ONLY] = {BASE, NULL, BASE},
    [NAME_CN_BESIDE_SAN] = {BASE, "DNS:other.example", NULL},
    [NAME_NONE] = {"no host name", NULL, NULL},
};

enum dates { DATES_OK, LEAF_EXPIRED, LEAF_NOT_YET, INTER_EXPIRED, ROOT_EXPIRED, DATES_COUNT };

enum shape {
	CHAIN_FULL,
	ROOT_MISSING,
	INTER_MISSING,
	LEAF_SELF_SIGNED, /* served alone */
	INTER_NOT_CA,
	ROOT_PATHLEN_0,
	INTER_KEY_USAGE, /* may not sign certificates */
	CHAIN_UNORDERED, /* leaf, root, intermediate */
	SHAPES_COUNT
};

struct row {
	uint8_t usage, selector, mtype;
	enum which record;
	enum names names;
	enum dates dates;
	enum shape shape;
};

/* --- The oracle --- */

struct expected {
	bool refused; /* no usable record: not a case for authentication at all */
	enum reason reason;
	int depth;
	const char *name;
};

enum anchor {
	ANCHOR_NONE,     /* nothing served, and no full anchor, matches */
	ANCHOR_CUT_OFF,  /* a served CA certificate matches, but no path leads to it */
	ANCHOR_INTER,    /* the path ends with the intermediate's certificate */
	ANCHOR_ROOT,     /* the path ends with the root's certificate */
	ANCHOR_KEY,      /* the path ends above the topmost certificate, with a bare key */
	ANCHOR_LEAF_KEY, /* the same, and the leaf is the whole path */
};

static enum anchor anchor_of_root(const struct row *r)
{
	bool full_cert = r->mtype == TLSA_FULL && r->selector == TLSA_CERT;
	bool full_key = r->mtype == TLSA_FULL && r->selector == TLSA_SPKI;
	if (r->shape == LEAF_SELF_SIGNED)
		return ANCHOR_NONE;
	if (r->shape == INTER_MISSING)
		return ANCHOR_CUT_OFF;
	if (r->shape != ROOT_MISSING)
		return ANCHOR_ROOT;
	/* RFC 7671 s5.2.2: for 2 0 0 "the client MUST be able to verify the server's certificate
	   chain even if the trust anchor certificate appears only in DNS" */
	if (full_cert)
		return ANCHOR_ROOT;
	/* RFC 7671 s5.2.3: "it is RECOMMENDED that clients check to see whether or not the topmost
	   certificate in the chain is signed by the provided public key" */
	if (full_key)
		return ANCHOR_KEY;
	/* RFC 7671 s5.2.2: "If the TLS server's certificate chain does not contain the trust anchor
	   certificate, DANE clients will be unable to authenticate the server." */
	return ANCHOR_NONE;
}

static enum anchor anchor_of_inter(const struct row *r)
{
	if (r->shape == LEAF_SELF_SIGNED)
		return ANCHOR_NONE;
	if (r->shape != INTER_MISSING)
		return ANCHOR_INTER;
	if (r->mtype != TLSA_FULL)
		return ANCHOR_NONE;
	/* OPENSSL: "topmost" is the end of the path it can build (here the leaf), not the last
	   certificate of the message (here an unrelated root). */
	return r->selector == TLSA_CERT ? ANCHOR_INTER : ANCHOR_LEAF_KEY;
}

static enum anchor anchor_of(const struct row *r)
{
	switch (r->record) {
	case LEAF:
		/* OPENSSL: usage 2 never matches at depth 0; but a self-signed leaf is signed by
		   the bare key of 2 1 0. */
		return r->shape == LEAF_SELF_SIGNED && r->selector == TLSA_SPKI &&
			       r->mtype == TLSA_FULL
			   ? ANCHOR_LEAF_KEY
			   : ANCHOR_NONE;
	case INTER:
		return anchor_of_inter(r);
	case ROOT:
		return anchor_of_root(r);
	case STRANGER:
	case WHICH_COUNT:
		break;
	}
	return ANCHOR_NONE;
}

/* RFC 5280 s6.1.4 (k), (m), (n) for the certificates above the leaf; the anchor's own constraints
 * count too (RFC 7671 s5.2.1: "the client SHOULD apply any relevant constraints from the trust
 * anchor certificate, such as, for example, path length constraints"). */
static bool path_broken(const struct row *r, bool has_inter, bool has_root)
{
	if (has_inter && (r->shape == INTER_NOT_CA || r->shape == INTER_KEY_USAGE))
		return true;
	return has_root && r->shape == ROOT_PATHLEN_0;
}

/* T3: dates apply from the leaf to the anchor; what lies beyond does not matter. */
static enum reason date_fault(const struct row *r, bool has_inter, bool has_root)
{
	switch (r->dates) {
	case DATES_OK:
		break;
	case LEAF_EXPIRED:
		return REASON_CERT_EXPIRED;
	case LEAF_NOT_YET:
		return REASON_CERT_NOT_YET_VALID;
	case INTER_EXPIRED:
		return has_inter ? REASON_CERT_EXPIRED : REASON_OK;
	case ROOT_EXPIRED:
		return has_root ? REASON_CERT_EXPIRED : REASON_OK;
	case DATES_COUNT:
		break;
	}
	return REASON_OK;
}

static struct expected expected_ta(const struct row *r)
{
	enum anchor a = anchor_of(r);
	bool has_root = a == ANCHOR_ROOT;
	bool has_inter = a == ANCHOR_INTER || a == ANCHOR_ROOT || a == ANCHOR_KEY;
	int depth = a == ANCHOR_ROOT ? 2 : a == ANCHOR_INTER ? 1 : -1;
	const char *name = names_table[r->names].matches;
	if (a == ANCHOR_NONE)
		return (struct expected){.reason = REASON_TLSA_INVALID};
	/* Two faults at once: the RFCs do not say which to report. Ours: path, name, date. */
	if (a == ANCHOR_CUT_OFF || path_broken(r, has_inter, has_root))
		return (struct expected){.reason = REASON_CERT_NOT_TRUSTED};
	/* RFC 7672 s3.2.2: "To match a server via a TLSA record with certificate usage DANE-TA(2),
	   the client MUST perform name checks" */
	if (name == NULL)
		return (struct expected){.reason = REASON_CERT_HOST_MISMATCH};
	return (struct expected){
	    .reason = date_fault(r, has_inter, has_root), .depth = depth, .name = name};
}

static struct expected expected(const struct row *r)
{
	/* RFC 7672 s3.1.3: "SMTP clients MAY treat such records as unusable" (T1: ours do). */
	if (r->usage == TLSA_PKIX_TA || r->usage == TLSA_PKIX_EE)
		return (struct expected){.refused = true};
	if (r->usage == TLSA_DANE_TA)
		return expected_ta(r);
	/* RFC 7672 s3.1.1: "simply checking that the server's leaf certificate matches the TLSA
	   record"; "The expiration date of the server certificate MUST be ignored"; "even if none
	   of the names in the certificate match". */
	if (r->record == LEAF)
		return (struct expected){.reason = REASON_OK};
	return (struct expected){.reason = REASON_TLSA_INVALID};
}

/* --- The chains --- */

struct world {
	EVP_PKEY *key[WHICH_COUNT];
	X509 *cert[WHICH_COUNT];
	struct tls_chain *served;
};

static void window(struct pki_spec *s, bool expired, bool not_yet)
{
	s->from = not_yet ? NOW + DAY : NOW - 300 * DAY;
	s->until = expired ? NOW - DAY : NOW + 300 * DAY;
}

static X509 *make_root(const struct world *w, enum dates d, enum shape shape)
{
	struct pki_spec s = {.cn = "Lab Root",
			     .basic = shape == ROOT_PATHLEN_0 ? "critical,CA:TRUE,pathlen:0"
							      : "critical,CA:TRUE",
			     .usage = "critical,keyCertSign,cRLSign"};
	window(&s, d == ROOT_EXPIRED, false);
	return pki_issue(&s, w->key[ROOT], NULL, NULL);
}

static X509 *make_inter(const struct world *w, enum dates d, enum shape shape)
{
	struct pki_spec s = {.cn = "Lab CA",
			     .basic =
				 shape == INTER_NOT_CA ? "critical,CA:FALSE" : "critical,CA:TRUE",
			     .usage = shape == INTER_KEY_USAGE ? "critical,digitalSignature"
							       : "critical,keyCertSign,cRLSign"};
	if (shape == INTER_NOT_CA)
		s.usage = NULL;
	window(&s, d == INTER_EXPIRED, false);
	return pki_issue(&s, w->key[INTER], w->cert[ROOT], w->key[ROOT]);
}

static X509 *make_leaf(const struct world *w, enum names n, enum dates d, enum shape shape)
{
	bool self = shape == LEAF_SELF_SIGNED;
	struct pki_spec s = {.cn = names_table[n].cn,
			     .san = names_table[n].san,
			     .basic = "CA:FALSE",
			     .usage = "critical,digitalSignature",
			     .extended = "serverAuth"};
	window(&s, d == LEAF_EXPIRED, d == LEAF_NOT_YET);
	return pki_issue(&s, w->key[LEAF], self ? NULL : w->cert[INTER],
			 self ? NULL : w->key[INTER]);
}

static struct tls_chain *chain_of(X509 *const *cert, size_t n)
{
	static unsigned char der[8][PKI_DATA_MAX];
	struct slice s[8];
	char error[128];
	assert_true(n <= 8);
	for (size_t i = 0; i < n; i++)
		s[i] = slice_make(der[i], pki_tlsa_data(cert[i], TLSA_CERT, TLSA_FULL, der[i]));
	struct tls_chain *c = tls_chain_from_der(s, n, error, sizeof(error));
	assert_non_null(c);
	return c;
}

static struct tls_chain *serve(const struct world *w, enum shape shape)
{
	X509 *leaf = w->cert[LEAF], *inter = w->cert[INTER], *root = w->cert[ROOT];
	switch (shape) {
	case ROOT_MISSING:
		return chain_of((X509 *[]){leaf, inter}, 2);
	case INTER_MISSING:
		return chain_of((X509 *[]){leaf, root}, 2);
	case LEAF_SELF_SIGNED:
		return chain_of((X509 *[]){leaf}, 1);
	case CHAIN_UNORDERED:
		return chain_of((X509 *[]){leaf, root, inter}, 3);
	case CHAIN_FULL:
	case INTER_NOT_CA:
	case ROOT_PATHLEN_0:
	case INTER_KEY_USAGE:
	case SHAPES_COUNT:
		break;
	}
	return chain_of((X509 *[]){leaf, inter, root}, 3);
}

static void world_keys(struct world *w)
{
	*w = (struct world){0};
	for (int i = 0; i < WHICH_COUNT; i++)
		w->key[i] = pki_key(PKI_P256);
	struct pki_spec s = {.cn = "Stranger", .basic = "critical,CA:TRUE"};
	window(&s, false, false);
	w->cert[STRANGER] = pki_issue(&s, w->key[STRANGER], NULL, NULL);
}

static void world_make(struct world *w, enum names n, enum dates d, enum shape shape)
{
	w->cert[ROOT] = make_root(w, d, shape);
	w->cert[INTER] = make_inter(w, d, shape);
	w->cert[LEAF] = make_leaf(w, n, d, shape);
	w->served = serve(w, shape);
}

static void world_unmake(struct world *w)
{
	tls_chain_free(&w->served);
	for (int i = LEAF; i <= ROOT; i++) {
		X509_free(w->cert[i]);
		w->cert[i] = NULL;
	}
}

static void world_free(struct world *w)
{
	world_unmake(w);
	X509_free(w->cert[STRANGER]);
	for (int i = 0; i < WHICH_COUNT; i++)
		EVP_PKEY_free(w->key[i]);
}

/* --- Running --- */

static const struct tls_facts *verify(struct arena *mem, const struct tls_chain *c,
				      const struct tlsa *rr, size_t n)
{
	struct tlsa_set *set = arena_alloc(mem, sizeof(*set));
	assert_non_null(set);
	assert_true(tlsa_set_from_records(mem, rr, n, set));
	struct tls_terms terms = {.policy = HOST_DANE,
				  .sni = BASE,
				  .reference_names = {BASE, NEXT_HOP},
				  .nreference_names = 2,
				  .tlsa = set};
	return tls_verify(mem, c, &terms, NOW);
}

static bool agrees(const struct row *r, const struct tls_facts *f)
{
	struct expected x = expected(r);
	if (x.refused || f == NULL)
		return x.refused && f == NULL;
	if (f->reason != x.reason || f->authenticated != (x.reason == REASON_OK))
		return false;
	if ((x.reason == REASON_OK) != (f->detail[0] == '\0') || f->nchain == 0)
		return false;
	if (x.reason != REASON_OK)
		return !f->match.present;
	if ((x.name == NULL) != (f->match.name == NULL) ||
	    (x.name != NULL && strcmp(x.name, f->match.name) != 0))
		return false;
	return f->match.present && f->match.depth == x.depth && f->match.record == 0 &&
	       f->match.usage == r->usage && f->match.selector == r->selector &&
	       f->match.mtype == r->mtype;
}

static void complain(const struct row *r, const struct tls_facts *f)
{
	struct expected x = expected(r);
	print_error("usage %u selector %u mtype %u record-of %d names %d dates %d shape %d: "
		    "expected %s%s depth %d, got %s (%s) x509 %d depth %d\n",
		    r->usage, r->selector, r->mtype, (int)r->record, (int)r->names, (int)r->dates,
		    (int)r->shape, reason_name(x.reason), x.refused ? " (refused)" : "", x.depth,
		    f != NULL ? reason_name(f->reason) : "NULL", f != NULL ? f->detail : "",
		    f != NULL ? f->x509_error : 0, f != NULL ? f->match.depth : 0);
}

static bool run_row(const struct world *w, const struct row *r)
{
	uint8_t data[PKI_DATA_MAX];
	struct arena mem;
	arena_init(&mem, 1 << 20);
	struct tlsa rr = pki_tlsa(r->usage, r->selector, r->mtype, w->cert[r->record], data);
	const struct tls_facts *f = verify(&mem, w->served, &rr, 1);
	bool ok = agrees(r, f);
	if (!ok)
		complain(r, f);
	arena_free(&mem);
	return ok;
}

struct tally {
	unsigned long ran, wrong, by_reason[REASON_COUNT], refused;
};

static void run_records(const struct world *w, struct row r, struct tally *t)
{
	enum { RECORDS = 4 * 2 * 3 * WHICH_COUNT };
	for (unsigned i = 0; i < RECORDS; i++) {
		r.usage = (uint8_t)(i % 4);
		r.selector = (uint8_t)(i / 4 % 2);
		r.mtype = (uint8_t)(i / 8 % 3);
		r.record = (enum which)(i / 24);
		struct expected x = expected(&r);
		t->ran++;
		t->wrong += !run_row(w, &r);
		if (x.refused)
			t->refused++;
		else
			t->by_reason[x.reason]++;
	}
}

static void test_matrix(void **state)
{
	struct world w;
	struct tally t = {0};
	(void)state;
	world_keys(&w);
	for (unsigned i = 0; i < NAMES_COUNT * DATES_COUNT * SHAPES_COUNT; i++) {
		struct row r = {.names = (enum names)(i % NAMES_COUNT),
				.dates = (enum dates)(i / NAMES_COUNT % DATES_COUNT),
				.shape = (enum shape)(i / (NAMES_COUNT * DATES_COUNT))};
		world_make(&w, r.names, r.dates, r.shape);
		run_records(&w, r, &t);
		world_unmake(&w);
	}
	world_free(&w);
	print_message("dane_matrix: %lu combinations, %lu wrong; %lu without a usable record\n",
		      t.ran, t.wrong, t.refused);
	for (int i = 0; i < REASON_COUNT; i++) {
		if (t.by_reason[i] > 0)
			print_message("  %-28s %lu\n", reason_name((enum reason)i), t.by_reason[i]);
	}
	assert_int_equal(t.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_matrix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
