/* SPDX-License-Identifier: MIT */
/* relay: the payloads that carry mail: what was put comes out, and nothing shorter or longer does.
 */
#include "relay/mail.h"

#include "guard.h"
#include "unit.h"

#include "audit/record.h"
#include "deliver/attempt.h"

#include <string.h>

#include "wire/origin.h"

enum { ROOM = 262144, MEM = 1024 * 1024 };

struct fixture {
	struct buf b;
	struct arena mem;
	struct guard guard;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	buf_init(&f->b, ROOM);
	arena_init(&f->mem, MEM);
	guard_init(&f->guard, ROOM);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	buf_free(&f->b);
	arena_free(&f->mem);
	guard_free(&f->guard);
	free(f);
	return 0;
}

static void assert_same(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a != NULL)
		assert_string_equal(a, b);
}

static struct mail_rcpt rcpts[] = {
    {0, "a@example.org", NULL, NULL},
    {7, "b@[192.0.2.1]", "rfc822;b", "NEVER"},
    {4294967295u, "", "", "SUCCESS,FAILURE"},
};

static struct mail sample_mail(void)
{
	return (struct mail){.queue_id = "0123456789abcdef",
			     .arrived = -1,
			     .reverse_path = "",
			     .envid = "QQ1",
			     .origin = "client 192.0.2.7",
			     .origin_key = 0xfedcba9876u,
			     .size = UINT64_MAX,
			     .eight_bit = true,
			     .rcpt = rcpts,
			     .nrcpt = 3,
			     .text = slice_str("Subject: x\r\n\r\ntext\r\n")};
}

static void assert_same_mail(const struct mail *a, const struct mail *b)
{
	assert_same(a->queue_id, b->queue_id);
	assert_true(a->arrived == b->arrived && a->size == b->size);
	assert_same(a->reverse_path, b->reverse_path);
	assert_same(a->envid, b->envid);
	assert_same(a->ret, b->ret);
	assert_same(a->origin, b->origin);
	assert_true(a->origin_key == b->origin_key);
	assert_true(a->eight_bit == b->eight_bit && a->smtputf8 == b->smtputf8);
	assert_int_equal(a->nrcpt, b->nrcpt);
	for (size_t i = 0; i < a->nrcpt; i++) {
		assert_int_equal(a->rcpt[i].n, b->rcpt[i].n);
		assert_same(a->rcpt[i].address, b->rcpt[i].address);
		assert_same(a->rcpt[i].orcpt, b->rcpt[i].orcpt);
		assert_same(a->rcpt[i].notify, b->rcpt[i].notify);
	}
	assert_true(slice_eq(a->text, b->text));
}

/* --- One of each --- */

static struct result_try tries[] = {
    {"mx1.example.org", "192.0.2.1", "dane", "tlsa-invalid", "4.7.323", NULL, "TLSv1.3"},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
static struct result_rcpt results[] = {
    {0, ATTEMPT_SENT, REASON_OK, "2.0.0", "250 ok", "mx1.example.org", true},
    {9, ATTEMPT_FAILED, REASON_TIMEOUT, "5.1.1", NULL, NULL, false},
};

static void put_submit(struct buf *b)
{
	submit_put(b, &(struct submit){0x0102030405060708u, sample_mail()});
}

static bool get_submit(struct slice s, struct arena *mem)
{
	struct submit x;
	return submit_get(s, mem, &x);
}

static void put_submitted(struct buf *b)
{
	submitted_put(b, &(struct submitted){1, 250, "2.0.0 Ok"});
}

static bool get_submitted(struct slice s, struct arena *mem)
{
	struct submitted x;
	return submitted_get(s, mem, &x);
}

static void put_job(struct buf *b)
{
	job_put(b,
		&(struct job){3, -4, "example.org", LEVEL_DANE_ONLY, "*.org", sample_mail(), true});
}

static bool get_job(struct slice s, struct arena *mem)
{
	struct job x;
	return job_get(s, mem, &x);
}

/* A record of this type with nothing in it. */
static struct slice record_of(enum audit_type type, uint8_t out[static 128])
{
	struct buf b;
	struct audit_record r = {.type = type};
	if (type == AUDIT_ATTEMPT)
		r.attempt.count = 1;
	buf_init(&b, 128);
	assert_true(audit_encode(&r, &b));
	struct slice s = slice_make(out, buf_len(&b));
	memcpy(out, buf_slice(&b).p, s.n);
	buf_free(&b);
	return s;
}

static uint8_t record[128];

static void put_result(struct buf *b)
{
	tries[0].audit = record_of(AUDIT_ATTEMPT, record);
	result_put(b, &(struct result){.delivery = 5,
				       .take = 6,
				       .reason = REASON_TIMEOUT,
				       .unknown = true,
				       .reach = SMTPC_REACHED_DOT,
				       .unwilling = true,
				       .reply_ms = -1,
				       .tries = tries,
				       .ntries = 2,
				       .rcpt = results,
				       .nrcpt = 2});
}

static bool get_result(struct slice s, struct arena *mem)
{
	struct result x;
	return result_get(s, mem, &x);
}

static void put_question(struct buf *b)
{
	question_put(b, &(struct question){6, 52, "_25._tcp.mx.example.org"});
}

static bool get_question(struct slice s, struct arena *mem)
{
	struct question x;
	return question_get(s, mem, &x);
}

static void put_answered(struct buf *b)
{
	answered_put(b, &(struct answered){7, 1, 2, NULL, slice_str("packet")});
}

static bool get_answered(struct slice s, struct arena *mem)
{
	struct answered x;
	return answered_get(s, mem, &x);
}

static const struct codec {
	const char *name;
	void (*put)(struct buf *b);
	bool (*get)(struct slice s, struct arena *mem);
} codecs[] = {
    {"submit", put_submit, get_submit},
    {"submitted", put_submitted, get_submitted},
    {"job", put_job, get_job},
    {"result", put_result, get_result},
    {"question", put_question, get_question},
    {"answered", put_answered, get_answered},
};

/* --- Claims --- */

static void what_was_put_comes_out(void **state)
{
	struct fixture *f = *state;
	struct submit s;
	struct job j;
	struct result r;
	struct answered a;
	struct mail m = sample_mail();
	put_submit(&f->b);
	assert_true(submit_get(buf_slice(&f->b), &f->mem, &s));
	assert_true(s.token == 0x0102030405060708u);
	assert_same_mail(&s.mail, &m);
	buf_reset(&f->b);
	put_job(&f->b);
	assert_true(job_get(buf_slice(&f->b), &f->mem, &j));
	assert_true(j.delivery == 3 && j.level == LEVEL_DANE_ONLY && j.again);
	assert_same(j.next_hop, "example.org");
	assert_same(j.pattern, "*.org");
	assert_same_mail(&j.mail, &m);
	buf_reset(&f->b);
	put_result(&f->b);
	assert_true(result_get(buf_slice(&f->b), &f->mem, &r));
	assert_true(r.delivery == 5 && r.reason == REASON_TIMEOUT && r.unknown);
	assert_true(r.reach == SMTPC_REACHED_DOT && r.unwilling && r.reply_ms == -1);
	assert_true(r.ntries == 2 && r.nrcpt == 2);
	assert_same(r.tries[0].tls, "TLSv1.3");
	assert_same(r.tries[1].host, NULL);
	assert_true(slice_eq(r.tries[0].audit, tries[0].audit) && r.tries[1].audit.n == 0);
	assert_int_equal(r.rcpt[1].n, 9);
	assert_int_equal(r.rcpt[1].status, ATTEMPT_FAILED);
	assert_same(r.rcpt[0].reply, "250 ok");
	assert_true(r.rcpt[0].dsn_passed && !r.rcpt[1].dsn_passed);
	buf_reset(&f->b);
	put_answered(&f->b);
	assert_true(answered_get(buf_slice(&f->b), &f->mem, &a));
	assert_true(a.id == 7 && a.security == 1 && a.rcode == 2 && a.why == NULL);
	assert_true(slice_eq_str(a.packet, "packet"));
}

/* Who takes an intake over cannot have the notices' share, nor a number that is no origin. */
static void an_origin_has_forty_bits(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t origin;
		bool good;
	} rows[] = {{ORIGIN_NONE, true},
		    {ORIGIN_LOCAL, true},
		    {ORIGIN_NOTICES, true},
		    {((uint64_t)1 << ORIGIN_BITS) - 1, true},
		    {(uint64_t)1 << ORIGIN_BITS, false}};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct submit s = {1, sample_mail()};
		s.mail.origin_key = rows[i].origin;
		buf_reset(&f->b);
		submit_put(&f->b, &s);
		assert_int_equal(submit_get(buf_slice(&f->b), &f->mem, &s), rows[i].good);
	}
}

static void again_is_a_word_of_the_intake(void **state)
{
	struct fixture *f = *state;
	for (int again = 0; again < 2; again++) {
		struct submit s = {.token = 1, .mail = sample_mail(), .again = again == 1}, got;
		buf_reset(&f->b);
		submit_put(&f->b, &s);
		assert_true(submit_get(buf_slice(&f->b), &f->mem, &got));
		assert_int_equal(got.again, again);
	}
}

static void every_truncation_fails(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(codecs); i++) {
		buf_reset(&f->b);
		codecs[i].put(&f->b);
		struct slice whole = buf_slice(&f->b);
		assert_true(codecs[i].get(guard_put(&f->guard, whole), &f->mem));
		for (size_t n = 0; n < whole.n; n++) {
			arena_free(&f->mem);
			if (codecs[i].get(guard_put(&f->guard, slice_first(whole, n)), &f->mem))
				fail_msg("%s: %zu of %zu octets are taken for all", codecs[i].name,
					 n, whole.n);
		}
		arena_free(&f->mem);
		buf_add_u8(&f->b, 0);
		assert_false(codecs[i].get(guard_put(&f->guard, buf_slice(&f->b)), &f->mem));
	}
}

/* Every octet in turn is every other value: nothing is read past the end, whatever is believed. */
static void every_change_of_an_octet_is_survived(void **state)
{
	struct fixture *f = *state;
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
	for (size_t i = 0; i < ROWS(codecs); i++) {
		buf_reset(&f->b);
		codecs[i].put(&f->b);
		for (size_t n = 0; n < buf_len(&f->b); n++) {
			uint8_t *octet = f->b.p + f->b.start + n, before = *octet;
			for (size_t v = 0; v < ROWS(values); v++) {
				*octet = values[v];
				arena_free(&f->mem);
				codecs[i].get(guard_put(&f->guard, buf_slice(&f->b)), &f->mem);
			}
			*octet = before;
		}
	}
}

static void a_count_that_the_payload_cannot_hold_allocates_nothing(void **state)
{
	struct fixture *f = *state;
	struct result r;
	put_u64(&f->b, 1);
	put_u16(&f->b, 0);
	put_u8(&f->b, 0);
	put_u32(&f->b, MAIL_TRIES_MAX);
	assert_false(result_get(buf_slice(&f->b), &f->mem, &r));
	assert_true(f->mem.used < 1024);
}

static void a_string_has_no_nul_inside(void **state)
{
	struct fixture *f = *state;
	struct question q;
	put_u64(&f->b, 1);
	put_u16(&f->b, 1);
	put_bytes(&f->b, slice_make("a\0b", 3));
	assert_false(question_get(buf_slice(&f->b), &f->mem, &q));
}

static void values_outside_their_range_fail(void **state)
{
	struct fixture *f = *state;
	static const struct job bad_jobs[] = {
	    {1, 2, "x", 77, "x", {0}},
	    {1, 2, "x", LEVEL_MAY, NULL, {0}},
	    {1, 2, "x", MAIL_LEVEL_NONE, "x", {0}},
	    {1, 2, "x", LEVEL_MAY, "X.", {0}},
	};
	static const uint16_t codes[] = {0, 199, 600, 65535};
	for (size_t i = 0; i < ROWS(bad_jobs); i++) {
		struct job j = bad_jobs[i];
		j.mail = sample_mail();
		arena_free(&f->mem);
		buf_reset(&f->b);
		job_put(&f->b, &j);
		assert_false(get_job(buf_slice(&f->b), &f->mem));
	}
	for (size_t i = 0; i < ROWS(codes); i++) {
		arena_free(&f->mem);
		buf_reset(&f->b);
		submitted_put(&f->b, &(struct submitted){1, codes[i], "x"});
		assert_false(get_submitted(buf_slice(&f->b), &f->mem));
	}
	buf_reset(&f->b);
	arena_free(&f->mem);
	result_put(
	    &f->b,
	    &(struct result){
		.delivery = 1, .take = 2, .reason = REASON_COUNT, .rcpt = results, .nrcpt = 2});
	assert_false(get_result(buf_slice(&f->b), &f->mem));
	buf_reset(&f->b);
	arena_free(&f->mem);
	result_put(&f->b, &(struct result){.delivery = 1,
					   .reach = SMTPC_REACHED_VERDICT + 1,
					   .rcpt = results,
					   .nrcpt = 2});
	assert_false(get_result(buf_slice(&f->b), &f->mem));
	struct mail nobody = sample_mail();
	nobody.nrcpt = 0;
	buf_reset(&f->b);
	arena_free(&f->mem);
	submit_put(&f->b, &(struct submit){1, nobody});
	assert_false(get_submit(buf_slice(&f->b), &f->mem));
}

/* A courier says what it tried, and nothing in the keeper's name. */
static void only_records_of_attempts_are_taken(void **state)
{
	struct fixture *f = *state;
	static const enum audit_type others[] = {AUDIT_OVERRIDE, AUDIT_SELFCHECK, AUDIT_CHECKPOINT};
	uint8_t body[128];
	struct result_try t = {.audit = record_of(AUDIT_ATTEMPT, body)};
	struct result r = {.tries = &t, .ntries = 1};
	result_put(&f->b, &r);
	assert_true(get_result(buf_slice(&f->b), &f->mem));
	for (size_t i = 0; i < ROWS(others); i++) {
		t.audit = record_of(others[i], body);
		buf_reset(&f->b);
		result_put(&f->b, &r);
		assert_false(get_result(buf_slice(&f->b), &f->mem));
	}
	t.audit = slice_str("no record");
	buf_reset(&f->b);
	result_put(&f->b, &r);
	assert_false(get_result(buf_slice(&f->b), &f->mem));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_put_comes_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_origin_has_forty_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(again_is_a_word_of_the_intake, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_truncation_fails, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_change_of_an_octet_is_survived, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_count_that_the_payload_cannot_hold_allocates_nothing,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(a_string_has_no_nul_inside, setup, teardown),
	    cmocka_unit_test_setup_teardown(only_records_of_attempts_are_taken, setup, teardown),
	    cmocka_unit_test_setup_teardown(values_outside_their_range_fail, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
