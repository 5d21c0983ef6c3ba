/* SPDX-License-Identifier: MIT */
/*
 * From the end of a session to its one reason. Everything here that could be forged on the way to
 * the host is a reason whose fate is not FAIL.
 */
#include "deliver/trouble.h"

#include <stdio.h>
#include <string.h>

static enum reason reason_of_tls(const struct tls_facts *t)
{
	/* T10: TLS says it failed and does not say why, or was not even tried: never "ok". T7: nor
	 * can it say anything that bounces, nor that a text was on its way. */
	if (t == NULL || t->reason == REASON_OK || t->reason == REASON_LOST_AFTER_DATA ||
	    reason_fate(t->reason) == FATE_FAIL)
		return REASON_TLS_FAILED;
	return t->reason;
}

static enum reason reason_of_end(enum smtpc_end end, const struct tls_facts *tls)
{
	switch (end) {
	case SMTPC_DONE:
		return REASON_OK;
	case SMTPC_NO_STARTTLS:
		return REASON_NO_STARTTLS;
	case SMTPC_STARTTLS_REFUSED:
		return REASON_STARTTLS_REFUSED;
	case SMTPC_INJECTION:
		return REASON_STARTTLS_INJECTION;
	case SMTPC_TLS_FAILED:
		return reason_of_tls(tls);
	case SMTPC_UNWILLING:
	case SMTPC_MAIL_DEFERRED:
		return REASON_SMTP_DEFERRED;
	case SMTPC_MAIL_REJECTED:
		return REASON_SMTP_REJECTED;
	case SMTPC_AUTH_REFUSED:
		return REASON_AUTH_REFUSED;
	case SMTPC_AUTH_WAITS:
		return REASON_CREDENTIALS_REFUSED;
	case SMTPC_TOO_BIG:
		return REASON_TOO_BIG;
	case SMTPC_NO_8BITMIME:
		return REASON_NO_8BITMIME;
	case SMTPC_NO_SMTPUTF8:
		return REASON_NO_SMTPUTF8;
	case SMTPC_PROTOCOL:
		return REASON_PROTOCOL_ERROR;
	case SMTPC_CLOSED:
		return REASON_CONNECTION_LOST;
	case SMTPC_TIMEOUT:
		return REASON_TIMEOUT;
	case SMTPC_LOST_AFTER_DATA:
		return REASON_LOST_AFTER_DATA;
	case SMTPC_RUNNING:
	case SMTPC_LOCAL:
		return REASON_LOCAL_ERROR;
	}
	return REASON_LOCAL_ERROR;
}

static void describe(const struct session_facts *f, struct session_outcome *out)
{
	const char *words = "";
	if (f->local_error != NULL)
		words = f->local_error;
	else if (!f->connected)
		words = f->connect_error != NULL ? f->connect_error : "";
	else if (out->tls_failed && f->tls != NULL && f->tls->detail != NULL)
		words = f->tls->detail;
	else
		words = out->reply;
	snprintf(out->detail, sizeof(out->detail), "%s", words);
}

void trouble_judge(const struct session_facts *f, struct session_outcome *out)
{
	*out = (struct session_outcome){.tls = f->tls,
					.reused = f->reused,
					.reply_ms = f->reply_ms,
					.opening_ms = f->opening_ms};
	if (f->local_error != NULL) {
		out->reason = REASON_LOCAL_ERROR;
	} else if (!f->connected) {
		out->reason = REASON_CONNECT_FAILED;
	} else if (f->smtp == NULL) {
		out->reason = REASON_LOCAL_ERROR;
	} else {
		enum smtpc_end end = smtpc_result(f->smtp);
		out->reason = reason_of_end(end, f->tls);
		out->tls_failed = end == SMTPC_TLS_FAILED;
		out->reached = smtpc_reached(f->smtp);
		out->tentative = smtpc_is_tentative(f->smtp);
		out->unwilling = end == SMTPC_UNWILLING;
		out->under_tls = smtpc_under_tls(f->smtp);
		out->offered_starttls = smtpc_offered_starttls(f->smtp);
		out->enhanced = smtpc_enhanced(f->smtp);
		snprintf(out->reply, sizeof(out->reply), "%s", smtpc_reply(f->smtp));
	}
	describe(f, out);
}

/* Is this a reason in which the host's own code says more than ours? */
static bool speaks_for_host(enum reason r)
{
	return r == REASON_SMTP_DEFERRED || r == REASON_CREDENTIALS_REFUSED ||
	       r == REASON_SMTP_REJECTED || r == REASON_AUTH_REFUSED || r == REASON_OK;
}

void trouble_code(enum reason r, struct enhanced_code e, bool permanent,
		  char out[static CODE_TEXT_MAX])
{
	uint8_t class = permanent ? 5 : r == REASON_OK ? 2 : 4;
	if (speaks_for_host(r) && e.class == class)
		snprintf(out, CODE_TEXT_MAX, "%u.%u.%u", e.class, e.subject, e.detail);
	else
		snprintf(out, CODE_TEXT_MAX, "%s", reason_code(r));
}

enum address_result trouble_probe_result(const struct session_outcome *o)
{
	if (o->reason != REASON_OK)
		return RESULT_FAILED;
	if (!o->under_tls)
		return RESULT_CLEARTEXT;
	return o->tls != NULL && o->tls->authenticated ? RESULT_AUTHENTICATED : RESULT_ENCRYPTED;
}
