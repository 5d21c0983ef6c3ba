/* SPDX-License-Identifier: MIT */
/*
 * engine: how long a session may take in all. Each command has its own timeout, minutes long (RFC
 * 5321 s4.5.3.2); a host that is just fast enough every time would hold its place for hours. Knows
 * no clock: times are given.
 */
#ifndef ENGINE_SESSION_TIME_H
#define ENGINE_SESSION_TIME_H

#include "smtp/client.h"

enum {
	/* From MAIL to the last octet of the text. Each of MAIL, RCPT and DATA may be as slow as
	   the RFC allows once; a host that answers every RCPT in the last second, or takes the text
	   octet by octet, gains no more than this. */
	SESSION_TIME_MAIL_MS = 900000,
	SESSION_TIME_RCPT_MS = 5000,
	SESSION_TIME_OCTETS_PER_S = 1024,
};

struct session_time {
	uint64_t since_ms;
	uint64_t most_ms; /* 0: no limit */
};

void session_time_begin(struct session_time *p, uint64_t most_ms, uint64_t now_ms);
/* How long to wait for the next step, which would have wait_ms by itself; at least 1. */
uint32_t session_time_cap(const struct session_time *p, uint32_t wait_ms, uint64_t now_ms);
uint64_t session_time_for_text(uint64_t octets);
/* For the envelope and the text of a message. */
uint64_t session_time_for_mail(const struct smtpc_message *m);

#endif
