/* SPDX-License-Identifier: MIT */
/*
 * What the driver decides: the list of the questions, and how an answer becomes a reply.
 *
 * Refuses to decide: an answer that cannot be understood is "not now".
 */
#include "smtp/server_int.h"

static void on_connect(struct smtps *s, uint16_t code, const char *text)
{
	s->phase = PHASE_COMMAND;
	s->refused = !smtps_is_yes(code);
	smtps_reply(s, code, text);
}

struct answer_step {
	void (*on_answer)(struct smtps *s, uint16_t code, const char *text);
	uint16_t yes_code;
	const char *yes, *later, *no; /* standard texts */
};

static const struct answer_step answers[] = {
    [SMTPS_Q_CONNECT] = {on_connect, 220, "ESMTP", "4.3.2 Try again later",
			 "5.7.1 No service for you"},
    [SMTPS_Q_AUTH] = {smtps_on_auth, 235, "2.7.0 Authentication successful",
		      "4.7.0 Temporary authentication failure",
		      "5.7.8 Authentication credentials invalid"},
    [SMTPS_Q_MAIL] = {smtps_on_mail, 250, "2.1.0 Ok", "4.3.0 Try again later",
		      "5.7.1 Sender refused"},
    [SMTPS_Q_RCPT] = {smtps_on_rcpt, 250, "2.1.5 Ok", "4.3.0 Try again later",
		      "5.7.1 Recipient refused"},
    [SMTPS_Q_TEXT] = {smtps_on_text, 354, "End data with <CR><LF>.<CR><LF>",
		      "4.3.1 No room, try again later", "5.7.1 Refused"},
    [SMTPS_Q_MESSAGE] = {smtps_on_message, 250, "2.0.0 Ok", "4.3.0 Try again later",
			 "5.7.1 Message refused"},
    [SMTPS_Q_VRFY] = {smtps_on_vrfy, 252, "2.5.0 Cannot verify, but will try",
		      "4.3.0 Try again later", "5.1.1 Unknown"},
};

/* 251 and 252 are answers too (RFC 5321 s4.3.2); a code that is none is our failure: not now. */
static uint16_t proper_code(const struct answer_step *a, uint16_t code)
{
	if (smtps_is_yes(code))
		return a->yes_code / 10 == 25 && code >= 250 && code <= 252 ? code : a->yes_code;
	return code / 100 == 4 || code / 100 == 5 ? code : 451;
}

bool smtps_text_waits(const struct smtps *s)
{
	return s->asked && s->question == SMTPS_Q_MESSAGE && buf_len(&s->text) > 0;
}

void smtps_decide(struct smtps *s, uint16_t code, const char *text)
{
	if (!s->asked || smtps_text_waits(s))
		return;
	const struct answer_step *a = &answers[s->question];
	uint16_t proper = proper_code(a, code);
	const char *standard = smtps_is_yes(proper) ? a->yes : proper < 500 ? a->later : a->no;
	s->asked = false;
	s->progress++;
	a->on_answer(s, proper, text != NULL ? text : standard);
	smtps_pump(s);
}
