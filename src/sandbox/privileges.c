/* SPDX-License-Identifier: MIT */
/*
 * Becoming an ordinary user, for good. Knows users, groups and chroot; refuses to know what the
 * process is for.
 */
#include "sandbox/room.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PASSWD_ROOM = 16384 };

struct who {
	uid_t uid;
	gid_t gid;
};

static bool given(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static bool find_user(const char *user, struct who *out, char *error, size_t room)
{
	char space[PASSWD_ROOM];
	struct passwd entry, *found = NULL;
	int code = getpwnam_r(user, &entry, space, sizeof(space), &found);
	if (found == NULL) {
		snprintf(error, room, "user %s: %s", user,
			 code != 0 ? strerror(code) : "no such user");
		return false;
	}
	*out = (struct who){.uid = entry.pw_uid, .gid = entry.pw_gid};
	return true;
}

static bool enter_root(const char *dir, char *error, size_t room)
{
	if (chroot(dir) != 0 || chdir("/") != 0) {
		snprintf(error, room, "chroot %s: %s", dir, strerror(errno));
		return false;
	}
	return true;
}

/* All three ids, as the kernel tells them, and no way back. */
static bool is_for_good(const struct who *w)
{
	uid_t u[3];
	gid_t g[3];
	if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (u[i] != w->uid || g[i] != w->gid)
			return false;
	}
	return getgroups(0, NULL) == 0 && setresuid(0, 0, 0) != 0 && setuid(0) != 0 &&
	       setgroups(0, NULL) != 0 && (w->gid == 0 || setresgid(0, 0, 0) != 0);
}

static bool become(const struct who *w, char *error, size_t room)
{
	if (setgroups(0, NULL) != 0 || setresgid(w->gid, w->gid, w->gid) != 0 ||
	    setresuid(w->uid, w->uid, w->uid) != 0)
		return sandbox_fail(error, room, "cannot become the user", errno);
	if (w->uid != 0 && !is_for_good(w)) {
		snprintf(error, room, "sandbox: root's rights could be regained");
		return false;
	}
	return true;
}

bool sandbox_seal(char *error, size_t room)
{
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return sandbox_fail(error, room, "core limit", errno);
	if (!SANDBOX_ASAN && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return sandbox_fail(error, room, "dumpable", errno);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return sandbox_fail(error, room, "no_new_privs", errno);
	return true;
}

bool sandbox_drop_privileges(const char *user, const char *chroot_dir, char *error, size_t room)
{
	struct who who;
	bool change = given(user) && geteuid() == 0;
	/* The user is looked up where /etc/passwd still is. */
	if (change && !find_user(user, &who, error, room))
		return false;
	if (given(chroot_dir) && !enter_root(chroot_dir, error, room))
		return false;
	if (change && !become(&who, error, room))
		return false;
	return sandbox_seal(error, room);
}

/* --- For one act --- */

static void must(bool done)
{
	if (!done)
		abort(); /* neither root nor the user: nothing may be done so */
}

void sandbox_return_user(const struct sandbox_loan *l)
{
	if (!l->lent)
		return;
	must(seteuid(0) == 0);
	must(setegid(l->gid) == 0);
	must(setgroups((size_t)l->ngroup, l->group) == 0);
}

bool sandbox_borrow_user(const char *user, struct sandbox_loan *out)
{
	struct who who;
	char error[256];
	*out = (struct sandbox_loan){.lent = false, .gid = getegid()};
	if (!given(user) || geteuid() != 0)
		return true;
	errno = ENOENT;
	if (!find_user(user, &who, error, sizeof(error)))
		return false;
	out->ngroup = getgroups(SANDBOX_GROUPS_MAX, out->group);
	if (out->ngroup < 0)
		return false;
	out->lent = true;
	if (setgroups(0, NULL) == 0 && setegid(who.gid) == 0 && seteuid(who.uid) == 0)
		return true;
	int e = errno;
	sandbox_return_user(out);
	out->lent = false;
	errno = e;
	return false;
}
