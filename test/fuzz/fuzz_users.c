/* SPDX-License-Identifier: MIT */
/* The users' file: what is taken line by line is what the whole file holds, and writes back. */
#include "fuzz.h"

#include "users/room.h"

static void check_line(struct slice line, size_t *users)
{
	struct users_line l;
	const char *wrong = users_line_parse(line, &l);
	FUZZ_CHECK(fuzz_is_inside(l.name, line) && fuzz_is_inside(l.hash, line) &&
		   fuzz_is_inside(l.comment, line));
	if (wrong != NULL || l.name.n == 0) {
		FUZZ_CHECK(l.name.n == 0 && l.hash.n == 0 && l.comment.n == 0);
		return;
	}
	++*users;
	FUZZ_CHECK(users_name_error(l.name) == NULL);
	FUZZ_CHECK(l.hash.n > 0 && fuzz_is_printable(l.hash));
	FUZZ_CHECK(l.name.n + 1 + l.hash.n + l.comment.n == line.n);
	FUZZ_CHECK(l.comment.n == 0 || l.comment.p[0] == ':');
	FUZZ_CHECK(users_method(l.hash) != NULL);
	(void)users_hash_refused(l.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size), rest = in, line;
	size_t users = 0, octets = 0, lines = 0;
	char error[512] = "";

	while (users_line_next(&rest, &line)) {
		FUZZ_CHECK(fuzz_is_inside(line, in) && slice_find(line, '\n') == line.n);
		octets += line.n + 1;
		lines++;
		check_line(line, &users);
	}
	FUZZ_CHECK(octets == size || octets == size + 1);
	FUZZ_CHECK(lines <= size);

	struct users *u = users_parse(in, "f", error, sizeof(error));
	FUZZ_CHECK((u == NULL) == (error[0] != '\0'));
	if (u != NULL)
		FUZZ_CHECK(users_count(u) == users);
	users_free(&u);
	return 0;
}
