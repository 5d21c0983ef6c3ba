/* SPDX-License-Identifier: MIT */
/*
 * The options table as data.
 *
 * Knows the rows of options.tbl and where each one's field lies. Refuses to know how values get
 * there.
 */
#include "conf/room.h"

#include "base/nearest.h"

#include <stddef.h>

#define T_STR .type = OPTION_STR
#define T_SIZE .type = OPTION_SIZE
#define T_SERVER .type = OPTION_SERVER
#define T_ROUTE .type = OPTION_ROUTE
#define T_LIST .type = OPTION_LIST
#define T_ADDRESSES .type = OPTION_ADDRESSES
#define T_INT(lo, hi) .type = OPTION_INT, .min = (lo), .max = (hi)
#define T_BOOL .type = OPTION_BOOL
#define T_ENUM(ctype, list) .type = OPTION_ENUM, .words = (list)

static const struct option options[] = {
#define OPTION(s, k, f, t, d, u, text)                                                             \
	{.section = s,                                                                             \
	 .key = k,                                                                                 \
	 .offset = offsetof(struct conf, f),                                                       \
	 .def = d,                                                                                 \
	 .unit = u,                                                                                \
	 .doc = text,                                                                              \
	 t},
#include "conf/options.tbl"
};

static const struct option overrides[] = {
#define OVERRIDE(k, f, t, text)                                                                    \
	{.section = "destination",                                                                 \
	 .key = k,                                                                                 \
	 .offset = offsetof(struct conf_destination, f),                                           \
	 .unit = "",                                                                               \
	 .doc = text,                                                                              \
	 t},
#include "conf/options.tbl"
};

enum { NOPTIONS = sizeof options / sizeof options[0], NAME_MAX_OCTETS = 64 };

struct option_table conf_options(void)
{
	return (struct option_table){.row = options, .n = NOPTIONS};
}

struct option_table conf_overrides(void)
{
	return (struct option_table){.row = overrides, .n = sizeof overrides / sizeof overrides[0]};
}

const struct option *option_find(struct option_table t, const char *section, const char *key)
{
	for (size_t i = 0; i < t.n; i++)
		if (strcmp(t.row[i].section, section) == 0 && strcmp(t.row[i].key, key) == 0)
			return &t.row[i];
	return NULL;
}

bool option_is_list(const struct option *o)
{
	return o->type == OPTION_LIST || o->type == OPTION_ADDRESSES;
}

/* The right key in the wrong section says more than a few changed letters. */
static const struct option *in_another_section(const char *key)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (strcmp(options[i].key, key) == 0)
			return &options[i];
	return NULL;
}

static const char *nearest_override(const char *key, char *out, size_t room)
{
	struct option_table t = conf_overrides();
	const char *keys[sizeof overrides / sizeof overrides[0]];
	for (size_t i = 0; i < t.n; i++)
		keys[i] = t.row[i].key;
	const char *best = nearest_word(key, keys, t.n);
	if (!best)
		return NULL;
	snprintf(out, room, "%s", best);
	return out;
}

const char *option_nearest(const char *section, const char *key, char *out, size_t room)
{
	if (strcmp(section, "destination") == 0)
		return nearest_override(key, out, room);
	const struct option *exact = in_another_section(key);
	if (exact) {
		snprintf(out, room, "%s.%s", exact->section, exact->key);
		return out;
	}
	char name[NOPTIONS][NAME_MAX_OCTETS];
	const char *names[NOPTIONS];
	for (size_t i = 0; i < NOPTIONS; i++) {
		snprintf(name[i], sizeof name[i], "%s.%s", options[i].section, options[i].key);
		names[i] = name[i];
	}
	char word[NEAREST_WORD_MAX * 2];
	snprintf(word, sizeof word, "%s%s%s", section, *section ? "." : "", key);
	const char *best = nearest_word(word, names, NOPTIONS);
	if (!best)
		return NULL;
	snprintf(out, room, "%s", best);
	return out;
}
