/* SPDX-License-Identifier: MIT */
/* Counts of lines. Knows minutes and refuses to know what is said. */
#include "log/quota.h"

#include <stddef.h>
#include <string.h>

static struct log_quota_kind *find(struct log_quota *q, const char *name)
{
	for (size_t i = 0; i < LOG_QUOTA_KINDS; i++) {
		if (q->kind[i].name == NULL)
			q->kind[i].name = name;
		if (strcmp(q->kind[i].name, name) == 0)
			return &q->kind[i];
	}
	return NULL;
}

bool log_quota_take(struct log_quota *q, const char *kind, uint64_t now, uint32_t *left_out)
{
	struct log_quota_kind *k = find(q, kind);
	*left_out = 0;
	if (k == NULL)
		return true;
	if (k->lines == 0 || now - k->since >= LOG_QUOTA_MS) {
		*left_out = k->left_out;
		*k = (struct log_quota_kind){.name = k->name, .since = now};
	}
	if (k->lines < LOG_QUOTA_LINES) {
		k->lines++;
		return true;
	}
	k->left_out += k->left_out < UINT32_MAX;
	return false;
}

const char *log_quota_over(struct log_quota *q, uint64_t now, uint32_t *left_out)
{
	for (size_t i = 0; i < LOG_QUOTA_KINDS; i++) {
		struct log_quota_kind *k = &q->kind[i];
		if (k->left_out == 0 || now - k->since < LOG_QUOTA_MS)
			continue;
		*left_out = k->left_out;
		*k = (struct log_quota_kind){.name = k->name};
		return k->name;
	}
	return NULL;
}
