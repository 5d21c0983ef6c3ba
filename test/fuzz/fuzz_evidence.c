/* SPDX-License-Identifier: MIT */
/* Evidence as a file and between processes: what is taken is written again as it was. */
#include "fuzz.h"

#include "base/arena.h"
#include "base/buf.h"
#include "engine/evidence.h"

enum { MEM = 8 * 1024 * 1024 };

static void check_body(struct slice in)
{
	struct arena mem;
	struct evidence e;
	struct buf out;
	arena_init(&mem, MEM);
	buf_init(&out, EVIDENCE_BODY_MAX);
	if (evidence_decode(in, &mem, &e))
		FUZZ_CHECK(evidence_encode(&e, &out) && slice_eq(buf_slice(&out), in));
	buf_free(&out);
	arena_free(&mem);
}

static void check_file(struct slice in)
{
	struct arena mem;
	struct evidence e, again;
	char error[512], *text = NULL;
	size_t n = 0;
	arena_init(&mem, MEM);
	if (evidence_read(in, &mem, &e, error, sizeof(error))) {
		FILE *f = open_memstream(&text, &n);
		FUZZ_CHECK(f != NULL && evidence_write(&e, NULL, f) && fclose(f) == 0);
		FUZZ_CHECK(evidence_read(slice_make(text, n), &mem, &again, error, sizeof(error)));
		FUZZ_CHECK(memcmp(e.id, again.id, sizeof(e.id)) == 0 && e.time == again.time);
		free(text);
	} else {
		FUZZ_CHECK(error[0] != '\0');
	}
	arena_free(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);

	check_body(in);
	check_file(in);
	return 0;
}
