/* SPDX-License-Identifier: MIT */
/* The MX records of a domain whose mail should come here (RFC 5321 s5.1, RFC 7672 s2.2.1). Knows
 * answers; refuses to know certificates. */
#include "selfcheck/room.h"

#include "base/buf.h"

#include <string.h>

enum { NAMES_SHOWN = 1024 };

static const struct place nowhere = {-1, -1};

static const char *our_name(const struct selfcheck_domain_facts *f, const char *name)
{
	for (size_t i = 0; i < f->nours; i++) {
		if (strcmp(f->ours[i], name) == 0)
			return f->ours[i];
	}
	return NULL;
}

static const char *exchanges_text(struct arena *mem, const struct answer *mx)
{
	struct buf b;
	buf_init(&b, NAMES_SHOWN);
	for (size_t i = 0; i < mx->nrr; i++) {
		const char *name = mx->rr[i].u.mx.exchange;
		if (buf_room(&b) > strlen(name) + 2)
			buf_addf(&b, "%s%s", i > 0 ? ", " : "", name);
	}
	const char *text = arena_str(mem, buf_slice(&b));
	buf_free(&b);
	return text;
}

/* RFC 5321 s5.1: an exchange must not be an alias: its own name is what senders know it by. */
static bool add_aliases(struct list *l, const struct selfcheck_domain_facts *f, struct words w)
{
	bool ours = false;
	for (size_t i = 0; i < f->nexchange; i++) {
		const struct selfcheck_exchange *x = &f->exchange[i];
		if (our_name(f, x->name) != NULL) {
			ours = true;
		} else if (x->a != NULL && x->a->naliases > 0 &&
			   our_name(f, x->a->canonical) != NULL) {
			ours = true;
			w.other = x->name;
			w.host = our_name(f, x->a->canonical);
			list_add(l, SELFCHECK_MX_ALIAS, false, nowhere, &w);
		}
	}
	return ours;
}

static void decide_hosts(struct list *l, const struct selfcheck_domain_facts *f, struct words w)
{
	w.detail = exchanges_text(l->mem, f->mx);
	if (!add_aliases(l, f, w))
		list_add(l, SELFCHECK_MX_NOT_OURS, false, nowhere, &w);
	/* Whoever has MX records elsewhere, and TLSA records at the domain itself, mixed them up.
	 */
	w.other = f->tlsa != NULL ? f->tlsa->name : NULL;
	if (f->tlsa != NULL && f->tlsa->nrr > 0 && our_name(f, f->domain) == NULL)
		list_add(l, SELFCHECK_WRONG_NAME, false, nowhere, &w);
	if (f->mx->status == DNS_INSECURE)
		list_add(l, SELFCHECK_MX_INSECURE, false, nowhere, &w);
	list_add_signature(l, f->mx, f->now, f->signature_s);
}

bool selfcheck_domain_decide(struct arena *mem, const struct selfcheck_domain_facts *f,
			     struct selfcheck_verdict *out)
{
	struct list l;
	struct words w = {.domain = f->domain,
			  .host = f->nours > 0 ? f->ours[0] : NULL,
			  .port = f->port,
			  .now = f->now};
	*out = (struct selfcheck_verdict){.tlsa = NULL};
	list_init(&l, mem, f->domain, 0);
	switch (f->mx->status) {
	case DNS_FAILED:
		list_add_failure(&l, f->mx, f->now);
		break;
	case DNS_ABSENT: /* the domain is its own host */
		w.detail = "nothing";
		if (our_name(f, f->domain) == NULL)
			list_add(&l, SELFCHECK_MX_NOT_OURS, false, nowhere, &w);
		else if (!f->mx->absence_secure)
			list_add(&l, SELFCHECK_MX_INSECURE, false, nowhere, &w);
		break;
	case DNS_SECURE:
	case DNS_INSECURE:
		decide_hosts(&l, f, w);
		break;
	}
	list_sort(&l);
	out->finding = l.finding;
	out->nfinding = l.n;
	return !l.failed && !mem->failed;
}
