/* SPDX-License-Identifier: MIT */
/* wire: signed RRsets: one spelling (RFC 4034 s6, RFC 9102 s2.2), whatever the packet looked like.
 */
#include "wire/rrset.h"

#include "guard.h"
#include "packet.h"
#include "unit.h"

enum { MEM = 1024 * 1024, TTL = 3600, SIG_ROOM = 300 };

#define OWNER "\3_25\4_tcp\2mx\7example\0"

/* An RRSIG's RDATA (RFC 4034 s3.1); the signer as it stands. */
static struct slice sig(uint8_t *room, uint16_t covered, uint8_t labels, uint32_t ttl,
			struct slice signer, const char *octets)
{
	struct buf b;
	buf_init(&b, SIG_ROOM);
	buf_add_u16(&b, covered);
	buf_add_u8(&b, 13);
	buf_add_u8(&b, labels);
	buf_add_u16(&b, (uint16_t)(ttl >> 16));
	buf_add_u16(&b, (uint16_t)ttl);
	buf_add(&b, "\0\0\0\2\0\0\0\1", 8);
	buf_add_u16(&b, 4711);
	buf_add_slice(&b, signer);
	buf_add_str(&b, octets);
	size_t n = buf_len(&b);
	memcpy(room, buf_slice(&b).p, n);
	buf_free(&b);
	return slice_make(room, n);
}

static const char *const tlsa[] = {"\3\1\1zz", "\3\1\1aa", "\3\1\1aaa"};

/* A TLSA answer with records in a given order, one of them twice if `twice`. */
static void make(struct buf *b, const size_t order[3], bool upper, bool twice)
{
	const char *owner = upper ? "_25._TCP.MX.Example" : "_25._tcp.mx.example";
	uint8_t room[SIG_ROOM];
	struct slice signer = upper ? SLICE_LIT("\7EXAMPLE\0") : SLICE_LIT("\7example\0");
	packet_begin(b, owner, DNS_TLSA, 0);
	packet_add(b, PACKET_ANSWER, owner, DNS_RRSIG,
		   sig(room, DNS_TLSA, 4, TTL, signer, "second"));
	for (size_t i = 0; i < 3; i++)
		packet_add(b, PACKET_ANSWER, owner, DNS_TLSA, slice_str(tlsa[order[i]]));
	if (twice)
		packet_add(b, PACKET_ANSWER, owner, DNS_TLSA, slice_str(tlsa[order[0]]));
	packet_add(b, PACKET_ANSWER, owner, DNS_RRSIG,
		   sig(room, DNS_TLSA, 4, TTL, signer, "first"));
	packet_add(b, PACKET_ANSWER, "other.example", DNS_A, SLICE_LIT("\1\2\3\4"));
}

static void test_one_spelling(void **state)
{
	static const size_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}};
	struct rrset out[RRSET_OF_PACKET_MAX];
	struct arena mem;
	struct slice first = {0};
	(void)state;
	arena_init(&mem, MEM);
	for (size_t i = 0; i < 2 * ROWS(orders); i++) {
		struct buf b;
		size_t n = 0;
		make(&b, orders[i / 2], i % 2 == 1, i > 2);
		assert_true(rrset_extract(buf_slice(&b), &mem, out, &n));
		assert_int_equal(n, 1); /* what is not signed is left out */
		assert_int_equal(out[0].nrr, 3);
		assert_int_equal(out[0].nsig, 2);
		if (i == 0)
			first = out[0].octets;
		assert_true(slice_eq(first, out[0].octets));
		buf_free(&b);
	}
	assert_true(slice_eq_str(rrset_rdata(&out[0], 0), tlsa[1]));
	assert_true(slice_eq_str(rrset_rdata(&out[0], 1), tlsa[2]));
	assert_true(slice_eq_str(rrset_rdata(&out[0], 2), tlsa[0]));
	assert_memory_equal(first.p, OWNER "\0\64\0\1\0\0\16\20\0\5", sizeof(OWNER) - 1 + 10);
	struct rrset_sig s;
	rrset_sig(&out[0], 0, &s);
	assert_int_equal(s.keytag, 4711);
	assert_int_equal(s.expiration, 2);
	assert_int_equal(s.inception, 1);
	assert_int_equal(s.labels, 4);
	assert_memory_equal(s.signer.wire, "\7example\0", 9);
	arena_free(&mem);
}

/* Every octet that is cut off, and every octet that is added or changed in what is no RDATA, is
 * noticed. */
static void test_parser(void **state)
{
	struct rrset out[RRSET_OF_PACKET_MAX], again;
	struct arena mem;
	struct guard g;
	struct buf b;
	size_t n = 0;
	(void)state;
	arena_init(&mem, MEM);
	make(&b, (const size_t[]){0, 1, 2}, false, false);
	assert_true(rrset_extract(buf_slice(&b), &mem, out, &n));
	struct slice whole = out[0].octets;
	guard_init(&g, whole.n + 1);
	struct rrset_sig last;
	rrset_sig(&out[0], 1, &last);
	size_t between = whole.n - last.rr.n; /* with one signature less it is an RRset, too */
	for (size_t i = 0; i < whole.n; i++)
		assert_int_equal(rrset_parse(guard_put(&g, slice_first(whole, i)), &again),
				 i == between);
	assert_true(rrset_parse(guard_put(&g, whole), &again));
	uint8_t *copy = arena_alloc(&mem, whole.n + 1);
	memcpy(copy, whole.p, whole.n);
	assert_false(rrset_parse(slice_make(copy, whole.n + 1), &again));
	static const size_t fixed[] = {
	    0, 1, sizeof(OWNER) - 1, sizeof(OWNER) + 1, sizeof(OWNER) + 3, sizeof(OWNER) + 7};
	for (size_t i = 0; i < ROWS(fixed); i++) {
		copy[fixed[i]] ^= 0x41; /* owner, type, class, TTL, length */
		assert_false(rrset_parse(guard_put(&g, slice_make(copy, whole.n)), &again));
		copy[fixed[i]] ^= 0x41;
	}
	guard_free(&g);
	buf_free(&b);
	arena_free(&mem);
}

/* Packets cut anywhere: refused, and nothing is read behind them. */
static void test_cut_packets(void **state)
{
	struct rrset out[RRSET_OF_PACKET_MAX];
	struct guard g;
	struct buf b;
	(void)state;
	make(&b, (const size_t[]){0, 1, 2}, false, false);
	struct slice whole = buf_slice(&b);
	guard_init(&g, whole.n);
	for (size_t i = 0; i <= whole.n; i++) {
		struct arena mem;
		size_t n = 0;
		arena_init(&mem, MEM);
		bool ok = rrset_extract(guard_put(&g, slice_first(whole, i)), &mem, out, &n);
		assert_int_equal(ok, i == whole.n);
		struct slice sigs[2];
		assert_int_equal(
		    rrset_signatures(guard_put(&g, slice_first(whole, i)), sigs, 2, &n),
		    i == whole.n);
		if (i == whole.n)
			assert_true(n == 2 && slice_cmp(sigs[0], sigs[1]) < 0);
		assert_false(rrset_signatures(whole, sigs, 1, &n));
		arena_free(&mem);
	}
	guard_free(&g);
	buf_free(&b);
}

/* Compressed names in RDATA are written out in lower case; of NSEC as they are (RFC 6840 s5.1). */
static void test_names_in_rdata(void **state)
{
	struct rrset out[RRSET_OF_PACKET_MAX];
	uint8_t room[SIG_ROOM];
	struct arena mem;
	struct buf b;
	size_t n = 0;
	(void)state;
	arena_init(&mem, MEM);
	packet_begin(&b, "Example", DNS_MX, 0);
	packet_add(&b, PACKET_ANSWER, "example", DNS_MX, SLICE_LIT("\0\12\2MX\xc0\14"));
	packet_add(&b, PACKET_ANSWER, "example", DNS_RRSIG,
		   sig(room, DNS_MX, 1, TTL, SLICE_LIT("\xc0\14"), "x"));
	packet_add(&b, PACKET_AUTHORITY, "a.example", DNS_NSEC, SLICE_LIT("\1B\xc0\14\0\1\2"));
	packet_add(&b, PACKET_AUTHORITY, "a.example", DNS_RRSIG,
		   sig(room, DNS_NSEC, 2, TTL, SLICE_LIT("\xc0\14"), "x"));
	assert_true(rrset_extract(buf_slice(&b), &mem, out, &n));
	assert_int_equal(n, 2);
	assert_true(slice_eq(rrset_rdata(&out[0], 0), SLICE_LIT("\0\12\2mx\7example\0")));
	assert_true(slice_eq(rrset_rdata(&out[1], 0), SLICE_LIT("\1B\7Example\0\0\1\2")));
	buf_free(&b);
	arena_free(&mem);
}

/* KeyTrap's kind of packet: more signatures than anybody needs. */
static void test_bounds(void **state)
{
	struct rrset out[RRSET_OF_PACKET_MAX];
	for (int many = RRSET_SIGS_MAX; many <= RRSET_SIGS_MAX + 1; many++) {
		struct arena mem;
		struct buf b;
		size_t n = 0;
		arena_init(&mem, MEM);
		packet_begin(&b, "example", DNS_A, 0);
		packet_add(&b, PACKET_ANSWER, "example", DNS_A, SLICE_LIT("\1\2\3\4"));
		for (int i = 0; i < many; i++) {
			uint8_t room[SIG_ROOM];
			char octets[] = {(char)('a' + i), '\0'};
			packet_add(&b, PACKET_ANSWER, "example", DNS_RRSIG,
				   sig(room, DNS_A, 1, TTL, SLICE_LIT("\0"), octets));
		}
		assert_int_equal(rrset_extract(buf_slice(&b), &mem, out, &n),
				 many == RRSET_SIGS_MAX);
		buf_free(&b);
		arena_free(&mem);
	}
	(void)state;
}

/* As many records as an RRset may have, and one more. */
static void test_most_records(void **state)
{
	(void)state;
	for (unsigned many = RRSET_RECORDS_MAX; many <= RRSET_RECORDS_MAX + 1; many++) {
		struct rrset out;
		uint8_t room[SIG_ROOM];
		struct buf b;
		buf_init(&b, RRSET_OCTETS_MAX);
		for (unsigned i = 0; i < many; i++) {
			buf_add(&b, "\7example\0\0\1\0\1\0\0\16\20\0\4\0\0", 21);
			buf_add_u16(&b, (uint16_t)i);
		}
		struct slice s = sig(room, DNS_A, 1, TTL, SLICE_LIT("\0"), "x");
		buf_add(&b, "\7example\0\0\56\0\1\0\0\16\20", 17);
		buf_add_u16(&b, (uint16_t)s.n);
		buf_add_slice(&b, s);
		assert_true(buf_ok(&b));
		assert_int_equal(rrset_parse(buf_slice(&b), &out), many == RRSET_RECORDS_MAX);
		buf_free(&b);
	}
}

/* RFC 4034 s6.2: names in RDATA are signed in lower case, and that is how they are kept, those of
 * NSEC apart (RFC 6840 s5.1): another spelling is another RRset to whoever compares octets. */
static void test_names_are_in_lower_case(void **state)
{
	static const struct {
		uint16_t type;
		struct slice rdata;
		bool kept;
	} rows[] = {
	    {DNS_MX, {(const uint8_t *)"\0\12\1a\0", 5}, true},
	    {DNS_MX, {(const uint8_t *)"\0\12\1A\0", 5}, false},
	    {DNS_CNAME, {(const uint8_t *)"\2aZ\0", 4}, false},
	    {DNS_DNAME, {(const uint8_t *)"\2Za\0", 4}, false},
	    {DNS_NSEC, {(const uint8_t *)"\1A\0", 3}, true},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct rrset out;
		uint8_t room[SIG_ROOM];
		struct buf b;
		buf_init(&b, RRSET_OCTETS_MAX);
		struct slice s = sig(room, rows[i].type, 1, TTL, SLICE_LIT("\0"), "x");
		for (size_t k = 0; k < 2; k++) {
			struct slice rdata = k == 0 ? rows[i].rdata : s;
			buf_add(&b, "\7example\0", 9);
			buf_add_u16(&b, k == 0 ? rows[i].type : DNS_RRSIG);
			buf_add(&b, "\0\1\0\0\16\20", 6);
			buf_add_u16(&b, (uint16_t)rdata.n);
			buf_add_slice(&b, rdata);
		}
		if (rrset_parse(buf_slice(&b), &out) != rows[i].kept)
			fail_msg("row %zu", i);
		buf_free(&b);
	}
}

/* What stands before the names and the rest of a type's RDATA (RFC 1035 s3.3, RFC 4034 s2, s5,
 * RFC 5155 s3): with an octet less it is malformed. */
static const struct {
	uint16_t type;
	struct slice least;
} least_rows[] = {
    {DNS_A, {(const uint8_t *)"\1\2\3\4", 4}},
    {DNS_AAAA, {(const uint8_t *)"\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16}},
    {DNS_CNAME, {(const uint8_t *)"\1a\0", 3}},
    {DNS_DNAME, {(const uint8_t *)"\1a\0", 3}},
    {DNS_MX, {(const uint8_t *)"\0\12\1a\0", 5}},
    {DNS_DS, {(const uint8_t *)"\1\2\15\2", 4}},
    {DNS_DNSKEY, {(const uint8_t *)"\1\1\3\15", 4}},
    {DNS_NSEC, {(const uint8_t *)"\1b\0", 3}},
    {DNS_NSEC3, {(const uint8_t *)"\1\0\0\1\0", 5}},
};

static void test_least_rdata(void **state)
{
	struct rrset out[RRSET_OF_PACKET_MAX];
	(void)state;
	for (size_t i = 0; i < ROWS(least_rows); i++) {
		for (size_t less = 0; less < 2; less++) {
			uint8_t room[SIG_ROOM];
			uint16_t type = least_rows[i].type;
			bool denial = type == DNS_NSEC || type == DNS_NSEC3;
			int section = denial ? PACKET_AUTHORITY : PACKET_ANSWER;
			struct slice rdata = least_rows[i].least;
			struct arena mem;
			struct buf b;
			size_t n = 0;
			arena_init(&mem, MEM);
			packet_begin(&b, "example", type, 0);
			packet_add(&b, section, "example", type,
				   slice_first(rdata, rdata.n - less));
			packet_add(&b, section, "example", DNS_RRSIG,
				   sig(room, type, 1, TTL, SLICE_LIT("\0"), "x"));
			bool ok = rrset_extract(buf_slice(&b), &mem, out, &n) && n == 1;
			if (ok != (less == 0))
				fail_msg("type %u, %zu octets", type, rdata.n - less);
			buf_free(&b);
			arena_free(&mem);
		}
	}
}

static const struct {
	const char *name, *above;
	bool is;
} under_row[] = {
    {"a.example", "example", true},  {"example", "example", true},
    {"example", ".", true},          {".", ".", true},
    {"example", "a.example", false}, {"aexample", "example", false},
    {"A.EXAMPLE", "example", true},  {"a.b", "c.b", false},
};

static void test_names(void **state)
{
	struct dname name, above, chopped;
	(void)state;
	for (size_t i = 0; i < ROWS(under_row); i++) {
		dname_from_text(slice_str(under_row[i].name), &name);
		dname_from_text(slice_str(under_row[i].above), &above);
		assert_int_equal(dname_is_under(&name, &above), under_row[i].is);
	}
	dname_from_text(SLICE_LIT("*.a.example"), &name);
	assert_int_equal(dname_labels(&name), 2); /* RFC 4034 s3.1.3 */
	dname_chop(&name, 2, &chopped);
	assert_int_equal(chopped.len, 9);
	dname_chop(&name, 9, &chopped);
	assert_int_equal(chopped.len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_spelling),
	    cmocka_unit_test(test_parser),
	    cmocka_unit_test(test_cut_packets),
	    cmocka_unit_test(test_names_in_rdata),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_most_records),
	    cmocka_unit_test(test_least_rdata),
	    cmocka_unit_test(test_names_are_in_lower_case),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
