/* SPDX-License-Identifier: MIT */
/* rrset_extract, rrset_parse: what a packet gives is in its one spelling, and that is all that the
 * parser takes. */
#include "fuzz.h"

#include "wire/rrset.h"

enum { MEM = 4 * 1024 * 1024 };

static void look(const struct rrset *s)
{
	FUZZ_CHECK(s->nrr > 0 && s->nsig > 0);
	for (size_t i = 0; i < s->nrr; i++)
		FUZZ_CHECK(fuzz_is_inside(rrset_rdata(s, i), s->octets));
	for (size_t i = 0; i < s->nsig; i++) {
		struct rrset_sig sig;
		rrset_sig(s, i, &sig);
		FUZZ_CHECK(fuzz_is_inside(sig.rr, s->octets) && sig.covered == s->type);
		FUZZ_CHECK(sig.signer.len > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rrset out[RRSET_OF_PACKET_MAX], again;
	struct slice in = slice_make(data, size);
	struct arena mem;
	size_t n = 0;

	if (rrset_parse(in, &again))
		look(&again);
	arena_init(&mem, MEM);
	FUZZ_CHECK(rrset_extract(in, &mem, out, &n) || n == 0);
	struct slice sig[64];
	size_t nsig = 0;
	if (rrset_signatures(in, sig, 64, &nsig)) {
		for (size_t i = 0; i < nsig; i++)
			FUZZ_CHECK(fuzz_is_inside(sig[i], in));
	}
	for (size_t i = 0; i < n; i++) {
		look(&out[i]);
		FUZZ_CHECK(rrset_parse(out[i].octets, &again));
	}
	arena_free(&mem);
	return 0;
}
