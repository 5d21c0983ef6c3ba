/* SPDX-License-Identifier: MIT */
/*
 * The header section of a message that a local program hands in: who is to get it, what must not go
 * out, and what is missing (RFC 5322 s3.6, RFC 6409 s8). Knows fields by their names and changes
 * none.
 */
#include "cmd/sendmail.h"

#include "loop/loop.h"
#include "wire/address.h"
#include "wire/header.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>

enum { ENCODED_WORD_OCTETS = 20 }; /* =?UTF-8?Q?...?= stays under 75 (RFC 2047 s2) */

struct section {
	struct slice fields; /* with their line ends */
	struct slice body;
	bool resent, from, date, message_id;
};

static bool is_one_of(struct slice name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (slice_eq_nocase_str(name, *names))
			return true;
	}
	return false;
}

static const char *const rcpt_names[] = {"To", "Cc", "Bcc", NULL};
static const char *const resent_names[] = {"Resent-To", "Resent-Cc", "Resent-Bcc", NULL};
static const char *const dropped_names[] = {"Bcc", "Resent-Bcc", "Return-Path", NULL};

/* --- Where it ends --- */

/* The line that mailboxes put before a message. */
static struct slice without_from_line(struct slice text)
{
	struct slice rest;
	if (text.n < 5 || memcmp(text.p, "From ", 5) != 0)
		return text;
	slice_cut(text, '\n', &rest);
	struct header_field f;
	return header_field_parse(text, &f) == HEADER_NOT_A_FIELD ? rest : text;
}

static void note(struct section *h, struct slice name)
{
	h->resent = h->resent || is_one_of(name, resent_names);
	h->from = h->from || slice_eq_nocase_str(name, "From");
	h->date = h->date || slice_eq_nocase_str(name, "Date");
	h->message_id = h->message_id || slice_eq_nocase_str(name, "Message-ID");
}

/* A message without a header section is all body. */
static int find_section(struct sendmail *s, struct section *h)
{
	struct header_field f;
	int n;
	buf_add_str(&s->text, "\r\n"); /* so that the end is seen as an end */
	if (!buf_ok(&s->text))
		return cmd_fail(s->cmd, EX_DATAERR, "the message is too large");
	struct slice text = without_from_line(buf_slice(&s->text)), rest = text;
	while ((n = header_field_parse(rest, &f)) > 0) {
		note(h, f.name);
		rest = slice_from(rest, (size_t)n);
	}
	if (n != HEADER_BLANK_LINE && n != HEADER_NOT_A_FIELD)
		return cmd_fail(s->cmd, EX_DATAERR, "the message has %s", header_strerror(n));
	h->fields = slice_first(text, text.n - rest.n);
	if (n == HEADER_BLANK_LINE)
		rest = slice_from(rest, 2);
	/* our line end belongs to nobody, unless it was the blank line */
	h->body = rest.n >= 2 ? slice_first(rest, rest.n - 2) : rest;
	return EX_OK;
}

/* --- Fields --- */

static int take_rcpts(struct sendmail *s, const struct section *h)
{
	struct header_field f;
	struct slice rest = h->fields;
	int code = EX_OK;
	while (rest.n > 0 && code == EX_OK) {
		/* up to the octet behind the fields, which shows where the last one ends */
		int n = header_field_parse(slice_make(rest.p, rest.n + 1), &f);
		char where[64];
		snprintf(where, sizeof(where), "%.*s", (int)(f.name.n < 60 ? f.name.n : 60),
			 (const char *)f.name.p);
		if (is_one_of(f.name, h->resent ? resent_names : rcpt_names))
			code = sendmail_add_rcpts(s, f.body, where);
		rest = slice_from(rest, (size_t)n);
	}
	return code;
}

static void copy_fields(struct sendmail *s, const struct section *h)
{
	struct header_field f;
	for (struct slice rest = h->fields; rest.n > 0;) {
		int n = header_field_parse(slice_make(rest.p, rest.n + 1), &f);
		if (!is_one_of(f.name, dropped_names))
			buf_add_slice(&s->head, f.raw);
		rest = slice_from(rest, (size_t)n);
	}
}

/* --- What is missing --- */

static void add_quoted(struct buf *out, struct slice name)
{
	buf_add_u8(out, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_add_u8(out, '\\');
		buf_add_u8(out, name.p[i] < ' ' || name.p[i] == 0x7f ? ' ' : name.p[i]);
	}
	buf_add_u8(out, '"');
}

/* Octets of the next encoded word: whole characters. */
static size_t cut_word(struct slice name)
{
	size_t n = name.n < ENCODED_WORD_OCTETS ? name.n : ENCODED_WORD_OCTETS;
	while (n < name.n && n > 1 && (name.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void add_encoded(struct buf *out, struct slice name)
{
	while (name.n > 0) {
		size_t n = cut_word(name);
		buf_add_str(out, "=?UTF-8?Q?");
		for (size_t i = 0; i < n; i++) {
			if (ascii_is_alnum(name.p[i]))
				buf_add_u8(out, name.p[i]);
			else
				buf_addf(out, "=%02X", name.p[i]);
		}
		name = slice_from(name, n);
		buf_add_str(out, name.n > 0 ? "?=\r\n " : "?=");
	}
}

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] > 0x7f)
			return false;
	}
	return true;
}

static void add_from(struct sendmail *s)
{
	struct slice name = slice_str(s->full_name);
	const char *address = s->from[0] != '\0' ? s->from : NULL;
	buf_add_str(&s->head, "From: ");
	if (name.n > 0 && is_ascii(name))
		add_quoted(&s->head, name);
	else if (utf8_is_valid(name))
		add_encoded(&s->head, name);
	if (name.n > 0)
		buf_add_u8(&s->head, ' ');
	if (address != NULL)
		buf_addf(&s->head, "<%s>\r\n", address);
	else
		buf_addf(&s->head, "<MAILER-DAEMON@%s>\r\n", s->host);
}

static void add_date(struct sendmail *s, int64_t now)
{
	char when[64];
	struct tm tm;
	time_t t = (time_t)now;
	localtime_r(&t, &tm);
	/* names of days and months follow LC_TIME, which this program leaves at "C" */
	if (strftime(when, sizeof(when), "%a, %d %b %Y %H:%M:%S %z", &tm) > 0)
		buf_addf(&s->head, "Date: %s\r\n", when);
}

static bool add_message_id(struct sendmail *s, int64_t now)
{
	uint8_t random[8];
	char id[2 * sizeof(random) + 1];
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	hex_encode(slice_make(random, sizeof(random)), id);
	buf_addf(&s->head, "Message-ID: <%" PRIx64 ".%s@%s>\r\n", (uint64_t)now, id, s->host);
	return true;
}

int sendmail_make_message(struct sendmail *s)
{
	struct section h = {0};
	int64_t now = loop_wall_s();
	int code = find_section(s, &h);
	if (code == EX_OK && s->from_header)
		code = take_rcpts(s, &h);
	if (code != EX_OK)
		return code;
	copy_fields(s, &h);
	if (!h.from)
		add_from(s);
	if (!h.date)
		add_date(s, now);
	bool ok = h.message_id || add_message_id(s, now);
	buf_add_str(&s->head, "\r\n");
	s->body = h.body;
	if (!ok || !buf_ok(&s->head))
		return cmd_fail(s->cmd, EX_OSERR, "no memory or no random numbers");
	return EX_OK;
}
