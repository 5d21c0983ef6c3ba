/* SPDX-License-Identifier: MIT */
/* bench: what a stretch of work cost this process. Samples go to standard output, a line each, for
 * bench/run to sum up. */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

struct moment {
	int64_t cpu_us; /* user and system, of this process alone */
	int64_t wall_us;
};

void moment_now(struct moment *out);

/* Prints "sample WHAT UNITS CPU-US WALL-US": what passed since `from`. */
void sample_print(const char *what, size_t units, const struct moment *from);

#endif
