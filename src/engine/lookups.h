/* SPDX-License-Identifier: MIT */
/*
 * engine, inside: questions to the resolver whose answers are looked at together.
 *
 * Whoever looks is called when no question is open, and may ask more then. Answers are kept until
 * lookups_free(). Decides nothing.
 */
#ifndef ENGINE_LOOKUPS_H
#define ENGINE_LOOKUPS_H

#include "engine/engine.h"

struct lookups;

/* Comes from the loop. When the callback asks something it comes again, else never; it may call
 * lookups_free() if it touches nothing of it afterwards. */
typedef void lookups_cb(void *arg);

/* One question: its owner reads `answer`. */
struct lookup {
	struct lookups *all;
	void *query;           /* not NULL: open */
	struct answer *answer; /* ours until lookups_free(); NULL: not asked, open, or failed */
	bool asked;
};

struct lookups {
	struct engine *engine;
	struct lookup *lookup; /* the owner's array */
	size_t n;
	lookups_cb *cb;
	void *arg;
	size_t open;
	bool failed; /* out of memory: some question has no answer and will have none */
	struct loop_deferred *first;
};

/* The first call of cb comes with nothing asked. `lookup` has n elements, all zero, and must live
 * until lookups_free(). false: out of memory; lookups_free() is due all the same. */
bool lookups_start(struct lookups *l, struct engine *e, struct lookup *lookup, size_t n,
		   lookups_cb *cb, void *arg);
/* Question i, for name (A-labels, no dot at the end) and type; once: a second time changes nothing.
 * Errors show in l->failed. */
void lookups_ask(struct lookups *l, size_t i, const char *name, uint16_t type);
/* The same for the TLSA records of a port below `base`. No question where that is no name. */
void lookups_ask_tlsa(struct lookups *l, size_t i, uint16_t port, const char *base);
/* Open questions are dropped, answers given back; no callback. Takes one that is all zero. */
void lookups_free(struct lookups *l);

#endif
