/* SPDX-License-Identifier: MIT */
/*
 * sandbox: each row is one act in a process of one profile, and whether it works, fails or kills.
 *
 * The act runs in a forked child that has entered the profile; its return value (0 or an errno) and
 * its death are compared with the row. What needs a guard that this kernel or build lacks is
 * skipped, and the reason printed.
 */
#include "sandbox/sandbox.h"

#include "test_sandbox_acts.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

struct world world;

/* --- the table ------------------------------------------------------------------------------- */

enum fate { WORKS, FAILS, DIES, ABORTS };
enum guard {
	ANYHOW,
	SECCOMP,
	LANDLOCK,
	LANDLOCK_TCP = LANDLOCK + 3,
	LANDLOCK_SCOPE = LANDLOCK + 5
};

#define BIT(p) (1u << SANDBOX_##p)
#define PARENT BIT(PARENT)
#define INTAKE BIT(INTAKE)
#define KEEPER BIT(KEEPER)
#define RESOLVER BIT(RESOLVER)
#define COURIER BIT(COURIER)
#define CHILDREN (INTAKE | KEEPER | RESOLVER | COURIER)
#define ALL (PARENT | CHILDREN)
#define ACT(function) #function, act_##function

static const struct {
	unsigned profiles;
	const char *name;
	int (*act)(void);
	enum fate fate;
	enum guard guard; /* the act is stopped by; or (WORKS) must be let pass by */
} rows[] = {
    /* needed by everybody */
    {ALL, ACT(event_loop), WORKS},
    {ALL, ACT(memory), WORKS},
    {ALL, ACT(crypto), WORKS},
    {ALL, ACT(log_lines), WORKS},
    {ALL, ACT(pass_descriptor), WORKS},
    {ALL, ACT(read_memfd), WORKS},
    {ALL, ACT(abort_itself), ABORTS},
    /* forbidden to everybody */
    {ALL, ACT(execute), DIES, SECCOMP},
    {ALL, ACT(execute_at), DIES, SECCOMP},
    {CHILDREN, ACT(execute_memory), DIES, SECCOMP},
    {CHILDREN, ACT(execute_open), DIES, SECCOMP},
    {PARENT, ACT(execute_open), FAILS, LANDLOCK}, /* it is not the relay's own program */
    {ALL, ACT(io_uring), FAILS, SECCOMP},
    {ALL, ACT(trace), DIES, SECCOMP},
    {ALL, ACT(read_memory), DIES, SECCOMP},
    {ALL, ACT(new_namespace), DIES, SECCOMP},
    {ALL, ACT(leave_namespace), DIES, SECCOMP},
    {ALL, ACT(mount_something), DIES, SECCOMP},
    {ALL, ACT(socket_netlink), FAILS, SECCOMP},
    {ALL, ACT(socket_packet), FAILS, SECCOMP},
    {ALL, ACT(socket_vsock), FAILS, SECCOMP},
    {INTAKE | KEEPER, ACT(socket_raw), FAILS, SECCOMP},
    {PARENT | RESOLVER | COURIER, ACT(socket_raw), DIES, SECCOMP},
    {INTAKE | KEEPER, ACT(socket_mptcp), FAILS, SECCOMP},
    {PARENT | RESOLVER | COURIER, ACT(socket_mptcp), DIES, SECCOMP},
    {ALL, ACT(connect_by_send), FAILS, SECCOMP},
    {ALL, ACT(make_device), DIES, SECCOMP},
    /* other processes */
    {PARENT, ACT(fork_and_kill), WORKS},
    {PARENT, ACT(kill_victim), FAILS, LANDLOCK_SCOPE},
    {CHILDREN, ACT(fork_child), DIES, SECCOMP},
    {CHILDREN, ACT(kill_victim), DIES, SECCOMP},
    {CHILDREN, ACT(aim_at_victim), DIES, SECCOMP},
    {CHILDREN, ACT(map_code), DIES, SECCOMP},
    {CHILDREN, ACT(push_terminal_input), DIES, SECCOMP},
    {PARENT, ACT(raise_limit), WORKS},
    {CHILDREN, ACT(raise_limit), FAILS, SECCOMP},
    /* files */
    {PARENT, ACT(open_passwd), WORKS},
    {INTAKE | COURIER, ACT(open_passwd), FAILS, SECCOMP},
    {KEEPER | RESOLVER, ACT(open_passwd), FAILS, LANDLOCK},
    {PARENT | KEEPER | RESOLVER, ACT(open_anchor), WORKS},
    {INTAKE | COURIER, ACT(open_anchor), FAILS, SECCOMP},
    {PARENT | KEEPER, ACT(write_anchor), FAILS, LANDLOCK},
    {RESOLVER, ACT(write_anchor), DIES, SECCOMP},
    {RESOLVER, ACT(write_anchor_by_open), DIES, SECCOMP},
    {INTAKE | COURIER, ACT(look_at_anchor), FAILS, SECCOMP},
    {PARENT | KEEPER, ACT(write_elsewhere), FAILS, LANDLOCK},
    {RESOLVER, ACT(write_elsewhere), DIES, SECCOMP},
    {INTAKE | COURIER, ACT(write_elsewhere), FAILS, SECCOMP},
    {PARENT | KEEPER, ACT(move_in), FAILS, LANDLOCK},
    {PARENT | KEEPER, ACT(remove_anchor), FAILS, LANDLOCK},
    {INTAKE | RESOLVER | COURIER, ACT(remove_anchor), DIES, SECCOMP},
    {ALL, ACT(truncate_anchor), DIES, SECCOMP},
    {ALL, ACT(make_link), DIES, SECCOMP},
    {KEEPER, ACT(open_by_link), FAILS, LANDLOCK},
    {INTAKE | COURIER, ACT(open_by_link), FAILS, SECCOMP},
    {PARENT | KEEPER, ACT(open_memory), FAILS, LANDLOCK},
    {RESOLVER, ACT(open_memory), DIES, SECCOMP},
    {INTAKE | COURIER, ACT(open_memory), FAILS, SECCOMP},
    {PARENT | KEEPER, ACT(files), WORKS},
    {PARENT | KEEPER, ACT(database), WORKS},
    {KEEPER, ACT(open_locked), FAILS}, /* root has no capabilities */
    {PARENT | INTAKE | KEEPER | COURIER, ACT(memfd), WORKS},
    {RESOLVER, ACT(memfd), DIES, SECCOMP},
    /* network */
    {PARENT | INTAKE | KEEPER, ACT(accept_client), WORKS},
    {PARENT | KEEPER, ACT(accept_control), WORKS},
    {RESOLVER | COURIER, ACT(accept_client), DIES, SECCOMP},
    {INTAKE | KEEPER, ACT(connect_tcp), FAILS, SECCOMP},
    {INTAKE | KEEPER, ACT(connect_accepted), FAILS, SECCOMP},
    {INTAKE | KEEPER, ACT(call_connect), FAILS, SECCOMP},
    {PARENT | COURIER, ACT(connect_tcp), WORKS},
    {RESOLVER, ACT(connect_tcp), FAILS, LANDLOCK_TCP},
    {RESOLVER, ACT(connect_dns), WORKS},
    /* The control socket, a syslog, a service manager, another daemon: none has a way there. */
    {PARENT, ACT(connect_lmtp), WORKS},
    {CHILDREN, ACT(connect_lmtp), FAILS, SECCOMP},
    {CHILDREN, ACT(socket_unix), FAILS, SECCOMP},
    {PARENT, ACT(tell_abstract), WORKS},
    {CHILDREN, ACT(tell_abstract), FAILS, SECCOMP},
    {PARENT | RESOLVER, ACT(send_udp), WORKS},
    {INTAKE | KEEPER, ACT(socket_udp), FAILS, SECCOMP},
    {COURIER, ACT(socket_udp), DIES, SECCOMP},
    {PARENT | RESOLVER | COURIER, ACT(socket_tcp), WORKS},
    {PARENT, ACT(listen_tcp), WORKS},
    {PARENT, ACT(bind_tcp_port), WORKS},
    {INTAKE | KEEPER | COURIER, ACT(listen_tcp), FAILS, SECCOMP},
    {RESOLVER, ACT(bind_tcp_port), FAILS, LANDLOCK_TCP},
};

/* --- playing it ------------------------------------------------------------------------------ */

static bool enter(enum sandbox_profile p, char *report)
{
	const char *const anchor[] = {world.anchor, NULL};
	const char *const dir[] = {world.dir, NULL};
	struct sandbox_paths paths = {0};
	if (p == SANDBOX_RESOLVER || p == SANDBOX_KEEPER)
		paths.read = anchor;
	if (p == SANDBOX_PARENT || p == SANDBOX_KEEPER)
		paths.write = dir;
	return sandbox_enter(p, &paths, report, SANDBOX_REPORT_ROOM);
}

/* As in the relay: what opens files or talks to syslog has happened before. */
static void set_up(void)
{
	openlog("danelaw", LOG_NDELAY, LOG_MAIL);
	act_crypto();
}

/* The status of waitpid(2). */
static int play(enum sandbox_profile p, int (*act)(void))
{
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char report[SANDBOX_REPORT_ROOM];
		set_up();
		if (!enter(p, report)) {
			fprintf(stderr, "%s\n", report);
			_exit(NOT_ENTERED);
		}
		_exit(act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool is_fate(int status, enum fate fate)
{
	switch (fate) {
	case WORKS:
		return WIFEXITED(status) && WEXITSTATUS(status) == 0;
	case FAILS:
		return WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) < WRONG;
	case DIES:
		return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
	case ABORTS:
		return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
	}
	return false;
}

/* NULL, or why the row cannot be played. */
static const char *lacks(enum guard g)
{
	if (g == SECCOMP && !sandbox_has_seccomp())
		return "no seccomp in this kernel or build";
	if (g >= LANDLOCK && sandbox_landlock_abi() < (int)(g - LANDLOCK) + 1)
		return "the kernel's Landlock has no such rule";
	return NULL;
}

static void connect_a_client(void)
{
	struct sockaddr_in to = local(world.tcp_port);
	struct sockaddr_un lmtp = {.sun_family = AF_UNIX};
	snprintf(lmtp.sun_path, sizeof lmtp.sun_path, "%s", world.socket_path);
	world.pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world.pair[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(world.pair[0], (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(connect(world.pair[1], (struct sockaddr *)&lmtp, sizeof lmtp), 0);
}

/* play() with a client that has just connected. */
static int play_with_client(enum sandbox_profile p, int (*act)(void))
{
	connect_a_client();
	int status = play(p, act);
	close(world.pair[0]);
	close(world.pair[1]);
	close(accept4(world.tcp, NULL, NULL, SOCK_CLOEXEC));
	close(accept4(world.lmtp, NULL, NULL, SOCK_CLOEXEC));
	return status;
}

static void play_row(size_t i, enum sandbox_profile p)
{
	int status = play_with_client(p, rows[i].act);
	if (!is_fate(status, rows[i].fate))
		fail_msg("%s: %s: wanted fate %d, got %s %d", sandbox_profile_name(p), rows[i].name,
			 rows[i].fate, WIFSIGNALED(status) ? "signal" : "exit",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void every_act_has_its_fate(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *why = rows[i].fate == WORKS ? NULL : lacks(rows[i].guard);
		if (why)
			print_message("skipped: %s: %s\n", rows[i].name, why);
		for (int p = 0; p < SANDBOX_PROFILES && !why; p++) {
			if (rows[i].profiles & (1u << p))
				play_row(i, (enum sandbox_profile)p);
		}
	}
}

/* --- beside the table ------------------------------------------------------------------------ */

static int enter_keeper_and_work(void)
{
	char report[SANDBOX_REPORT_ROOM];
	if (!enter(SANDBOX_KEEPER, report))
		return NOT_ENTERED;
	return act_database() || act_memfd() || act_event_loop();
}

static int enter_resolver_and_ask(void)
{
	char report[SANDBOX_REPORT_ROOM];
	return enter(SANDBOX_RESOLVER, report) ? act_send_udp() : NOT_ENTERED;
}

static int enter_courier_and_connect(void)
{
	char report[SANDBOX_REPORT_ROOM];
	return enter(SANDBOX_COURIER, report) ? act_connect_tcp() || act_memfd() : NOT_ENTERED;
}

static int enter_intake_and_accept(void)
{
	char report[SANDBOX_REPORT_ROOM];
	return enter(SANDBOX_INTAKE, report) ? act_accept_client() || act_memfd() : NOT_ENTERED;
}

/* As in the relay: forked by a parent that has its own profile already. */
static void children_enter_below_the_parent(void **state)
{
	(void)state;
	static int (*const child[])(void) = {enter_keeper_and_work, enter_resolver_and_ask,
					     enter_courier_and_connect, enter_intake_and_accept};
	for (size_t i = 0; i < ROWS(child); i++) {
		/* the acts of the child before may have left clients behind */
		while (accept4(world.tcp, NULL, NULL, SOCK_CLOEXEC) >= 0)
			;
		assert_int_equal(play_with_client(SANDBOX_PARENT, child[i]), 0);
	}
}

/* Runs f in a child; its exit code, or -1. */
static int in_child(int (*f)(void))
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(f());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int give_what_has_no_use(void)
{
	const char *const path[] = {"/etc", NULL};
	const struct {
		enum sandbox_profile p;
		struct sandbox_paths paths;
	} wrong[] = {
	    {SANDBOX_INTAKE, {.read = path}},
	    {SANDBOX_COURIER, {.write = path}},
	    {SANDBOX_RESOLVER, {.write = path}},
	    {SANDBOX_PARENT, {.read = path}},
	    {SANDBOX_KEEPER, {.connect = (uint16_t[]){25}, .nconnect = 1}},
	};
	char report[SANDBOX_REPORT_ROOM];
	for (size_t i = 0; i < ROWS(wrong); i++) {
		if (sandbox_enter(wrong[i].p, &wrong[i].paths, report, sizeof report) ||
		    !strstr(report, "no use"))
			return WRONG;
	}
	return 0;
}

static int give_a_missing_path(void)
{
	const char *const path[] = {"/nowhere/at/all", NULL};
	struct sandbox_paths paths = {.read = path};
	char report[SANDBOX_REPORT_ROOM];
	if (sandbox_landlock_abi() == 0)
		return 0;
	bool entered = sandbox_enter(SANDBOX_RESOLVER, &paths, report, sizeof report);
	return !entered && strstr(report, "/nowhere/at/all") ? 0 : WRONG;
}

static void wrong_paths_are_errors(void **state)
{
	(void)state;
	assert_int_equal(in_child(give_what_has_no_use), 0);
	assert_int_equal(in_child(give_a_missing_path), 0);
}

static int connect_where_told(void)
{
	bool guarded = sandbox_landlock_abi() >= 4;
	struct sandbox_paths paths = {.connect = &world.tcp_port, .nconnect = 1};
	char report[SANDBOX_REPORT_ROOM];
	if (!sandbox_enter(SANDBOX_RESOLVER, &paths, report, sizeof report))
		return NOT_ENTERED;
	if (act_connect_tcp() != 0)
		return WRONG;
	return !guarded || act_connect_dns() == EACCES ? 0 : WRONG;
}

static void the_resolvers_ports_are_the_callers(void **state)
{
	(void)state;
	assert_int_equal(in_child(connect_where_told), 0);
}

static int read_the_report(void)
{
	char report[SANDBOX_REPORT_ROOM], want[32];
	int abi = sandbox_landlock_abi();
	bool seccomp = sandbox_has_seccomp();
	snprintf(want, sizeof want, abi > 0 ? "; landlock %d" : "; no landlock", abi);
	if (!sandbox_enter(SANDBOX_COURIER, NULL, report, sizeof report))
		return NOT_ENTERED;
	fprintf(stderr, "%s\n", report);
	bool ok = strncmp(report, seccomp ? "seccomp" : "no seccomp", 7) == 0 &&
		  strstr(report, want) && (abi < 4) == (strstr(report, "tcp") != NULL);
	return ok ? 0 : WRONG;
}

static void the_report_says_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(in_child(read_the_report), 0);
}

/* --- privileges ------------------------------------------------------------------------------ */

static int check_seal(void)
{
	struct rlimit core = {1, 1};
	bool asan_keeps_it = !sandbox_has_seccomp();
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
		return 1;
	if (!asan_keeps_it && prctl(PR_GET_DUMPABLE) != 0)
		return 2;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3;
}

static int stay(void)
{
	char error[TEXT];
	uid_t before = geteuid();
	if (!sandbox_drop_privileges("", NULL, error, sizeof error) || geteuid() != before)
		return WRONG;
	return check_seal();
}

static int drop(void)
{
	char error[TEXT] = "";
	if (setgroups(2, (gid_t[]){1, 2}) != 0)
		return WRONG;
	if (!sandbox_drop_privileges("nobody", "/", error, sizeof error)) {
		fprintf(stderr, "%s\n", error);
		return WRONG;
	}
	if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getgroups(0, NULL) != 0)
		return WRONG;
	if (setuid(0) == 0 || open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0)
		return WRONG;
	/* Once more, as an ordinary user: nothing to do. */
	return sandbox_drop_privileges("root", NULL, error, sizeof error) && geteuid() != 0
		   ? check_seal()
		   : WRONG;
}

static int drop_to_nobody_known(void)
{
	char error[TEXT] = "";
	bool ok = sandbox_drop_privileges("no-such-user-here", NULL, error, sizeof error);
	return geteuid() != 0 || (!ok && strstr(error, "no such user")) ? 0 : WRONG;
}

static int change_user(void)
{
	return setgroups(0, NULL) == 0 && setresuid(1, 1, 1) == 0 ? 0 : WRONG;
}

/* Drops, then enters below the parent: the order of the relay. */
static int drop_and_enter(void)
{
	char error[TEXT] = "", report[SANDBOX_REPORT_ROOM];
	if (!sandbox_drop_privileges("nobody", NULL, error, sizeof error))
		return WRONG;
	return enter(SANDBOX_COURIER, report) ? act_connect_tcp() : NOT_ENTERED;
}

static void privileges_are_dropped_for_good(void **state)
{
	(void)state;
	assert_int_equal(in_child(stay), 0);
	assert_int_equal(in_child(drop_to_nobody_known), 0);
	if (in_child(change_user) != 0) {
		print_message(
		    "skipped: becoming another user: only a root that may change ids can\n");
		return;
	}
	assert_int_equal(in_child(drop), 0);
	assert_int_equal(play(SANDBOX_PARENT, drop_and_enter), 0);
}

/* --- the world ------------------------------------------------------------------------------- */

static uint16_t bound_port(int fd)
{
	struct sockaddr_in at = local(0);
	socklen_t n = sizeof at;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	return ntohs(at.sin_port);
}

static void make_files(void)
{
	snprintf(world.dir, sizeof world.dir, "/tmp/danelaw-sandbox-XXXXXX");
	snprintf(world.other, sizeof world.other, "/tmp/danelaw-sandbox-XXXXXX");
	assert_non_null(mkdtemp(world.dir));
	assert_non_null(mkdtemp(world.other));
	snprintf(world.anchor, sizeof world.anchor, "%s/anchor", world.other);
	snprintf(world.locked, sizeof world.locked, "%s/locked", world.dir);
	snprintf(world.db, sizeof world.db, "%s/queue.db", world.dir);
	snprintf(world.socket_path, sizeof world.socket_path, "%s/lmtp", world.other);
	close(open(world.anchor, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	close(open(world.locked, O_WRONLY | O_CREAT | O_CLOEXEC, 0));
}

static int make_world(void **state)
{
	(void)state;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	make_files();
	snprintf(at.sun_path, sizeof at.sun_path, "%s", world.socket_path);
	char link[TEXT];
	snprintf(link, sizeof link, "%s/link", world.dir);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	world.tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	world.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	world.lmtp = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	world.tcp_port = bound_port(world.tcp);
	world.udp_port = bound_port(world.udp);
	assert_int_equal(bind(world.lmtp, (struct sockaddr *)&at, sizeof at), 0);
	world.abstract = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	world.abstract_length = sizeof world.abstract_name;
	at = (struct sockaddr_un){.sun_family = AF_UNIX}; /* the kernel chooses */
	assert_int_equal(bind(world.abstract, (struct sockaddr *)&at, sizeof at.sun_family), 0);
	getsockname(world.abstract, (struct sockaddr *)&world.abstract_name,
		    &world.abstract_length);
	assert_int_equal(listen(world.tcp, 64), 0);
	assert_int_equal(listen(world.lmtp, 64), 0);
	world.program = open("/bin/true", O_PATH | O_CLOEXEC);
	world.victim = fork();
	if (world.victim == 0) {
		pause();
		_exit(0);
	}
	return 0;
}

static void remove_in(const char *dir, const char *const *names, size_t n)
{
	char path[TEXT];
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static int end_world(void **state)
{
	(void)state;
	static const char *const names[] = {"queue.db", "queue.db-wal", "queue.db-shm", "a",
					    "b",        "new",          "locked",       "anchor",
					    "lmtp",     "link"};
	int status = 0;
	/* Nobody got at it. */
	assert_int_equal(waitpid(world.victim, &status, WNOHANG), 0);
	kill(world.victim, SIGKILL);
	waitpid(world.victim, &status, 0);
	remove_in(world.dir, names, ROWS(names));
	remove_in(world.other, names, ROWS(names));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_act_has_its_fate),
	    cmocka_unit_test(children_enter_below_the_parent),
	    cmocka_unit_test(wrong_paths_are_errors),
	    cmocka_unit_test(the_resolvers_ports_are_the_callers),
	    cmocka_unit_test(the_report_says_what_is_there),
	    cmocka_unit_test(privileges_are_dropped_for_good),
	};
	return cmocka_run_group_tests(tests, make_world, end_world);
}
