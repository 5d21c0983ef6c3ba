/* SPDX-License-Identifier: MIT */
/* relay: networks as text and as values, with every length of a prefix. */
#include "relay/network.h"

#include "unit.h"

#include <stdio.h>

static bool has(const char *network, const char *address)
{
	struct network n;
	struct ipaddr a;
	assert_true(network_from_text(network, &n));
	assert_true(ipaddr_from_text(slice_str(address), &a));
	return network_has(&n, &a);
}

static const struct {
	const char *network, *inside, *outside;
} row[] = {
    {"192.0.2.1", "192.0.2.1", "192.0.2.0"},
    {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
    {"192.0.2.0/23", "192.0.3.255", "192.0.4.0"},
    {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
    {"192.0.2.0/25", "192.0.2.127", "192.0.2.128"},
    {"192.0.2.4/30", "192.0.2.7", "192.0.2.8"},
    {"192.0.2.4/31", "192.0.2.5", "192.0.2.6"},
    {"10.32.0.0/11", "10.63.255.255", "10.64.0.0"},
    {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
    {"128.0.0.0/1", "255.0.0.0", "127.255.255.255"},
    {"192.0.2.0/24", "::ffff:192.0.2.9", "::ffff:192.0.1.9"},
    {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
    {"2001:db8:0:fff0::/60", "2001:db8:0:ffff::1", "2001:db8:0:ffe0::1"},
    {"2001:db8::8/125", "2001:db8::f", "2001:db8::10"},
    {"2001:db8::8/127", "2001:db8::9", "2001:db8::a"},
    {"2001:db8::8", "2001:db8::8", "2001:db8::9"},
    {"fe80::/10", "febf::1", "fec0::1"},
    {"8000::/1", "ffff::", "7fff::"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		if (!has(row[i].network, row[i].inside) || has(row[i].network, row[i].outside))
			fail_msg("%s: %s, %s", row[i].network, row[i].inside, row[i].outside);
	}
	assert_true(has("0.0.0.0/0", "255.255.255.255"));
	assert_true(has("::/0", "ffff::1"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_false(has("::/0", "192.0.2.1"));
	assert_false(has("::ffff:0:0/96", "192.0.2.1")); /* four octets are no IPv6 network's */
}

/* Each length from the address itself: the last bit of the network counts, the next one does not.
 */
static void check_bits(const struct ipaddr *base, unsigned bits)
{
	struct network n = {*base, (uint8_t)bits};
	unsigned most = base->family == 4 ? 32 : 128;
	for (unsigned bit = 0; bit < most; bit++) {
		struct ipaddr a = *base;
		a.b[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
		if (network_has(&n, &a) != (bit >= bits))
			fail_msg("/%u, bit %u", bits, bit);
	}
}

static void test_every_length(void **state)
{
	struct ipaddr four, six;
	(void)state;
	assert_true(ipaddr_from_text(slice_str("192.168.165.90"), &four));
	assert_true(ipaddr_from_text(slice_str("2001:db8:a5a5:5a5a:c3c3:3c3c:9669:6996"), &six));
	for (unsigned bits = 0; bits <= 32; bits++)
		check_bits(&four, bits);
	for (unsigned bits = 0; bits <= 128; bits++)
		check_bits(&six, bits);
}

static void test_no_networks(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "192.0.2.0/",
					  "192.0.2.0/33",
					  "192.0.2.0/-1",
					  "192.0.2.0/8x",
					  "::/129",
					  "192.0.2.0/24/24"};
	struct network n;
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		if (network_from_text(bad[i], &n))
			fail_msg("'%s'", bad[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
						  cmocka_unit_test(test_every_length),
						  cmocka_unit_test(test_no_networks)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
