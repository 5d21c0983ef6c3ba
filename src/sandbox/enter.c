/* SPDX-License-Identifier: MIT */
/*
 * Entering a profile: capabilities, then Landlock, then seccomp, and the report.
 *
 * Landlock comes first because the seccomp filter forbids to make more rules. Knows what the kernel
 * may lack and says so; refuses to know single system calls and paths.
 */
#include "sandbox/room.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From which ABI of Landlock on. */
static const struct {
	int abi;
	const char *what;
} landlock_parts[] = {
    {1, "files"}, {2, "refer"}, {3, "truncate"}, {4, "tcp"}, {5, "ioctl"}, {6, "scope"},
};

bool sandbox_fail(char *error, size_t room, const char *what, int errnum)
{
	snprintf(error, room, "sandbox: %s: %s", what, strerror(errnum));
	return false;
}

static void add(char *report, size_t room, const char *first, const char *text)
{
	size_t n = strlen(report);
	snprintf(report + n, room - n, "%s%s", first, text);
}

static void describe(char *report, size_t room)
{
	char landlock[32];
	int abi = sandbox_landlock_abi();
	const char *first = "; missing: ";
	snprintf(landlock, sizeof(landlock), "landlock %d", abi);
	report[0] = '\0';
	add(report, room, "", sandbox_has_seccomp() ? "seccomp" : "no seccomp");
	add(report, room, "; ", abi > 0 ? landlock : "no landlock");
	if (SANDBOX_ASAN)
		add(report, room, "; ", "AddressSanitizer");
	for (size_t i = 0; i < sizeof(landlock_parts) / sizeof(landlock_parts[0]); i++) {
		if (landlock_parts[i].abi > abi) {
			add(report, room, first, landlock_parts[i].what);
			first = ", ";
		}
	}
}

/* What the profile has no use for is a mistake of the caller, and never an extension of the rules.
 */
static bool check_paths(const struct sandbox_rules *r, const struct sandbox_paths *p, char *error,
			size_t room)
{
	bool may_read = r->files == FILES_LISTED && (r->groups & GROUP_READ) != 0;
	bool may_write = r->files != FILES_NOTHING && (r->groups & GROUP_WRITE) != 0;
	bool may_connect = r->connect == PORTS_DNS;
	bool may_execute = (r->groups & GROUP_SET_UP) != 0;
	if ((p->execute != NULL && !may_execute) || (p->read != NULL && !may_read) ||
	    (p->write != NULL && !may_write) || (p->nconnect > 0 && !may_connect)) {
		snprintf(error, room, "sandbox: the profile %s has no use for such paths or ports",
			 r->name);
		return false;
	}
	return true;
}

static bool drop_capabilities(char *error, size_t room)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	if (syscall(SYS_capset, &head, none) != 0)
		return sandbox_fail(error, room, "capset", errno);
	return true;
}

bool sandbox_has_seccomp(void)
{
	return !SANDBOX_ASAN && prctl(PR_GET_SECCOMP) >= 0;
}

bool sandbox_enter(enum sandbox_profile p, const struct sandbox_paths *paths, char *report,
		   size_t room)
{
	static const struct sandbox_paths no_paths;
	const struct sandbox_rules *r = sandbox_rules(p);
	if (paths == NULL)
		paths = &no_paths;
	tzset(); /* syslog(3) would open the file of the time zone at its first line */
	if (!check_paths(r, paths, report, room))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return sandbox_fail(report, room, "no_new_privs", errno);
	if (!r->keep_capabilities && !drop_capabilities(report, room))
		return false;
	char said[SANDBOX_REPORT_ROOM];
	describe(said, sizeof(said)); /* afterwards nobody may ask the kernel any more */
	if (sandbox_landlock_abi() > 0 && !landlock_enter(r, paths, report, room))
		return false;
	if (sandbox_has_seccomp() && !seccomp_enter(r, report, room))
		return false;
	snprintf(report, room, "%s", said);
	return true;
}
