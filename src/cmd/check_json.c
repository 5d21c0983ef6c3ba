/* SPDX-License-Identifier: MIT */
/* One domain's examination as one JSON document: the contract of danelaw-check(1). */
#include "cmd/cmd.h"

#include "base/buf.h"
#include "cmd/audit_known.h"
#include "cmd/explain.h"

enum { TEXT_MAX = 10240 };

static void set_text(struct json *j, const char *key, struct buf *text)
{
	json_set_str(j, key, buf_cstr(text));
	buf_reset(text);
}

static struct json *mx_json(const struct check *c)
{
	const struct mx_verdict *mx = plan_mx(c->plan);
	const struct answer *a = plan_mx_answer(c->plan);
	struct json *j = json_object();
	json_set_str(j, "status",
		     a != NULL ? dns_status_name(a->status) : dns_status_name(DNS_ABSENT));
	json_set_bool(j, "implicit", mx != NULL && mx->kind == MX_IMPLICIT);
	json_set_bool(j, "secure", mx != NULL && mx->kind != MX_END && mx->secure);
	if (a != NULL && a->naliases > 0)
		json_set_str(j, "alias_of", a->canonical);
	return j;
}

/* Without a TLSA query the status says why there was none: the addresses' zone. */
static struct json *tlsa_json(const struct plan_host *h)
{
	const struct answer *a = host_tlsa_answer(h);
	struct json *j = json_object();
	struct arena mem;
	struct tlsa_set set = {0};
	arena_init(&mem, 1024 * 1024);
	if (a != NULL)
		tlsa_set_build(&mem, a, &set);
	const char *name = h->verdict.tlsa < HOST_Q_COUNT ? h->tlsa_name[h->verdict.tlsa] : NULL;
	json_set_str(j, "name", name);
	bool unsigned_zone =
	    h->verdict.policy == HOST_MAY && !h->facts.no_dane && !h->facts.literal;
	const char *unasked = dns_status_name(unsigned_zone ? DNS_INSECURE : DNS_ABSENT);
	json_set_str(j, "status", a != NULL ? dns_status_name(a->status) : unasked);
	json_set_bool(j, "asked", a != NULL);
	json_set_str(j, "why", a != NULL ? a->why : NULL);
	json_set(j, "records", tlsa_records_json(&set));
	arena_free(&mem);
	return j;
}

static void probe_into(struct json *j, const struct plan_host *h, const struct check_probe *p)
{
	struct buf text;
	char code[CODE_TEXT_MAX];
	buf_init(&text, TEXT_MAX);
	enum reason r = p->result == RESULT_FAILED ? p->outcome.reason : REASON_OK;
	json_set_str(j, "result", address_result_name(p->result));
	trouble_code(r, p->outcome.enhanced, false, code);
	json_set_str(j, "code", r == REASON_OK ? reason_code(r) : code);
	json_set_str(j, "reason", reason_name(r));
	explain_probe(h, p, &text);
	set_text(j, "explain", &text);
	json_set_str(j, "cure", explain_cure(r));
	json_set_str(j, "reply", p->outcome.reply[0] != '\0' ? p->outcome.reply : NULL);
	tls_json_set(j, p->outcome.tls);
	buf_free(&text);
}

static void kinds_into(struct json *j, const struct plan_host *h, const struct check_address *a)
{
	static const char *const names[] = {
	    [TLS_CERT_ANY] = "any", [TLS_CERT_RSA] = "rsa", [TLS_CERT_ECDSA] = "ecdsa"};
	struct json *list = json_set(j, "certs", json_array());
	for (int k = TLS_CERT_RSA; k < CHECK_KINDS; k++) {
		const struct check_probe *p = &a->probe[k];
		if (!p->done)
			continue;
		struct json *one = json_append(list, json_object());
		json_set_str(one, "kind", names[k]);
		json_set_bool(one, "served", !p->not_served);
		if (!p->not_served)
			probe_into(one, h, p);
	}
}

static struct json *address_json(const struct check *c, struct store_audit *known,
				 const struct plan_host *h, const struct check_address *a)
{
	char text[IPADDR_TEXT_MAX];
	struct json *j = json_object();
	ipaddr_to_text(&a->address, text);
	json_set_str(j, "address", text);
	json_set_int(j, "port", c->port);
	probe_into(j, h, &a->probe[TLS_CERT_ANY]);
	json_set_str(j, "continuity",
		     audit_continuity_of(known, h, c->port, a->probe[TLS_CERT_ANY].outcome.tls));
	if (c->request.all_certs)
		kinds_into(j, h, a);
	return j;
}

static struct json *host_json(const struct check *c, struct store_audit *known,
			      const struct check_host *h)
{
	const struct plan_host *p = h->plan;
	struct buf text;
	struct json *j = json_object();
	buf_init(&text, TEXT_MAX);
	json_set_str(j, "name", p->name);
	json_set_int(j, "preference", p->preference);
	json_set_str(j, "policy", host_policy_name(p->verdict.policy));
	json_set_str(j, "code", reason_code(p->verdict.reason));
	json_set_str(j, "reason", reason_name(p->verdict.reason));
	if (p->verdict.policy == HOST_SKIP) {
		explain_skip(p, &text);
		set_text(j, "explain", &text);
		json_set_str(j, "cure", explain_cure(p->verdict.reason));
	} else {
		json_set_null(j, "explain");
		json_set_null(j, "cure");
	}
	json_set_str(j, "base", p->verdict.base);
	struct json *names = json_set(j, "reference_names", json_array());
	for (size_t i = 0; i < p->terms.nreference_names; i++)
		json_append_str(names, p->terms.reference_names[i]);
	json_set_str(j, "address_status", host_address_status(p));
	json_set(j, "tlsa", tlsa_json(p));
	struct json *addresses = json_set(j, "addresses", json_array());
	for (size_t i = 0; i < h->naddress; i++)
		json_append(addresses, address_json(c, known, p, &h->address[i]));
	buf_free(&text);
	return j;
}

bool check_print_json(const struct check *c, struct store_audit *known, FILE *f)
{
	struct buf text;
	char code[CODE_TEXT_MAX];
	struct json *j = json_object();
	buf_init(&text, TEXT_MAX);
	json_set_int(j, "version", 1);
	json_set_str(j, "domain", c->request.domain);
	json_set_str(j, "verdict", domain_state_name(c->verdict.state));
	explain_code(c, code);
	json_set_str(j, "code", code);
	json_set_str(j, "reason", reason_name(c->verdict.reason));
	explain_domain(c, &text);
	set_text(j, "explain", &text);
	json_set_str(j, "cure", explain_cure(c->verdict.reason));
	json_set_str(j, "next_hop", c->request.next_hop);
	if (c->route != NULL)
		json_set_str(j, "route", c->route);
	if (c->unsafe_dns)
		json_set_bool(j, "unsafe", true);
	json_set(j, "mx", mx_json(c));
	struct json *hosts = json_set(j, "hosts", json_array());
	for (size_t i = 0; i < c->nhost; i++)
		json_append(hosts, host_json(c, known, &c->host[i]));
	bool ok = json_write_line(j, f);
	json_free(&j);
	buf_free(&text);
	return ok;
}
