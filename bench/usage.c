/* SPDX-License-Identifier: MIT */
/*
 * bench-usage FILE COMMAND [ARGS]: runs a command and writes "WALL-US CPU-US PEAK-KIB EXIT" to
 * FILE.
 *
 * A program of its own because the kernel counts the peak of the process that forked to the child's
 * account: from Python every child would have Python's peak. Ours is a megabyte.
 */
#include <inttypes.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int64_t now_us(void)
{
	struct timespec t = {0};
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t microseconds(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: bench-usage FILE COMMAND [ARGS]\n", stderr);
		return 64;
	}
	int64_t began = now_us();
	pid_t pid;
	int status = 0;
	int error = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
	struct rusage u = {0};
	if (error != 0) {
		fprintf(stderr, "bench-usage: %s: %s\n", argv[2], strerror(error));
		return 71;
	}
	if (wait4(pid, &status, 0, &u) != pid)
		return 71;
	int64_t took = now_us() - began;
	FILE *f = fopen(argv[1], "we");
	if (f == NULL) {
		perror(argv[1]);
		return 73;
	}
	fprintf(f, "%" PRId64 " %" PRId64 " %ld %d\n", took,
		microseconds(u.ru_utime) + microseconds(u.ru_stime), u.ru_maxrss,
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return fclose(f) == 0 ? 0 : 73;
}
