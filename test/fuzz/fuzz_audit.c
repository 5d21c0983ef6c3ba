/* SPDX-License-Identifier: MIT */
/* audit: a record has one encoding: what is taken is put again as it was, and points into the
 * input. */
#include "fuzz.h"

#include "audit/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct audit_record r;
	struct buf out;
	if (audit_decode(in, &r) != AUDIT_OK)
		return 0;
	buf_init(&out, AUDIT_BODY_MAX);
	FUZZ_CHECK(audit_encode(&r, &out) || size > AUDIT_BODY_MAX);
	FUZZ_CHECK(size > AUDIT_BODY_MAX || slice_eq(buf_slice(&out), in));
	if (r.type == AUDIT_ATTEMPT) {
		FUZZ_CHECK(fuzz_is_inside(r.attempt.host, in));
		FUZZ_CHECK(fuzz_is_inside(r.attempt.detail, in));
		FUZZ_CHECK(r.attempt.tlsa.n <= AUDIT_TLSA_MAX);
		FUZZ_CHECK(r.attempt.chain.n <= AUDIT_CHAIN_MAX);
	}
	buf_free(&out);
	return 0;
}
