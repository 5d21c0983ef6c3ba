/* SPDX-License-Identifier: MIT */
/*
 * One value: text in, typed field out, or a sentence that says what was expected.
 *
 * Knows the option types. Refuses to know whether the text came from a file or from -o.
 */
#include "conf/room.h"

#include "wire/route.h"

#include "wire/ipaddr.h"

#include <stdarg.h>

_Static_assert(sizeof(enum dane_level) == sizeof(unsigned) &&
		   sizeof(enum log_level) == sizeof(unsigned),
	       "enum fields are written as unsigned");

bool loader_fail(struct loader *l, const char *fmt, ...)
{
	if (l->failed)
		return false;
	l->failed = true;
	if (l->room == 0)
		return false;
	int n = 0;
	if (l->where[0])
		n = snprintf(l->error, l->room, "%s: ", l->where);
	if (n < 0 || (size_t)n >= l->room)
		return false;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(l->error + n, l->room - (size_t)n, fmt, ap);
	va_end(ap);
	/* One line, whatever the value was: a string whose quote is missing runs over many. */
	for (char *c = l->error; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return false;
}

static void *field(const struct option *o, void *base)
{
	return (char *)base + o->offset;
}

/* --- checks ---------------------------------------------------------------------------------- */

static bool to_bool(const char *text, bool *out)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (!slice_eq_nocase_str(slice_str(text), words[i]))
			continue;
		*out = i % 2 == 1;
		return true;
	}
	return false;
}

static bool to_int(const struct option *o, const char *text, long *out)
{
	uint64_t v;
	if (!slice_to_u64(slice_str(text), (uint64_t)o->max, &v) || (long)v < o->min)
		return false;
	*out = (long)v;
	return true;
}

static bool to_word(const char *words, const char *text, unsigned *out)
{
	struct slice rest = slice_str(words);
	for (unsigned i = 0; rest.n > 0; i++) {
		struct slice word = slice_cut(rest, '|', &rest);
		if (slice_eq_str(word, text)) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool is_size(const char *text)
{
	struct slice s = slice_str(text);
	if (s.n > 1 && memchr("kmgKMG", s.p[s.n - 1], 6))
		s.n--;
	uint64_t v;
	return slice_to_u64(s, UINT32_MAX, &v) && v > 0;
}

static bool is_server(const char *text)
{
	struct slice port, address = slice_cut(slice_str(text), '@', &port);
	struct ipaddr ip;
	uint64_t v;
	if (!ipaddr_from_text(address, &ip))
		return false;
	if (address.n == strlen(text))
		return true;
	return slice_to_u64(port, UINT16_MAX, &v) && v > 0;
}

static bool is_address(const char *text)
{
	struct ipaddr ip;
	return ipaddr_from_text(slice_str(text), &ip);
}

/* --- writing --------------------------------------------------------------------------------- */

static bool set_text(struct loader *l, void *to, const char *text)
{
	const char *copy = *text ? arena_strdup(&l->mem, text) : NULL;
	if (*text && !copy)
		return loader_fail(l, "out of memory");
	memcpy(to, &copy, sizeof copy);
	return true;
}

static bool append(struct loader *l, const struct option *o, void *to, const char *text)
{
	const char *const *old;
	memcpy(&old, to, sizeof old);
	size_t n = 0;
	while (old && old[n])
		n++;
	if (n >= CONF_LIST_MAX)
		return loader_fail(l, "%s.%s: more than %d entries", o->section, o->key,
				   CONF_LIST_MAX);
	const char **list = arena_array(&l->mem, n + 2, sizeof *list);
	const char *copy = arena_strdup(&l->mem, text);
	if (!list || !copy)
		return loader_fail(l, "out of memory");
	if (n > 0)
		memcpy(list, old, n * sizeof *list);
	list[n] = copy;
	memcpy(to, &list, sizeof list);
	return true;
}

void option_clear_list(const struct option *o, void *base)
{
	static const char *const empty[] = {NULL};
	const char *const *list = empty;
	memcpy(field(o, base), &list, sizeof list);
}

void option_expected(const struct option *o, char *out, size_t room)
{
	switch (o->type) {
	case OPTION_INT:
		snprintf(out, room, "a number from %ld to %ld", o->min, o->max);
		return;
	case OPTION_ENUM:
		snprintf(out, room, "one of %s", o->words);
		return;
	case OPTION_BOOL:
		snprintf(out, room, "yes or no");
		return;
	case OPTION_SIZE:
		snprintf(out, room, "a size such as 64m");
		return;
	case OPTION_SERVER:
		snprintf(out, room, "an IP address, if need be with @PORT");
		return;
	case OPTION_ROUTE:
		snprintf(out, room, "a next hop such as [HOST]:PORT or lmtp:unix:/PATH");
		return;
	case OPTION_ADDRESSES:
		snprintf(out, room, "IP addresses");
		return;
	case OPTION_STR:
	case OPTION_LIST:
		snprintf(out, room, "text");
		return;
	}
}

static bool mismatch(struct loader *l, const struct option *o, const char *text)
{
	char expected[128];
	option_expected(o, expected, sizeof expected);
	loader_point(l, text, 0);
	return loader_fail(l, "%s.%s: expected %s, got \"%.80s\"", o->section, o->key, expected,
			   text);
}

static bool check_route(struct loader *l, const struct option *o, const char *text)
{
	struct route r;
	size_t at;
	enum route_error e = route_parse(slice_str(text), &r, &at);
	if (e == ROUTE_OK)
		return true;
	loader_point(l, text, at);
	return loader_fail(l, "%s.%s: %s, got \"%.80s\"", o->section, o->key, route_strerror(e),
			   text);
}

bool option_set(struct loader *l, const struct option *o, void *base, const char *text)
{
	void *to = field(o, base);
	bool flag;
	long number;
	unsigned word;
	switch (o->type) {
	case OPTION_STR:
		return set_text(l, to, text);
	case OPTION_SIZE:
		return is_size(text) ? set_text(l, to, text) : mismatch(l, o, text);
	case OPTION_SERVER:
		return !*text || is_server(text) ? set_text(l, to, text) : mismatch(l, o, text);
	case OPTION_ROUTE:
		return !*text || check_route(l, o, text) ? set_text(l, to, text) : false;
	case OPTION_LIST:
		return !*text || append(l, o, to, text);
	case OPTION_ADDRESSES:
		if (*text && !is_address(text))
			return mismatch(l, o, text);
		return !*text || append(l, o, to, text);
	case OPTION_INT:
		if (!to_int(o, text, &number))
			return mismatch(l, o, text);
		memcpy(to, &number, sizeof number);
		return true;
	case OPTION_BOOL:
		if (!to_bool(text, &flag))
			return mismatch(l, o, text);
		memcpy(to, &flag, sizeof flag);
		return true;
	case OPTION_ENUM:
		if (!to_word(o->words, text, &word))
			return mismatch(l, o, text);
		memcpy(to, &word, sizeof word);
		return true;
	}
	return false;
}
