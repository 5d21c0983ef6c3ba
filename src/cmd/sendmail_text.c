/* SPDX-License-Identifier: MIT */
/*
 * The text on standard input of sendmail to CRLF text. Unlike a message that comes by SMTP it was
 * made by a program of this machine, cron or PHP, which looks at no exit code: a carriage return
 * within a line (progress bars) and NUL become a blank instead of an error.
 */
#include "cmd/sendmail.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { CHUNK = 65536 };

struct reader {
	struct buf *out;
	bool dot_ends;
	bool line_start;
	bool dot; /* at the line's start, and held back */
	bool cr;  /* held back until the octet behind it is known */
	bool ended;
};

static void put(struct reader *r, uint8_t c)
{
	if (r->dot)
		buf_add_u8(r->out, '.');
	r->dot = false;
	buf_add_u8(r->out, c);
	r->line_start = false;
}

static void end_line(struct reader *r)
{
	r->cr = false;
	if (r->dot && r->dot_ends) {
		r->ended = true;
		return;
	}
	if (r->dot)
		buf_add_u8(r->out, '.');
	r->dot = false;
	buf_add_str(r->out, "\r\n");
	r->line_start = true;
}

static void take(struct reader *r, uint8_t c)
{
	if (c == '\n') {
		end_line(r);
		return;
	}
	if (r->cr)
		put(r, ' ');
	r->cr = c == '\r';
	if (c == '.' && r->line_start && !r->dot)
		r->dot = true;
	else if (c != '\r')
		put(r, c == '\0' ? ' ' : c);
}

static void end_text(struct reader *r)
{
	if (!r->ended && (!r->line_start || r->dot || r->cr))
		end_line(r);
}

int sendmail_read(struct sendmail *s)
{
	struct reader r = {.out = &s->text, .dot_ends = !s->ignore_dots, .line_start = true};
	uint8_t chunk[CHUNK];
	ssize_t n = 1;
	if (s->cmd->stdin_closed)
		return cmd_fail(s->cmd, EX_NOINPUT, "standard input is closed: no message");
	while (!r.ended && n != 0 && buf_ok(&s->text)) {
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR)
			return cmd_fail(s->cmd, EX_NOINPUT, "cannot read the message: %s",
					strerror(errno));
		for (ssize_t i = 0; i < n && !r.ended; i++)
			take(&r, chunk[i]);
	}
	end_text(&r);
	if (!buf_ok(&s->text))
		return cmd_fail(s->cmd, EX_DATAERR,
				"the message is larger than relay.size-max (%ld octets), or there "
				"is no memory for it",
				(long)s->cmd->conf->relay_size_max);
	return EX_OK;
}
