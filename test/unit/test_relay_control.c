/* SPDX-License-Identifier: MIT */
/* relay: the operator's line as a request. */
#include "relay/control_request.h"

#include "guard.h"
#include "unit.h"

#include <string.h>

enum { NOW = 1000000000, MEM = 64 * 1024 };

#define FULL "list\tnext-hop=h\tsender=s@x\trecipient=r@x\tid=7\tstate=held\tolder-than=60\tlimit=3"

static const char *parse(const char *line, struct arena *mem, struct control_request *r)
{
	return control_parse(slice_str(line), NOW, mem, r);
}

static void what_is_understood(void **state)
{
	static const struct {
		const char *line;
		enum control_verb verb;
		enum store_op op;
		uint64_t limit;
	} rows[] = {
	    {"list", CONTROL_LIST, 0, 1000},
	    {"list\tlimit=1000000", CONTROL_LIST, 0, 1000000},
	    {"show\tab", CONTROL_SHOW, 0, UINT64_MAX},
	    {"stats", CONTROL_STATS, 0, UINT64_MAX},
	    {"policies", CONTROL_POLICIES, 0, UINT64_MAX},
	    {"retry\tstate=waiting", CONTROL_CHANGE, STORE_OP_RETRY, UINT64_MAX},
	    {"hold\tid=1", CONTROL_CHANGE, STORE_OP_HOLD, UINT64_MAX},
	    {"release\tstate=held\tlimit=5", CONTROL_CHANGE, STORE_OP_RELEASE, 5},
	    {"delete\tsender=", CONTROL_CHANGE, STORE_OP_REMOVE, UINT64_MAX},
	    {"bounce\tolder-than=1", CONTROL_CHANGE, STORE_OP_EXPIRE, UINT64_MAX},
	    {"policy\tx\tclear", CONTROL_POLICY, 0, UINT64_MAX},
	    {"policy\tx\tmay\t1", CONTROL_POLICY, 0, UINT64_MAX},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct arena mem;
		struct control_request r;
		arena_init(&mem, MEM);
		const char *wrong = parse(rows[i].line, &mem, &r);
		if (wrong != NULL)
			fail_msg("%s: %s", rows[i].line, wrong);
		assert_int_equal(r.verb, rows[i].verb);
		assert_int_equal(r.op, rows[i].op);
		assert_true(r.limit == rows[i].limit);
		arena_free(&mem);
	}
}

static void every_filter_is_taken(void **state)
{
	struct arena mem;
	struct control_request r;
	(void)state;
	arena_init(&mem, MEM);
	assert_null(parse(FULL, &mem, &r));
	assert_string_equal(r.filter.next_hop, "h");
	assert_string_equal(r.filter.sender, "s@x");
	assert_string_equal(r.filter.recipient, "r@x");
	assert_string_equal(r.filter.queue_id, "7");
	assert_true(r.filter.by_state && r.filter.state == STORE_HELD);
	assert_true(r.filter.arrived_before == NOW - 60000);
	assert_true(r.limit == 3);
	assert_null(parse("policy\t*.Example.ORG\tdane-only\t31536000", &mem, &r));
	assert_string_equal(r.pattern, "*.example.org");
	assert_string_equal(r.level, "dane-only");
	assert_true(r.seconds == CONTROL_SECONDS_MAX);
	assert_null(parse("policy\texample.org\tclear", &mem, &r));
	assert_null(r.level);
	assert_null(parse("list\tnext-hop=GOV.example.", &mem, &r));
	assert_string_equal(r.filter.next_hop, "gov.example");
	assert_null(parse("list\tnext-hop=of old", &mem, &r));
	assert_string_equal(r.filter.next_hop, "of old");
	arena_free(&mem);
}

static void a_policy_has_a_pattern_in_normal_form(void **state)
{
	static const struct {
		const char *typed, *pattern; /* NULL: refused, though it can be ended */
	} rows[] = {
	    {"gov.example", "gov.example"},
	    {"GOV.Example.", "gov.example"},
	    {"*.TEST", "*.test"},
	    {"b\xc3\xbc"
	     "cher.example",
	     "xn--bcher-kva.example"},
	    {"gov\xe3\x80\x82"
	     "example",
	     "gov.example"},
	    {"[IPv6:fd00:77:0::77]", "[ipv6:fd00:77::77]"},
	    {"[::ffff:127.0.0.77]", "[127.0.0.77]"},
	    {"*", NULL},
	    {"*test", NULL},
	    {"x y", NULL},
	    {"127.0.0.77", NULL},
	    {"[127.0.0.77", NULL},
	    {"u@gov.example", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct arena mem;
		struct control_request r;
		char line[128];
		arena_init(&mem, MEM);
		snprintf(line, sizeof(line), "policy\t%s\tmay\t1", rows[i].typed);
		const char *wrong = parse(line, &mem, &r);
		if (rows[i].pattern != NULL) {
			assert_null(wrong);
			assert_string_equal(r.pattern, rows[i].pattern);
		} else if (wrong == NULL || strncmp(wrong, "no destination: ", 16) != 0) {
			fail_msg("%s: %s", rows[i].typed, wrong);
		}
		snprintf(line, sizeof(line), "policy\t%s\tclear", rows[i].typed);
		assert_null(parse(line, &mem, &r));
		assert_string_equal(r.typed, rows[i].typed);
		assert_string_equal(r.pattern, rows[i].pattern ? rows[i].pattern : rows[i].typed);
		arena_free(&mem);
	}
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *line, *word; /* of the answer */
	} rows[] = {
	    {"", "not a command"},
	    {"\tlist", "unknown command"},
	    {"lists", "unknown command"},
	    {"LIST", "unknown command"},
	    {"list\tnext-hop", "unknown filter"},
	    {"list\tnexthop=x", "unknown filter"},
	    {"list\tstate=lost", "unknown filter"},
	    {"list\tlimit=1000001", "unknown filter"},
	    {"list\tlimit=-1", "unknown filter"},
	    {"list\tolder-than=4294967296", "unknown filter"},
	    {"list\t=", "unknown filter"},
	    {"list\tid=1\tid=1\tid=1\tid=1\tid=1\tid=1\tid=1\tid=1\tid=1\tid=1\tid=1\tid=1\tid="
	     "1\tid=1\tid=1\tid=1",
	     "not a command"},
	    {"show", "show QUEUE-ID"},
	    {"show\ta\tb", "show QUEUE-ID"},
	    {"delete", "say which"},
	    {"delete\tlimit=1", "say which"},
	    {"retry\tall", "unknown filter"},
	    {"stats\tx", "no arguments"},
	    {"policies\tx", "no arguments"},
	    {"policy\tx", "policy PATTERN"},
	    {"policy\tx\tmay", "policy PATTERN"},
	    {"policy\tx\tmay\t0", "policy PATTERN"},
	    {"policy\tx\tmay\t31536001", "policy PATTERN"},
	    {"policy\tx\tencrypt\t60", "policy PATTERN"},
	    {"policy\tx\tmay\t60\t60", "policy PATTERN"},
	    {"policy\t\tmay\t60", "policy PATTERN"},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct arena mem;
		struct control_request r;
		arena_init(&mem, MEM);
		const char *wrong = parse(rows[i].line, &mem, &r);
		if (wrong == NULL || strstr(wrong, rows[i].word) == NULL)
			fail_msg("'%s': %s", rows[i].line, wrong != NULL ? wrong : "taken");
		arena_free(&mem);
	}
}

static void a_nul_does_not_hide_the_rest(void **state)
{
	struct arena mem;
	struct control_request r;
	(void)state;
	arena_init(&mem, MEM);
	assert_non_null(control_parse(slice_make("delete\tid=1\0 and", 16), NOW, &mem, &r));
	arena_free(&mem);
}

/* Nothing is read past the end, wherever it is. */
static void every_beginning_is_survived(void **state)
{
	struct guard g;
	(void)state;
	guard_init(&g, 4096);
	for (size_t n = 0; n <= strlen(FULL); n++) {
		struct arena mem;
		struct control_request r;
		arena_init(&mem, MEM);
		const char *wrong =
		    control_parse(guard_put(&g, slice_make(FULL, n)), NOW, &mem, &r);
		assert_true(n < strlen(FULL) || wrong == NULL);
		arena_free(&mem);
	}
	guard_free(&g);
}

static void no_memory_is_no_request(void **state)
{
	struct arena mem;
	struct control_request r;
	(void)state;
	arena_init(&mem, 8);
	assert_non_null(parse(FULL, &mem, &r));
	arena_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_understood),
	    cmocka_unit_test(every_filter_is_taken),
	    cmocka_unit_test(a_policy_has_a_pattern_in_normal_form),
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(a_nul_does_not_hide_the_rest),
	    cmocka_unit_test(every_beginning_is_survived),
	    cmocka_unit_test(no_memory_is_no_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
