/* SPDX-License-Identifier: MIT */
/*
 * seccomp: the filter of system calls, made from syscalls.tbl and the profile's groups and sockets.
 *
 * Knows libseccomp. Refuses to know paths, which a filter cannot see.
 */
#include "sandbox/room.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAMESPACES                                                                                 \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP)

enum { NAME_MAX_LENGTH = 31, DIE = 0, SOCKET_TYPE = 0xf, FAMILY_MAX = AF_INET6 };

enum comparison { EQUAL, MASKED, SELF };

struct names {
	unsigned group;
	int otherwise; /* of REFUSE */
	const char *list;
};

struct condition {
	unsigned group;
	const char *name;
	unsigned arg;
	enum comparison how;
	uint64_t mask, value;
	int otherwise; /* errno, or DIE */
};

#define GROUP(id, list)
#define WHEN(id, name, arg, how, mask, value, otherwise)
#define REFUSE(errnum, list)

#undef GROUP
#define GROUP(id, list) {GROUP_##id, 0, list},
static const struct names groups[] = {
#include "sandbox/syscalls.tbl"
};
#undef GROUP
#define GROUP(id, list)

#undef WHEN
#define WHEN(id, name, arg, how, mask, value, otherwise)                                           \
	{GROUP_##id, #name, arg, how, mask, value, otherwise},
static const struct condition conditions[] = {
#include "sandbox/syscalls.tbl"
};
#undef WHEN
#define WHEN(id, name, arg, how, mask, value, otherwise)

#undef REFUSE
#define REFUSE(errnum, list) {0, errnum, list},
static const struct names refused[] = {
#include "sandbox/syscalls.tbl"
};
#undef REFUSE

static const struct {
	unsigned bit;
	int family, type, protocol;
} sockets[] = {
    {SOCKET_TCP, AF_INET, SOCK_STREAM, 0},         {SOCKET_TCP, AF_INET, SOCK_STREAM, IPPROTO_TCP},
    {SOCKET_TCP, AF_INET6, SOCK_STREAM, 0},        {SOCKET_TCP, AF_INET6, SOCK_STREAM, IPPROTO_TCP},
    {SOCKET_UDP, AF_INET, SOCK_DGRAM, 0},          {SOCKET_UDP, AF_INET, SOCK_DGRAM, IPPROTO_UDP},
    {SOCKET_UDP, AF_INET6, SOCK_DGRAM, 0},         {SOCKET_UDP, AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
    {SOCKET_UNIX_STREAM, AF_UNIX, SOCK_STREAM, 0}, {SOCKET_UNIX_DGRAM, AF_UNIX, SOCK_DGRAM, 0},
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

struct filter {
	scmp_filter_ctx ctx;
	unsigned groups, sockets;
	int error; /* the first, as a negative errno; 0: none */
};

/* The next name of a list, copied; returns what is left, NULL at the end. */
static const char *next_name(const char *list, char name[static NAME_MAX_LENGTH + 1])
{
	list += strspn(list, " ");
	size_t n = strcspn(list, " ");
	snprintf(name, NAME_MAX_LENGTH + 1, "%.*s", (int)n, list);
	return n > 0 ? list + n : NULL;
}

static bool lists(const char *list, const char *wanted)
{
	char name[NAME_MAX_LENGTH + 1];
	while ((list = next_name(list, name)) != NULL) {
		if (strcmp(name, wanted) == 0)
			return true;
	}
	return false;
}

static bool is_allowed(const struct filter *f, const char *name)
{
	for (size_t i = 0; i < ROWS(groups); i++) {
		if ((groups[i].group & f->groups) != 0 && lists(groups[i].list, name))
			return true;
	}
	return false;
}

static bool has_condition(const struct filter *f, const char *name)
{
	for (size_t i = 0; i < ROWS(conditions); i++) {
		if ((conditions[i].group & f->groups) != 0 && strcmp(conditions[i].name, name) == 0)
			return true;
	}
	return f->sockets != SOCKET_NONE && strcmp(name, "socket") == 0;
}

/* One rule; a name that this architecture lacks is left out. */
static void add_rule(struct filter *f, uint32_t action, const char *name, unsigned n,
		     const struct scmp_arg_cmp *args)
{
	int number = seccomp_syscall_resolve_name(name);
	if (number < 0 || f->error != 0)
		return;
	f->error = seccomp_rule_add_array(f->ctx, action, number, n, args);
}

static uint32_t refuse_with(int errnum)
{
	return SCMP_ACT_ERRNO((unsigned)errnum);
}

static void add_groups(struct filter *f)
{
	char name[NAME_MAX_LENGTH + 1];
	for (size_t i = 0; i < ROWS(groups); i++) {
		const char *list = (groups[i].group & f->groups) != 0 ? groups[i].list : "";
		while ((list = next_name(list, name)) != NULL)
			add_rule(f, SCMP_ACT_ALLOW, name, 0, NULL);
	}
}

/* The filter's language has no "not masked": the opposite of a mask is one row only for one bit. */
static void add_condition(struct filter *f, const struct condition *c)
{
	uint64_t value = c->how == SELF ? (uint64_t)getpid() : c->value;
	struct scmp_arg_cmp is = {c->arg, SCMP_CMP_EQ, value, 0};
	struct scmp_arg_cmp is_not = {c->arg, SCMP_CMP_NE, value, 0};
	if (c->how == MASKED) {
		is = (struct scmp_arg_cmp){c->arg, SCMP_CMP_MASKED_EQ, c->mask, value};
		is_not =
		    (struct scmp_arg_cmp){c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->mask & ~value};
	}
	add_rule(f, SCMP_ACT_ALLOW, c->name, 1, &is);
	if (c->otherwise != DIE)
		add_rule(f, refuse_with(c->otherwise), c->name, 1, &is_not);
}

static void add_conditions(struct filter *f)
{
	for (size_t i = 0; i < ROWS(conditions); i++) {
		const struct condition *c = &conditions[i];
		if ((c->group & f->groups) != 0 && !is_allowed(f, c->name))
			add_condition(f, c);
	}
}

static void add_refused(struct filter *f)
{
	char name[NAME_MAX_LENGTH + 1];
	for (size_t i = 0; i < ROWS(refused); i++) {
		const char *list = refused[i].list;
		while ((list = next_name(list, name)) != NULL) {
			if (!is_allowed(f, name) && !has_condition(f, name))
				add_rule(f, refuse_with(refused[i].otherwise), name, 0, NULL);
		}
	}
}

/* A family of ours with a strange type or protocol kills; other families are refused. */
static void add_sockets(struct filter *f)
{
	bool ours[FAMILY_MAX + 1] = {false};
	for (size_t i = 0; i < ROWS(sockets); i++) {
		if ((sockets[i].bit & f->sockets) == 0)
			continue;
		struct scmp_arg_cmp is[] = {
		    {0, SCMP_CMP_EQ, (uint64_t)sockets[i].family, 0},
		    {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE, (uint64_t)sockets[i].type},
		    {2, SCMP_CMP_EQ, (uint64_t)sockets[i].protocol, 0},
		};
		ours[sockets[i].family] = true;
		add_rule(f, SCMP_ACT_ALLOW, "socket", 3, is);
	}
	for (uint64_t family = 0; family <= FAMILY_MAX; family++) {
		struct scmp_arg_cmp is = {0, SCMP_CMP_EQ, family, 0};
		if (!ours[family])
			add_rule(f, refuse_with(EPERM), "socket", 1, &is);
	}
	struct scmp_arg_cmp above = {0, SCMP_CMP_GT, FAMILY_MAX, 0};
	add_rule(f, refuse_with(EPERM), "socket", 1, &above);
}

static int load(struct filter *f)
{
	add_groups(f);
	add_conditions(f);
	if (f->sockets != SOCKET_NONE)
		add_sockets(f);
	add_refused(f);
	if (f->error == 0)
		f->error = seccomp_attr_set(f->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (f->error == 0) /* a binary tree instead of a list: every call pays for the filter */
		f->error = seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (f->error == 0)
		f->error = seccomp_load(f->ctx);
	return -f->error;
}

bool seccomp_enter(const struct sandbox_rules *r, char *error, size_t room)
{
	struct filter f = {
	    .ctx = seccomp_init(SCMP_ACT_KILL_PROCESS), .groups = r->groups, .sockets = r->sockets};
	int code = f.ctx != NULL ? load(&f) : ENOMEM;
	if (f.ctx != NULL)
		seccomp_release(f.ctx);
	return code == 0 || sandbox_fail(error, room, "seccomp", code);
}
