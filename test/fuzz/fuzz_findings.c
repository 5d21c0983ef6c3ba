/* SPDX-License-Identifier: MIT */
/* The warden's findings: what is understood comes back octet by octet, and makes metrics of whole
 * lines. */
#include "relay/findings.h"

#include "fuzz.h"

enum { MEM = 1024 * 1024, ROOM = 4 * 1024 * 1024 };

static void check(const struct findings *f, struct slice in)
{
	struct buf out;

	buf_init(&out, ROOM);
	findings_put(&out, f);
	FUZZ_CHECK(buf_ok(&out) && slice_eq(buf_slice(&out), in));
	buf_reset(&out);
	findings_metrics(f, &out);
	FUZZ_CHECK(!buf_ok(&out) || buf_len(&out) == 0 || out.p[out.end - 1] == '\n');
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct arena mem;
	struct findings f;

	arena_init(&mem, MEM);
	if (findings_get(in, &mem, &f))
		check(&f, in);
	arena_free(&mem);
	return 0;
}
