/* SPDX-License-Identifier: MIT */
/*
 * How much room texts have that are under way: a budget of memory over all intakes, then one of
 * disk, with a share for each client network, so that nobody's unfinished texts stop others' or
 * fill the disk. Files come from the keeper, for this process may open none: they have no name, and
 * are used again and again.
 */
#include "relay/intake_int.h"

#include <unistd.h>

enum {
	STOCK = 4, /* files at hand: who asks only when it needs one has to wait for the disk */
	KIB = 1024,
	/* Until files come memory is taken past the budget, but not for ever. */
	PAST_BUDGET = 2,
};

static void ask_for_files(struct intake *t)
{
	while (t->keeper != NULL && t->nspool + t->spool_asked < STOCK &&
	       t->spool_made + t->spool_asked < SPOOL_FILES_MAX) {
		channel_begin(t->keeper, MSG_SPOOL);
		if (!channel_send(t->keeper, -1))
			return;
		t->spool_asked++;
	}
}

void intake_spool_met(struct intake *t)
{
	t->spool_asked = 0;
	ask_for_files(t);
}

void intake_spooled(struct intake *t, int fd)
{
	if (t->spool_asked > 0)
		t->spool_asked--;
	if (fd < 0)
		return;
	if (t->nspool == SPOOL_STOCK_MAX) {
		close(fd);
		return;
	}
	t->spool[t->nspool++] = fd;
	t->spool_made++;
}

void intake_spool_close(struct intake *t)
{
	while (t->nspool > 0)
		close(t->spool[--t->nspool]);
}

static int take_file(void *arg)
{
	struct client *c = arg;
	struct intake *t = c->intake;
	int fd = t->nspool > 0 ? t->spool[--t->nspool] : -1;
	ask_for_files(t);
	return fd;
}

static void give_file(void *arg, int fd)
{
	struct client *c = arg;
	struct intake *t = c->intake;
	bool empty = ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0;
	if (empty && !c->text.lent && t->nspool < SPOOL_STOCK_MAX) {
		t->spool[t->nspool++] = fd;
		return;
	}
	close(fd);
	t->spool_made--;
}

static uint32_t kib(uint64_t octets)
{
	return (uint32_t)((octets + KIB - 1) / KIB);
}

static bool may_hold(void *arg, uint64_t memory, uint64_t disk, bool past_budget)
{
	struct client *c = arg;
	struct roster *r = c->intake->roster;
	const struct conf *f = c->intake->process.birth.conf;
	uint64_t memory_max =
	    (uint64_t)f->relay_text_memory / KIB * (past_budget ? PAST_BUDGET : 1);
	uint32_t m = kib(memory), d = kib(disk);
	roster_hold(r, c->seat, 0, 0);
	if (m == 0 && d == 0)
		return true;
	struct roster_texts n = roster_texts(r, &c->address);
	bool ok = (m == 0 ||
		   seating_may_hold(c->standing, n.memory + m, n.network_memory + m, memory_max)) &&
		  (d == 0 || seating_may_hold(c->standing, n.disk + d, n.network_disk + d,
					      (uint64_t)f->relay_text_disk / KIB));
	if (ok)
		roster_hold(r, c->seat, m, d);
	return ok;
}

void intake_spool_room(struct client *c)
{
	c->room = (struct text_room){may_hold, take_file, give_file, c};
}
