/* SPDX-License-Identifier: MIT */
/*
 * The write-ahead log, written in large pieces.
 *
 * SQLite writes each page of a commit to its log with two system calls, the page and 24 octets
 * before it: a dozen pages a message, and then a sync. Here what follows on each other is gathered
 * and written when it is synced, read, cut or too much. An error of a gathered write is reported by
 * the call that wrote it, at the latest by the sync, which every commit of the queue waits for
 * (synchronous = FULL). What nobody synced may be lost with the process, as it was before with the
 * power.
 *
 * For a database of one process alone: a reader in another one looks into the file before the sync.
 * Knows one file. Refuses to know its format.
 */
#include "store/room.h"

enum { GATHER_BYTES = 64 * 1024 }; /* SQLite itself writes less than 128 KiB at once */

struct log_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct, in SQLite's allocation */
	uint8_t *gathered;
	size_t n;
	sqlite3_int64 at; /* where the gathered octets belong */
};

#define LOG_OF(file) struct log_file *f = (struct log_file *)(file)

static int flush(struct log_file *f)
{
	size_t n = f->n;
	f->n = 0; /* also when it fails: what comes later must not make it look whole */
	return n > 0 ? f->real->pMethods->xWrite(f->real, f->gathered, (int)n, f->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
	LOG_OF(file);
	size_t more = (size_t)n;
	bool follows = f->n > 0 && offset == f->at + (sqlite3_int64)f->n;
	if (!follows || more > GATHER_BYTES - f->n) {
		int rc = flush(f);
		if (rc != SQLITE_OK)
			return rc;
		if (more > GATHER_BYTES) /* no page is */
			return f->real->pMethods->xWrite(f->real, p, n, offset);
		f->at = offset;
	}
	memcpy(f->gathered + f->n, p, more);
	f->n += more;
	return SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *p, int n, sqlite3_int64 offset)
{
	LOG_OF(file);
	int rc = flush(f);
	return rc == SQLITE_OK ? f->real->pMethods->xRead(f->real, p, n, offset) : rc;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	LOG_OF(file);
	int rc = flush(f);
	return rc == SQLITE_OK ? f->real->pMethods->xTruncate(f->real, size) : rc;
}

static int log_sync(sqlite3_file *file, int flags)
{
	LOG_OF(file);
	int rc = flush(f);
	return rc == SQLITE_OK ? f->real->pMethods->xSync(f->real, flags) : rc;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *out)
{
	LOG_OF(file);
	int rc = flush(f);
	return rc == SQLITE_OK ? f->real->pMethods->xFileSize(f->real, out) : rc;
}

/* What is gathered still belongs to no commit. */
static int log_close(sqlite3_file *file)
{
	LOG_OF(file);
	free(f->gathered);
	return f->real->pMethods->xClose(f->real);
}

static int log_lock(sqlite3_file *file, int level)
{
	LOG_OF(file);
	return f->real->pMethods->xLock(f->real, level);
}

static int log_unlock(sqlite3_file *file, int level)
{
	LOG_OF(file);
	return f->real->pMethods->xUnlock(f->real, level);
}

static int log_reserved(sqlite3_file *file, int *out)
{
	LOG_OF(file);
	return f->real->pMethods->xCheckReservedLock(f->real, out);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
	LOG_OF(file);
	return f->real->pMethods->xFileControl(f->real, op, arg);
}

static int log_sector(sqlite3_file *file)
{
	LOG_OF(file);
	return f->real->pMethods->xSectorSize(f->real);
}

static int log_traits(sqlite3_file *file)
{
	LOG_OF(file);
	return f->real->pMethods->xDeviceCharacteristics(f->real);
}

static const sqlite3_io_methods methods = {
    1,        log_close,  log_read,     log_write,   log_truncate, log_sync,   log_size,
    log_lock, log_unlock, log_reserved, log_control, log_sector,   log_traits,
};

static int open_any(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	LOG_OF(file);
	if (!(flags & SQLITE_OPEN_WAL))
		return real->xOpen(real, name, file, flags, out);
	*f = (struct log_file){.real = (sqlite3_file *)(f + 1), .gathered = malloc(GATHER_BYTES)};
	int rc = f->gathered ? real->xOpen(real, name, f->real, flags, out) : SQLITE_NOMEM;
	if (rc != SQLITE_OK) {
		free(f->gathered);
		f->base.pMethods = NULL;
		return rc;
	}
	f->base.pMethods = &methods;
	return SQLITE_OK;
}

static int delete_any(sqlite3_vfs *vfs, const char *name, int sync)
{
	sqlite3_vfs *real = vfs->pAppData;
	return real->xDelete(real, name, sync);
}

static int access_any(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	return real->xAccess(real, name, flags, out);
}

static int full_name(sqlite3_vfs *vfs, const char *name, int room, char *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	return real->xFullPathname(real, name, room, out);
}

static int last_error(sqlite3_vfs *vfs, int n, char *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	return real->xGetLastError ? real->xGetLastError(real, n, out) : 0;
}

/* The default file system at this time, but for its logs. The other methods look at nothing in it.
 */
const char *store_log_vfs(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	if (!real)
		return NULL;
	sqlite3_vfs_unregister(&vfs);
	vfs = *real;
	vfs.zName = "danelaw-log";
	vfs.pNext = NULL;
	vfs.pAppData = real;
	vfs.szOsFile = (int)sizeof(struct log_file) + real->szOsFile;
	vfs.xOpen = open_any;
	vfs.xDelete = delete_any;
	vfs.xAccess = access_any;
	vfs.xFullPathname = full_name;
	vfs.xGetLastError = last_error;
	return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? vfs.zName : NULL;
}
