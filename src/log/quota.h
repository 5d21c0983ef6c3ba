/* SPDX-License-Identifier: MIT */
/*
 * log: how many lines a minute one kind of event may have. For what strangers cause: who knocks a
 * hundred times a second does not fill the disk, and does not hide what else happens. Pure.
 */
#ifndef LOG_QUOTA_H
#define LOG_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LOG_QUOTA_KINDS = 16, /* names of our own events: more are not limited */
	LOG_QUOTA_LINES = 100,
	LOG_QUOTA_MS = 60000,
};

struct log_quota {
	struct log_quota_kind {
		const char *name; /* static */
		uint64_t since;
		uint32_t lines, left_out;
	} kind[LOG_QUOTA_KINDS];
};

/* May this line be written? *left_out: of the minute before; say so. */
bool log_quota_take(struct log_quota *q, const char *kind, uint64_t now, uint32_t *left_out);
/* A kind whose minute is over and that had lines left out, which are told now; NULL: none. */
const char *log_quota_over(struct log_quota *q, uint64_t now, uint32_t *left_out);

#endif
