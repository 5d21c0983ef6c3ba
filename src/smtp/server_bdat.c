/* SPDX-License-Identifier: MIT */
/*
 * BDAT (RFC 3030 s2): text by counted chunks.
 *
 * Knows the sizes and the order of chunks. A chunk whose size can be read is read to its end even
 * if it is refused, for what follows it is a command; one whose size cannot be read ends the
 * session, for its text would be taken for commands. Refuses to know BINARYMIME: a chunk is CRLF
 * text.
 */
#include "smtp/server_int.h"

static const struct refusal fine = {0};

/* bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF, end-marker = "LAST" */
static bool read_args(struct smtps *s, struct slice args)
{
	struct slice marker;
	struct slice size = slice_cut(args, ' ', &marker);

	marker = slice_trim(marker);
	s->chunk_last = slice_eq_nocase_str(marker, "LAST");
	return (marker.n == 0 || s->chunk_last) && slice_to_u64(size, INT64_MAX, &s->chunk_size);
}

static void begin_chunk(struct smtps *s, struct slice args, struct refusal r)
{
	if (!read_args(s, args)) {
		smtps_reply(s, 501, "5.5.4 Cannot tell how long the chunk is");
		smtps_finish(s, SMTPS_ERRORS);
		return;
	}
	s->chunk_left = s->chunk_size;
	s->chunk_refusal = r;
	if (r.code == 0 && (s->chunk_last || s->chunk_size >= CHUNK_PROPER_MIN))
		smtps_not_junk(s);
	s->phase = PHASE_CHUNK;
}

void smtps_refuse_chunk(struct smtps *s, struct slice args, struct refusal r)
{
	begin_chunk(s, args, r);
}

static struct refusal state_refusal(const struct smtps *s)
{
	if (!s->mail)
		return (struct refusal){503, "5.5.1 Send MAIL first"};
	if (s->chunk_failed)
		return (struct refusal){503, "5.5.1 A chunk was refused: send RSET"};
	if (s->envelope.nrcpt > 0)
		return fine;
	return s->rcpt_tried ? (struct refusal){554, "5.5.1 No valid recipients"}
			     : (struct refusal){503, "5.5.1 Send RCPT first"};
}

/* Would the message be over the limit with this chunk? Then no octet of it is looked at. */
static bool is_too_big(const struct smtps *s)
{
	uint64_t max = s->config.size_max;

	return max > 0 && (s->octets > max || s->chunk_size > max - s->octets);
}

void smtps_bdat(struct smtps *s, struct slice args)
{
	begin_chunk(s, args, state_refusal(s));
	if (s->phase != PHASE_CHUNK || s->chunk_refusal.code != 0)
		return;
	if (!s->chunking)
		smtps_text_begin(s, false);
	if (is_too_big(s))
		s->chunk_refusal = (struct refusal){552, "5.3.4 Message is larger than we take"};
	else if (!s->chunking)
		smtps_ask(s, SMTPS_Q_TEXT);
}

/* Nothing is written for a yes: the reply belongs to the end of the chunk. */
void smtps_on_first_chunk(struct smtps *s, uint16_t code, const char *text)
{
	s->chunking = smtps_is_yes(code);
	if (s->chunking)
		return;
	const char *kept = arena_str(&s->scratch, slice_str(text));
	s->chunk_refusal = (struct refusal){code, kept != NULL ? kept : "4.3.0 Try again later"};
}

static size_t swallow(struct smtps *s, size_t n)
{
	s->chunk_left -= n;
	if (!smtps_swallow(s, n)) {
		smtps_reply(s, s->chunk_refusal.code, s->chunk_refusal.text);
		smtps_finish(s, SMTPS_ERRORS);
	}
	return n;
}

size_t smtps_chunk_feed(struct smtps *s, struct slice in)
{
	size_t used;

	if (s->chunk_refusal.code != 0) {
		s->text_octets += in.n;
		return swallow(s, in.n);
	}
	enum text_status status = smtps_text_feed(s, in, &used);
	s->text_octets += used;
	s->chunk_left -= used;
	s->full = status == TEXT_FULL;
	if (status == TEXT_BAD)
		smtps_finish_smuggling(s);
	return used;
}

/* After a refused chunk all others of the message are refused (RFC 3030 s4.2), up to the last. */
static void fail_chunk(struct smtps *s)
{
	struct refusal r = s->chunk_refusal;

	s->phase = PHASE_COMMAND;
	s->chunk_failed = s->mail;
	buf_reset(&s->text);
	smtps_reply(s, r.code, r.text);
	if (s->chunk_last)
		smtps_reset_transaction(s);
}

static void confirm_chunk(struct smtps *s)
{
	char text[64];

	s->phase = PHASE_COMMAND;
	(void)snprintf(text, sizeof(text), "2.0.0 %llu octets received",
		       (unsigned long long)s->chunk_size);
	smtps_reply(s, 250, text);
}

bool smtps_chunk_done(struct smtps *s)
{
	if (s->chunk_refusal.code != 0)
		fail_chunk(s);
	else if (!s->chunk_last)
		confirm_chunk(s);
	else if (smtps_text_end(s) == TEXT_BAD)
		smtps_finish_smuggling(s);
	else
		smtps_text_done(s);
	return s->phase == PHASE_COMMAND;
}
