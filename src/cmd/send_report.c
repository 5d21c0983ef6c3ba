/* SPDX-License-Identifier: MIT */
/* Results of `danelaw send`. The contract of the JSON lines is in danelaw-send(1). */
#include "cmd/send_report.h"

#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/explain.h"

#include <string.h>
#include <sysexits.h>

enum { TEXT_MAX = 10240 };

void send_result_take(struct send_result *r, struct attempt *a, size_t index)
{
	r->known = true;
	r->index = index;
	r->status = attempt_rcpt(a, index)->status;
}

static const struct attempt_try *deciding_try(struct attempt *a, const struct attempt_rcpt *r)
{
	return r->decided_by >= 0 ? attempt_try(a, (size_t)r->decided_by) : NULL;
}

/* One sentence: what happened, with the record, host, address or certificate concerned. */
static void explain(struct attempt *a, const struct attempt_rcpt *r, struct buf *out)
{
	const struct attempt_try *t = deciding_try(a, r);
	const struct mx_verdict *mx = plan_mx(attempt_plan(a));
	if (r->status == ATTEMPT_SENT && t != NULL) {
		if (t->tls != NULL && t->tls->authenticated && t->policy == HOST_PKIX)
			buf_addf(out, "certificate for %s from a CA of this system",
				 t->tls->match.name);
		else if (t->tls != NULL && t->tls->authenticated)
			match_to_text(&t->tls->match, out);
		else
			buf_add_str(out,
				    t->tls != NULL ? "TLS, not authenticated" : "in clear text");
		if (mx != NULL && !mx->secure && t->tls != NULL && t->tls->authenticated)
			buf_add_str(out, "; the MX records are not signed: the host is proven, "
					 "that it serves the domain is not");
		return;
	}
	buf_add_str(out, reason_sentence(r->reason));
	if (r->reply[0] != '\0')
		buf_addf(out, ": %s", r->reply);
	else if (t != NULL && t->detail[0] != '\0')
		buf_addf(out, ": %s", t->detail);
	else if (t == NULL && mx != NULL && mx->detail != NULL)
		buf_addf(out, ": %s", mx->detail);
}

static bool print_json(const struct send_result *r, struct attempt *a)
{
	const struct attempt_rcpt *x = attempt_rcpt(a, r->index);
	const struct attempt_try *t = deciding_try(a, x);
	struct buf text;
	buf_init(&text, TEXT_MAX);
	explain(a, x, &text);
	struct json *j = json_object();
	json_set_str(j, "rcpt", r->rcpt);
	json_set_str(j, "status", attempt_status_name(x->status));
	json_set_str(j, "code", x->code);
	json_set_str(j, "reason", reason_name(x->reason));
	json_set_str(j, "explain", buf_cstr(&text));
	json_set_str(j, "cure", explain_cure(x->reason));
	json_set_str(j, "host", t != NULL ? t->host : NULL);
	json_set_str(j, "address", t != NULL ? t->address : NULL);
	json_set_str(j, "policy", t != NULL ? host_policy_name(t->policy) : NULL);
	tls_json_set(j, t != NULL ? t->tls : NULL);
	const char *reply = x->reply[0] != '\0' ? x->reply : t != NULL ? t->reply : "";
	json_set_str(j, "reply", reply[0] != '\0' ? reply : NULL);
	struct json *tries = json_set(j, "tries", json_array());
	for (size_t i = 0; i < attempt_ntries(a); i++) {
		const struct attempt_try *y = attempt_try(a, i);
		struct json *one = json_append(tries, json_object());
		json_set_str(one, "host", y->host);
		json_set_str(one, "address", y->address);
		json_set_str(one, "policy", host_policy_name(y->policy));
		json_set_str(one, "reason", reason_name(y->reason));
		json_set_str(one, "detail", y->detail[0] != '\0' ? y->detail : NULL);
	}
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	buf_free(&text);
	return ok;
}

static void print_text(const struct send_result *r, struct attempt *a)
{
	const struct attempt_rcpt *x = attempt_rcpt(a, r->index);
	const struct attempt_try *t = deciding_try(a, x);
	struct style st = style_of(stdout);
	enum tone tone = x->status == ATTEMPT_SENT       ? TONE_GOOD
			 : x->status == ATTEMPT_DEFERRED ? TONE_WARN
							 : TONE_BAD;
	struct buf text;
	buf_init(&text, TEXT_MAX);
	explain(a, x, &text);
	say(stdout, "%s  %s%s%s  %s %s", r->rcpt, tone_on(&st, tone),
	    attempt_status_name(x->status), tone_off(&st), x->code, reason_name(x->reason));
	if (t != NULL && t->address != NULL)
		say(stdout, "  %s [%s]", t->host, t->address);
	else if (t != NULL)
		say(stdout, "  %s", t->host);
	if (t != NULL && t->tls != NULL && t->tls->version[0] != '\0')
		say(stdout, "  %s", t->tls->version);
	say(stdout, "\n  %s\n", buf_cstr(&text));
	if (x->reason != REASON_OK && reason_cure(x->reason)[0] != '\0')
		say(stdout, "  what to change: %s\n", reason_cure(x->reason));
	buf_free(&text);
}

static bool print_one(const struct send_result *r, bool json, struct attempt *a)
{
	if (json)
		return print_json(r, a);
	print_text(r, a);
	return true;
}

bool send_result_print(struct send_result *results, size_t i, size_t n, bool json,
		       struct attempt *a)
{
	bool ok = print_one(&results[i], json, a);
	for (size_t k = i + 1; k < n; k++) {
		if (results[k].same_as == (int)i) {
			send_result_take(&results[k], a, results[i].index);
			ok = print_one(&results[k], json, a) && ok;
		}
	}
	return fflush(stdout) == 0 && ok;
}

int send_results_exit(const struct send_result *r, size_t n)
{
	int code = EX_OK;
	for (size_t i = 0; i < n; i++) {
		if (!r[i].known)
			return EX_TEMPFAIL;
		if (r[i].status == ATTEMPT_FAILED)
			code = EX_UNAVAILABLE; /* says more than "try again" */
		else if (r[i].status != ATTEMPT_SENT && code == EX_OK)
			code = EX_TEMPFAIL;
	}
	return code;
}
