/* SPDX-License-Identifier: MIT */
/* See breaks.h. Knows processes; refuses to know what is stored. */
#include "breaks.h"

#include "help.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void *breaks_ledger(size_t size)
{
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED);
	return at;
}

void breaks_one(const struct breaks *b, enum shim_fault fault, long at, uint32_t seed)
{
	char path[256];
	help_path(path);
	memset(b->ledger, 0, b->size);
	pid_t pid = fork();
	if (pid == 0) {
		shim_install();
		shim_plan(fault, at, seed);
		b->broken(path, fault, at, seed);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	bool ended =
	    WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SHIM_EXIT);
	if (!ended)
		fprintf(stderr, "fault %d at %ld, seed %u\n", (int)fault, at, seed);
	CHECK(ended);
	b->verify(path);
	help_clean(path);
}

void breaks_sweep(const struct breaks *b, enum shim_fault fault, long n, long step,
		  void (*after)(void))
{
	const char *wanted = getenv("STORE_SWEEP");
	if (wanted)
		step = strtol(wanted, NULL, 10);
	CHECK(step > 0);
	for (long at = 1 + (long)fault % step; at <= n; at += step) {
		breaks_one(b, fault, at, (uint32_t)at);
		if (after)
			after();
	}
	printf("%ld operations\n", n);
}

/* --- kill -9 --------------------------------------------------------------------------------- */

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Until the other process says so. */
static void await(volatile bool *flag)
{
	for (int i = 0; !*flag && i < 60000; i++)
		usleep(1000);
	CHECK(*flag);
}

/* Killed `after_us` into its work, or at its end (-1). How long it worked. */
static int64_t killed(const struct breaks *b, int64_t after_us)
{
	char path[256];
	help_path(path);
	memset(b->ledger, 0, b->size);
	pid_t pid = fork();
	if (pid == 0) {
		b->work(path);
		b->ledger->finished = true;
		for (;;)
			pause();
	}
	await(&b->ledger->opened);
	int64_t start = now_us();
	if (after_us < 0)
		await(&b->ledger->finished);
	else
		usleep((useconds_t)after_us);
	int64_t worked = now_us() - start;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	b->verify(path);
	help_clean(path);
	return worked;
}

int breaks_kill(const struct breaks *b, int runs, void (*after)(void))
{
	int cut = 0;
	int64_t whole = killed(b, -1);
	for (int i = 0; i < runs; i++) {
		killed(b, whole * i / runs);
		if (after)
			after();
		cut += !b->ledger->finished;
	}
	printf("%d of %d runs cut short\n", cut, runs);
	return cut;
}
