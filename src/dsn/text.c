/* SPDX-License-Identifier: MIT */
/*
 * Text of anybody as lines of ours.
 *
 * Knows octets, UTF-8 and widths. Refuses to know what the text says: nothing in it can end a line
 * or begin one in the first column.
 */
#include "dsn/room.h"

#include "base/foreign.h"

enum { WORD_MAX = 900 }; /* a longer word is cut: with its indent it stays below DSN_LINE_MAX */

struct slice text_clean(struct slice s, bool utf8, size_t *used)
{
	bool shown;
	size_t n = foreign_take(s, &shown);

	*used = n == 1 || utf8 ? n : 1;
	return shown && *used == n ? slice_first(s, n) : SLICE_LIT("?");
}

bool text_is_ascii(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((uint8_t)*s > 0x7f)
			return false;
	}
	return true;
}

static void add_clean(struct buf *out, struct slice s, bool utf8)
{
	while (s.n > 0) {
		size_t used;
		buf_add_slice(out, text_clean(s, utf8, &used));
		s = slice_from(s, used);
	}
}

void text_add(struct buf *out, const char *s, bool utf8)
{
	add_clean(out, slice_first(slice_str(s), WORD_MAX), utf8);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The first word of s, or as much of it as may stand on one line, whole characters. */
static struct slice first_word(struct slice s)
{
	size_t n = 0;

	while (n < s.n && !is_blank(s.p[n]))
		n++;
	if (n <= WORD_MAX)
		return slice_first(s, n);
	n = WORD_MAX;
	while (n > WORD_MAX - 4 && (s.p[n] & 0xc0) == 0x80)
		n--;
	return slice_first(s, n);
}

static struct slice skip_blanks(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	return s;
}

void text_fold(struct buf *out, const char *first, const char *next, const char *s, bool utf8)
{
	struct slice rest = skip_blanks(slice_str(s));
	size_t column = strlen(first);
	bool fresh = true; /* no word on this line yet */

	buf_add_str(out, first);
	while (rest.n > 0) {
		struct slice word = first_word(rest);
		if (!fresh && column + 1 + word.n > DSN_LINE_SOFT) {
			buf_add_str(out, "\r\n");
			buf_add_str(out, next);
			column = strlen(next);
			fresh = true;
		}
		if (!fresh)
			buf_add_u8(out, ' ');
		add_clean(out, word, utf8);
		column += word.n + (fresh ? 0 : 1);
		fresh = false;
		rest = skip_blanks(slice_from(rest, word.n));
	}
	buf_add_str(out, "\r\n");
}

void text_field(struct buf *out, const char *name, const char *value, bool utf8)
{
	char first[64];

	if (value == NULL || skip_blanks(slice_str(value)).n == 0)
		return;
	(void)snprintf(first, sizeof(first), "%s: ", name);
	text_fold(out, first, " ", value, utf8);
}
