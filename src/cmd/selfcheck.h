/* SPDX-License-Identifier: MIT */
/* cmd: the report of danelaw selfcheck. */
#ifndef CMD_SELFCHECK_H
#define CMD_SELFCHECK_H

#include "cmd/cmd.h"

#include "engine/selfcheck_round.h"

/* Prints it, and returns the exit code. */
int selfcheck_report_print(const struct selfcheck_round *r, bool json);

#endif
