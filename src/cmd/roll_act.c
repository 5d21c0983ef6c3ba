/* SPDX-License-Identifier: MIT */
/*
 * What a rollover does to the world: makes a key, runs nsupdate(1) and the operator's hook. No
 * shell: argument vectors only.
 *
 * Every act may be repeated: a process that was killed in the middle begins with a look, and does
 * it again. Refuses to decide when.
 */
#include "cmd/roll.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { SCRIPT_MAX = 4 * 1024 * 1024 };

/* --- The next key --- */

static bool write_all(int fd, struct slice text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text = slice_from(text, (size_t)n);
	}
	return fsync(fd) == 0;
}

/* A whole new file or none; what is there is never replaced. */
static int write_new(const struct cmd *c, const char *path, mode_t mode, struct slice text)
{
	char temporary[PATH_MAX];
	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return cmd_fail(c, EX_USAGE, "the path %s is too long", path);
	unlink(temporary); /* of a killed process */
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	bool ok = fd >= 0 && write_all(fd, text);
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (ok && link(temporary, path) != 0) {
		ok = false;
		error = errno;
	}
	if (fd >= 0)
		unlink(temporary);
	if (ok && roll_sync_folder_of(path))
		return EX_OK;
	return cmd_fail(c, EX_CANTCREAT, "cannot write %s: %s", path, strerror(ok ? errno : error));
}

static int make_key(const struct cmd *c, const struct roll_job *j)
{
	char error[CMD_ERROR_MAX] = "";
	struct buf pem;
	if (roll_file_exists(j->key_file))
		return EX_OK; /* an earlier process was killed behind this */
	buf_init(&pem, TLS_KEY_PEM_MAX);
	int code = tls_key_make(j->key_type, &pem, error, sizeof(error))
		       ? write_new(c, j->key_file, 0600, buf_slice(&pem))
		       : cmd_fail(c, EX_SOFTWARE, "%s", error);
	if (pem.p != NULL)
		explicit_bzero(pem.p, pem.cap);
	buf_free(&pem);
	return code;
}

static int make_request(const struct cmd *c, const struct roll_job *j)
{
	char error[CMD_ERROR_MAX] = "";
	struct buf key, pem;
	if (j->csr_file == NULL || roll_file_exists(j->csr_file))
		return EX_OK;
	buf_init(&key, TLSA_FILE_MAX);
	buf_init(&pem, TLSA_FILE_MAX);
	int code = tlsa_read_file(c, j->key_file, &key);
	if (code == EX_OK &&
	    !tls_request_make(buf_slice(&key), &j->host, 1, &pem, error, sizeof(error)))
		code = cmd_fail(c, EX_DATAERR, "%s: %s", j->key_file, error);
	if (code == EX_OK)
		code = write_new(c, j->csr_file, 0644, buf_slice(&pem));
	if (key.p != NULL)
		explicit_bzero(key.p, key.cap);
	buf_free(&key);
	buf_free(&pem);
	return code;
}

int roll_take_key(const struct cmd *c, struct roll_job *j, const char *path)
{
	char error[CMD_ERROR_MAX] = "";
	struct tlsa rr;
	size_t which;
	int code;
	struct tls_source *s = tlsa_read_source(c, path, &code);
	if (s == NULL)
		return code;
	if (!tlsa_make_record(&j->mem, s, &j->form, j->host, loop_wall_s(), &rr, &which, error,
			      sizeof(error)))
		code = cmd_fail(c, EX_DATAERR, "%s: %s", path, error);
	else if (!roll_records_add(&j->new, &rr))
		code = cmd_fail(c, EX_DATAERR, "more than %d records", ROLL_RECORDS_MAX);
	tls_source_free(&s);
	return code;
}

static enum roll_done make(const struct cmd *c, struct roll_job *j)
{
	bool ok = j->key_file != NULL && make_key(c, j) == EX_OK && make_request(c, j) == EX_OK &&
		  roll_take_key(c, j, j->key_file) == EX_OK;
	return ok ? ROLL_DONE_WELL : ROLL_FAILED;
}

/* --- Other programs --- */

/* In the child. input < 0: none. What the program prints goes to standard error. */
static void become(char *const *argv, int input)
{
	int null = open("/dev/null", O_RDONLY);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(input >= 0 ? input : null, 0) < 0 || dup2(2, 1) < 0)
		_exit(EX_OSERR);
	close_range(3, ~0U, 0); /* the resolver's sockets are no business of others */
	execvp(argv[0], argv);
	say(stderr, "danelaw tlsa: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(EX_UNAVAILABLE);
}

static bool run_program(const struct cmd *c, char *const *argv, int input)
{
	int status = 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		become(argv, input);
	while (pid > 0 && waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			pid = -1;
	}
	if (pid < 0)
		cmd_fail(c, 0, "cannot run %s: %s", argv[0], strerror(errno));
	else if (WIFSIGNALED(status))
		cmd_fail(c, 0, "%s was killed by signal %d", argv[0], WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		cmd_fail(c, 0, "%s ended with exit code %d", argv[0], WEXITSTATUS(status));
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- nsupdate --- */

static void script_server(const struct roll_job *j, struct buf *out)
{
	struct slice port, address;
	if (j->server == NULL)
		return;
	address = slice_cut(slice_str(j->server), '@', &port);
	buf_addf(out, "server %.*s", (int)address.n, (const char *)address.p);
	if (port.n > 0)
		buf_addf(out, " %.*s", (int)port.n, (const char *)port.p);
	buf_add_str(out, "\n");
}

static void script_records(struct roll_job *j, const struct roll_records *r, bool add,
			   struct buf *out)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *text = tlsa_to_text(&j->mem, &r->rr[i]);
		if (add)
			buf_addf(out, "update add %s. %u IN TLSA %s\n", j->owner, j->ttl, text);
		else
			buf_addf(out, "update delete %s. IN TLSA %s\n", j->owner, text);
	}
}

static bool script(struct roll_job *j, const struct roll_look *l, enum roll_act act,
		   struct buf *out)
{
	script_server(j, out);
	if (l->zone != NULL)
		buf_addf(out, "zone %s%s\n", l->zone, strcmp(l->zone, ".") == 0 ? "" : ".");
	if (act == ROLL_ADD) {
		script_records(j, &j->old, true, out);
		script_records(j, &j->new, true, out);
	} else {
		script_records(j, act == ROLL_DROP_OLD ? &j->old : &j->new, false, out);
	}
	buf_add_str(out, "send\n");
	return buf_ok(out) && !j->mem.failed;
}

/* A file in memory, at its begin. */
static int file_of(struct slice text)
{
	int fd = memfd_create("nsupdate", MFD_CLOEXEC);
	if (fd >= 0 && write_all(fd, text) && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static enum roll_done update(const struct cmd *c, struct roll_job *j, const struct roll_look *l,
			     enum roll_act act)
{
	char name[] = "nsupdate", t[] = "-t", seconds[] = "30", k[] = "-k", tsig[PATH_MAX] = "";
	char *argv[] = {name, t, seconds, NULL, NULL, NULL};
	struct buf text;
	if (j->tsig != NULL) {
		snprintf(tsig, sizeof(tsig), "%s", j->tsig);
		argv[3] = k;
		argv[4] = tsig;
	}
	buf_init(&text, SCRIPT_MAX);
	int input = script(j, l, act, &text) ? file_of(buf_slice(&text)) : -1;
	bool ok = input >= 0 ? run_program(c, argv, input)
			     : cmd_fail(c, 0, "cannot hand the update to nsupdate") != 0;
	if (input >= 0)
		close(input);
	buf_free(&text);
	return ok ? ROLL_DONE_WELL : ROLL_FAILED;
}

/* --- The hook --- */

static enum roll_done put_in(const struct cmd *c, const struct roll_job *j)
{
	char hook[PATH_MAX], port[8];
	char *argv[] = {hook, NULL};
	snprintf(hook, sizeof(hook), "%s", j->hook);
	snprintf(port, sizeof(port), "%u", j->port);
	setenv("DANELAW_HOST", j->host, 1);
	setenv("DANELAW_PORT", port, 1);
	setenv("DANELAW_KEY", j->key_file != NULL ? j->key_file : "", 1);
	return run_program(c, argv, -1) ? ROLL_DONE_WELL : ROLL_FAILED;
}

bool roll_is_by_hand(const struct roll_job *j, enum roll_act act)
{
	switch (act) {
	case ROLL_NOTHING:
	case ROLL_MAKE_KEY:
		return false;
	case ROLL_ADD:
	case ROLL_DROP_OLD:
	case ROLL_DROP_NEW:
		return !j->nsupdate;
	case ROLL_PUT_IN:
		return j->hook == NULL;
	}
	return true;
}

enum roll_done roll_act(const struct cmd *c, struct roll_job *j, const struct roll_look *l,
			enum roll_act act)
{
	if (roll_is_by_hand(j, act))
		return ROLL_BY_HAND;
	switch (act) {
	case ROLL_NOTHING:
		return ROLL_DONE_WELL;
	case ROLL_MAKE_KEY:
		return make(c, j);
	case ROLL_ADD:
	case ROLL_DROP_OLD:
	case ROLL_DROP_NEW:
		return update(c, j, l, act);
	case ROLL_PUT_IN:
		return put_in(c, j);
	}
	return ROLL_FAILED;
}
