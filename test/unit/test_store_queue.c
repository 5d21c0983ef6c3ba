/* SPDX-License-Identifier: MIT */
/* store: scheduling, alarms, destinations, what an operator does and sees. */
#include "../store/help.h"
#include "store/room.h"
#include "unit.h"

#include "wire/origin.h"

struct fixture {
	char path[256];
	struct store *s;
	struct arena mem;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	help_path(f->path);
	f->s = help_open(f->path, NULL);
	arena_init(&f->mem, 64 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	store_close(&f->s);
	help_audit(f->path);
	help_clean(f->path);
	arena_free(&f->mem);
	free(f);
	return 0;
}

#define OK(call) assert_string_equal(store_status_name(call), "ok")
#define IS(call, status) assert_string_equal(store_status_name(call), store_status_name(status))

static void add(struct fixture *f, const char *id, const char *hop, int64_t due)
{
	OK(store_begin(f->s));
	OK(help_add_one(f->s, id, hop, due));
	OK(store_commit(f->s));
}

static void change(struct fixture *f, enum store_op op, const char *id, enum store_status want)
{
	int64_t delivery = help_first_delivery(f->s, id);
	OK(store_begin(f->s));
	IS(store_change(f->s, op, delivery, T0), want);
	OK(store_commit(f->s));
}

static struct store_delivery show(struct fixture *f, const char *id)
{
	struct store_delivery d;
	OK(store_show(f->s, help_first_delivery(f->s, id), &f->mem, &d));
	return d;
}

static void take(struct fixture *f, const char *id)
{
	struct store_delivery d;
	int64_t delivery = help_first_delivery(f->s, id);
	OK(store_begin(f->s));
	OK(store_take(f->s, delivery, T0, &f->mem, &d));
	OK(store_commit(f->s));
}

static void defer(struct fixture *f, const char *id, const char *reason, int64_t due)
{
	struct store_recorded out;
	struct store_result r = {
	    .delivery = help_first_delivery(f->s, id), .reason = reason, .due = due};
	OK(store_begin(f->s));
	OK(store_record(f->s, &r, &out));
	OK(store_commit(f->s));
}

static int64_t destination(struct fixture *f, const char *name, struct store_destination *out)
{
	struct store_destination mine;
	if (!out)
		out = &mine;
	OK(store_destination(f->s, name, &f->mem, out));
	return out->id;
}

/* The ready destinations at `now`, as "a b c". */
static const char *ready(struct fixture *f, int64_t now, const int64_t *busy, size_t nbusy,
			 size_t max)
{
	struct store_destination d[16];
	size_t n;
	OK(store_ready(f->s, now, busy, nbusy, max, &f->mem, d, &n));
	const char *text = "";
	for (size_t i = 0; i < n; i++)
		text = arena_printf(&f->mem, "%s%s%s", text, *text ? " " : "", d[i].name);
	return text;
}

/* --- scheduling ------------------------------------------------------------------------------ */

static void put_of(struct fixture *f, int number, uint64_t origin, const char *from, int64_t due)
{
	char id[24];
	snprintf(id, sizeof id, "S%d", number);
	struct store_new_rcpt r = {.address = "a@example.org"};
	struct store_new_delivery d = {
	    .next_hop = "busy.example", .rcpt = &r, .nrcpt = 1, .due = due};
	struct store_new_message m = {.envelope = {.queue_id = id,
						   .arrived = T0,
						   .expires = T0 + 1000000,
						   .reverse_path = from,
						   .origin = "test",
						   .sender = origin_sender(origin, from),
						   .size = 1},
				      .text = {.bytes = SLICE_LIT("x"), .fd = -1},
				      .delivery = &d,
				      .ndelivery = 1};
	OK(store_add(f->s, &m));
}

static void put(struct fixture *f, int number, const char *from, int64_t due)
{
	put_of(f, number, ORIGIN_NONE, from, due);
}

/* Of each sender (a letter) how many are due, as "a2 b1". */
static const char *due_of(struct fixture *f, size_t max, size_t per_sender, bool *more)
{
	int64_t due[64];
	size_t n, count[26] = {0};
	OK(store_due(f->s, destination(f, "busy.example", NULL), T0 + 1000, max, per_sender, due,
		     &n, more));
	assert_true(n <= max);
	for (size_t i = 0; i < n; i++) {
		struct store_delivery d;
		OK(store_show(f->s, due[i], &f->mem, &d));
		count[d.envelope.reverse_path[0] - 'a']++;
		for (size_t k = 0; k < i; k++)
			assert_true(due[k] != due[i]);
	}
	const char *text = "";
	for (size_t i = 0; i < 26; i++)
		if (count[i] > 0)
			text = arena_printf(&f->mem, "%s%s%c%zu", text, *text ? " " : "",
					    (char)('a' + i), count[i]);
	return text;
}

static void a_backlog_hides_no_other_sender(void **state)
{
	struct fixture *f = *state;
	bool more;
	int number = 0;
	OK(store_begin(f->s));
	put(f, number++, "a@x", T0 + 1);
	put(f, number++, "b@x", T0 + 2);
	OK(store_commit(f->s));
	assert_string_equal(due_of(f, 8, 4, &more), "a1 b1");
	assert_false(more);
	OK(store_begin(f->s));
	for (int i = 0; i < 3000; i++)
		put(f, number++, "a@x", T0);
	put(f, number++, "c@x", T0 + 900);
	put(f, number++, "d@x", T0 + 2000); /* not due */
	OK(store_commit(f->s));
	assert_string_equal(due_of(f, 8, 4, &more), "a4 b1 c1");
	assert_true(more);
	assert_string_equal(due_of(f, 4, 0, &more), "a2 b1 c1");
	assert_string_equal(due_of(f, 1, 1, &more), "a1");
}

/* However many have a backlog, whoever waits comes up in some turns. */
static void among_many_senders_everybody_comes_up(void **state)
{
	struct fixture *f = *state;
	bool more, seen = false;
	int number = 0;
	OK(store_begin(f->s));
	for (int i = 0; i < 500; i++) {
		char from[24];
		snprintf(from, sizeof from, "a%d@x", i);
		for (int k = 0; k < 4; k++)
			put(f, number++, from, T0);
	}
	put(f, number++, "z@x", T0 + 999);
	OK(store_commit(f->s));
	for (int i = 0; i < 200 && !seen; i++)
		seen = strchr(due_of(f, 32, 2, &more), 'z') != NULL;
	assert_true(seen);
}

/* However many reverse-paths one client names: who is of another origin is in the first answer. */
static void many_senders_of_one_origin_hide_nobody(void **state)
{
	struct fixture *f = *state;
	bool more;
	int number = 0;
	static const uint64_t origins[] = {1, 0x7fffffffffu, 0x8000000000u, 0xffffffffffu};
	OK(store_begin(f->s));
	for (int i = 0; i < 500; i++) {
		char from[24];
		snprintf(from, sizeof from, "a%d@x", i);
		for (int k = 0; k < 4; k++)
			put_of(f, number++, 0x1234567890u, from, T0);
	}
	for (size_t i = 0; i < ROWS(origins); i++)
		put_of(f, number++, origins[i], (const char *[]){"w@x", "x@x", "y@x", "z@x"}[i],
		       T0 + 999);
	OK(store_commit(f->s));
	for (int i = 0; i < 50; i++)
		assert_non_null(strstr(due_of(f, 32, 16, &more), "w1 x1 y1 z1"));
	assert_true(more);
}

/* A courier has had it. */
static void tried(struct fixture *f, const char *id, const char *reason, bool uncounted, int64_t at)
{
	struct store_delivery d;
	struct store_recorded out;
	int64_t delivery = help_first_delivery(f->s, id);
	struct store_result r = {
	    .delivery = delivery, .due = at, .reason = reason, .uncounted = uncounted};
	OK(store_begin(f->s));
	OK(store_take(f->s, delivery, T0, &f->mem, &d));
	OK(store_record(f->s, &r, &out));
	OK(store_commit(f->s));
}

static void a_busy_host_costs_no_attempt(void **state)
{
	struct fixture *f = *state;
	struct store_delivery d;
	OK(store_begin(f->s));
	put(f, 1, "a@x", T0);
	OK(store_commit(f->s));
	static const struct {
		bool uncounted;
		uint32_t attempts;
	} rows[] = {{true, 0}, {false, 1}, {true, 1}, {true, 1}, {false, 2}};
	for (size_t i = 0; i < ROWS(rows); i++) {
		tried(f, "S1", "connect-failed", rows[i].uncounted, T0);
		OK(store_show(f->s, help_first_delivery(f->s, "S1"), &f->mem, &d));
		assert_int_equal(d.attempts, rows[i].attempts);
	}
}

/* What waits for later goes now, so many at a time; not those whom a recipient's answer put off,
 * and nobody twice for one good word of the host. */
static void what_waits_for_a_host_is_hastened(void **state)
{
	struct fixture *f = *state;
	struct store_destination d;
	bool more;
	OK(store_begin(f->s));
	for (int i = 0; i < 5; i++)
		put(f, i, (const char *[]){"a@x", "b@x", "c@x", "d@x", "e@x"}[i], T0);
	OK(store_commit(f->s));
	tried(f, "S0", "timeout", false, T0 + 5000);
	tried(f, "S1", "smtp-deferred", false, T0 + 6000);
	tried(f, "S2", "timeout", false, T0 + 7000);
	tried(f, "S3", "timeout", false, T0 + 8000);
	tried(f, "S4", "timeout", false, T0 + 500);
	int64_t id = destination(f, "busy.example", &d);
	assert_string_equal(due_of(f, 8, 4, &more), "e1");
	OK(store_begin(f->s));
	OK(store_hasten(f->s, id, T0 + 1000, T0, 3, "smtp-deferred")); /* tried since */
	OK(store_commit(f->s));
	assert_string_equal(due_of(f, 8, 4, &more), "e1");
	OK(store_begin(f->s));
	OK(store_hasten(f->s, id, T0 + 1000, T0 + 900, 2, "smtp-deferred"));
	OK(store_commit(f->s));
	assert_string_equal(due_of(f, 8, 4, &more), "a1 c1 e1");
	OK(store_begin(f->s));
	OK(store_hasten(f->s, id, T0 + 1000, T0 + 900, 1,
			"smtp-deferred")); /* behind the one put off */
	OK(store_commit(f->s));
	assert_string_equal(due_of(f, 8, 4, &more), "a1 c1 d1 e1");
	destination(f, "busy.example", &d);
	assert_int_equal(d.ready, T0 + 500); /* as the first of them */
	IS(store_hasten(f->s, id, T0, T0, 3, "x"), STORE_MISUSE);
}

static void the_longest_due_first(void **state)
{
	struct fixture *f = *state;
	struct store_next next;
	OK(store_next(f->s, &next));
	assert_true(next.ready == INT64_MAX && next.alarm == INT64_MAX);
	assert_string_equal(ready(f, T0, NULL, 0, 16), "");
	add(f, "A1", "a", T0 + 30);
	add(f, "B1", "b", T0 + 10);
	add(f, "C1", "c", T0 + 20);
	add(f, "A2", "a", T0 + 5);
	add(f, "D1", "d", T0 + 500);
	assert_string_equal(ready(f, T0 + 100, NULL, 0, 16), "a b c");
	assert_string_equal(ready(f, T0 + 10, NULL, 0, 16), "a b");
	assert_string_equal(ready(f, T0 + 100, NULL, 0, 2), "a b");
	int64_t busy[] = {destination(f, "c", NULL), destination(f, "a", NULL)};
	assert_string_equal(ready(f, T0 + 100, busy, 2, 1), "b");
	assert_string_equal(ready(f, T0 + 100, busy, 1, 16), "a b");
	OK(store_next(f->s, &next));
	assert_int_equal(next.ready, T0 + 5);
	assert_int_equal(next.alarm, T0 + 5000);
	int64_t due[8];
	size_t n;
	bool more;
	OK(store_due(f->s, busy[1], T0 + 100, 8, 0, due, &n, &more));
	assert_false(more);
	assert_int_equal(n, 2);
	assert_int_equal(due[0], help_first_delivery(f->s, "A2"));
	OK(store_due(f->s, busy[1], T0 + 29, 8, 0, due, &n, &more));
	assert_int_equal(n, 1);
	assert_false(more);
	OK(store_due(f->s, busy[1], T0 + 100, 1, 0, due, &n, &more));
	assert_int_equal(n, 1);
	assert_true(more);
	take(f, "A2"); /* what is under way is not due, and its destination waits for the next */
	assert_string_equal(ready(f, T0 + 100, NULL, 0, 16), "b c a");
	defer(f, "A2", "timeout", T0 + 15);
	assert_string_equal(ready(f, T0 + 100, NULL, 0, 16), "b a c");
}

static void a_back_off_is_shared(void **state)
{
	struct fixture *f = *state;
	add(f, "A1", "a", T0);
	add(f, "A2", "a", T0 + 1);
	add(f, "B1", "b", T0 + 2);
	struct store_destination d;
	int64_t a = destination(f, "a", &d);
	assert_int_equal(d.waiting, 2);
	assert_int_equal(d.failures, 0);
	assert_null(d.reason);
	OK(store_begin(f->s));
	OK(store_back_off(f->s, a, T0, T0 + 60, "connect-failed", "4.4.1", "refused"));
	OK(store_back_off(f->s, a, T0, T0 + 90, "timeout", "4.4.2", "silence"));
	IS(store_back_off(f->s, 999, T0, T0, "x", "x", "x"), STORE_NOT_FOUND);
	OK(store_commit(f->s));
	assert_string_equal(ready(f, T0 + 50, NULL, 0, 16), "b");
	assert_string_equal(ready(f, T0 + 90, NULL, 0, 16), "b a");
	destination(f, "a", &d);
	assert_int_equal(d.failures, 2);
	assert_int_equal(d.ready, T0 + 90);
	assert_string_equal(d.reason, "timeout");
	assert_string_equal(d.text, "silence");
	change(f, STORE_OP_RETRY, "A2", STORE_OK);
	assert_string_equal(ready(f, T0 + 50, NULL, 0, 16), "a b");
	OK(store_begin(f->s));
	OK(store_works(f->s, a, T0));
	OK(store_commit(f->s));
	destination(f, "a", &d);
	assert_int_equal(d.failures, 0);
	assert_null(d.reason);
	IS(store_destination(f->s, "nowhere", &f->mem, &d), STORE_NOT_FOUND);
}

static void alarms_ring_for_delay_and_end(void **state)
{
	struct fixture *f = *state;
	struct store_alarm a[4];
	size_t n;
	add(f, "A", "a", T0); /* warn at T0 + 5000, ends at T0 + 1000000 */
	add(f, "B", "b", T0);
	add(f, "C", "c", T0);
	take(f, "B");
	change(f, STORE_OP_HOLD, "C", STORE_OK);
	OK(store_alarms(f->s, T0 + 4999, 4, a, &n));
	assert_int_equal(n, 0);
	OK(store_alarms(f->s, T0 + 5000, 4, a, &n));
	assert_int_equal(n, 1); /* not the active one, not the held one */
	assert_true(a[0].warn && !a[0].expired);
	OK(store_begin(f->s));
	OK(store_warned(f->s, a[0].delivery));
	IS(store_warned(f->s, 999), STORE_NOT_FOUND);
	OK(store_commit(f->s));
	OK(store_alarms(f->s, T0 + 999999, 1, a, &n));
	assert_int_equal(n, 0);
	OK(store_alarms(f->s, T0 + 1000000, 4, a, &n));
	assert_int_equal(n, 1);
	assert_true(a[0].expired && !a[0].warn);
	assert_int_equal(show(f, "A").warn, 0);
	defer(f, "B", "timeout", T0 + 60);
	OK(store_alarms(f->s, T0 + 5000, 4, a, &n));
	assert_int_equal(n, 1);
	change(f, STORE_OP_EXPIRE, "C", STORE_OK);
	change(f, STORE_OP_EXPIRE, "A", STORE_OK);
	OK(store_alarms(f->s, T0, 4, a, &n));
	assert_int_equal(n, 2);
	assert_true(a[0].expired && a[1].expired);
	take(f, "C"); /* to be recorded as failed */
}

/* --- the operator ---------------------------------------------------------------------------- */

static void hold_release_retry(void **state)
{
	struct fixture *f = *state;
	add(f, "A", "a", T0 + 100);
	change(f, STORE_OP_HOLD, "A", STORE_OK);
	assert_int_equal(show(f, "A").state, STORE_HELD);
	assert_string_equal(ready(f, T0 + 500, NULL, 0, 16), "");
	change(f, STORE_OP_RETRY, "A", STORE_OK);
	assert_int_equal(show(f, "A").state, STORE_HELD);
	struct store_delivery d;
	OK(store_begin(f->s));
	IS(store_take(f->s, help_first_delivery(f->s, "A"), T0, &f->mem, &d), STORE_STATE);
	OK(store_commit(f->s));
	change(f, STORE_OP_RELEASE, "A", STORE_OK);
	assert_string_equal(ready(f, T0, NULL, 0, 16), "a");
	take(f, "A");
	change(f, STORE_OP_HOLD, "A", STORE_OK);
	change(f, STORE_OP_REMOVE, "A", STORE_BUSY);
	assert_int_equal(show(f, "A").state, STORE_ACTIVE);
	defer(f, "A", "timeout", T0);
	assert_int_equal(show(f, "A").state, STORE_HELD);
	change(f, STORE_OP_RELEASE, "A", STORE_OK);
	take(f, "A");
	change(f, STORE_OP_HOLD, "A", STORE_OK);
	change(f, STORE_OP_RELEASE, "A", STORE_OK); /* changed his mind */
	defer(f, "A", "timeout", T0);
	assert_int_equal(show(f, "A").state, STORE_WAITING);
}

static void removal(void **state)
{
	struct fixture *f = *state;
	struct store_totals t;
	OK(store_begin(f->s));
	OK(help_add(f->s, 1)); /* two next hops, 2 + 1 recipients */
	OK(store_commit(f->s));
	int64_t first = help_first_delivery(f->s, "Q1");
	OK(store_begin(f->s));
	OK(store_remove_rcpt(f->s, first, 1));
	IS(store_remove_rcpt(f->s, first, 1), STORE_NOT_FOUND);
	OK(store_commit(f->s));
	assert_int_equal(show(f, "Q1").pending, 1);
	OK(store_begin(f->s));
	OK(store_remove_rcpt(f->s, first, 0));
	IS(store_remove_rcpt(f->s, first, 0), STORE_STATE);
	OK(store_commit(f->s));
	assert_int_equal(show(f, "Q1").state, STORE_DONE);
	change(f, STORE_OP_RETRY, "Q1", STORE_STATE);
	OK(store_begin(f->s));
	OK(store_change(f->s, STORE_OP_REMOVE, first + 1, T0));
	IS(store_change(f->s, STORE_OP_REMOVE, 999, T0), STORE_NOT_FOUND);
	OK(store_commit(f->s));
	OK(store_totals(f->s, &t));
	assert_int_equal(t.messages + t.waiting + t.recipients + t.bytes, 0);
	assert_int_equal(t.oldest, 0);
}

static void lists(void **state)
{
	struct fixture *f = *state;
	OK(store_begin(f->s));
	for (int i = 0; i < 10; i++)
		OK(help_add(f->s, i)); /* to d0..d4 and y, from fromI@example.net, at T0 + i */
	OK(store_commit(f->s));
	change(f, STORE_OP_HOLD, "Q3", STORE_OK);
	take(f, "Q4");
	const struct {
		struct store_filter f;
		size_t want;
	} rows[] = {
	    {{0}, 20},
	    {{.next_hop = "d1.example"}, 2},
	    {{.next_hop = "y.example"}, 10},
	    {{.next_hop = "nowhere"}, 0},
	    {{.queue_id = "Q7"}, 2},
	    {{.queue_id = "Q7", .next_hop = "y.example"}, 1},
	    {{.queue_id = "Q99"}, 0},
	    {{.sender = "FROM2@example.net"}, 2},
	    {{.sender = "from2@example.ne"}, 0},
	    {{.recipient = "A@X.example"}, 10},
	    {{.recipient = "a@x.example", .next_hop = "y.example"}, 0},
	    {{.by_state = true, .state = STORE_HELD}, 1},
	    {{.by_state = true, .state = STORE_ACTIVE}, 1},
	    {{.by_state = true, .state = STORE_WAITING}, 18},
	    {{.by_state = true, .state = STORE_HELD, .sender = "from2@example.net"}, 0},
	    {{.arrived_before = T0 + 3}, 6},
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t page = 1; page <= 7; page += 3) {
			struct store_delivery d[7];
			size_t n, all = 0;
			int64_t after = 0, last = 0;
			do {
				OK(store_list(f->s, &rows[i].f, after, page, &f->mem, d, &n,
					      &after));
				for (size_t k = 0; k < n; k++) {
					assert_true(d[k].id > last);
					last = d[k].id;
				}
				all += n;
			} while (after != 0);
			if (all != rows[i].want)
				print_error("row %zu\n", i);
			assert_int_equal(all, rows[i].want);
		}
}

static void numbers(void **state)
{
	struct fixture *f = *state;
	struct store_reason_count r[4];
	struct store_destination d[4];
	struct store_totals t;
	size_t n;
	int64_t next;
	add(f, "A", "a", T0);
	add(f, "B", "b", T0);
	add(f, "C", "a", T0);
	add(f, "D", "idle", T0);
	change(f, STORE_OP_REMOVE, "D", STORE_OK);
	take(f, "A");
	defer(f, "A", "timeout", T0);
	take(f, "B");
	defer(f, "B", "timeout", T0);
	take(f, "C");
	defer(f, "C", "dns-failed", T0);
	take(f, "A");
	defer(f, "A", "dns-failed", T0);
	OK(store_stats_reasons(f->s, 4, &f->mem, r, &n));
	assert_int_equal(n, 2);
	assert_string_equal(r[0].reason, "dns-failed");
	assert_int_equal(r[0].deliveries, 2);
	assert_int_equal(r[0].oldest, T0);
	assert_string_equal(r[1].reason, "timeout");
	assert_int_equal(r[1].deliveries, 1);
	OK(store_stats_destinations(f->s, 0, 4, &f->mem, d, &n, &next));
	assert_int_equal(n, 2);
	assert_int_equal(next, 0);
	assert_int_equal(d[0].waiting, 2);
	assert_int_equal(d[0].oldest, T0);
	OK(store_stats_destinations(f->s, 0, 1, &f->mem, d, &n, &next));
	assert_int_equal(n, 1);
	OK(store_stats_destinations(f->s, next, 1, &f->mem, d, &n, &next));
	assert_string_equal(d[0].name, "b");
	OK(store_totals(f->s, &t));
	assert_int_equal(t.messages, 3);
	assert_int_equal(t.bytes, 27);
	assert_int_equal(t.oldest, T0);
	assert_true(t.file_bytes > 4096);
}

/* --- overrides ------------------------------------------------------------------------------- */

static bool is_before(void *arg, const struct store_override *o)
{
	const int64_t *now = arg;
	return *now < o->expires;
}

static void overrides(void **state)
{
	struct fixture *f = *state;
	static const struct store_override set[] = {
	    {"example.org", "may", 10, 100},
	    {"*.example.org", "dane", 10, 100},
	    {"*.sub.example.org", "dane-only", 10, 50},
	};
	static const struct {
		const char *name;
		int64_t now;
		const char *policy; /* NULL: none */
	} rows[] = {
	    {"example.org", 20, "may"},        {"example.org", 100, NULL},
	    {"mail.example.org", 20, "dane"},  {"a.sub.example.org", 20, "dane-only"},
	    {"a.sub.example.org", 60, "dane"}, {"sub.example.org", 20, "dane"},
	    {"notexample.org", 20, NULL},      {"org", 20, NULL},
	    {"[192.0.2.1]", 20, NULL},
	};
	OK(store_begin(f->s));
	for (size_t i = 0; i < ROWS(set); i++)
		OK(store_override_set(f->s, &set[i]));
	struct store_override o = {"example.org", "x", 10, 10, NULL, 0};
	IS(store_override_set(f->s, &o), STORE_LIMIT);
	static const char *const other[] = {"", "*", "EXAMPLE.org", "example.org.", "x y", "*org"};
	for (size_t i = 0; i < ROWS(other); i++) {
		struct store_override bad = {other[i], "may", 10, 100, NULL, 0};
		IS(store_override_set(f->s, &bad), STORE_LIMIT);
	}
	OK(store_commit(f->s));
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t now = rows[i].now;
		enum store_status got =
		    store_override_find(f->s, rows[i].name, is_before, &now, &f->mem, &o);
		IS(got, rows[i].policy ? STORE_OK : STORE_NOT_FOUND);
		if (rows[i].policy)
			assert_string_equal(o.policy, rows[i].policy);
		for (size_t k = 0; rows[i].policy && k < ROWS(set); k++) {
			if (strcmp(set[k].pattern, o.pattern) == 0)
				assert_true(set[k].made == o.made && set[k].expires == o.expires);
		}
	}
	struct store_override all[4];
	size_t n;
	OK(store_overrides(f->s, NULL, 4, &f->mem, all, &n));
	assert_int_equal(n, 3);
	OK(store_overrides(f->s, all[0].pattern, 1, &f->mem, all, &n));
	assert_string_equal(all[0].pattern, "*.sub.example.org");
	OK(store_begin(f->s));
	OK(store_override_clear(f->s, "example.org"));
	IS(store_override_clear(f->s, "example.org"), STORE_NOT_FOUND);
	OK(store_commit(f->s));
	int64_t now = 20;
	IS(store_override_find(f->s, "example.org", is_before, &now, &f->mem, &o), STORE_NOT_FOUND);
}

/* --- upkeep ---------------------------------------------------------------------------------- */

static void upkeep_gives_back_space_and_forgets(void **state)
{
	struct fixture *f = *state;
	struct store_totals full, empty;
	OK(store_begin(f->s));
	for (int i = 0; i < 130; i++) /* 37 MB */
		OK(help_add(f->s, i * 7 + 6));
	OK(store_commit(f->s));
	OK(store_totals(f->s, &full));
	assert_true(full.file_bytes > 32u << 20);
	OK(store_begin(f->s));
	for (int64_t id = 1; id <= 260; id++)
		OK(store_change(f->s, STORE_OP_REMOVE, id, T0));
	OK(store_commit(f->s));
	bool more = true;
	int steps = 0;
	for (; more; steps++)
		OK(store_maintain(f->s, T0, &more));
	OK(store_totals(f->s, &empty));
	assert_true(steps > 5);
	assert_true(empty.file_bytes < 20u << 20);
	struct store_destination d;
	OK(store_destination(f->s, "y.example", &f->mem, &d));
	OK(store_maintain(f->s, T0 + INT64_C(30) * 86400 * 1000, &more));
	IS(store_destination(f->s, "y.example", &f->mem, &d), STORE_NOT_FOUND);
}

static int64_t rows_of_destinations(struct fixture *f)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(
	    sqlite3_prepare_v2(f->s->db, "SELECT count(*) FROM destination", -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* Bounces to made-up domains: their rows go after an hour, and those of hosts that work stay. */
static void made_up_destinations_do_not_stay(void **state)
{
	struct fixture *f = *state;
	char path[256];
	struct store_destination d;
	snprintf(path, sizeof(path), "%s", f->path);
	OK(store_begin(f->s));
	OK(help_add_one(f->s, "A", "stays.example", T0));
	OK(store_commit(f->s));
	for (int round = 0; round < 2; round++) {
		char sql[512];
		snprintf(
		    sql, sizeof(sql),
		    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d) "
		    "INSERT INTO destination (name, touched, worked) "
		    "SELECT 'x' || n || '.%d.example', %lld, n %% 10 = 0 FROM c",
		    DESTINATIONS_KEPT * (round + 1), round, (long long)T0);
		assert_int_equal(sqlite3_exec(f->s->db, sql, NULL, NULL, NULL), SQLITE_OK);
		store_close(&f->s);
		f->s = help_open(path, NULL);
		assert_true(f->s->destinations > DESTINATIONS_KEPT);
		bool more = true;
		int64_t soon = T0 + 3600 * 1000 + 1;
		OK(store_maintain(f->s, soon - 2, &more)); /* not within the hour */
		assert_true(f->s->destinations > DESTINATIONS_KEPT);
		for (int steps = 0; more && steps < 200; steps++)
			OK(store_maintain(f->s, soon, &more));
		assert_int_equal(f->s->destinations, rows_of_destinations(f));
		assert_true(f->s->destinations <= DESTINATIONS_KEPT);
		if (round == 0) /* in the second, hosts that work are too many as well */
			OK(store_destination(f->s, "x2100.0.example", &f->mem, &d));
		IS(store_destination(f->s, "x2101.0.example", &f->mem, &d), STORE_NOT_FOUND);
	}
	OK(store_destination(f->s, "stays.example", &f->mem, &d));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(the_longest_due_first),
	    T(a_backlog_hides_no_other_sender),
	    T(among_many_senders_everybody_comes_up),
	    T(many_senders_of_one_origin_hide_nobody),
	    T(a_busy_host_costs_no_attempt),
	    T(what_waits_for_a_host_is_hastened),
	    T(a_back_off_is_shared),
	    T(alarms_ring_for_delay_and_end),
	    T(hold_release_retry),
	    T(removal),
	    T(lists),
	    T(numbers),
	    T(overrides),
	    T(upkeep_gives_back_space_and_forgets),
	    T(made_up_destinations_do_not_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
