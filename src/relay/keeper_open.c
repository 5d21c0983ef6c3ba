/* SPDX-License-Identifier: MIT */
/* The store when the keeper starts: what a crash left, and what the operator can do when it does
 * not open. Refuses to know what happens to mail afterwards. */
#include "relay/keeper_int.h"
#include "store/ballast.h"

#include <time.h>

enum { BUSY_TRIES = 50, BUSY_PAUSE_MS = 100 };
_Static_assert(BUSY_TRIES *BUSY_PAUSE_MS > KEEPER_GRACE_MS, "a start waits for longer");

/* What the operator can do about a store that does not open; NULL: the error says it all. */
static const char *cure_of(enum store_status s)
{
	switch (s) {
	case STORE_IO:
		return "relay.user must be able to read and write relay.store and its folder, on a "
		       "disk that works";
	case STORE_FULL:
		return "make room on the disk of relay.store";
	case STORE_BUSY:
		return "end the process that has it open, or name another file in relay.store";
	case STORE_CORRUPT:
		return "copy the file and its -wal away, recover it with sqlite3 FILE .recover, or "
		       "name another file in relay.store";
	case STORE_NEWER:
		return "install the version that wrote it, or name another file in relay.store";
	case STORE_UNSAFE:
		return "put relay.store on a local disk";
	case STORE_OK:
	case STORE_EXISTS:
	case STORE_NOT_FOUND:
	case STORE_STATE:
	case STORE_LIMIT:
	case STORE_SOURCE:
	case STORE_NO_MEMORY:
	case STORE_DAMAGED: /* one text: not at the start */
	case STORE_MISUSE:
		break;
	}
	return NULL;
}

static bool open_control(struct keeper *k)
{
	k->control = control_open(k, k->process.birth.control_fd,
				  k->process.birth.conf->relay_control_group);
	return k->control != NULL;
}

/* The keeper of an earlier relay whose parent was killed still takes what couriers report. */
static enum store_status open_patiently(struct keeper *k, const struct store_config *c, char *error,
					size_t room)
{
	struct store_recovery r;
	enum store_status s = store_open(c, keeper_now(), &k->store, &r, error, room);
	for (int i = 0; s == STORE_BUSY && i < BUSY_TRIES; i++) {
		const struct timespec t = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};
		if (i == 0)
			log_event(k->process.log, LOG_LEVEL_WARN, "store-busy", "path", c->path,
				  "why",
				  "the keeper of an earlier relay may still have it: waiting for "
				  "its end for up to 5 s",
				  NULL);
		nanosleep(&t, NULL);
		s = store_open(c, keeper_now(), &k->store, &r, error, room);
	}
	return s;
}

/* The ballast first, then a look at what is there. */
static enum store_status open_store(struct keeper *k, struct store_config *c, char *error,
				    size_t room)
{
	struct store_recovery r;
	int64_t now = keeper_now();
	enum store_status s = open_patiently(k, c, error, room);
	if (s == STORE_FULL && k->disk.ballast > 0) {
		keeper_disk_full(k);
		s = store_open(c, now, &k->store, &r, error, room);
	}
	enum store_status can = STORE_OK;
	if (s == STORE_OK && k->disk.ballast == 0)
		can = ballast_probe(c->path);
	if (can == STORE_FULL)
		store_close(&k->store);
	if (s != STORE_FULL && s != STORE_IO && can != STORE_FULL)
		return s;
	c->look = s == STORE_OK ? STORE_FULL : s;
	s = store_open(c, now, &k->store, &r, error, room);
	k->looking = s == STORE_OK;
	return s;
}

bool keeper_open(struct keeper *k)
{
	char error[512] = "";
	struct store_config c = keeper_recovery(k);
	c.path = k->process.birth.conf->relay_store;
	c.reserve = KEEPER_RESERVE;
	keeper_disk_open(k);
	enum store_status s = open_store(k, &c, error, sizeof(error));
	if (s != STORE_OK || k->looking) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "store-open", "path", c.path, "status",
			  store_status_name(k->looking ? store_health(k->store) : s), "error",
			  k->looking ? store_error(k->store) : error, "cure",
			  cure_of(k->looking ? store_health(k->store) : s), "looking",
			  k->looking ? "yes" : NULL, NULL);
	}
	if (s != STORE_OK)
		return false;
	if (k->looking)
		return open_control(k);
	k->offered = store_last_delivery(k->store);
	s = store_begin(k->store);
	if (s == STORE_OK)
		s = keeper_take_clock(k);
	if (s == STORE_OK)
		s = store_commit(k->store);
	if (s != STORE_OK) {
		keeper_fatal(k, "open", s);
		return false;
	}
	if (!keeper_audit_open(k)) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "audit", "error", store_error(k->store),
			  NULL);
		return false;
	}
	return open_control(k);
}
