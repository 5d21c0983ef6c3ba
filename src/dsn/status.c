/* SPDX-License-Identifier: MIT */
/*
 * The part for machines: message/delivery-status (RFC 3464 s2), with the address forms of RFC 6533.
 *
 * Knows the fields. Refuses to explain anything.
 */
#include "dsn/room.h"

#include "wire/reply.h"

/* Longer ones are cut: no envelope has them (RFC 5321 s4.5.3.1.3, RFC 3461 s4.2). An octet of them
 * becomes at most five. */
enum { ADDRESS_MAX = 1024, TYPE_MAX = 64, ADDRESS_FIELD_MAX = 5 * ADDRESS_MAX + TYPE_MAX + 2 };

/* utf-8-addr-xtext of RFC 6533 s3: for a 7-bit notification. QCHAR as it is, the rest as \x{HEX};
 * what is no valid UTF-8 as '?'. */
static void add_addr_xtext(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		size_t used;
		struct slice c = text_clean(s, true, &used);
		uint32_t v = c.p[0] < 0x80 ? c.p[0] : c.p[0] & (0xffu >> (c.n + 1));
		for (size_t i = 1; i < c.n; i++)
			v = v << 6 | (c.p[i] & 0x3f);
		if (v > 0x7f || v == '\\' || v == '+' || v == '=' || v == ' ')
			buf_addf(out, "\\x{%X}", (unsigned)v);
		else
			buf_add_u8(out, (uint8_t)v);
		s = slice_from(s, used);
	}
}

/* "rfc822;address", or "utf-8;address" when it is not ASCII (RFC 6533 s3). */
static void address_field(struct buf *out, const char *name, const char *type, const char *address,
			  bool utf8)
{
	struct buf value;

	buf_init(&value, ADDRESS_FIELD_MAX);
	bool ascii = text_is_ascii(address);
	struct slice whole = slice_first(slice_str(address), ADDRESS_MAX);
	buf_add_slice(&value, slice_first(slice_str(ascii ? type : "utf-8"), TYPE_MAX));
	buf_add_u8(&value, ';');
	if (ascii || utf8)
		buf_add_slice(&value, whole);
	else
		add_addr_xtext(&value, whole);
	text_field(out, name, buf_cstr(&value), utf8);
	if (!buf_ok(&value))
		out->failed = true;
	buf_free(&value);
}

static void typed_field(struct buf *out, const char *name, const char *type, const char *value,
			bool utf8)
{
	char first[64];

	if (value == NULL || value[0] == '\0')
		return;
	(void)snprintf(first, sizeof(first), "%s: %s; ", name, type);
	text_fold(out, first, " ", value, utf8);
}

static uint8_t class_of(enum dsn_action a)
{
	switch (a) {
	case DSN_FAILED:
		return 5;
	case DSN_DELAYED:
		return 4;
	case DSN_RELAYED:
	case DSN_NONE:
		return 2;
	}
	return 5;
}

void dsn_code_of(const struct dsn_rcpt *r, char out[static CODE_MAX])
{
	struct slice text = slice_str(r->code);
	struct enhanced_code c;

	if (text.n == 0 || enhanced_code_parse(text, &c) != text.n)
		(void)enhanced_code_parse(slice_str(reason_code(r->reason)), &c);
	(void)snprintf(out, CODE_MAX, "%u.%u.%u", class_of(r->action), c.subject, c.detail);
}

/* Expiry is 4.4.7 (RFC 3463 s3.5); everything else is the code of the last attempt. */
static void add_status(const struct dsn_rcpt *r, struct buf *out)
{
	char code[CODE_MAX];

	dsn_code_of(r, code);
	text_field(out, "Status", r->action == DSN_FAILED && r->expired ? "4.4.7" : code, false);
}

static void recipient_fields(const struct dsn_message *m, const struct dsn_rcpt *r, struct buf *out)
{
	buf_add_str(out, "\r\n");
	if (r->orcpt != NULL)
		address_field(out, "Original-Recipient",
			      r->orcpt_type != NULL ? r->orcpt_type : "rfc822", r->orcpt, m->utf8);
	address_field(out, "Final-Recipient", "rfc822", r->address, m->utf8);
	text_field(out, "Action", dsn_action_name(r->action), false);
	add_status(r, out);
	typed_field(out, "Remote-MTA", "dns", r->host, m->utf8);
	if (r->reply != NULL && r->reply[0] != '\0')
		typed_field(out, "Diagnostic-Code", "smtp", r->reply, m->utf8);
	else if (r->reason != REASON_OK)
		typed_field(out, "Diagnostic-Code", "x-danelaw", reason_name(r->reason), m->utf8);
	text_field(out, "Last-Attempt-Date", r->last_attempt, false);
	text_field(out, "Final-Log-ID", m->queue_id, false);
	if (r->action == DSN_DELAYED)
		text_field(out, "Will-Retry-Until", m->retry_until, false);
}

void dsn_status_part(const struct dsn_message *m, struct buf *out)
{
	text_field(out, "Original-Envelope-Id", m->envid, m->utf8);
	typed_field(out, "Reporting-MTA", "dns", m->reporting_mta, m->utf8);
	text_field(out, "Arrival-Date", m->arrival_date, false);
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].action != DSN_NONE)
			recipient_fields(m, &m->rcpt[i], out);
	}
}
