/* SPDX-License-Identifier: MIT */
/* TLS and TLSA facts as JSON (the contract of danelaw-check(1)) and as words. */
#include "cmd/cmd.h"

#include "base/buf.h"
#include "dane/terms.h"

#include <stdlib.h>

static struct json *cert_json(const struct tls_cert *c)
{
	char when[TIME_TEXT_MAX];
	struct json *j = json_object();
	json_set_str(j, "subject", c->subject);
	json_set_str(j, "issuer", c->issuer);
	json_set_str(j, "names", c->names);
	json_set_str(j, "key", c->key);
	json_set_str(j, "sha256", c->sha256);
	json_set_str(j, "spki_sha256", c->spki_sha256);
	time_to_text(c->not_before, when);
	json_set_str(j, "not_before", when);
	time_to_text(c->not_after, when);
	json_set_str(j, "not_after", when);
	return j;
}

void match_json_set(struct json *obj, const struct tls_match *m)
{
	if (m == NULL) {
		json_set_null(obj, "matched");
		return;
	}
	struct json *j = json_set(obj, "matched", json_object());
	json_set_int(j, "usage", m->usage);
	json_set_int(j, "selector", m->selector);
	json_set_int(j, "mtype", m->mtype);
	json_set_int(j, "depth", m->depth);
	json_set_str(j, "name", m->name);
}

static struct json *tls_json(const struct tls_facts *f)
{
	struct json *j = json_object();
	json_set_str(j, "version", f->version);
	json_set_str(j, "cipher", f->cipher);
	json_set_str(j, "group", f->group);
	json_set_bool(j, "resumed", f->resumed);
	match_json_set(j, f->match.present ? &f->match : NULL);
	struct json *chain = json_set(j, "chain", json_array());
	for (size_t i = 0; i < f->nchain; i++)
		json_append(chain, cert_json(&f->chain[i]));
	return j;
}

void tls_json_set(struct json *obj, const struct tls_facts *f)
{
	bool spoke = f != NULL && (f->nchain > 0 || (f->version != NULL && f->version[0] != '\0'));
	if (spoke)
		json_set(obj, "tls", tls_json(f));
	else
		json_set_null(obj, "tls");
}

struct json *tlsa_records_json(const struct tlsa_set *s)
{
	struct json *list = json_array();
	for (size_t i = 0; i < s->n; i++) {
		const struct tlsa_entry *e = &s->entry[i];
		struct json *j = json_append(list, json_object());
		struct buf hex;
		buf_init(&hex, 2 * e->rr.data.n + 1);
		buf_add_hex(&hex, e->rr.data);
		json_set_int(j, "usage", e->rr.usage);
		json_set_int(j, "selector", e->rr.selector);
		json_set_int(j, "mtype", e->rr.mtype);
		json_set_str(j, "data", buf_cstr(&hex));
		json_set_bool(j, "usable", tlsa_use_is_usable(e->use));
		json_set_str(j, "why", tlsa_use_text(e->use));
		buf_free(&hex);
	}
	return list;
}

void match_to_text(const struct tls_match *m, struct buf *out)
{
	static const char *const usages[] = {"PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE"};
	buf_addf(out, "TLSA %u %u %u (%s)", m->usage, m->selector, m->mtype,
		 m->usage < 4 ? usages[m->usage] : "?");
	if (m->depth < 0)
		buf_add_str(out, " matches with the key in the record itself");
	else if (m->depth == 0)
		buf_add_str(out, " matches the server's certificate");
	else
		buf_addf(out, " matches certificate %d of the chain", m->depth);
	if (m->name != NULL)
		buf_addf(out, ", which names %s", m->name);
}

void reason_to_text(enum reason r, const char *detail, struct buf *out)
{
	buf_add_str(out, reason_sentence(r));
	if (detail != NULL && detail[0] != '\0')
		buf_addf(out, ": %s", detail);
}
