/* SPDX-License-Identifier: MIT */
/*
 * relay: who is connected to which intake, so that limits count over all of them (P4), and from
 * where mail came lately.
 *
 * Each intake writes a page of its own in shared memory and reads those of the others: it makes it,
 * seals it against every other writer, and hands the descriptor to the keeper, which hands it on.
 * An intake that was taken over can lie about its own clients, no more; what it says is read as
 * numbers, never followed.
 */
#ifndef RELAY_ROSTER_H
#define RELAY_ROSTER_H

#include "relay/seating.h"

enum {
	ROSTER_PAGES_MAX = 128, /* intakes, those that retire included */
	/* Networks with good mail: who brings mail from more of them forgets the oldest. */
	ROSTER_KNOWN = 4096,
	ROSTER_KNOWN_WAYS = 8,
	ROSTER_KNOWN_MS = 172800000, /* two days: "lately" */
};

struct roster;

/* Room for so many clients of this intake. NULL: out of memory, or the kernel has no sealed memory
 * files. */
struct roster *roster_new(uint32_t seats);
void roster_free(struct roster **r);

int roster_fd(const struct roster *r); /* of our page; stays the roster's */
/* Another intake's page, by the number that the keeper has for it; takes fd. False: it is none. */
bool roster_add(struct roster *r, uint32_t number, int fd);
void roster_remove(struct roster *r, uint32_t number); /* whom it knew is known here from now on */
void roster_remove_all(struct roster *r);              /* the same */

/* A seat; -1: none is left. */
int32_t roster_sit(struct roster *r, const struct ipaddr *a, enum standing s);
void roster_change(struct roster *r, int32_t seat, enum standing s);
void roster_leave(struct roster *r, int32_t seat); /* -1 is fine */
struct seating_counts roster_count(const struct roster *r, const struct ipaddr *a);

/* What the text of the client on that seat takes, in KiB. */
void roster_hold(struct roster *r, int32_t seat, uint32_t memory, uint32_t disk);
struct roster_texts { /* over all intakes, KiB */
	uint64_t memory, disk;
	uint64_t network_memory, network_disk; /* of seating_network() of that address */
};
struct roster_texts roster_texts(const struct roster *r, const struct ipaddr *a);

/* Mail came from there. */
void roster_note(struct roster *r, const struct ipaddr *a, uint64_t now_ms);
bool roster_knows(const struct roster *r, const struct ipaddr *a, uint64_t now_ms);

#endif
