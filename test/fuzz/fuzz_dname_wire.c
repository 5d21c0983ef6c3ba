/* SPDX-License-Identifier: MIT */
/* dname_parse: ends, stays inside, and what is read from a part is read from the whole. */
#include "fuzz.h"

#include "wire/dname.h"

static void check_accepted(struct slice msg, size_t from, size_t pos, const struct dname *n)
{
	struct dname again;
	struct dname copy;
	size_t copy_pos = 0;
	char text[DNAME_TEXT_MAX];

	FUZZ_CHECK(pos > from && pos <= msg.n);
	FUZZ_CHECK(n->len >= 1 && n->wire[n->len - 1] == 0);
	(void)dname_to_text(n, text);
	FUZZ_CHECK(dname_from_text(slice_str(text), &again) == DNAME_OK);
	FUZZ_CHECK(dname_eq(n, &again));
	/* the uncompressed form parses as itself */
	FUZZ_CHECK(dname_parse(slice_make(n->wire, n->len), &copy_pos, &copy) == DNAME_OK);
	FUZZ_CHECK(copy_pos == n->len && dname_eq(n, &copy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice msg = slice_make(data, size);
	size_t from = fuzz_take(&msg);
	size_t pos = from;
	struct dname n;
	enum dname_error e = dname_parse(msg, &pos, &n);

	if (e == DNAME_OK)
		check_accepted(msg, from, pos, &n);
	else
		FUZZ_CHECK(pos == from);
	for (size_t k = 0; k < msg.n; k++) {
		struct dname part;
		size_t part_pos = from;
		enum dname_error part_e = dname_parse(slice_first(msg, k), &part_pos, &part);
		FUZZ_CHECK(part_e == DNAME_TRUNCATED || (part_e == e && part_pos == pos));
		if (part_e == DNAME_OK)
			FUZZ_CHECK(dname_eq(&part, &n));
	}
	return 0;
}
