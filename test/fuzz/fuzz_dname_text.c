/* SPDX-License-Identifier: MIT */
/* dname_from_text: what is accepted comes back as the same name from its own text. */
#include "fuzz.h"

#include "wire/dname.h"

static void check_accepted(const struct dname *n)
{
	struct dname again;
	char text[DNAME_TEXT_MAX];
	size_t at = 0;

	FUZZ_CHECK(n->len >= 1 && n->len <= DNAME_WIRE_MAX);
	while (n->wire[at] != 0) {
		FUZZ_CHECK(n->wire[at] <= DNAME_LABEL_MAX);
		at += 1 + (size_t)n->wire[at];
		FUZZ_CHECK(at < n->len);
	}
	FUZZ_CHECK(at + 1 == n->len);
	size_t len = dname_to_text(n, text);
	FUZZ_CHECK(len == strlen(text) && len < sizeof(text));
	FUZZ_CHECK(fuzz_is_printable(slice_str(text)) && strchr(text, ' ') == NULL);
	FUZZ_CHECK(dname_from_text(slice_str(text), &again) == DNAME_OK);
	FUZZ_CHECK(dname_eq(n, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct dname n;
	enum dname_error e = dname_from_text(in, &n);

	if (e == DNAME_OK)
		check_accepted(&n);
	/* a host name is a name, and its text is the name */
	if (hostname_is_valid(in)) {
		char text[DNAME_TEXT_MAX];
		FUZZ_CHECK(e == DNAME_OK);
		FUZZ_CHECK(dname_to_text(&n, text) == in.n);
		FUZZ_CHECK(slice_eq_nocase_str(in, text));
	}
	return 0;
}
