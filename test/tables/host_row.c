/* SPDX-License-Identifier: MIT */
/* Builds the facts about one host as the plan machine would. */
#include "host_row.h"

void host_case_init(struct host_case *c, const char *const text[HOST_Q_COUNT])
{
	static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_CNAME, DNS_TLSA, DNS_TLSA};
	static const char *const names[] = {HOST_NAME, HOST_NAME, HOST_NAME,
					    "_25._tcp." HOST_TARGET, "_25._tcp." HOST_NAME};
	*c = (struct host_case){.facts = {.name = HOST_NAME, .mx_secure = true}};
	arena_init(&c->mem, 1024 * 1024);
	for (int q = 0; q < HOST_Q_COUNT; q++) {
		c->answer[q] = row_answer(names[q], types[q], text[q]);
		c->facts.answer[q] = c->answer[q];
		if (types[q] != DNS_TLSA || c->answer[q] == NULL ||
		    c->answer[q]->status != DNS_SECURE)
			continue;
		assert_true(tlsa_set_build(&c->mem, c->answer[q], &c->set[q]));
		c->facts.tlsa[q] = &c->set[q];
	}
}

void host_case_free(struct host_case *c)
{
	for (int q = 0; q < HOST_Q_COUNT; q++)
		answer_unref(&c->answer[q]);
	arena_free(&c->mem);
}
