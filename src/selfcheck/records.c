/* SPDX-License-Identifier: MIT */
/*
 * The records one by one: which nobody can use, which match nothing, which promise more than is
 * wise. Knows what the chains matched; refuses to know whether they keep the promise.
 */
#include "selfcheck/room.h"

static void add(struct decision *d, enum selfcheck_kind k, size_t record, struct words *w)
{
	w->record = words_record(d->list.mem, &d->out->set->entry[record].rr);
	list_add(&d->list, k, false, (struct place){-1, (int)record}, w);
}

/* Also by a chain that waits on the disk: the record is there for it (RFC 7671 s8.1). */
static bool matches_any(const struct decision *d, size_t record)
{
	for (size_t i = 0; i < d->f->nchain; i++) {
		const struct selfcheck_chain *c = &d->f->chain[i];
		if (c->fit != NULL && c->fit[record].matches)
			return true;
	}
	return false;
}

/* Where no chain is authenticated the mismatch is the matter, and every record looks stale. */
static bool some_chain_keeps(const struct decision *d)
{
	for (size_t i = 0; i < d->f->nchain; i++) {
		if (d->f->chain[i].served && d->out->of[i] == SELFCHECK_KEPT)
			return true;
	}
	return false;
}

static void decide_record(struct decision *d, size_t r)
{
	const struct tlsa_entry *e = &d->out->set->entry[r];
	struct words w = decision_words(d, NULL);
	if (!tlsa_use_is_usable(e->use)) {
		w.detail = tlsa_use_text(e->use);
		add(d, SELFCHECK_UNUSABLE_RECORD, r, &w);
	} else if (some_chain_keeps(d) && !matches_any(d, r)) {
		add(d, SELFCHECK_STALE_RECORD, r, &w);
	}
}

/* RFC 6698 s7: SHA-256 is the digest that everybody must have. */
static bool has_other_digest(const struct tlsa_set *set, const struct tlsa *rr)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct tlsa_entry *e = &set->entry[i];
		if (tlsa_use_is_usable(e->use) && e->rr.usage == rr->usage &&
		    e->rr.selector == rr->selector && e->rr.mtype != TLSA_SHA512)
			return true;
	}
	return false;
}

static bool is_first_of_its_kind(const struct tlsa_set *set, size_t r)
{
	for (size_t i = 0; i < r; i++) {
		const struct tlsa *a = &set->entry[i].rr, *b = &set->entry[r].rr;
		if (a->usage == b->usage && a->selector == b->selector && a->mtype == b->mtype)
			return false;
	}
	return true;
}

static void decide_digest(struct decision *d, size_t r)
{
	const struct tlsa_entry *e = &d->out->set->entry[r];
	struct words w = decision_words(d, NULL);
	if (!tlsa_use_is_usable(e->use) || e->rr.mtype != TLSA_SHA512 ||
	    has_other_digest(d->out->set, &e->rr) || !is_first_of_its_kind(d->out->set, r))
		return;
	w.detail = arena_printf(d->list.mem, "%u and selector %u", e->rr.usage, e->rr.selector);
	add(d, SELFCHECK_NO_SHA256, r, &w);
}

static void decide_public_anchor(struct decision *d, size_t r)
{
	for (size_t i = 0; i < d->f->nchain; i++) {
		const struct selfcheck_chain *c = &d->f->chain[i];
		struct words w = decision_words(d, c);
		if (!c->served || !c->public_anchor || !c->match.present ||
		    c->match.record != (int)r)
			continue;
		add(d, SELFCHECK_DANE_TA_PUBLIC_CA, r, &w);
		return;
	}
}

void decide_records(struct decision *d)
{
	for (size_t r = 0; d->out->set != NULL && r < d->out->set->n; r++) {
		decide_record(d, r);
		decide_digest(d, r);
		decide_public_anchor(d, r);
	}
}
