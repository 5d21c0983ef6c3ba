/* SPDX-License-Identifier: MIT */
/*
 * The hash rule and the walk that checks it.
 *
 * Knows numbers, times, bodies and hashes, and of bodies only checkpoints. Refuses to know files.
 */
#include "audit/chain.h"

#include <string.h>

static void put_u64(uint8_t out[static 8], uint64_t v)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> (56 - 8 * i));
}

void audit_link_next(audit_sha256 *sha256, const struct audit_head *last, struct audit_link *l)
{
	uint8_t number[8], time[8];
	l->n = last->n + 1;
	put_u64(number, l->n);
	put_u64(time, (uint64_t)l->time);
	const struct slice part[] = {slice_make(last->hash, AUDIT_DIGEST),
				     slice_make(number, sizeof(number)),
				     slice_make(time, sizeof(time)), l->body};
	sha256(part, sizeof(part) / sizeof(part[0]), l->hash);
}

static bool same_hash(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, AUDIT_DIGEST) == 0;
}

static bool breaks(struct audit_verify *v, uint64_t n, const char *why)
{
	if (v->broken == 0) {
		v->broken = n;
		v->why = why;
	}
	return false;
}

void audit_verify_begin(struct audit_verify *v, audit_sha256 *sha256,
			const struct audit_head *start, const struct audit_head *heads,
			size_t nhead)
{
	*v = (struct audit_verify){.sha256 = sha256,
				   .start = *start,
				   .last = *start,
				   .head = heads,
				   .nhead = nhead,
				   .vouched = UINT64_MAX,
				   .signed_off = start->n == 0};
}

static bool agrees_with_heads(struct audit_verify *v, const struct audit_head *h)
{
	for (size_t i = 0; i < v->nhead; i++) {
		if (v->head[i].n == h->n && !same_hash(v->head[i].hash, h->hash))
			return breaks(v, h->n,
				      "is not the record that was remembered elsewhere: the chain "
				      "was written anew");
	}
	return true;
}

static void look_for_checkpoint(struct audit_verify *v, struct slice body)
{
	struct audit_record r;
	if (v->signed_off || v->last.n > v->vouched || audit_decode(body, &r) != AUDIT_OK ||
	    r.type != AUDIT_CHECKPOINT)
		return;
	v->signed_off =
	    r.checkpoint.upto == v->start.n && same_hash(r.checkpoint.hash, v->start.hash);
}

bool audit_verify_link(struct audit_verify *v, const struct audit_link *l)
{
	if (v->broken != 0)
		return false;
	if (l->n <= v->last.n)
		return breaks(v, l->n, "comes where a later number must be");
	if (l->n != v->last.n + 1)
		return breaks(v, v->last.n + 1, "is missing");
	struct audit_link want = {.time = l->time, .body = l->body};
	audit_link_next(v->sha256, &v->last, &want);
	if (!same_hash(want.hash, l->hash))
		return breaks(v, l->n,
			      "does not have the hash that its content and the record "
			      "before it give: it was changed");
	v->last.n = l->n;
	memcpy(v->last.hash, l->hash, AUDIT_DIGEST);
	v->count++;
	look_for_checkpoint(v, l->body);
	return agrees_with_heads(v, &v->last);
}

bool audit_verify_end(struct audit_verify *v)
{
	if (v->broken != 0)
		return false;
	if (!v->signed_off)
		return breaks(v, v->start.n,
			      "and all before it are missing, and no checkpoint signs them off");
	if (!agrees_with_heads(v, &v->start))
		return false;
	for (size_t i = 0; i < v->nhead; i++) {
		if (v->head[i].n > v->last.n)
			return breaks(v, v->last.n + 1,
				      "is missing: the file ends before what was remembered "
				      "elsewhere");
		if (v->head[i].n > 0 && v->head[i].n < v->start.n)
			return breaks(v, v->head[i].n,
				      "was remembered elsewhere and is not there to be compared: "
				      "the file begins behind it");
	}
	return true;
}
