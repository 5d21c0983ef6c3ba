/* SPDX-License-Identifier: MIT */
/* dotstuff: a server gets back what was sent, and its end of data is ours, whatever the chunks. */
#include "fuzz.h"

#include "wire/dotstuff.h"

static void stuff(struct slice in, size_t chunk, struct buf *out)
{
	struct dotstuff d;

	dotstuff_init(&d);
	while (in.n > 0) {
		dotstuff_feed(&d, slice_first(in, chunk), out);
		in = slice_from(in, chunk);
	}
	dotstuff_end(&d, out);
}

/* Is every CR before an LF, every LF behind a CR, and no NUL? */
static bool is_crlf_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0')
			return false;
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			return false;
		if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n'))
			return false;
	}
	return true;
}

/* RFC 5321 s4.5.2 as the receiver does it: the lines before "." without their first dot. */
static void unstuff(struct slice data, struct buf *out)
{
	for (;;) {
		struct slice line = slice_first(data, slice_find(data, '\n') + 1);
		FUZZ_CHECK(line.n >= 2 && line.p[line.n - 2] == '\r');
		data = slice_from(data, line.n);
		if (slice_eq_str(line, ".\r\n"))
			break;
		buf_add_slice(out, slice_from(line, line.p[0] == '.' ? 1 : 0));
	}
	FUZZ_CHECK(data.n == 0);
}

static void check_received(struct slice in, struct slice data)
{
	struct buf got;

	buf_init(&got, in.n + 2);
	unstuff(data, &got);
	struct slice s = buf_slice(&got);
	FUZZ_CHECK(buf_ok(&got));
	FUZZ_CHECK(slice_eq(slice_first(s, in.n), in));
	bool ended = in.n == 0 || in.p[in.n - 1] == '\n';
	FUZZ_CHECK(slice_eq_str(slice_from(s, in.n), ended ? "" : "\r\n"));
	buf_free(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	size_t chunk[3] = {1, (size_t)fuzz_take(&in) + 1, SIZE_MAX};
	struct buf out[3];

	for (size_t i = 0; i < 3; i++) {
		buf_init(&out[i], 2 * size + 8);
		stuff(in, chunk[i], &out[i]);
		FUZZ_CHECK(buf_ok(&out[i]) == is_crlf_text(in));
		if (buf_ok(&out[0]))
			FUZZ_CHECK(slice_eq(buf_slice(&out[i]), buf_slice(&out[0])));
	}
	if (buf_ok(&out[0]))
		check_received(in, buf_slice(&out[0]));
	for (size_t i = 0; i < 3; i++)
		buf_free(&out[i]);
	return 0;
}
