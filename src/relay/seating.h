/* SPDX-License-Identifier: MIT */
/*
 * relay: who gets a place among the clients when there are few (P4), and who has to give one up.
 * Pure: what is known of the clients comes in, their numbers go out.
 *
 * Places are kept back for those who bring mail: strangers never get the last quarter, and only our
 * own networks and users get the last eighth. When no place is left, those who have done nothing
 * yet make room: strangers first, of them the fullest network first, in it the oldest.
 */
#ifndef RELAY_SEATING_H
#define RELAY_SEATING_H

#include "wire/ipaddr.h"

enum standing {
	STANDING_STRANGER,
	STANDING_KNOWN, /* handed mail in lately */
	STANDING_OWN,   /* relay.networks, users */
	STANDING_COUNT
};

struct seating_counts { /* over all intakes */
	uint32_t of[STANDING_COUNT];
	uint32_t address; /* an IPv4 address, an IPv6 /64 */
	uint32_t network; /* seating_network() */
};

struct seating_limits {
	uint32_t all, per_address;
};

enum seating {
	SEATING_WELCOME,
	SEATING_FULL,         /* welcome if somebody makes room */
	SEATING_ADDRESS_FULL, /* too many from that address */
};
/* The counts without the one who comes. */
enum seating seating_judge(const struct seating_counts *n, const struct seating_limits *max,
			   enum standing who);
/* How many places strangers can have. */
uint32_t seating_for_strangers(uint32_t all);

/* How long who has done nothing yet may do so, in ms: the fuller, the shorter. */
uint32_t seating_patience_ms(const struct seating_counts *n, uint32_t all, enum standing who,
			     uint32_t calm_ms);

enum seating_doing {
	SEATING_NOTHING, /* no message in this session, and none under way */
	SEATING_TEXT,    /* its first text is under way */
	SEATING_WORK,    /* stays */
};

struct seating_client {
	struct ipaddr address;
	enum standing standing;
	enum seating_doing doing;
	uint64_t came; /* its number in the order of coming */
	bool goes;     /* out: it has to */
};

struct seating_need {
	enum standing who; /* only clients of this standing or a lower one go for it */
	/* Clients that its network has already, over all intakes: no network makes room that has
	 * fewer, so that a crowd cannot push others out. */
	uint32_t network;
	uint32_t all;
	/* So many at most. From networks with one client not more than one goes. */
	size_t want;
};

/* Chooses clients that go. Returns how many. The order of the clients may change. */
size_t seating_choose(struct seating_client *c, size_t n, const struct seating_need *need);

/* May a text have more, when so much is taken by all and by its network (with what it asks for)? No
 * network takes more than a quarter, one of ours half; strangers leave a quarter. */
bool seating_may_hold(enum standing who, uint64_t all, uint64_t network, uint64_t budget);

/* The network that an address is counted with here: IPv4 /24, IPv6 /56. */
uint64_t seating_network(const struct ipaddr *a);

#endif
