/* SPDX-License-Identifier: MIT */
/*
 * The normal form of a destination as people write it: with U-labels, fullwidth letters, an
 * ideographic full stop.
 *
 * Knows where IDNA has its place: names only, and only after it is known that the text is no
 * literal. Refuses to know what the destination is for.
 */
#include "idn/idn.h"

#include "wire/destination.h"

#include <string.h>

typedef enum destination_error normaliser(struct slice text, char out[static DESTINATION_ROOM]);

/* What IDNA makes of a text must be a name: it maps fullwidth brackets and stars too. */
static enum idn_error name_of(const char *text, char *out, const char **why)
{
	char ascii[DESTINATION_ROOM];
	enum idn_error e = idn_to_ascii(text, ascii, sizeof(ascii));
	*why = idn_strerror(e);
	if (e != IDN_OK)
		return e;
	bool literal = ascii[0] == '[';
	enum destination_error d =
	    literal ? DESTINATION_BAD_NAME : destination_normalise(slice_str(ascii), out);
	*why = destination_strerror(d);
	return d == DESTINATION_OK ? IDN_OK : IDN_DISALLOWED;
}

static enum idn_error plain(normaliser *f, const char *text, char *out, const char **why)
{
	enum destination_error d = f(slice_str(text), out);
	*why = destination_strerror(d);
	return d == DESTINATION_OK ? IDN_OK : d == DESTINATION_EMPTY ? IDN_EMPTY : IDN_DISALLOWED;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((uint8_t)*text >= 0x80)
			return false;
	return true;
}

static bool has_alabel(const char *text)
{
	struct slice rest = slice_str(text);
	while (rest.n > 0)
		if (slice_starts_nocase(slice_cut(rest, '.', &rest), "xn--"))
			return true;
	return false;
}

/* `prefix` octets of the text are the "*." of a pattern, which IDNA must not see. */
static enum idn_error normalise(normaliser *f, const char *text, size_t prefix, char *out,
				const char **why)
{
	char name[DESTINATION_ROOM];
	const char *unused;
	out[0] = '\0';
	why = why != NULL ? why : &unused;
	if (is_ascii(text) && !has_alabel(text + prefix))
		return plain(f, text, out, why);
	enum idn_error e = name_of(text + prefix, name, why);
	if (e != IDN_OK)
		return e;
	char whole[DESTINATION_ROOM + 2];
	snprintf(whole, sizeof(whole), "%.*s%s", (int)prefix, text, name);
	return plain(f, whole, out, why);
}

enum idn_error idn_destination(const char *text, char *out, const char **why)
{
	return normalise(destination_normalise, text, 0, out, why);
}

enum idn_error idn_destination_pattern(const char *text, char *out, const char **why)
{
	size_t prefix = strncmp(text, "*.", 2) == 0 ? 2 : 0;
	return normalise(destination_normalise_pattern, text, prefix, out, why);
}
