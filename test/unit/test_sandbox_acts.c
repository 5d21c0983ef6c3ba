/* SPDX-License-Identifier: MIT */
/* The acts of test_sandbox.c. They run in a child inside a sandbox and know nothing of profiles. */
#include "test_sandbox_acts.h"

#include "loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <unistd.h>

static int as_errno(bool ok)
{
	return ok ? 0 : errno;
}

struct sockaddr_in local(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int act_open_passwd(void)
{
	return as_errno(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}

int act_open_anchor(void)
{
	return as_errno(open(world.anchor, O_RDONLY | O_CLOEXEC) >= 0);
}

int act_open_locked(void) /* a file of ours without any permission */
{
	return as_errno(open(world.locked, O_RDWR | O_CLOEXEC) >= 0);
}

int act_write_anchor(void)
{
	return as_errno(open(world.anchor, O_WRONLY | O_CLOEXEC) >= 0);
}

int act_write_anchor_by_open(void) /* the C library uses openat(2) only */
{
#ifdef SYS_open
	return as_errno(syscall(SYS_open, world.anchor, O_WRONLY, 0) >= 0);
#else
	return act_write_anchor();
#endif
}

int act_look_at_anchor(void)
{
	struct stat st;
	return as_errno(stat(world.anchor, &st) == 0);
}

int act_write_elsewhere(void)
{
	char path[TEXT];
	snprintf(path, sizeof path, "%s/new", world.other);
	return as_errno(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
}

int act_open_by_link(void) /* a link in a folder of ours that leads out */
{
	char path[TEXT];
	snprintf(path, sizeof path, "%s/link", world.dir);
	return as_errno(open(path, O_RDONLY | O_CLOEXEC) >= 0);
}

int act_make_link(void)
{
	char path[TEXT];
	snprintf(path, sizeof path, "%s/new", world.dir);
	return as_errno(link(world.anchor, path) == 0);
}

int act_move_in(void)
{
	char path[TEXT];
	snprintf(path, sizeof path, "%s/new", world.dir);
	return as_errno(rename(world.anchor, path) == 0);
}

int act_remove_anchor(void)
{
	return as_errno(unlink(world.anchor) == 0);
}

int act_truncate_anchor(void)
{
	return as_errno(truncate(world.anchor, 0) == 0);
}

int act_open_memory(void) /* of another process, to write */
{
	char path[TEXT];
	snprintf(path, sizeof path, "/proc/%ld/mem", (long)world.victim);
	return as_errno(open(path, O_RDWR | O_CLOEXEC) >= 0);
}

int act_io_uring(void) /* would pass by the filter of system calls */
{
	char params[256] = {0};
	return as_errno(syscall(SYS_io_uring_setup, 4, params) >= 0);
}

int act_execute_memory(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};
	int fd = memfd_create("program", MFD_CLOEXEC);
	if (fd < 0 || write(fd, "#!/bin/true\n", 12) != 12)
		return errno;
	fexecve(fd, argv, argv + 1);
	return errno;
}

int act_execute_open(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};
	syscall(SYS_execveat, world.program, "", argv, argv + 1, AT_EMPTY_PATH);
	return errno;
}

int act_execute(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};
	execv("/bin/true", argv);
	return errno;
}

int act_execute_at(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};
	syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv + 1, 0);
	return errno;
}

int act_trace(void)
{
	return as_errno(ptrace(PTRACE_ATTACH, world.victim, NULL, NULL) == 0);
}

int act_kill_victim(void)
{
	return as_errno(kill(world.victim, SIGUSR1) == 0);
}

int act_aim_at_victim(void)
{
	return as_errno(syscall(SYS_tgkill, world.victim, world.victim, SIGUSR1) == 0);
}

int act_fork_child(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return as_errno(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

int act_fork_and_kill(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	bool ok = pid > 0 && kill(pid, SIGTERM) == 0 && waitpid(pid, &status, 0) == pid;
	return ok ? (WIFSIGNALED(status) ? 0 : WRONG) : errno;
}

int act_new_namespace(void)
{
	return as_errno(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) >= 0);
}

int act_leave_namespace(void)
{
	return as_errno(unshare(CLONE_NEWUSER) == 0);
}

static int make(int family, int type, int protocol)
{
	return as_errno(socket(family, type | SOCK_CLOEXEC, protocol) >= 0);
}

int act_socket_netlink(void)
{
	return make(AF_NETLINK, SOCK_RAW, 0);
}

int act_socket_packet(void)
{
	return make(AF_PACKET, SOCK_RAW, 0);
}

int act_socket_vsock(void)
{
	return make(AF_VSOCK, SOCK_STREAM, 0);
}

int act_socket_raw(void)
{
	return make(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

int act_socket_mptcp(void)
{
	return make(AF_INET, SOCK_STREAM, 262);
}

int act_socket_unix(void)
{
	return make(AF_UNIX, SOCK_STREAM, 0);
}

int act_socket_udp(void)
{
	return make(AF_INET, SOCK_DGRAM, 0);
}

int act_socket_tcp(void)
{
	return make(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
}

int act_connect_tcp(void)
{
	struct sockaddr_in to = local(world.tcp_port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return as_errno(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
}

int act_call_connect(void) /* does the call get as far as the descriptor? */
{
	connect(-1, NULL, 0);
	return errno == EBADF ? 0 : errno;
}

int act_connect_dns(void) /* the profile allows port 53, where nobody listens */
{
	struct sockaddr_in to = local(53);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == ECONNREFUSED;
	return as_errno(fd >= 0 && ok);
}

int act_connect_by_send(void)
{
	struct sockaddr_in to = local(world.tcp_port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	return as_errno(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to) == 1);
}

/* A socket from accept(2) needs no socket(2); dissolved it could go anywhere. */
int act_connect_accepted(void)
{
	struct sockaddr_in to = local(world.tcp_port);
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = world.pair[0];
	connect(fd, &none, sizeof none);
	return as_errno(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
}

int act_connect_lmtp(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	snprintf(to.sun_path, sizeof to.sun_path, "%s", world.socket_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return as_errno(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
}

int act_tell_abstract(void)
{
	const struct sockaddr *to = (const struct sockaddr *)&world.abstract_name;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return as_errno(fd >= 0 &&
			sendto(fd, "READY=1", 7, MSG_NOSIGNAL, to, world.abstract_length) == 7);
}

int act_listen_tcp(void)
{
	struct sockaddr_in at = local(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return as_errno(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
			listen(fd, 1) == 0);
}

int act_bind_tcp_port(void)
{
	struct sockaddr_in at = local(4025);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return as_errno(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
}

int act_accept_client(void)
{
	char c = 0;
	int fd = accept4(world.tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	socklen_t n = sizeof(struct sockaddr_in);
	struct sockaddr_in peer;
	bool ok = fd >= 0 && getpeername(fd, (struct sockaddr *)&peer, &n) == 0 &&
		  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)) == 0 &&
		  send(fd, "220", 3, MSG_NOSIGNAL) == 3 && shutdown(fd, SHUT_WR) == 0 &&
		  (read(fd, &c, 1) >= 0 || errno == EAGAIN);
	return as_errno(ok);
}

int act_accept_control(void)
{
	return as_errno(accept4(world.lmtp, NULL, NULL, SOCK_CLOEXEC) >= 0);
}

int act_send_udp(void)
{
	struct sockaddr_in to = local(world.udp_port), at = local(0);
	char got[8];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
		  sendto(fd, "ask", 3, 0, (struct sockaddr *)&to, sizeof to) == 3 &&
		  recv(world.udp, got, sizeof got, 0) == 3;
	return as_errno(ok);
}

int act_memfd(void)
{
	char back[4];
	int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool ok = fd >= 0 && write(fd, "body", 4) == 4 && pread(fd, back, 4, 0) == 4 &&
		  ftruncate(fd, 2) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0 &&
		  fcntl(fd, F_DUPFD_CLOEXEC, 3) > fd && lseek(fd, 0, SEEK_END) == 2;
	return as_errno(ok);
}

int act_read_memfd(void) /* one that was handed over */
{
	char back[4];
	return as_errno(pread(world.pair[1], back, 0, 0) == 0 || errno == ESPIPE);
}

/* A descriptor by a Unix socket, as between the processes. */
int act_pass_descriptor(void)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	int pair[2], fd = 2;
	struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	m.msg_control = control.room;
	m.msg_controllen = sizeof control.room;
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	return as_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
			sendmsg(pair[0], &m, MSG_NOSIGNAL) == 1 && recvmsg(pair[1], &m, 0) == 1);
}

static void on_timer(void *arg)
{
	loop_stop(arg);
}

static void on_ready(void *arg, unsigned ready)
{
	(void)arg, (void)ready;
}

int act_event_loop(void)
{
	struct loop *l = loop_new();
	struct loop_io *io = l ? loop_io_new(l, world.udp, on_ready, NULL) : NULL;
	struct loop_timer *t = l ? loop_timer_new(l, on_timer, l) : NULL;
	struct loop_signal *s = l ? loop_signal_new(l, SIGHUP, on_timer, l) : NULL;
	if (!io || !t || !s)
		return WRONG;
	loop_io_want(io, LOOP_READ);
	loop_timer_set(t, 1);
	loop_run(l);
	loop_signal_free(&s);
	loop_timer_free(&t);
	loop_io_free(&io);
	loop_free(&l);
	return loop_wall_s() > 0 ? 0 : WRONG;
}

int act_memory(void)
{
	enum { MANY = 64, EACH = 1 << 20 };
	char *p[MANY];
	for (size_t i = 0; i < MANY; i++) {
		p[i] = malloc(EACH >> (i % 12));
		if (!p[i])
			return WRONG;
		p[i][0] = 'x';
	}
	for (size_t i = 0; i < MANY; i++)
		free(p[i]);
	char *big = realloc(malloc(EACH), 8 * EACH);
	free(big);
	return big ? 0 : WRONG;
}

int act_crypto(void)
{
	unsigned char random[32];
	EVP_PKEY *key = EVP_EC_gen("P-256");
	int ok = key && RAND_bytes(random, sizeof random) == 1;
	EVP_PKEY_free(key);
	return ok ? 0 : WRONG;
}

int act_log_lines(void)
{
	syslog(LOG_MAIL | LOG_DEBUG, "sandbox test");
	bool tty = isatty(STDERR_FILENO);
	return write(STDERR_FILENO, "", 0) == 0 ? 0 : (tty ? WRONG : errno);
}

int act_abort_itself(void)
{
	abort();
	return WRONG;
}

int act_push_terminal_input(void)
{
	return as_errno(ioctl(STDERR_FILENO, TIOCSTI, "x") == 0);
}

int act_map_code(void)
{
	return as_errno(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0) != MAP_FAILED);
}

int act_raise_limit(void)
{
	struct rlimit r;
	return as_errno(getrlimit(RLIMIT_NOFILE, &r) == 0 && setrlimit(RLIMIT_NOFILE, &r) == 0);
}

int act_mount_something(void)
{
	return as_errno(syscall(SYS_mount, "none", world.dir, "tmpfs", 0, NULL) == 0);
}

int act_read_memory(void)
{
	return as_errno(syscall(SYS_process_vm_readv, world.victim, NULL, 0, NULL, 0, 0) == 0);
}

/* A write-ahead log, synced, and a checkpoint, in the one directory. */
int act_database(void)
{
	sqlite3 *db;
	int code = sqlite3_open_v2(world.db, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(
		    db,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		    "CREATE TABLE IF NOT EXISTS t(x); INSERT INTO t VALUES (randomblob(65536));"
		    "PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM t; VACUUM;",
		    NULL, NULL, NULL);
	int closed = sqlite3_close(db);
	return code == SQLITE_OK && closed == SQLITE_OK ? 0 : WRONG;
}

int act_files(void)
{
	char a[TEXT], b[TEXT];
	snprintf(a, sizeof a, "%s/a", world.dir);
	snprintf(b, sizeof b, "%s/b", world.dir);
	int fd = open(a, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int dir = open(world.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK};
	bool ok = fd >= 0 && dir >= 0 && fcntl(fd, F_SETLK, &lock) == 0 && write(fd, "x", 1) == 1 &&
		  ftruncate(fd, 0) == 0 && fsync(fd) == 0 && fdatasync(fd) == 0 &&
		  rename(a, b) == 0 && fsync(dir) == 0 && unlink(b) == 0;
	return as_errno(ok);
}

int act_make_device(void)
{
	char path[TEXT];
	snprintf(path, sizeof path, "%s/device", world.dir);
	return as_errno(mknod(path, S_IFIFO | 0600, 0) == 0);
}
