/* SPDX-License-Identifier: MIT */
/* The facts about one host from text, for the tables of host_decide(). */
#ifndef TEST_HOST_ROW_H
#define TEST_HOST_ROW_H

#include "table.h"

#include "dane/hosts.h"

#define HOST_NAME "mx.example.org"
#define HOST_TARGET "real.example.net" /* what the fakes' aliases lead to */

/* Owns the answers and TLSA sets that `facts` points to. */
struct host_case {
	struct host_facts facts;
	struct answer *answer[HOST_Q_COUNT];
	struct tlsa_set set[HOST_Q_COUNT];
	struct arena mem;
};

/* text[q] NULL: not known. */
void host_case_init(struct host_case *c, const char *const text[HOST_Q_COUNT]);
void host_case_free(struct host_case *c);

#endif
