/* SPDX-License-Identifier: MIT */
/* Option tables to getopt_long(3), help texts, and errors that name the option and suggest the
 * nearest one. */
#include "cmd/cmd.h"

#include "base/nearest.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

enum { OPTS_MAX = 32, CODE_LONG = 256, CODE_HELP = 512 };

static void print_help(const struct usage *u)
{
	const char *const head[] = {"Usage: danelaw ", u->synopsis, "\n\n", u->summary,
				    "\n\nOptions:\n"};
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		fputs(head[i], stdout);
	for (size_t i = 0; i < u->nopt; i++) {
		const struct opt *o = &u->opt[i];
		char left[64];
		snprintf(left, sizeof(left), "%s%c%s --%s%s%s", o->letter ? "-" : " ",
			 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->word,
			 o->value ? " " : "", o->value ? o->value : "");
		say(stdout, "  %-28s %s\n", left, o->help);
	}
	say(stdout, "  %-28s %s\n", "-h, --help", "print this and exit");
	if (u->more != NULL) {
		fputs("\n", stdout);
		fputs(u->more, stdout);
		fputs("\n", stdout);
	}
}

/* Fills the two forms that getopt_long wants. `shorts` has room for 2 letters per option and a
 * prefix. */
static void make_tables(const struct usage *u, bool stop, struct option *longs, char *shorts)
{
	size_t s = 0;
	if (stop)
		shorts[s++] = '+';
	shorts[s++] = ':';
	shorts[s++] = 'h';
	for (size_t i = 0; i < u->nopt; i++) {
		const struct opt *o = &u->opt[i];
		longs[i] = (struct option){.name = o->word,
					   .has_arg = o->value ? required_argument : no_argument,
					   .val = CODE_LONG + (int)i};
		if (o->letter) {
			shorts[s++] = o->letter;
			if (o->value)
				shorts[s++] = ':';
		}
	}
	longs[u->nopt] = (struct option){.name = "help", .val = CODE_HELP};
	longs[u->nopt + 1] = (struct option){0};
	shorts[s] = '\0';
}

static int bad_option(const char *who, const struct usage *u, char **argv, bool missing_value)
{
	const char *given = argv[optind - 1];
	char letter[3] = {'-', (char)optopt, '\0'};
	bool is_long = strncmp(given, "--", 2) == 0;
	const char *shown = is_long || optopt == 0 || optopt >= CODE_LONG ? given : letter;
	if (missing_value) {
		say(stderr, "%s: option %s needs a value; see 'danelaw %s --help'\n", who, shown,
		    strncmp(who, "danelaw ", 8) == 0 ? who + 8 : "");
		return OPTS_BAD;
	}
	const char *words[OPTS_MAX + 1];
	for (size_t i = 0; i < u->nopt; i++)
		words[i] = u->opt[i].word;
	words[u->nopt] = "help";
	char word[64];
	snprintf(word, sizeof(word), "%s", is_long ? given + 2 : "");
	word[strcspn(word, "=")] = '\0';
	const char *near = is_long ? nearest_word(word, words, u->nopt + 1) : NULL;
	say(stderr, "%s: unknown option %s", who, shown);
	if (near != NULL)
		say(stderr, "; did you mean --%s?\n", near);
	else
		say(stderr, "; see '%s --help'\n", who);
	return OPTS_BAD;
}

static int index_of_letter(const struct usage *u, int letter)
{
	for (size_t i = 0; i < u->nopt; i++) {
		if (u->opt[i].letter == letter)
			return (int)i;
	}
	return OPTS_BAD;
}

int opts_next(const char *who, const struct usage *u, int argc, char **argv, bool stop_at_operand,
	      const char **value)
{
	struct option longs[OPTS_MAX + 2];
	char shorts[2 * OPTS_MAX + 4];
	make_tables(u, stop_at_operand, longs, shorts);
	opterr = 0;
	int got = getopt_long(argc, argv, shorts, longs, NULL);
	*value = optarg;
	if (got == -1)
		return OPTS_END;
	if (got == 'h' || got == CODE_HELP) {
		print_help(u);
		return OPTS_HELP;
	}
	if (got == '?' || got == ':')
		return bad_option(who, u, argv, got == ':');
	return got >= CODE_LONG ? got - CODE_LONG : index_of_letter(u, got);
}

bool opts_all(const char *who, const struct usage *u, const struct cmd *c, opts_taker *take,
	      void *arg, int *code)
{
	const char *value;
	for (;;) {
		int o = opts_next(who, u, c->argc, c->argv, false, &value);
		*code = EX_OK;
		if (o == OPTS_END || o == OPTS_HELP)
			return o == OPTS_END;
		*code = o == OPTS_BAD ? EX_USAGE : take(arg, o, value);
		if (*code != EX_OK)
			return false;
	}
}

int opts_no_operand(const char *who, const struct cmd *c)
{
	if (optind >= c->argc)
		return EX_OK;
	return cmd_fail(c, EX_USAGE, "unexpected argument '%s'; see '%s --help'", c->argv[optind],
			who);
}
