/* SPDX-License-Identifier: MIT */
/*
 * sandbox: what a process may do for the rest of its life: seccomp for system calls, Landlock for
 * paths and TCP ports, an unprivileged user.
 *
 * The profiles are the table profiles.tbl, the groups of system calls that it names are
 * syscalls.tbl. Both guards only ever narrow, and both are inherited: a child of a process in the
 * profile PARENT may do at most what PARENT may do, whatever it enters later. Hence the order:
 *
 *   parent: bind what root must bind; sandbox_enter(PARENT); only then fork.
 *   child:  set-up (read, connect to syslog, load keys, open the store, make the loop);
 *           sandbox_drop_privileges(); sandbox_enter(its profile); run the loop.
 *
 * For a process with one thread: Landlock is the calling thread's alone.
 *
 * What a profile does not allow kills the process at once (SIGSYS), except for a short list of
 * calls that libraries make to look around: those fail with an errno (REFUSE in syscalls.tbl). What
 * Landlock forbids fails with EACCES (paths, ports) or EPERM (signals).
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum sandbox_profile {
#define PROFILE(id, name, ...) SANDBOX_##id,
#include "sandbox/profiles.tbl"
#undef PROFILE
	SANDBOX_PROFILES
};

enum {
	SANDBOX_REPORT_ROOM = 512, /* octets that hold every report */
	SANDBOX_GROUPS_MAX = 256,  /* that root may be a member of */
};

/*
 * What the configuration adds to the profile. A profile that has no use for a field refuses it.
 * Paths are seen from inside a chroot and must exist. A directory stands for all below it.
 */
struct sandbox_paths {
	const char *const *read;  /* ended by NULL; NULL: none. KEEPER, RESOLVER */
	const char *const *write; /* as read; also to create, rename, remove. PARENT, KEEPER */
	/* Files, or folders of files, that may be executed. PARENT, whose children are this program
	 * anew. */
	const char *const *execute;
	const uint16_t *connect; /* TCP ports instead of 53. RESOLVER */
	size_t nconnect;
};

const char *sandbox_profile_name(enum sandbox_profile p); /* "parent", "intake", ... */

/*
 * The last step of a process's set-up; there is no way back. paths may be NULL.
 *
 * True: `report` is one line that says what guards the process and what this kernel lacks, such as
 * "seccomp; landlock 2; missing: tcp, scope". False: `report` is the error; the process is in an
 * unknown state between free and closed and must end.
 *
 * A build with AddressSanitizer has no seccomp filter, and says so.
 */
bool sandbox_enter(enum sandbox_profile p, const struct sandbox_paths *paths, char *report,
		   size_t room);

/* The Landlock ABI of this kernel; 0: none. */
int sandbox_landlock_abi(void);
/* Can this build on this kernel filter system calls? */
bool sandbox_has_seccomp(void);

/*
 * At once in a process that reads secrets: no core dumps, not dumpable (no ptrace by the same user;
 * not so in a build with AddressSanitizer, whose leak check needs it), no new privileges through
 * exec. False: `error` says why; the process must end.
 */
bool sandbox_seal(char *error, size_t room);

/*
 * Called as root: becomes `user` for good, with the user's group and no other group, and checks
 * that root cannot be regained. Called as anybody else, or with NULL or "" for user: stays who it
 * is. chroot_dir (NULL or "": none) needs root.
 *
 * In all cases sandbox_seal() too. False: `error` says why; the process must end.
 */
bool sandbox_drop_privileges(const char *user, const char *chroot_dir, char *error, size_t room);

/*
 * As root, for one act whose permissions are to be those of `user` (NULL or "": nobody else's, as
 * for anybody who is not root): becomes that user, and root again. False: errno says why, nothing
 * has changed. A return that fails aborts.
 */
struct sandbox_loan {
	bool lent;
	gid_t gid;
	gid_t group[SANDBOX_GROUPS_MAX];
	int ngroup;
};
bool sandbox_borrow_user(const char *user, struct sandbox_loan *out);
void sandbox_return_user(const struct sandbox_loan *l);

#endif
