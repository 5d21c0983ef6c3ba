/* SPDX-License-Identifier: MIT */
/*
 * relay: how long an intake waits for a client. Pure: times are given, in milliseconds.
 *
 * Commands start the timeout anew. In a text only octets buy time, at the slowest pace that is
 * taken, and never more than the timeout: who drips does not get more time, and each text ends.
 */
#ifndef RELAY_PATIENCE_H
#define RELAY_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	/* A text that comes slower than this for the length of the timeout ends, so that a few
	 * octets a minute do not hold a place for ever. A modem does ten times as much. */
	PATIENCE_OCTETS_PER_S = 500,
	/* However large the text: 50 MiB come in that time at 5,000 octets a second. */
	PATIENCE_TEXT_MS = 10800000,
};

struct patience {
	uint64_t deadline; /* it ends then */
	uint64_t since;    /* the last that it did, outside of a text */
	bool in_text;
	uint64_t text_since;
	uint64_t octets, progress;
};

/* What is seen of the client now. */
struct patience_facts {
	uint64_t now;
	uint32_t timeout;
	uint64_t progress; /* changes when it did something; never 0 */
	bool in_text;
	uint64_t octets; /* of all its texts so far */
};

/* All zero is the beginning. True: there is more time than before. */
bool patience_look(struct patience *p, const struct patience_facts *f);
/* It was we who took the time. */
void patience_renew(struct patience *p, const struct patience_facts *f);

#endif
