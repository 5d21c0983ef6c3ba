/* SPDX-License-Identifier: MIT */
/*
 * The outcome table as functions. Knows only outcome.tbl; what an outcome does to a message is
 * decided in src/deliver/trouble.c.
 */
#include "dane/outcome.h"

#include <string.h>

struct outcome {
	const char *name;
	enum fate fate;
	int weight;
	const char *code;
	const char *report;
	const char *sentence;
	const char *cure;
};

static const struct outcome outcomes[REASON_COUNT] = {
#define OUTCOME(id, name, fate, weight, code, report, sentence, cure)                              \
	[REASON_##id] = {name, FATE_##fate, weight, code, report, sentence, cure},
#include "dane/outcome.tbl"
#undef OUTCOME
};

const char *reason_name(enum reason r)
{
	return outcomes[r].name;
}

enum fate reason_fate(enum reason r)
{
	return outcomes[r].fate;
}

int reason_weight(enum reason r)
{
	return outcomes[r].weight;
}

const char *reason_code(enum reason r)
{
	return outcomes[r].code;
}

const char *reason_report(enum reason r)
{
	return outcomes[r].report;
}

const char *reason_sentence(enum reason r)
{
	return outcomes[r].sentence;
}

const char *reason_cure(enum reason r)
{
	return outcomes[r].cure;
}

bool reason_from_name(const char *name, enum reason *out)
{
	for (int r = 0; r < REASON_COUNT; r++) {
		if (strcmp(outcomes[r].name, name) == 0) {
			*out = (enum reason)r;
			return true;
		}
	}
	return false;
}

bool reason_is_security(enum reason r)
{
	return outcomes[r].report[0] != '\0';
}

enum reason reason_worse(enum reason a, enum reason b)
{
	return outcomes[b].weight >= outcomes[a].weight ? b : a;
}
