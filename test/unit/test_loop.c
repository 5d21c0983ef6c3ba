/* SPDX-License-Identifier: MIT */
/* loop: order, deferral, cancelling, and that it ends when nothing is left. */
#include "loop/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

struct trace {
	struct loop *loop;
	char text[64]; /* one letter per callback */
	struct loop_deferred *victim;
	struct loop_timer *timer;
	uint64_t set_at, fired_at;
};

struct letter {
	struct trace *t;
	char c;
};

static void add(struct trace *t, char c)
{
	size_t n = strlen(t->text);
	assert_true(n + 1 < sizeof t->text);
	t->text[n] = c;
}

static void on_letter(void *arg)
{
	const struct letter *l = arg;
	add(l->t, l->c);
}

static int setup(void **state)
{
	struct trace *t = calloc(1, sizeof *t);
	t->loop = loop_new();
	assert_non_null(t->loop);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct trace *t = *state;
	loop_free(&t->loop);
	assert_null(t->loop);
	loop_free(&t->loop);
	free(t);
	return 0;
}

static void deferred_calls_run_later_and_in_order(void **state)
{
	struct trace *t = *state;
	struct letter l[] = {{t, 'a'}, {t, 'b'}, {t, 'c'}};
	for (size_t i = 0; i < 3; i++)
		assert_non_null(loop_defer(t->loop, on_letter, &l[i]));
	assert_string_equal(t->text, "");
	loop_run(t->loop);
	assert_string_equal(t->text, "abc");
	loop_run(t->loop);
	assert_string_equal(t->text, "abc");
}

static void a_cancelled_call_never_runs(void **state)
{
	struct trace *t = *state;
	struct letter l[] = {{t, 'a'}, {t, 'b'}, {t, 'c'}};
	struct loop_deferred *d[3];
	for (size_t i = 0; i < 3; i++)
		d[i] = loop_defer(t->loop, on_letter, &l[i]);
	loop_defer_cancel(&d[1]);
	assert_null(d[1]);
	loop_defer_cancel(&d[1]);
	loop_run(t->loop);
	assert_string_equal(t->text, "ac");
	struct loop_deferred *only = loop_defer(t->loop, on_letter, &l[0]);
	loop_defer_cancel(&only);
	loop_run(t->loop); /* returns: nothing is left */
	assert_string_equal(t->text, "ac");
}

static void cancel_victim(void *arg)
{
	struct trace *t = arg;
	add(t, 'x');
	loop_defer_cancel(&t->victim);
}

static void a_callback_cancels_the_next_one(void **state)
{
	struct trace *t = *state;
	struct letter a = {t, 'a'}, b = {t, 'b'};
	loop_defer(t->loop, cancel_victim, t);
	t->victim = loop_defer(t->loop, on_letter, &a);
	loop_defer(t->loop, on_letter, &b);
	loop_run(t->loop);
	assert_string_equal(t->text, "xb");
}

static void defer_again(void *arg)
{
	struct trace *t = arg;
	add(t, 'd');
	if (strlen(t->text) < 20)
		loop_defer(t->loop, defer_again, t);
	else
		loop_stop(t->loop);
}

static void on_readable(void *arg, unsigned ready)
{
	struct trace *t = arg;
	assert_int_equal(ready, LOOP_READ);
	add(t, 'r');
	loop_stop(t->loop);
}

/* Whoever defers in a deferred call waits for the next round: sockets get their turn. */
static void deferring_does_not_starve_sockets(void **state)
{
	struct trace *t = *state;
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	struct loop_io *io = loop_io_new(t->loop, fd[0], on_readable, t);
	loop_io_want(io, LOOP_READ);
	loop_defer(t->loop, defer_again, t);
	loop_run(t->loop);
	assert_non_null(strchr(t->text, 'r'));
	assert_true(strlen(t->text) < 5);
	loop_io_free(&io);
	assert_null(io);
	close(fd[0]);
	close(fd[1]);
}

static void stop(void *arg)
{
	struct trace *t = arg;
	add(t, 's');
	loop_stop(t->loop);
}

static void what_stop_leaves_over_runs_next_time(void **state)
{
	struct trace *t = *state;
	struct letter a = {t, 'a'};
	loop_defer(t->loop, stop, t);
	loop_defer(t->loop, on_letter, &a);
	loop_run(t->loop);
	assert_string_equal(t->text, "s");
	loop_run(t->loop);
	assert_string_equal(t->text, "sa");
}

static void timers_fire_by_time(void **state)
{
	struct trace *t = *state;
	struct letter l[] = {{t, 'a'}, {t, 'b'}, {t, 'c'}};
	struct loop_timer *timer[3];
	for (size_t i = 0; i < 3; i++)
		timer[i] = loop_timer_new(t->loop, on_letter, &l[i]);
	loop_timer_set(timer[0], 30);
	loop_timer_set(timer[1], 10);
	loop_timer_set(timer[2], 20);
	loop_timer_stop(timer[2]);
	loop_timer_set(timer[1], 40); /* re-arms */
	loop_run(t->loop);
	assert_string_equal(t->text, "ab");
	for (size_t i = 0; i < 3; i++)
		loop_timer_free(&timer[i]);
	assert_null(timer[0]);
}

static void free_own_timer(void *arg)
{
	struct trace *t = arg;
	t->fired_at = loop_now_ms();
	loop_timer_free(&t->timer);
}

static void slow_then_set(void *arg)
{
	struct trace *t = arg;
	usleep(60000);
	t->set_at = loop_now_ms();
	loop_timer_set(t->timer, 40);
}

/* A timer counts from the moment it is set, not from when the round began. */
static void a_slow_callback_does_not_shorten_a_timer(void **state)
{
	struct trace *t = *state;
	t->timer = loop_timer_new(t->loop, free_own_timer, t);
	loop_defer(t->loop, slow_then_set, t);
	loop_run(t->loop);
	assert_null(t->timer);
	assert_true(t->fired_at >= t->set_at + 39);
}

static void on_writable(void *arg, unsigned ready)
{
	struct trace *t = arg;
	add(t, (ready & LOOP_WRITE) ? 'w' : '?');
	if (strlen(t->text) == 3)
		loop_stop(t->loop);
}

static void readiness_is_level_triggered(void **state)
{
	struct trace *t = *state;
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	struct loop_io *io = loop_io_new(t->loop, fd[1], on_writable, t);
	loop_run(t->loop); /* wants nothing: nothing to wait for */
	assert_string_equal(t->text, "");
	loop_io_want(io, LOOP_WRITE);
	loop_run(t->loop);
	assert_string_equal(t->text, "www");
	loop_io_want(io, 0);
	loop_run(t->loop);
	assert_string_equal(t->text, "www");
	loop_io_free(&io);
	close(fd[0]);
	close(fd[1]);
}

static void signals_come_through_the_loop(void **state)
{
	struct trace *t = *state;
	struct loop_signal *s = loop_signal_new(t->loop, SIGUSR1, stop, t);
	assert_non_null(s);
	raise(SIGUSR1);
	assert_string_equal(t->text, "");
	loop_run(t->loop);
	assert_string_equal(t->text, "s");
	loop_signal_free(&s);
	assert_null(s);
}

static void freeing_the_loop_drops_deferred_calls(void **state)
{
	struct trace *t = *state;
	struct letter a = {t, 'a'};
	loop_defer(t->loop, on_letter, &a);
	loop_free(&t->loop);
	assert_string_equal(t->text, "");
}

static void clocks_make_sense(void **state)
{
	(void)state;
	uint64_t before = loop_now_ms();
	usleep(3000);
	assert_true(loop_now_ms() >= before + 3);
	assert_true(loop_wall_s() > 1600000000);
	assert_true(loop_wall_ms() / 1000 - loop_wall_s() <= 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(deferred_calls_run_later_and_in_order),
	    T(a_cancelled_call_never_runs),
	    T(a_callback_cancels_the_next_one),
	    T(deferring_does_not_starve_sockets),
	    T(what_stop_leaves_over_runs_next_time),
	    T(timers_fire_by_time),
	    T(a_slow_callback_does_not_shorten_a_timer),
	    T(readiness_is_level_triggered),
	    T(signals_come_through_the_loop),
	    T(freeing_the_loop_drops_deferred_calls),
	    T(clocks_make_sense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
