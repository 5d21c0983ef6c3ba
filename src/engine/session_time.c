/* SPDX-License-Identifier: MIT */
/* See session_time.h. */
#include "engine/session_time.h"

void session_time_begin(struct session_time *p, uint64_t most_ms, uint64_t now_ms)
{
	*p = (struct session_time){.since_ms = now_ms, .most_ms = most_ms};
}

uint32_t session_time_cap(const struct session_time *p, uint32_t wait_ms, uint64_t now_ms)
{
	uint64_t spent = now_ms > p->since_ms ? now_ms - p->since_ms : 0;
	if (p->most_ms == 0)
		return wait_ms;
	uint64_t left = spent < p->most_ms ? p->most_ms - spent : 1;
	return left < wait_ms ? (uint32_t)left : wait_ms;
}

uint64_t session_time_for_text(uint64_t octets)
{
	return octets / SESSION_TIME_OCTETS_PER_S * 1000;
}

uint64_t session_time_for_mail(const struct smtpc_message *m)
{
	return SESSION_TIME_MAIL_MS + (uint64_t)SESSION_TIME_RCPT_MS * m->nrcpt +
	       session_time_for_text(m->size);
}
