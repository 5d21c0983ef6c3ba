/* SPDX-License-Identifier: MIT */
/* Names under which a server is published, and what is done about their promises. Knows numbers and
 * rules; refuses to know processes. */
#include "selfcheck/target.h"

#include "selfcheck/room.h"
#include "wire/dname.h"

#include <string.h>

enum { SMTP_PORT = 25, SUBMISSIONS_PORT = 465, SUBMISSION_PORT = 587, PAUSE_FAILED_S = 60 };

bool selfcheck_target_from_text(struct slice text, struct selfcheck_target *out)
{
	struct slice port, host = slice_cut(text, ':', &port);
	uint64_t n = SMTP_PORT;
	*out = (struct selfcheck_target){.port = SMTP_PORT};
	if (host.n < text.n && (!slice_to_u64(port, UINT16_MAX, &n) || n == 0))
		return false;
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	if (!hostname_is_valid(host) || host.n >= sizeof(out->name))
		return false;
	for (size_t i = 0; i < host.n; i++)
		out->name[i] = (char)ascii_lower(host.p[i]);
	out->port = (uint16_t)n;
	return true;
}

bool selfcheck_is_submission(uint16_t port)
{
	return port == SUBMISSIONS_PORT || port == SUBMISSION_PORT;
}

bool selfcheck_starttls(enum selfcheck_on_mismatch o, uint16_t port, enum selfcheck_promise p,
			bool offered)
{
	if (o != ON_MISMATCH_NO_STARTTLS || selfcheck_is_submission(port))
		return true;
	switch (p) {
	case SELFCHECK_NOTHING:
	case SELFCHECK_KEPT:
		return true;
	case SELFCHECK_BROKEN:
		return false;
	case SELFCHECK_UNKNOWN:
		return offered;
	}
	return offered;
}

int64_t selfcheck_pause(int64_t interval, enum selfcheck_result r, int64_t fresh_s)
{
	int64_t s = interval;
	switch (r) {
	case SELFCHECK_WELL:
		return interval;
	case SELFCHECK_NO_LOOKUP:
		s = PAUSE_FAILED_S;
		break;
	case SELFCHECK_WARNINGS:
	case SELFCHECK_ERRORS:
		s = fresh_s + 1;
		break;
	}
	return s < interval ? s : interval;
}

bool selfcheck_file_changed(struct arena *mem, const char *host, uint16_t port, const char *file,
			    struct selfcheck_finding *out)
{
	struct list l;
	struct words w = {.host = host, .port = port, .file = file, .chain = file};
	list_init(&l, mem, host, port);
	list_add(&l, SELFCHECK_NOT_RELOADED, false, (struct place){-1, -1}, &w);
	if (l.failed || l.n == 0)
		return false;
	*out = l.finding[0];
	return true;
}
