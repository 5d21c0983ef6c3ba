/* SPDX-License-Identifier: MIT */
/*
 * The judgement on a certificate by what came before it.
 *
 * Knows keys by their digests. Refuses to know where they are remembered, and what a change does to
 * the mail: nothing, that is the policy's to say.
 */
#include "audit/continuity.h"

#include <string.h>

static const struct {
	const char *name, *sentence;
} rows[] = {
#define CONTINUITY(id, name, sentence) [CONTINUITY_##id] = {(name), (sentence)},
#include "audit/continuity.tbl"
#undef CONTINUITY
};

const char *continuity_name(enum continuity c)
{
	return rows[c].name;
}

const char *continuity_sentence(enum continuity c)
{
	return rows[c].sentence;
}

bool continuity_from_name(const char *name, enum continuity *out)
{
	for (int i = 0; i < CONTINUITY_COUNT; i++) {
		if (strcmp(rows[i].name, name) == 0) {
			*out = (enum continuity)i;
			return true;
		}
	}
	return false;
}

const char *audit_authority_name(enum audit_authority a)
{
	static const char *const names[] = {
	    [AUTHORITY_NONE] = "none", [AUTHORITY_TLSA] = "tlsa", [AUTHORITY_CA] = "ca"};
	return names[a];
}

void audit_key_type(struct slice key, char out[static AUDIT_KEY_TYPE_MAX])
{
	struct slice rest;
	struct slice word = slice_first(slice_cut(key, ' ', &rest), AUDIT_KEY_TYPE_MAX - 1);
	if (slice_eq_str(word, "EC"))
		word = SLICE_LIT("ECDSA");
	if (word.n > 0)
		memcpy(out, word.p, word.n);
	out[word.n] = '\0';
}

/* What a proof is worth under a policy: elsewhere nobody asked for it, and nothing rests on it. */
static enum audit_authority counting(enum host_policy policy, enum audit_authority a)
{
	switch (policy) {
	case HOST_DANE:
		return a == AUTHORITY_TLSA ? a : AUTHORITY_NONE;
	case HOST_PKIX:
		return a == AUTHORITY_CA ? a : AUTHORITY_NONE;
	case HOST_ENCRYPT:
	case HOST_MAY:
	case HOST_SKIP:
	case HOST_LOCAL:
		return AUTHORITY_NONE;
	}
	return AUTHORITY_NONE;
}

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, AUDIT_DIGEST) == 0;
}

/* The same certificate before the same key, whatever the order in which they were seen. */
static enum continuity recognise(const struct known_key *known, size_t n,
				 const struct presented_key *p, int *at)
{
	for (size_t i = 0; i < n; i++) {
		if (same(known[i].cert, p->cert)) {
			*at = (int)i;
			return CONTINUITY_SAME_CERTIFICATE;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (same(known[i].key, p->key)) {
			*at = (int)i;
			return CONTINUITY_SAME_KEY;
		}
	}
	*at = n > 0 ? 0 : -1;
	return n > 0 ? CONTINUITY_UNAUTHORISED_CHANGE : CONTINUITY_FIRST_SEEN;
}

void continuity_decide(const struct known_key *known, size_t n, const struct presented_key *p,
		       enum host_policy policy, enum audit_authority authorised,
		       struct continuity_verdict *out)
{
	*out = (struct continuity_verdict){.continuity = CONTINUITY_NONE, .known = -1};
	if (!p->present)
		return;
	out->authority = counting(policy, authorised);
	out->continuity = recognise(known, n, p, &out->known);
	bool recognised = out->continuity == CONTINUITY_SAME_CERTIFICATE ||
			  out->continuity == CONTINUITY_SAME_KEY;
	if (recognised && out->authority == AUTHORITY_NONE)
		out->authority = known[out->known].authority;
	if (out->continuity == CONTINUITY_UNAUTHORISED_CHANGE && out->authority != AUTHORITY_NONE)
		out->continuity = CONTINUITY_AUTHORISED_CHANGE;
}
