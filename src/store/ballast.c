/* SPDX-License-Identifier: MIT */
/* Blocks that are ours until they are needed. Knows file systems; refuses to know for what. */
#include "store/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum ballast_step ballast_decide(const struct ballast_facts *f)
{
	uint64_t low = f->want / 4 < BALLAST_LOW ? f->want / 4 : BALLAST_LOW;
	uint64_t spare = f->reserve > f->want / 4 ? f->reserve : f->want / 4;
	if (f->have > 0)
		return f->free < low || f->want == 0 ? BALLAST_GIVE_UP : BALLAST_KEEP;
	if (f->want < BALLAST_LEAST)
		return BALLAST_KEEP;
	return f->free >= f->want + low + spare ? BALLAST_MAKE : BALLAST_KEEP;
}

uint64_t ballast_size(uint64_t option, uint64_t free)
{
	return option < free / 4 ? option : free / 4;
}

static bool name_of(const char *store, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s-ballast", store);
	return n > 0 && n < PATH_MAX;
}

bool ballast_free(const char *store, uint64_t *out)
{
	char folder[PATH_MAX];
	struct statvfs fs;
	snprintf(folder, sizeof folder, "%s", store);
	char *slash = strrchr(folder, '/');
	if (slash == NULL)
		snprintf(folder, sizeof folder, ".");
	else
		slash[slash == folder] = '\0';
	if (statvfs(folder, &fs) != 0)
		return false;
	*out = (uint64_t)fs.f_bavail * fs.f_frsize;
	return true;
}

uint64_t ballast_have(const char *store)
{
	char name[PATH_MAX];
	struct stat st;
	if (!name_of(store, name) || lstat(name, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	/* Only blocks count: what somebody has copied may have holes. */
	uint64_t blocks = (uint64_t)st.st_blocks * 512, size = (uint64_t)st.st_size;
	return blocks < size ? blocks : size;
}

/* Nothing can make these octets fewer. */
static bool write_noise(int fd, uint64_t size)
{
	uint64_t block[8192], x = 0x9e3779b97f4a7c15u;
	for (uint64_t at = 0; at < size; at += sizeof block) {
		for (size_t i = 0; i < sizeof block / sizeof block[0]; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			block[i] = x;
		}
		if (pwrite(fd, block, sizeof block, (off_t)at) != (ssize_t)sizeof block) {
			if (errno == 0)
				errno = ENOSPC; /* a part of it fitted */
			return false;
		}
	}
	return fsync(fd) == 0; /* who allocates late refuses now */
}

static bool fill(int fd, uint64_t size)
{
	errno = 0;
	if (fallocate(fd, 0, 0, (off_t)size) == 0)
		return true;
	return (errno == EOPNOTSUPP || errno == ENOSYS) && write_noise(fd, size);
}

static enum store_status status_of(int error)
{
	return error == ENOSPC || error == EDQUOT ? STORE_FULL : STORE_IO;
}

static enum store_status make_at(const char *name, uint64_t size)
{
	unlink(name);
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return status_of(errno);
	bool ok = fill(fd, size);
	enum store_status status = ok ? STORE_OK : status_of(errno);
	close(fd);
	if (!ok)
		unlink(name);
	return status;
}

enum store_status ballast_make(const char *store, uint64_t size)
{
	char name[PATH_MAX];
	return name_of(store, name) ? make_at(name, size) : STORE_LIMIT;
}

/* Blocks of a removed file are free when the file system has committed that. */
static void settle(const char *name)
{
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%s", name);
	char *slash = strrchr(folder, '/');
	if (slash == NULL)
		snprintf(folder, sizeof folder, ".");
	else
		slash[slash == folder] = '\0';
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

bool ballast_give_up(const char *store)
{
	char name[PATH_MAX];
	if (!name_of(store, name) || unlink(name) != 0)
		return false;
	settle(name);
	return true;
}

enum store_status ballast_probe(const char *store)
{
	char name[PATH_MAX];
	int n = snprintf(name, sizeof name, "%s-probe", store);
	if (n <= 0 || n >= PATH_MAX)
		return STORE_LIMIT;
	enum store_status status = make_at(name, BALLAST_PROBE);
	if (status == STORE_OK) {
		unlink(name);
		settle(name);
	}
	return status;
}
