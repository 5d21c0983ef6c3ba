/* SPDX-License-Identifier: MIT */
/* danelaw tlsa: an operator's own records and certificates (V3). This file finds the action. */
#include "cmd/tlsa.h"

#include "base/nearest.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

static const struct action {
	const char *name;
	int (*run)(struct cmd *c);
} actions[] = {
    {"gen", tlsa_gen},
    {"verify", tlsa_verify},
    {"roll", tlsa_roll},
};
enum { NACTIONS = sizeof(actions) / sizeof(actions[0]) };

static const struct usage usage = {
    .synopsis = "tlsa ACTION [OPTIONS] [ARGUMENTS]",
    .summary = "TLSA records for your own servers.",
    .more = "Actions:\n"
	    "  gen     make records from certificates, keys, requests, or what a server presents\n"
	    "  verify  would these chains satisfy what is published now?\n"
	    "  roll    change the key or the CA, step by step\n"
	    "\n'danelaw tlsa ACTION --help' says more; so does danelaw-tlsa(1).",
};

static int unknown_action(struct cmd *c, const char *name)
{
	const char *names[NACTIONS];
	for (size_t i = 0; i < NACTIONS; i++)
		names[i] = actions[i].name;
	const char *near = nearest_word(name, names, NACTIONS);
	if (near != NULL)
		return cmd_fail(c, EX_USAGE, "unknown action '%s'; did you mean '%s'?", name, near);
	return cmd_fail(c, EX_USAGE, "unknown action '%s'; see 'danelaw tlsa --help'", name);
}

int cmd_tlsa(struct cmd *c)
{
	const char *value;
	switch (opts_next("danelaw tlsa", &usage, c->argc, c->argv, true, &value)) {
	case OPTS_HELP:
		return EX_OK;
	case OPTS_END:
		break;
	default: /* OPTS_BAD: there are no options */
		return EX_USAGE;
	}
	if (optind >= c->argc)
		return cmd_fail(c, EX_USAGE, "no action given; see 'danelaw tlsa --help'");
	for (size_t i = 0; i < NACTIONS; i++) {
		if (strcmp(actions[i].name, c->argv[optind]) != 0)
			continue;
		c->argc -= optind;
		c->argv += optind;
		optind = 0; /* getopt_long(3): start over */
		return actions[i].run(c);
	}
	return unknown_action(c, c->argv[optind]);
}
