/* SPDX-License-Identifier: MIT */
/*
 * Landlock: paths, TCP ports, signals and abstract sockets.
 *
 * Everything that the kernel's ABI can forbid is forbidden, then the profile's rules allow. Knows
 * the system calls, which the C library does not have, and the rights of every ABI. Refuses to know
 * system calls that Landlock does not see: UDP, Unix sockets with a path, stat(2).
 */
#include "sandbox/room.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DNS_PORT = 53, RULE_NET_PORT = 2 };

/* What the build's kernel headers may be too old for; the values are the kernel's ABI. */
struct ruleset {
	uint64_t fs, net, scoped;
};

struct port_rule {
	uint64_t access, port;
};

#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND (1ULL << 0)
#define NET_CONNECT (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_DIR LANDLOCK_ACCESS_FS_READ_DIR
#define WRITE_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define WRITE_DIR (LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define PARENT_DIR                                                                                 \
	(LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define EXECUTE LANDLOCK_ACCESS_FS_EXECUTE
#define OF_FILES                                                                                   \
	(READ_FILE | WRITE_FILE | EXECUTE) /* what makes sense for a path that is no directory */

static uint64_t fs_of_abi(int abi)
{
	uint64_t all = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1; /* ABI 1: all up to MAKE_SYM */
	if (abi >= 2)
		all |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		all |= FS_TRUNCATE;
	if (abi >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

/* With PORTS_ANY the right is not handled: there is nothing to forbid. */
static struct ruleset handled(const struct sandbox_rules *r, int abi)
{
	struct ruleset s = {.fs = fs_of_abi(abi)};
	if (abi >= 4)
		s.net = (r->connect != PORTS_ANY ? NET_CONNECT : 0) |
			(r->bind != PORTS_ANY ? NET_BIND : 0);
	if (abi >= 6)
		s.scoped = SCOPE_SIGNAL | (r->abstract_sockets ? 0 : SCOPE_ABSTRACT_UNIX);
	return s;
}

int sandbox_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi > 0 ? (int)abi : 0;
}

static bool allow_path(int ruleset, const char *path, uint64_t access)
{
	struct stat st;
	struct landlock_path_beneath_attr rule = {
	    .allowed_access = access,
	    .parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	bool ok = rule.parent_fd >= 0 && fstat(rule.parent_fd, &st) == 0;
	if (ok && !S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;
	ok = ok &&
	     syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	int error = errno;
	if (rule.parent_fd >= 0)
		close(rule.parent_fd);
	errno = error;
	return ok;
}

static bool allow_paths(int ruleset, const char *const *path, uint64_t access, char *error,
			size_t room)
{
	for (; path != NULL && *path != NULL; path++) {
		if (!allow_path(ruleset, *path, access))
			return sandbox_fail(error, room, *path, errno);
	}
	return true;
}

/* Devices that libraries open late. A chroot need not have them. */
static void allow_devices(int ruleset, const struct sandbox_rules *r, uint64_t mask)
{
	if (r->files != FILES_NOTHING) {
		allow_path(ruleset, "/dev/urandom", READ_FILE);
		allow_path(ruleset, "/dev/null", (READ_FILE | WRITE_FILE) & mask);
	}
	if (SANDBOX_ASAN)
		allow_path(ruleset, "/proc", READ_FILE | READ_DIR);
}

static bool allow_files(int ruleset, const struct sandbox_rules *r, const struct sandbox_paths *p,
			char *error, size_t room)
{
	static const char *const root[] = {"/", NULL};
	uint64_t mask = fs_of_abi(sandbox_landlock_abi());
	uint64_t read = READ_FILE | READ_DIR;
	uint64_t write = (read | WRITE_FILE | WRITE_DIR) & mask;
	bool any = r->files == FILES_ANY_READ;
	allow_devices(ruleset, r, mask);
	return allow_paths(ruleset, any ? root : p->read, read, error, room) &&
	       allow_paths(ruleset, p->execute, EXECUTE, error, room) &&
	       allow_paths(ruleset, p->write, any ? write | PARENT_DIR : write, error, room);
}

static bool allow_port(int ruleset, uint64_t access, uint16_t port)
{
	struct port_rule rule = {.access = access, .port = port};
	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) == 0;
}

static bool allow_ports(int ruleset, const struct sandbox_rules *r, const struct sandbox_paths *p)
{
	bool ok = true;
	if (r->connect == PORTS_DNS && p->nconnect == 0)
		ok = allow_port(ruleset, NET_CONNECT, DNS_PORT);
	for (size_t i = 0; i < p->nconnect && ok; i++)
		ok = allow_port(ruleset, NET_CONNECT, p->connect[i]);
	if (ok && r->bind == PORTS_EPHEMERAL)
		ok = allow_port(ruleset, NET_BIND, 0);
	return ok;
}

static bool fill_and_restrict(int ruleset, const struct sandbox_rules *r,
			      const struct sandbox_paths *p, bool ports, char *error, size_t room)
{
	if (!allow_files(ruleset, r, p, error, room))
		return false;
	if (ports && !allow_ports(ruleset, r, p))
		return sandbox_fail(error, room, "a port", errno);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return sandbox_fail(error, room, "landlock_restrict_self", errno);
	return true;
}

bool landlock_enter(const struct sandbox_rules *r, const struct sandbox_paths *paths, char *error,
		    size_t room)
{
	struct ruleset s = handled(r, sandbox_landlock_abi());
	/* Kernels before the fields do not mind them while they are 0. */
	int fd = (int)syscall(SYS_landlock_create_ruleset, &s, sizeof(s), 0);
	if (fd < 0)
		return sandbox_fail(error, room, "landlock_create_ruleset", errno);
	bool ok = fill_and_restrict(fd, r, paths, s.net != 0, error, room);
	close(fd);
	return ok;
}
