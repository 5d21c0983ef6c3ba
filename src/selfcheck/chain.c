/* SPDX-License-Identifier: MIT */
/*
 * One chain: does it keep what the records promise, and what else would a strict sender say? Knows
 * the verdict of the offline verifier; refuses to verify.
 */
#include "selfcheck/room.h"

#include <string.h>

static struct place at_chain(size_t i)
{
	return (struct place){(int)i, -1};
}

static void add(struct decision *d, size_t i, enum selfcheck_kind k, bool mild,
		const struct words *w)
{
	list_add(&d->list, k, mild, at_chain(i), w);
}

/* "the certificate of CN=x", so that people find it in a bundle. */
static const char *cert_text(struct decision *d, const struct selfcheck_chain *c, size_t at)
{
	const char *subject = c->cert[at].subject;
	if (subject[0] == '\0')
		subject = c->cert[at].names;
	return arena_printf(d->list.mem,
			    at == 0 ? "the certificate of %s" : "the CA certificate %s", subject);
}

/* --- No record matches --- */

/* A record of usage 2 that counts and matches nothing of this chain; -1: none. */
static int unserved_anchor(const struct decision *d, const struct selfcheck_chain *c)
{
	const struct tlsa_set *set = d->out->set;
	for (size_t r = 0; r < set->n; r++) {
		const struct tlsa_entry *e = &set->entry[r];
		if (e->use == TLSA_COUNTS && e->rr.usage == TLSA_DANE_TA && !c->fit[r].matches)
			return (int)r;
	}
	return -1;
}

/* Another chain or file that has the CA certificate of this record; NULL: none. */
static const struct selfcheck_chain *who_has(const struct decision *d,
					     const struct selfcheck_chain *without, int record)
{
	for (size_t i = 0; i < d->f->nchain; i++) {
		const struct selfcheck_chain *c = &d->f->chain[i];
		if (c != without && c->fit != NULL && c->fit[record].matches &&
		    c->fit[record].depth > 0 && c->file != NULL)
			return c;
	}
	return NULL;
}

static void add_missing_anchor(struct decision *d, size_t i, int record)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	const struct selfcheck_chain *other = who_has(d, c, record);
	struct words w = decision_words(d, c);
	w.record = words_record(d->list.mem, &d->out->set->entry[record].rr);
	w.detail = c->cert[c->ncert - 1].issuer;
	w.other = other != NULL ? other->file : NULL;
	list_add(&d->list, other != NULL ? SELFCHECK_TA_NOT_SERVED : SELFCHECK_TA_NOT_INSTALLED,
		 false, (struct place){(int)i, record}, &w);
}

/*
 * RFC 7671 s5.2.2. A chain that ends with a certificate that did not sign itself may lack just the
 * CA of a DANE-TA(2) record; one that is complete, or whose records are of usage 3 alone, is
 * another chain than the one that was promised.
 */
static void add_mismatch(struct decision *d, size_t i)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	struct words w = decision_words(d, c);
	int record = unserved_anchor(d, c);
	if (!c->served)
		add(d, i, SELFCHECK_NEXT_MISMATCH, false, &w);
	else if (record >= 0 && (!c->complete || who_has(d, c, record) != NULL))
		add_missing_anchor(d, i, record);
	else
		add(d, i, SELFCHECK_MISMATCH, false, &w);
}

/* --- The verdict of the strict sender --- */

/* A chain that is not served yet is judged like the others; only the urgency differs. */
static void add_refusal(struct decision *d, size_t i)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	struct words w = decision_words(d, c);
	w.detail = c->detail;
	bool said_elsewhere = c->reason == REASON_CERT_EXPIRED ||
			      c->reason == REASON_CERT_NOT_YET_VALID ||
			      c->reason == REASON_CERT_HOST_MISMATCH;
	if (c->reason == REASON_TLSA_INVALID)
		add_mismatch(d, i);
	else if (!said_elsewhere) /* with the dates and names, below */
		add(d, i, SELFCHECK_CHAIN_BROKEN, !c->served, &w);
}

static enum selfcheck_promise judge(const struct selfcheck_chain *c)
{
	if (!c->judged || c->reason == REASON_LOCAL_ERROR)
		return SELFCHECK_UNKNOWN; /* T10: our failure is not a mismatch */
	return c->authenticated ? SELFCHECK_KEPT : SELFCHECK_BROKEN;
}

static void decide_promise(struct decision *d, size_t i)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	struct words w = decision_words(d, c);
	d->out->of[i] = judge(c);
	if (d->out->of[i] == SELFCHECK_BROKEN) {
		add_refusal(d, i);
	} else if (d->out->of[i] == SELFCHECK_UNKNOWN) {
		w.detail = c->detail != NULL && c->detail[0] != '\0' ? c->detail
								     : "the TLS library failed";
		add(d, i, SELFCHECK_CHECK_FAILED, false, &w);
	}
}

/* --- Dates and names --- */

/* RFC 7671 s5.1, s5.2: dates decide from the leaf to the anchor of a DANE-TA(2) record; and where a
 * refusal says so. */
static bool dates_decide(const struct decision *d, size_t i, size_t at)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	if (c->authenticated)
		return c->match.usage == TLSA_DANE_TA &&
		       (c->match.depth < 0 || at <= (size_t)c->match.depth);
	return d->out->of[i] == SELFCHECK_BROKEN && c->served &&
	       (c->reason == REASON_CERT_EXPIRED || c->reason == REASON_CERT_NOT_YET_VALID);
}

/* The first certificate whose dates are wrong, or will be soon; of several the leaf says it. */
static void add_dates(struct decision *d, size_t i)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	int64_t now = d->f->now;
	for (size_t at = 0; at < c->ncert; at++) {
		const struct tls_cert *x = &c->cert[at];
		struct words w = decision_words(d, c);
		enum selfcheck_kind k = SELFCHECK_EXPIRES_SOON;
		w.date = x->not_after;
		if (now > x->not_after) {
			k = SELFCHECK_EXPIRED;
		} else if (now < x->not_before) {
			k = SELFCHECK_NOT_YET_VALID;
			w.date = x->not_before;
		} else if (x->not_after - now > d->f->soon_s) {
			continue;
		}
		w.detail = cert_text(d, c, at);
		add(d, i, k, !dates_decide(d, i, at), &w);
		return;
	}
}

static void add_name(struct decision *d, size_t i, bool decides)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	struct words w = decision_words(d, c);
	if (c->named || c->ncert == 0)
		return;
	w.detail = c->cert[0].names[0] != '\0' ? c->cert[0].names : "no host";
	add(d, i, SELFCHECK_NAME_MISSING, !decides, &w);
}

/* RFC 7671 s5.1: under DANE-EE(3) neither dates nor names count; nor do they where nothing is
 * promised. */
static void decide_by_itself(struct decision *d, size_t i)
{
	const struct selfcheck_chain *c = &d->f->chain[i];
	struct words w = decision_words(d, c);
	bool broken = d->out->of[i] == SELFCHECK_BROKEN && c->served;
	bool by_anchor = c->authenticated && c->match.usage == TLSA_DANE_TA;
	add_dates(d, i);
	add_name(d, i, by_anchor || (broken && c->reason == REASON_CERT_HOST_MISMATCH));
	w.detail = c->key_trouble;
	if (c->key_trouble != NULL)
		add(d, i, SELFCHECK_KEY_MISMATCH, false, &w);
	w.detail = c->weak;
	if (c->weak != NULL)
		add(d, i, SELFCHECK_WEAK_KEY, false, &w);
	if (c->disorder < 0 || (size_t)c->disorder + 1 >= c->ncert)
		return;
	w.detail =
	    arena_printf(d->list.mem, "%s was not issued by the one behind it, %s",
			 cert_text(d, c, (size_t)c->disorder), c->cert[c->disorder + 1].subject);
	add(d, i, SELFCHECK_CHAIN_ORDER, false, &w);
}

void decide_chain(struct decision *d, size_t i)
{
	if (d->usable)
		decide_promise(d, i);
	decide_by_itself(d, i);
}
