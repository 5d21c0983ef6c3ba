/* SPDX-License-Identifier: MIT */
/* header_field_parse and address_list_next: fields are cut out of the input and cover it; a list
 * ends, and its addresses carry nothing that could end a command. */
#include "fuzz.h"

#include "wire/header.h"

static void check_list(struct slice body)
{
	struct address_list l = {.rest = body};
	char address[HEADER_ADDRESS_MAX];
	int got;
	do {
		size_t before = l.rest.n;
		got = address_list_next(&l, address);
		FUZZ_CHECK(got <= 1 && got >= ADDRESS_LIST_TOO_LONG);
		FUZZ_CHECK(fuzz_is_inside(l.rest, body));
		if (got == 1) {
			size_t n = strlen(address);
			FUZZ_CHECK(n >= 1 && n < HEADER_ADDRESS_MAX);
			FUZZ_CHECK(l.rest.n < before);
			for (size_t i = 0; i < n; i++)
				FUZZ_CHECK((uint8_t)address[i] >= ' ' || address[i] == '\t');
		}
	} while (got == 1);
	FUZZ_CHECK(got < 0 || l.rest.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_make(data, size);
	struct header_field f;
	int n;
	check_list(rest);
	while ((n = header_field_parse(rest, &f)) > 0) {
		FUZZ_CHECK((size_t)n < rest.n);
		FUZZ_CHECK(f.raw.p == rest.p && f.raw.n == (size_t)n);
		FUZZ_CHECK(fuzz_is_inside(f.name, f.raw) && fuzz_is_inside(f.body, f.raw));
		FUZZ_CHECK(f.name.n > 0 && f.name.n + f.body.n + 3 <= f.raw.n);
		FUZZ_CHECK(memcmp(f.raw.p + n - 2, "\r\n", 2) == 0);
		check_list(f.body);
		rest = slice_from(rest, (size_t)n);
	}
	FUZZ_CHECK(n >= HEADER_TOO_LONG);
	return 0;
}
