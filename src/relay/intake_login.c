/* SPDX-License-Identifier: MIT */
/*
 * Logins in turn. A check costs tens of milliseconds of CPU by design, in the one loop that serves
 * all clients: at most half of the loop's time goes to checks, whoever failed least comes first,
 * and a network that guesses on is sent away without a check.
 */
#include "relay/intake_int.h"

#include <string.h>

enum {
	FAILURES_MAX = 20,  /* of one network at a time: stops guessing */
	FORGIVE_MS = 10000, /* one failure is forgotten: a device with an old password goes on */
	CHECK_MS_MIN = 1,
};

bool intake_same_network(const struct ipaddr *a, const struct ipaddr *b)
{
	/* Who has one IPv6 address has its /64. */
	return a->family == b->family && memcmp(a->b, b->b, a->family == 6 ? 8 : 4) == 0;
}

static struct failed_network *find(struct intake *t, const struct ipaddr *a)
{
	for (size_t i = 0; i < FAILED_NETWORKS; i++) {
		struct failed_network *f = &t->failed[i];
		if (f->failures > 0 && intake_same_network(&f->address, a))
			return f;
	}
	return NULL;
}

static void forgive(struct failed_network *f, uint64_t now)
{
	uint64_t n = (now - f->since) / FORGIVE_MS;
	f->failures = n < f->failures ? f->failures - (uint32_t)n : 0;
	f->since += n * FORGIVE_MS;
}

static uint32_t failures_of(struct intake *t, const struct ipaddr *a, uint64_t now)
{
	struct failed_network *f = find(t, a);
	if (f == NULL)
		return 0;
	forgive(f, now);
	return f->failures;
}

/* A new one takes the place of the one that failed least. */
static void note_failure(struct intake *t, const struct ipaddr *a, uint64_t now)
{
	struct failed_network *f = find(t, a);
	for (size_t i = 0; i < FAILED_NETWORKS && f == NULL; i++) {
		if (t->failed[i].failures == 0)
			f = &t->failed[i];
	}
	if (f == NULL) {
		f = &t->failed[0];
		for (size_t i = 1; i < FAILED_NETWORKS; i++) {
			forgive(&t->failed[i], now);
			if (t->failed[i].failures < f->failures)
				f = &t->failed[i];
		}
	}
	if (f->failures == 0 || !intake_same_network(&f->address, a))
		*f = (struct failed_network){.address = *a, .since = now};
	f->failures++;
}

static struct client *next_in_turn(struct intake *t, uint64_t now, size_t *waiting)
{
	struct client *best = NULL;
	uint32_t least = 0;
	*waiting = 0;
	for (struct client *c = t->client; c != NULL; c = c->next) {
		if (c->login == 0 || c->over)
			continue;
		++*waiting;
		uint32_t n = failures_of(t, &c->address, now);
		if (best == NULL || n < least || (n == least && c->login < best->login)) {
			best = c;
			least = n;
		}
	}
	return best;
}

void intake_login_turn(void *arg)
{
	struct intake *t = arg;
	size_t waiting;
	uint64_t start = loop_now_ms();
	struct client *c = next_in_turn(t, start, &waiting);
	if (c == NULL)
		return;
	bool guesses = failures_of(t, &c->address, start) >= FAILURES_MAX;
	if (!client_login(c, !guesses) && !guesses)
		note_failure(t, &c->address, start);
	uint64_t cost = loop_now_ms() - start;
	t->login_after = loop_now_ms() + (cost > CHECK_MS_MIN ? cost : CHECK_MS_MIN);
	if (waiting > 1)
		loop_timer_set(t->login_timer, (uint32_t)(t->login_after - loop_now_ms()));
}

void intake_login(struct client *c)
{
	struct intake *t = c->intake;
	uint64_t now = loop_now_ms();
	c->login = ++t->last_login;
	/* Set again by everybody who comes: it never moves. */
	loop_timer_set(t->login_timer, (uint32_t)(t->login_after > now ? t->login_after - now : 0));
}
