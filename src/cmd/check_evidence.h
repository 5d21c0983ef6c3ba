/* SPDX-License-Identifier: MIT */
/* cmd: danelaw check --evidence FILE: the evidence of the one domain that was checked. */
#ifndef CMD_CHECK_EVIDENCE_H
#define CMD_CHECK_EVIDENCE_H

#include "cmd/cmd.h"
#include "engine/check.h"
#include "engine/evidence.h"

struct check_evidence {
	struct cmd *cmd;
	const char *path; /* NULL: none is wanted */
	struct engine *engine;
	struct evidence_run *run;
	int code; /* EX_OK, or why there is no file, explained */
};

/* Of the first host that has secure TLSA records. True: it is under way, and stops the loop when
 * the file is written. The check may go. */
bool check_evidence_start(struct check_evidence *x, const struct check *c);

#endif
