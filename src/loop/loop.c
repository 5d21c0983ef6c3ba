/* SPDX-License-Identifier: MIT */
/*
 * The event loop: libevent behind our own types.
 *
 * Knows libevent and the clock. Refuses to know what the callbacks do, and never calls one inside
 * the call that asked for it. Deferred callbacks have their own queue, because libevent promises
 * no order among timers that are due together; the queue is walked once per round, so that
 * callbacks which defer again cannot starve the sockets.
 */
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

struct loop {
	struct event_base *base;
	struct event *round; /* a timer of zero: pending while the queue is not empty */
	struct loop_deferred *first, **last;
	bool stopped;
};

struct loop_timer {
	struct event *ev;
	loop_cb *cb;
	void *arg;
};

struct loop_signal {
	struct event *ev;
	loop_cb *cb;
	void *arg;
};

struct loop_io {
	struct loop *loop;
	struct event *ev;
	int fd;
	unsigned want;
	loop_io_cb *cb;
	void *arg;
};

struct loop_deferred {
	struct loop *loop;
	struct loop_deferred *next, **back; /* *back points to this one */
	loop_cb *cb;
	void *arg;
};

/* --- the clock ------------------------------------------------------------------------------- */

static int64_t clock_ms(clockid_t id)
{
	struct timespec t = {0};
	if (clock_gettime(id, &t) != 0)
		abort(); /* cannot fail for the clocks below */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t loop_now_ms(void)
{
	return (uint64_t)clock_ms(CLOCK_MONOTONIC);
}

uint64_t loop_elapsed_ms(void)
{
	return (uint64_t)clock_ms(CLOCK_BOOTTIME);
}

int64_t loop_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t loop_wall_s(void)
{
	return clock_ms(CLOCK_REALTIME) / 1000;
}

static struct timeval timeval_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

/* --- deferred calls -------------------------------------------------------------------------- */

static void schedule_round(struct loop *l)
{
	const struct timeval now = {0};
	event_add(l->round, &now);
}

static void unlink_deferred(struct loop_deferred *d)
{
	*d->back = d->next;
	if (d->next)
		d->next->back = d->back;
	else
		d->loop->last = d->back;
}

struct loop_deferred *loop_defer(struct loop *l, loop_cb *cb, void *arg)
{
	struct loop_deferred *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	*d = (struct loop_deferred){.loop = l, .back = l->last, .cb = cb, .arg = arg};
	if (!l->first)
		schedule_round(l);
	*l->last = d;
	l->last = &d->next;
	return d;
}

void loop_defer_cancel(struct loop_deferred **dp)
{
	struct loop_deferred *d = *dp;
	if (!d)
		return;
	*dp = NULL;
	struct loop *l = d->loop;
	unlink_deferred(d);
	free(d);
	if (!l->first)
		event_del(l->round); /* an empty queue must not keep the loop alive */
}

/* Splits the queue with a marker: what is behind it was deferred during this round. */
static void run_round(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct loop *l = arg;
	struct loop_deferred marker = {.loop = l, .back = l->last};
	*l->last = &marker;
	l->last = &marker.next;
	while (l->first != &marker && !l->stopped) {
		struct loop_deferred *d = l->first;
		unlink_deferred(d);
		loop_cb *cb = d->cb;
		void *cb_arg = d->arg;
		free(d);
		cb(cb_arg);
	}
	unlink_deferred(&marker);
	if (l->first)
		schedule_round(l);
	else
		event_del(l->round);
}

/* --- the loop -------------------------------------------------------------------------------- */

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->base = event_base_new();
	l->round = l->base ? evtimer_new(l->base, run_round, l) : NULL;
	if (!l->round) {
		if (l->base)
			event_base_free(l->base);
		free(l);
		return NULL;
	}
	l->last = &l->first;
	return l;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;
	if (!l)
		return;
	*lp = NULL;
	while (l->first) {
		struct loop_deferred *d = l->first;
		unlink_deferred(d);
		free(d);
	}
	event_free(l->round);
	event_base_free(l->base);
	free(l);
}

void loop_run(struct loop *l)
{
	l->stopped = false;
	if (l->first)
		schedule_round(l); /* what loop_stop() left over */
	event_base_dispatch(l->base);
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
	event_base_loopbreak(l->base);
}

void *loop_event_base(struct loop *l)
{
	return l->base;
}

/* --- timers and signals ---------------------------------------------------------------------- */

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	const struct loop_timer *t = arg;
	t->cb(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_cb *cb, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	*t = (struct loop_timer){.cb = cb, .arg = arg};
	t->ev = evtimer_new(l->base, timer_fired, t);
	if (!t->ev) {
		free(t);
		return NULL;
	}
	return t;
}

void loop_timer_set(struct loop_timer *t, uint32_t ms)
{
	const struct timeval tv = timeval_ms(ms);
	evtimer_add(t->ev, &tv);
}

void loop_timer_stop(struct loop_timer *t)
{
	evtimer_del(t->ev);
}

void loop_timer_free(struct loop_timer **tp)
{
	struct loop_timer *t = *tp;
	if (!t)
		return;
	*tp = NULL;
	event_free(t->ev);
	free(t);
}

static void signal_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	const struct loop_signal *s = arg;
	s->cb(s->arg);
}

struct loop_signal *loop_signal_new(struct loop *l, int signo, loop_cb *cb, void *arg)
{
	struct loop_signal *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct loop_signal){.cb = cb, .arg = arg};
	s->ev = evsignal_new(l->base, signo, signal_fired, s);
	if (!s->ev || evsignal_add(s->ev, NULL) != 0) {
		if (s->ev)
			event_free(s->ev);
		free(s);
		return NULL;
	}
	return s;
}

void loop_signal_free(struct loop_signal **sp)
{
	struct loop_signal *s = *sp;
	if (!s)
		return;
	*sp = NULL;
	event_free(s->ev);
	free(s);
}

/* --- descriptors ----------------------------------------------------------------------------- */

static void io_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	const struct loop_io *io = arg;
	unsigned ready =
	    ((what & EV_READ) ? LOOP_READ : 0u) | ((what & EV_WRITE) ? LOOP_WRITE : 0u);
	io->cb(io->arg, ready);
}

struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_cb *cb, void *arg)
{
	struct loop_io *io = calloc(1, sizeof *io);
	if (!io)
		return NULL;
	*io = (struct loop_io){.loop = l, .fd = fd, .cb = cb, .arg = arg};
	io->ev = event_new(l->base, fd, EV_PERSIST, io_fired, io);
	if (!io->ev) {
		free(io);
		return NULL;
	}
	return io;
}

void loop_io_want(struct loop_io *io, unsigned what)
{
	if (what == io->want)
		return;
	event_del(io->ev);
	io->want = what;
	short events = (short)(((what & LOOP_READ) ? EV_READ : 0) |
			       ((what & LOOP_WRITE) ? EV_WRITE : 0) | EV_PERSIST);
	event_assign(io->ev, io->loop->base, io->fd, events, io_fired, io);
	if (what)
		event_add(io->ev, NULL);
}

void loop_io_free(struct loop_io **iop)
{
	struct loop_io *io = *iop;
	if (!io)
		return;
	*iop = NULL;
	event_free(io->ev);
	free(io);
}
