/* SPDX-License-Identifier: MIT */
/*
 * The options table for people: --help-options, and the option part of danelaw.conf(5).
 *
 * Knows two text formats. Refuses to know values: this is about the options themselves.
 */
#include "conf/room.h"

enum { HELP_INDENT = 6, HELP_WIDTH = 78 };

static void print_wrapped(FILE *f, const char *text)
{
	size_t column = 0;
	struct slice rest = slice_str(text);
	while (rest.n > 0) {
		struct slice word = slice_cut(rest, ' ', &rest);
		if (column == 0 || column + 1 + word.n > HELP_WIDTH) {
			fprintf(f, "%s%*s", column ? "\n" : "", HELP_INDENT, "");
			column = HELP_INDENT;
		} else {
			fputc(' ', f);
			column++;
		}
		fwrite(word.p, 1, word.n, f);
		column += word.n;
	}
	fputc('\n', f);
}

/* "a number from 1 to 600, in seconds" */
static void value_text(const struct option *o, char *out, size_t room)
{
	char expected[128];
	option_expected(o, expected, sizeof expected);
	if (o->type == OPTION_INT && *o->unit)
		snprintf(out, room, "%s, in %s", expected, o->unit);
	else
		snprintf(out, room, "%s", *o->unit ? o->unit : expected);
}

static void print_option(FILE *f, const struct option *o)
{
	char value[160];
	value_text(o, value, sizeof value);
	bool override = !o->def;
	fprintf(f, "%s.%s%s", o->section, override ? "DOMAIN." : "", o->key);
	if (o->def && *o->def)
		fprintf(f, " = %s", o->def);
	fprintf(f, "\n%*s(%s)\n", HELP_INDENT, "", value);
	print_wrapped(f, o->doc);
}

bool conf_print_options(FILE *f)
{
	struct option_table t = conf_options(), d = conf_overrides();
	for (size_t i = 0; i < t.n; i++)
		print_option(f, &t.row[i]);
	for (size_t i = 0; i < d.n; i++)
		print_option(f, &d.row[i]);
	return !ferror(f);
}

/* Text in mdoc: backslashes are escapes, and each sentence starts a line. */
static void print_mdoc_text(FILE *f, const char *text)
{
	for (const char *p = text; *p; p++) {
		bool line_start = p == text || (p[-1] == ' ' && p - text > 1 && p[-2] == '.');
		if (line_start && p != text)
			fputc('\n', f);
		if (line_start && (*p == '.' || *p == '\''))
			fputs("\\&", f);
		if (*p == '\\')
			fputs("\\e", f);
		else if (*p != ' ' || p == text || p[-1] != '.' || p[1] == '\0')
			fputc(*p, f);
	}
	fputc('\n', f);
}

static void print_mdoc_option(FILE *f, const struct option *o)
{
	char value[160];
	value_text(o, value, sizeof value);
	fprintf(f, ".It Cm %s No = Ar value\n", o->key);
	print_mdoc_text(f, o->doc);
	fprintf(f, "Value: %s.\n", value);
	if (o->def)
		fprintf(f, "Default: %s.\n", *o->def ? o->def : "empty");
}

static void print_mdoc_table(FILE *f, struct option_table t)
{
	const char *section = "";
	for (size_t i = 0; i < t.n; i++) {
		const struct option *o = &t.row[i];
		if (strcmp(section, o->section) != 0) {
			if (*section)
				fputs(".El\n", f);
			section = o->section;
			fprintf(f, ".Ss Section %s%s\n.Bl -tag -width Ds\n", section,
				o->def ? "" : " \\(dqDOMAIN\\(dq");
		}
		print_mdoc_option(f, o);
	}
	fputs(".El\n", f);
}

bool conf_print_mdoc(FILE *f)
{
	print_mdoc_table(f, conf_options());
	print_mdoc_table(f, conf_overrides());
	return !ferror(f);
}
