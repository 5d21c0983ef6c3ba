/* SPDX-License-Identifier: MIT */
/*
 * Loading: defaults, then the file, then -o, then what depends on the machine.
 *
 * Knows the order in which the sources count. Refuses to know any single option, except where its
 * default is a search.
 */
#include "conf/room.h"

#include "wire/destination.h"

#include <unistd.h>

enum {
	MEMORY_MAX = 64 * 1024 * 1024, /* stops a runaway configuration, not a large one */
	OVERRIDE_MAX = 4096,
};

/* What conf_load() hands out is the first member. */
struct owned {
	struct conf conf;
	struct arena mem;
	struct conf_destination *destination;
	struct conf_source source;
};

static bool set_defaults(struct loader *l)
{
	struct option_table t = conf_options();
	for (size_t i = 0; i < t.n; i++) {
		if (option_is_list(&t.row[i]))
			option_clear_list(&t.row[i], &l->conf);
		if (!option_set(l, &t.row[i], &l->conf, t.row[i].def))
			return false;
	}
	return true;
}

/* What is found is part of the source: the next reader is not to find another one. */
static bool find_anchor(struct loader *l, struct conf_source *source)
{
	static const char *const usual[] = {"/usr/share/dns/root.key", "/var/lib/unbound/root.key",
					    "/etc/unbound/root.key", "/usr/share/dns/root.ds"};
	if (l->conf.dns_anchor[0])
		return true;
	const struct option *o = option_find(conf_options(), "dns", "anchor");
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
		if (access(usual[i], R_OK) != 0)
			continue;
		const char **last =
		    (const char **)(uintptr_t)&source->override[source->noverride++];
		*last = arena_printf(&l->mem, "dns.anchor=%s", usual[i]);
		return *last != NULL && option_set(l, o, &l->conf, usual[i]);
	}
	return true;
}

/* --- destinations ---------------------------------------------------------------------------- */

static bool normalise(struct loader *l, const char *title, char out[static DESTINATION_ROOM])
{
	const char *why = NULL;
	if (l->hooks && l->hooks->normalise) {
		why = l->hooks->normalise(title, out);
	} else {
		enum destination_error e = destination_normalise_pattern(slice_str(title), out);
		why = e == DESTINATION_OK ? NULL : destination_strerror(e);
	}
	return !why || loader_fail(l, "destination \"%.80s\": %s", title, why);
}

static struct conf_destination *add_destination(struct loader *l)
{
	if (l->ndestination == l->destination_cap) {
		size_t cap = l->destination_cap ? l->destination_cap * 2 : 16;
		struct conf_destination *grown = cap > CONF_DESTINATIONS_MAX
						     ? NULL
						     : realloc(l->destination, cap * sizeof *grown);
		if (!grown) {
			loader_fail(l, "too many destinations");
			return NULL;
		}
		l->destination = grown;
		l->destination_cap = cap;
	}
	struct conf_destination *d = &l->destination[l->ndestination++];
	*d = (struct conf_destination){0};
	return d;
}

static struct conf_destination *find_destination(struct loader *l, const char *pattern)
{
	for (size_t i = l->ndestination; i-- > 0;) /* most often it is the last one */
		if (strcmp(l->destination[i].pattern, pattern) == 0)
			return &l->destination[i];
	return NULL;
}

/* Whoever wrote two sections for one destination has two answers to one question, and the weaker
 * one must not win by standing below. */
static bool is_second_section(struct loader *l, const struct conf_destination *d, const char *title)
{
	if (!d || !title || !d->title || strcmp(d->title, title) == 0)
		return false;
	loader_fail(
	    l,
	    "destination \"%.80s\" is the same as destination \"%.80s\" above: write one section",
	    title, d->title);
	return true;
}

struct conf_destination *loader_destination(struct loader *l, const char *text, bool in_file)
{
	char pattern[DESTINATION_ROOM];
	const char *title = in_file ? text : NULL;
	if (!normalise(l, text, pattern))
		return NULL;
	struct conf_destination *d = find_destination(l, pattern);
	if (is_second_section(l, d, title))
		return NULL;
	if (d)
		return d;
	const char *copy = arena_strdup(&l->mem, pattern);
	const char *kept = title ? arena_strdup(&l->mem, title) : NULL;
	if (copy && (kept || !title))
		d = add_destination(l);
	if (!d) {
		loader_fail(l, "out of memory");
		return NULL;
	}
	d->pattern = copy;
	d->title = kept;
	return d;
}

/* --- -o SECTION.KEY=VALUE -------------------------------------------------------------------- */

static bool no_such(struct loader *l, const char *section, const char *key)
{
	char buf[128];
	const char *near = option_nearest(section, key, buf, sizeof buf);
	return loader_fail(l, "unknown option %.80s%s%.80s%s%s%s", section, *section ? "." : "",
			   key, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static bool override_destination(struct loader *l, char *rest, const char *value)
{
	char *dot = strrchr(rest, '.');
	if (!dot)
		return loader_fail(l, "expected destination.DOMAIN.KEY=VALUE");
	*dot = '\0';
	const char *key = dot + 1;
	const struct option *o = option_find(conf_overrides(), "destination", key);
	if (!o)
		return no_such(l, "destination", key);
	struct conf_destination *d = loader_destination(l, rest, false);
	if (!d || !option_set(l, o, d, value))
		return false;
	d->set |= 1u << (o - conf_overrides().row);
	return true;
}

bool loader_override(struct loader *l, const char *text, bool *seen_list)
{
	char name[OVERRIDE_MAX];
	const char *equals = strchr(text, '=');
	snprintf(l->where, sizeof l->where, "-o %.200s", text);
	if (!equals || (size_t)(equals - text) >= sizeof name)
		return loader_fail(l, "expected SECTION.KEY=VALUE");
	snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
	char *dot = strchr(name, '.');
	if (!dot)
		return no_such(l, "", name);
	*dot = '\0';
	if (strcmp(name, "destination") == 0)
		return override_destination(l, dot + 1, equals + 1);
	const struct option *o = option_find(conf_options(), name, dot + 1);
	if (!o)
		return no_such(l, name, dot + 1);
	bool *seen = &seen_list[o - conf_options().row];
	if (option_is_list(o) && !*seen)
		option_clear_list(o, &l->conf);
	*seen = true;
	if (strcmp(o->section, "dns") == 0 && strcmp(o->key, "unbound") == 0)
		l->conf.dns_unbound_typed = true;
	return option_set(l, o, &l->conf, equals + 1);
}

static bool apply_overrides(struct loader *l, const char *const *overrides, size_t n)
{
	bool *seen = arena_array(&l->mem, conf_options().n, sizeof *seen);
	if (!seen)
		return loader_fail(l, "out of memory");
	for (size_t i = 0; i < n; i++)
		if (!loader_override(l, overrides[i], seen))
			return false;
	l->where[0] = '\0';
	return true;
}

/* --- all of it ------------------------------------------------------------------------------- */

static struct conf *finish(struct loader *l, const struct conf_source *source)
{
	struct owned *o = malloc(sizeof *o);
	if (!o) {
		loader_fail(l, "out of memory");
		return NULL;
	}
	*o = (struct owned){
	    .conf = l->conf, .mem = l->mem, .destination = l->destination, .source = *source};
	o->conf.destination = l->destination;
	o->conf.ndestination = l->ndestination;
	return &o->conf;
}

/* Copies, with room for one more. */
static bool keep_overrides(struct loader *l, const char *const *overrides, size_t n,
			   struct conf_source *out)
{
	const char **copy = arena_array(&l->mem, n + 1, sizeof *copy);
	for (size_t i = 0; copy && i < n; i++)
		copy[i] = arena_strdup(&l->mem, overrides[i]);
	out->override = copy;
	out->noverride = n;
	return (copy && !l->mem.failed) || loader_fail(l, "out of memory");
}

/* given: its file was read already. */
static struct conf *load(struct loader *l, const char *path, const struct conf_source *given,
			 const char *const *overrides, size_t n)
{
	struct conf_source source = {.path =
					 arena_strdup(&l->mem, path ? path : CONF_DEFAULT_PATH)};
	if (!source.path || !keep_overrides(l, overrides, n, &source) || !set_defaults(l))
		return NULL;
	bool parsed = given ? loader_parse_text(l, source.path, given->text)
			    : loader_parse(l, source.path, path != NULL);
	if (!parsed || !apply_overrides(l, overrides, n) || !find_anchor(l, &source))
		return NULL;
	source.text = l->source;
	return finish(l, &source);
}

static struct conf *load_new(const char *path, const struct conf_source *given,
			     const char *const *overrides, size_t n, const struct conf_hooks *hooks,
			     char *error, size_t room)
{
	struct loader *l = calloc(1, sizeof *l);
	if (!l) {
		snprintf(error, room, "out of memory");
		return NULL;
	}
	l->hooks = hooks;
	l->error = error;
	l->room = room;
	arena_init(&l->mem, MEMORY_MAX);
	struct conf *c = load(l, path, given, overrides, n);
	if (!c) {
		arena_free(&l->mem);
		free(l->destination);
	}
	free(l);
	return c;
}

struct conf *conf_load(const char *path, const char *const *overrides, size_t n,
		       const struct conf_hooks *hooks, char *error, size_t room)
{
	return load_new(path, NULL, overrides, n, hooks, error, room);
}

struct conf *conf_load_source(const struct conf_source *s, const struct conf_hooks *hooks,
			      char *error, size_t room)
{
	return load_new(s->path, s, s->override, s->noverride, hooks, error, room);
}

const struct conf_source *conf_source_of(const struct conf *c)
{
	return &((const struct owned *)(const void *)c)->source; /* conf is its first member */
}

void conf_free(struct conf **cp)
{
	struct owned *o = (struct owned *)(void *)*cp; /* conf is its first member */
	if (!o)
		return;
	*cp = NULL;
	arena_free(&o->mem);
	free(o->destination);
	free(o);
}
