/* SPDX-License-Identifier: MIT */
/* relay: what the warden found, on its way to the keeper and to whoever reads the metrics. */
#ifndef RELAY_FINDINGS_H
#define RELAY_FINDINGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "selfcheck/selfcheck.h"

enum { FINDINGS_TOLD_MAX = 512 };

struct finding_note {
	enum selfcheck_kind kind;
	enum selfcheck_severity severity;
	const char *about; /* host or domain */
	uint16_t port;     /* 0: a domain */
};

struct findings {
	int64_t when; /* seconds since the epoch; 0: there was no look yet */
	enum selfcheck_result result;
	bool starttls; /* relay.smtp offers it */
	const struct finding_note *note;
	size_t n;
};

void findings_put(struct buf *b, const struct findings *f);
/* Strings and notes live in mem. False: not what findings_put() writes. */
bool findings_get(struct slice payload, struct arena *mem, struct findings *out);

/* Prometheus text; nothing before the first look. */
void findings_metrics(const struct findings *f, struct buf *out);

#endif
