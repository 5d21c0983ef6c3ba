/* SPDX-License-Identifier: MIT */
/*
 * The scanner of the text: where it ends, which dots go, and what may not be in it.
 *
 * Knows CRLF and dots. The state survives between pieces of any size, and one piece gives what its
 * octets give one by one. Refuses to know header fields, and to repair: what one server takes for a
 * line end and the next does not is how a second message is smuggled in (P2).
 */
#include "smtp/server_int.h"

void smtps_text_begin(struct smtps *s, bool dots)
{
	s->state = TEXT_LINE_START;
	s->dots = dots;
	s->octets = 0;
	s->too_big = false;
	s->unwanted = (struct refusal){552, "5.3.4 Message is larger than we take"};
	buf_reset(&s->text);
}

void smtps_refuse_text(struct smtps *s, uint16_t code, const char *text)
{
	if (!smtps_in_text(s) || s->too_big)
		return;
	s->too_big = true;
	s->unwanted = (struct refusal){code, text};
	buf_reset(&s->text);
}

bool smtps_swallow(struct smtps *s, uint64_t n)
{
	s->swallowed += n;
	return s->swallowed <= SMTPS_SWALLOW_MAX;
}

/* How many octets may go into the buffer now; of a text that is refused anyway, all. */
static size_t room_of(const struct smtps *s)
{
	size_t len = buf_len(&s->text);

	if (s->too_big)
		return SIZE_MAX;
	return len < SMTPS_TEXT_MAX ? SMTPS_TEXT_MAX - len : 0;
}

static void emit(struct smtps *s, const void *p, size_t n)
{
	uint64_t max = s->config.size_max;

	s->octets += n;
	if (!s->too_big && max > 0 && s->octets > max) {
		s->too_big = true;
		buf_reset(&s->text);
	}
	if (!s->too_big)
		buf_add(&s->text, p, n);
}

static bool is_special(uint8_t c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

/* How many ordinary octets there are before the first CR, LF or NUL. Each search ends where the one
 * before it did, so that only octets which are taken, or end the session, are looked at. */
static size_t run_of(struct slice in)
{
	in.n = slice_find(in, '\r');
	in.n = slice_find(in, '\n');
	return slice_find(in, '\0');
}

/* From the start of a line: octets of whole lines that are passed on as they are. 0: look closer.
 */
static size_t plain_lines(const struct smtps *s, struct slice in)
{
	size_t n = 0;

	while (n < in.n && (!s->dots || in.p[n] != '.')) {
		size_t end = n + run_of(slice_from(in, n));
		if (in.n - end < 2 || in.p[end] != '\r' || in.p[end + 1] != '\n')
			break;
		n = end + 2;
	}
	return n;
}

/* Ordinary octets at the start of `in`: how many were taken; 0 and TEXT_FULL: no room. */
static enum text_status feed_run(struct smtps *s, struct slice in, size_t *n)
{
	size_t room = room_of(s);

	*n = 0;
	if (s->state == TEXT_CR || s->state == TEXT_DOT_CR)
		return TEXT_BAD; /* a bare CR */
	if (s->state == TEXT_LINE_START && s->dots && in.p[0] == '.') {
		s->state = TEXT_DOT; /* RFC 5321 s4.5.2: the first dot goes */
		*n = 1;
		return TEXT_MORE;
	}
	if (room == 0)
		return TEXT_FULL;
	*n = run_of(slice_first(in, room));
	emit(s, in.p, *n);
	s->state = TEXT_IN_LINE;
	return TEXT_MORE;
}

static enum text_status feed_lf(struct smtps *s)
{
	if (s->state == TEXT_DOT_CR)
		return TEXT_END;
	if (s->state != TEXT_CR)
		return TEXT_BAD; /* a bare LF */
	if (room_of(s) < 2)
		return TEXT_FULL;
	emit(s, "\r\n", 2);
	s->state = TEXT_LINE_START;
	return TEXT_MORE;
}

static enum text_status feed_special(struct smtps *s, uint8_t c)
{
	if (c == '\n')
		return feed_lf(s);
	if (c == '\0' || s->state == TEXT_CR || s->state == TEXT_DOT_CR)
		return TEXT_BAD;
	s->state = s->state == TEXT_DOT ? TEXT_DOT_CR : TEXT_CR;
	return TEXT_MORE;
}

/*
 *   text       = *( text-line CRLF ) [ end-line ]
 *   end-line   = "." CRLF                           ; of DATA only
 *   text-line  = *octet                             ; DATA: not "."; a "." at its start is dropped
 *   octet      = %x01-09 / %x0B-0C / %x0E-FF
 */
enum text_status smtps_text_feed(struct smtps *s, struct slice in, size_t *used)
{
	enum text_status status = TEXT_MORE;

	*used = 0;
	while (*used < in.n && status == TEXT_MORE) {
		struct slice rest = slice_from(in, *used);
		size_t n = 1;
		size_t whole =
		    s->state == TEXT_LINE_START ? plain_lines(s, slice_first(rest, room_of(s))) : 0;
		if (whole > 0) {
			emit(s, rest.p, whole);
			n = whole;
		} else if (is_special(rest.p[0]))
			status = feed_special(s, rest.p[0]);
		else
			status = feed_run(s, rest, &n);
		if (status != TEXT_FULL)
			*used += n;
	}
	return status;
}

/* The last line of BDAT may lack its end (RFC 3030 s2). */
enum text_status smtps_text_end(struct smtps *s)
{
	if (s->state == TEXT_CR)
		return TEXT_BAD;
	if (s->state == TEXT_IN_LINE) {
		if (!s->too_big)
			buf_add_str(&s->text, "\r\n"); /* the buffer has room for it */
		s->state = TEXT_LINE_START;
	}
	return TEXT_MORE;
}
