/* SPDX-License-Identifier: MIT */
/*
 * What foreign text may not do.
 *
 * Knows the characters that act. Refuses to know who looks at the text.
 */
#include "base/foreign.h"

#include "base/utf8.h"

static const struct {
	uint32_t first, last;
} controls[] = {
    {0x0000, 0x001f}, /* C0 */
    {0x007f, 0x009f}, /* DEL, C1 */
    {0x061c, 0x061c}, /* Arabic letter mark */
    {0x200e, 0x200f}, /* left-to-right and right-to-left mark */
    {0x2028, 0x2029}, /* line and paragraph separator */
    {0x202a, 0x202e}, /* embeddings and overrides of the direction */
    {0x2066, 0x206f}, /* isolates, and their deprecated kin */
};

bool foreign_is_control(uint32_t c)
{
	for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
		if (c >= controls[i].first && c <= controls[i].last)
			return true;
	}
	return false;
}

size_t foreign_take(struct slice s, bool *shown)
{
	uint32_t c;
	size_t n = utf8_take(s, &c);

	*shown = n > 0 && !foreign_is_control(c);
	return n > 0 ? n : 1;
}

bool foreign_is_plain(struct slice s)
{
	bool shown = true;

	while (s.n > 0 && shown)
		s = slice_from(s, foreign_take(s, &shown));
	return shown;
}

void foreign_escape(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		bool shown;
		size_t n = foreign_take(s, &shown);
		if (shown)
			buf_add(out, s.p, n);
		for (size_t i = 0; !shown && i < n; i++)
			buf_addf(out, "\\x%02x", s.p[i]);
		s = slice_from(s, n);
	}
}
