/* SPDX-License-Identifier: MIT */
/*
 * SMTP replies as a peer sends them, in pieces of any size.
 *
 * Knows the line syntax and its limits. Refuses to know what was asked, what a code means for the
 * session, and to repair line ends.
 *
 * The parser looks at each octet once, from left to right, and returns the first error it meets.
 * So a longer input never changes a result other than 0.
 */
#include "wire/reply.h"

#include "base/foreign.h"
#include "wire/address.h"

enum {
	CODE_LEN = 3,
	CRLF_LEN = 2,
};

struct reply_line {
	size_t len; /* with CRLF */
	uint16_t code;
	bool last;
	struct slice text;
};

static int bad_code_octet(uint8_t c)
{
	if (c == '\n')
		return REPLY_BARE_LF;
	return c == '\0' ? REPLY_NUL : REPLY_BAD_CODE;
}

/*
 *   Reply-code = %x32-35 %x30-35 %x30-39      ; RFC 5321 s4.2
 * `expect` is the code of the first line, NULL for that line itself.
 */
static int parse_code(struct slice in, const uint8_t *expect, uint16_t *code)
{
	static const uint8_t low[CODE_LEN] = {'2', '0', '0'};
	static const uint8_t high[CODE_LEN] = {'5', '5', '9'};

	*code = 0;
	for (size_t i = 0; i < CODE_LEN; i++) {
		if (i == in.n)
			return 0;
		if (in.p[i] < low[i] || in.p[i] > high[i])
			return bad_code_octet(in.p[i]);
		if (expect != NULL && in.p[i] != expect[i])
			return REPLY_CODE_CHANGED;
		*code = (uint16_t)(*code * 10 + (in.p[i] - '0'));
	}
	return CODE_LEN;
}

/* The index of the CR that ends the line into *end: 1 found, 0 more needed, < 0 error. */
static int find_line_end(struct slice in, size_t from, size_t *end)
{
	for (size_t i = from; i < in.n; i++) {
		if (in.p[i] == '\0')
			return REPLY_NUL;
		if (in.p[i] == '\n')
			return REPLY_BARE_LF;
		if (in.p[i] == '\r') {
			*end = i;
			if (i + 1 == in.n)
				return 0;
			return in.p[i + 1] == '\n' ? 1 : REPLY_BARE_CR;
		}
		/* this octet and a CRLF must still fit */
		if (i + 1 + CRLF_LEN > REPLY_LINE_MAX)
			return REPLY_LINE_TOO_LONG;
	}
	return 0;
}

/* Reply-line = Reply-code [ ( SP / "-" ) textstring ] CRLF, here without limits on textstring but
 * NUL, CR and LF. `may_continue` is false on the last line that the limit allows. */
static int parse_line(struct slice in, const uint8_t *expect, bool may_continue,
		      struct reply_line *out)
{
	size_t end;
	int rc = parse_code(in, expect, &out->code);

	if (rc <= 0 || in.n == CODE_LEN)
		return rc < 0 ? rc : 0;
	uint8_t separator = in.p[CODE_LEN];
	if (separator != ' ' && separator != '-' && separator != '\r')
		return bad_code_octet(separator);
	if (separator == '-' && !may_continue)
		return REPLY_TOO_MANY_LINES;
	size_t text_at = separator == '\r' ? CODE_LEN : CODE_LEN + 1;
	rc = find_line_end(in, text_at, &end);
	if (rc <= 0)
		return rc;
	out->len = end + CRLF_LEN;
	out->last = separator != '-';
	out->text = slice_from(slice_first(in, end), text_at);
	return rc;
}

static void set_enhanced(struct reply *r)
{
	if (enhanced_code_parse(r->line[0], &r->enhanced) > 0 && r->enhanced.class != r->code / 100)
		r->enhanced = (struct enhanced_code){0};
}

/*
 *   Reply = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 */
static int parse_lines(struct slice in, struct reply *out)
{
	struct reply_line line = {0};
	size_t pos = 0;

	while (!line.last) {
		int rc = parse_line(slice_from(in, pos), pos > 0 ? in.p : NULL,
				    out->nlines + 1 < REPLY_LINES_MAX, &line);
		if (rc <= 0)
			return rc;
		pos += line.len;
		out->line[out->nlines++] = line.text;
	}
	out->code = line.code;
	out->raw = slice_first(in, pos);
	return (int)pos;
}

int reply_parse(struct slice in, struct reply *out)
{
	*out = (struct reply){0};
	int rc = parse_lines(slice_first(in, REPLY_BYTES_MAX), out);
	if (rc == 0 && in.n > REPLY_BYTES_MAX)
		rc = REPLY_TOO_MANY_LINES;
	if (rc > 0)
		set_enhanced(out);
	return rc;
}

const char *reply_strerror(int error)
{
	switch ((enum reply_error)error) {
	case REPLY_BAD_CODE:
		return "a reply line does not start with a reply code";
	case REPLY_CODE_CHANGED:
		return "the lines of one reply have different codes";
	case REPLY_LINE_TOO_LONG:
		return "a reply line is too long";
	case REPLY_TOO_MANY_LINES:
		return "a reply has too many lines";
	case REPLY_BARE_CR:
		return "a CR without LF in a reply";
	case REPLY_BARE_LF:
		return "an LF without CR in a reply";
	case REPLY_NUL:
		return "a NUL in a reply";
	}
	return "no error";
}

/* ---- one line for people ---- */

struct text_out {
	char *p;
	size_t n;
	size_t room; /* without the NUL */
	bool full;
};

/* All of s or nothing, so that no character is cut in half. */
static void put_text(struct text_out *o, struct slice s)
{
	if (o->full || s.n > o->room - o->n) {
		o->full = true;
		return;
	}
	if (s.n > 0)
		memcpy(o->p + o->n, s.p, s.n);
	o->n += s.n;
}

/* An ASCII octet alone, or the octets of one character of text that is known to be UTF-8. */
static size_t character_len(struct slice s)
{
	size_t n = 1;

	while (s.p[0] > 0x7f && n < s.n && (s.p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* Of a line that is all UTF-8; else octet by octet. */
static bool is_shown(struct slice c)
{
	bool shown;

	(void)foreign_take(c, &shown);
	return shown;
}

static void put_line(struct text_out *o, struct slice s)
{
	bool utf8 = utf8_is_valid(s);

	while (s.n > 0) {
		size_t n = utf8 ? character_len(s) : 1;
		struct slice c = slice_first(s, n);
		put_text(o, is_shown(c) ? c : SLICE_LIT("?"));
		s = slice_from(s, n);
	}
}

void reply_to_text(const struct reply *r, char *out, size_t room)
{
	char code[8];

	if (room == 0)
		return;
	struct text_out o = {.p = out, .room = room - 1};
	(void)snprintf(code, sizeof(code), "%03u", (unsigned)r->code);
	put_text(&o, slice_str(code));
	for (size_t i = 0; i < r->nlines; i++) {
		if (i > 0)
			put_text(&o, SLICE_LIT(" /"));
		if (r->line[i].n > 0)
			put_text(&o, SLICE_LIT(" "));
		put_line(&o, r->line[i]);
	}
	out[o.n] = '\0';
}

/* ---- enhanced status codes ---- */

/* 1*3DIGIT at *pos, which moves behind it */
static bool small_number(struct slice text, size_t *pos, uint16_t *out)
{
	size_t start = *pos;

	*out = 0;
	while (*pos < text.n && *pos - start < 3 && ascii_is_digit(text.p[*pos])) {
		*out = (uint16_t)(*out * 10 + (text.p[*pos] - '0'));
		(*pos)++;
	}
	return *pos > start;
}

static bool octet_is(struct slice text, size_t pos, uint8_t c)
{
	return pos < text.n && text.p[pos] == c;
}

/*
 *   status-code = class "." subject "." detail      ; RFC 3463 s2
 *   class = "2" / "4" / "5"
 *   subject = 1*3DIGIT
 *   detail = 1*3DIGIT
 * It must end where a word ends.
 */
size_t enhanced_code_parse(struct slice text, struct enhanced_code *out)
{
	struct enhanced_code code = {0};
	size_t pos = 1;

	*out = code;
	if (!octet_is(text, 0, '2') && !octet_is(text, 0, '4') && !octet_is(text, 0, '5'))
		return 0;
	code.class = (uint8_t)(text.p[0] - '0');
	if (!octet_is(text, pos++, '.') || !small_number(text, &pos, &code.subject))
		return 0;
	if (!octet_is(text, pos++, '.') || !small_number(text, &pos, &code.detail))
		return 0;
	if (pos < text.n && text.p[pos] != ' ' && text.p[pos] != '\t')
		return 0;
	*out = code;
	return pos;
}
