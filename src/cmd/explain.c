/* SPDX-License-Identifier: MIT */
/* From verdicts to sentences. Knows words only: every judgement was made in src/dane and
 * src/deliver. */
#include "cmd/explain.h"

#include "base/buf.h"
#include "cmd/cmd.h"

enum { RECORD_MAX = 8192 };

const struct answer *host_tlsa_answer(const struct plan_host *h)
{
	return h->verdict.tlsa < HOST_Q_COUNT ? h->facts.answer[h->verdict.tlsa] : NULL;
}

/* As the decision saw them: a family that has addresses before one that has none, a secure one
 * before others. */
const char *host_address_status(const struct plan_host *h)
{
	const struct answer *four = h->facts.answer[HOST_Q_A], *six = h->facts.answer[HOST_Q_AAAA];
	if (h->facts.literal)
		return NULL;
	if (four == NULL || six == NULL) {
		const struct answer *one = four != NULL ? four : six;
		return dns_status_name(one != NULL ? one->status : DNS_ABSENT);
	}
	bool six_leads =
	    six->nrr > 0 &&
	    (four->nrr == 0 || (six->status == DNS_SECURE && four->status != DNS_SECURE));
	return dns_status_name(six_leads ? six->status : four->status);
}

const char *explain_cure(enum reason r)
{
	return r != REASON_OK && reason_cure(r)[0] != '\0' ? reason_cure(r) : NULL;
}

void explain_skip(const struct plan_host *h, struct buf *out)
{
	struct buf record;
	buf_init(&record, RECORD_MAX);
	plan_explain_skip(h, &record);
	buf_add_str(out, reason_sentence(h->verdict.reason));
	if (buf_len(&record) > 0)
		buf_addf(out, " (%s)", buf_cstr(&record));
	buf_free(&record);
}

static void explain_success(const struct check_probe *p, struct buf *out)
{
	const struct tls_facts *tls = p->outcome.tls;
	switch (p->result) {
	case RESULT_AUTHENTICATED:
		match_to_text(&tls->match, out);
		return;
	case RESULT_ENCRYPTED:
		buf_add_str(out, "TLS, not authenticated");
		return;
	case RESULT_CLEARTEXT:
		if (p->clear_retry)
			buf_addf(out, "clear text, after a failed TLS handshake: %s",
				 p->outcome.detail);
		else
			buf_add_str(out, "clear text: the host does not offer STARTTLS");
		return;
	case RESULT_FAILED:
	case RESULT_UNTRIED:
		return;
	}
}

void explain_probe(const struct plan_host *h, const struct check_probe *p, struct buf *out)
{
	if (p->result == RESULT_UNTRIED) {
		buf_addf(out, "not tried; policy %s", host_policy_name(h->verdict.policy));
	} else if (p->result != RESULT_FAILED) {
		explain_success(p, out);
	} else {
		reason_to_text(p->outcome.reason, p->outcome.detail, out);
	}
}

/* --- The domain --- */

/* The probe and the host that have the verdict's reason: the place to look at. */
struct culprit {
	const struct plan_host *host;
	const struct check_probe *probe; /* NULL: the host is skipped */
};

static const struct check_probe *failed_probe(const struct check_address *a, enum reason r)
{
	for (int kind = 0; kind < CHECK_KINDS; kind++) {
		const struct check_probe *p = &a->probe[kind];
		if (p->done && !p->not_served && p->result == RESULT_FAILED &&
		    p->outcome.reason == r)
			return p;
	}
	return NULL;
}

static struct culprit find_culprit(const struct check *c)
{
	for (size_t i = 0; i < c->nhost && c->verdict.reason != REASON_OK; i++) {
		const struct check_host *h = &c->host[i];
		if (h->plan->verdict.policy == HOST_SKIP &&
		    h->plan->verdict.reason == c->verdict.reason)
			return (struct culprit){h->plan, NULL};
		for (size_t k = 0; k < h->naddress; k++) {
			const struct check_probe *p =
			    failed_probe(&h->address[k], c->verdict.reason);
			if (p != NULL)
				return (struct culprit){h->plan, p};
		}
	}
	return (struct culprit){0};
}

void explain_code(const struct check *c, char out[static CODE_TEXT_MAX])
{
	struct culprit at = find_culprit(c);
	struct enhanced_code none = {0};
	bool permanent = c->verdict.state == DOMAIN_UNDELIVERABLE;
	trouble_code(c->verdict.reason, at.probe != NULL ? at.probe->outcome.enhanced : none,
		     permanent, out);
}

static void explain_trouble(const struct check *c, struct buf *out)
{
	const struct mx_verdict *mx = plan_mx(c->plan);
	const struct answer *a = plan_mx_answer(c->plan);
	struct culprit at = find_culprit(c);
	if (at.host != NULL)
		buf_addf(out, "%s: ", at.host->name);
	if (at.host != NULL && at.probe == NULL) {
		explain_skip(at.host, out);
		return;
	}
	reason_to_text(c->verdict.reason, at.probe != NULL ? at.probe->outcome.detail : NULL, out);
	if (mx != NULL && mx->kind == MX_END && mx->detail != NULL)
		buf_addf(out, " (%s MX: %s)", a != NULL ? a->name : c->request.next_hop,
			 mx->detail);
}

static size_t count_skipped(const struct check *c)
{
	size_t n = 0;
	for (size_t i = 0; i < c->nhost; i++)
		n += c->host[i].plan->verdict.policy == HOST_SKIP;
	return n;
}

static const char *encrypting(const struct check *c)
{
	if (plan_mx(c->plan)->no_dane)
		return "policy here does not use DANE for this destination: delivery is "
		       "opportunistic";
	for (size_t i = 0; i < c->nhost; i++) {
		if (c->host[i].plan->verdict.policy == HOST_ENCRYPT)
			return "no TLSA record is usable: TLS is required and not authenticated";
	}
	return "no MX host has secure TLSA records: delivery is opportunistic";
}

void explain_domain(const struct check *c, struct buf *out)
{
	const char *done = c->request.connect ? "is" : "would have to be";
	switch (c->verdict.state) {
	case DOMAIN_PROTECTED:
		buf_addf(out, "every MX host that can be reached %s authenticated by DANE", done);
		break;
	case DOMAIN_HALF:
		buf_addf(out,
			 "the hosts %s authenticated by DANE, but the MX records are not signed: "
			 "who the hosts are is unproven",
			 c->request.connect ? "are" : done);
		break;
	case DOMAIN_PARTIAL:
		buf_add_str(out, "some MX hosts have a DANE policy and others have none");
		break;
	case DOMAIN_UNPROTECTED:
		buf_add_str(out, encrypting(c));
		break;
	case DOMAIN_BROKEN:
	case DOMAIN_UNDELIVERABLE:
		explain_trouble(c, out);
		return;
	}
	size_t skipped = count_skipped(c);
	if (skipped > 0)
		buf_addf(out, "; %zu host%s cannot be used", skipped, skipped == 1 ? "" : "s");
}
