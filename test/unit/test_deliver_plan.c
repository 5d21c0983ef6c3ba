/* SPDX-License-Identifier: MIT */
/* The plan and the attempt below the scenes: chance, limits, and drivers that misbehave. */
#include "../tables/fake.h"
#include "unit.h"

#include "deliver/attempt.h"

#include <stdio.h>
#include <string.h>

enum { SEEDS = 1000, TEXT_MAX = 16384 };

static struct plan *plan_of(struct plan_config *c, const char *mx)
{
	struct plan_question q;
	struct plan *p = plan_new(c);
	struct answer *a = fake_answer("example.org", DNS_MX, mx);
	assert_non_null(p);
	assert_non_null(a);
	assert_true(plan_next_question(p, &q));
	assert_int_equal(q.type, DNS_MX);
	plan_answer(p, q.id, a);
	answer_unref(&a);
	return p;
}

static struct plan_config usual_config(void)
{
	return (struct plan_config){.policy = {.level = LEVEL_DANE, .port = 25},
				    .next_hop = "example.org"};
}

/* D4: every order of equals comes up, about as often as the others. */
static void equals_are_shuffled(void **state)
{
	size_t seen[3][3] = {{0}};
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct plan_config c = usual_config();
		c.seed = seed;
		struct plan *p = plan_of(&c, "secure 20 x.example.org, 10 a.example.org, "
					     "10 b.example.org, 10 c.example.org");
		assert_int_equal(plan_nhosts(p), 4);
		assert_string_equal(plan_host(p, 3)->name, "x.example.org");
		for (size_t i = 0; i < 3; i++)
			seen[i][plan_host(p, i)->name[0] - 'a']++;
		plan_free(&p);
	}
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 3; k++)
			assert_in_range(seen[i][k], SEEDS / 4, SEEDS * 5 / 12);
	}
}

/* n hosts of equal preference, the last of them ourselves */
static const char *many(size_t n, char text[TEXT_MAX])
{
	size_t used = (size_t)snprintf(text, TEXT_MAX, "secure ");
	for (size_t i = 0; i + 1 < n; i++)
		used += (size_t)snprintf(text + used, TEXT_MAX - used, "10 h%zu.example.org, ", i);
	snprintf(text + used, TEXT_MAX - used, "10 us.example.org");
	return text;
}

static void many_hosts_are_cut(void **state)
{
	char text[TEXT_MAX];
	struct plan_config c = usual_config();
	(void)state;
	struct plan *p = plan_of(&c, many(400, text));
	assert_int_equal(plan_nhosts(p), PLAN_HOSTS_MAX);
	plan_free(&p);
}

/* D4: we are one of very many equals: a loop, wherever the shuffle has put us. */
static void we_among_many(void **state)
{
	char text[TEXT_MAX];
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct plan_config c = usual_config();
		c.seed = seed;
		c.own_name = "us.example.org";
		struct plan *p = plan_of(&c, many(400, text));
		assert_int_equal(plan_mx(p)->kind, MX_END);
		assert_int_equal(plan_mx(p)->reason, REASON_MAIL_LOOP);
		assert_int_equal(plan_nhosts(p), 0);
		plan_free(&p);
	}
}

static void questions_come_once(void **state)
{
	struct plan_config c = usual_config();
	struct plan_question q, all[8];
	size_t n = 0;
	(void)state;
	struct plan *p = plan_of(&c, "secure 10 a.example.org, 20 b.example.org");
	while (plan_next_question(p, &q)) {
		assert_true(n < ROWS(all));
		for (size_t i = 0; i < n; i++)
			assert_true(all[i].id != q.id);
		all[n++] = q;
	}
	assert_int_equal(n, 4); /* A and AAAA of both */
	assert_false(plan_next_question(p, &q));
	assert_false(plan_done(p));
	plan_free(&p);
}

/* However many hosts there are and whatever they need. */
static void questions_are_bounded(void **state)
{
	struct plan_config c = usual_config();
	struct plan_question q;
	char text[TEXT_MAX];
	size_t n = 1; /* the MX question */
	(void)state;
	struct plan *p = plan_of(&c, many(400, text));
	for (; plan_next_question(p, &q); n++) {
		struct answer *a = fake_answer(q.name, q.type, "failed servfail");
		if (a == NULL)
			a = answer_failed(q.name, q.type, DNS_SERVFAIL, "no answer");
		plan_answer(p, q.id, a);
		answer_unref(&a);
	}
	assert_true(n > PLAN_HOSTS_MAX && n <= PLAN_QUESTIONS_MAX);
	assert_true(plan_done(p) && !plan_failed(p));
	plan_free(&p);
}

/* An id that nobody handed out, and answers to what was cut away. */
static void foreign_answers_are_ignored(void **state)
{
	struct ipaddr own = {4, {192, 0, 2, 9}};
	struct plan_config c = usual_config();
	struct plan_question q[8];
	size_t n = 0;
	(void)state;
	c.own_address = &own;
	c.nown_address = 1;
	struct plan *p = plan_of(&c, "secure 10 a.example.org, 20 b.example.org");
	while (plan_next_question(p, &q[n]))
		n++;
	struct answer *ours = fake_answer("x", DNS_A, "secure 192.0.2.9");
	struct answer *other = fake_answer("x", DNS_A, "secure 192.0.2.1");
	struct answer *none = fake_answer("x", DNS_AAAA, "absent secure");
	plan_answer(p, 12345, other);
	plan_answer(p, UINT32_MAX, other);
	plan_answer(p, q[0].id, ours);
	plan_answer(p, q[1].id, none); /* a.example.org is ourselves: nothing is left */
	assert_int_equal(plan_nhosts(p), 0);
	plan_answer(p, q[2].id, other);
	plan_answer(p, q[3].id, none);
	assert_int_equal(plan_mx(p)->reason, REASON_MAIL_LOOP);
	assert_true(plan_done(p));
	answer_unref(&ours);
	answer_unref(&other);
	answer_unref(&none);
	plan_free(&p);
}

/* All answers of the one host: one text for each type, NULL stays open. */
static void answer_all(struct plan *p, const char *a, const char *cname, const char *tlsa)
{
	struct plan_question q;
	while (plan_next_question(p, &q)) {
		const char *text = q.type == DNS_A       ? a
				   : q.type == DNS_CNAME ? cname
				   : q.type == DNS_TLSA  ? tlsa
							 : "absent secure";
		struct answer *answer = fake_answer(q.name, q.type, text);
		assert_non_null(answer);
		plan_answer(p, q.id, answer);
		answer_unref(&answer);
	}
}

/*
 * RFC 7672 s3.2.2: the next-hop domain is a name for DANE-TA, and what its aliases lead to only
 * when every step was secure: whoever forges an unsigned MX answer could choose that name.
 */
static void expanded_next_hop_as_name(void **state)
{
	static const struct {
		const char *rule, *mx, *a, *cname;
		const char *names[4];
	} rows[] = {
	    {"secure aliases: both names",
	     "secure via other.test 10 mx.example.net",
	     "secure 192.0.2.1",
	     NULL,
	     {"mx.example.net", "example.org", "other.test"}},
	    {"no aliases: one",
	     "secure 10 mx.example.net",
	     "secure 192.0.2.1",
	     NULL,
	     {"mx.example.net", "example.org"}},
	    {"insecure aliases, the domain itself: its own name, not the forged one",
	     "absent insecure via other.test",
	     "insecure via other.test 192.0.2.1",
	     "secure other.test",
	     {"example.org"}},
	    {"insecure MX: the host's name alone",
	     "insecure via other.test 10 mx.example.net",
	     "secure 192.0.2.1",
	     NULL,
	     {"mx.example.net"}},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct plan_config c = usual_config();
		c.policy.insecure_mx = INSECURE_MX_DANE;
		struct plan *p = plan_of(&c, rows[i].mx);
		answer_all(p, rows[i].a, rows[i].cname, "secure 2 1 1 aa*32");
		assert_true(plan_done(p));
		assert_int_equal(plan_nhosts(p), 1);
		const struct tls_terms *t = &plan_host(p, 0)->terms;
		if (t->policy != HOST_DANE)
			fail_msg("%s: %s", rows[i].rule, host_policy_name(t->policy));
		size_t n = 0;
		for (; rows[i].names[n] != NULL; n++) {
			if (n >= t->nreference_names ||
			    strcmp(t->reference_names[n], rows[i].names[n]) != 0)
				fail_msg("%s: no name %s", rows[i].rule, rows[i].names[n]);
		}
		if (t->nreference_names != n)
			fail_msg("%s: %s", rows[i].rule, t->reference_names[n]);
		plan_free(&p);
	}
}

/*
 * RFC 5321 s5.1 and T7: an address of ours is a loop. Where DANE promises that nobody on the line
 * makes mail bounce, an unsigned one is a delay; where it promises nothing (an insecure MX answer
 * could have been forged as well), it is taken for what it says.
 */
static void own_address_as_policy_says(void **state)
{
	static const struct {
		const char *rule;
		enum dane_level level;
		const char *mx, *a;
		enum reason reason;
	} rows[] = {
	    {"proven", LEVEL_DANE, "secure 10 a.test", "secure 192.0.2.9", REASON_MAIL_LOOP},
	    {"promised and forged", LEVEL_DANE, "secure 10 a.test", "insecure 192.0.2.9",
	     REASON_ADDRESS_UNPROVEN},
	    {"nothing promised", LEVEL_DANE, "insecure 10 a.test", "insecure 192.0.2.9",
	     REASON_MAIL_LOOP},
	    {"may", LEVEL_MAY, "secure 10 a.test", "insecure 192.0.2.9", REASON_MAIL_LOOP},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct ipaddr own = {4, {192, 0, 2, 9}};
		struct plan_config c = usual_config();
		c.policy.level = rows[i].level;
		c.own_address = &own;
		c.nown_address = 1;
		struct plan *p = plan_of(&c, rows[i].mx);
		answer_all(p, rows[i].a, "absent secure", "absent secure");
		if (plan_mx(p)->kind != MX_END || plan_mx(p)->reason != rows[i].reason)
			fail_msg("%s: %s", rows[i].rule, reason_name(plan_mx(p)->reason));
		plan_free(&p);
	}
}

/* --- The attempt --- */

struct try_out {
	struct smtpc_rcpt rcpt[2];
	struct smtpc_message message;
	struct attempt_config config;
	struct attempt *attempt;
};

static void try_out_init(struct try_out *t)
{
	*t = (struct try_out){.rcpt = {{.address = "a@example.org"}, {.address = "b@example.org"}}};
	t->message = (struct smtpc_message){
	    .reverse_path = "", .size = 2, .rcpt = t->rcpt, .nrcpt = ROWS(t->rcpt)};
	t->config = (struct attempt_config){.plan = usual_config(),
					    .helo = "client.example",
					    .timeouts = &SMTPC_TIMEOUTS_RFC,
					    .message = &t->message};
	t->config.plan.next_hop = "192.0.2.1";
	t->config.plan.literal = (struct ipaddr){4, {192, 0, 2, 1}};
}

/* A literal needs no answers, but the plan looks at a host only when it is asked for questions. */
static void start_literal(struct try_out *t)
{
	struct plan_question q;
	try_out_init(t);
	t->attempt = attempt_new(&t->config);
	assert_non_null(t->attempt);
	assert_false(plan_next_question(attempt_plan(t->attempt), &q));
}

static void all_deferred(struct try_out *t, enum reason r)
{
	assert_int_equal(attempt_want(t->attempt), ATTEMPT_DONE);
	for (size_t i = 0; i < ROWS(t->rcpt); i++) {
		assert_int_equal(attempt_rcpt(t->attempt, i)->status, ATTEMPT_DEFERRED);
		assert_int_equal(attempt_rcpt(t->attempt, i)->reason, r);
	}
}

/* T10: the driver could not look up: nothing in the plan may be used. */
static void no_answer_is_a_local_error(void **state)
{
	struct try_out t;
	struct plan_question q;
	(void)state;
	try_out_init(&t);
	t.config.plan.literal.family = 0;
	t.config.plan.next_hop = "example.org";
	t.attempt = attempt_new(&t.config);
	assert_int_equal(attempt_want(t.attempt), ATTEMPT_WANT_ANSWERS);
	assert_true(plan_next_question(attempt_plan(t.attempt), &q));
	plan_answer(attempt_plan(t.attempt), q.id, NULL);
	all_deferred(&t, REASON_LOCAL_ERROR);
	attempt_free(&t.attempt);
}

static void abort_defers_who_is_pending(void **state)
{
	struct try_out t;
	(void)state;
	start_literal(&t);
	assert_int_equal(attempt_want(t.attempt), ATTEMPT_WANT_SESSION);
	attempt_abort(t.attempt, "shutdown");
	all_deferred(&t, REASON_LOCAL_ERROR);
	struct session_outcome late = {.reason = REASON_OK};
	t.rcpt[0].state = RCPT_SENT;
	attempt_session_ended(t.attempt, &late); /* too late: the abort stands */
	all_deferred(&t, REASON_LOCAL_ERROR);
	attempt_free(&t.attempt);
}

/* A session that nobody asked for changes nothing. */
static void unasked_session_is_ignored(void **state)
{
	struct try_out t;
	struct session_outcome o = {.reason = REASON_SMTP_REJECTED};
	(void)state;
	start_literal(&t);
	attempt_session_ended(t.attempt, &o);
	assert_int_equal(attempt_ntries(t.attempt), 0);
	assert_int_equal(attempt_want(t.attempt), ATTEMPT_WANT_SESSION);
	assert_int_equal(attempt_want(t.attempt), ATTEMPT_WANT_SESSION); /* asking is not doing */
	attempt_free(&t.attempt);
	attempt_free(&t.attempt);
}

/* D9, T7: what a policy lets a session do. */
static void session_follows_policy(void **state)
{
	static const struct {
		const char *tlsa;
		enum smtpc_tls tls;
	} rows[] = {
	    {"secure 3 1 1 aa*32", SMTPC_TLS_MUST},
	    {"secure 1 1 1 aa*32", SMTPC_TLS_MUST},
	    {"absent secure", SMTPC_TLS_MAY},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct try_out t;
		struct plan_question q;
		struct attempt_session as;
		try_out_init(&t);
		t.config.plan = usual_config();
		t.config.plan.no_mx = true;
		t.attempt = attempt_new(&t.config);
		while (plan_next_question(attempt_plan(t.attempt), &q)) {
			struct answer *a = fake_answer(q.name, q.type,
						       q.type == DNS_A      ? "secure 192.0.2.1"
						       : q.type == DNS_TLSA ? rows[i].tlsa
									    : "absent secure");
			plan_answer(attempt_plan(t.attempt), q.id, a);
			answer_unref(&a);
		}
		assert_int_equal(attempt_want(t.attempt), ATTEMPT_WANT_SESSION);
		attempt_session(t.attempt, &as);
		assert_int_equal(as.smtp.tls, rows[i].tls);
		assert_int_equal(as.port, 25);
		assert_ptr_equal(as.smtp.message, &t.message);
		attempt_free(&t.attempt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equals_are_shuffled),
	    cmocka_unit_test(many_hosts_are_cut),
	    cmocka_unit_test(we_among_many),
	    cmocka_unit_test(questions_come_once),
	    cmocka_unit_test(questions_are_bounded),
	    cmocka_unit_test(foreign_answers_are_ignored),
	    cmocka_unit_test(expanded_next_hop_as_name),
	    cmocka_unit_test(own_address_as_policy_says),
	    cmocka_unit_test(no_answer_is_a_local_error),
	    cmocka_unit_test(abort_defers_who_is_pending),
	    cmocka_unit_test(unasked_session_is_ignored),
	    cmocka_unit_test(session_follows_policy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
