/* SPDX-License-Identifier: MIT */
/* Questions that are looked at together, to a resolver that answers when the test says so. */
#include "unit.h"

#include "engine/lookups.h"

#include <stdio.h>
#include <string.h>

enum { QUESTIONS = 4, ASKED_MAX = 8 };

struct asked {
	dns_cb *cb; /* NULL: answered or dropped */
	void *arg;
	uint16_t type;
	char name[300];
};

struct fixture {
	struct engine engine;
	struct asked asked[ASKED_MAX];
	size_t nasked, cancelled;
	bool out_of_memory; /* no question is taken */
	struct lookups lookups;
	struct lookup question[QUESTIONS];
	int calls;
};

static void *resolver_ask(void *self, const char *name, uint16_t type, dns_cb *cb, void *arg)
{
	struct fixture *f = self;
	if (f->out_of_memory)
		return NULL;
	struct asked *q = &f->asked[f->nasked++];
	*q = (struct asked){.cb = cb, .arg = arg, .type = type};
	snprintf(q->name, sizeof(q->name), "%s", name);
	return q;
}

static void resolver_cancel(void *self, void *query)
{
	struct fixture *f = self;
	((struct asked *)query)->cb = NULL;
	f->cancelled++;
}

/* With `given`: an answer without records; else none, as when memory ran out. */
static void tell(struct fixture *f, size_t i, bool given)
{
	struct asked *q = &f->asked[i];
	struct answer *a = given ? answer_new(q->name, q->type) : NULL;
	dns_cb *cb = q->cb;
	assert_non_null(cb);
	q->cb = NULL;
	cb(q->arg, a);
	answer_unref(&a);
}

static void on_settled(void *arg)
{
	struct fixture *f = arg;
	f->calls++;
	loop_stop(f->engine.loop);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->engine.loop = loop_new();
	f->engine.resolver =
	    (struct engine_resolver){.self = f, .ask = resolver_ask, .cancel = resolver_cancel};
	assert_true(lookups_start(&f->lookups, &f->engine, f->question, QUESTIONS, on_settled, f));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	lookups_free(&f->lookups);
	loop_free(&f->engine.loop);
	free(f);
	return 0;
}

static void the_first_call_comes_from_the_loop(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(f->calls, 0);
	loop_run(f->engine.loop);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->nasked, 0);
}

static void nobody_is_called_while_a_question_is_open(void **state)
{
	struct fixture *f = *state;
	loop_run(f->engine.loop);
	lookups_ask(&f->lookups, 0, "mx.example", DNS_A);
	lookups_ask_tlsa(&f->lookups, 2, 25, "mx.example");
	assert_string_equal(f->asked[1].name, "_25._tcp.mx.example");
	assert_int_equal(f->asked[1].type, DNS_TLSA);
	tell(f, 1, true);
	assert_int_equal(f->calls, 1);
	assert_non_null(f->question[2].answer);
	assert_null(f->question[0].answer);
	tell(f, 0, true);
	assert_int_equal(f->calls, 2);
	assert_int_equal(f->question[0].answer->type, DNS_A);
	assert_false(f->lookups.failed);
}

static void a_question_is_asked_once(void **state)
{
	struct fixture *f = *state;
	loop_run(f->engine.loop);
	lookups_ask(&f->lookups, 0, "mx.example", DNS_A);
	lookups_ask(&f->lookups, 0, "mx.example", DNS_A);
	tell(f, 0, true);
	lookups_ask(&f->lookups, 0, "other.example", DNS_A);
	assert_int_equal(f->nasked, 1);
	assert_string_equal(f->question[0].answer->name, "mx.example");
}

static void what_failed_is_known_and_the_rest_is_waited_for(void **state)
{
	struct fixture *f = *state;
	loop_run(f->engine.loop);
	lookups_ask(&f->lookups, 0, "mx.example", DNS_A);
	lookups_ask(&f->lookups, 1, "mx.example", DNS_AAAA);
	tell(f, 0, false);
	assert_true(f->lookups.failed);
	assert_int_equal(f->calls, 1);
	tell(f, 1, true);
	assert_int_equal(f->calls, 2);
	assert_null(f->question[0].answer);
}

static void a_question_that_is_not_taken_is_a_failure(void **state)
{
	struct fixture *f = *state;
	loop_run(f->engine.loop);
	f->out_of_memory = true;
	lookups_ask(&f->lookups, 0, "mx.example", DNS_A);
	assert_true(f->lookups.failed);
	assert_int_equal(f->lookups.open, 0);
}

static void open_questions_are_dropped_at_the_end(void **state)
{
	struct fixture *f = *state;
	loop_run(f->engine.loop);
	lookups_ask(&f->lookups, 0, "mx.example", DNS_A);
	lookups_ask(&f->lookups, 1, "mx.example", DNS_AAAA);
	tell(f, 0, true);
	lookups_free(&f->lookups);
	assert_int_equal(f->cancelled, 1);
	assert_null(f->asked[1].cb);
	assert_int_equal(f->calls, 1);
}

static void freed_before_the_first_call_there_is_none(void **state)
{
	struct fixture *f = *state;
	lookups_free(&f->lookups);
	loop_run(f->engine.loop); /* ends: nothing is left to wait for */
	assert_int_equal(f->calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_first_call_comes_from_the_loop, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(nobody_is_called_while_a_question_is_open, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_question_is_asked_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_failed_is_known_and_the_rest_is_waited_for, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_question_that_is_not_taken_is_a_failure, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(open_questions_are_dropped_at_the_end, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(freed_before_the_first_call_there_is_none, set_up,
					    tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
