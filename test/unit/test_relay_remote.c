/* SPDX-License-Identifier: MIT */
/*
 * relay: questions to the resolver process, which is played here: which answers are used again, and
 * what becomes of them when it goes.
 */
#include "packet.h"
#include "test_clock.h"
#include "unit.h"

#include "base/arena.h"
#include "relay/mail.h"
#include "relay/remote.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_MS = 5000, TTL_AT = 4 };

struct fixture {
	struct loop *loop;
	struct loop_timer *limit;
	struct remote *remote;
	struct engine_resolver ask;
	struct channel *channel; /* the resolver's end */
	int asked, answered;     /* questions that it heard; answers that came */
	enum dns_status status;
	/* what it says */
	enum {
		SAY_RECORD,
		SAY_SHORT_TTL,
		SAY_NOTHING,
		SAY_ALIAS,
		SAY_FAILED,
		SAY_BOGUS,
		SAY_GARBAGE,
		SAY_LATER
	} what;
};

static void make_packet(const struct fixture *f, const struct question *q, struct buf *b)
{
	bool none = f->what == SAY_NOTHING;
	packet_begin(b, q->name, q->type, f->what == SAY_FAILED ? DNS_SERVFAIL : DNS_NOERROR);
	size_t record = buf_len(b) + strlen(q->name) + 2; /* behind the owner's name */
	if (f->what == SAY_ALIAS)
		packet_add_name(b, q->name, DNS_CNAME, "other.example");
	if (!none && f->what != SAY_FAILED)
		packet_add(b, PACKET_ANSWER, f->what == SAY_ALIAS ? "other.example" : q->name,
			   DNS_A, slice_make((const uint8_t *)"\xc0\0\2\1", 4));
	for (size_t i = 0; f->what == SAY_SHORT_TTL && i < 4; i++)
		packet_poke(b, record + TTL_AT + i, 0);
}

static void on_question(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct fixture *f = arg;
	struct arena mem;
	struct question q;
	struct buf packet;
	arena_init(&mem, 65536);
	assert_int_equal(type, MSG_ASK);
	assert_true(question_get(payload, &mem, &q));
	f->asked++;
	if (f->what == SAY_GARBAGE) {
		buf_add(channel_begin(c, MSG_ANSWER), "fourteen octets", 14);
		assert_true(channel_send(c, -1));
	}
	if (f->what == SAY_GARBAGE || f->what == SAY_LATER) {
		arena_free(&mem);
		return;
	}
	make_packet(f, &q, &packet);
	struct answered a = {.id = q.id,
			     .security = f->what == SAY_BOGUS ? ANSWER_BOGUS : ANSWER_SECURE,
			     .packet = buf_slice(&packet)};
	answered_put(channel_begin(c, MSG_ANSWER), &a);
	assert_true(channel_send(c, -1));
	buf_free(&packet);
	arena_free(&mem);
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	(void)arg, (void)c, (void)why;
}

static void on_limit(void *arg)
{
	struct fixture *f = arg;
	loop_stop(f->loop);
}

static void on_answer(void *arg, struct answer *a)
{
	struct fixture *f = arg;
	assert_non_null(a);
	assert_string_equal(a->name, "host.example");
	f->status = a->status;
	f->answered++;
	loop_stop(f->loop);
}

static void connect_resolver(struct fixture *f)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	channel_free(&f->channel);
	f->channel =
	    channel_new(f->loop, pair[1], ROLE_RESOLVER, ROLE_COURIER, on_question, on_gone, f);
	remote_connect(f->remote, pair[0]);
}

static void begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->loop = loop_new();
	f->limit = loop_timer_new(f->loop, on_limit, f);
	f->remote = remote_new(f->loop, ROLE_COURIER, NULL);
	assert_non_null(f->remote);
	f->ask = remote_resolver(f->remote);
	connect_resolver(f);
}

static void end(struct fixture *f)
{
	remote_free(&f->remote);
	channel_free(&f->channel);
	loop_timer_free(&f->limit);
	loop_free(&f->loop);
}

static void ask(struct fixture *f, uint16_t type)
{
	int before = f->answered;
	assert_non_null(f->ask.ask(f->ask.self, "host.example", type, on_answer, f));
	assert_int_equal(f->answered, before); /* never inside the call */
	loop_timer_set(f->limit, LIMIT_MS);
	loop_run(f->loop);
	assert_int_equal(f->answered, before + 1);
}

static const struct {
	const char *what;
	int says;
	int asked; /* for two equal questions */
	enum dns_status status;
} rows[] = {
    {"records", SAY_RECORD, 1, DNS_SECURE},     {"a TTL of nothing", SAY_SHORT_TTL, 2, DNS_SECURE},
    {"an absence", SAY_NOTHING, 2, DNS_ABSENT}, {"behind an alias", SAY_ALIAS, 2, DNS_SECURE},
    {"no lookup", SAY_FAILED, 2, DNS_FAILED},   {"a forgery", SAY_BOGUS, 2, DNS_FAILED},
};

static void used_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f;
		begin(&f);
		f.what = rows[i].says;
		for (int n = 0; n < 2; n++) {
			ask(&f, DNS_A);
			if (f.status != rows[i].status)
				fail_msg("%s: %s", rows[i].what, dns_status_name(f.status));
		}
		if (f.asked != rows[i].asked)
			fail_msg("%s: asked %d times", rows[i].what, f.asked);
		end(&f);
	}
}

static void another_type_or_resolver(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f);
	ask(&f, DNS_A);
	ask(&f, DNS_AAAA);
	assert_int_equal(f.asked, 2);
	assert_int_equal(f.status, DNS_ABSENT);
	ask(&f, DNS_A);
	assert_int_equal(f.asked, 2);
	connect_resolver(&f); /* it may know better */
	ask(&f, DNS_A);
	assert_int_equal(f.asked, 3);
	end(&f);
}

/* RFC 1035 s3.2.1, and the moment that the answers at hand are for: both end. */
static void not_for_ever(void **state)
{
	static const struct {
		uint64_t ahead_ms;
		int asked;
	} times[] = {{0, 1}, {500, 1}, {1000, 2}, {60000, 2}};
	(void)state;
	for (size_t i = 0; i < ROWS(times); i++) {
		struct fixture f;
		begin(&f);
		ask(&f, DNS_A);
		test_clock_ahead(times[i].ahead_ms);
		ask(&f, DNS_A);
		if (f.asked != times[i].asked)
			fail_msg("after %d ms: asked %d times", (int)times[i].ahead_ms, f.asked);
		test_clock_ahead(0);
		end(&f);
	}
}

static void cancelled(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f);
	ask(&f, DNS_A);
	void *query = f.ask.ask(f.ask.self, "host.example", DNS_A, on_answer, &f);
	f.ask.cancel(f.ask.self, query);
	loop_timer_set(f.limit, 20);
	loop_run(f.loop);
	assert_int_equal(f.answered, 1);
	f.ask.ask(f.ask.self, "host.example", DNS_A, on_answer, &f); /* freed with it */
	end(&f);
}

/* Its answer is lost, as without memory for it: the channel is cut, and the next resolver is asked.
 */
static void an_answer_that_is_lost(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f);
	f.what = SAY_GARBAGE;
	f.ask.ask(f.ask.self, "host.example", DNS_A, on_answer, &f);
	loop_timer_set(f.limit, 50);
	loop_run(f.loop);
	assert_int_equal(f.asked, 1);
	assert_int_equal(f.answered, 0);
	f.what = SAY_RECORD;
	connect_resolver(&f);
	loop_timer_set(f.limit, LIMIT_MS);
	loop_run(f.loop);
	assert_int_equal(f.asked, 2);
	assert_int_equal(f.answered, 1);
	assert_int_equal(f.status, DNS_SECURE);
	end(&f);
}

/* Nobody waits for ever, whatever became of the answer. */
static void an_answer_that_never_comes(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f);
	f.what = SAY_LATER;
	f.ask.ask(f.ask.self, "host.example", DNS_A, on_answer, &f);
	loop_timer_set(f.limit, 50);
	loop_run(f.loop);
	assert_int_equal(f.answered, 0);
	test_clock_ahead(1300000);
	loop_timer_set(f.limit, LIMIT_MS);
	loop_run(f.loop);
	test_clock_ahead(0);
	assert_int_equal(f.answered, 1);
	assert_int_equal(f.status, DNS_FAILED);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(used_again),
	    cmocka_unit_test(another_type_or_resolver),
	    cmocka_unit_test(not_for_ever),
	    cmocka_unit_test(cancelled),
	    cmocka_unit_test(an_answer_that_is_lost),
	    cmocka_unit_test(an_answer_that_never_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
