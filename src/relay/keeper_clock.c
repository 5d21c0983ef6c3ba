/* SPDX-License-Identifier: MIT */
/*
 * A wall clock that makes steps. Mail does not age by a wrong clock, and waits for no time that a
 * wrong clock has written.
 *
 * Both clocks are compared with one moment that stays, in the store: so small steps cannot hide one
 * by one, and a step while no keeper runs is seen by the next. Only a start of the machine begins
 * anew, for then nothing but the wall clock is left. Knows the two clocks; refuses to know why one
 * moved.
 */
#include "relay/keeper_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { STEP_MIN_MS = 60000 }; /* a clock that is off by less delays nothing that matters */
static const int64_t LIFETIME_MAX_MS = 2592000000; /* that of the option queue.lifetime */

/* Without its number a start of the machine is as short as that of this process. */
static void read_boot(char out[static STORE_BOOT_MAX + 1])
{
	uint8_t random[16];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, STORE_BOOT_MAX) : -1;
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (out[0] == '\0' && getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random))
		hex_encode(slice_make(random, sizeof(random)), out);
}

static void set_anchor(struct keeper *k)
{
	k->clock.wall = keeper_now();
	k->clock.elapsed = (int64_t)loop_elapsed_ms();
}

void keeper_start_clock(struct keeper *k)
{
	read_boot(k->clock.boot);
	set_anchor(k);
}

int64_t keeper_clock_step(const struct keeper *k)
{
	int64_t by = keeper_now() - k->clock.wall - ((int64_t)loop_elapsed_ms() - k->clock.elapsed);
	return by > STEP_MIN_MS || by < -STEP_MIN_MS ? by : 0;
}

void keeper_horizon(const struct keeper *k, int64_t *due, int64_t *end)
{
	const struct sched_config *c = &k->sched_config;
	int64_t wait = c->retry_max > c->back_off_max ? c->retry_max : c->back_off_max;
	*due = keeper_now() + wait + wait / 100 * c->jitter + 2 * STEP_MIN_MS;
	/* What is in the queue may have come in under a longer queue.lifetime: the longest there
	 * is. */
	*end = keeper_now() + LIFETIME_MAX_MS + 2 * STEP_MIN_MS;
}

static enum store_status move_times(struct keeper *k, int64_t by)
{
	const struct sched_config *c = &k->sched_config;
	int64_t now = keeper_now(),
		wait = c->retry_max > c->back_off_max ? c->retry_max : c->back_off_max;
	struct store_shift x = {
	    .by = by,
	    .due_max = now + wait + wait / 100 * c->jitter,
	    .expires_max = now + c->lifetime,
	};
	if (by != 0) {
		char text[LOG_INT_TEXT];
		log_event(k->process.log, LOG_LEVEL_WARN, "clock-moved", "seconds",
			  log_int(text, by / 1000), NULL);
		set_anchor(k);
	}
	enum store_status s = store_shift(k->store, &x);
	return s == STORE_OK ? store_clock_set(k->store, &k->clock) : s;
}

enum store_status keeper_take_clock(struct keeper *k)
{
	struct store_clock last;
	enum store_status s = store_clock(k->store, &last);
	if (s != STORE_OK && s != STORE_NOT_FOUND)
		return s;
	if (s == STORE_OK && k->clock.boot[0] != '\0' && strcmp(last.boot, k->clock.boot) == 0)
		k->clock = last;
	return move_times(k, keeper_clock_step(k));
}

void keeper_follow_clock(struct keeper *k)
{
	int64_t by = keeper_clock_step(k);
	if (by == 0)
		return;
	sched_clock_moved(k->sched, by);
	enum store_status s = move_times(k, by);
	if (s != STORE_OK)
		keeper_fatal(k, "clock", s);
}
