/* SPDX-License-Identifier: MIT */
/*
 * One line of the users' file. Pure.
 *
 * Knows the form. Refuses to repair it, and to know whether a hash is any good (method.c).
 */
#include "users/room.h"

#include "base/utf8.h"

static bool is_control(uint8_t c)
{
	return c < ' ' || c == 0x7f;
}

static bool is_utf8(struct slice s)
{
	while (s.n > 0) {
		size_t n = utf8_next(s);
		if (n == 0)
			return false;
		s = slice_from(s, n);
	}
	return true;
}

const char *users_name_error(struct slice name)
{
	if (name.n == 0)
		return "an empty name";
	if (name.n > USERS_NAME_MAX)
		return "a name of more than 255 octets";
	if (name.p[0] == '#')
		return "a name that begins with #";
	for (size_t i = 0; i < name.n; i++) {
		if (is_control(name.p[i]) || name.p[i] == ' ')
			return "a blank or control character in the name";
		if (name.p[i] == ':')
			return "a colon in the name";
	}
	return is_utf8(name) ? NULL : "a name that is not UTF-8";
}

/* The alphabet of crypt(5): printable, without blanks and : ; * ! \ (those mark a locked user). */
static const char *hash_error(struct slice hash)
{
	if (hash.n == 0)
		return "an empty password hash";
	if (hash.n > USERS_HASH_MAX)
		return "a password hash of more than 383 octets";
	for (size_t i = 0; i < hash.n; i++) {
		uint8_t c = hash.p[i];
		if (c <= ' ' || c > '~' || c == ';' || c == '*' || c == '!' || c == '\\')
			return "no password hash after the name (put # before a line to disable "
			       "it)";
	}
	return NULL;
}

static const char *characters_error(struct slice line)
{
	if (line.n > USERS_LINE_MAX)
		return "a line of more than 2048 octets";
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '\r')
			return "a carriage return (lines end with a line feed alone)";
		if (is_control(line.p[i]) && line.p[i] != '\t')
			return "a control character";
	}
	return NULL;
}

/* line = *WSP ["#" ...] / name ":" hash [":" comment] */
const char *users_line_parse(struct slice line, struct users_line *out)
{
	struct slice rest;
	*out = (struct users_line){0};
	const char *wrong = characters_error(line);
	if (wrong != NULL)
		return wrong;
	struct slice text = slice_trim(line);
	if (text.n == 0 || text.p[0] == '#')
		return NULL;
	if (slice_find(line, ':') == line.n)
		return "no colon: a line is name:hash or name:hash:comment";
	struct slice name = slice_cut(line, ':', &rest);
	wrong = users_name_error(name);
	if (wrong != NULL)
		return wrong;
	struct slice hash = slice_first(rest, slice_find(rest, ':'));
	wrong = hash_error(hash);
	if (wrong != NULL)
		return wrong;
	*out = (struct users_line){name, hash, slice_from(rest, hash.n)};
	return NULL;
}

bool users_line_next(struct slice *rest, struct slice *line)
{
	if (rest->n == 0)
		return false;
	size_t n = slice_find(*rest, '\n');
	*line = slice_first(*rest, n);
	*rest = slice_from(*rest, n + 1);
	return true;
}
