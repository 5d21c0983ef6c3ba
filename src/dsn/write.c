/* SPDX-License-Identifier: MIT */
/*
 * The notification as a multipart/report (RFC 6522 s3) and the stream of the original behind it.
 *
 * Knows parts and line ends. Refuses to trust the original: a line that looks like our boundary
 * loses its first hyphen, an over-long line is cut, a stray CR, LF or NUL becomes '?'.
 */
#include "dsn/room.h"

enum { TO_MAX = 900 }; /* octets of a reverse-path that fit a line with the field's name */

enum dsn_action dsn_action_of(const struct dsn_message *m)
{
	enum dsn_action a = DSN_NONE;

	for (size_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].action > a)
			a = m->rcpt[i].action;
	}
	return a;
}

bool dsn_returns_text(const struct dsn_message *m)
{
	return dsn_action_of(m) == DSN_FAILED && m->ret == DSN_RET_FULL &&
	       m->original_size <= m->full_max && (m->utf8 || !m->eight_bit);
}

/* bcharsnospace of RFC 2046 s5.1.1 without what would need care inside quotes. */
static bool boundary_ok(const char *b)
{
	size_t n = strlen(b);

	for (size_t i = 0; i < n; i++) {
		if (!ascii_is_alnum((uint8_t)b[i]) && strchr("'()+_,-./:=?", b[i]) == NULL)
			return false;
	}
	return n > 0 && n <= DSN_BOUNDARY_MAX;
}

static const char *subject_of(enum dsn_action a)
{
	switch (a) {
	case DSN_FAILED:
		return "Undelivered mail";
	case DSN_DELAYED:
		return "Delayed mail (still being tried)";
	case DSN_RELAYED:
	case DSN_NONE:
		return "Mail was relayed";
	}
	return "";
}

static void address_header(struct buf *out, const char *name, const char *display,
			   const char *address, bool utf8)
{
	buf_addf(out, "%s: %s<", name, display);
	text_add(out, address, utf8);
	buf_add_str(out, ">\r\n");
}

static void header_section(const struct dsn_message *m, struct buf *out)
{
	text_field(out, "Date", m->date, false);
	address_header(out, "From", "Mail Delivery System ", m->from, m->utf8);
	address_header(out, "To", "", m->to, m->utf8);
	text_field(out, "Subject", subject_of(dsn_action_of(m)), false);
	text_field(out, "Message-ID", m->message_id, m->utf8);
	buf_addf(out,
		 "Auto-Submitted: auto-replied\r\n" /* RFC 3834 s5 */
		 "MIME-Version: 1.0\r\n"
		 "Content-Type: multipart/report; report-type=delivery-status;\r\n"
		 " boundary=\"%s\"\r\n"
		 "Content-Transfer-Encoding: %s\r\n\r\n"
		 "This is a MIME-encapsulated message.\r\n",
		 m->boundary, m->utf8 ? "8bit" : "7bit");
}

static void part(const struct dsn_message *m, const char *type, const char *what, struct buf *out)
{
	buf_addf(out,
		 "\r\n--%s\r\n"
		 "Content-Description: %s\r\n"
		 "Content-Type: %s\r\n"
		 "Content-Transfer-Encoding: %s\r\n\r\n",
		 m->boundary, what, type, m->utf8 ? "8bit" : "7bit");
}

/* RFC 6533 s4: the global types when there may be UTF-8 in them. */
static const char *original_type(const struct dsn_message *m, bool whole)
{
	if (whole)
		return m->utf8 ? "message/global" : "message/rfc822";
	return m->utf8 ? "message/global-headers" : "text/rfc822-headers";
}

/* An address that a header field can hold as it is: else nobody would get the notification. */
static bool address_ok(const char *a, bool utf8)
{
	struct slice rest = slice_str(a);

	while (rest.n > 0) {
		size_t used;
		struct slice c = text_clean(rest, utf8, &used);
		if (c.p != rest.p)
			return false;
		rest = slice_from(rest, used);
	}
	return a[0] != '\0' && strlen(a) <= TO_MAX;
}

bool dsn_begin(struct dsn_writer *w, const struct dsn_message *m, struct buf *out)
{
	if (dsn_action_of(m) == DSN_NONE || !address_ok(m->to, m->utf8) ||
	    !boundary_ok(m->boundary))
		return false;
	*w = (struct dsn_writer){.utf8 = m->utf8, .whole = dsn_returns_text(m), .in_header = true};
	w->guard_len = (size_t)snprintf(w->guard, sizeof(w->guard), "--%s", m->boundary);
	header_section(m, out);
	part(m, m->utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
	     "Notification", out);
	dsn_human_part(m, out);
	part(m, m->utf8 ? "message/global-delivery-status" : "message/delivery-status",
	     "Delivery report", out);
	dsn_status_part(m, out);
	part(m, original_type(m, w->whole), w->whole ? "Undelivered message" : "Message headers",
	     out);
	return true;
}

/* ---- the original, octet by octet ---- */

static void flush_guard(struct dsn_writer *w, struct buf *out)
{
	buf_add(out, w->guard, w->matched);
	w->column += w->matched;
	w->matched = 0;
}

static void end_line(struct dsn_writer *w, struct buf *out)
{
	flush_guard(w, out);
	if (w->column == 0 && w->in_header) {
		w->in_header = false;
		w->done = !w->whole;
	}
	buf_add_str(out, "\r\n");
	w->column = 0;
}

/* No octet of a character is torn from its lead when the character fits. */
static bool must_cut(const struct dsn_writer *w, uint8_t c)
{
	bool inside = (c & 0xc0) == 0x80;

	return w->column >= DSN_LINE_MAX || (w->column >= DSN_LINE_MAX - 4 && !inside);
}

static void add_octet(struct dsn_writer *w, uint8_t c, struct buf *out)
{
	if (c == '\0' || c == '\r' || c == '\n' || (c > 0x7f && !w->utf8))
		c = '?';
	if (w->column == 0 && c == (uint8_t)w->guard[w->matched]) {
		if (++w->matched < w->guard_len)
			return;
		buf_add_u8(out, '?');
		buf_add(out, w->guard + 1, w->guard_len - 1);
		w->column = w->guard_len;
		w->matched = 0;
		return;
	}
	flush_guard(w, out);
	if (must_cut(w, c)) {
		/* a blank, so that it is no new header field and no boundary */
		buf_add_str(out, "\r\n ");
		w->column = 1;
	}
	buf_add_u8(out, c);
	w->column++;
}

bool dsn_add_original(struct dsn_writer *w, struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n && !w->done; i++) {
		uint8_t c = in.p[i];
		if (w->cr) {
			w->cr = false;
			if (c == '\n') {
				end_line(w, out);
				continue;
			}
			add_octet(w, '?', out);
		}
		if (c == '\r')
			w->cr = true;
		else
			add_octet(w, c, out);
	}
	return !w->done;
}

void dsn_end(struct dsn_writer *w, struct buf *out)
{
	if (w->cr)
		add_octet(w, '?', out);
	w->cr = false;
	flush_guard(w, out);
	if (w->column > 0)
		buf_add_str(out, "\r\n");
	buf_addf(out, "\r\n%s--\r\n", w->guard);
	w->column = 0;
	w->done = true;
}
