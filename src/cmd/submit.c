/* SPDX-License-Identifier: MIT */
/*
 * The options of submission: HOST[:PORT] and the credentials. Knows their form and reads the
 * password's file; refuses to know TLS and AUTH.
 */
#include "cmd/submit.h"

#include "wire/ipaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { PORT_DEFAULT = 587 }; /* RFC 6409 s3.1 */

static int bad_server(const struct cmd *c, const struct submit *s, const char *why)
{
	return cmd_fail(c, EX_USAGE, "--submit '%s': %s", s->server, why);
}

static int take_server(const struct cmd *c, struct submit *s)
{
	char typed[1024], error[CMD_ERROR_MAX];
	uint64_t number = PORT_DEFAULT;
	struct ipaddr ip;
	struct slice port, host = slice_cut(slice_str(s->server), ':', &port);
	bool has_port = host.n < strlen(s->server);
	if (ipaddr_from_text(host, &ip) || s->server[0] == '[' ||
	    ipaddr_from_text(slice_str(s->server), &ip))
		return bad_server(c, s,
				  "an address has no certificate to be verified; give the "
				  "server's name");
	if (has_port && (!slice_to_u64(port, UINT16_MAX, &number) || number == 0))
		return bad_server(c, s, "the port is a number from 1 to 65535");
	if (host.n >= sizeof(typed))
		return bad_server(c, s, "the name is too long");
	memcpy(typed, host.p, host.n);
	typed[host.n] = '\0';
	if (!domain_from_text(typed, s->host, sizeof(s->host), error, sizeof(error)))
		return bad_server(c, s, error);
	s->submission = (struct submission){.host = s->host, .port = (uint16_t)number, .mx = s->mx};
	return EX_OK;
}

/* The first line of the file, without its end. */
static bool cut_line(struct submit *s, size_t n)
{
	size_t end = 0;
	while (end < n && s->password[end] != '\n' && s->password[end] != '\0')
		end++;
	bool whole = end == n || s->password[end] == '\n';
	if (end > 0 && s->password[end - 1] == '\r')
		end--;
	explicit_bzero(s->password + end, sizeof(s->password) - end);
	return whole && end > 0;
}

static int read_password(const struct cmd *c, struct submit *s, int fd)
{
	struct stat st;
	size_t n = 0;
	ssize_t got = 1;
	while (got > 0 && n < sizeof(s->password)) {
		got = read(fd, s->password + n, sizeof(s->password) - n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		return cmd_fail(c, EX_NOINPUT, "cannot read %s: %s", s->password_file,
				strerror(errno));
	/* RFC 4616 s2: no NUL in it. A file that fills the room may hold a longer password. */
	bool long_line = n == sizeof(s->password) && memchr(s->password, '\n', n) == NULL;
	if (long_line || !cut_line(s, n))
		return cmd_fail(c, EX_NOINPUT,
				"%s: its first line is the password: 1 to %d octets without NUL",
				s->password_file, SMTPC_AUTH_MAX);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)) != 0)
		cmd_fail(c, 0, "warning: others can read %s; chmod 600 it", s->password_file);
	return EX_OK;
}

static int take_credentials(const struct cmd *c, struct submit *s)
{
	if (s->user == NULL)
		return EX_OK;
	if (s->user[0] == '\0' || strlen(s->user) > SMTPC_AUTH_MAX)
		return cmd_fail(c, EX_USAGE, "--user: 1 to %d octets", SMTPC_AUTH_MAX);
	int fd = open(s->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cmd_fail(c, EX_NOINPUT, "cannot open %s: %s", s->password_file,
				strerror(errno));
	int code = read_password(c, s, fd);
	close(fd);
	s->auth = (struct smtpc_auth){s->user, s->password};
	s->submission.auth = &s->auth;
	return code;
}

int submit_prepare(const struct cmd *c, struct submit *s)
{
	if (s->server == NULL) {
		if (s->user == NULL && s->password_file == NULL && !s->mx)
			return EX_OK;
		return cmd_fail(c, EX_USAGE,
				"--user, --password-file and --mx belong to --submit HOST");
	}
	if ((s->user == NULL) != (s->password_file == NULL))
		return cmd_fail(c, EX_USAGE, "--user and --password-file go together");
	int code = take_server(c, s);
	return code == EX_OK ? take_credentials(c, s) : code;
}

void submit_wipe(struct submit *s)
{
	explicit_bzero(s->password, sizeof(s->password));
}
