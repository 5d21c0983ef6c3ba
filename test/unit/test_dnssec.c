/* SPDX-License-Identifier: MIT */
/*
 * dnssec: when an RRset that came from a wildcard is proven: signed zones of our own, and one
 * denial of the name in between that is right, or wrong in one thing (RFC 4035 s5.3.4, RFC 5155
 * s8.8, RFC 6840 s4.1).
 */
#include "unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "dnssec/dnssec.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOW = 1700000000, DAY = 86400, SETS_MAX = 8 };

static const char tlsa[] = " 3600 IN TLSA 3 1 1 "
			   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* A zone: its key, and the DNSKEY record that says so. */
struct zone {
	const char *name;
	ldns_key_list *keys;
	ldns_rr *dnskey;
};

struct fixture {
	struct zone root, example; /* both are anchors */
	struct dnssec_anchors *anchors;
};

static ldns_key *key_make(ldns_signing_algorithm algorithm, const char *name, uint32_t until)
{
	ldns_key *k = ldns_key_new_frm_algorithm(
	    algorithm, algorithm == LDNS_SIGN_ECDSAP256SHA256 ? 256 : 384);
	assert_non_null(k);
	ldns_key_set_pubkey_owner(k, ldns_dname_new_frm_str(name));
	ldns_key_set_inception(k, NOW - DAY);
	ldns_key_set_expiration(k, until);
	return k;
}

static void zone_make(struct zone *z, const char *name)
{
	ldns_key *k = key_make(LDNS_SIGN_ECDSAP256SHA256, name, NOW + DAY);
	z->name = name;
	z->dnskey = ldns_key2rr(k);
	ldns_rr_set_ttl(z->dnskey, 3600);
	ldns_key_set_keytag(k, ldns_calc_keytag(z->dnskey));
	z->keys = ldns_key_list_new();
	ldns_key_list_push_key(z->keys, k);
}

static int setup(void **state)
{
	static struct fixture f;
	char path[] = "/tmp/test_dnssec.XXXXXX", error[256];
	const char *const files[] = {path, NULL};
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "w");
	assert_non_null(out);
	zone_make(&f.root, ".");
	zone_make(&f.example, "example.");
	ldns_rr_print(out, f.root.dnskey);
	ldns_rr_print(out, f.example.dnskey);
	fclose(out);
	f.anchors = dnssec_anchors_read(files, error, sizeof(error));
	unlink(path);
	assert_non_null(f.anchors);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct zone *all[] = {&f->root, &f->example};
	for (size_t i = 0; i < ROWS(all); i++) {
		ldns_key_list_free(all[i]->keys);
		ldns_rr_free(all[i]->dnskey);
	}
	dnssec_anchors_free(&f->anchors);
	return 0;
}

/* --- Evidence --- */

/* What a row makes; the octets are freed with it. */
struct made {
	struct evidence e;
	uint8_t *octets[SETS_MAX];
};

static void set_owner(ldns_rr *rr, const char *owner)
{
	ldns_rdf_deep_free(ldns_rr_owner(rr));
	ldns_rr_set_owner(rr, ldns_dname_new_frm_str(owner));
}

/* One RRset, signed by the zone; shown under another owner where it came from a wildcard. */
static void add_set(struct made *m, ldns_rr_list *set, const struct zone *z, const char *shown_as,
		    bool spoil)
{
	uint8_t all[8192];
	size_t used = 0;
	ldns_rr_list_sort(set);
	ldns_rr_list *sigs = ldns_sign_public(set, z->keys);
	assert_int_equal(ldns_rr_list_rr_count(sigs), ldns_key_list_key_count(z->keys));
	ldns_rr_list_sort(sigs);
	ldns_rr_list *const lists[] = {set, sigs};
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < ldns_rr_list_rr_count(lists[k]); i++) {
			ldns_rr *rr = ldns_rr_list_rr(lists[k], i);
			uint8_t *wire;
			size_t n;
			if (shown_as != NULL)
				set_owner(rr, shown_as);
			assert_int_equal(ldns_rr2wire(&wire, rr, LDNS_SECTION_ANSWER, &n),
					 LDNS_STATUS_OK);
			assert_true(used + n <= sizeof(all));
			memcpy(all + used, wire, n);
			used += n;
			free(wire);
		}
	}
	if (spoil)
		all[used - 1] ^= 1;
	uint8_t *kept = malloc(used);
	assert_non_null(kept);
	memcpy(kept, all, used);
	m->octets[m->e.nrrset] = kept;
	m->e.rrset[m->e.nrrset++] = slice_make(kept, used);
	ldns_rr_list_deep_free(sigs);
}

static void add_text(struct made *m, const char *text, const char *and_text, const struct zone *z,
		     const char *shown_as, bool spoil)
{
	const char *const texts[] = {text, and_text};
	ldns_rr_list *set = ldns_rr_list_new();
	for (size_t i = 0; i < 2 && texts[i] != NULL; i++) {
		ldns_rr *rr = NULL;
		if (ldns_rr_new_frm_str(&rr, texts[i], 3600, NULL, NULL) != LDNS_STATUS_OK)
			fail_msg("cannot read %s", texts[i]);
		ldns_rr_list_push_rr(set, rr);
	}
	add_set(m, set, z, shown_as, spoil);
	ldns_rr_list_deep_free(set);
}

static void add_keys(struct made *m, const struct zone *z)
{
	ldns_rr_list *set = ldns_rr_list_new();
	ldns_rr_list_push_rr(set, ldns_rr_clone(z->dnskey));
	add_set(m, set, z, NULL, false);
	ldns_rr_list_deep_free(set);
}

/* TLSA records for port 25 of mx.example, from a wildcard. */
static void begin(struct made *m, const struct fixture *f, const char *wildcard)
{
	char text[256];
	*m = (struct made){.e = {.time = NOW,
				 .destination = "mx.example",
				 .mx = EVIDENCE_MX_NONE,
				 .host = "mx.example",
				 .port = 25,
				 .base = "mx.example"}};
	snprintf(text, sizeof(text), "%s%s", wildcard, tlsa);
	add_text(m, text, NULL, &f->example, "_25._tcp.mx.example.", false);
	add_keys(m, &f->example);
}

static void judge(const struct fixture *f, struct made *m, const char *rule, bool proven,
		  bool spoilt)
{
	struct dnssec_proof proof;
	dnssec_prove(f->anchors, &m->e, 300, &proof);
	if (proof.proven != proven)
		fail_msg("%s: %s", rule, proof.proven ? "proven" : proof.why);
	if (!proven &&
	    strstr(proof.why, spoilt ? "does not verify" : "comes from a wildcard") == NULL)
		fail_msg("%s: for another reason: %s", rule, proof.why);
	for (size_t i = 0; i < m->e.nrrset; i++)
		free(m->octets[i]);
}

/* --- NSEC --- */

static const struct {
	const char *rule;
	bool proven;
	const char *wildcard; /* NULL: *._tcp.mx.example. */
	const char *nsec;     /* NULL: none */
	const char *and_nsec; /* NULL: one record in the RRset */
	bool of_root, spoil;
} nsecs[] = {
    {"the gap begins at the wildcard", true, NULL, "*._tcp.mx.example. NSEC z.example. TLSA"},
    {"the last gap of the zone", true, NULL, "b.example. NSEC example. A"},
    {"from the apex on", true, NULL, "example. NSEC z.example. NS SOA"},
    {"from a name above that is no cut", true, NULL, "mx.example. NSEC z.example. A"},
    {"RFC 4035 s5.3.4: no denial at all", false, NULL, NULL},
    {"the gap ends before the name", false, NULL, "*._tcp.mx.example. NSEC _1._tcp.mx.example. A"},
    {"the gap begins behind it", false, NULL, "a.mx.example. NSEC z.example. A"},
    {"the name is there: the gap begins with it", false, NULL,
     "_25._tcp.mx.example. NSEC z.example. A"},
    {"the name is there: the gap ends with it", false, NULL,
     "*._tcp.mx.example. NSEC _25._tcp.mx.example. TLSA"},
    {"RFC 4592 s2.2.2: something is below it, so that it is there", false, NULL,
     "*._tcp.mx.example. NSEC a._25._tcp.mx.example. TLSA"},
    {"RFC 6840 s4.1: a delegation above: what is below is not its to deny", false, NULL,
     "mx.example. NSEC z.example. NS"},
    {"RFC 6840 s4.1: a DNAME above", false, NULL, "mx.example. NSEC z.example. DNAME"},
    {"a delegation that is not above says nothing less", true, NULL,
     "b.example. NSEC z.example. NS"},
    {"signed, but not by the zone of the wildcard", false, NULL, "a. NSEC z. NS", .of_root = true},
    {"a signature that does not verify", false, NULL, "*._tcp.mx.example. NSEC z.example. TLSA",
     .spoil = true},
    {"two records at one name", false, NULL, "*._tcp.mx.example. NSEC z.example. TLSA",
     "*._tcp.mx.example. NSEC y.example. TLSA"},
    {"a wildcard further up: the next closer name is denied", true, "*.example.",
     "*.example. NSEC z.example. TLSA"},
    {"a wildcard further up: only what is below the next closer name is denied", false,
     "*.example.", "0.mx.example. NSEC z.example. A"},
    {"a wildcard further up: a name above exists", false, "*.example.",
     "_tcp.mx.example. NSEC z.example. A"},
};

static void nsec_rows(void **state)
{
	const struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(nsecs); i++) {
		struct made m;
		const struct zone *z = nsecs[i].of_root ? &f->root : &f->example;
		begin(&m, f, nsecs[i].wildcard != NULL ? nsecs[i].wildcard : "*._tcp.mx.example.");
		if (nsecs[i].nsec != NULL)
			add_text(&m, nsecs[i].nsec, nsecs[i].and_nsec, z, NULL, nsecs[i].spoil);
		if (nsecs[i].of_root)
			add_keys(&m, &f->root);
		judge(f, &m, nsecs[i].rule, nsecs[i].proven, nsecs[i].spoil);
	}
}

/* --- NSEC3 --- */

static const struct {
	const char *rule;
	bool proven;
	int from, to; /* the gap, as offsets to the hash of the next closer name */
	unsigned flags, iterations;
	const char *zone; /* NULL: example. */
} nsec3s[] = {
    {"RFC 5155 s8.8: the hash is in the gap", true, -1, 1, 0, 1},
    {"as many iterations as the resolver takes (RFC 9276 s3.2)", true, -1, 1, 0, 150},
    {"more", false, -1, 1, 0, 151},
    {"opt-out: there may be a delegation in the gap (RFC 5155 s6)", false, -1, 1, 1, 1},
    {"the name is there: the gap begins with it", false, 0, 1, 0, 1},
    {"the name is there: the gap ends with it", false, -1, 0, 0, 1},
    {"the gap begins behind it", false, 1, 2, 0, 1},
    {"the gap ends before it", false, -2, -1, 0, 1},
    {"below a name of the zone that is none", false, -1, 1, 0, 1, "other.example."},
    {"nor when it says that it is the last of that", false, 1, -1, 0, 1, "0.example."},
};

/* The base32hex text of the hash of the next closer name, so many further. */
static void hash_text(int offset, unsigned iterations, char out[static 64])
{
	ldns_rdf *name = ldns_dname_new_frm_str("_25._tcp.mx.example.");
	ldns_rdf *hash = ldns_nsec3_hash_name(name, LDNS_SHA1, (uint16_t)iterations, 0, NULL);
	uint8_t octets[20];
	char text[64];
	assert_non_null(hash);
	/* a label of 32 characters, base32 in extended hex (RFC 4648 s7) */
	snprintf(text, sizeof(text), "%.32s", (const char *)ldns_rdf_data(hash) + 1);
	assert_int_equal(ldns_b32_pton_extended_hex(text, 32, octets, sizeof(octets)), 20);
	for (int at = 19, carry = offset; at >= 0; at--) {
		int sum = octets[at] + carry;
		octets[at] = (uint8_t)sum;
		carry = sum < 0 ? -1 : sum >> 8;
	}
	assert_int_equal(ldns_b32_ntop_extended_hex(octets, 20, out, 64), 32);
	ldns_rdf_deep_free(hash);
	ldns_rdf_deep_free(name);
}

static void nsec3_rows(void **state)
{
	const struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(nsec3s); i++) {
		struct made m;
		char from[64], to[64], text[512];
		begin(&m, f, "*._tcp.mx.example.");
		hash_text(nsec3s[i].from, nsec3s[i].iterations, from);
		hash_text(nsec3s[i].to, nsec3s[i].iterations, to);
		snprintf(text, sizeof(text), "%s.%s 3600 IN NSEC3 1 %u %u - %s TLSA", from,
			 nsec3s[i].zone != NULL ? nsec3s[i].zone : "example.", nsec3s[i].flags,
			 nsec3s[i].iterations, to);
		add_text(&m, text, NULL, &f->example, NULL, false);
		judge(f, &m, nsec3s[i].rule, nsec3s[i].proven, false);
	}
}

/* --- How long it proves something --- */

/* The first signature that ends, whichever it is of an RRset and wherever that stands. */
static void ends_with_the_first(void **state)
{
	static const struct {
		int days[2]; /* of the signatures of one RRset, in its order */
		int other;   /* of the signature of a second one; 0: none */
		int ends;
	} rows[] = {{{2, 3}, 0, 2}, {{3, 2}, 0, 2}, {{3, 2}, 1, 1}, {{2, 3}, 4, 2}};
	static const ldns_signing_algorithm algorithms[] = {LDNS_SIGN_ECDSAP256SHA256,
							    LDNS_SIGN_ECDSAP384SHA384};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct made m = {0};
		struct zone one = {.keys = ldns_key_list_new()},
			    two = {.keys = ldns_key_list_new()};
		for (size_t k = 0; k < 2; k++)
			ldns_key_list_push_key(one.keys,
					       key_make(algorithms[k], "example.",
							(uint32_t)(NOW + rows[i].days[k] * DAY)));
		ldns_key_list_push_key(two.keys, key_make(algorithms[0], "example.",
							  (uint32_t)(NOW + rows[i].other * DAY)));
		add_text(&m, "a.example. 3600 IN A 192.0.2.1", NULL, &one, NULL, false);
		if (rows[i].other > 0)
			add_text(&m, "b.example. 3600 IN A 192.0.2.2", NULL, &two, NULL, false);
		assert_int_equal(evidence_until(&m.e, NOW), NOW + rows[i].ends * DAY);
		for (size_t k = 0; k < m.e.nrrset; k++)
			free(m.octets[k]);
		ldns_key_list_free(one.keys);
		ldns_key_list_free(two.keys);
	}
}

/* Files that were written stay readable: the form has a mark and a version, and no other is read.
 */
static void the_form_is_the_first(void **state)
{
	const struct fixture *f = *state;
	struct made m;
	struct evidence again;
	struct arena mem;
	struct buf b;
	begin(&m, f, "*._tcp.mx.example.");
	arena_init(&mem, 1 << 20);
	buf_init(&b, EVIDENCE_BODY_MAX);
	assert_true(evidence_encode(&m.e, &b));
	uint8_t *p = b.p + b.start;
	assert_int_equal(p[0], 'E');
	assert_int_equal(p[1], 1);
	assert_true(evidence_decode(buf_slice(&b), &mem, &again));
	p[1] = 2;
	assert_false(evidence_decode(buf_slice(&b), &mem, &again));
	p[1] = 1;
	p[0] = 'F';
	assert_false(evidence_decode(buf_slice(&b), &mem, &again));
	buf_free(&b);
	arena_free(&mem);
	for (size_t i = 0; i < m.e.nrrset; i++)
		free(m.octets[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nsec_rows),
	    cmocka_unit_test(nsec3_rows),
	    cmocka_unit_test(ends_with_the_first),
	    cmocka_unit_test(the_form_is_the_first),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
