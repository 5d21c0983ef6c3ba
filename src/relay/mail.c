/* SPDX-License-Identifier: MIT */
/* Codecs of the payloads: each put has its get right below, field by field. Knows no process and no
 * socket. */
#include "relay/mail.h"

#include "audit/record.h"
#include "base/cursor.h"
#include "deliver/attempt.h"
#include "wire/destination.h"
#include "wire/origin.h"

static bool whole(const struct cursor *c, const struct arena *mem)
{
	return !c->failed && cursor_left(c) == 0 && !mem->failed;
}

static bool get_bool(struct cursor *c)
{
	uint8_t v = cursor_u8(c);
	if (v > 1)
		c->failed = true;
	return v == 1;
}

/* A count of things that take at least `least` octets each: no allocation that the payload could
 * not fill. */
static size_t get_count(struct cursor *c, size_t most, size_t least)
{
	uint32_t n = cursor_u32(c);
	if (n > most || n > cursor_left(c) / least) {
		c->failed = true;
		return 0;
	}
	return n;
}

static const char *get_some(struct cursor *c, struct arena *mem)
{
	const char *s = get_str(c, mem);
	if (s == NULL)
		c->failed = true;
	return s;
}

/* --- The mail itself --- */

static void mail_put(struct buf *b, const struct mail *m)
{
	put_str(b, m->queue_id);
	put_u64(b, (uint64_t)m->arrived);
	put_str(b, m->reverse_path);
	put_str(b, m->envid);
	put_str(b, m->ret);
	put_str(b, m->origin);
	put_u64(b, m->origin_key);
	put_u64(b, m->size);
	put_u8(b, m->eight_bit);
	put_u8(b, m->smtputf8);
	put_u32(b, (uint32_t)m->nrcpt);
	for (size_t i = 0; i < m->nrcpt; i++) {
		put_u32(b, m->rcpt[i].n);
		put_str(b, m->rcpt[i].address);
		put_str(b, m->rcpt[i].orcpt);
		put_str(b, m->rcpt[i].notify);
	}
	put_bytes(b, m->text);
}

static void mail_get(struct cursor *c, struct arena *mem, struct mail *m)
{
	m->queue_id = get_some(c, mem);
	m->arrived = (int64_t)get_u64(c);
	m->reverse_path = get_some(c, mem);
	m->envid = get_str(c, mem);
	m->ret = get_str(c, mem);
	m->origin = get_some(c, mem);
	m->origin_key = get_u64(c);
	if (!origin_is_valid(m->origin_key))
		c->failed = true;
	m->size = get_u64(c);
	m->eight_bit = get_bool(c);
	m->smtputf8 = get_bool(c);
	m->nrcpt = get_count(c, MAIL_RCPTS_MAX, 16);
	m->rcpt = arena_array(mem, m->nrcpt, sizeof(*m->rcpt));
	if (m->rcpt == NULL)
		m->nrcpt = 0;
	for (size_t i = 0; i < m->nrcpt && !c->failed; i++) {
		m->rcpt[i].n = cursor_u32(c);
		m->rcpt[i].address = get_some(c, mem);
		m->rcpt[i].orcpt = get_str(c, mem);
		m->rcpt[i].notify = get_str(c, mem);
	}
	m->text = get_bytes(c);
}

void submit_put(struct buf *b, const struct submit *s)
{
	put_u64(b, s->token);
	put_u8(b, s->again);
	mail_put(b, &s->mail);
}

bool submit_get(struct slice payload, struct arena *mem, struct submit *out)
{
	struct cursor c = cursor_make(payload);
	*out = (struct submit){0};
	out->token = get_u64(&c);
	out->again = get_bool(&c);
	mail_get(&c, mem, &out->mail);
	return whole(&c, mem) && out->mail.nrcpt > 0;
}

void submitted_put(struct buf *b, const struct submitted *s)
{
	put_u64(b, s->token);
	put_u16(b, s->code);
	put_str(b, s->text);
}

bool submitted_get(struct slice payload, struct arena *mem, struct submitted *out)
{
	struct cursor c = cursor_make(payload);
	out->token = get_u64(&c);
	out->code = cursor_u16(&c);
	out->text = get_some(&c, mem);
	return whole(&c, mem) && out->code >= 200 && out->code <= 599;
}

static bool is_override(const struct job *j)
{
	if (j->level == MAIL_LEVEL_NONE)
		return j->pattern == NULL;
	return j->level <= LEVEL_DANE_ONLY && j->pattern != NULL &&
	       destination_is_normal_pattern(slice_str(j->pattern));
}

void job_put(struct buf *b, const struct job *j)
{
	put_u64(b, j->delivery);
	put_u64(b, j->take);
	put_str(b, j->next_hop);
	put_u8(b, j->level);
	put_str(b, j->pattern);
	put_u8(b, j->again);
	mail_put(b, &j->mail);
}

bool job_get(struct slice payload, struct arena *mem, struct job *out)
{
	struct cursor c = cursor_make(payload);
	*out = (struct job){0};
	out->delivery = get_u64(&c);
	out->take = get_u64(&c);
	out->next_hop = get_some(&c, mem);
	out->level = cursor_u8(&c);
	out->pattern = get_str(&c, mem);
	out->again = get_bool(&c);
	mail_get(&c, mem, &out->mail);
	return whole(&c, mem) && out->mail.nrcpt > 0 && is_override(out);
}

/* --- What became of it --- */

static void try_put(struct buf *b, const struct result_try *t)
{
	put_str(b, t->host);
	put_str(b, t->address);
	put_str(b, t->policy);
	put_str(b, t->reason);
	put_str(b, t->code);
	put_str(b, t->detail);
	put_str(b, t->tls);
	put_bytes(b, t->audit);
}

/* A record of another type would be the keeper's word in a courier's mouth. */
static bool is_attempt(struct slice body)
{
	struct audit_record r;
	return audit_decode(body, &r) == AUDIT_OK && r.type == AUDIT_ATTEMPT;
}

static void try_get(struct cursor *c, struct arena *mem, struct result_try *t)
{
	t->host = get_str(c, mem);
	t->address = get_str(c, mem);
	t->policy = get_str(c, mem);
	t->reason = get_str(c, mem);
	t->code = get_str(c, mem);
	t->detail = get_str(c, mem);
	t->tls = get_str(c, mem);
	t->audit = get_bytes(c);
	if (t->audit.n > 0 && (t->audit.n > AUDIT_BODY_MAX || !is_attempt(t->audit)))
		c->failed = true;
}

void result_put(struct buf *b, const struct result *r)
{
	put_u64(b, r->delivery);
	put_u64(b, r->take);
	put_u16(b, r->reason);
	put_u8(b, r->unknown);
	put_u8(b, r->reach);
	put_u8(b, r->unwilling);
	put_u32(b, (uint32_t)r->reply_ms);
	put_u32(b, (uint32_t)r->ntries);
	for (size_t i = 0; i < r->ntries; i++)
		try_put(b, &r->tries[i]);
	put_u32(b, (uint32_t)r->nrcpt);
	for (size_t i = 0; i < r->nrcpt; i++) {
		const struct result_rcpt *x = &r->rcpt[i];
		put_u32(b, x->n);
		put_u8(b, x->status);
		put_u16(b, x->reason);
		put_str(b, x->code);
		put_str(b, x->reply);
		put_str(b, x->host);
		put_u8(b, x->dsn_passed);
	}
}

static void rcpt_get(struct cursor *c, struct arena *mem, struct result_rcpt *x)
{
	x->n = cursor_u32(c);
	x->status = cursor_u8(c);
	x->reason = cursor_u16(c);
	x->code = get_some(c, mem);
	x->reply = get_str(c, mem);
	x->host = get_str(c, mem);
	x->dsn_passed = get_bool(c);
	if (x->status < ATTEMPT_SENT || x->status > ATTEMPT_FAILED || x->reason >= REASON_COUNT)
		c->failed = true;
}

bool result_get(struct slice payload, struct arena *mem, struct result *out)
{
	struct cursor c = cursor_make(payload);
	*out = (struct result){0};
	out->delivery = get_u64(&c);
	out->take = get_u64(&c);
	out->reason = cursor_u16(&c);
	out->unknown = get_bool(&c);
	out->reach = cursor_u8(&c);
	out->unwilling = get_bool(&c);
	out->reply_ms = (int32_t)cursor_u32(&c);
	out->ntries = get_count(&c, MAIL_TRIES_MAX, 32);
	out->tries = arena_array(mem, out->ntries, sizeof(*out->tries));
	for (size_t i = 0; out->tries != NULL && i < out->ntries; i++)
		try_get(&c, mem, &out->tries[i]);
	out->nrcpt = get_count(&c, MAIL_RCPTS_MAX, 20);
	out->rcpt = arena_array(mem, out->nrcpt, sizeof(*out->rcpt));
	for (size_t i = 0; out->rcpt != NULL && i < out->nrcpt; i++)
		rcpt_get(&c, mem, &out->rcpt[i]);
	return whole(&c, mem) && out->reason < REASON_COUNT && out->reach <= SMTPC_REACHED_VERDICT;
}

/* --- DNS --- */

void question_put(struct buf *b, const struct question *q)
{
	put_u64(b, q->id);
	put_u16(b, q->type);
	put_str(b, q->name);
}

bool question_get(struct slice payload, struct arena *mem, struct question *out)
{
	struct cursor c = cursor_make(payload);
	out->id = get_u64(&c);
	out->type = cursor_u16(&c);
	out->name = get_some(&c, mem);
	return whole(&c, mem);
}

void answered_put(struct buf *b, const struct answered *a)
{
	put_u64(b, a->id);
	put_u8(b, a->security);
	put_u16(b, a->rcode);
	put_str(b, a->why);
	put_bytes(b, a->packet);
}

bool answered_get(struct slice payload, struct arena *mem, struct answered *out)
{
	struct cursor c = cursor_make(payload);
	out->id = get_u64(&c);
	out->security = cursor_u8(&c);
	out->rcode = cursor_u16(&c);
	out->why = get_str(&c, mem);
	out->packet = get_bytes(&c);
	return whole(&c, mem) && out->security <= ANSWER_BOGUS;
}
