/* SPDX-License-Identifier: MIT */
/* cmd: what became of each recipient of `danelaw send`, as lines for people and as JSON. */
#ifndef CMD_SEND_REPORT_H
#define CMD_SEND_REPORT_H

#include "deliver/attempt.h"

struct send_result {
	const char *rcpt; /* as given */
	int same_as;      /* index of the earlier, equal recipient; -1: none */
	bool known;
	enum attempt_status status;
	size_t index; /* in the attempt */
};

void send_result_take(struct send_result *r, struct attempt *a, size_t index);
/* Prints the line of results[i] and of all that are the same as it. */
bool send_result_print(struct send_result *results, size_t i, size_t n, bool json,
		       struct attempt *a);
int send_results_exit(const struct send_result *r, size_t n);

#endif
