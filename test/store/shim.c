/* SPDX-License-Identifier: MIT */
/*
 * Knows SQLite's VFS interface. Every write is done at once and its old content remembered until a
 * sync of that file; a power cut puts the old content back, newest first.
 */
#include "shim.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

struct undo {
	struct undo *older;
	off_t offset, old_size;
	size_t n;   /* octets written */
	size_t had; /* octets of old content */
	bool
	    lost; /* a sync that failed was to keep it: later syncs do not, until it is rewritten */
	unsigned char old[];
};

/* What a file has in memory only. Outlives closing: the kernel's cache does, too. */
struct disk {
	char *name;
	int fd; /* never closed while locks may hang on it */
	struct undo *undo;
	struct disk *next;
};

struct shim_file {
	sqlite3_file base;
	sqlite3_file *real;
	struct disk *disk;
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	struct disk *disks;
	enum shim_fault fault;
	long at, count;
	uint32_t seed;
	bool struck;
} shim;

void shim_plan(enum shim_fault fault, long at, uint32_t seed)
{
	shim.fault = fault;
	shim.at = at;
	shim.count = 0;
	shim.seed = seed * 2654435761u + 1;
	shim.struck = false;
}

void shim_heal(void)
{
	shim.fault = SHIM_NONE;
}

long shim_count(void)
{
	return shim.count;
}

bool shim_struck(void)
{
	return shim.struck;
}

static bool coin(void)
{
	shim.seed = shim.seed * 1664525u + 1013904223u;
	return shim.seed >> 31;
}

/* --- undoing --------------------------------------------------------------------------------- */

static struct disk *disk_of(const char *name)
{
	for (struct disk *d = shim.disks; d; d = d->next)
		if (strcmp(d->name, name) == 0)
			return d;
	struct disk *d = calloc(1, sizeof *d);
	if (!d || !(d->name = strdup(name)) || (d->fd = open(name, O_RDWR | O_CLOEXEC)) < 0)
		abort();
	d->next = shim.disks;
	shim.disks = d;
	return d;
}

static void forget(struct disk *d, bool lost_too)
{
	struct undo **at = &d->undo;
	while (*at) {
		struct undo *u = *at;
		if (u->lost && !lost_too) {
			at = &u->older;
			continue;
		}
		*at = u->older;
		free(u);
	}
}

static void forget_disk(const char *name)
{
	for (struct disk **at = &shim.disks; *at; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			struct disk *d = *at;
			*at = d->next;
			forget(d, true);
			close(d->fd);
			free(d->name);
			free(d);
			return;
		}
}

/* Before octets from offset on change. What was lost there is dirty, and can be synced, again. */
static void remember(struct disk *d, off_t offset, size_t n)
{
	struct stat st;
	struct undo *u = calloc(1, sizeof *u + n);
	if (!u || fstat(d->fd, &st) != 0)
		abort();
	for (struct undo *o = d->undo; o; o = o->older)
		if (o->offset < offset + (off_t)n && offset < o->offset + (off_t)o->n)
			o->lost = false;
	ssize_t had = pread(d->fd, u->old, n, offset);
	u->offset = offset;
	u->n = n;
	u->had = had > 0 ? (size_t)had : 0;
	u->old_size = st.st_size;
	u->older = d->undo;
	d->undo = u;
}

static void undo(const struct disk *d, const struct undo *u)
{
	if (u->had > 0 && pwrite(d->fd, u->old, u->had, u->offset) < 0)
		abort();
	if (shim.fault != SHIM_POWER_TORN && !u->lost && ftruncate(d->fd, u->old_size) != 0)
		abort();
	for (size_t i = u->had; u->lost && i < u->n; i++) /* a hole where pages never arrived */
		if (pwrite(d->fd, "", 1, u->offset + (off_t)i) < 0)
			abort();
}

void shim_power_cut(void)
{
	for (struct disk *d = shim.disks; d; d = d->next)
		for (struct undo *u = d->undo; u; u = u->older)
			if (u->lost || shim.fault != SHIM_POWER_TORN || coin())
				undo(d, u);
	_exit(SHIM_EXIT);
}

/* Does this operation fail? */
static int strike(bool sync, bool grows)
{
	long n = ++shim.count;
	if (shim.fault == SHIM_NONE || n < shim.at)
		return SQLITE_OK;
	if (shim.fault == SHIM_POWER_CUT || shim.fault == SHIM_POWER_TORN)
		shim_power_cut();
	if (shim.fault == SHIM_ENOSPC && grows) {
		shim.struck = true;
		return SQLITE_FULL;
	}
	if (shim.fault == SHIM_EIO || (shim.fault == SHIM_EIO_SYNC && sync)) {
		shim.struck = true;
		shim.fault = SHIM_NONE;
		return sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
	}
	return SQLITE_OK;
}

/* --- the methods that change something ------------------------------------------------------- */

#define FILE_OF(file) struct shim_file *f = (struct shim_file *)(file)

static int f_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
	FILE_OF(file);
	int rc = strike(false, true);
	if (rc != SQLITE_OK)
		return rc;
	for (int at = 0; at < n; at += PAGE) /* each may arrive or not */
		remember(f->disk, offset + at, (size_t)(n - at < PAGE ? n - at : PAGE));
	return f->real->pMethods->xWrite(f->real, p, n, offset);
}

static int f_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	FILE_OF(file);
	int rc = strike(false, false);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_int64 have;
	f->real->pMethods->xFileSize(f->real, &have);
	if (have > size)
		remember(f->disk, size, (size_t)(have - size));
	return f->real->pMethods->xTruncate(f->real, size);
}

/* No real sync: the tests cut no real power. */
static int f_sync(sqlite3_file *file, int flags)
{
	(void)flags;
	FILE_OF(file);
	bool marks = shim.fault == SHIM_EIO_SYNC;
	int rc = strike(true, false);
	if (rc == SQLITE_OK)
		forget(f->disk, false);
	else if (marks)
		for (struct undo *u = f->disk->undo; u; u = u->older)
			u->lost = true;
	return rc;
}

static int f_close(sqlite3_file *file)
{
	FILE_OF(file);
	int rc = f->real->pMethods->xClose(f->real);
	free(f->real);
	return rc;
}

/* --- the others ------------------------------------------------------------------------------ */

static int f_read(sqlite3_file *file, void *p, int n, sqlite3_int64 offset)
{
	FILE_OF(file);
	return f->real->pMethods->xRead(f->real, p, n, offset);
}

static int f_size(sqlite3_file *file, sqlite3_int64 *out)
{
	FILE_OF(file);
	return f->real->pMethods->xFileSize(f->real, out);
}

static int f_lock(sqlite3_file *file, int level)
{
	FILE_OF(file);
	return f->real->pMethods->xLock(f->real, level);
}

static int f_unlock(sqlite3_file *file, int level)
{
	FILE_OF(file);
	return f->real->pMethods->xUnlock(f->real, level);
}

static int f_reserved(sqlite3_file *file, int *out)
{
	FILE_OF(file);
	return f->real->pMethods->xCheckReservedLock(f->real, out);
}

static int f_control(sqlite3_file *file, int op, void *arg)
{
	FILE_OF(file);
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_OK;
	return f->real->pMethods->xFileControl(f->real, op, arg);
}

static int f_sector(sqlite3_file *file)
{
	FILE_OF(file);
	return f->real->pMethods->xSectorSize(f->real);
}

static int f_traits(sqlite3_file *file)
{
	FILE_OF(file);
	return f->real->pMethods->xDeviceCharacteristics(f->real);
}

/* Version 1: no shared memory, which a store that locks exclusively does not need. */
static const sqlite3_io_methods methods = {
    1,      f_close,  f_read,     f_write,   f_truncate, f_sync,   f_size,
    f_lock, f_unlock, f_reserved, f_control, f_sector,   f_traits,
};

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	(void)vfs;
	FILE_OF(file);
	*f = (struct shim_file){.real = calloc(1, (size_t)shim.real->szOsFile)};
	if (!f->real)
		return SQLITE_NOMEM;
	int rc = shim.real->xOpen(shim.real, name, f->real, flags, out);
	if (rc != SQLITE_OK) {
		free(f->real);
		return rc;
	}
	f->base.pMethods = &methods;
	f->disk = disk_of(name);
	return SQLITE_OK;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs;
	int rc = strike(false, false);
	if (rc != SQLITE_OK)
		return rc;
	forget_disk(name);
	return shim.real->xDelete(shim.real, name, sync);
}

void shim_install(void)
{
	shim.real = sqlite3_vfs_find(NULL);
	shim.vfs = *shim.real;
	shim.vfs.zName = "shim";
	shim.vfs.pNext = NULL;
	shim.vfs.szOsFile = (int)sizeof(struct shim_file);
	shim.vfs.xOpen = v_open;
	shim.vfs.xDelete = v_delete;
	if (sqlite3_vfs_register(&shim.vfs, 1) != SQLITE_OK)
		abort();
}
