/* SPDX-License-Identifier: MIT */
/*
 * Command lines taken apart: the line, the path, the parameters.
 *
 * Knows the grammar of RFC 5321 s4.1.2. Refuses to know the verbs, the meaning of a parameter, and
 * any line end but CRLF.
 */
#include "wire/cmdline.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void split_verb(struct slice line, struct cmdline *out)
{
	size_t n = 0;

	while (n < line.n && !is_blank(line.p[n]))
		n++;
	out->line = line;
	out->verb = slice_first(line, n);
	out->args = slice_trim(slice_from(line, n));
}

/* line = *( %x01-09 / %x0B-0C / %x0E-FF ) CRLF */
int cmdline_parse(struct slice in, size_t max, struct cmdline *out)
{
	bool cr = false;

	for (size_t i = 0; i < in.n && i < max; i++) {
		uint8_t c = in.p[i];
		if (cr && c == '\n') {
			split_verb(slice_first(in, i - 1), out);
			return (int)i + 1;
		}
		if (cr)
			return CMDLINE_BARE_CR;
		if (c == '\n')
			return CMDLINE_BARE_LF;
		if (c == '\0')
			return CMDLINE_NUL;
		cr = c == '\r';
	}
	return in.n >= max ? CMDLINE_TOO_LONG : 0;
}

/* ---- paths ---- */

/* Where the ">" is that closes the "<" at the start; in.n if it is nowhere. One inside a quoted
 * local part does not count. */
static size_t find_close(struct slice in)
{
	bool quoted = false;

	for (size_t i = 1; i < in.n; i++) {
		if (in.p[i] == '"')
			quoted = !quoted;
		else if (quoted && in.p[i] == '\\')
			i++;
		else if (!quoted && in.p[i] == '>')
			return i;
	}
	return in.n;
}

/* At-domain = "@" Domain, of which only the letters are looked at: nothing is done with it */
static bool is_at_domain(struct slice s)
{
	if (s.n < 2 || s.p[0] != '@')
		return false;
	for (size_t i = 1; i < s.n; i++) {
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '.' && s.p[i] != '-' && s.p[i] < 0x80)
			return false;
	}
	return true;
}

/* A-d-l ":" Mailbox, where A-d-l = At-domain *( "," At-domain ) */
static bool skip_route(struct slice *mailbox)
{
	struct slice rest;

	if (mailbox->n == 0 || mailbox->p[0] != '@')
		return true;
	struct slice route = slice_cut(*mailbox, ':', &rest);
	if (route.n == mailbox->n)
		return false;
	do {
		if (!is_at_domain(slice_cut(route, ',', &route)))
			return false;
	} while (route.n > 0);
	*mailbox = rest;
	return true;
}

/*
 *   Path           = "<" [ A-d-l ":" ] Mailbox ">"
 *   Reverse-path   = Path / "<>"
 *   Forward-path   = Path; and "<Postmaster>" (s4.1.1.3)
 */
int path_parse(struct slice in, struct path *out)
{
	*out = (struct path){0};
	size_t close = in.n > 0 && in.p[0] == '<' ? find_close(in) : in.n;
	if (close == in.n)
		return PATH_NO_BRACKETS;
	out->mailbox = slice_from(slice_first(in, close), 1);
	out->null = out->mailbox.n == 0;
	if (!skip_route(&out->mailbox))
		return PATH_BAD_ROUTE;
	out->postmaster = slice_eq_nocase_str(out->mailbox, "postmaster");
	if (!out->null && !out->postmaster)
		out->error = address_parse(out->mailbox, &out->address);
	return out->error == ADDRESS_OK ? (int)close + 1 : PATH_BAD_MAILBOX;
}

/* ---- parameters ---- */

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool is_keyword(struct slice s)
{
	if (s.n == 0 || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	}
	return true;
}

/* esmtp-value = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)      ; RFC 6531 s3.3 */
static bool is_value(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] == '=' || s.p[i] == 0x7f)
			return false;
	}
	return s.n > 0 && utf8_is_valid(s);
}

/* *( SP esmtp-keyword [ "=" esmtp-value ] ), with more than one SP tolerated */
int param_next(struct slice *rest, struct param *out)
{
	struct slice in = *rest;

	*out = (struct param){0};
	while (in.n > 0 && in.p[0] == ' ')
		in = slice_from(in, 1);
	if (in.n == 0)
		return 0;
	if (in.p == rest->p)
		return -1; /* no blank before it */
	struct slice word = slice_first(in, slice_find(in, ' '));
	*rest = slice_from(in, word.n);
	out->has_value = slice_find(word, '=') < word.n;
	out->keyword = slice_cut(word, '=', &out->value);
	return is_keyword(out->keyword) && (!out->has_value || is_value(out->value)) ? 1 : -1;
}
