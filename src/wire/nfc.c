/* SPDX-License-Identifier: MIT */
/*
 * NFC: take the text apart, sort its marks, put it together, and look whether it has changed.
 *
 * Knows the algorithm of UAX 15 and that of Hangul (Unicode Standard s3.12). Refuses to repair: an
 * address that is rewritten is another address.
 */
#include "wire/nfc.h"

#include "base/utf8.h"

#include <string.h>

enum {
	FIRST_COMBINING = 0x300, /* below, every text is normal */
	/* Nothing decomposes into more characters than twice its octets in UTF-8. */
	CHARACTERS_MAX = 2 * NFC_TEXT_MAX,
	PARTS_MAX = 4, /* of one character */
	HANGUL_S = 0xac00,
	HANGUL_L = 0x1100,
	HANGUL_V = 0x1161,
	HANGUL_T = 0x11a7,
	HANGUL_NL = 19,
	HANGUL_NV = 21,
	HANGUL_NT = 28,
	HANGUL_NS = HANGUL_NL * HANGUL_NV * HANGUL_NT,
};

struct class_run {
	uint32_t first, last;
	uint8_t class;
};
static const struct class_run classes[] = {
#define CLASS(first, last, class) {first, last, class},
#define SPLIT(c, first, second)
#define JOIN(first, second, c)
#include "wire/nfc.tbl"
#undef CLASS
#undef SPLIT
#undef JOIN
};

struct pair {
	uint32_t c, first, second;
};
static const struct pair splits[] = {
#define CLASS(first, last, class)
#define SPLIT(c, first, second) {c, first, second},
#define JOIN(first, second, c)
#include "wire/nfc.tbl"
#undef CLASS
#undef SPLIT
#undef JOIN
};
static const struct pair joins[] = {
#define CLASS(first, last, class)
#define SPLIT(c, first, second)
#define JOIN(first, second, c) {c, first, second},
#include "wire/nfc.tbl"
#undef CLASS
#undef SPLIT
#undef JOIN
};

/* ---- the tables ---- */

/* 0: a starter. */
static uint8_t class_of(uint32_t c)
{
	size_t low = 0, high = sizeof classes / sizeof classes[0];

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (c > classes[middle].last)
			low = middle + 1;
		else if (c < classes[middle].first)
			high = middle;
		else
			return classes[middle].class;
	}
	return 0;
}

static const struct pair *find_split(uint32_t c)
{
	size_t low = 0, high = sizeof splits / sizeof splits[0];

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (c == splits[middle].c)
			return &splits[middle];
		if (c > splits[middle].c)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static uint32_t find_join(uint32_t first, uint32_t second)
{
	size_t low = 0, high = sizeof joins / sizeof joins[0];
	uint64_t wanted = (uint64_t)first << 32 | second;

	while (low < high) {
		size_t middle = (low + high) / 2;
		uint64_t here = (uint64_t)joins[middle].first << 32 | joins[middle].second;
		if (wanted == here)
			return joins[middle].c;
		if (wanted > here)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* ---- the steps ---- */

/* The parts of one character, in order; how many. */
static size_t split_character(uint32_t c, uint32_t out[static PARTS_MAX])
{
	uint32_t tail[PARTS_MAX];
	size_t ntail = 0, n = 0;

	if (c >= HANGUL_S && c < HANGUL_S + HANGUL_NS) {
		uint32_t s = c - HANGUL_S;
		out[n++] = HANGUL_L + s / (HANGUL_NV * HANGUL_NT);
		out[n++] = HANGUL_V + s % (HANGUL_NV * HANGUL_NT) / HANGUL_NT;
		if (s % HANGUL_NT != 0)
			out[n++] = HANGUL_T + s % HANGUL_NT;
		return n;
	}
	for (const struct pair *p; ntail < PARTS_MAX - 1 && (p = find_split(c)) != NULL;
	     c = p->first) {
		if (p->second != 0) /* only first parts have parts */
			tail[ntail++] = p->second;
	}
	out[n++] = c;
	while (ntail > 0)
		out[n++] = tail[--ntail];
	return n;
}

/* The character that the two make; 0: none. */
static uint32_t join_characters(uint32_t a, uint32_t b)
{
	if (a >= HANGUL_L && a < HANGUL_L + HANGUL_NL && b >= HANGUL_V && b < HANGUL_V + HANGUL_NV)
		return HANGUL_S +
		       ((a - HANGUL_L) * HANGUL_NV + (b - HANGUL_V)) * (uint32_t)HANGUL_NT;
	if (a >= HANGUL_S && a < HANGUL_S + HANGUL_NS && (a - HANGUL_S) % HANGUL_NT == 0 &&
	    b > HANGUL_T && b < HANGUL_T + HANGUL_NT)
		return a + (b - HANGUL_T);
	return find_join(a, b);
}

/* The last character moves before those of a higher class, and not beyond a starter. */
static void sort_last(uint32_t *text, size_t n)
{
	uint32_t c = text[n - 1];
	uint8_t class = class_of(c);
	size_t at = n - 1;

	while (class != 0 && at > 0 && class_of(text[at - 1]) > class) {
		text[at] = text[at - 1];
		at--;
	}
	text[at] = c;
}

/* In place; what is left of it. */
static size_t compose(uint32_t *text, size_t n)
{
	size_t out = 0, starter = n; /* n: none yet */
	uint8_t last = 0;            /* class of what was kept since the starter */

	for (size_t i = 0; i < n; i++) {
		uint32_t c = text[i];
		uint8_t class = class_of(c);
		bool beside = starter < n && out == starter + 1;
		bool reaches = starter < n && (beside || (last < class && last != 0));
		uint32_t joined = reaches ? join_characters(text[starter], c) : 0;
		if (joined != 0) {
			text[starter] = joined;
			continue;
		}
		if (class == 0)
			starter = out;
		last = class;
		text[out++] = c;
	}
	return out;
}

bool nfc_is_normal(struct slice s)
{
	uint32_t given[NFC_TEXT_MAX], made[CHARACTERS_MAX];
	size_t ngiven = 0, n = 0;
	bool simple = true;

	if (s.n > NFC_TEXT_MAX)
		return false;
	while (s.n > 0) {
		size_t octets = utf8_take(s, &given[ngiven]);
		if (octets == 0)
			return false;
		simple = simple && given[ngiven] < FIRST_COMBINING;
		ngiven++;
		s = slice_from(s, octets);
	}
	for (size_t i = 0; i < ngiven && !simple; i++) {
		uint32_t part[PARTS_MAX];
		size_t parts = split_character(given[i], part);
		for (size_t k = 0; k < parts && n < CHARACTERS_MAX; k++) {
			made[n++] = part[k];
			sort_last(made, n);
		}
	}
	return simple ||
	       (compose(made, n) == ngiven && memcmp(made, given, ngiven * sizeof given[0]) == 0);
}
