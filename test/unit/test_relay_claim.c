/* SPDX-License-Identifier: MIT */
/* relay: whose a delivery is after a keeper has ended. Every combination of the facts. */
#include "relay/claim.h"

#include "unit.h"

enum { MINE = 7, OTHERS = 8 };

static void each_rule(void **state)
{
	(void)state;
	static const struct {
		struct claim_facts f;
		enum claim_verdict want;
	} rows[] = {
	    /* text under way, dot asked for or not: it goes on */
	    {{STORE_OK, MINE, MINE, false, false, false}, CLAIM_GRANTED},
	    /* the dot was allowed, and the answer to the courier was lost: it asks again */
	    {{STORE_OK, MINE, MINE, false, true, false}, CLAIM_GRANTED},
	    /* the dot is out, and its reply or result comes */
	    {{STORE_OK, MINE, MINE, false, true, true}, CLAIM_GRANTED},
	    /* the result was committed, and the answer to the courier was lost */
	    {{STORE_NOT_FOUND, 0, MINE, false, false, true}, CLAIM_OVER},
	    /* the same with recipients left; or the claim came too late */
	    {{STORE_STATE, MINE, MINE, false, false, true}, CLAIM_OVER},
	    /* put back and handed to somebody else, by this keeper or another one */
	    {{STORE_OK, OTHERS, MINE, true, true, true}, CLAIM_STALE},
	    {{STORE_OK, OTHERS, MINE, false, false, false}, CLAIM_STALE},
	    /* two say that they have it */
	    {{STORE_OK, MINE, MINE, true, true, true}, CLAIM_STALE},
	    /* no dot goes before it is noted */
	    {{STORE_OK, MINE, MINE, false, false, true}, CLAIM_FALSE},
	    {{STORE_NO_MEMORY, 0, MINE, false, false, true}, CLAIM_UNSURE},
	    {{STORE_IO, 0, MINE, false, false, false}, CLAIM_UNSURE},
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_string_equal(claim_verdict_name(claim_judge(&rows[i].f)),
				    claim_verdict_name(rows[i].want));
}

/* Granted at most once for one handing over, and to nobody who was overtaken; an error is never
 * taken for "there is none". */
static void in_every_combination(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 15 * 32; i++) {
		struct claim_facts f = {.found = (enum store_status)(i / 32),
					.take_stored = MINE,
					.take_claimed = i & 1 ? MINE : OTHERS,
					.carried = i & 2,
					.dot_noted = i & 4,
					.dot_out = i & 8};
		enum claim_verdict v = claim_judge(&f);
		bool may = f.found == STORE_OK && f.take_claimed == MINE && !f.carried &&
			   (!f.dot_out || f.dot_noted);
		assert_int_equal(v == CLAIM_GRANTED, may);
		assert_int_equal(v == CLAIM_OVER,
				 f.found == STORE_NOT_FOUND || f.found == STORE_STATE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_rule),
					   cmocka_unit_test(in_every_combination)};
	return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
