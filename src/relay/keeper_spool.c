/* SPDX-License-Identifier: MIT */
/* Files for texts that are coming in, for intakes may open none. Refuses to know the texts. */
#include "relay/keeper_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <unistd.h>

enum { SPOOL_MODE = 0600 };

/* Where the file system knows no files without a name, the name goes at once. */
static int make_named(const char *folder)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/spool-%ld", folder, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, SPOOL_MODE);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int make_file(const struct keeper *k)
{
	char store[PATH_MAX];
	snprintf(store, sizeof(store), "%s", k->process.birth.conf->relay_store);
	const char *folder = dirname(store);
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, SPOOL_MODE);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
		fd = make_named(folder);
	return fd;
}

void keeper_spool(struct keeper *k, struct peer *p)
{
	int fd = p->spools < SPOOL_FILES_MAX ? make_file(k) : -1;
	if (fd >= 0)
		p->spools++;
	channel_begin(p->channel, MSG_SPOOLED);
	channel_send(p->channel, fd);
	if (fd >= 0)
		close(fd);
}
