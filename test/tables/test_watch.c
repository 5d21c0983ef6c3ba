/* SPDX-License-Identifier: MIT */
/* Which child of the relay hangs, from times alone. */
#include "table.h"

#include "relay/watch.h"

enum {
	LIMIT = 30000,
	SLOW = LIMIT * WATCH_SLOW_FACTOR,
	LONG = LIMIT * WATCH_START_FACTOR,
	BUSY = LIMIT / WATCH_BUSY_PART + 10,
};

/* b born, r ready, a answered, c cut off, j judged, e the parent slept for `more`; R S D T t ?:
 * seen so, with `more` ms on processors */
struct step {
	char what;
	uint64_t now, more;
	enum watch_verdict verdict; /* j */
};

static const struct {
	const char *claim;
	struct step step[12];
} rows[] = {
    {"who is ready is asked at once, and again after each answer",
     {{'b', 1000, 0, 0},
      {'r', 2000, 0, 0},
      {'j', 3000, 0, WATCH_ASK},
      {'j', 4000, 0, WATCH_FINE},
      {'a', 5000, 0, 0},
      {'j', 6000, 0, WATCH_ASK}}},
    {"an answer at the last moment counts",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'j', 1000 + LIMIT, 0, WATCH_FINE},
      {'a', 0, 0, 0},
      {'j', 1001 + LIMIT, 0, WATCH_ASK}}},
    {"who sleeps, waits for no disk and does not answer is killed, once",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'S', 0, 5, 0},
      {'j', 1000 + LIMIT, 0, WATCH_FINE},
      {'S', 0, 5, 0},
      {'j', 1001 + LIMIT, 0, WATCH_KILL},
      {'j', 1002 + LIMIT, 0, WATCH_FINE}}},
    {"so is who is stopped",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'T', 0, 5, 0},
      {'j', 1001 + LIMIT, 0, WATCH_KILL}}},
    {"also in the middle of a commit",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'D', 0, 5, 0},
      {'j', 5000, 0, WATCH_FINE},
      {'T', 0, 5, 0},
      {'j', 1001 + LIMIT, 0, WATCH_KILL}}},
    {"and who computes without an end",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'R', 0, 100, 0},
      {'j', 2000, 0, WATCH_FINE},
      {'R', 0, 100 + BUSY, 0},
      {'j', 1001 + LIMIT, 0, WATCH_KILL}}},
    {"who waits for a processor on a busy machine is slow",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'R', 0, 100, 0},
      {'R', 0, 200, 0},
      {'j', 1001 + LIMIT, 0, WATCH_FINE},
      {'j', 1000 + SLOW, 0, WATCH_FINE},
      {'j', 1001 + SLOW, 0, WATCH_KILL}}},
    {"who waits for a disk is slow, for ten times as long",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'D', 0, 100, 0},
      {'j', 1001 + LIMIT, 0, WATCH_FINE},
      {'D', 0, 100, 0},
      {'j', 1000 + SLOW, 0, WATCH_FINE},
      {'j', 1001 + SLOW, 0, WATCH_KILL}}},
    {"who waited for one and just now does not, too",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'D', 0, 100, 0},
      {'S', 0, 100, 0},
      {'j', 1001 + LIMIT, 0, WATCH_FINE},
      {'j', 1001 + SLOW, 0, WATCH_KILL}}},
    {"what was seen before an answer counts no more",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'D', 0, 100, 0},
      {'a', 2000, 0, 0},
      {'j', 3000, 0, WATCH_ASK},
      {'S', 0, 100, 0},
      {'j', 3001 + LIMIT, 0, WATCH_KILL}}},
    {"who is traced has the long limit",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'t', 0, 5, 0},
      {'j', 1001 + LIMIT, 0, WATCH_FINE},
      {'j', 1001 + SLOW, 0, WATCH_KILL}}},
    {"and of whom nothing is known",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'?', 0, 0, 0},
      {'j', 1001 + LIMIT, 0, WATCH_FINE},
      {'j', 1001 + SLOW, 0, WATCH_KILL}}},
    {"but for the processor's clock",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'?', 0, 1, 0},
      {'?', 0, 1 + BUSY, 0},
      {'j', 1001 + LIMIT, 0, WATCH_KILL}}},
    {"who stays in spite of it is the system's fault",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'T', 0, 0, 0},
      {'j', 1001 + LIMIT, 0, WATCH_KILL},
      {'j', 1001 + LIMIT + WATCH_UNKILLABLE_MS, 0, WATCH_FINE},
      {'j', 1002 + LIMIT + WATCH_UNKILLABLE_MS, 0, WATCH_LOST},
      {'j', 1003 + LIMIT + WATCH_UNKILLABLE_MS, 0, WATCH_LOST}}},
    {"the opening of a huge store takes its time",
     {{'b', 1000, 0, 0},
      {'R', 0, 0, 0},
      {'R', 0, LIMIT, 0},
      {'j', 1001 + LIMIT, 0, WATCH_FINE},
      {'S', 0, LIMIT, 0},
      {'j', 1000 + LONG, 0, WATCH_FINE},
      {'j', 1001 + LONG, 0, WATCH_KILL}}},
    {"unless who opens it is stopped",
     {{'b', 1000, 0, 0}, {'T', 0, 0, 0}, {'j', 1001 + LIMIT, 0, WATCH_KILL}}},
    {"a child without a channel owes its end",
     {{'b', 1000, 0, 0},
      {'c', 2000, 0, 0},
      {'S', 0, 0, 0},
      {'j', 2000 + LIMIT, 0, WATCH_FINE},
      {'j', 2001 + LIMIT, 0, WATCH_KILL}}},
    {"what the parent slept through is nobody's fault",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'e', 0, 10 * LIMIT, 0},
      {'S', 0, 0, 0},
      {'j', 1000 + 11 * LIMIT, 0, WATCH_FINE},
      {'j', 1001 + 11 * LIMIT, 0, WATCH_KILL},
      {'e', 0, LIMIT, 0},
      {'j', 1001 + 12 * LIMIT, 0, WATCH_FINE}}},
    {"who owes nothing owes nothing after a sleep either",
     {{'b', 1, 0, 0}, {'r', 1, 0, 0}, {'e', 0, LIMIT, 0}, {'j', 9 * LIMIT, 0, WATCH_ASK}}},
    {"a new process starts anew",
     {{'b', 1, 0, 0},
      {'r', 1, 0, 0},
      {'j', 1000, 0, WATCH_ASK},
      {'T', 0, 0, 0},
      {'j', 1001 + LIMIT, 0, WATCH_KILL},
      {'b', 2 * LIMIT, 0, 0},
      {'j', 3 * LIMIT, 0, WATCH_FINE},
      {'r', 3 * LIMIT, 0, 0},
      {'j', 3 * LIMIT + 1, 0, WATCH_ASK}}},
};

static void take_step(const char *claim, size_t n, const struct step *s, struct watch *w)
{
	if (s->what == 'b')
		watch_born(w, s->now);
	else if (s->what == 'r')
		watch_ready(w);
	else if (s->what == 'a')
		watch_answered(w);
	else if (s->what == 'c')
		watch_cut_off(w, s->now);
	else if (s->what == 'e')
		watch_excuse(w, s->more);
	else if (s->what != 'j')
		watch_saw(w, watch_state_of(s->what), s->more);
	else {
		enum watch_verdict v = watch_judge(w, s->now, LIMIT);
		if (v != s->verdict)
			fail_msg("%s: step %zu: %d instead of %d", claim, n, v, s->verdict);
	}
}

static void verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct watch w = {0};
		for (size_t n = 0; rows[i].step[n].what != '\0'; n++)
			take_step(rows[i].claim, n, &rows[i].step[n], &w);
	}
}

static void looks_are_neither_rare_nor_many(void **state)
{
	static const uint64_t limits[] = {5000, 20000, LIMIT, 86400000};
	static const uint32_t ticks[] = {WATCH_TICK_MIN_MS, 2000, 3000, WATCH_TICK_MAX_MS};
	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		assert_int_equal(watch_tick_ms(limits[i]), ticks[i]);
	assert_int_equal(watch_tick_ms(0), WATCH_TICK_MIN_MS);
}

/* One child's share of its peers' descriptors; who was born anew starts over. */
static void channels_have_a_bound(void **state)
{
	struct watch w;
	(void)state;
	watch_born(&w, 1);
	for (int i = 0; i < WATCH_CHANNELS_MAX; i++)
		assert_true(watch_wants_channel(&w));
	assert_false(watch_wants_channel(&w));
	watch_ready(&w);
	watch_answered(&w);
	assert_false(watch_wants_channel(&w));
	watch_born(&w, 2);
	assert_true(watch_wants_channel(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(verdicts),
	    cmocka_unit_test(looks_are_neither_rare_nor_many),
	    cmocka_unit_test(channels_have_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
