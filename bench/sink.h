/* SPDX-License-Identifier: MIT */
/*
 * bench: what bench-sink shares with bench/relay, in a file that both map: the knobs that the bench
 * turns while the server runs, and the counts that it reads. The layout is known to bench/relay.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <stdatomic.h>
#include <stdint.h>

/* How a host behaves, by its address (bench/world.py): 127.C.H.L with C = 100 + 10 * kind + number
 * / 250, fd00:20:KNNN::1 with the kind in the first digit. */
enum sink_kind { SINK_FAST, SINK_SLOW, SINK_SILENT, SINK_THROTTLED, SINK_KINDS };

enum { SINK_HOSTS = 2048 }; /* of each kind at most */

struct sink_shared {
	/* Knobs. pause_ms: before each reply, by the kind of the host. limit: sessions of one host
	 * at a time, more hear 421; 0: any number. hold: who has sent a text hears nothing more. */
	_Atomic uint64_t pause_ms[SINK_KINDS], limit[SINK_KINDS], hold, chunking;
	/* Counts. */
	_Atomic uint64_t connections, full, resumed, in_clear, refused, open, held;
	_Atomic uint64_t messages[SINK_KINDS];
};

#endif
