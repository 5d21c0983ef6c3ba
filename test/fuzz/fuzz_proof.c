/* SPDX-License-Identifier: MIT */
/*
 * dnssec_prove: evidence of anything, to somebody who trusts the keys that it brings along itself:
 * the deepest way in. It ends, and says why not.
 */
#include "fuzz.h"

#include "base/arena.h"
#include "dnssec/room.h"

enum { MEM = 8 * 1024 * 1024 };

/* Its own DNSKEYs as anchors. */
static void trust_all(const struct evidence *e, struct dnssec_anchors *a)
{
	for (size_t i = 0; i < e->nrrset; i++) {
		size_t pos = 0;
		ldns_rr *rr = NULL;
		if (ldns_wire2rr(&rr, e->rrset[i].p, e->rrset[i].n, &pos, LDNS_SECTION_ANSWER) !=
		    LDNS_STATUS_OK)
			continue;
		if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_DNSKEY)
			ldns_rr_list_push_rr(a->rr, rr);
		else
			ldns_rr_free(rr);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem;
	struct evidence e;
	struct dnssec_proof proof;
	struct dnssec_anchors a = {.rr = ldns_rr_list_new()};

	arena_init(&mem, MEM);
	if (evidence_decode(slice_make(data, size), &mem, &e)) {
		trust_all(&e, &a);
		dnssec_prove(&a, &e, 300, &proof);
		FUZZ_CHECK(proof.proven == (proof.why[0] == '\0'));
	}
	ldns_rr_list_deep_free(a.rr);
	arena_free(&mem);
	return 0;
}
