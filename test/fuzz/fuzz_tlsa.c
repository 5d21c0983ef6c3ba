/* SPDX-License-Identifier: MIT */
/* TLSA RDATA and text: what is read from one comes back through the other. */
#include "fuzz.h"

#include "base/buf.h"
#include "wire/tlsa.h"

static void to_text(const struct tlsa *t, struct buf *out)
{
	buf_addf(out, "%u %u %u ", (unsigned)t->usage, (unsigned)t->selector, (unsigned)t->mtype);
	buf_add_hex(out, t->data);
}

static void check_round_trip(const struct tlsa *t, uint8_t *store, size_t room)
{
	struct buf text;
	struct tlsa again;

	buf_init(&text, 2 * room + 64);
	to_text(t, &text);
	enum tlsa_text_error e = tlsa_from_text(buf_slice(&text), store, room, &again);
	FUZZ_CHECK(e == (t->data.n > 0 ? TLSA_TEXT_OK : TLSA_TEXT_FIELDS));
	if (e == TLSA_TEXT_OK)
		FUZZ_CHECK(tlsa_cmp(t, &again) == 0);
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint8_t *store = malloc(size + 1);
	uint8_t *other = malloc(size + 1);
	struct tlsa t;

	if (store != NULL && other != NULL) {
		tlsa_parse(in, &t);
		FUZZ_CHECK(t.short_rdata == (in.n < 3));
		FUZZ_CHECK(fuzz_is_inside(t.data, in));
		FUZZ_CHECK(t.full == TLSA_FULL_UNKNOWN);
		if (!t.short_rdata)
			check_round_trip(&t, store, size + 1);
		if (tlsa_from_text(in, store, size + 1, &t) == TLSA_TEXT_OK) {
			FUZZ_CHECK(t.data.p == store && t.data.n > 0 && t.data.n <= size / 2);
			check_round_trip(&t, other, size + 1);
		}
	}
	free(store);
	free(other);
	return 0;
}
