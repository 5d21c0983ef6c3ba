/* SPDX-License-Identifier: MIT */
/* A process's birth as a memory file: what goes in comes out, and the configuration with it,
 * whatever has become of its file; what is cut or changed is none. */
#include "relay/birth.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct conf_hooks no_hooks;
static char path[] = "/tmp/danelaw-birth-XXXXXX";

static void write_file(const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct conf *load(void)
{
	static const char *const overrides[] = {"relay.couriers=7", "destination.x.test.level=may"};
	char error[512];
	struct conf *c = conf_load(path, overrides, 2, &no_hooks, error, sizeof(error));
	if (c == NULL)
		fail_msg("%s", error);
	return c;
}

static void fill(struct buf *out, const struct conf *c)
{
	static const struct listener listeners[] = {{9, "smtp", false, false},
						    {11, "submissions", true, true}};
	const struct birth b = {.role = ROLE_INTAKE,
				.number = 12,
				.parent_fd = 5,
				.conf = c,
				.log_target = LOG_TARGET_SYSLOG,
				.log_level = LOG_LEVEL_DEBUG,
				.listener = listeners,
				.nlistener = 2,
				.metrics_fd = -1,
				.control_fd = 8};
	buf_init(out, 1 << 20);
	birth_put(out, &b);
	assert_true(buf_ok(out));
}

static void what_goes_in_comes_out(void **state)
{
	(void)state;
	struct buf text;
	struct born b;
	char error[512] = "";
	write_file("relay {\n\tintakes = 3\n\tsmtp = {\"127.0.0.1:2\", \"127.0.0.1:3\"}\n}\n"
		   "destination \"y.test\" {\n\tlevel = dane-only\n}\n");
	struct conf *c = load();
	fill(&text, c);
	write_file("relay {\n\tintakes = 4\n}\n"); /* after it was checked */
	assert_true(birth_get(buf_slice(&text), &b));
	assert_int_equal(b.birth.role, ROLE_INTAKE);
	assert_int_equal(b.birth.number, 12);
	assert_int_equal(b.birth.parent_fd, 5);
	assert_int_equal(b.birth.metrics_fd, -1);
	assert_int_equal(b.birth.control_fd, 8);
	assert_int_equal(b.birth.log_target, LOG_TARGET_SYSLOG);
	assert_int_equal(b.birth.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(b.birth.nlistener, 2);
	assert_string_equal(b.birth.listener[1].name, "submissions");
	assert_true(b.birth.listener[1].fd == 11 && b.birth.listener[1].implicit_tls);
	struct conf *again = conf_load_source(&b.source, &no_hooks, error, sizeof(error));
	if (again == NULL)
		fail_msg("%s", error);
	assert_int_equal(again->relay_intakes, 3);
	assert_int_equal(again->relay_couriers, 7);
	assert_string_equal(again->relay_smtp[1], "127.0.0.1:3");
	assert_int_equal(again->ndestination, c->ndestination);
	for (size_t i = 0; c->dns_anchor[i] != NULL; i++)
		assert_string_equal(again->dns_anchor[i], c->dns_anchor[i]);
	/* And from that one once more. */
	assert_int_equal(conf_source_of(again)->noverride, conf_source_of(c)->noverride);
	conf_free(&again);
	conf_free(&c);
	arena_free(&b.mem);
	buf_free(&text);
}

static void without_a_file_there_is_none_later(void **state)
{
	(void)state;
	char error[512] = "";
	struct conf_source s = {.path = path};
	write_file("relay {\n\tintakes = 4\n}\n");
	struct conf *c = conf_load_source(&s, &no_hooks, error, sizeof(error));
	assert_non_null(c);
	assert_int_equal(c->relay_intakes, 0);
	conf_free(&c);
}

static void what_is_cut_or_changed_is_no_birth(void **state)
{
	(void)state;
	struct buf text;
	struct born b;
	write_file("");
	struct conf *c = load();
	fill(&text, c);
	struct slice all = buf_slice(&text);
	for (size_t n = 0; n < all.n; n++) {
		assert_false(birth_get(slice_first(all, n), &b));
		arena_free(&b.mem);
	}
	uint8_t *octets = malloc(all.n + 1);
	assert_non_null(octets);
	memcpy(octets, all.p, all.n);
	octets[all.n] = 0;
	assert_false(birth_get(slice_make(octets, all.n + 1), &b));
	arena_free(&b.mem);
	octets[5] ^= 1; /* another version's */
	assert_false(birth_get(slice_make(octets, all.n), &b));
	arena_free(&b.mem);
	free(octets);
	conf_free(&c);
	buf_free(&text);
}

static int make(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int remove_it(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_goes_in_comes_out),
	    cmocka_unit_test(without_a_file_there_is_none_later),
	    cmocka_unit_test(what_is_cut_or_changed_is_no_birth),
	};
	return cmocka_run_group_tests(tests, make, remove_it);
}
