/* SPDX-License-Identifier: MIT */
/*
 * Message text on its way into DATA: line ends made CRLF, dots doubled, the end written.
 *
 * Knows octets and line ends. Refuses to know header fields and MIME, and to repair a bare CR: what
 * one server reads as a line end and the next does not is how a second message is smuggled in.
 */
#include "wire/dotstuff.h"

/* ---- linefix ---- */

void linefix_init(struct linefix *l)
{
	*l = (struct linefix){.line_start = true, .header = true, .line = 1};
}

static bool is_special(uint8_t c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

/* Copies octets up to the next CR, LF or NUL; returns how many. */
static size_t feed_run(struct linefix *l, struct slice in, struct buf *out)
{
	size_t n = 0;
	uint8_t seen = 0;

	while (n < in.n && !is_special(in.p[n]))
		seen |= in.p[n++];
	if (seen > 0x7f) {
		l->eight_bit = true;
		l->header_eight_bit = l->header_eight_bit || l->header;
	}
	buf_add(out, in.p, n);
	l->in += n;
	l->line_len += n;
	l->line_start = l->line_len == 0;
	if (l->line_len > l->longest)
		l->longest = l->line_len;
	return n;
}

static void end_line(struct linefix *l, struct buf *out)
{
	buf_add_str(out, "\r\n");
	if (l->line_len == 0)
		l->header = false; /* RFC 5322 s2.1: the first empty line ends the header */
	l->line_len = 0;
	l->line_start = true;
}

/* One CR, LF or NUL. `in` counts what was read before the octet that shows an error. */
static enum linefix_error feed_special(struct linefix *l, uint8_t c, struct buf *out)
{
	if (c == '\0')
		return LINEFIX_NUL;
	l->in++;
	l->cr = c == '\r';
	if (c == '\n') {
		end_line(l, out);
		l->line++;
	}
	return LINEFIX_OK;
}

/* text = *( *(%x01-09 / %x0B-0C / %x0E-FF) [CR] LF ), where only the last line may lack its end */
enum linefix_error linefix_feed(struct linefix *l, struct slice in, struct buf *out)
{
	enum linefix_error e = LINEFIX_OK;

	while (in.n > 0 && e == LINEFIX_OK) {
		if (l->cr && in.p[0] != '\n')
			return LINEFIX_BARE_CR;
		in = slice_from(in, feed_run(l, in, out));
		if (in.n == 0)
			break;
		e = feed_special(l, in.p[0], out);
		in = slice_from(in, 1);
	}
	if (e == LINEFIX_OK && !buf_ok(out))
		return LINEFIX_NO_ROOM;
	return e;
}

enum linefix_error linefix_end(struct linefix *l, struct buf *out)
{
	if (l->cr)
		return LINEFIX_BARE_CR;
	if (!l->line_start)
		end_line(l, out);
	return buf_ok(out) ? LINEFIX_OK : LINEFIX_NO_ROOM;
}

/* ---- dotstuff ---- */

void dotstuff_init(struct dotstuff *d)
{
	*d = (struct dotstuff){.line_start = true};
}

/* Octets up to and with the next LF, or all. */
static struct slice take_line(struct slice *in)
{
	size_t lf = slice_find(*in, '\n');
	struct slice line = slice_first(*in, lf + 1);

	*in = slice_from(*in, line.n);
	return line;
}

/* Is every CR of this piece of one line before its LF, or at its end, and LF behind a CR only?
 * `cr`: the octet before the piece was CR. An LF ends a piece, so that there is one at most. */
static bool is_crlf_text(struct slice piece, bool cr)
{
	bool lf = piece.p[piece.n - 1] == '\n';

	if (cr)
		return lf && piece.n == 1;
	size_t at = slice_find(piece, '\r');
	return lf ? at + 2 == piece.n : at + 1 >= piece.n;
}

static void add_text(struct dotstuff *d, struct slice in, bool stuff, struct buf *out)
{
	if (slice_find(in, '\0') < in.n)
		out->failed = true;
	while (in.n > 0) {
		struct slice piece = take_line(&in);
		if (!is_crlf_text(piece, d->cr))
			out->failed = true;
		if (stuff && d->line_start && piece.p[0] == '.')
			buf_add_u8(out, '.'); /* RFC 5321 s4.5.2 */
		buf_add_slice(out, piece);
		d->line_start = piece.p[piece.n - 1] == '\n';
		d->cr = piece.p[piece.n - 1] == '\r';
	}
}

void dotstuff_feed(struct dotstuff *d, struct slice in, struct buf *out)
{
	add_text(d, in, true, out);
}

void dotstuff_pass(struct dotstuff *d, struct slice in, struct buf *out)
{
	add_text(d, in, false, out);
}

void dotstuff_end(struct dotstuff *d, struct buf *out)
{
	if (d->cr)
		out->failed = true;
	if (!d->line_start)
		buf_add_str(out, "\r\n");
	buf_add_str(out, ".\r\n");
	dotstuff_init(d);
}
