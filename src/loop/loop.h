/* SPDX-License-Identifier: MIT */
/*
 * loop: the event loop (libevent) and the only reader of the clock.
 *
 * One loop per process, not thread-safe. Callbacks run from loop_run() only, never inside the call
 * that asked for them (rule: a callback never runs inside its request). After x_free() a callback
 * of x never fires again.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_io;
struct loop_signal;

struct loop *loop_new(void); /* NULL: out of memory or no event backend */
void loop_free(struct loop **l);
void loop_run(struct loop *l); /* until loop_stop() or nothing is left to wait for */
void loop_stop(struct loop *l);
void *loop_event_base(struct loop *l); /* struct event_base *, for libraries that take one */

uint64_t loop_now_ms(void);     /* monotonic milliseconds */
uint64_t loop_elapsed_ms(void); /* the same, and the time that the machine slept counts */
int64_t loop_wall_s(void);      /* seconds since the epoch, UTC */
int64_t loop_wall_ms(void);

typedef void loop_cb(void *arg);

struct loop_timer *loop_timer_new(struct loop *l, loop_cb *cb, void *arg);
void loop_timer_set(struct loop_timer *t, uint32_t ms); /* (re)arms, one shot */
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer **t);

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void loop_io_cb(void *arg, unsigned ready); /* LOOP_READ | LOOP_WRITE */
struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_cb *cb,
			    void *arg); /* does not own fd */
void loop_io_want(struct loop_io *io,
		  unsigned what); /* level-triggered, stays until changed; 0: nothing */
void loop_io_free(struct loop_io **io);

/* Runs cb once from the loop, soon. Returns a handle to cancel before it ran; the handle dies when
 * cb runs. */
struct loop_deferred;
struct loop_deferred *loop_defer(struct loop *l, loop_cb *cb, void *arg); /* NULL: out of memory */
void loop_defer_cancel(struct loop_deferred **d);

struct loop_signal *loop_signal_new(struct loop *l, int signo, loop_cb *cb, void *arg);
void loop_signal_free(struct loop_signal **s);

#endif
