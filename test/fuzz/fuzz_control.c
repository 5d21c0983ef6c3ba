/* SPDX-License-Identifier: MIT */
/* relay: the operator's line: whatever is taken is within its bounds and was in the line. */
#include "fuzz.h"

#include "relay/control.h"
#include "relay/control_request.h"

enum { MEM = 64 * 1024, NOW = 1000000000 };

static void check_text(const char *s)
{
	FUZZ_CHECK(s == NULL || (strlen(s) <= CONTROL_LINE_MAX && strchr(s, '\t') == NULL));
}

static void check_filter(const struct control_request *r)
{
	const struct store_filter *f = &r->filter;
	check_text(f->next_hop);
	check_text(f->sender);
	check_text(f->recipient);
	check_text(f->queue_id);
	FUZZ_CHECK(!f->by_state || (f->state >= STORE_WAITING && f->state <= STORE_DONE));
	FUZZ_CHECK(f->arrived_before <= NOW);
	/* Nobody changes the whole queue by leaving something out. */
	bool any = f->next_hop != NULL || f->sender != NULL || f->recipient != NULL ||
		   f->queue_id != NULL || f->by_state || f->arrived_before != 0;
	FUZZ_CHECK(r->verb != CONTROL_CHANGE || any);
	FUZZ_CHECK(r->verb != CONTROL_SHOW || f->queue_id != NULL);
}

static void check_policy(const struct control_request *r)
{
	FUZZ_CHECK(r->pattern != NULL && r->pattern[0] != '\0' &&
		   strlen(r->pattern) <= STORE_NAME_MAX);
	FUZZ_CHECK(r->level == NULL || (r->seconds > 0 && r->seconds <= CONTROL_SECONDS_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem;
	struct control_request r;
	if (size > CONTROL_LINE_MAX)
		return 0;
	arena_init(&mem, MEM);
	const char *wrong = control_parse(slice_make(data, size), NOW, &mem, &r);
	FUZZ_CHECK(wrong == NULL || wrong[0] != '\0');
	if (wrong == NULL) {
		check_filter(&r);
		if (r.verb == CONTROL_POLICY)
			check_policy(&r);
	}
	arena_free(&mem);
	return 0;
}
