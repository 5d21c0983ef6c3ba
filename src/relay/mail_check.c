/* SPDX-License-Identifier: MIT */
/* Knows what each field of an envelope may hold; refuses to know who handed it in. */
#include "relay/mail_check.h"

#include "base/foreign.h"
#include "dsn/dsn.h"
#include "wire/address.h"
#include "wire/destination.h"
#include "wire/orcpt.h"
#include "wire/origin.h"

#include <string.h>
#include <sys/stat.h>

enum {
	QUEUE_ID_MAX = 64,
	ENVID_MAX = 100, /* RFC 3461 s4.4; decoded it is no longer */
	ORIGIN_MAX = 1024,
};

/* As an intake makes it: hexadecimal, in lower case. */
static bool is_queue_id(const char *id)
{
	size_t n = strlen(id);
	return n > 0 && n <= QUEUE_ID_MAX && strspn(id, "0123456789abcdef") == n;
}

/* What can have come in by an intake: no notice, which is made elsewhere, and no number that stands
 * for nobody. */
static bool is_origin_key(uint64_t origin)
{
	return origin_is_valid(origin) && (origin == ORIGIN_LOCAL || origin >= ORIGIN_RESERVED);
}

/* One line, for every list and log that says where a message is from. */
static bool is_origin(const char *text)
{
	size_t n = strlen(text);
	return n > 0 && n <= ORIGIN_MAX && foreign_is_plain(slice_str(text));
}

/* A mailbox that a command can name, at a destination that mail can go to: a name in its one normal
 * form, or a literal, which the queue knows by its value. */
static bool is_mailbox(const char *text, bool smtputf8)
{
	struct address a;
	char domain[DESTINATION_ROOM];
	if (address_parse(slice_str(text), &a) != ADDRESS_OK || (a.utf8 && !smtputf8))
		return false;
	return destination_normalise(a.domain, domain) == DESTINATION_OK &&
	       (a.literal || slice_eq_str(a.domain, domain));
}

/* What nobody can reply to is taken, too: the sender's domain need not be a host name. */
static bool is_reverse_path(const char *text, bool smtputf8)
{
	struct address a;
	return text[0] == '\0' ||
	       (address_parse(slice_str(text), &a) == ADDRESS_OK && (!a.utf8 || smtputf8));
}

static bool is_envid(const char *text)
{
	struct slice s = slice_str(text);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	}
	return s.n <= ENVID_MAX;
}

static const char *rcpt_complaint(const struct mail_rcpt *r, bool smtputf8)
{
	unsigned notify;
	struct orcpt o;
	if (!is_mailbox(r->address, smtputf8))
		return "recipient";
	if (r->orcpt != NULL && !orcpt_parse(slice_str(r->orcpt), smtputf8, &o))
		return "orcpt";
	if (r->notify != NULL && !dsn_notify_parse(slice_str(r->notify), &notify))
		return "notify";
	return NULL;
}

const char *mail_complaint(const struct mail *m)
{
	const char *wrong = NULL;
	if (!is_queue_id(m->queue_id))
		return "queue-id";
	if (!is_reverse_path(m->reverse_path, m->smtputf8))
		return "sender";
	if (m->envid != NULL && !is_envid(m->envid))
		return "envid";
	if (m->ret != NULL && strcmp(m->ret, "FULL") != 0 && strcmp(m->ret, "HDRS") != 0)
		return "ret";
	if (!is_origin(m->origin))
		return "origin";
	if (!is_origin_key(m->origin_key))
		return "origin-key";
	if (m->nrcpt == 0 || m->nrcpt > MAIL_RCPTS_MAX)
		return "recipients";
	for (size_t i = 0; i < m->nrcpt && wrong == NULL; i++)
		wrong = rcpt_complaint(&m->rcpt[i], m->smtputf8);
	return wrong;
}

const char *mail_text_complaint(const struct mail *m, int fd)
{
	struct stat st;
	if (fd < 0)
		return m->text.n == m->size ? NULL : "size";
	if (m->text.n > 0)
		return "text";
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return "file";
	return (uint64_t)st.st_size == m->size ? NULL : "size";
}
