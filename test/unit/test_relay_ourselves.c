/* SPDX-License-Identifier: MIT */
/* relay: which addresses are this machine's: what listeners name, and the interfaces behind an
 * unspecified one. */
#include "relay/ourselves.h"

#include "unit.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>

static struct conf *conf_with(const char *const *overrides, size_t n)
{
	char error[256];
	struct conf *c = conf_load("/dev/null", overrides, n, NULL, error, sizeof(error));
	if (c == NULL)
		fail_msg("%s", error);
	return c;
}

static bool found(const struct ipaddr *list, size_t n, const char *text)
{
	struct ipaddr ip;
	assert_true(ipaddr_from_text(slice_str(text), &ip));
	for (size_t i = 0; i < n; i++) {
		if (ipaddr_eq(&list[i], &ip))
			return true;
	}
	return false;
}

static void every_kind_of_listener(void **state)
{
	static const char *const overrides[] = {
	    "relay.smtp=192.0.2.1:25", "relay.smtp=[2001:db8::1]:25",
	    "relay.submission=192.0.2.2:587", "relay.submissions=127.0.0.5:465"};
	static const char *const names[] = {"192.0.2.1", "2001:db8::1", "192.0.2.2", "127.0.0.5"};
	size_t n = 0;
	struct conf *c = conf_with(overrides, ROWS(overrides));
	(void)state;
	struct ipaddr *list = ourselves_find(c, &n);
	assert_int_equal(n, ROWS(names));
	for (size_t i = 0; i < ROWS(names); i++)
		assert_true(found(list, n, names[i]));
	free(list);
	conf_free(&c);
}

/* How many addresses of IPv4 the interfaces of this machine have, the loopback ones aside. */
static size_t addresses_here(void)
{
	struct ifaddrs *all = NULL;
	size_t n = 0;
	assert_int_equal(getifaddrs(&all), 0);
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET)
			continue;
		uint32_t a =
		    ntohl(((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr.s_addr);
		n += a >> 24 != 127;
	}
	freeifaddrs(all);
	return n;
}

static void any_address_is_that_of_the_interfaces(void **state)
{
	static const char *const overrides[] = {"relay.smtp=0.0.0.0:25"};
	size_t n = 0;
	struct conf *c = conf_with(overrides, ROWS(overrides));
	(void)state;
	struct ipaddr *list = ourselves_find(c, &n);
	assert_non_null(list);
	assert_int_equal(n, addresses_here());
	for (size_t i = 0; i < n; i++)
		assert_int_equal(list[i].family, 4);
	free(list);
	conf_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind_of_listener),
	    cmocka_unit_test(any_address_is_that_of_the_interfaces),
	};
	return cmocka_run_group_tests_name("relay_ourselves", tests, NULL, NULL);
}
