/* SPDX-License-Identifier: MIT */
/* base: "did you mean ...?": which of some known words did a person most likely want to type. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

enum { NEAREST_WORD_MAX = 64 }; /* longer words are never near anything */

/* The candidate with the fewest insertions, deletions, replacements and swaps of neighbours (the
 * first one of equals), or NULL when none is near: at most one edit per three letters. ASCII case
 * is ignored. Pure; any thread. */
const char *nearest_word(const char *word, const char *const *candidates, size_t n);

/* The number of such edits; SIZE_MAX when a word is longer than NEAREST_WORD_MAX. */
size_t nearest_distance(const char *a, const char *b);

#endif
