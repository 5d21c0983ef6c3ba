/* SPDX-License-Identifier: MIT */
/* linefix: the same text and facts whatever the chunks, and only whole CRLF lines come out. */
#include "fuzz.h"

#include "wire/dotstuff.h"

/* Feeds chunks of `chunk` octets and ends the text. */
static enum linefix_error fix(struct slice in, size_t chunk, struct linefix *l, struct buf *out)
{
	enum linefix_error e = LINEFIX_OK;

	linefix_init(l);
	while (in.n > 0 && e == LINEFIX_OK) {
		e = linefix_feed(l, slice_first(in, chunk), out);
		in = slice_from(in, chunk);
	}
	return e == LINEFIX_OK ? linefix_end(l, out) : e;
}

static void check_lines(struct slice s)
{
	FUZZ_CHECK(s.n == 0 || s.p[s.n - 1] == '\n');
	for (size_t i = 0; i < s.n; i++) {
		FUZZ_CHECK(s.p[i] != '\0');
		FUZZ_CHECK(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		FUZZ_CHECK(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
	}
}

/* Only CR and LF may differ between what goes in and what comes out. */
static void check_content(struct slice in, struct slice out)
{
	size_t k = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\r' || in.p[i] == '\n')
			continue;
		while (k < out.n && (out.p[k] == '\r' || out.p[k] == '\n'))
			k++;
		FUZZ_CHECK(k < out.n && out.p[k] == in.p[i]);
		k++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	size_t chunk[3] = {1, (size_t)fuzz_take(&in) + 1, SIZE_MAX};
	enum linefix_error e[3];
	struct linefix l[3];
	struct buf out[3];

	for (size_t i = 0; i < 3; i++) {
		buf_init(&out[i], 2 * size + 2);
		e[i] = fix(in, chunk[i], &l[i], &out[i]);
		FUZZ_CHECK(e[i] == e[0] && e[i] != LINEFIX_NO_ROOM);
		FUZZ_CHECK(l[i].in == l[0].in && l[i].line == l[0].line);
		FUZZ_CHECK(l[i].longest == l[0].longest && l[i].eight_bit == l[0].eight_bit);
		FUZZ_CHECK(l[i].header_eight_bit == l[0].header_eight_bit);
		FUZZ_CHECK(slice_eq(buf_slice(&out[i]), buf_slice(&out[0])));
	}
	FUZZ_CHECK(e[0] != LINEFIX_OK || l[0].in == in.n);
	FUZZ_CHECK(!l[0].header_eight_bit || l[0].eight_bit);
	if (e[0] == LINEFIX_OK) {
		check_lines(buf_slice(&out[0]));
		check_content(in, buf_slice(&out[0]));
	}
	for (size_t i = 0; i < 3; i++)
		buf_free(&out[i]);
	return 0;
}
