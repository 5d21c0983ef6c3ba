/* SPDX-License-Identifier: MIT */
/* selfcheck: a name under which a server is published, and what the relay does about its promises
 * (V2). */
#ifndef SELFCHECK_TARGET_H
#define SELFCHECK_TARGET_H

#include "selfcheck/policy.h"
#include "selfcheck/selfcheck.h"

struct selfcheck_target {
	char name[256]; /* A-labels, lower case */
	uint16_t port;
};

/* "HOST" (port 25) or "HOST:PORT"; the host in A-labels, either case. False: it is neither. */
bool selfcheck_target_from_text(struct slice text, struct selfcheck_target *out);

/* 465 and 587: no AUTH without TLS there, so that STARTTLS stays whatever the records say (S3). */
bool selfcheck_is_submission(uint16_t port);

/*
 * Is STARTTLS to be offered on port 25, for one name? `offered`: what holds now. A lookup that
 * failed changes nothing: it disables no TLS, and mends nothing either (V2).
 */
bool selfcheck_starttls(enum selfcheck_on_mismatch o, uint16_t port, enum selfcheck_promise p,
			bool offered);

/*
 * Seconds until the next look. What is well is looked at after `interval`; what is not as soon as
 * the cached answers end: who mends a record or a certificate should not wait for an hour.
 */
int64_t selfcheck_pause(int64_t interval, enum selfcheck_result r, int64_t fresh_s);

/* NOT_RELOADED, about one file: the relay serves what was in it before. False: out of memory. */
bool selfcheck_file_changed(struct arena *mem, const char *host, uint16_t port, const char *file,
			    struct selfcheck_finding *out);

#endif
