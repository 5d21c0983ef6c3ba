/* SPDX-License-Identifier: MIT */
/*
 * DATA (RFC 5321 s4.1.1.4), and the verdict about a text however it came.
 *
 * Knows when a text may begin and that only the driver may accept it. Refuses to know disks.
 */
#include "smtp/server_int.h"

static struct refusal state_refusal(const struct smtps *s)
{
	if (!s->mail)
		return (struct refusal){503, "5.5.1 Send MAIL first"};
	if (s->chunking || s->chunk_failed)
		return (struct refusal){503, "5.5.1 The text comes by BDAT"}; /* RFC 3030 s2 */
	if (s->envelope.nrcpt > 0)
		return (struct refusal){0};
	return s->rcpt_tried ? (struct refusal){554, "5.5.1 No valid recipients"}
			     : (struct refusal){503, "5.5.1 Send RCPT first"};
}

void smtps_data(struct smtps *s, struct slice args)
{
	struct refusal r = state_refusal(s);

	if (args.n > 0)
		r = (struct refusal){501, "5.5.4 DATA has no arguments"};
	if (r.code == 0)
		smtps_ask(s, SMTPS_Q_TEXT);
	else
		smtps_reply(s, r.code, r.text);
}

static void begin_data(struct smtps *s, uint16_t code, const char *text)
{
	if (smtps_is_yes(code)) {
		smtps_text_begin(s, true);
		s->phase = PHASE_TEXT;
	} else {
		smtps_reset_transaction(s);
	}
	smtps_reply(s, code, text);
}

void smtps_on_text(struct smtps *s, uint16_t code, const char *text)
{
	if (s->phase == PHASE_CHUNK)
		smtps_on_first_chunk(s, code, text);
	else
		begin_data(s, code, text);
}

void smtps_text_done(struct smtps *s)
{
	s->phase = PHASE_COMMAND;
	if (!s->too_big) {
		smtps_ask(s, SMTPS_Q_MESSAGE);
		return;
	}
	smtps_reset_transaction(s);
	smtps_reply(s, s->unwanted.code, s->unwanted.text);
}

void smtps_on_message(struct smtps *s, uint16_t code, const char *text)
{
	if (smtps_is_yes(code))
		s->junk = 0;
	smtps_reset_transaction(s);
	smtps_reply(s, code, text);
}
