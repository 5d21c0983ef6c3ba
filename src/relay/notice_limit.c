/* SPDX-License-Identifier: MIT */
/* Knows buckets; refuses to know what the mail was and what becomes of it. */
#include "relay/notice_limit.h"

#include "relay/rate.h"
#include "wire/origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOUR_MINUTES = 60 };

struct notice_limit {
	bool delay_to_strangers;
	struct rate *known, *strangers, *success; /* NULL: no limit */
};

static bool make(struct rate **r, uint32_t per_hour)
{
	*r = per_hour > 0 ? rate_new(per_hour) : NULL;
	return *r != NULL || per_hour == 0;
}

struct notice_limit *notice_limit_new(const struct notice_limit_config *c)
{
	struct notice_limit *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->delay_to_strangers = c->delay_to_strangers;
	if (!make(&l->known, c->rate) || !make(&l->strangers, c->rate_strangers) ||
	    !make(&l->success, c->success_strangers))
		notice_limit_free(&l);
	return l;
}

void notice_limit_free(struct notice_limit **lp)
{
	struct notice_limit *l = *lp;
	if (l == NULL)
		return;
	rate_free(&l->known);
	rate_free(&l->strangers);
	rate_free(&l->success);
	free(l);
	*lp = NULL;
}

/* The buckets count minutes: an hour of them is one. */
static bool take(struct rate *r, const char *kind, uint64_t who, uint64_t now_ms)
{
	char key[RATE_KEY_MAX];
	snprintf(key, sizeof(key), "%s %" PRIx64, kind, who);
	return r == NULL || rate_take(r, slice_str(key), now_ms / HOUR_MINUTES);
}

/* However many networks a forger has, one victim gets no more than this. */
static bool take_both(struct rate *r, const struct notice_about *a, uint64_t now_ms)
{
	return take(r, "about", a->origin, now_ms) && take(r, "to", origin_of_user(a->to), now_ms);
}

bool notice_limit_tells_delay(const struct notice_limit *l, bool stranger)
{
	return !stranger || l->delay_to_strangers;
}

bool notice_limit_take(struct notice_limit *l, const struct notice_about *a, uint64_t now_ms)
{
	switch (a->action) {
	case DSN_NONE:
		return false;
	case DSN_FAILED:
		return !a->stranger || take_both(l->strangers, a, now_ms);
	case DSN_DELAYED:
		if (!notice_limit_tells_delay(l, a->stranger))
			return false;
		break;
	case DSN_RELAYED:
		if (a->stranger && !take_both(l->success, a, now_ms))
			return false;
		break;
	}
	return a->stranger ? take_both(l->strangers, a, now_ms)
			   : take(l->known, "about", a->origin, now_ms);
}
