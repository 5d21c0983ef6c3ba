/* SPDX-License-Identifier: MIT */
/* getrusage(2) and the monotonic clock. Knows nothing of what is measured. */
#include "sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

void moment_now(struct moment *out)
{
	struct rusage u;
	struct timespec t;
	if (getrusage(RUSAGE_SELF, &u) != 0 || clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		abort(); /* cannot fail with these arguments */
	out->cpu_us = (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
		      u.ru_utime.tv_usec + u.ru_stime.tv_usec;
	out->wall_us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void sample_print(const char *what, size_t units, const struct moment *from)
{
	struct moment now;
	moment_now(&now);
	printf("sample %s %zu %" PRId64 " %" PRId64 "\n", what, units, now.cpu_us - from->cpu_us,
	       now.wall_us - from->wall_us);
	fflush(stdout);
}
