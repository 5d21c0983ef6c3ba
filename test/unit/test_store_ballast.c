/* SPDX-License-Identifier: MIT */
/* store: the ballast: when it is made and given up, and that its blocks are real. */
#include "store/ballast.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB *(UINT64_C(1) << 20)

static void each_decision(void **state)
{
	(void)state;
	static const struct {
		struct ballast_facts f; /* have, want, free, reserve */
		enum ballast_step want;
	} rows[] = {
	    {{0, 64 MIB, 10000 MIB, 64 MIB}, BALLAST_MAKE},
	    {{64 MIB, 64 MIB, 10000 MIB, 64 MIB}, BALLAST_KEEP},
	    {{64 MIB, 64 MIB, 16 MIB, 64 MIB}, BALLAST_KEEP},
	    {{64 MIB, 64 MIB, 16 MIB - 1, 64 MIB}, BALLAST_GIVE_UP},
	    {{64 MIB, 64 MIB, 0, 64 MIB}, BALLAST_GIVE_UP},
	    /* what was given up does not make room enough to be made again */
	    {{0, 64 MIB, 80 MIB, 64 MIB}, BALLAST_KEEP},
	    {{0, 64 MIB, 144 MIB - 1, 64 MIB}, BALLAST_KEEP},
	    {{0, 64 MIB, 144 MIB, 64 MIB}, BALLAST_MAKE},
	    {{0, 1024 MIB, 1040 MIB, 64 MIB}, BALLAST_KEEP},
	    /* none is wanted */
	    {{0, 0, 10000 MIB, 64 MIB}, BALLAST_KEEP},
	    {{64 MIB, 0, 10000 MIB, 64 MIB}, BALLAST_GIVE_UP},
	    /* too little to be of use */
	    {{0, 3 MIB, 10000 MIB, 64 MIB}, BALLAST_KEEP},
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(ballast_decide(&rows[i].f), rows[i].want);
	assert_int_equal(ballast_size(64 MIB, 10000 MIB), 64 MIB);
	assert_int_equal(ballast_size(64 MIB, 100 MIB), 25 MIB);
	assert_int_equal(ballast_size(0, 100 MIB), 0);
}

/* Whoever takes what is free, down to nothing and back: it comes and goes once each. */
static void it_does_not_flutter(void **state)
{
	(void)state;
	for (uint64_t size = 8 MIB; size <= 4096 MIB; size *= 2) {
		struct ballast_facts f = {size, size, 2 * size + 200 MIB, 64 MIB};
		unsigned steps = 0;
		uint64_t others = f.free;
		for (int way = -1; way <= 1; way += 2) {
			for (uint64_t n = 0; n < others / (1 MIB); n++) {
				if (way > 0 || f.free >= 1 MIB)
					f.free += way > 0 ? 1 MIB : -(1 MIB);
				enum ballast_step step = ballast_decide(&f);
				if (step == BALLAST_KEEP)
					continue;
				steps++;
				f.free += step == BALLAST_MAKE ? -size : size;
				f.have = step == BALLAST_MAKE ? size : 0;
			}
		}
		assert_int_equal(steps, 2);
		assert_int_equal(f.have, size);
	}
}

static void its_blocks_are_real(void **state)
{
	(void)state;
	char folder[] = "/tmp/danelaw-ballast-XXXXXX", store[64], name[80];
	struct stat st;
	uint64_t room = 0;
	assert_non_null(mkdtemp(folder));
	snprintf(store, sizeof store, "%s/queue.db", folder);
	snprintf(name, sizeof name, "%s-ballast", store);
	assert_int_equal(ballast_have(store), 0);
	assert_false(ballast_give_up(store));
	assert_true(ballast_free(store, &room));
	assert_int_equal(ballast_make(store, 8 MIB), STORE_OK);
	assert_int_equal(stat(name, &st), 0);
	assert_true(st.st_blocks * 512 >= (off_t)(8 MIB));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ballast_have(store), 8 MIB);
	assert_int_equal(ballast_make(store, 4 MIB), STORE_OK); /* in its place */
	assert_int_equal(ballast_have(store), 4 MIB);
	assert_true(ballast_give_up(store));
	assert_int_equal(ballast_have(store), 0);
	assert_int_equal(stat(name, &st), -1);
	assert_int_equal(truncate(store, 0), -1);
	int fd = open(name, O_WRONLY | O_CREAT, 0600); /* a hole is no ballast */
	assert_int_equal(ftruncate(fd, 8 MIB), 0);
	close(fd);
	assert_int_equal(ballast_have(store), 0);
	assert_true(ballast_give_up(store));
	assert_int_equal(ballast_probe(store), STORE_OK);
	assert_int_equal(rmdir(folder), 0); /* nothing is left */
	assert_int_equal(ballast_make(store, 4 MIB), STORE_IO);
	assert_int_equal(ballast_probe(store), STORE_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_decision),
					   cmocka_unit_test(it_does_not_flutter),
					   cmocka_unit_test(its_blocks_are_real)};
	return cmocka_run_group_tests_name("ballast", tests, NULL, NULL);
}
