/* SPDX-License-Identifier: MIT */
/*
 * SMTP command lines, written so that no argument can break out of its place.
 *
 * Knows the syntax of each command and parameter. Refuses to know when a command may be sent and
 * which extensions the server offers.
 */
#include "wire/command.h"

#include "base/foreign.h"

static void end_line(struct buf *out)
{
	buf_add_str(out, "\r\n");
}

static void refuse(struct buf *out)
{
	out->failed = true;
}

/* One word of a command: no blanks, no control characters. */
static void add_word(struct buf *out, const char *word)
{
	struct slice s = slice_str(word);

	if (s.n == 0)
		refuse(out);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			refuse(out);
	}
	buf_add_slice(out, s);
}

/* The same in UTF-8, for what came with SMTPUTF8 (RFC 6533 s3). */
static void add_utf8_word(struct buf *out, const char *word)
{
	struct slice s = slice_str(word);

	if (s.n == 0 || slice_find(s, ' ') < s.n || !foreign_is_plain(s))
		refuse(out);
	buf_add_slice(out, s);
}

/* Could this octet end the path or the line it stands in? Inside a quoted string only control
 * characters could (RFC 5321 s4.1.2). */
static bool breaks_path(uint8_t c, bool quoted)
{
	if (c < ' ' || c == 0x7f)
		return true;
	return !quoted && (c == ' ' || c == '<' || c == '>' || c == '"');
}

static bool is_path_safe(struct slice s)
{
	bool quoted = s.n > 0 && s.p[0] == '"';
	bool escaped = false;

	for (size_t i = quoted ? 1 : 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (breaks_path(c, quoted))
			return false;
		if (quoted && !escaped && c == '"')
			quoted = false;
		escaped = quoted && !escaped && c == '\\';
	}
	return !quoted;
}

/* Path = "<" [ Mailbox ] ">" */
static void add_path(struct buf *out, const char *path)
{
	if (!is_path_safe(slice_str(path)) || !foreign_is_plain(slice_str(path)))
		refuse(out);
	buf_add_u8(out, '<');
	buf_add_str(out, path);
	buf_add_u8(out, '>');
}

void command_ehlo(struct buf *out, const char *name)
{
	buf_add_str(out, "EHLO ");
	add_word(out, name);
	end_line(out);
}

void command_lhlo(struct buf *out, const char *name)
{
	buf_add_str(out, "LHLO ");
	add_word(out, name);
	end_line(out);
}

void command_helo(struct buf *out, const char *name)
{
	buf_add_str(out, "HELO ");
	add_word(out, name);
	end_line(out);
}

void command_starttls(struct buf *out)
{
	buf_add_str(out, "STARTTLS\r\n");
}

static void add_mail_params(struct buf *out, const struct mail_params *p)
{
	if (p->size > 0)
		buf_addf(out, " SIZE=%llu", (unsigned long long)p->size);
	if (p->body_8bit)
		buf_add_str(out, " BODY=8BITMIME");
	if (p->smtputf8)
		buf_add_str(out, " SMTPUTF8");
	if (p->ret != NULL) {
		buf_add_str(out, " RET=");
		add_word(out, p->ret);
	}
	if (p->envid != NULL) {
		buf_add_str(out, " ENVID=");
		xtext_encode(out, slice_str(p->envid));
	}
}

void command_mail(struct buf *out, const char *reverse_path, const struct mail_params *p)
{
	buf_add_str(out, "MAIL FROM:");
	add_path(out, reverse_path);
	if (p != NULL)
		add_mail_params(out, p);
	end_line(out);
}

void command_rcpt(struct buf *out, const char *forward_path, const struct rcpt_params *p)
{
	buf_add_str(out, "RCPT TO:");
	add_path(out, forward_path);
	if (p != NULL && p->notify != NULL) {
		buf_add_str(out, " NOTIFY=");
		add_word(out, p->notify);
	}
	if (p != NULL && p->orcpt_given != NULL) {
		buf_add_str(out, " ORCPT=");
		add_utf8_word(out, p->orcpt_given);
	} else if (p != NULL && p->orcpt != NULL) {
		buf_add_str(out, " ORCPT=rfc822;");
		xtext_encode(out, slice_str(p->orcpt));
	}
	end_line(out);
}

void command_data(struct buf *out)
{
	buf_add_str(out, "DATA\r\n");
}

void command_bdat_last(struct buf *out, uint64_t size)
{
	buf_addf(out, "BDAT %llu LAST\r\n", (unsigned long long)size);
}

void command_rset(struct buf *out)
{
	buf_add_str(out, "RSET\r\n");
}

void command_quit(struct buf *out)
{
	buf_add_str(out, "QUIT\r\n");
}

/* xtext = *( xchar / hexchar ), hexchar = "+" 2( %x30-39 / %x41-46 )      ; RFC 3461 s4 */
void xtext_encode(struct buf *out, struct slice in)
{
	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];
		if (c > ' ' && c <= '~' && c != '+' && c != '=')
			buf_add_u8(out, c);
		else
			buf_addf(out, "+%02X", (unsigned)c);
	}
}
