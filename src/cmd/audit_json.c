/* SPDX-License-Identifier: MIT */
/* A record as JSON: the contract of danelaw-audit(1). */
#include "cmd/audit.h"

#include "base/arena.h"
#include "dane/tlsaset.h"

#include <string.h>

void audit_time_text(int64_t ms, char out[static AUDIT_TIME_MAX])
{
	char seconds[TIME_TEXT_MAX];
	int64_t rest = ((ms % 1000) + 1000) % 1000;
	time_to_text(ms / 1000 - (ms % 1000 < 0), seconds); /* down, also before 1970 */
	snprintf(out, AUDIT_TIME_MAX, "%.19s.%03dZ", seconds, (int)rest);
}

const char *audit_hex(const uint8_t d[static AUDIT_DIGEST], char out[static AUDIT_HEX_MAX])
{
	hex_encode(slice_make(d, AUDIT_DIGEST), out);
	return out;
}

bool audit_is_zero(const uint8_t d[static AUDIT_DIGEST])
{
	static const uint8_t zero[AUDIT_DIGEST];
	return memcmp(d, zero, AUDIT_DIGEST) == 0;
}

static void set_time(struct json *j, const char *key, int64_t ms)
{
	char text[AUDIT_TIME_MAX];
	audit_time_text(ms, text);
	json_set_str(j, key, text);
}

static void set_digest(struct json *j, const char *key, const uint8_t *d)
{
	char hex[AUDIT_HEX_MAX];
	if (audit_is_zero(d))
		json_set_null(j, key);
	else
		json_set_str(j, key, audit_hex(d, hex));
}

/* What is not known is null. */
static void set_text(struct json *j, const char *key, struct slice s)
{
	char text[AUDIT_TEXT_MAX + 1];
	snprintf(text, sizeof(text), "%.*s", (int)s.n, s.n > 0 ? (const char *)s.p : "");
	json_set_str(j, key, s.n > 0 ? text : NULL);
}

static struct json *record_json(const struct audit_tlsa *t)
{
	char hex[2 * AUDIT_TLSA_DATA + 1];
	struct json *j = json_object();
	hex_encode(t->data, hex);
	json_set_int(j, "usage", t->usage);
	json_set_int(j, "selector", t->selector);
	json_set_int(j, "mtype", t->mtype);
	json_set_str(j, "data", hex);
	json_set_bool(j, "data_is_sha256", t->hashed);
	json_set_bool(j, "usable", tlsa_use_is_usable((enum tlsa_use)t->use));
	json_set_str(j, "why", tlsa_use_text((enum tlsa_use)t->use));
	return j;
}

static void set_records(struct json *j, const struct audit_tlsa_set *s)
{
	json_set_int(j, "tlsa_total", s->total);
	struct json *list = json_set(j, "tlsa", json_array());
	for (size_t i = 0; i < s->n; i++)
		json_append(list, record_json(&s->entry[i]));
}

static void set_match(struct json *j, const struct audit_match *m)
{
	if (!m->present) {
		json_set_null(j, "matched");
		return;
	}
	struct json *x = json_set(j, "matched", json_object());
	json_set_int(x, "usage", m->usage);
	json_set_int(x, "selector", m->selector);
	json_set_int(x, "mtype", m->mtype);
	json_set_int(x, "record", m->record == UINT8_MAX ? -1 : m->record);
	json_set_int(x, "depth", m->depth == UINT8_MAX ? -1 : m->depth);
	set_text(x, "name", m->name);
}

static void set_tls(struct json *j, const struct audit_attempt *a)
{
	char type[AUDIT_KEY_TYPE_MAX];
	if (a->version.n == 0 && a->chain.n == 0) {
		json_set_null(j, "tls");
		return;
	}
	struct json *t = json_set(j, "tls", json_object());
	set_text(t, "version", a->version);
	set_text(t, "cipher", a->cipher);
	set_text(t, "group", a->group);
	json_set_bool(t, "resumed", a->resumed);
	json_set_bool(t, "accepted", a->accepted);
	set_match(t, &a->match);
	audit_key_type(a->key, type);
	set_text(t, "key", a->key);
	json_set_str(t, "key_type", type[0] != '\0' ? type : NULL);
	json_set_int(t, "chain_total", a->chain.total);
	struct json *list = json_set(t, "chain", json_array());
	for (size_t i = 0; i < a->chain.n; i++) {
		struct json *c = json_append(list, json_object());
		set_digest(c, "sha256", a->chain.cert[i].sha256);
		set_digest(c, "spki_sha256", a->chain.cert[i].spki_sha256);
	}
}

static void set_attempt(struct json *j, const struct audit_attempt *a)
{
	set_text(j, "queue_id", a->queue_id);
	json_set_int(j, "delivery", (int64_t)a->delivery);
	json_set_int(j, "index", a->index);
	json_set_int(j, "count", a->count);
	set_text(j, "outcome", a->outcome);
	set_text(j, "next_hop", a->next_hop);
	json_set_bool(j, "mx_secure", a->mx_secure);
	set_text(j, "host", a->host);
	set_text(j, "address", a->address);
	json_set_int(j, "port", a->port);
	set_text(j, "policy", a->policy);
	set_text(j, "base", a->base.n > 0 ? a->base : a->host);
	set_records(j, &a->tlsa);
	set_tls(j, a);
	json_set_bool(j, "reused", a->reused);
	json_set_bool(j, "clear_fallback", a->clear_fallback);
	json_set_str(j, "continuity", continuity_name(a->continuity));
	json_set_str(j, "authority", audit_authority_name(a->authority));
	set_digest(j, "previous_key", a->previous);
	set_digest(j, "evidence", a->evidence);
	set_text(j, "reason", a->reason);
	set_text(j, "code", a->code);
	set_text(j, "detail", a->detail);
}

static void set_override(struct json *j, const struct audit_override *o)
{
	json_set_bool(j, "set", o->set);
	set_text(j, "pattern", o->pattern);
	set_text(j, "policy", o->policy);
	if (o->set)
		set_time(j, "expires", o->expires);
	else
		json_set_null(j, "expires");
}

static void set_selfcheck(struct json *j, const struct audit_selfcheck *s)
{
	json_set_bool(j, "appeared", s->appeared);
	set_text(j, "name", s->name);
	set_text(j, "finding", s->finding);
	set_text(j, "detail", s->detail);
}

static void set_checkpoint(struct json *j, const struct audit_checkpoint *c)
{
	char hex[AUDIT_HEX_MAX];
	json_set_int(j, "upto", (int64_t)c->upto);
	json_set_str(j, "upto_hash", audit_hex(c->hash, hex));
	set_time(j, "before", c->before);
}

static void set_carried(struct json *j, const struct audit_carried *c)
{
	set_text(j, "host", c->host);
	json_set_int(j, "port", c->port);
	set_text(j, "key_type", c->key_type);
	set_digest(j, "cert_sha256", c->cert);
	set_digest(j, "spki_sha256", c->key);
	json_set_str(j, "authority", audit_authority_name(c->authority));
	json_set_str(j, "continuity", continuity_name(c->continuity));
	set_time(j, "first", c->first);
	set_time(j, "last", c->last);
}

static void set_body(struct json *j, const struct audit_record *r)
{
	switch (r->type) {
	case AUDIT_ATTEMPT:
		set_attempt(j, &r->attempt);
		break;
	case AUDIT_OVERRIDE:
		set_override(j, &r->override);
		break;
	case AUDIT_SELFCHECK:
		set_selfcheck(j, &r->selfcheck);
		break;
	case AUDIT_CHECKPOINT:
		set_checkpoint(j, &r->checkpoint);
		break;
	case AUDIT_CARRIED:
		set_carried(j, &r->carried);
		break;
	case AUDIT_FORGOTTEN:
		set_time(j, "before", r->forgotten.before);
		break;
	}
}

struct json *audit_json(const struct audit_entry *e)
{
	struct json *j = json_object();
	json_set_int(j, "n", (int64_t)e->link.n);
	set_time(j, "time", e->link.time);
	set_digest(j, "hash", e->link.hash);
	json_set_str(j, "type", e->error == AUDIT_OK ? audit_type_name(e->record.type) : NULL);
	if (e->error == AUDIT_OK)
		set_body(j, &e->record);
	else
		json_set_str(j, "error", audit_strerror(e->error));
	return j;
}
