/* SPDX-License-Identifier: MIT */
/* Inside of the selfcheck room: the list of findings that grows, and the words for them. */
#ifndef SELFCHECK_ROOM_H
#define SELFCHECK_ROOM_H

#include "selfcheck/selfcheck.h"

/* What the words in braces of findings.tbl stand for; NULL where a finding has no use for it. */
struct words {
	const char *host, *owner, *chain, *file, *target, *record, *asked, *type, *other, *detail,
	    *domain, *publish;
	uint16_t port;
	int64_t date, now;
};

struct list {
	struct arena *mem;
	struct selfcheck_finding *finding;
	size_t n, room;
	const char *about;
	uint16_t port;
	bool failed;
};

struct place {
	int chain, record; /* -1: none */
};

void list_init(struct list *l, struct arena *mem, const char *about, uint16_t port);
void list_add(struct list *l, enum selfcheck_kind k, bool mild, struct place at,
	      const struct words *w);
/* The worst first, else as they came. */
void list_sort(struct list *l);

/* What the decisions of one name share. */
struct decision {
	struct list list;
	const struct selfcheck_facts *f;
	struct selfcheck_verdict *out;
	bool usable;       /* there are secure and usable records */
	const char *owner; /* out->owner */
};

/* The words that every finding of this name has; `chain` may be NULL. */
struct words decision_words(struct decision *d, const struct selfcheck_chain *chain);

/* chain.c: one chain: its promise, and all there is to say about it. */
void decide_chain(struct decision *d, size_t i);
/* records.c: what is wrong with single records, once all chains have their promise. */
void decide_records(struct decision *d);

/* A lookup that did not give records: failed or bogus. */
void list_add_failure(struct list *l, const struct answer *a, int64_t now);
/* A secure answer whose signature ends within soon_s. */
void list_add_signature(struct list *l, const struct answer *a, int64_t now, int64_t soon_s);

/* The three texts of a kind. */
const char *kind_sentence(enum selfcheck_kind k);
const char *kind_cure(enum selfcheck_kind k);
const char *kind_paste(enum selfcheck_kind k);

/* Fills in the words; NULL: out of memory. What has no word here shows as "?". */
char *words_fill(struct arena *mem, const char *text, const struct words *w);
/* "3 1 1 0123456789ab...": enough to find it in a zone. */
char *words_record(struct arena *mem, const struct tlsa *rr);

#endif
