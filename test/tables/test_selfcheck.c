/* SPDX-License-Identifier: MIT */
/* What a server finds out about itself (V1, V2): one row per finding and per sentence that it comes
 * from. */
#include "table.h"

#include "base/buf.h"
#include "selfcheck/selfcheck.h"

#define HOST "mx.example.org"
#define OWNER "_25._tcp." HOST
#define SPKI "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PUBLISH OWNER ". IN TLSA 3 1 1 " SPKI
#define A "secure 192.0.2.1"
#define EE "secure 3 1 1 aa*32"
#define TA "secure 2 1 1 aa*32"

enum { NOW = 1800000000, DAY = 86400, CERTS = 3, TEXT_MAX = 65536 };

/* One chain: what the verifier said of it, and which records match it. */
struct row_chain {
	bool there;
	bool waits;         /* not served yet */
	enum reason reason; /* of the verifier; REASON_OK: authenticated */
	bool not_judged;
	uint8_t usage;    /* that authenticated it */
	const char *fits; /* "10": the first record matches, the second does not */
	int depth;        /* where the records match */
	bool unnamed, complete, public_anchor;
	bool disorder;
	const char *weak, *key_trouble;
	const char *file;    /* NULL: "a.pem" */
	int64_t ends[CERTS]; /* seconds from now; 0: a year */
	bool early;          /* the leaf is valid from tomorrow on */
};

struct row {
	const char *rule;
	const char *a, *aaaa, *cname, *tlsa, *expanded; /* a NULL: A; tlsa NULL: not asked */
	const char *other;                              /* TLSA at port 587 */
	struct row_chain chain[2];
	int64_t signature; /* of the TLSA answer: seconds from now; 0: none */
	const char *no_tls;
	const char *expect; /* "error mismatch 0 -, ..": severity, finding, chain, record */
	enum selfcheck_promise promise;
	const char *says; /* in the text of the first finding; NULL: not compared */
	const char *paste;
};

#define OK_CHAIN                                                                                   \
	{                                                                                          \
		.there = true, .usage = 3, .fits = "1"                                             \
	}
#define TA_CHAIN                                                                                   \
	{                                                                                          \
		.there = true, .usage = 2, .fits = "1", .depth = 1                                 \
	}
#define BAD_CHAIN(why)                                                                             \
	{                                                                                          \
		.there = true, .reason = REASON_##why, .fits = "0"                                 \
	}

static const struct row rows[] = {
    {"RFC 7671 s8.1: the chain matches: nothing to say", .tlsa = EE, .chain = {OK_CHAIN},
     .expect = "", .promise = SELFCHECK_KEPT},
    {"V1: RSA and ECDSA apart: both match", .tlsa = "secure 3 1 1 aa*32, 3 1 1 bb*32",
     .chain = {{.there = true, .usage = 3, .fits = "10"},
	       {.there = true, .usage = 3, .fits = "01"}},
     .expect = "", .promise = SELFCHECK_KEPT},
    {"V1: RSA and ECDSA apart: one that does not match breaks the promise", .tlsa = EE,
     .chain = {OK_CHAIN, BAD_CHAIN(TLSA_INVALID)}, .expect = "error mismatch 1 -",
     .promise = SELFCHECK_BROKEN},
    {"RFC 7672 s2.2: no record matches: senders delay", .tlsa = EE,
     .chain = {BAD_CHAIN(TLSA_INVALID)}, .expect = "error mismatch 0 -",
     .promise = SELFCHECK_BROKEN, .says = "no TLSA record at _25._tcp.mx.example.org matches a.pem",
     .paste = PUBLISH},

    /* Lookups */
    {"RFC 7672 s2.1.2: a lookup that failed says nothing of the chain (V2)",
     .tlsa = "failed timeout", .chain = {{.there = true, .not_judged = true}},
     .expect = "warning lookup-failed - -", .promise = SELFCHECK_UNKNOWN,
     .paste = "danelaw resolve _25._tcp.mx.example.org TLSA"},
    {"RFC 7672 s2.1.2: the lookup of addresses", .a = "failed timeout", .tlsa = EE,
     .chain = {OK_CHAIN}, .expect = "warning lookup-failed - -", .promise = SELFCHECK_KEPT},
    {"V2: an alias, and its end cannot be seen: old records at the name break nothing",
     .a = "failed timeout", .tlsa = EE, .chain = {BAD_CHAIN(TLSA_INVALID)},
     .expect = "error mismatch 0 -, warning lookup-failed - -", .promise = SELFCHECK_UNKNOWN},
    {"RFC 7672 s2.2.2: the same, and it can be seen: those at the end count",
     .a = "secure via real.example.org 192.0.2.1", .expanded = EE, .tlsa = "secure 3 1 1 bb*32",
     .chain = {OK_CHAIN}, .expect = "warning name-alias - -", .promise = SELFCHECK_KEPT},
    {"RFC 7672 s2.2.2: one family that fails hides no mismatch", .aaaa = "failed timeout",
     .tlsa = EE, .chain = {BAD_CHAIN(TLSA_INVALID)},
     .expect = "error mismatch 0 -, warning lookup-failed - -", .promise = SELFCHECK_BROKEN},
    {"RFC 7672 s2.2: no records: nobody is authenticated", .tlsa = "nxdomain secure",
     .chain = {{.there = true, .not_judged = true}}, .expect = "warning no-tlsa - -",
     .promise = SELFCHECK_NOTHING, .paste = PUBLISH},
    {"RFC 7671 s7: records for another port", .tlsa = "nxdomain secure", .other = EE,
     .chain = {{.there = true, .not_judged = true}}, .expect = "warning wrong-port - -",
     .promise = SELFCHECK_NOTHING, .says = "one at _587._tcp.mx.example.org", .paste = PUBLISH},
    {"RFC 7671 s7: records for other ports besides are no matter", .tlsa = EE, .other = EE,
     .chain = {OK_CHAIN}, .expect = "", .promise = SELFCHECK_KEPT},
    {"RFC 7672 s2.1.1: insecure records do not count", .tlsa = "insecure 3 1 1 aa*32",
     .chain = {{.there = true, .not_judged = true}}, .expect = "warning insecure - -",
     .promise = SELFCHECK_NOTHING, .says = "_25._tcp.mx.example.org TLSA is not signed"},
    {"RFC 7672 s2.2.2: with insecure addresses nobody asks for TLSA records",
     .a = "insecure 192.0.2.1", .tlsa = EE, .chain = {OK_CHAIN}, .expect = "warning insecure - -",
     .promise = SELFCHECK_KEPT, .says = "mx.example.org A is not signed"},
    {"RFC 7672 s2.2.2: a host without addresses", .a = "absent secure", .tlsa = EE,
     .chain = {OK_CHAIN}, .expect = "warning no-address - -", .promise = SELFCHECK_KEPT},
    {"RFC 7672 s2.2.2: an alias: records at its end come first",
     .a = "secure via real.example.org 192.0.2.1", .expanded = EE, .tlsa = "nxdomain secure",
     .chain = {OK_CHAIN}, .expect = "warning name-alias - -", .promise = SELFCHECK_KEPT,
     .says = "mx.example.org is an alias of real.example.org"},
    {"RFC 4035 s5.3.1: a signature that ends soon", .tlsa = EE, .signature = 3600,
     .chain = {OK_CHAIN}, .expect = "warning signature-expires-soon - -", .promise = SELFCHECK_KEPT,
     .says = "in 1 hour:"},
    {"RFC 4035 s5.3.1: a signature that does not", .tlsa = EE, .signature = 3 * DAY,
     .chain = {OK_CHAIN}, .expect = "", .promise = SELFCHECK_KEPT},

    /* Records */
    {"RFC 7672 s3.1.3: usage 1 is not for SMTP", .tlsa = "secure 3 1 1 aa*32, 1 1 1 bb*32",
     .chain = {{.there = true, .usage = 3, .fits = "10"}}, .expect = "warning unusable-record - 1",
     .promise = SELFCHECK_KEPT, .says = "1 1 1 bbbbbbbbbbbbbbbbbbbbbbbb..."},
    {"RFC 7671 s4: a digest of wrong length", .tlsa = "secure 3 1 1 aa*32, 3 1 1 bb*31",
     .chain = {{.there = true, .usage = 3, .fits = "10"}}, .expect = "warning unusable-record - 1",
     .promise = SELFCHECK_KEPT},
    {"RFC 7672 s2.2: none is usable: TLS without authentication", .tlsa = "secure 1 1 1 aa*32",
     .chain = {{.there = true, .not_judged = true, .fits = "0"}},
     .expect = "warning no-usable-record - -, warning unusable-record - 0",
     .promise = SELFCHECK_NOTHING, .paste = PUBLISH},
    {"RFC 7671 s8.1: a record that matches nothing", .tlsa = "secure 3 1 1 aa*32, 3 1 1 bb*32",
     .chain = {{.there = true, .usage = 3, .fits = "10"}}, .expect = "notice stale-record - 1",
     .promise = SELFCHECK_KEPT},
    {"RFC 7671 s8.1: unless it is for the chain that waits",
     .tlsa = "secure 3 1 1 aa*32, 3 1 1 bb*32",
     .chain = {{.there = true, .usage = 3, .fits = "10"},
	       {.there = true, .waits = true, .usage = 3, .fits = "01"}},
     .expect = "", .promise = SELFCHECK_KEPT},
    {"RFC 7671 s9: SHA-512 alone", .tlsa = "secure 3 1 2 aa*64", .chain = {OK_CHAIN},
     .expect = "notice no-sha256 - 0", .promise = SELFCHECK_KEPT},
    {"RFC 7671 s9: SHA-512 beside SHA-256", .tlsa = "secure 3 1 2 aa*64, 3 1 1 bb*32",
     .chain = {{.there = true, .usage = 3, .fits = "11"}}, .expect = "", .promise = SELFCHECK_KEPT},
    {"RFC 7671 s5.2: a public CA as anchor", .tlsa = TA,
     .chain = {{.there = true, .usage = 2, .fits = "1", .depth = 1, .public_anchor = true}},
     .expect = "notice dane-ta-public-ca - 0", .promise = SELFCHECK_KEPT},
    {"RFC 7671 s5.2: one's own CA as anchor", .tlsa = TA, .chain = {TA_CHAIN}, .expect = "",
     .promise = SELFCHECK_KEPT},

    /* The anchor */
    {"RFC 7671 s5.2.2: the CA certificate lies in another chain", .tlsa = TA,
     .chain = {BAD_CHAIN(TLSA_INVALID),
	       {.there = true, .usage = 2, .fits = "1", .depth = 1, .file = "b.pem"}},
     .expect = "error ta-not-served 0 0", .promise = SELFCHECK_BROKEN,
     .paste = "cat b.pem >> a.pem"},
    {"RFC 7671 s5.2.2: the CA certificate is nowhere", .tlsa = TA,
     .chain = {BAD_CHAIN(TLSA_INVALID)}, .expect = "error ta-not-installed 0 0",
     .promise = SELFCHECK_BROKEN, .says = "the chain ends below CN=issuer 2", .paste = PUBLISH},
    {"RFC 7671 s5.2.2: a complete chain lacks no CA: it is another one", .tlsa = TA,
     .chain = {{.there = true, .reason = REASON_TLSA_INVALID, .fits = "0", .complete = true}},
     .expect = "error mismatch 0 -", .promise = SELFCHECK_BROKEN},
    {"RFC 5280 s6: the chain does not lead to the anchor", .tlsa = TA,
     .chain = {{.there = true, .reason = REASON_CERT_NOT_TRUSTED, .fits = "1", .depth = 1}},
     .expect = "error chain-broken 0 -", .promise = SELFCHECK_BROKEN},

    /* Dates and names */
    {"RFC 7671 s5.2: under DANE-TA an expired certificate is refused", .tlsa = TA,
     .chain = {{.there = true, .reason = REASON_CERT_EXPIRED, .fits = "1", .ends = {-60}}},
     .expect = "error expired 0 -", .promise = SELFCHECK_BROKEN, .says = "2027-01-15 07:59 UTC"},
    {"RFC 7671 s5.1: under DANE-EE dates do not matter", .tlsa = EE,
     .chain = {{.there = true, .usage = 3, .fits = "1", .ends = {-60}}},
     .expect = "warning expired 0 -", .promise = SELFCHECK_KEPT},
    {"RFC 7671 s5.2: what stands above the anchor may expire", .tlsa = TA,
     .chain = {{.there = true, .usage = 2, .fits = "1", .depth = 1, .ends = {0, 0, -60}}},
     .expect = "warning expired 0 -", .promise = SELFCHECK_KEPT},
    {"RFC 7671 s5.2: not valid yet", .tlsa = TA,
     .chain = {{.there = true, .reason = REASON_CERT_NOT_YET_VALID, .fits = "1", .early = true}},
     .expect = "error not-yet-valid 0 -", .promise = SELFCHECK_BROKEN},
    {"RFC 7671 s5.1: not valid yet under DANE-EE", .tlsa = EE,
     .chain = {{.there = true, .usage = 3, .fits = "1", .early = true}},
     .expect = "warning not-yet-valid 0 -", .promise = SELFCHECK_KEPT},
    {"RFC 7671 s8: the anchor's path ends soon", .tlsa = TA,
     .chain = {{.there = true, .usage = 2, .fits = "1", .depth = 1, .ends = {0, 5 * DAY}}},
     .expect = "warning expires-soon 0 -", .promise = SELFCHECK_KEPT, .says = "in 5 days"},
    {"RFC 7671 s5.1: the same under DANE-EE is but a notice", .tlsa = EE,
     .chain = {{.there = true, .usage = 3, .fits = "1", .ends = {5 * DAY}}},
     .expect = "notice expires-soon 0 -", .promise = SELFCHECK_KEPT},
    {"RFC 7672 s3.2.2: DANE-TA demands the name", .tlsa = TA,
     .chain = {{.there = true, .reason = REASON_CERT_HOST_MISMATCH, .fits = "1", .unnamed = true}},
     .expect = "error name-missing 0 -", .promise = SELFCHECK_BROKEN, .says = "names leaf.example"},
    {"RFC 7672 s3.1.1: DANE-EE does not", .tlsa = EE,
     .chain = {{.there = true, .usage = 3, .fits = "1", .unnamed = true}},
     .expect = "notice name-missing 0 -", .promise = SELFCHECK_KEPT},

    /* The chain itself */
    {"RFC 8446 s4.4.3: the key belongs to another certificate", .tlsa = EE,
     .chain = {{.there = true, .usage = 3, .fits = "1", .key_trouble = "another key"}},
     .expect = "error key-mismatch 0 -", .promise = SELFCHECK_KEPT, .says = "another key"},
    {"RFC 5246 s7.4.2: each certificate before its issuer", .tlsa = EE,
     .chain = {{.there = true, .usage = 3, .fits = "1", .disorder = true}},
     .expect = "warning chain-order 0 -", .promise = SELFCHECK_KEPT},
    {"RFC 9325 s4.5: a weak key", .tlsa = EE,
     .chain = {{.there = true, .usage = 3, .fits = "1", .weak = "RSA 1024"}},
     .expect = "warning weak-key 0 -", .promise = SELFCHECK_KEPT, .says = "a.pem: RSA 1024"},

    /* What is not served yet */
    {"RFC 7671 s8.1: a chain that waits and matches nothing breaks no promise yet", .tlsa = EE,
     .chain = {OK_CHAIN,
	       {.there = true, .waits = true, .reason = REASON_TLSA_INVALID, .fits = "0"}},
     .expect = "warning next-mismatch 1 -", .promise = SELFCHECK_KEPT, .paste = PUBLISH},

    /* Our own failures */
    {"T10: the verifier failed: that is not a mismatch", .tlsa = EE,
     .chain = {{.there = true, .not_judged = true, .fits = "1"}},
     .expect = "warning check-failed 0 -", .promise = SELFCHECK_UNKNOWN},
    {"T10: nobody judged a full record", .tlsa = "secure 3 1 0 aa*91",
     .chain = {{.there = true, .not_judged = true, .fits = "0"}}, .expect = "",
     .promise = SELFCHECK_UNKNOWN},
    {"RFC 7672 s2.2: records, and no STARTTLS", .tlsa = EE, .no_tls = "not offered",
     .expect = "error no-starttls - -", .promise = SELFCHECK_BROKEN,
     .says = "port 25: not offered"},
    {"RFC 7672 s2.2: no records, and no STARTTLS", .tlsa = "nxdomain secure",
     .no_tls = "not offered", .expect = "warning no-tlsa - -, warning no-starttls - -",
     .promise = SELFCHECK_NOTHING},
    {"V1: nothing served: nothing is known of the promise", .tlsa = EE, .expect = "",
     .promise = SELFCHECK_UNKNOWN},
};

/* --- From a row to facts --- */

struct made {
	struct arena mem;
	struct selfcheck_facts f;
	struct answer *answer[HOST_Q_COUNT + 1];
	struct tlsa_set set[HOST_Q_COUNT];
	struct selfcheck_chain chain[2];
	struct tls_cert cert[2][CERTS];
	struct selfcheck_fit fit[2][8];
};

static void make_certs(const struct row_chain *c, struct tls_cert *out)
{
	static const char *const subjects[CERTS] = {"CN=leaf", "CN=issuer 0", "CN=issuer 1"};
	static const char *const issuers[CERTS] = {"CN=issuer 0", "CN=issuer 1", "CN=issuer 2"};
	for (size_t i = 0; i < CERTS; i++) {
		int64_t ends = c->ends[i] != 0 ? c->ends[i] : (int64_t)365 * DAY;
		out[i] = (struct tls_cert){.subject = subjects[i],
					   .issuer = issuers[i],
					   .names = i == 0 ? "leaf.example" : "",
					   .sha256 = SPKI,
					   .spki_sha256 = SPKI,
					   .key = "EC P-256",
					   .not_before = NOW - (int64_t)1000 * DAY,
					   .not_after = NOW + ends};
	}
	if (c->early)
		out[0].not_before = NOW + DAY;
}

static void make_chain(struct made *m, size_t i, const struct row_chain *c)
{
	make_certs(c, m->cert[i]);
	for (size_t r = 0; c->fits != NULL && c->fits[r] != '\0'; r++)
		m->fit[i][r] = (struct selfcheck_fit){c->fits[r] == '1', c->depth};
	m->chain[i] = (struct selfcheck_chain){
	    .label = c->file != NULL ? c->file : "a.pem",
	    .file = c->file != NULL ? c->file : "a.pem",
	    .served = !c->waits,
	    .cert = m->cert[i],
	    .ncert = CERTS,
	    .judged = !c->not_judged,
	    .authenticated = !c->not_judged && c->reason == REASON_OK,
	    .reason = c->reason,
	    .detail = "so it says",
	    .match = {.present = c->reason == REASON_OK, .usage = c->usage, .depth = c->depth},
	    .fit = c->fits != NULL ? m->fit[i] : NULL,
	    .named = !c->unnamed,
	    .disorder = c->disorder ? 0 : -1,
	    .complete = c->complete,
	    .public_anchor = c->public_anchor,
	    .weak = c->weak,
	    .key_trouble = c->key_trouble,
	};
	m->f.nchain = i + 1;
}

static void take(struct made *m, enum host_query q, const char *name, uint16_t type,
		 const char *text)
{
	m->f.host.answer[q] = m->answer[q] = row_answer(name, type, text);
	if (m->answer[q] == NULL || m->answer[q]->status != DNS_SECURE || type != DNS_TLSA)
		return;
	assert_true(tlsa_set_build(&m->mem, m->answer[q], &m->set[q]));
	m->f.host.tlsa[q] = &m->set[q];
}

static void make(const struct row *r, struct made *m)
{
	static const struct dane_policy policy = {.level = LEVEL_DANE, .port = 25};
	*m = (struct made){.f = {.port = 25,
				 .host = {.name = HOST, .mx_secure = true},
				 .now = NOW,
				 .no_tls = r->no_tls,
				 .soon_s = (int64_t)14 * DAY,
				 .signature_s = DAY / 2,
				 .chain = m->chain}};
	arena_init(&m->mem, 1 << 20);
	take(m, HOST_Q_A, HOST, DNS_A, r->a != NULL ? r->a : A);
	take(m, HOST_Q_AAAA, HOST, DNS_AAAA, r->aaaa != NULL ? r->aaaa : "absent secure");
	take(m, HOST_Q_CNAME, HOST, DNS_CNAME, r->cname);
	take(m, HOST_Q_TLSA_EXPANDED, "_25._tcp.real.example.org", DNS_TLSA, r->expanded);
	take(m, HOST_Q_TLSA_ORIGINAL, OWNER, DNS_TLSA, r->tlsa);
	if (r->signature != 0) {
		m->answer[HOST_Q_TLSA_ORIGINAL]->has_signature = true;
		m->answer[HOST_Q_TLSA_ORIGINAL]->signature_expires = (uint32_t)(NOW + r->signature);
	}
	m->answer[HOST_Q_COUNT] = row_answer("_587._tcp." HOST, DNS_TLSA, r->other);
	m->f.other[0].port = 587;
	m->f.other[0].tlsa = m->answer[HOST_Q_COUNT];
	m->f.nother = 1;
	host_decide(&policy, &m->f.host, &m->f.verdict);
	for (size_t i = 0; i < 2 && r->chain[i].there; i++)
		make_chain(m, i, &r->chain[i]);
}

static void unmake(struct made *m)
{
	for (size_t i = 0; i <= HOST_Q_COUNT; i++)
		answer_unref(&m->answer[i]);
	arena_free(&m->mem);
}

/* --- What came of it, in the notation of the rows --- */

static void write_index(struct buf *b, int i)
{
	if (i < 0)
		buf_add_str(b, " -");
	else
		buf_addf(b, " %d", i);
}

static void write_findings(const struct selfcheck_verdict *v, struct buf *b)
{
	for (size_t i = 0; i < v->nfinding; i++) {
		const struct selfcheck_finding *f = &v->finding[i];
		buf_addf(b, "%s%s %s", i > 0 ? ", " : "", selfcheck_severity_name(f->severity),
			 selfcheck_kind_name(f->kind));
		write_index(b, f->chain);
		write_index(b, f->record);
	}
}

static bool seen[SELFCHECK_KINDS];

static void check_texts(const struct row *r, const struct selfcheck_verdict *v)
{
	for (size_t i = 0; i < v->nfinding; i++) {
		const struct selfcheck_finding *f = &v->finding[i];
		seen[f->kind] = true;
		/* every word in braces has a meaning where it is used */
		row_check(strchr(f->text, '?') == NULL, f->text);
		row_check(strchr(f->cure, '?') == NULL, f->cure);
		row_check(f->text[0] != '\0' && f->cure[0] != '\0', r->rule);
		assert_string_equal(f->about, HOST);
		assert_int_equal(f->port, 25);
	}
	if (r->says != NULL && strstr(v->finding[0].text, r->says) == NULL)
		fail_msg("%s\n    says: %s", r->rule, v->finding[0].text);
	if (r->paste != NULL)
		assert_string_equal(v->finding[0].paste, r->paste);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct made m;
		struct selfcheck_verdict v;
		struct buf b;
		buf_init(&b, TEXT_MAX);
		make(&rows[i], &m);
		assert_true(selfcheck_decide(&m.mem, &m.f, &v));
		write_findings(&v, &b);
		if (strcmp(buf_cstr(&b), rows[i].expect) != 0)
			fail_msg("%s\n    expected: %s\n    found:    %s", rows[i].rule,
				 rows[i].expect, buf_cstr(&b));
		row_check(v.promise == rows[i].promise, rows[i].rule);
		check_texts(&rows[i], &v);
		buf_free(&b);
		unmake(&m);
	}
}

/* A validation that failed is the zone's fault and not that of the line. */
static void test_bogus(void **state)
{
	static const struct row row = {"bogus", .tlsa = "failed bogus"};
	struct made m;
	struct selfcheck_verdict v;
	(void)state;
	make(&row, &m);
	m.answer[HOST_Q_TLSA_ORIGINAL]->bogus = true;
	assert_true(selfcheck_decide(&m.mem, &m.f, &v));
	assert_int_equal(v.nfinding, 1);
	assert_int_equal(v.finding[0].kind, SELFCHECK_BOGUS);
	assert_int_equal(v.finding[0].severity, SELFCHECK_ERROR);
	assert_int_equal(v.promise, SELFCHECK_UNKNOWN);
	seen[SELFCHECK_BOGUS] = true;
	unmake(&m);
}

/* --- Domains --- */

struct domain_row {
	const char *rule, *domain, *mx;
	const char *exchange, *a; /* the first exchange's address answer */
	const char *tlsa;
	int64_t signature;
	const char *expect;
};

static const struct domain_row domain_rows[] = {
    {"RFC 5321 s5.1: our name is there", "example.org", "secure 10 " HOST, NULL, NULL,
     "nxdomain secure", 0, ""},
    {"RFC 5321 s5.1: one of several is enough", "example.org", "secure 10 mx.example.net, 20 " HOST,
     NULL, NULL, NULL, 0, ""},
    {"RFC 5321 s5.1: none is ours", "example.org", "secure 10 mx.example.net", "mx.example.net", A,
     NULL, 0, "warning mx-not-ours - -"},
    {"RFC 7505 s3: null MX names nobody", "example.org", "secure 0 .", NULL, NULL, NULL, 0,
     "warning mx-not-ours - -"},
    {"RFC 5321 s5.1: no MX records: the domain is the host", HOST, "absent secure", NULL, NULL,
     NULL, 0, ""},
    {"RFC 5321 s5.1: no MX records of another domain", "example.org", "absent secure", NULL, NULL,
     NULL, 0, "warning mx-not-ours - -"},
    {"RFC 5321 s5.1: an exchange that is an alias of ours", "example.org",
     "secure 10 mail.example.org", "mail.example.org", "secure via " HOST " 192.0.2.1", NULL, 0,
     "warning mx-alias - -"},
    {"RFC 7672 s2.2.1: unsigned MX records", "example.org", "insecure 10 " HOST, NULL, NULL, NULL,
     0, "warning mx-insecure - -"},
    {"RFC 7672 s2.2.1: an unsigned absence", HOST, "absent insecure", NULL, NULL, NULL, 0,
     "warning mx-insecure - -"},
    {"RFC 7672 s2.1.2: the lookup failed", "example.org", "failed timeout", NULL, NULL, NULL, 0,
     "warning lookup-failed - -"},
    {"RFC 7672 s2.2.3: TLSA records at the domain instead of the host", "example.org",
     "secure 10 " HOST, NULL, NULL, EE, 0, "warning wrong-name - -"},
    {"RFC 7672 s2.2.3: a domain that is its own host", HOST, "secure 10 " HOST, NULL, NULL, EE, 0,
     ""},
    {"RFC 4035 s5.3.1: the MX records' signature ends soon", "example.org", "secure 10 " HOST, NULL,
     NULL, NULL, 3600, "warning signature-expires-soon - -"},
};

static void test_domains(void **state)
{
	static const char *const ours[] = {HOST};
	(void)state;
	for (size_t i = 0; i < ROWS(domain_rows); i++) {
		const struct domain_row *r = &domain_rows[i];
		struct arena mem;
		struct selfcheck_verdict v;
		struct buf b;
		struct answer *mx = row_answer(r->domain, DNS_MX, r->mx);
		struct answer *a = r->a != NULL ? row_answer(r->exchange, DNS_A, r->a) : NULL;
		struct answer *tlsa = row_answer("_25._tcp.example.org", DNS_TLSA, r->tlsa);
		struct selfcheck_exchange x = {r->exchange != NULL ? r->exchange : HOST, a};
		mx->has_signature = r->signature != 0;
		mx->signature_expires = (uint32_t)(NOW + r->signature);
		bool others = r->exchange == NULL && strstr(r->mx, HOST) == NULL;
		struct selfcheck_domain_facts f = {.domain = r->domain,
						   .mx = mx,
						   .exchange = &x,
						   .nexchange = others ? 0 : mx->nrr > 0,
						   .ours = ours,
						   .nours = 1,
						   .port = 25,
						   .tlsa = tlsa,
						   .now = NOW,
						   .signature_s = DAY / 2};
		arena_init(&mem, 1 << 20);
		buf_init(&b, TEXT_MAX);
		assert_true(selfcheck_domain_decide(&mem, &f, &v));
		write_findings(&v, &b);
		if (strcmp(buf_cstr(&b), r->expect) != 0)
			fail_msg("%s\n    expected: %s\n    found:    %s", r->rule, r->expect,
				 buf_cstr(&b));
		for (size_t k = 0; k < v.nfinding; k++) {
			seen[v.finding[k].kind] = true;
			row_check(strchr(v.finding[k].text, '?') == NULL, v.finding[k].text);
			row_check(strchr(v.finding[k].cure, '?') == NULL, v.finding[k].cure);
		}
		buf_free(&b);
		arena_free(&mem);
		answer_unref(&mx);
		answer_unref(&a);
		answer_unref(&tlsa);
	}
}

/* --- Results --- */

static void test_results(void **state)
{
	static const struct {
		enum selfcheck_kind kind[2];
		enum selfcheck_severity severity[2];
		size_t n;
		enum selfcheck_result result;
	} table[] = {
	    {{0}, {0}, 0, SELFCHECK_WELL},
	    {{SELFCHECK_STALE_RECORD}, {SELFCHECK_NOTICE}, 1, SELFCHECK_WELL},
	    {{SELFCHECK_NO_TLSA}, {SELFCHECK_WARNING}, 1, SELFCHECK_WARNINGS},
	    {{SELFCHECK_MISMATCH, SELFCHECK_NO_TLSA},
	     {SELFCHECK_ERROR, SELFCHECK_WARNING},
	     2,
	     SELFCHECK_ERRORS},
	    {{SELFCHECK_LOOKUP_FAILED, SELFCHECK_NO_TLSA},
	     {SELFCHECK_WARNING, SELFCHECK_WARNING},
	     2,
	     SELFCHECK_NO_LOOKUP},
	    {{SELFCHECK_MISMATCH, SELFCHECK_LOOKUP_FAILED},
	     {SELFCHECK_ERROR, SELFCHECK_WARNING},
	     2,
	     SELFCHECK_ERRORS},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct selfcheck_finding f[2] = {
		    {.kind = table[i].kind[0], .severity = table[i].severity[0]},
		    {.kind = table[i].kind[1], .severity = table[i].severity[1]}};
		assert_int_equal(selfcheck_result_of(f, table[i].n), table[i].result);
	}
}

/* The answers of a short TTL are asked for again soon; without an answer as soon as may be. */
static void test_fresh(void **state)
{
	static const struct row there = {"there", .tlsa = EE}, gone = {"gone", .tlsa = "failed x"};
	const struct row *both[] = {&there, &gone};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct made m;
		struct selfcheck_verdict v;
		make(both[i], &m);
		if (i == 0)
			m.answer[HOST_Q_TLSA_ORIGINAL]->rr[0].ttl = 77;
		assert_true(selfcheck_decide(&m.mem, &m.f, &v));
		assert_int_equal(v.fresh_s, i == 0 ? 77 : 5);
		unmake(&m);
	}
}

/* Comes last: the rows leave no finding out, save what only the relay says. */
static void test_all_kinds(void **state)
{
	(void)state;
	for (int k = 0; k < SELFCHECK_KINDS; k++) {
		enum selfcheck_kind back = SELFCHECK_KINDS;
		assert_true(
		    selfcheck_kind_from_name(selfcheck_kind_name((enum selfcheck_kind)k), &back));
		assert_int_equal(back, k);
		if (!seen[k] && k != SELFCHECK_NOT_RELOADED)
			fail_msg("no row for %s", selfcheck_kind_name((enum selfcheck_kind)k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),    cmocka_unit_test(test_bogus),
	    cmocka_unit_test(test_domains), cmocka_unit_test(test_results),
	    cmocka_unit_test(test_fresh),   cmocka_unit_test(test_all_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
