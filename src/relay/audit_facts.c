/* SPDX-License-Identifier: MIT */
/* From the machine's facts to a record. Knows both forms; refuses to judge. */
#include "relay/audit_facts.h"

#include "digest/digest.h"

#include <string.h>

enum { TEXTS = 16 };

/* Scratch of one record: texts that had to be changed, and digests of long records. */
struct scratch {
	char text[TEXTS][AUDIT_TEXT_MAX + 1];
	size_t used;
	uint8_t digest[AUDIT_TLSA_MAX][AUDIT_DIGEST];
};

static struct slice text(struct scratch *s, const char *from)
{
	char *room = s->text[s->used];
	struct slice out = audit_text(from, room);
	if (out.p == (const uint8_t *)room && s->used + 1 < TEXTS)
		s->used++;
	return out;
}

static void hex(const char *from, uint8_t out[static AUDIT_DIGEST])
{
	size_t n = 0;
	if (from == NULL || !hex_decode(slice_str(from), out, AUDIT_DIGEST, &n) ||
	    n != AUDIT_DIGEST)
		memset(out, 0, AUDIT_DIGEST);
}

static void fill_set(struct scratch *s, const struct tlsa_set *set, struct audit_tlsa_set *out)
{
	out->total = set->n < UINT16_MAX ? (uint16_t)set->n : UINT16_MAX;
	out->n = set->n < AUDIT_TLSA_MAX ? (uint8_t)set->n : AUDIT_TLSA_MAX;
	for (size_t i = 0; i < out->n; i++) {
		const struct tlsa_entry *e = &set->entry[i];
		struct audit_tlsa *t = &out->entry[i];
		*t = (struct audit_tlsa){.usage = e->rr.usage,
					 .selector = e->rr.selector,
					 .mtype = e->rr.mtype,
					 .use = (uint8_t)e->use,
					 .data = e->rr.data};
		if (e->rr.data.n > AUDIT_TLSA_DATA) {
			digest_sha256(&e->rr.data, 1, s->digest[i]);
			t->hashed = true;
			t->data = slice_make(s->digest[i], AUDIT_DIGEST);
		}
	}
}

static void fill_match(struct scratch *s, const struct tls_match *m, struct audit_match *out)
{
	*out = (struct audit_match){.present = m->present};
	if (!m->present)
		return;
	out->usage = m->usage;
	out->selector = m->selector;
	out->mtype = m->mtype;
	out->record = m->record >= 0 && m->record < AUDIT_TLSA_MAX ? (uint8_t)m->record : UINT8_MAX;
	out->depth = m->depth >= 0 && m->depth < UINT8_MAX ? (uint8_t)m->depth : UINT8_MAX;
	out->name = text(s, m->name);
}

static void fill_tls(struct scratch *s, const struct tls_facts *t, struct audit_attempt *out)
{
	out->version = text(s, t->version);
	out->cipher = text(s, t->cipher);
	out->group = text(s, t->group);
	out->resumed = t->resumed;
	out->accepted = t->reason == REASON_OK;
	fill_match(s, &t->match, &out->match);
	out->chain.total = t->nchain < UINT16_MAX ? (uint16_t)t->nchain : UINT16_MAX;
	out->chain.n = t->nchain < AUDIT_CHAIN_MAX ? (uint8_t)t->nchain : AUDIT_CHAIN_MAX;
	for (size_t i = 0; i < out->chain.n; i++) {
		hex(t->chain[i].sha256, out->chain.cert[i].sha256);
		hex(t->chain[i].spki_sha256, out->chain.cert[i].spki_sha256);
	}
	if (t->nchain > 0)
		out->key = text(s, t->chain[0].key);
}

static void fill_context(struct scratch *s, const struct audit_context *c, size_t i,
			 struct audit_attempt *out)
{
	*out = (struct audit_attempt){.queue_id = text(s, c->queue_id),
				      .delivery = c->delivery,
				      .index = (uint16_t)i,
				      .count = (uint16_t)(c->count > 0 ? c->count : 1),
				      .outcome = slice_str(reason_name(c->outcome)),
				      .next_hop = text(s, c->next_hop)};
}

static void fill_host(struct scratch *s, const struct attempt_try *t, struct audit_attempt *out)
{
	const struct plan_host *h = t->planned;
	enum host_query q = h->verdict.tlsa;
	out->mx_secure = h->facts.mx_secure;
	out->host = text(s, t->host);
	out->address = text(s, t->address);
	bool socket = t->address != NULL && t->address[0] == '/'; /* a path has no port */
	out->port = socket ? 0 : t->port;
	out->policy = slice_str(host_policy_name(t->policy));
	if (h->verdict.base != NULL && strcmp(h->verdict.base, t->host) != 0)
		out->base = text(s, h->verdict.base);
	if (q < HOST_Q_COUNT && h->facts.tlsa[q] != NULL)
		fill_set(s, h->facts.tlsa[q], &out->tlsa);
}

static void fill_end(struct scratch *s, enum reason r, const char *detail,
		     struct audit_attempt *out)
{
	out->reason = slice_str(reason_name(r));
	out->code = slice_str(reason_code(r));
	out->detail = text(s, detail);
}

bool audit_facts_put(const struct audit_context *c, struct attempt *a, size_t i, struct buf *out)
{
	const struct attempt_try *t = attempt_try(a, i);
	struct scratch s;
	struct audit_record r = {.type = AUDIT_ATTEMPT};
	s.used = 0;
	fill_context(&s, c, i, &r.attempt);
	fill_host(&s, t, &r.attempt);
	if (c->evidence != NULL)
		memcpy(r.attempt.evidence, c->evidence, AUDIT_DIGEST);
	if (t->tls != NULL)
		fill_tls(&s, t->tls, &r.attempt);
	r.attempt.reused = t->reused;
	r.attempt.clear_fallback = t->clear_fallback;
	fill_end(&s, t->reason, t->detail, &r.attempt);
	return audit_encode(&r, out);
}

bool audit_facts_put_none(const struct audit_context *c, struct buf *out)
{
	struct scratch s;
	struct audit_record r = {.type = AUDIT_ATTEMPT};
	s.used = 0;
	fill_context(&s, c, 0, &r.attempt);
	fill_end(&s, c->outcome, c->detail, &r.attempt);
	return audit_encode(&r, out);
}
