/* SPDX-License-Identifier: MIT */
/* bench: which questions the plans of some domains ask, so that a peer can ask the same. */
#ifndef BENCH_QUESTIONS_H
#define BENCH_QUESTIONS_H

#include "engine/engine.h"

struct asked {
	char *name;
	uint16_t type;
	size_t after; /* so many answers had come when it was asked */
};

/* Of one domain. */
struct asked_list {
	struct asked *q;
	size_t n;
};

/* Plans the domain with this engine and notes what is asked. false: it failed. */
bool questions_note(struct engine *e, const char *domain, struct asked_list *out);
void questions_free(struct asked_list *l);

#endif
