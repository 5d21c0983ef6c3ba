/* SPDX-License-Identifier: MIT */
/* wire: from a response packet to a fact (D1, D2); what is odd is a failure, never an absence. */
#include "wire/answer.h"

#include "base/buf.h"
#include "wire/dname.h"

#include "guard.h"
#include "packet.h"
#include "unit.h"

#define Q "example.org"

static struct slice ip4(void)
{
	return SLICE_LIT("\xc0\x00\x02\x01");
}

static void add_a(struct buf *p, const char *owner)
{
	packet_add(p, PACKET_ANSWER, owner, DNS_A, ip4());
}

static void add_cname(struct buf *p, const char *owner, const char *target)
{
	packet_add_name(p, owner, DNS_CNAME, target);
}

/* Parses and frees the packet. */
static struct answer *parse(struct buf *p, const char *name, uint16_t type,
			    enum answer_security sec)
{
	struct guard g;

	guard_init(&g, PACKET_MAX);
	struct answer *a = answer_parse(name, type, guard_put(&g, buf_slice(p)), sec, NULL);
	guard_free(&g); /* the answer must not point into the packet */
	buf_free(p);
	assert_non_null(a);
	assert_int_equal(a->why != NULL, a->status == DNS_FAILED);
	return a;
}

static void expect_failed(struct buf *p, const char *name, uint16_t type, const char *why)
{
	struct answer *a = parse(p, name, type, ANSWER_SECURE);

	assert_int_equal(a->status, DNS_FAILED);
	assert_false(a->bogus);
	assert_false(a->absence_secure);
	assert_string_equal(a->why, why);
	assert_string_equal(a->canonical, a->name);
	assert_int_equal(a->nrr + a->naliases, 0);
	answer_unref(&a);
	assert_null(a);
}

/* RRSIG RDATA (RFC 4034 s3.1): the type that it covers, when it ends; the rest does not matter
 * here. */
static void add_rrsig(struct buf *p, const char *owner, uint16_t covers, uint32_t expires)
{
	uint8_t rdata[24] = {(uint8_t)(covers >> 8), (uint8_t)covers};
	for (size_t i = 0; i < 4; i++)
		rdata[8 + i] = (uint8_t)(expires >> (24 - 8 * i));
	packet_add(p, PACKET_ANSWER, owner, DNS_RRSIG, slice_make(rdata, sizeof(rdata)));
}

/* RFC 4034 s3.1.5: of an RRset the last signature counts, of the RRsets of an answer the first that
 * ends; signatures of other names and types do not. */
static void test_signatures(void **state)
{
	static const struct {
		uint32_t address[2], alias;
		bool has;
		uint32_t expires;
	} row[] = {
	    {{1000, 0}, 2000, true, 1000},
	    {{3000, 0}, 2000, true, 2000},
	    {{1000, 5000}, 2000, true, 2000},
	    {{5000, 1000}, 9000, true, 5000},
	    {{0xfffffff0u, 0}, 0x10, true, 0xfffffff0u}, /* RFC 1982: before 2106, after it */
	    {{0, 0}, 2000, true, 2000},
	    {{0, 0}, 0, false, 0},
	};
	struct buf p;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		packet_begin(&p, Q, DNS_A, DNS_NOERROR);
		add_cname(&p, Q, "host.example.org");
		add_a(&p, "host.example.org");
		for (size_t k = 0; k < 2; k++) {
			if (row[i].address[k] != 0)
				add_rrsig(&p, "host.example.org", DNS_A, row[i].address[k]);
		}
		if (row[i].alias != 0)
			add_rrsig(&p, Q, DNS_CNAME, row[i].alias);
		add_rrsig(&p, "host.example.org", DNS_TLSA, 7);
		add_rrsig(&p, "other.example.org", DNS_A, 7);
		add_rrsig(&p, Q, DNS_A, 7);
		struct answer *a = parse(&p, Q, DNS_A, ANSWER_SECURE);
		assert_int_equal(a->has_signature, row[i].has);
		if (row[i].has)
			assert_int_equal(a->signature_expires, row[i].expires);
		answer_unref(&a);
	}
}

static void test_signature_times(void **state)
{
	const int64_t now = 4294967296 + 100; /* after the wrap of 2106 */
	const struct answer soon = {.has_signature = true, .signature_expires = 200};
	const struct answer gone = {.has_signature = true, .signature_expires = 0xffffffffu};

	(void)state;
	assert_int_equal(answer_signed_until(&soon, now), now + 100);
	assert_int_equal(answer_signed_until(&gone, now), now - 101);
	assert_int_equal(answer_signed_until(&soon, 150), 200);
}

static void test_addresses(void **state)
{
	static const enum answer_security sec[] = {ANSWER_INSECURE, ANSWER_SECURE};
	struct buf p;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		packet_begin(&p, "Example.ORG", DNS_A, DNS_NOERROR);
		add_a(&p, "EXAMPLE.org");
		packet_add(&p, PACKET_ANSWER, Q, 46, SLICE_LIT("signature"));
		add_a(&p, "other.example");
		packet_add(&p, PACKET_ANSWER, Q, DNS_A, SLICE_LIT("\xc0\x00\x02\x02"));
		struct answer *a = parse(&p, "Example.Org.", DNS_A, sec[i]);
		assert_int_equal(a->status, i == 0 ? DNS_INSECURE : DNS_SECURE);
		assert_string_equal(a->name, Q);
		assert_string_equal(a->canonical, Q);
		assert_int_equal(a->naliases, 0);
		assert_int_equal(a->nrr, 2);
		assert_int_equal(a->rr[0].ttl, 300);
		assert_int_equal(a->rr[0].u.addr.family, 4);
		assert_int_equal(a->rr[1].u.addr.b[3], 2);
		answer_unref(&a);
	}
	packet_begin(&p, Q, DNS_AAAA, DNS_NOERROR);
	packet_add(&p, PACKET_ANSWER, Q, DNS_AAAA, SLICE_LIT("0123456789abcdef"));
	struct answer *a = parse(&p, Q, DNS_AAAA, ANSWER_SECURE);
	assert_int_equal(a->rr[0].u.addr.family, 6);
	assert_memory_equal(a->rr[0].u.addr.b, "0123456789abcdef", 16);
	answer_unref(&a);
}

static void test_mx(void **state)
{
	struct buf p;

	(void)state;
	packet_begin(&p, Q, DNS_MX, DNS_NOERROR);
	packet_add_mx(&p, Q, 10, "MX1.Example.Org");
	packet_add_mx(&p, Q, 0, ".");
	/* an exchange that points at the question */
	packet_add(&p, PACKET_ANSWER, Q, DNS_MX, SLICE_LIT("\xff\xff\x03mx2\xc0\x0c"));
	struct answer *a = parse(&p, Q, DNS_MX, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_SECURE);
	assert_int_equal(a->nrr, 3);
	assert_int_equal(a->rr[0].u.mx.preference, 10);
	assert_string_equal(a->rr[0].u.mx.exchange, "mx1.example.org");
	assert_string_equal(a->rr[1].u.mx.exchange, ".");
	assert_int_equal(a->rr[2].u.mx.preference, 65535);
	assert_string_equal(a->rr[2].u.mx.exchange, "mx2.example.org");
	answer_unref(&a);
}

/* T1: whatever stands in TLSA RDATA is kept; it is not the packet that is broken. */
static void test_tlsa(void **state)
{
	struct buf p;

	(void)state;
	packet_begin(&p, "_25._tcp.mx.example", DNS_TLSA, DNS_NOERROR);
	packet_add(&p, PACKET_ANSWER, "_25._tcp.mx.example", DNS_TLSA, SLICE_LIT("\x03\x01\x01xy"));
	packet_add(&p, PACKET_ANSWER, "_25._tcp.mx.example", DNS_TLSA, SLICE_LIT("\x03\x01"));
	packet_add(&p, PACKET_ANSWER, "_25._tcp.mx.example", DNS_TLSA, slice_make(NULL, 0));
	struct answer *a = parse(&p, "_25._tcp.mx.example", DNS_TLSA, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_SECURE);
	assert_int_equal(a->nrr, 3);
	assert_int_equal(a->rr[0].u.tlsa.usage, 3);
	assert_true(slice_eq_str(a->rr[0].u.tlsa.data, "xy"));
	assert_false(a->rr[0].u.tlsa.short_rdata);
	assert_true(a->rr[1].u.tlsa.short_rdata);
	assert_true(a->rr[2].u.tlsa.short_rdata);
	answer_unref(&a);
}

/* Records of another class are not ours; a TTL with the top bit set is 0 (RFC 2181 s8). */
static void test_class_and_ttl(void **state)
{
	enum {
		FROM_END_TO_CLASS = 11,
		FROM_END_TO_TTL = 10
	}; /* of a record with 4 octets of RDATA */
	struct buf p;

	(void)state;
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	add_a(&p, Q);
	packet_poke(&p, buf_len(&p) - FROM_END_TO_CLASS, 3); /* CH */
	struct answer *a = parse(&p, Q, DNS_A, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_ABSENT);
	answer_unref(&a);
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	add_a(&p, Q);
	packet_poke(&p, buf_len(&p) - FROM_END_TO_TTL, 0x80);
	a = parse(&p, Q, DNS_A, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_SECURE);
	assert_int_equal(a->rr[0].ttl, 0);
	answer_unref(&a);
}

/* The order of the records in the section does not matter. */
static void test_chain(void **state)
{
	static const char *const step[] = {Q, "a.example", "b.example", "c.example"};
	static const uint8_t order[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};
	struct buf p;

	(void)state;
	for (size_t o = 0; o < ROWS(order); o++) {
		packet_begin(&p, Q, DNS_A, DNS_NOERROR);
		for (size_t i = 0; i < 4; i++) {
			size_t k = order[o][i];
			if (k == 3)
				add_a(&p, step[3]);
			else
				add_cname(&p, step[k], step[k + 1]);
		}
		struct answer *a = parse(&p, Q, DNS_A, ANSWER_SECURE);
		assert_int_equal(a->status, DNS_SECURE);
		assert_string_equal(a->canonical, "c.example");
		assert_int_equal(a->naliases, 3);
		for (size_t i = 0; i < 3; i++)
			assert_string_equal(a->aliases[i], step[i + 1]);
		assert_ptr_equal(a->aliases[2], a->canonical);
		assert_int_equal(a->nrr, 1);
		answer_unref(&a);
	}
}

static void test_absence(void **state)
{
	static const struct {
		uint16_t rcode;
		bool alias;
		enum answer_security sec;
	} row[] = {
	    {DNS_NOERROR, false, ANSWER_SECURE},  {DNS_NOERROR, false, ANSWER_INSECURE},
	    {DNS_NXDOMAIN, false, ANSWER_SECURE}, {DNS_NXDOMAIN, false, ANSWER_INSECURE},
	    {DNS_NOERROR, true, ANSWER_SECURE},   {DNS_NOERROR, true, ANSWER_INSECURE},
	    {DNS_NXDOMAIN, true, ANSWER_SECURE},  {DNS_NXDOMAIN, true, ANSWER_INSECURE},
	};
	struct buf p;

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		packet_begin(&p, Q, DNS_TLSA, row[i].rcode);
		if (row[i].alias)
			add_cname(&p, Q, "a.example");
		add_a(&p, Q); /* not what was asked for */
		packet_add(&p, PACKET_AUTHORITY, "org", DNS_SOA, SLICE_LIT("soa"));
		struct answer *a = parse(&p, Q, DNS_TLSA, row[i].sec);
		assert_int_equal(a->status, DNS_ABSENT);
		assert_int_equal(a->absence_secure, row[i].sec == ANSWER_SECURE);
		assert_int_equal(a->nxdomain, row[i].rcode == DNS_NXDOMAIN);
		assert_int_equal(a->rcode, row[i].rcode);
		assert_int_equal(a->naliases, row[i].alias);
		assert_string_equal(a->canonical, row[i].alias ? "a.example" : Q);
		assert_int_equal(a->nrr, 0);
		answer_unref(&a);
	}
}

static void add_chain(struct buf *p, unsigned n)
{
	packet_begin(p, "h0.example", DNS_A, DNS_NOERROR);
	for (unsigned i = 0; i < n; i++) {
		char from[32];
		char to[32];
		(void)snprintf(from, sizeof(from), "h%u.example", i);
		(void)snprintf(to, sizeof(to), "h%u.example", i + 1);
		add_cname(p, from, to);
	}
}

static void test_chain_limits(void **state)
{
	struct buf p;

	(void)state;
	add_chain(&p, ANSWER_ALIASES_MAX);
	add_a(&p, "h16.example");
	struct answer *a = parse(&p, "h0.example", DNS_A, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_SECURE);
	assert_int_equal(a->naliases, 16);
	answer_unref(&a);
	add_chain(&p, ANSWER_ALIASES_MAX + 1);
	add_a(&p, "h17.example");
	expect_failed(&p, "h0.example", DNS_A, "the alias chain is too long");
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	add_cname(&p, Q, Q);
	expect_failed(&p, Q, DNS_A, "the alias chain is a loop");
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	add_cname(&p, Q, "a.example");
	add_cname(&p, "a.example", "b.example");
	add_cname(&p, "b.example", "A.example");
	expect_failed(&p, Q, DNS_A, "the alias chain is a loop");
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	add_cname(&p, Q, "a.example");
	add_cname(&p, Q, "b.example");
	expect_failed(&p, Q, DNS_A, "a name has two different CNAME records");
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	add_cname(&p, Q, "a.example");
	add_cname(&p, Q, "A.example"); /* the same again */
	a = parse(&p, Q, DNS_A, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_ABSENT);
	answer_unref(&a);
}

static void test_cname_query(void **state)
{
	struct buf p;

	(void)state;
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	add_cname(&p, Q, "a.example");
	add_a(&p, Q); /* against RFC 1034 s3.6.2, but it is data of the name that was asked for */
	struct answer *both = parse(&p, Q, DNS_A, ANSWER_SECURE);
	assert_int_equal(both->nrr, 1);
	assert_int_equal(both->naliases, 0);
	answer_unref(&both);
	packet_begin(&p, Q, DNS_CNAME, DNS_NOERROR);
	add_cname(&p, Q, "A.example");
	add_cname(&p, "a.example", "b.example");
	add_cname(&p, Q, "c.example");
	struct answer *a = parse(&p, Q, DNS_CNAME, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_SECURE);
	assert_int_equal(a->nrr, 1);
	assert_string_equal(a->rr[0].u.name, "a.example");
	assert_int_equal(a->naliases, 0);
	assert_string_equal(a->canonical, Q);
	answer_unref(&a);
	packet_begin(&p, Q, DNS_CNAME, DNS_NOERROR);
	a = parse(&p, Q, DNS_CNAME, ANSWER_SECURE);
	assert_int_equal(a->status, DNS_ABSENT);
	answer_unref(&a);
}

/* A record that cannot be what it says makes the lookup fail, not the record vanish. */
static void test_bad_records(void **state)
{
	static const struct {
		uint16_t type;
		struct slice rdata;
	} row[] = {
	    {DNS_A, {(const uint8_t *)"abc", 3}},
	    {DNS_A, {(const uint8_t *)"abcde", 5}},
	    {DNS_A, {NULL, 0}},
	    {DNS_AAAA, {(const uint8_t *)"0123456789abcde", 15}},
	    {DNS_AAAA, {(const uint8_t *)"0123", 4}},
	    {DNS_MX, {NULL, 0}},
	    {DNS_MX, {(const uint8_t *)"\0", 1}},
	    {DNS_MX, {(const uint8_t *)"\0\x0a", 2}},
	    {DNS_MX, {(const uint8_t *)"\0\x0a\x02mx", 5}},         /* cut name */
	    {DNS_MX, {(const uint8_t *)"\0\x0a\x02mx\0x", 7}},      /* octets behind the name */
	    {DNS_MX, {(const uint8_t *)"\0\x0a\x02mx\xc0\xff", 7}}, /* forward pointer */
	    {DNS_PTR, {(const uint8_t *)"\x02mx", 3}},
	    {DNS_CNAME, {NULL, 0}},
	    {DNS_CNAME, {(const uint8_t *)"\x40", 1}},
	};
	struct buf p;

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		packet_begin(&p, Q, row[i].type, DNS_NOERROR);
		packet_add(&p, PACKET_ANSWER, Q, row[i].type, row[i].rdata);
		expect_failed(&p, Q, row[i].type, "a record is malformed");
		/* good before bad */
		if (row[i].type != DNS_A)
			continue;
		packet_begin(&p, Q, DNS_A, DNS_NOERROR);
		add_a(&p, Q);
		packet_add(&p, PACKET_ANSWER, Q, DNS_A, row[i].rdata);
		expect_failed(&p, Q, DNS_A, "a record is malformed");
	}
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	packet_add(&p, PACKET_ANSWER, Q, DNS_CNAME, SLICE_LIT("\x02mx"));
	expect_failed(&p, Q, DNS_A, "a CNAME record is malformed");
}

static void begin_a(struct buf *p)
{
	packet_begin(p, Q, DNS_A, DNS_NOERROR);
	add_a(p, Q);
}

static void test_bad_packets(void **state)
{
	struct buf p;

	(void)state;
	begin_a(&p);
	packet_poke(&p, 2, 0x01); /* QR off */
	expect_failed(&p, Q, DNS_A, "the packet is not a response to a query");
	begin_a(&p);
	packet_poke(&p, 2, 0x89); /* opcode 1 */
	expect_failed(&p, Q, DNS_A, "the packet is not a response to a query");
	begin_a(&p);
	packet_poke(&p, 2, 0x83); /* TC */
	expect_failed(&p, Q, DNS_A, "the packet is truncated");
	begin_a(&p);
	expect_failed(&p, "example.net", DNS_A, "the packet answers another question");
	begin_a(&p);
	expect_failed(&p, Q, DNS_AAAA, "the packet answers another question");
	begin_a(&p);
	packet_poke(&p, 12 + 13 + 3, 3); /* class CH */
	expect_failed(&p, Q, DNS_A, "the packet answers another question");
	begin_a(&p);
	packet_poke(&p, 5, 0);
	expect_failed(&p, Q, DNS_A, "the packet does not repeat the question");
	begin_a(&p);
	packet_poke(&p, 7, 2); /* one record more than there is */
	expect_failed(&p, Q, DNS_A, "the packet is malformed");
	begin_a(&p);
	packet_poke(&p, 9, 1); /* in the authority section */
	expect_failed(&p, Q, DNS_A, "the packet is malformed");
	begin_a(&p);
	packet_poke(&p, 7, 0);
	expect_failed(&p, Q, DNS_A, "the packet has octets behind its last record");
	begin_a(&p);
	packet_poke(&p, 6, 3); /* 769 records */
	expect_failed(&p, Q, DNS_A, "the packet has too many records");
	packet_begin(&p, Q, DNS_A, DNS_NXDOMAIN);
	add_a(&p, Q);
	expect_failed(&p, Q, DNS_A, "the packet has records of a name that it says does not exist");
	buf_init(&p, 1);
	expect_failed(&p, Q, DNS_A, "the packet is too short");
	begin_a(&p);
	expect_failed(&p, "a..b", DNS_A, "the name asked for is not a domain name");
	begin_a(&p);
	expect_failed(&p, "", DNS_A, "the name asked for is not a domain name");
}

static void test_rcodes(void **state)
{
	static const struct {
		uint16_t rcode;
		const char *why;
	} row[] = {
	    {1, "the server said FORMERR"},         {DNS_SERVFAIL, "the server said SERVFAIL"},
	    {DNS_NOTIMP, "the server said NOTIMP"}, {DNS_REFUSED, "the server said REFUSED"},
	    {9, "the server said RCODE9"},
	};
	struct buf p;

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		packet_begin(&p, Q, DNS_A, row[i].rcode);
		add_a(&p, Q);
		expect_failed(&p, Q, DNS_A, row[i].why);
	}
	/* some servers leave the question out when they fail: the reason is still theirs */
	buf_init(&p, PACKET_MAX);
	buf_add(&p, "\x12\x34\x81\x82\0\0\0\0\0\0\0\0", 12);
	expect_failed(&p, Q, DNS_A, "the server said SERVFAIL");
	/* the upper bits of the rcode stand in the OPT record: 16 is not NOERROR */
	packet_begin(&p, Q, DNS_A, DNS_NOERROR);
	packet_add(&p, PACKET_ADDITIONAL, ".", 41, slice_make(NULL, 0));
	packet_poke(&p, buf_len(&p) - 6, 1);
	expect_failed(&p, Q, DNS_A, "the server said BADVERS");
}

static void test_bogus(void **state)
{
	struct buf p;
	struct answer *a;

	(void)state;
	begin_a(&p);
	a = answer_parse(Q, DNS_A, buf_slice(&p), ANSWER_BOGUS, "signature\r\nexpired");
	assert_int_equal(a->status, DNS_FAILED);
	assert_true(a->bogus);
	assert_string_equal(a->why, "signature  expired");
	assert_int_equal(a->nrr, 0);
	answer_unref(&a);
	a = answer_parse(Q, DNS_A, buf_slice(&p), ANSWER_BOGUS, NULL);
	assert_string_equal(a->why, "DNSSEC validation failed");
	answer_unref(&a);
	a = answer_parse(Q, DNS_A, slice_make(NULL, 0), ANSWER_BOGUS, "");
	assert_string_equal(a->why, "DNSSEC validation failed");
	assert_int_equal(a->rcode, DNS_SERVFAIL);
	answer_unref(&a);
	buf_free(&p);
}

/* No prefix and no single changed octet makes a crash, and a cut packet always fails. */
static void test_damage(void **state)
{
	struct guard g;
	struct buf p;

	(void)state;
	guard_init(&g, 512);
	packet_begin(&p, Q, DNS_MX, DNS_NOERROR);
	add_cname(&p, Q, "a.example");
	packet_add(&p, PACKET_ANSWER, "a.example", DNS_MX, SLICE_LIT("\0\x0a\x02mx\xc0\x0c"));
	packet_add(&p, PACKET_ADDITIONAL, ".", 41, slice_make(NULL, 0));
	struct slice whole = buf_slice(&p);
	for (size_t n = 0; n <= whole.n; n++) {
		struct slice cut = guard_put(&g, slice_first(whole, n));
		struct answer *a = answer_parse(Q, DNS_MX, cut, ANSWER_SECURE, NULL);
		assert_int_equal(a->status, n < whole.n ? DNS_FAILED : DNS_SECURE);
		answer_unref(&a);
	}
	for (size_t at = 0; at < whole.n; at++) {
		uint8_t was = whole.p[at];
		for (unsigned v = 0; v < 256; v++) {
			packet_poke(&p, at, (uint8_t)v);
			struct slice in = guard_put(&g, whole);
			struct answer *a = answer_parse(Q, DNS_MX, in, ANSWER_INSECURE, NULL);
			assert_true(a->status != DNS_SECURE && !a->absence_secure);
			answer_unref(&a);
		}
		packet_poke(&p, at, was);
	}
	buf_free(&p);
	guard_free(&g);
}

/* 512 names that each unpack to a thousand octets would be half a megabyte. */
static void test_memory_limit(void **state)
{
	struct buf p;
	char owner[DNAME_TEXT_MAX];

	(void)state;
	size_t n = 0;
	for (size_t label = 0; label < 4; label++) {
		for (size_t i = 0; i < (label < 3 ? 63 : 61); i++)
			n += (size_t)snprintf(owner + n, sizeof(owner) - n, "\\001");
		if (label < 3)
			owner[n++] = '.';
	}
	owner[n] = '\0';
	packet_begin(&p, owner, DNS_MX, DNS_NOERROR);
	size_t at = buf_len(&p);
	for (unsigned i = 0; i < ANSWER_RECORDS_MAX; i++) {
		static const uint8_t rr[] = {0xc0, 12, 0, 15, 0, 1,  0,    0,
					     1,    0,  0, 4,  0, 10, 0xc0, 12};
		buf_add(&p, rr, sizeof(rr));
	}
	assert_int_equal(at + 512 * 16, buf_len(&p));
	packet_poke(&p, 6, 2);
	expect_failed(&p, owner, DNS_MX, "the answer is too large");
}

static void test_made_by_hand(void **state)
{
	struct answer *a = answer_failed("MX.example.", DNS_A, DNS_SERVFAIL, "timed\nout");
	struct answer *none = NULL;

	(void)state;
	assert_int_equal(a->status, DNS_FAILED);
	assert_int_equal(a->rcode, DNS_SERVFAIL);
	assert_string_equal(a->name, "mx.example");
	assert_string_equal(a->why, "timed out");
	struct answer *again = answer_ref(a);
	answer_unref(&a);
	assert_string_equal(again->canonical, "mx.example");
	answer_unref(&again);
	a = answer_failed("x", DNS_A, 0, NULL);
	assert_string_equal(a->why, "the lookup failed");
	answer_unref(&a);
	a = answer_new("[192.0.2.1]", DNS_A);
	assert_int_equal(a->status, DNS_ABSENT);
	assert_string_equal(a->canonical, "[192.0.2.1]");
	answer_unref(&a);
	answer_unref(&none);
}

static void expect_text(const struct dns_rr *rr, const char *text)
{
	struct buf b;

	buf_init(&b, 4096);
	dns_rr_to_text(rr, &b);
	assert_string_equal(buf_cstr(&b), text);
	buf_free(&b);
}

static void expect_parsed_text(uint16_t type, struct slice rdata, const char *text)
{
	struct buf p;

	packet_begin(&p, Q, type, DNS_NOERROR);
	packet_add(&p, PACKET_ANSWER, Q, type, rdata);
	struct answer *a = parse(&p, Q, type, ANSWER_SECURE);
	assert_int_equal(a->nrr, 1);
	expect_text(&a->rr[0], text);
	answer_unref(&a);
}

static void test_rr_text(void **state)
{
	(void)state;
	expect_parsed_text(DNS_A, ip4(), "192.0.2.1");
	expect_parsed_text(DNS_MX, SLICE_LIT("\0\x0a\x02MX\xc0\x0c"), "10 mx.example.org");
	expect_parsed_text(DNS_MX, SLICE_LIT("\0\0\0"), "0 .");
	expect_parsed_text(DNS_NS, SLICE_LIT("\x02ns\0"), "ns");
	expect_parsed_text(DNS_CNAME,
			   SLICE_LIT("\x02"
				     "a.\0"),
			   "a\\.");
	expect_parsed_text(DNS_TLSA, SLICE_LIT("\x03\x01\x01\xab\xcd"), "3 1 1 abcd");
	expect_parsed_text(DNS_TLSA, SLICE_LIT("\x03\x01\x01"), "3 1 1");
	expect_parsed_text(DNS_TLSA, SLICE_LIT("\x03\x01"), "\\# 2 0301");
	expect_parsed_text(DNS_TXT,
			   SLICE_LIT("\x03"
				     "a\"b\x02\\\n"),
			   "\"a\\\"b\" \"\\\\\\010\"");
	expect_parsed_text(DNS_TXT, SLICE_LIT("\x00"), "\"\"");
	expect_parsed_text(DNS_TXT, SLICE_LIT("\x05x"), "\\# 2 0578");
	expect_parsed_text(DNS_TXT, slice_make(NULL, 0), "\\# 0");
	expect_parsed_text(65280, SLICE_LIT("\x01\x02"), "\\# 2 0102");
}

static void test_names(void **state)
{
	static const uint16_t type[] = {DNS_A,  DNS_NS,     DNS_CNAME, DNS_SOA,  DNS_PTR,
					DNS_MX, 53,         DNS_TXT,   DNS_AAAA, DNS_DNAME,
					DNS_DS, DNS_DNSKEY, DNS_TLSA,  0,        65535};
	char scratch[16];
	uint16_t out;

	(void)state;
	for (size_t i = 0; i < ROWS(type); i++) {
		assert_true(dns_type_from_text(slice_str(dns_type_name(type[i], scratch)), &out));
		assert_int_equal(out, type[i]);
	}
	assert_string_equal(dns_type_name(52, scratch), "TLSA");
	assert_string_equal(dns_type_name(257, scratch), "TYPE257");
	assert_true(dns_type_from_text(SLICE_LIT("type52"), &out));
	assert_int_equal(out, DNS_TLSA);
	assert_false(dns_type_from_text(SLICE_LIT("TYPE"), &out));
	assert_false(dns_type_from_text(SLICE_LIT("TYPE65536"), &out));
	assert_false(dns_type_from_text(SLICE_LIT(""), &out));
	assert_false(dns_type_from_text(SLICE_LIT("52"), &out));
	assert_string_equal(dns_rcode_name(DNS_NXDOMAIN, scratch), "NXDOMAIN");
	assert_string_equal(dns_rcode_name(4095, scratch), "RCODE4095");
	assert_string_equal(dns_status_name(DNS_SECURE), "secure");
	assert_string_equal(dns_status_name(DNS_INSECURE), "insecure");
	assert_string_equal(dns_status_name(DNS_ABSENT), "absent");
	assert_string_equal(dns_status_name(DNS_FAILED), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_mx),
	    cmocka_unit_test(test_tlsa),
	    cmocka_unit_test(test_chain),
	    cmocka_unit_test(test_absence),
	    cmocka_unit_test(test_chain_limits),
	    cmocka_unit_test(test_cname_query),
	    cmocka_unit_test(test_bad_records),
	    cmocka_unit_test(test_bad_packets),
	    cmocka_unit_test(test_rcodes),
	    cmocka_unit_test(test_bogus),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_memory_limit),
	    cmocka_unit_test(test_made_by_hand),
	    cmocka_unit_test(test_rr_text),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_class_and_ttl),
	    cmocka_unit_test(test_signatures),
	    cmocka_unit_test(test_signature_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
