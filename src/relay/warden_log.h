/* SPDX-License-Identifier: MIT */
/* relay: the warden's findings in the log: a line when one appears and when it goes, not every
 * hour. */
#ifndef RELAY_WARDEN_LOG_H
#define RELAY_WARDEN_LOG_H

#include "base/arena.h"
#include "log/log.h"
#include "relay/findings.h"

struct warden_log {
	struct arena mem[2]; /* of the present list and of the next one */
	unsigned now;
	const char **key; /* of what was there the last time */
	struct finding_note *note;
	size_t n;
	bool said; /* how the first look ended */
};

void warden_log_init(struct warden_log *l);
void warden_log_free(struct warden_log *l);
void warden_log_findings(struct warden_log *l, struct log *to,
			 const struct selfcheck_finding *const *f, size_t n,
			 enum selfcheck_result result);

#endif
