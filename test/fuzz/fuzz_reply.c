/* SPDX-License-Identifier: MIT */
/* reply_parse: the same result however the octets arrive, and slices of the input only. */
#include "fuzz.h"

#include "wire/address.h"
#include "wire/reply.h"

static void check_text(const struct reply *r)
{
	char text[REPLY_TEXT_MAX];

	reply_to_text(r, text, sizeof(text));
	struct slice s = slice_str(text);
	FUZZ_CHECK(s.n >= 3 && utf8_is_valid(s));
	for (size_t i = 0; i < s.n; i++)
		FUZZ_CHECK(s.p[i] >= ' ' && s.p[i] != 0x7f);
}

static void check_accepted(struct slice in, const struct reply *r)
{
	FUZZ_CHECK(r->code >= 200 && r->code <= 559);
	FUZZ_CHECK(r->nlines >= 1 && r->nlines <= REPLY_LINES_MAX);
	FUZZ_CHECK(r->raw.p == in.p && r->raw.n <= in.n && r->raw.n <= REPLY_BYTES_MAX);
	FUZZ_CHECK(r->enhanced.class == 0 || r->enhanced.class == r->code / 100);
	const uint8_t *at = in.p;
	for (size_t i = 0; i < r->nlines; i++) {
		FUZZ_CHECK(r->line[i].p >= at && fuzz_is_inside(r->line[i], r->raw));
		FUZZ_CHECK(r->line[i].n + 5 <= REPLY_LINE_MAX);
		FUZZ_CHECK(slice_find(r->line[i], '\r') == r->line[i].n);
		FUZZ_CHECK(slice_find(r->line[i], '\n') == r->line[i].n);
		FUZZ_CHECK(slice_find(r->line[i], '\0') == r->line[i].n);
		at = r->line[i].p + r->line[i].n + 2;
	}
	FUZZ_CHECK(at == r->raw.p + r->raw.n);
	check_text(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct reply r;
	int whole = reply_parse(in, &r);
	/* every prefix of a short input, some of a long one: together they are quadratic */
	size_t step = 1 + size / 64;

	FUZZ_CHECK(whole <= 0 || (size_t)whole <= size);
	FUZZ_CHECK(whole >= REPLY_NUL);
	if (whole > 0)
		check_accepted(in, &r);
	for (size_t n = 0; n < size; n += step) {
		int part = reply_parse(slice_first(in, n), &r);
		FUZZ_CHECK(part == 0 || part == whole);
		FUZZ_CHECK(whole <= 0 || (part != 0) == (n >= (size_t)whole));
	}
	return 0;
}
