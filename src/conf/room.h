/* SPDX-License-Identifier: MIT */
/* conf, inside: what the files of this room share. Nobody else includes this. */
#ifndef CONF_ROOM_H
#define CONF_ROOM_H

#include "base/arena.h"
#include "conf/conf.h"

enum option_type {
	OPTION_STR,
	OPTION_SIZE,
	OPTION_SERVER,
	OPTION_ROUTE,
	OPTION_LIST,
	OPTION_ADDRESSES,
	OPTION_INT,
	OPTION_BOOL,
	OPTION_ENUM,
};

struct option {
	const char *section;
	const char *key;
	size_t offset; /* of the field in struct conf or struct conf_destination */
	const char *def;
	const char *unit;
	const char *doc;
	enum option_type type;
	long min, max;     /* OPTION_INT */
	const char *words; /* OPTION_ENUM: "may|dane", in the order of the enum */
};

struct option_table {
	const struct option *row;
	size_t n;
};

struct option_table conf_options(void);   /* fields of struct conf */
struct option_table conf_overrides(void); /* fields of struct conf_destination */
const struct option *option_find(struct option_table t, const char *section, const char *key);
bool option_is_list(const struct option *o);

/* "SECTION.KEY" that the writer probably meant, or NULL. */
const char *option_nearest(const char *section, const char *key, char *out, size_t room);

/* A configuration while it is being loaded. */
struct loader {
	char *scratch; /* first: see parse.c */
	struct conf conf;
	struct arena mem;
	struct conf_destination *destination; /* grows; becomes conf.destination */
	size_t ndestination, destination_cap;
	const struct conf_hooks *hooks;
	const char *path;    /* of the file that is being read */
	struct slice text;   /* of that file, while it is read */
	struct slice source; /* the same to be kept; p NULL: there is no file */
	size_t line;         /* in it, of what is judged; 0: none */
	const char *key;     /* of the value that is judged; NULL: none */
	char where[512];     /* "FILE:LINE" or "-o SECTION.KEY=VALUE", for messages */
	char *error;
	size_t room;
	bool failed;
};

/* Writes "where: message" once: the first error counts. Always returns false. */
bool loader_fail(struct loader *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds the column to `where`: octet `at` of this value, if the value stands in its line as it is,
 * behind the key when there is one. */
void loader_point(struct loader *l, const char *value, size_t at);

/* Sets one field of `base` from text; lists are appended to. */
bool option_set(struct loader *l, const struct option *o, void *base, const char *text);
void option_clear_list(const struct option *o, void *base);
/* "a number from 1 to 600": what a value has to look like. */
void option_expected(const struct option *o, char *out, size_t room);

/* The section for a destination, made if there is none yet; NULL after loader_fail(): it is no
 * destination, or (in the file) it has a section under another title. */
struct conf_destination *loader_destination(struct loader *l, const char *text, bool in_file);

bool loader_parse(struct loader *l, const char *path, bool must_exist);
/* The same for a text that was read before; p NULL: there was no file. */
bool loader_parse_text(struct loader *l, const char *path, struct slice text);
bool loader_override(struct loader *l, const char *text, bool *seen_list);

#endif
