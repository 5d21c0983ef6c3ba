/* SPDX-License-Identifier: MIT */
/*
 * The part for people (rule M3): what happened, what was seen, and who should change what.
 *
 * Knows the outcome table's sentences and cures. Refuses to guess beyond them.
 */
#include "dsn/room.h"

#define INDENT "    "
#define DEEPER "      "

static void opening(const struct dsn_message *m, struct buf *out)
{
	text_fold(out, "This is the mail system at ", " ", m->reporting_mta, m->utf8);
	buf_add_str(out, "\r\n");
	switch (dsn_action_of(m)) {
	case DSN_FAILED:
		buf_add_str(out,
			    "Your message was not delivered to the recipients below that are\r\n"
			    "marked as failed. It will not be tried again for them.\r\n");
		break;
	case DSN_DELAYED:
		buf_add_str(out, "THIS IS A WARNING ONLY. You need not send your message again.\r\n"
				 "It is not delivered yet to the recipients below and is tried\r\n"
				 "further.\r\n");
		text_field(out, "It will be given up at", m->retry_until, m->utf8);
		break;
	case DSN_RELAYED:
	case DSN_NONE:
		buf_add_str(out,
			    "Your message was handed to a mail system that does not confirm\r\n"
			    "deliveries. You may get no further notice about it.\r\n");
		break;
	}
}

static void add_list(struct buf *out, const char *title, const char *const *line, size_t n,
		     bool utf8)
{
	if (n == 0)
		return;
	buf_addf(out, INDENT "%s\r\n", title);
	for (size_t i = 0; i < n && i < DSN_EVIDENCE_MAX; i++)
		text_fold(out, DEEPER, DEEPER "  ", line[i], utf8);
	if (n > DSN_EVIDENCE_MAX)
		buf_addf(out, DEEPER "(and %zu more)\r\n", n - DSN_EVIDENCE_MAX);
}

static void add_host(const struct dsn_message *m, const struct dsn_rcpt *r, struct buf *out)
{
	if (r->host != NULL && r->host[0] != '\0')
		text_fold(out, INDENT "Host: ", DEEPER, r->host, m->utf8);
	if (r->address_text != NULL && r->address_text[0] != '\0')
		text_fold(out, INDENT "Address: ", DEEPER, r->address_text, m->utf8);
	if (r->reply != NULL && r->reply[0] != '\0')
		text_fold(out, INDENT "The host said: ", DEEPER, r->reply, m->utf8);
	if (r->detail != NULL && r->detail[0] != '\0')
		text_fold(out, INDENT "Detail: ", DEEPER, r->detail, m->utf8);
}

static void add_cure(const struct dsn_message *m, const struct dsn_rcpt *r, struct buf *out)
{
	static const char here[] = "Here:";
	const char *cure = reason_cure(r->reason);

	if (cure[0] == '\0' || r->action == DSN_RELAYED)
		return;
	bool ours = strncmp(cure, here, strlen(here)) == 0;
	buf_addf(out, INDENT "What the postmaster %s should change:\r\n",
		 ours ? "of the sender's side" : "of the recipient");
	text_fold(out, DEEPER, DEEPER, ours ? cure + strlen(here) : cure, m->utf8);
}

static void add_recipient(const struct dsn_message *m, const struct dsn_rcpt *r, struct buf *out)
{
	char code[CODE_MAX], first[128];

	dsn_code_of(r, code);
	buf_add_str(out, "\r\n  <");
	text_add(out, r->address, m->utf8);
	buf_addf(out, ">: %s\r\n", dsn_action_name(r->action));
	(void)snprintf(first, sizeof(first), INDENT "%s (%s): ", code, reason_name(r->reason));
	text_fold(out, first, DEEPER, reason_sentence(r->reason), m->utf8);
	if (r->action == DSN_FAILED && r->expired)
		text_fold(out, INDENT, INDENT,
			  "It was tried until the time for its delivery was over (4.4.7).",
			  m->utf8);
	add_host(m, r, out);
	add_list(out, "TLSA records of the host:", r->tlsa, r->ntlsa, m->utf8);
	add_list(out, "Certificates that the host served:", r->cert, r->ncert, m->utf8);
	add_cure(m, r, out);
}

void dsn_human_part(const struct dsn_message *m, struct buf *out)
{
	opening(m, out);
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].action != DSN_NONE)
			add_recipient(m, &m->rcpt[i], out);
	}
}
