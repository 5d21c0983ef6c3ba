/* SPDX-License-Identifier: MIT */
/*
 * Header fields and address lists: what can be read without changing anything.
 *
 * Knows the grammar of RFC 5322 with the obsolete forms that programs still write (empty elements,
 * routes, dots in phrases, an address as its own display name), and the UTF-8 of RFC 6532. Refuses
 * to know encoded words: they are atoms, and nobody looks into a display name here.
 */
#include "wire/header.h"

#include <string.h>

/* ---- fields ---- */

/* Index behind the CRLF of the line that begins at `at`; 0: more is needed; < 0: an error. */
static int end_of_line(struct slice in, size_t at)
{
	for (size_t i = at; i < in.n; i++) {
		if (i >= HEADER_FIELD_MAX)
			return HEADER_TOO_LONG;
		if (in.p[i] == '\0')
			return HEADER_NUL;
		if (in.p[i] == '\n')
			return HEADER_BARE_LF;
		if (in.p[i] != '\r')
			continue;
		if (i + 1 == in.n)
			return 0;
		return in.p[i + 1] == '\n' ? (int)i + 2 : HEADER_BARE_CR;
	}
	return 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/*
 *   field-name = 1*ftext                  ; %d33-57 / %d59-126
 *   optional-field = field-name *WSP ":"  ; the blanks are obsolete
 *
 * > 0: index of the colon; 0: more is needed.
 */
static int find_colon(struct slice in, size_t *name)
{
	size_t i = 0;
	in = slice_first(in, HEADER_FIELD_MAX);
	while (i < in.n && in.p[i] > ' ' && in.p[i] < 0x7f && in.p[i] != ':')
		i++;
	*name = i;
	while (i < in.n && is_blank(in.p[i]))
		i++;
	if (*name > 0 && i < in.n && in.p[i] == ':')
		return (int)i;
	return i == in.n && i < HEADER_FIELD_MAX && (i == 0 || *name > 0) ? 0 : HEADER_NOT_A_FIELD;
}

int header_field_parse(struct slice in, struct header_field *out)
{
	size_t name;
	int end = 0;
	if (in.n > 0 && in.p[0] == '\r' && (in.n == 1 || in.p[1] == '\n'))
		return in.n == 1 ? 0 : HEADER_BLANK_LINE;
	int colon = find_colon(in, &name);
	if (colon <= 0)
		return colon;
	do {
		end = end_of_line(in, end > 0 ? (size_t)end : (size_t)colon);
		if (end <= 0)
			return end;
		if ((size_t)end == in.n)
			return 0;
	} while (is_blank(in.p[end]));
	out->name = slice_first(in, name);
	out->body = slice_make(in.p + colon + 1, (size_t)(end - colon) - 3);
	out->raw = slice_first(in, (size_t)end);
	return end;
}

const char *header_strerror(int error)
{
	static const char *const texts[] = {
	    [-HEADER_BLANK_LINE] = "the header section ends",
	    [-HEADER_NOT_A_FIELD] = "not a header field",
	    [-HEADER_BARE_CR] = "a carriage return without a line feed",
	    [-HEADER_BARE_LF] = "a line feed without a carriage return",
	    [-HEADER_NUL] = "a NUL octet",
	    [-HEADER_TOO_LONG] = "a header field that is too long",
	};
	return error < 0 && error >= HEADER_TOO_LONG ? texts[-error] : "no error";
}

/* ---- address lists ---- */

/*
 *   address-list = *([CFWS] ",") address *("," [address / CFWS])
 *   address      = mailbox / group
 *   group        = phrase ":" [mailbox-list / CFWS] ";"
 *   mailbox      = addr-spec / [phrase] "<" [route ":"] addr-spec ">"
 *
 * Which of them it is shows only at the "<", ":" or "," behind the words: they are kept as if they
 * were an address until then.
 */

/* Words that may become an address. */
struct words {
	char *text; /* of HEADER_ADDRESS_MAX octets */
	size_t n;
	bool word;   /* the last thing was an atom or a quoted string */
	bool phrase; /* two of them side by side: no address */
	bool full;   /* longer than any address */
};

static void words_clear(struct words *w)
{
	*w = (struct words){.text = w->text};
}

static void words_add(struct words *w, struct slice s)
{
	if (s.n >= HEADER_ADDRESS_MAX - w->n) {
		w->full = true;
		return;
	}
	memcpy(w->text + w->n, s.p, s.n);
	w->n += s.n;
}

static void words_add_word(struct words *w, struct slice s)
{
	w->phrase = w->phrase || w->word;
	w->word = true;
	words_add(w, s);
}

static void words_add_special(struct words *w, struct slice s)
{
	w->word = false;
	words_add(w, s);
}

static bool is_atext(uint8_t c)
{
	return c > ' ' && c != 0x7f && memchr("()<>[]:;@\\,.\"", c, 13) == NULL;
}

/* Octets of the blank or fold (RFC 5322 s3.2.2) at the start; 0: none; < 0: an error. */
static int blank_at(struct slice in)
{
	if (is_blank(in.p[0]))
		return 1;
	if (in.p[0] == '\r' && in.n > 2 && in.p[1] == '\n' && is_blank(in.p[2]))
		return 3;
	return in.p[0] < ' ' || in.p[0] == 0x7f ? ADDRESS_LIST_CONTROL : 0;
}

/* One octet, quoted pair or fold inside of a comment, quoted string or literal. */
static int inner_at(struct slice in)
{
	int blank = blank_at(in);
	if (blank != 0)
		return blank;
	if (in.p[0] != '\\')
		return 1;
	if (in.n == 1)
		return ADDRESS_LIST_UNCLOSED;
	return in.p[1] < ' ' || in.p[1] == 0x7f ? ADDRESS_LIST_CONTROL : 2;
}

/* Comments nest; a counter instead of recursion: any depth costs the same. */
static int skip_comment(struct slice in)
{
	size_t i = 0, depth = 0;
	while (i < in.n) {
		int n = inner_at(slice_from(in, i));
		if (n < 0)
			return n;
		if (n == 1 && in.p[i] == '(')
			depth++;
		if (n == 1 && in.p[i] == ')')
			depth--;
		i += (size_t)n;
		if (depth == 0)
			return (int)i;
	}
	return ADDRESS_LIST_UNCLOSED;
}

/* A quoted string or literal with its delimiters; folds become the blank behind them. */
static int take_delimited(struct slice in, uint8_t close, struct words *w)
{
	for (size_t i = 1; i < in.n;) {
		int n = inner_at(slice_from(in, i));
		if (n < 0)
			return n;
		size_t skip = n == 3 ? 2 : 0;
		words_add(w, slice_make(in.p + i + skip, (size_t)n - skip));
		if (n == 1 && in.p[i] == close)
			return (int)i + 1;
		i += (size_t)n;
	}
	return ADDRESS_LIST_UNCLOSED;
}

static int take_atom(struct slice in, struct words *w)
{
	size_t n = 1;
	while (n < in.n && is_atext(in.p[n]))
		n++;
	words_add_word(w, slice_first(in, n));
	return (int)n;
}

/* What belongs to an address or a phrase, or to neither (blanks, comments). 0: something else. */
static int take_part(struct slice in, struct words *w)
{
	int blank = blank_at(in);
	if (blank != 0)
		return blank;
	switch (in.p[0]) {
	case '(':
		return skip_comment(in);
	case '"':
		words_add_word(w, slice_first(in, 1));
		return take_delimited(in, '"', w);
	case '[':
		words_add_special(w, slice_first(in, 1));
		w->word = true;
		return take_delimited(in, ']', w);
	case '.':
	case '@':
		words_add_special(w, slice_first(in, 1));
		return 1;
	default:
		return is_atext(in.p[0]) ? take_atom(in, w) : 0;
	}
}

/* All parts up to the special character that decides. *stop: that one; NUL at the end. */
static int take_parts(struct slice *in, struct words *w, uint8_t *stop)
{
	*stop = '\0';
	while (in->n > 0) {
		int n = take_part(*in, w);
		if (n < 0)
			return n;
		if (n == 0) {
			*stop = in->p[0];
			*in = slice_from(*in, 1);
			return 0;
		}
		*in = slice_from(*in, (size_t)n);
	}
	return 0;
}

static int finish(struct words *w)
{
	if (w->phrase)
		return ADDRESS_LIST_PHRASE;
	if (w->full)
		return ADDRESS_LIST_TOO_LONG;
	w->text[w->n] = '\0';
	return 1;
}

static int bad_stop(uint8_t stop)
{
	return stop == '\0' ? ADDRESS_LIST_UNCLOSED : ADDRESS_LIST_UNEXPECTED;
}

/* Behind the "<": [route ":"] addr-spec ">", and then nothing but blanks and comments. A route
 * (RFC 5322 s4.4) ends in the only colon that may stand here; its commas divide nothing. */
static int take_angle(struct slice *in, struct words *w, uint8_t *stop)
{
	bool route = false;
	uint8_t c;
	do {
		int e = take_parts(in, w, &c);
		bool at = w->n > 0 && w->text[0] == '@';
		if (e < 0)
			return e;
		if (c == ':' && at) {
			words_clear(w);
			route = false;
		} else if (c == ',' && (at || w->n == 0)) {
			route = true;
		} else if (c != '>' || route) {
			return bad_stop(c);
		}
	} while (c != '>');
	if (w->n == 0 && !w->full)
		return ADDRESS_LIST_EMPTY;
	char none[HEADER_ADDRESS_MAX];
	struct words behind = {.text = none};
	int e = take_parts(in, &behind, stop);
	if (e < 0)
		return e;
	return behind.n > 0 || behind.full ? ADDRESS_LIST_BEHIND : finish(w);
}

/* Does the character behind a mailbox end it here? Leaves a group at its ";". */
static bool is_end(struct address_list *l, uint8_t stop)
{
	bool close = stop == ';' && l->group;
	if (close)
		l->group = false;
	return close || stop == ',' || (stop == '\0' && !l->group);
}

int address_list_next(struct address_list *l, char out[static HEADER_ADDRESS_MAX])
{
	struct words w = {.text = out};
	uint8_t stop;
	do {
		words_clear(&w);
		int got = take_parts(&l->rest, &w, &stop);
		if (got < 0)
			return got;
		if (stop == ':' && !l->group && (w.n > 0 || w.full)) {
			l->group = true;
			continue;
		}
		if (stop == '<') {
			words_clear(&w);
			got = take_angle(&l->rest, &w, &stop);
		} else if (w.n > 0 || w.full) {
			got = finish(&w);
		}
		if (got < 0)
			return got;
		if (!is_end(l, stop))
			return bad_stop(stop);
		if (got > 0)
			return got;
	} while (stop != '\0');
	return 0;
}

const char *address_list_strerror(int error)
{
	static const char *const texts[] = {
	    [-ADDRESS_LIST_CONTROL] = "a control character",
	    [-ADDRESS_LIST_UNCLOSED] = "a comment, quoted string, group or '<' has no end",
	    [-ADDRESS_LIST_PHRASE] = "words that are no address",
	    [-ADDRESS_LIST_EMPTY] = "an empty address",
	    [-ADDRESS_LIST_BEHIND] = "something stands behind '>'",
	    [-ADDRESS_LIST_UNEXPECTED] = "a character that means nothing at its place",
	    [-ADDRESS_LIST_TOO_LONG] = "an address that is too long",
	};
	return error < 0 && error >= ADDRESS_LIST_TOO_LONG ? texts[-error] : "no error";
}
