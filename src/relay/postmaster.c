/* SPDX-License-Identifier: MIT */
/*
 * Postmaster: the one mailbox that every SMTP server has (RFC 5321 s4.5.1).
 *
 * Knows how it is written. Refuses to know where it is delivered to and who may write to it.
 */
#include "relay/postmaster.h"

#include "wire/address.h"

static const char name[] = "postmaster";

bool postmaster_is_local_part(struct slice rcpt)
{
	struct slice domain;

	return slice_eq_nocase_str(slice_cut(rcpt, '@', &domain), name);
}

enum postmaster postmaster_judge(struct slice rcpt, const char *host)
{
	struct slice domain;
	struct slice local = slice_cut(rcpt, '@', &domain);

	if (!postmaster_is_local_part(rcpt))
		return POSTMASTER_NOT;
	if (local.n == rcpt.n)
		return POSTMASTER_BARE;
	return slice_eq_nocase_str(domain, host) ? POSTMASTER_OURS : POSTMASTER_NOT;
}

const char *postmaster_complaint(const char *address, const char *host)
{
	struct address a;
	enum address_error e = address_parse(slice_str(address), &a);

	if (e != ADDRESS_OK)
		return address_strerror(e);
	if (a.utf8_local)
		return "mail without SMTPUTF8 cannot be delivered to it; take a local part in "
		       "ASCII";
	if (postmaster_judge(slice_str(address), host) != POSTMASTER_NOT)
		return "it leads back to itself; name a mailbox of another domain";
	return NULL;
}
