/* SPDX-License-Identifier: MIT */
/* Knows what each field of an envelope may hold; refuses to know who handed it in. */
#include "relay/mail_check.h"

#include "base/foreign.h"
#include "dsn/dsn.h"
#include "wire/address.h"
#include "wire/destination.h"
#include "wire/orcpt.h"

#include <string.h>

enum {
	QUEUE_ID_MAX = 64,
	ENVID_MAX = 100, /* RFC 3461 s4.4; decoded it is no longer */
	ORIGIN_MAX = 1024,
};

static bool is_queue_id(const char *id)
{
	struct slice s = slice_str(id);
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alnum(s.p[i]))
			return false;
	}
	return s.n > 0 && s.n <= QUEUE_ID_MAX;
}

/* A mailbox that a command can name, and a domain in A-labels that mail can go to. */
static bool is_mailbox(const char *text, bool smtputf8)
{
	struct address a;
	char domain[DESTINATION_ROOM];
	if (address_parse(slice_str(text), &a) != ADDRESS_OK || (a.utf8 && !smtputf8))
		return false;
	return destination_normalise(slice_str(strrchr(text, '@') + 1), domain) == DESTINATION_OK;
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
	if (strlen(m->origin) > ORIGIN_MAX || !foreign_is_plain(slice_str(m->origin)))
		return "origin";
	for (size_t i = 0; i < m->nrcpt && wrong == NULL; i++)
		wrong = rcpt_complaint(&m->rcpt[i], m->smtputf8);
	return wrong;
}
