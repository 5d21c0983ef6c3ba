/* SPDX-License-Identifier: MIT */
/* relay: who gets a place, who gives one up, over several intakes. */
#include "relay/roster.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 80 };

static struct ipaddr address(const char *text)
{
	struct ipaddr a;
	assert_true(ipaddr_from_text(slice_str(text), &a));
	return a;
}

/* --- Limits --- */

static const struct {
	uint32_t strangers, known, own, address;
	enum seating stranger, acquaintance, ours;
} row[] = {
#define YES SEATING_WELCOME
#define NO SEATING_FULL
#define MANY SEATING_ADDRESS_FULL
    {0, 0, 0, 0, YES, YES, YES},
    {59, 0, 0, 0, YES, YES, YES},
    {60, 0, 0, 0, NO, YES, YES}, /* the last quarter is not for strangers */
    {60, 9, 0, 0, NO, YES, YES},
    {60, 10, 0, 0, NO, NO, YES}, /* the last eighth is for our own */
    {0, 69, 10, 0, YES, YES, YES},
    {0, 70, 9, 0, YES, NO, YES},
    {60, 10, 9, 0, NO, NO, YES},
    {60, 10, 10, 0, NO, NO, NO},
    {0, 0, 80, 0, NO, NO, NO}, /* nobody is over the limit of all */
    {0, 0, 0, 4, YES, YES, YES},
    {0, 0, 0, 5, MANY, MANY, YES}, /* of an address */
    {0, 0, 0, 39, MANY, MANY, YES},
    {0, 0, 0, 40, MANY, MANY, MANY}, /* half of all is ours to take for one of our own */
};

static void test_limits(void **state)
{
	static const struct seating_limits max = {MAX, 5};
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct seating_counts n = {
		    {row[i].strangers, row[i].known, row[i].own}, row[i].address, 0};
		if (seating_judge(&n, &max, STANDING_STRANGER) != row[i].stranger ||
		    seating_judge(&n, &max, STANDING_KNOWN) != row[i].acquaintance ||
		    seating_judge(&n, &max, STANDING_OWN) != row[i].ours)
			fail_msg("row %zu", i);
	}
	static const struct seating_limits one = {1, 1};
	struct seating_counts none = {0};
	assert_int_equal(seating_judge(&none, &one, STANDING_STRANGER), SEATING_WELCOME);
}

static uint32_t patience(uint32_t strangers, enum standing who)
{
	struct seating_counts n = {{strangers, 0, 0}, 0, 0};
	return seating_patience_ms(&n, MAX, who, 300000);
}

static void test_patience(void **state)
{
	(void)state;
	assert_int_equal(patience(30, STANDING_STRANGER), 300000);
	assert_int_equal(patience(31, STANDING_STRANGER), 60000);
	assert_int_equal(patience(45, STANDING_STRANGER), 60000);
	assert_int_equal(patience(46, STANDING_STRANGER), 10000);
	assert_int_equal(patience(60, STANDING_OWN), 300000);
	struct seating_counts n = {{60, 0, 0}, 0, 0};
	assert_int_equal(seating_patience_ms(&n, MAX, STANDING_STRANGER, 5000), 5000);
}

/* --- Who goes --- */

struct crowd {
	struct seating_client c[64];
	size_t n;
};

static void come(struct crowd *w, const char *from, enum standing s, enum seating_doing d)
{
	w->c[w->n] = (struct seating_client){address(from), s, d, w->n, false};
	w->n++;
}

static void come_idle(struct crowd *w, const char *from)
{
	come(w, from, STANDING_STRANGER, SEATING_NOTHING);
}

static size_t choose(struct crowd *w, enum standing who, uint32_t network, size_t want)
{
	struct seating_need need = {who, network, MAX, want};
	return seating_choose(w->c, w->n, &need);
}

static bool goes(const struct crowd *w, uint64_t came)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->c[i].came == came)
			return w->c[i].goes;
	}
	return false;
}

static void test_the_fullest_network_first(void **state)
{
	struct crowd w = {0};
	(void)state;
	come_idle(&w, "192.0.2.1");    /* 0: alone, and the oldest */
	come_idle(&w, "198.51.100.1"); /* 1, 3, 4: a network, not an address */
	come_idle(&w, "203.0.113.1");  /* 2, 5 */
	come_idle(&w, "198.51.100.2");
	come_idle(&w, "198.51.100.3");
	come_idle(&w, "203.0.113.2");
	assert_int_equal(choose(&w, STANDING_STRANGER, 0, 1), 1);
	assert_true(goes(&w, 1));
	struct crowd v = w;
	for (size_t i = 0; i < v.n; i++)
		v.c[i].goes = false;
	/* down to one for each, and no further at one go */
	assert_int_equal(choose(&v, STANDING_STRANGER, 0, 10), 3);
	assert_true(goes(&v, 1) && goes(&v, 2) && goes(&v, 3));
	assert_false(goes(&v, 0));
}

static void test_networks_of_ipv6(void **state)
{
	struct crowd w = {0};
	(void)state;
	come_idle(&w, "2001:db8:0:100::1");
	come_idle(&w, "2001:db8:0:200::1"); /* this /56 has two */
	come_idle(&w, "2001:db8:0:2ff::1");
	assert_int_equal(choose(&w, STANDING_STRANGER, 0, 1), 1);
	assert_true(goes(&w, 1));
}

static void test_singles_one_at_a_time(void **state)
{
	struct crowd w = {0};
	(void)state;
	come_idle(&w, "192.0.2.1");
	come_idle(&w, "198.51.100.1");
	come_idle(&w, "203.0.113.1");
	assert_int_equal(choose(&w, STANDING_STRANGER, 0, 10), 1);
	assert_true(goes(&w, 0));
}

/* A crowd does not push out those that are fewer. */
static void test_a_crowd_makes_its_own_room(void **state)
{
	struct crowd w = {0};
	(void)state;
	come_idle(&w, "192.0.2.1");
	come_idle(&w, "198.51.100.1");
	come_idle(&w, "198.51.100.2");
	assert_int_equal(choose(&w, STANDING_STRANGER, 3, 1), 0);
	assert_int_equal(choose(&w, STANDING_STRANGER, 2, 1), 1);
	assert_true(goes(&w, 1));
	/* unless they are of a lower standing */
	w.n = 1;
	assert_int_equal(choose(&w, STANDING_KNOWN, 3, 1), 1);
}

static void test_standings(void **state)
{
	struct crowd w = {0};
	(void)state;
	come(&w, "192.0.2.1", STANDING_OWN, SEATING_NOTHING);
	come(&w, "192.0.2.2", STANDING_OWN, SEATING_NOTHING);
	come(&w, "198.51.100.1", STANDING_KNOWN, SEATING_NOTHING);
	assert_int_equal(choose(&w, STANDING_STRANGER, 0, 5), 0);
	come_idle(&w, "203.0.113.1");
	assert_int_equal(choose(&w, STANDING_OWN, 0, 5), 1);
	assert_true(goes(&w, 3));
	assert_int_equal(choose(&w, STANDING_OWN, 0, 5), 1);
	assert_true(goes(&w, 2));
	assert_int_equal(choose(&w, STANDING_OWN, 0, 5), 1);
	assert_true(goes(&w, 0));
}

static void test_work_stays(void **state)
{
	struct crowd w = {0};
	(void)state;
	for (unsigned i = 0; i < 40; i++)
		come(&w, "192.0.2.1", STANDING_STRANGER, SEATING_WORK);
	come(&w, "198.51.100.1", STANDING_STRANGER, SEATING_TEXT);
	assert_int_equal(choose(&w, STANDING_STRANGER, 0, 5), 0);
	/* a network with many texts and nothing else drips them */
	come(&w, "198.51.100.1", STANDING_STRANGER, SEATING_TEXT);
	assert_int_equal(choose(&w, STANDING_STRANGER, 0, 5), 1);
	assert_true(goes(&w, 40));
}

static void test_nobody(void **state)
{
	struct crowd w = {0};
	(void)state;
	assert_int_equal(choose(&w, STANDING_OWN, 0, 5), 0);
}

/* --- The roster --- */

static void test_seats(void **state)
{
	struct ipaddr a = address("192.0.2.1"), b = address("192.0.2.2"), c = address("192.0.3.1"),
		      six = address("::c000:201:0:0:0:0");
	struct roster *r = roster_new(3);
	(void)state;
	assert_non_null(r);
	int32_t first = roster_sit(r, &a, STANDING_STRANGER);
	assert_true(first >= 0 && roster_sit(r, &b, STANDING_KNOWN) >= 0 &&
		    roster_sit(r, &c, STANDING_OWN) >= 0);
	assert_int_equal(roster_sit(r, &a, STANDING_STRANGER), -1);
	struct seating_counts n = roster_count(r, &a);
	assert_true(n.of[0] == 1 && n.of[1] == 1 && n.of[2] == 1);
	assert_int_equal(n.address, 1);
	assert_int_equal(n.network, 2);
	assert_int_equal(roster_count(r, &six).address, 0); /* the same octets in another family */
	roster_change(r, first, STANDING_OWN);
	assert_int_equal(roster_count(r, &a).of[STANDING_OWN], 2);
	roster_leave(r, first);
	roster_leave(r, -1);
	assert_int_equal(roster_count(r, &a).address, 0);
	assert_true(roster_sit(r, &a, STANDING_STRANGER) >= 0);
	roster_free(&r);
}

static void test_ipv6_counts_by_64(void **state)
{
	struct ipaddr a = address("2001:db8::1"), b = address("2001:db8::2"),
		      c = address("2001:db8:0:1::1");
	struct roster *r = roster_new(9);
	(void)state;
	roster_sit(r, &a, STANDING_STRANGER);
	roster_sit(r, &b, STANDING_STRANGER);
	roster_sit(r, &c, STANDING_STRANGER);
	assert_int_equal(roster_count(r, &a).address, 2);
	assert_int_equal(roster_count(r, &a).network, 3);
	roster_free(&r);
}

static void test_others_count(void **state)
{
	struct ipaddr a = address("192.0.2.1");
	struct roster *mine = roster_new(4), *other = roster_new(8);
	(void)state;
	assert_true(roster_add(mine, 7, dup(roster_fd(other))));
	roster_sit(other, &a, STANDING_STRANGER); /* what comes later is seen */
	roster_sit(other, &a, STANDING_STRANGER);
	roster_sit(mine, &a, STANDING_STRANGER);
	assert_int_equal(roster_count(mine, &a).address, 3);
	assert_int_equal(roster_count(other, &a).address, 2);
	roster_note(other, &a, 1000);
	assert_true(roster_knows(mine, &a, 2000));
	roster_remove(mine, 7);
	assert_int_equal(roster_count(mine, &a).address, 1);
	assert_true(roster_knows(mine, &a, 2000)); /* inherited */
	roster_free(&mine);
	roster_free(&other);
}

/* Nobody writes another one's page, and none can be cut under its reader. */
static void test_pages_are_sealed(void **state)
{
	struct roster *r = roster_new(4);
	int fd = roster_fd(r);
	(void)state;
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	roster_free(&r);
	r = roster_new(4);
	int loose = memfd_create("x", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(loose, 1 << 20), 0);
	assert_false(roster_add(r, 1, dup(loose)));
	fcntl(loose, F_ADD_SEALS, F_SEAL_SHRINK);
	assert_true(roster_add(r, 1, loose));
	int small = memfd_create("x", MFD_ALLOW_SEALING);
	fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK);
	assert_false(roster_add(r, 2, small));
	roster_free(&r);
}

static void test_texts(void **state)
{
	struct ipaddr a = address("192.0.2.1"), b = address("192.0.2.2"),
		      c = address("198.51.100.1");
	struct roster *mine = roster_new(4), *other = roster_new(4);
	(void)state;
	assert_true(roster_add(mine, 1, dup(roster_fd(other))));
	int32_t first = roster_sit(mine, &a, STANDING_STRANGER);
	roster_hold(mine, first, 5, 0);
	roster_hold(mine, roster_sit(mine, &c, STANDING_STRANGER), 100, 1000);
	roster_hold(other, roster_sit(other, &b, STANDING_STRANGER), 7, 11);
	struct roster_texts t = roster_texts(mine, &a);
	assert_true(t.memory == 112 && t.disk == 1011);
	assert_true(t.network_memory == 12 && t.network_disk == 11);
	roster_leave(mine, first);
	assert_int_equal(roster_texts(mine, &a).network_memory, 7);
	roster_free(&mine);
	roster_free(&other);
}

static void test_shares(void **state)
{
	(void)state;
	assert_true(seating_may_hold(STANDING_STRANGER, 75, 25, 100));
	assert_false(seating_may_hold(STANDING_STRANGER, 76, 1, 100));
	assert_false(seating_may_hold(STANDING_STRANGER, 26, 26, 100));
	assert_true(seating_may_hold(STANDING_KNOWN, 100, 25, 100));
	assert_false(seating_may_hold(STANDING_KNOWN, 100, 26, 100));
	assert_true(seating_may_hold(STANDING_OWN, 100, 50, 100));
	assert_false(seating_may_hold(STANDING_OWN, 51, 51, 100));
	assert_false(seating_may_hold(STANDING_OWN, 101, 1, 100));
}

static void test_known(void **state)
{
	struct ipaddr a = address("192.0.2.1"), b = address("192.0.2.2");
	struct roster *r = roster_new(4);
	char text[32];
	(void)state;
	assert_false(roster_knows(r, &a, 5000));
	roster_note(r, &a, 5000);
	assert_true(roster_knows(r, &a, 5000));
	assert_false(roster_knows(r, &b, 5000));
	assert_true(roster_knows(r, &a, 5000 + ROSTER_KNOWN_MS - 1));
	assert_false(roster_knows(r, &a, 5000 + ROSTER_KNOWN_MS));
	/* more than there is room for: the last are remembered */
	for (unsigned i = 0; i < 4 * ROSTER_KNOWN; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		b = address(text);
		roster_note(r, &b, 6000 + i);
		assert_true(roster_knows(r, &b, 6000 + i));
	}
	roster_free(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_patience),
	    cmocka_unit_test(test_the_fullest_network_first),
	    cmocka_unit_test(test_networks_of_ipv6),
	    cmocka_unit_test(test_singles_one_at_a_time),
	    cmocka_unit_test(test_a_crowd_makes_its_own_room),
	    cmocka_unit_test(test_standings),
	    cmocka_unit_test(test_work_stays),
	    cmocka_unit_test(test_nobody),
	    cmocka_unit_test(test_seats),
	    cmocka_unit_test(test_ipv6_counts_by_64),
	    cmocka_unit_test(test_others_count),
	    cmocka_unit_test(test_pages_are_sealed),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_shares),
	    cmocka_unit_test(test_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
