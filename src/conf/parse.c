/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: libconfuse reads the syntax, our table judges the values.
 *
 * Knows libconfuse. Refuses to know any single option. All options are text to libconfuse, so that
 * a file and -o are judged by the same code.
 *
 * libconfuse's callbacks carry no pointer of the caller. Every section therefore has one more
 * option, CONTEXT_KEY, whose "simple" storage is the loader: its first member is a char * that
 * libconfuse would overwrite if somebody really wrote such an option in a file.
 */
#include "conf/room.h"

#include "base/buf.h"

#include <confuse.h>
#include <errno.h>
#include <sys/stat.h>

#define CONTEXT_KEY " loader"

/*
 * libconfuse takes the end of a file for the end of every section that is still open. So this
 * option is put behind the file's text: inside a section it is unknown, and in an open comment it
 * is not seen at all.
 */
#define END_KEY "<end>"
enum { FILE_MAX = 16 * 1024 * 1024 };

static struct loader *loader_of(const cfg_t *cfg)
{
	for (const cfg_opt_t *o = cfg->opts; o->name; o++)
		if (strcmp(o->name, CONTEXT_KEY) == 0)
			return (struct loader *)(void *)o->simple_value.string;
	abort(); /* every array is made by context_option() */
}

static cfg_opt_t context_option(struct loader *l)
{
	return (cfg_opt_t)CFG_SIMPLE_STR(CONTEXT_KEY, &l->scratch);
}

static void set_where(struct loader *l, const cfg_t *cfg)
{
	/* not cfg->filename: sections are made before the file has a name */
	snprintf(l->where, sizeof l->where, "%s:%d", l->path, cfg->line);
	l->line = cfg->line > 0 ? (size_t)cfg->line : 0;
}

void loader_point(struct loader *l, const char *value, size_t at)
{
	struct slice rest = l->text, line = {0};
	for (size_t i = 0; i < l->line; i++)
		line = slice_cut(rest, '\n', &rest);
	size_t used = strlen(l->where), behind = 0;
	if (line.n > 0 && l->key != NULL) {
		/* A short value may stand in the name too. */
		const uint8_t *key = memmem(line.p, line.n, l->key, strlen(l->key));
		behind = key ? (size_t)(key - line.p) + strlen(l->key) : 0;
	}
	const uint8_t *found = line.n > behind && *value
				   ? memmem(line.p + behind, line.n - behind, value, strlen(value))
				   : NULL;
	if (found)
		snprintf(l->where + used, sizeof l->where - used, ":%zu",
			 (size_t)(found - line.p) + at + 1);
}

/* --- what libconfuse calls ------------------------------------------------------------------- */

static void unknown_option(struct loader *l, const cfg_t *cfg, const char *key)
{
	if (strcmp(key, END_KEY) == 0) {
		loader_fail(l, "section %s is not closed: '}' is missing", cfg->name);
		return;
	}
	bool root = strcmp(cfg->name, "root") == 0;
	const char *section = root ? "" : cfg->name;
	char buf[128];
	const char *near = option_nearest(section, key, buf, sizeof buf);
	loader_point(l, key, 0);
	loader_fail(l, "unknown %s %s%s%.80s%s%s%s", root ? "section" : "option", section,
		    root ? "" : ".", key, near ? "; did you mean " : "", near ? near : "",
		    near ? "?" : "");
}

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct loader *l = loader_of(cfg);
	set_where(l, cfg);
	if (strcmp(fmt, "no such option '%s'") == 0) {
		unknown_option(l, cfg, va_arg(ap, const char *));
		return;
	}
	char text[256];
	vsnprintf(text, sizeof text, fmt, ap);
	loader_fail(l, "%s", text);
}

static bool store(struct loader *l, const struct option *o, void *base, cfg_opt_t *opt)
{
	unsigned n = cfg_opt_size(opt);
	bool ok = true;
	if (option_is_list(o))
		option_clear_list(o, base);
	l->key = opt->name;
	for (unsigned i = 0; ok && i < n; i++)
		ok = option_set(l, o, base, cfg_opt_getnstr(opt, i));
	l->key = NULL;
	return ok;
}

/* After each value. Non-zero stops the parser. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	struct loader *l = loader_of(cfg);
	set_where(l, cfg);
	const struct option *o = option_find(conf_options(), cfg->name, opt->name);
	return o && store(l, o, &l->conf, opt) ? 0 : -1;
}

static int on_override(cfg_t *cfg, cfg_opt_t *opt)
{
	struct loader *l = loader_of(cfg);
	set_where(l, cfg);
	struct conf_destination *d = loader_destination(l, cfg->title, true);
	const struct option *o = option_find(conf_overrides(), cfg->name, opt->name);
	if (!d || !o || !store(l, o, d, opt))
		return -1;
	d->set |= 1u << (o - conf_overrides().row);
	return 0;
}

/* After a whole destination section: an empty one counts as well. */
static int on_destination(cfg_t *cfg, cfg_opt_t *opt)
{
	struct loader *l = loader_of(cfg);
	set_where(l, cfg);
	const cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	return section && loader_destination(l, section->title, true) ? 0 : -1;
}

/* --- the arrays that libconfuse wants -------------------------------------------------------- */

static cfg_opt_t *section_array(struct loader *l, struct option_table t, size_t from, size_t n,
				cfg_validate_callback_t valid)
{
	cfg_opt_t *a = arena_array(&l->mem, n + 2, sizeof *a);
	if (!a)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const struct option *o = &t.row[from + i];
		if (option_is_list(o))
			a[i] = (cfg_opt_t)CFG_STR_LIST(o->key, NULL, CFGF_NODEFAULT);
		else
			a[i] = (cfg_opt_t)CFG_STR(o->key, NULL, CFGF_NODEFAULT);
		a[i].validcb = valid;
	}
	a[n] = context_option(l);
	a[n + 1] = (cfg_opt_t)CFG_END();
	return a;
}

static size_t section_length(struct option_table t, size_t from)
{
	size_t n = 0;
	while (from + n < t.n && strcmp(t.row[from + n].section, t.row[from].section) == 0)
		n++;
	return n;
}

static cfg_opt_t *root_array(struct loader *l)
{
	struct option_table t = conf_options(), d = conf_overrides();
	cfg_opt_t *root = arena_array(&l->mem, t.n + 4, sizeof *root);
	if (!root)
		return NULL;
	size_t k = 0;
	for (size_t i = 0, n; i < t.n; i += n) {
		n = section_length(t, i);
		cfg_opt_t *a = section_array(l, t, i, n, on_value);
		if (!a)
			return NULL;
		root[k++] = (cfg_opt_t)CFG_SEC(t.row[i].section, a, CFGF_NONE);
	}
	cfg_opt_t *a = section_array(l, d, 0, d.n, on_override);
	if (!a)
		return NULL;
	root[k] =
	    (cfg_opt_t)CFG_SEC("destination", a, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	root[k++].validcb = on_destination;
	root[k++] = context_option(l);
	root[k++] = (cfg_opt_t)CFG_STR(END_KEY, NULL, CFGF_NODEFAULT);
	root[k] = (cfg_opt_t)CFG_END();
	return root;
}

/* --- the file -------------------------------------------------------------------------------- */

/* The scanner calls exit() on a read error, as of a directory: look before it does. */
static FILE *open_file(struct loader *l, const char *path, bool must_exist)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	if (!f) {
		if (must_exist || errno != ENOENT)
			loader_fail(l, "cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		fclose(f);
		loader_fail(l, "cannot read %s: it is a directory", path);
		return NULL;
	}
	return f;
}

/* The text of f; closes f. */
static bool read_file(struct loader *l, FILE *f, const char *path, struct buf *text)
{
	uint8_t chunk[4096];
	size_t n;
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(text, chunk, n);
	bool bad = ferror(f) != 0;
	int error = errno;
	fclose(f);
	if (bad)
		return loader_fail(l, "cannot read %s: %s", path, strerror(error));
	if (!buf_ok(text))
		return loader_fail(l, "cannot read %s: larger than %d octets", path, FILE_MAX);
	return true;
}

static void parse_text(struct loader *l, FILE *f)
{
	cfg_opt_t *opts = root_array(l);
	cfg_t *cfg = opts ? cfg_init(opts, CFGF_NONE) : NULL;
	if (!cfg) {
		loader_fail(l, "out of memory");
		return;
	}
	cfg_set_error_function(cfg, on_error);
	int result = cfg_parse_fp(cfg, f);
	set_where(l, cfg);
	if (result != CFG_SUCCESS)
		loader_fail(l, "not understood");
	else if (cfg_size(cfg, END_KEY) == 0)
		loader_fail(l, "a comment is not closed");
	cfg_free(cfg);
	free(l->scratch);
	l->scratch = NULL;
}

static void parse_marked(struct loader *l, struct slice marked)
{
	FILE *memory = fmemopen((void *)(uintptr_t)marked.p, marked.n, "r");
	if (!memory) {
		loader_fail(l, "out of memory");
		return;
	}
	l->text = marked;
	parse_text(l, memory);
	l->text = (struct slice){0};
	l->line = 0;
	fclose(memory);
}

bool loader_parse_text(struct loader *l, const char *path, struct slice text)
{
	struct buf marked;
	if (!text.p)
		return true;
	l->path = path;
	l->source = arena_bytes(&l->mem, text);
	buf_init(&marked, FILE_MAX + sizeof(END_KEY) + 16);
	buf_add_slice(&marked, text);
	buf_add_str(&marked, "\n" END_KEY " = \"\"\n");
	if (buf_ok(&marked) && !l->mem.failed)
		parse_marked(l, buf_slice(&marked));
	else
		loader_fail(l, "out of memory");
	buf_free(&marked);
	l->where[0] = '\0';
	return !l->failed;
}

bool loader_parse(struct loader *l, const char *path, bool must_exist)
{
	FILE *f = open_file(l, path, must_exist);
	if (!f)
		return !l->failed;
	struct buf text;
	buf_init(&text, FILE_MAX);
	bool ok = read_file(l, f, path, &text);
	struct slice s = buf_slice(&text);
	ok = ok && loader_parse_text(l, path, s.p ? s : slice_make("", 0));
	buf_free(&text);
	return ok;
}
