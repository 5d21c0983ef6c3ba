/* SPDX-License-Identifier: MIT */
/* cmd: the report of danelaw selfcheck: collects findings of names and domains, and prints them. */
#ifndef CMD_SELFCHECK_H
#define CMD_SELFCHECK_H

#include "cmd/cmd.h"

#include "engine/selfcheck.h"

struct selfcheck_report {
	const struct selfcheck_finding **finding;
	size_t n, room;
	const struct selfcheck **host;
	size_t nhost, host_room;
	bool failed;
};

void selfcheck_report_init(struct selfcheck_report *r);
void selfcheck_report_free(struct selfcheck_report *r);
/* What is added must live until the report is printed. False: out of memory. */
bool selfcheck_report_add(struct selfcheck_report *r, const struct selfcheck_finding *f, size_t n);
void selfcheck_report_host(struct selfcheck_report *r, const struct selfcheck *h);
/* Returns the exit code. */
int selfcheck_report_print(const struct selfcheck_report *r, bool json);

#endif
