/* SPDX-License-Identifier: MIT */
/*
 * conf: danelaw.conf(5) and the command line's -o as one typed struct (libconfuse).
 *
 * Every option is one row of options.tbl; the fields below are generated from it. A loaded
 * configuration is immutable and complete: defaults are filled in, values are checked. Text options
 * that are empty are NULL; lists are NULL-terminated and never NULL themselves. All pointers live
 * as long as the configuration. Not thread-safe (libconfuse's scanner has globals).
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/slice.h"
#include "dane/policy.h"
#include "log/log.h"
#include "selfcheck/policy.h"

#include <stdio.h>

#define CONF_DEFAULT_PATH "/etc/danelaw/danelaw.conf"

enum {
	CONF_LIST_MAX = 4096,          /* entries of one list */
	CONF_DESTINATIONS_MAX = 65536, /* sections */
};

enum verify_recipients { VERIFY_NO, VERIFY_TABLE };

/* The C type of each option type, for the two structs only. */
#define T_STR const char *
#define T_SIZE const char *
#define T_SERVER const char *
#define T_ROUTE const char *
#define T_LIST const char *const *
#define T_ADDRESSES const char *const *
#define T_INT(min, max) long
#define T_BOOL bool
#define T_ENUM(ctype, words) ctype

/* One section: destination "NAME" { ... }. */
struct conf_destination {
	const char *pattern; /* a pattern in normal form (wire/destination.h) */
	const char *title;   /* as the file has it; NULL: it comes from -o alone */
	unsigned set;        /* bit n: the n-th OVERRIDE row was given */
#define OVERRIDE(key, field, type, doc) type field;
#include "conf/options.tbl"
};

struct conf {
#define OPTION(section, key, field, type, def, unit, doc) type field; /* e.g. dns_timeout */
#include "conf/options.tbl"
	bool dns_unbound_typed; /* dns.unbound comes from -o */
	const struct conf_destination *destination;
	size_t ndestination;
};

#undef T_STR
#undef T_SIZE
#undef T_SERVER
#undef T_ROUTE
#undef T_LIST
#undef T_ADDRESSES
#undef T_INT
#undef T_BOOL
#undef T_ENUM

/* What conf needs from other rooms; the pointer may be NULL. */
struct conf_hooks {
	/* The normal form of a destination's title (DESTINATION_ROOM octets;
	   idn_destination_pattern). NULL return: fine; else why not. Without the hook titles must
	   be ASCII. */
	const char *(*normalise)(const char *title, char *out);
};

/*
 * path NULL: CONF_DEFAULT_PATH if it exists; a path that is given must exist.
 * overrides: n times "SECTION.KEY=VALUE", or "destination.NAME.KEY=VALUE". For a list the first
 * override replaces the file's list and further ones append; an empty value appends nothing.
 * dns.anchor is filled with the first existing default when it is empty, and stays empty when
 * there is none.
 * NULL on error; then `error` says where, what, and what was expected.
 */
struct conf *conf_load(const char *path, const char *const *overrides, size_t n,
		       const struct conf_hooks *hooks, char *error, size_t room);
void conf_free(struct conf **c);

/*
 * What a configuration was read from, as it was then: whoever reads it again gets the same one,
 * whatever has become of the file. Lives as long as the configuration.
 */
struct conf_source {
	const char *path;  /* of the file, for messages */
	struct slice text; /* p NULL: there was no file */
	const char *const *override;
	size_t noverride; /* with what was found by a search */
};
const struct conf_source *conf_source_of(const struct conf *c);
struct conf *conf_load_source(const struct conf_source *s, const struct conf_hooks *hooks,
			      char *error, size_t room);

/* What holds for one destination (wire/destination.h, in any ASCII form): policy.*, overridden by
 * the most specific matching section (the destination itself, else the longest wildcard). One
 * section counts, they do not add up. NULL: the general policy. A text that is no destination at
 * all gets level dane-only: nobody has allowed anything weaker for it. */
void conf_policy_for(const struct conf *c, const char *destination, struct dane_policy *out);

/* Does this section say something of the level? */
bool conf_destination_has_level(const struct conf_destination *d);

/* The pattern of the section that the level comes from; NULL: it is policy.level. */
const char *conf_level_pattern(const struct conf *c, const char *destination);

/* The section that counts for a destination, matching as above; NULL: none. */
const struct conf_destination *conf_destination_for(const struct conf *c, const char *destination);

/* The configured next hop of a destination (wire/route.h), as written; NULL: none. Matching as
 * above. */
const char *conf_route_for(const struct conf *c, const char *destination);

/* Is the route of this destination a submission server (S1)? NULL: is any route? */
bool conf_has_submission(const struct conf *c, const char *destination);

/* For `danelaw --help-options`: name, default, unit, documentation of every option. */
bool conf_print_options(FILE *f);
/* The same as mdoc(7) list items: the option part of danelaw.conf(5). */
bool conf_print_mdoc(FILE *f);

#endif
