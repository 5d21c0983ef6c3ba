/* SPDX-License-Identifier: MIT */
/*
 * The users' file on disk: read whole, replaced whole.
 *
 * Knows modes, owners, locks and what it takes to survive a power cut. Refuses to know what is in
 * the file.
 */
#include "users/room.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A lock is taken on a file that another one is just replacing: so often at most. */
enum { LOCK_TRIES = 100 };

static bool say(char *error, size_t room, const char *path, const char *what)
{
	int e = errno;
	snprintf(error, room, "%s: %s: %s", path, what, strerror(e));
	return false;
}

static bool read_text(struct users_file *f, const char *path, char *error, size_t room)
{
	for (;;) {
		uint8_t *p = buf_reserve(&f->text, 4096);
		if (p == NULL) {
			snprintf(error, room, "%s: larger than 32 MiB, or out of memory", path);
			return false;
		}
		ssize_t n = read(f->fd, p, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return say(error, room, path, "cannot read");
		if (n == 0)
			return true;
		buf_commit(&f->text, (size_t)n);
	}
}

static bool judge(struct users_file *f, const struct stat *st, const char *path, enum file_mode m,
		  char *error, size_t room)
{
	f->mode = st->st_mode & 0660;
	f->owner = st->st_uid;
	f->group = st->st_gid;
	const char *wrong = NULL;
	if (!S_ISREG(st->st_mode))
		wrong = "not a regular file";
	else if (m == FILE_READ && (st->st_mode & (S_IROTH | S_IWOTH)) != 0)
		wrong = "everybody can read or write the password hashes (chmod o-rw)";
	if (wrong != NULL)
		snprintf(error, room, "%s: %s", path, wrong);
	return wrong == NULL;
}

/* Is the file that we have open still the one with that name? */
static bool is_current(const struct users_file *f, const struct stat *open_one)
{
	struct stat named;
	return stat(f->path, &named) == 0 && named.st_dev == open_one->st_dev &&
	       named.st_ino == open_one->st_ino;
}

static bool open_locked(struct users_file *f, const char *path, enum file_mode m, struct stat *st,
			char *error, size_t room)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	if (m == FILE_CREATE)
		flags |= O_CREAT | O_NOFOLLOW;
	for (int i = 0; i < LOCK_TRIES; i++) {
		f->fd = open(f->path, flags, 0600);
		if (f->fd < 0)
			return say(error, room, path, "cannot read");
		if (m != FILE_READ && flock(f->fd, LOCK_EX) != 0)
			return say(error, room, path, "cannot lock");
		if (fstat(f->fd, st) != 0)
			return say(error, room, path, "cannot read");
		if (m == FILE_READ || is_current(f, st))
			return true;
		close(f->fd);
		f->fd = -1;
	}
	snprintf(error, room, "%s: somebody else keeps replacing it", path);
	return false;
}

bool users_file_open(struct users_file *f, const char *path, enum file_mode m, char *error,
		     size_t room)
{
	struct stat st;
	*f = (struct users_file){.fd = -1};
	buf_init(&f->text, USERS_FILE_MAX);
	f->path = realpath(path, NULL);
	if (f->path == NULL && errno == ENOENT)
		f->path = strdup(path);
	if (f->path == NULL)
		return say(error, room, path, "cannot read");
	return open_locked(f, path, m, &st, error, room) && judge(f, &st, path, m, error, room) &&
	       read_text(f, path, error, room);
}

void users_file_close(struct users_file *f)
{
	if (f->text.p != NULL)
		explicit_bzero(f->text.p, f->text.cap);
	buf_free(&f->text);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	*f = (struct users_file){.fd = -1};
}

/* --- Replacing --- */

static bool write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return false;
		s = slice_from(s, n > 0 ? (size_t)n : 0);
	}
	return true;
}

static bool keep_owner(int fd, const struct users_file *f)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return false;
	if (st.st_uid == f->owner && st.st_gid == f->group)
		return true;
	return fchown(fd, f->owner, f->group) == 0;
}

static bool sync_folder(const char *path)
{
	char *copy = strdup(path);
	int fd = copy != NULL ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	free(copy);
	return ok;
}

/* NULL, or what could not be done (errno says why). Closes fd. */
static const char *fill(const struct users_file *f, int fd, struct slice text)
{
	const char *wrong = NULL;
	if (!keep_owner(fd, f))
		wrong = "cannot keep the owner";
	else if (fchmod(fd, f->mode) != 0)
		wrong = "cannot keep the mode";
	else if (!write_all(fd, text) || fsync(fd) != 0)
		wrong = "cannot write";
	int e = errno;
	if (close(fd) != 0 && wrong == NULL)
		return "cannot write";
	errno = e;
	return wrong;
}

bool users_file_replace(struct users_file *f, struct slice text, char *error, size_t room)
{
	char *beside = NULL;
	if (asprintf(&beside, "%s.XXXXXX", f->path) < 0) {
		snprintf(error, room, "%s: out of memory", f->path);
		return false;
	}
	const char *wrong = "cannot make a file beside it";
	int fd = mkostemp(beside, O_CLOEXEC);
	if (fd >= 0) {
		wrong = fill(f, fd, text);
		if (wrong == NULL && rename(beside, f->path) != 0)
			wrong = "cannot replace it";
		if (wrong != NULL) {
			int e = errno;
			unlink(beside);
			errno = e;
		} else if (!sync_folder(f->path)) {
			wrong = "changed, but perhaps not on disk";
		}
	}
	free(beside);
	return wrong == NULL || say(error, room, f->path, wrong);
}
