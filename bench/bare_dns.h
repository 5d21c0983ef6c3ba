/* SPDX-License-Identifier: MIT */
/*
 * bench: the peer of the engine's plans: libunbound's event interface in a loop, with the settings
 * of src/dns, and nobody who reads the answers.
 */
#ifndef BENCH_BARE_DNS_H
#define BENCH_BARE_DNS_H

#include "conf/conf.h"
#include "questions.h"

struct bare_dns;
struct bare_dns *bare_dns_new(const struct conf *c); /* NULL: standard error says why */
void bare_dns_free(struct bare_dns **d);

/* Asks all questions of all domains, `parallel` domains at a time, a question as soon as as many
 * answers have come as its plan had seen. Returns how many answers were not secure. */
size_t bare_dns_run(struct bare_dns *d, const struct asked_list *l, size_t n, size_t parallel);

#endif
