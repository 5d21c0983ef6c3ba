/* SPDX-License-Identifier: MIT */
/* From the end of a session to its reason and its code (T7, T10, M2). */
#include "table.h"

#include "deliver/trouble.h"

/* Real sessions, cut short by the driver: every end the machine can report. */
static struct smtpc *ended(enum smtpc_end end)
{
	struct smtpc_config c = {
	    .helo = "client.example", .tls = SMTPC_TLS_MUST, .timeouts = &SMTPC_TIMEOUTS_RFC};
	struct smtpc *s = smtpc_new(&c);
	assert_non_null(s);
	if (end != SMTPC_RUNNING)
		smtpc_abort(s, end);
	return s;
}

static const struct {
	enum smtpc_end end;
	enum reason reason;
} ends[] = {
    {SMTPC_DONE, REASON_OK},
    {SMTPC_NO_STARTTLS, REASON_NO_STARTTLS},
    {SMTPC_STARTTLS_REFUSED, REASON_STARTTLS_REFUSED},
    {SMTPC_INJECTION, REASON_STARTTLS_INJECTION},
    {SMTPC_TLS_FAILED, REASON_TLS_FAILED},
    {SMTPC_UNWILLING, REASON_SMTP_DEFERRED},
    {SMTPC_MAIL_DEFERRED, REASON_SMTP_DEFERRED},
    {SMTPC_MAIL_REJECTED, REASON_SMTP_REJECTED},
    {SMTPC_TOO_BIG, REASON_TOO_BIG},
    {SMTPC_NO_8BITMIME, REASON_NO_8BITMIME},
    {SMTPC_NO_SMTPUTF8, REASON_NO_SMTPUTF8},
    {SMTPC_PROTOCOL, REASON_PROTOCOL_ERROR},
    {SMTPC_CLOSED, REASON_CONNECTION_LOST},
    {SMTPC_TIMEOUT, REASON_TIMEOUT},
    {SMTPC_LOST_AFTER_DATA, REASON_LOST_AFTER_DATA},
    {SMTPC_AUTH_REFUSED, REASON_AUTH_REFUSED},
    {SMTPC_AUTH_WAITS, REASON_CREDENTIALS_REFUSED},
    {SMTPC_LOCAL, REASON_LOCAL_ERROR},
    {SMTPC_RUNNING, REASON_LOCAL_ERROR}, /* a driver that gave up in the middle */
};

static void every_end(void **state)
{
	(void)state;
	assert_int_equal(ROWS(ends), SMTPC_LOCAL + 1);
	for (size_t i = 0; i < ROWS(ends); i++) {
		struct smtpc *s = ended(ends[i].end);
		struct session_facts f = {.connected = true, .smtp = s};
		struct session_outcome o;
		trouble_judge(&f, &o);
		row_check(o.reason == ends[i].reason, reason_name(ends[i].reason));
		row_check(o.tls_failed == (ends[i].end == SMTPC_TLS_FAILED),
			  reason_name(ends[i].reason));
		smtpc_free(&s);
	}
}

struct judge_row {
	const char *rule;
	bool connected, smtp, tls;
	enum smtpc_end end;
	enum reason tls_reason;
	const char *local_error;
	enum reason reason;
	const char *detail;
};

static const struct judge_row judges[] = {
    {"no connection", false, false, false, SMTPC_RUNNING, REASON_OK, NULL, REASON_CONNECT_FAILED,
     "Connection refused"},
    {"T10: a local failure overrides success", true, true, false, SMTPC_DONE, REASON_OK,
     "out of memory", REASON_LOCAL_ERROR, "out of memory"},
    {"T10: a local failure overrides a verdict on the peer", true, true, true, SMTPC_TLS_FAILED,
     REASON_TLSA_INVALID, "cannot load a record", REASON_LOCAL_ERROR, "cannot load a record"},
    {"T10: no machine could be made", true, false, false, SMTPC_RUNNING, REASON_OK, NULL,
     REASON_LOCAL_ERROR, ""},
    {"M2: TLS knows why", true, true, true, SMTPC_TLS_FAILED, REASON_TLSA_INVALID, NULL,
     REASON_TLSA_INVALID, "words of TLS"},
    {"T7: no word of TLS bounces", true, true, true, SMTPC_TLS_FAILED, REASON_AUTH_REFUSED, NULL,
     REASON_TLS_FAILED, "words of TLS"},
    {"M2: an expired certificate", true, true, true, SMTPC_TLS_FAILED, REASON_CERT_EXPIRED, NULL,
     REASON_CERT_EXPIRED, "words of TLS"},
    {"T10: TLS failed and says ok: never ok", true, true, true, SMTPC_TLS_FAILED, REASON_OK, NULL,
     REASON_TLS_FAILED, "words of TLS"},
    {"T10: TLS could not load a record", true, true, true, SMTPC_TLS_FAILED, REASON_LOCAL_ERROR,
     NULL, REASON_LOCAL_ERROR, "words of TLS"},
};

static void judge_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(judges); i++) {
		const struct judge_row *r = &judges[i];
		struct tls_facts t = {.reason = r->tls_reason, .detail = "words of TLS"};
		struct smtpc *s = r->smtp ? ended(r->end) : NULL;
		struct session_facts f = {.connected = r->connected,
					  .connect_error = "Connection refused",
					  .smtp = s,
					  .tls = r->tls ? &t : NULL,
					  .local_error = r->local_error};
		struct session_outcome o;
		trouble_judge(&f, &o);
		row_check(o.reason == r->reason, r->rule);
		row_check(strcmp(o.detail, r->detail) == 0, r->rule);
		smtpc_free(&s);
	}
}

/* T11: only a handshake that failed leaves clear text open. */
static void only_a_handshake_falls_back(void **state)
{
	(void)state;
	for (int end = SMTPC_RUNNING; end <= SMTPC_LOCAL; end++) {
		struct smtpc *s = ended((enum smtpc_end)end);
		struct session_facts f = {.connected = true, .smtp = s};
		struct session_outcome o;
		trouble_judge(&f, &o);
		assert_int_equal(o.tls_failed, end == SMTPC_TLS_FAILED);
		f.local_error = "out of memory";
		trouble_judge(&f, &o);
		assert_false(o.tls_failed);
		smtpc_free(&s);
	}
}

struct code_row {
	const char *rule;
	enum reason reason;
	struct enhanced_code given;
	bool permanent;
	const char *code;
};

static const struct code_row codes[] = {
    {"the host's own code", REASON_SMTP_DEFERRED, {4, 2, 1}, false, "4.2.1"},
    {"the host's own code, permanent", REASON_SMTP_REJECTED, {5, 1, 1}, true, "5.1.1"},
    {"the host's own code, success", REASON_OK, {2, 6, 0}, false, "2.6.0"},
    {"none given, deferred", REASON_SMTP_DEFERRED, {0, 0, 0}, false, "4.0.0"},
    {"none given, rejected", REASON_SMTP_REJECTED, {0, 0, 0}, true, "5.0.0"},
    {"none given, sent", REASON_OK, {0, 0, 0}, false, "2.0.0"},
    {"of the wrong class", REASON_SMTP_DEFERRED, {5, 2, 2}, false, "4.0.0"},
    {"success of the wrong class", REASON_OK, {4, 0, 0}, false, "2.0.0"},
    {"three digits in each part", REASON_SMTP_REJECTED, {5, 999, 999}, true, "5.999.999"},
    {"M2: our own reason has our own code", REASON_TLSA_INVALID, {4, 2, 1}, false, "4.7.323"},
    {"M2: whatever the host says", REASON_NO_STARTTLS, {5, 7, 1}, false, "4.7.321"},
    {"RFC 7505 s4.2", REASON_NULL_MX, {0, 0, 0}, true, "5.1.10"},
    {"too big", REASON_TOO_BIG, {0, 0, 0}, true, "5.3.4"},
};

static void code_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(codes); i++) {
		char out[CODE_TEXT_MAX];
		trouble_code(codes[i].reason, codes[i].given, codes[i].permanent, out);
		row_check(strcmp(out, codes[i].code) == 0, codes[i].rule);
	}
}

static void probe_results(void **state)
{
	struct tls_facts authenticated = {.authenticated = true}, anonymous = {0};
	struct session_outcome o = {.reason = REASON_OK};
	(void)state;
	assert_int_equal(trouble_probe_result(&o), RESULT_CLEARTEXT);
	o.tls = &authenticated; /* facts without TLS under the session prove nothing */
	assert_int_equal(trouble_probe_result(&o), RESULT_CLEARTEXT);
	o.under_tls = true;
	assert_int_equal(trouble_probe_result(&o), RESULT_AUTHENTICATED);
	o.tls = &anonymous;
	assert_int_equal(trouble_probe_result(&o), RESULT_ENCRYPTED);
	o.tls = NULL;
	assert_int_equal(trouble_probe_result(&o), RESULT_ENCRYPTED);
	o.tls = &authenticated;
	o.reason = REASON_TIMEOUT;
	assert_int_equal(trouble_probe_result(&o), RESULT_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_end),
	    cmocka_unit_test(judge_rows),
	    cmocka_unit_test(only_a_handshake_falls_back),
	    cmocka_unit_test(code_rows),
	    cmocka_unit_test(probe_results),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
