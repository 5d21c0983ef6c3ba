/* SPDX-License-Identifier: MIT */
/*
 * When somebody else fills the disk of the queue. In this order: the ballast is given up, so that
 * what couriers did is recorded and the queue drains (new mail is refused long before, by the
 * store's reserve); with nothing left no delivery is started, because one that cannot be recorded
 * is delivered twice; and a keeper that can write nothing at all answers the operator from what is
 * there, and looks from time to time whether it can work again.
 *
 * Knows how much is free. Refuses to know what is written.
 */
#include "relay/keeper_int.h"
#include "store/ballast.h"

enum {
	LOOK_MS = 100,        /* at most so often when a group is opened */
	WATCH_MS = 2000,      /* while something is missing */
	IDLE_MS = 10000,      /* while all is well */
	RETRY_MS = 1000,      /* a keeper that cannot write, at first; doubles, up to */
	RETRY_MAX_MS = 30000, /* ... this. So long it waits after a failed write or sync, too */
};

static const char *store_path(const struct keeper *k)
{
	return k->process.birth.conf->relay_store;
}

static void log_disk(struct keeper *k, enum log_level level, const char *what, uint64_t octets)
{
	char free[LOG_INT_TEXT], ballast[LOG_INT_TEXT];
	log_event(k->process.log, level, "disk", "what", what, "free",
		  log_int(free, (int64_t)k->disk.free), "ballast",
		  log_int(ballast, (int64_t)octets), NULL);
}

static void give_up(struct keeper *k)
{
	uint64_t had = k->disk.ballast;
	k->disk.ballast = 0;
	if (ballast_give_up(store_path(k))) {
		k->disk.given_up++;
		log_disk(k, LOG_LEVEL_ERROR, "ballast-given-up", had);
	}
}

static void make(struct keeper *k)
{
	enum store_status s = ballast_make(store_path(k), k->disk.want);
	k->disk.ballast = s == STORE_OK ? k->disk.want : 0;
	if (s == STORE_OK)
		log_disk(k, LOG_LEVEL_INFO, "ballast-made", k->disk.ballast);
	else if (!k->disk.told)
		log_event(k->process.log, LOG_LEVEL_WARN, "disk", "what", "no-ballast", "status",
			  store_status_name(s), NULL);
	k->disk.told = s != STORE_OK;
}

static void look(struct keeper *k)
{
	struct keeper_disk *d = &k->disk;
	if (!ballast_free(store_path(k), &d->free))
		return; /* what fails then says so by itself */
	const struct ballast_facts f = {d->ballast, d->want, d->free, KEEPER_RESERVE};
	enum ballast_step step = ballast_decide(&f);
	if (step == BALLAST_GIVE_UP)
		give_up(k);
	else if (step == BALLAST_MAKE)
		make(k);
	if (step != BALLAST_KEEP)
		(void)ballast_free(store_path(k), &d->free);
	/* And not again before there is twice as much. */
	bool low = d->ballast == 0 && d->free < BALLAST_PROBE * (d->low ? 2u : 1u);
	if (low != d->low)
		log_disk(k, low ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
			 low ? "no delivery is started until there is room" : "there is room", 0);
	if (d->low && !low)
		loop_timer_set(k->wake, 0);
	d->low = low;
}

static void on_watch(void *arg)
{
	struct keeper *k = arg;
	look(k);
	bool missing = k->disk.low || k->disk.ballast < k->disk.want;
	loop_timer_set(k->disk.timer, missing ? WATCH_MS : IDLE_MS);
}

void keeper_disk_look(struct keeper *k)
{
	uint64_t now = loop_now_ms();
	if (now < k->disk.looked + LOOK_MS)
		return;
	k->disk.looked = now;
	look(k);
}

void keeper_disk_full(struct keeper *k)
{
	if (k->disk.ballast > 0)
		give_up(k);
}

/* A smaller one than what can be had now is replaced; none is made on a disk that is nearly full.
 */
void keeper_disk_open(struct keeper *k)
{
	struct keeper_disk *d = &k->disk;
	uint64_t option = (uint64_t)k->process.birth.conf->queue_ballast;
	d->ballast = ballast_have(store_path(k));
	if (!ballast_free(store_path(k), &d->free))
		return;
	d->want = ballast_size(option, d->free + d->ballast);
	bool other = d->ballast > d->want || d->ballast < d->want - d->want / 8;
	const struct ballast_facts f = {0, d->want, d->free + d->ballast, KEEPER_RESERVE};
	if (d->ballast > 0 && other && ballast_decide(&f) == BALLAST_MAKE)
		d->ballast = 0; /* and made in its place */
	else if (d->ballast > 0 && option > 0)
		d->want = d->ballast;
	look(k);
}

/* --- A keeper that can only look --- */

/* There must be more than it needs: else it would come and go with every page. */
static bool can_write(struct keeper *k)
{
	uint64_t free = 0;
	bool seen = ballast_free(store_path(k), &free);
	return (!seen || free >= BALLAST_LOW) && ballast_probe(store_path(k)) == STORE_OK;
}

static void on_retry(void *arg)
{
	struct keeper *k = arg;
	if (store_health(k->store) == STORE_IO || can_write(k)) {
		log_event(k->process.log, LOG_LEVEL_INFO, "store", "what", "tried again", NULL);
		process_exit(&k->process); /* a new keeper opens it from the start */
		return;
	}
	k->disk.wait *= 2;
	if (k->disk.wait > RETRY_MAX_MS)
		k->disk.wait = RETRY_MAX_MS;
	loop_timer_set(k->disk.timer, k->disk.wait);
}

bool keeper_disk_watch(struct keeper *k)
{
	k->disk.timer = loop_timer_new(k->process.loop, k->looking ? on_retry : on_watch, k);
	if (k->disk.timer == NULL)
		return false;
	k->disk.wait = store_health(k->store) == STORE_IO ? RETRY_MAX_MS : RETRY_MS;
	loop_timer_set(k->disk.timer, k->looking ? k->disk.wait : WATCH_MS);
	return true;
}
