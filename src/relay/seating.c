/* SPDX-License-Identifier: MIT */
/* Places and who gives one up. Knows standings and networks; refuses to know sockets. */
#include "relay/seating.h"

#include <stdlib.h>

enum {
	KNOWN_PART = 4, /* the last quarter of all places is not for strangers */
	OWN_PART = 8,   /* the last eighth is for our own */
	OWN_ADDRESS_PART = 2,
	/* A network that has more than this part of the strangers' places, all in texts, is one who
	 * drips them. */
	NETWORK_PART = 32,
	PATIENCE_BUSY_MS = 60000,
	PATIENCE_FULL_MS = 10000, /* what Postfix has under stress */
};

uint32_t seating_for_strangers(uint32_t all)
{
	return all - all / KNOWN_PART;
}

static uint32_t ceiling_of(enum standing who, uint32_t all)
{
	switch (who) {
	case STANDING_STRANGER:
		return seating_for_strangers(all);
	case STANDING_KNOWN:
		return all - all / OWN_PART;
	case STANDING_OWN:
	case STANDING_COUNT:
		return all;
	}
	return 0;
}

static uint32_t sum_up_to(const struct seating_counts *n, enum standing who)
{
	uint32_t sum = 0;
	for (int s = STANDING_STRANGER; s <= (int)who; s++)
		sum += n->of[s];
	return sum;
}

enum seating seating_judge(const struct seating_counts *n, const struct seating_limits *max,
			   enum standing who)
{
	uint32_t per_address = max->per_address;
	/* A relay behind us sends as much as it likes, but leaves room for the others of ours. */
	if (who == STANDING_OWN && per_address < max->all / OWN_ADDRESS_PART)
		per_address = max->all / OWN_ADDRESS_PART;
	if (n->address >= per_address)
		return SEATING_ADDRESS_FULL;
	bool room =
	    sum_up_to(n, who) < ceiling_of(who, max->all) && sum_up_to(n, STANDING_OWN) < max->all;
	return room ? SEATING_WELCOME : SEATING_FULL;
}

uint32_t seating_patience_ms(const struct seating_counts *n, uint32_t all, enum standing who,
			     uint32_t calm_ms)
{
	uint32_t there = sum_up_to(n, who), room = ceiling_of(who, all);
	uint32_t ms = calm_ms;
	if (who == STANDING_OWN)
		return ms;
	if (there > room / 4 * 3)
		ms = PATIENCE_FULL_MS;
	else if (there > room / 2)
		ms = PATIENCE_BUSY_MS;
	return ms < calm_ms ? ms : calm_ms;
}

bool seating_may_hold(enum standing who, uint64_t all, uint64_t network, uint64_t budget)
{
	uint64_t part = who == STANDING_OWN ? 2 : 4;
	uint64_t most = who == STANDING_STRANGER ? budget - budget / 4 : budget;
	return all <= most && network <= budget / part;
}

uint64_t seating_network(const struct ipaddr *a)
{
	enum { SIX_OCTETS = 7, FOUR_OCTETS = 3 };
	uint64_t n = a->family;
	for (size_t i = 0; i < (a->family == 6 ? SIX_OCTETS : FOUR_OCTETS); i++)
		n = n << 8 | a->b[i];
	return n;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_network_and_age(const void *a, const void *b)
{
	const struct seating_client *x = a, *y = b;
	int order = compare(seating_network(&x->address), seating_network(&y->address));
	return order != 0 ? order : compare(x->came, y->came);
}

struct group {
	size_t first, end;
	size_t left;  /* that stay */
	size_t at;    /* who goes next, if anybody */
	uint64_t age; /* when that one came */
};

struct choice {
	struct seating_client *client;
	enum standing standing;
	enum seating_doing doing;
	size_t least; /* a network that has fewer gives nobody */
};

/* The next in the group that may have to go; false: nobody. */
static bool advance(const struct choice *q, struct group *g)
{
	for (; g->at < g->end; g->at++) {
		const struct seating_client *c = &q->client[g->at];
		if (!c->goes && c->standing == q->standing && c->doing == q->doing) {
			g->age = c->came;
			return true;
		}
	}
	return false;
}

static struct group *fullest(const struct choice *q, struct group *g, size_t n)
{
	struct group *best = NULL;
	for (size_t i = 0; i < n; i++) {
		if (g[i].left < q->least || !advance(q, &g[i]))
			continue;
		if (best == NULL || g[i].left > best->left ||
		    (g[i].left == best->left && g[i].age < best->age))
			best = &g[i];
	}
	return best;
}

static size_t choose_of(const struct choice *q, struct group *g, size_t n, size_t want)
{
	size_t got = 0;
	for (size_t i = 0; i < n; i++)
		g[i].at = g[i].first;
	for (struct group *f; got < want && (f = fullest(q, g, n)) != NULL; got++) {
		if (f->left == 1 && got > 0)
			break;
		q->client[f->at].goes = true;
		f->left--;
	}
	return got;
}

static size_t make_groups(const struct seating_client *c, size_t n, struct group *g)
{
	size_t groups = 0;
	for (size_t i = 0; i < n; i++) {
		if (groups == 0 || seating_network(&c[i].address) !=
				       seating_network(&c[g[groups - 1].first].address))
			g[groups++] = (struct group){.first = i};
		g[groups - 1].end = i + 1;
		g[groups - 1].left++;
	}
	return groups;
}

size_t seating_choose(struct seating_client *c, size_t n, const struct seating_need *need)
{
	size_t got = 0;
	size_t least = need->network, drips = seating_for_strangers(need->all) / NETWORK_PART + 1;
	struct group *g = n > 0 ? calloc(n, sizeof(*g)) : NULL;
	if (g == NULL)
		return 0;
	qsort(c, n, sizeof(*c), by_network_and_age);
	size_t groups = make_groups(c, n, g);
	for (int s = STANDING_STRANGER; s <= (int)need->who && got == 0; s++) {
		/* Who has the lower standing has no say. */
		size_t fair = s == (int)need->who ? least : 0;
		struct choice idle = {c, (enum standing)s, SEATING_NOTHING, fair};
		struct choice text = {c, (enum standing)s, SEATING_TEXT,
				      fair > drips ? fair : drips};
		got = choose_of(&idle, g, groups, need->want);
		if (got == 0)
			got = choose_of(&text, g, groups, need->want);
	}
	free(g);
	return got;
}
