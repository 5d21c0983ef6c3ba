/* SPDX-License-Identifier: MIT */
/* The tables of states and reasons, as words. */
#include "roll/roll.h"

#include <string.h>

static const struct {
	const char *name, *text;
} states[] = {
#define STATE(id, name, text) [ROLL_##id] = {name, text},
#include "roll/state.tbl"
#undef STATE
};

static const struct {
	const char *name;
	enum roll_stance stance;
	const char *text, *cure;
} whys[] = {
#define WHY(id, name, stance, text, cure) [ROLL_WHY_##id] = {name, ROLL_##stance, text, cure},
#include "roll/why.tbl"
#undef WHY
};

const char *roll_state_name(enum roll_state s)
{
	return states[s].name;
}

const char *roll_state_text(enum roll_state s)
{
	return states[s].text;
}

bool roll_state_from_name(const char *name, enum roll_state *out)
{
	for (int i = 0; i < ROLL_STATES; i++) {
		if (strcmp(states[i].name, name) == 0) {
			*out = (enum roll_state)i;
			return true;
		}
	}
	return false;
}

const char *roll_stance_name(enum roll_stance s)
{
	static const char *const names[] = {[ROLL_GOES] = "goes",
					    [ROLL_WAITS] = "waits",
					    [ROLL_BLOCKED] = "blocked",
					    [ROLL_UNKNOWN] = "unknown",
					    [ROLL_OVER] = "over"};
	return names[s];
}

const char *roll_why_name(enum roll_why w)
{
	return whys[w].name;
}

const char *roll_why_text(enum roll_why w)
{
	return whys[w].text;
}

const char *roll_why_cure(enum roll_why w)
{
	return whys[w].cure;
}

enum roll_stance roll_why_stance(enum roll_why w)
{
	return whys[w].stance;
}
