/* SPDX-License-Identifier: MIT */
/*
 * Edit distance for messages about mistyped words.
 *
 * Knows two words at a time, in a table of fixed size. Refuses to know what the words are for.
 */
#include "base/nearest.h"

#include "base/slice.h"

#include <string.h>

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

static bool same(char a, char b)
{
	return ascii_lower((uint8_t)a) == ascii_lower((uint8_t)b);
}

/* Optimal string alignment: row i, column j is the distance of the first i and j letters. */
size_t nearest_distance(const char *a, const char *b)
{
	size_t d[NEAREST_WORD_MAX + 1][NEAREST_WORD_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);
	if (na > NEAREST_WORD_MAX || nb > NEAREST_WORD_MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			size_t change = same(a[i - 1], b[j - 1]) ? 0 : 1;
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[na][nb];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	size_t limit = strlen(word) / 3;
	if (limit < 1)
		limit = 1;
	for (size_t i = 0; i < n; i++) {
		size_t edits = nearest_distance(word, candidates[i]);
		if (edits > limit || (best && edits == limit))
			continue;
		best = candidates[i];
		limit = edits;
	}
	return best;
}
