/* SPDX-License-Identifier: MIT */
/* relay: what one process believes of another's payload; what is taken is put again as it was. */
#include "fuzz.h"

#include "relay/mail.h"

enum { MEM = 4 * 1024 * 1024, ROOM = 2 * 1024 * 1024, KINDS = 6 };

/* Puts again what was understood. False: it was not. */
static bool again(uint8_t kind, struct slice in, struct arena *mem, struct buf *out)
{
	union {
		struct submit submit;
		struct submitted submitted;
		struct job job;
		struct result result;
		struct question question;
		struct answered answered;
	} x;
	switch (kind) {
	case 0:
		if (!submit_get(in, mem, &x.submit))
			return false;
		submit_put(out, &x.submit);
		return true;
	case 1:
		if (!submitted_get(in, mem, &x.submitted))
			return false;
		submitted_put(out, &x.submitted);
		return true;
	case 2:
		if (!job_get(in, mem, &x.job))
			return false;
		job_put(out, &x.job);
		return true;
	case 3:
		if (!result_get(in, mem, &x.result))
			return false;
		result_put(out, &x.result);
		return true;
	case 4:
		if (!question_get(in, mem, &x.question))
			return false;
		question_put(out, &x.question);
		return true;
	default:
		if (!answered_get(in, mem, &x.answered))
			return false;
		answered_put(out, &x.answered);
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint8_t kind = fuzz_take(&in) % KINDS;
	struct arena mem;
	struct buf out;

	arena_init(&mem, MEM);
	buf_init(&out, ROOM);
	if (again(kind, in, &mem, &out))
		FUZZ_CHECK(buf_ok(&out) && slice_eq(buf_slice(&out), in));
	buf_free(&out);
	arena_free(&mem);
	return 0;
}
