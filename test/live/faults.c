/* SPDX-License-Identifier: MIT */
/*
 * A library to preload into the relay: its wall clock is off, its syncs fail, it gets no
 * random octets, or one of its allocations fails, as a page says that the test keeps mapped too
 * (lab/torture.py, lab/shortage.py).
 *
 * The page is mapped before main(), so that all processes of the relay share it, whatever their
 * sandbox: the library makes no system call of its own later, but getpid(2) while allocations
 * count. Knows a few functions of the C
 * library. Refuses to know who calls them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct page {
	_Atomic int64_t clock_s;    /* added to CLOCK_REALTIME */
	_Atomic int32_t sync_errno; /* what a failing sync returns */
	_Atomic int32_t syncs;      /* so many syncs still fail */
	_Atomic int32_t no_random;  /* not 0: getrandom() fails */
	_Atomic int32_t pid;        /* of the process whose allocations count; 0: nobody's */
	_Atomic int32_t left;       /* so many allocations until one fails; then on below 0 */
};

static struct page none, *page = &none;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_getrandom)(void *, size_t, unsigned);

static void *real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	if (f == NULL)
		abort();
	return f;
}

/* The processes of the relay are executed anew, under rules that let nobody open a file to write:
 * the first one leaves its descriptor to all. */
static int open_page(void)
{
	const char *path = getenv("DANELAW_TEST_FAULTS"), *left = getenv("DANELAW_TEST_FAULTS_FD");
	char number[16];
	if (left != NULL)
		return (int)strtol(left, NULL, 10);
	int fd = path != NULL ? open(path, O_RDWR) : -1; /* not closed at exec */
	snprintf(number, sizeof(number), "%d", fd);
	if (fd >= 0)
		setenv("DANELAW_TEST_FAULTS_FD", number, 1);
	return fd;
}

__attribute__((constructor)) static void set_up(void)
{
	*(void **)&real_clock = real("clock_gettime");
	*(void **)&real_fsync = real("fsync");
	*(void **)&real_fdatasync = real("fdatasync");
	*(void **)&real_getrandom = real("getrandom");
	int fd = open_page();
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		page = p;
}

/* --- memory ---------------------------------------------------------------------------------- */

#ifndef __SANITIZE_ADDRESS__

/* glibc's own names for its own functions: looking them up would allocate. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static int is_short(void)
{
	if (page->pid == 0 || page->pid != getpid())
		return 0;
	if (atomic_fetch_sub(&page->left, 1) != 1)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t n)
{
	return is_short() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return is_short() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return is_short() ? NULL : __libc_realloc(p, n);
}

#endif

/* --- the wall clock -------------------------------------------------------------------------- */

int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = real_clock(id, t);
	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += page->clock_s;
	return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	int rc = clock_gettime(CLOCK_REALTIME, &now);
	*t = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return rc;
}

time_t time(time_t *out)
{
	struct timespec now = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

/* --- the disk -------------------------------------------------------------------------------- */

static int fail_or(int (*sync)(int), int fd)
{
	if (page->syncs > 0 && atomic_fetch_sub(&page->syncs, 1) > 0) {
		errno = page->sync_errno;
		return -1;
	}
	return sync(fd);
}

int fsync(int fd)
{
	return fail_or(real_fsync, fd);
}

int fdatasync(int fd)
{
	return fail_or(real_fdatasync, fd);
}

/* --- random octets --------------------------------------------------------------------------- */

ssize_t getrandom(void *out, size_t n, unsigned flags)
{
	if (page->no_random != 0) {
		errno = EAGAIN;
		return -1;
	}
	return real_getrandom(out, n, flags);
}
