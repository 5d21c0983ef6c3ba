/* SPDX-License-Identifier: MIT */
/*
 * EHLO and HELO (RFC 5321 s3.2, s4.1.1.1): who speaks, and what is there for it now.
 *
 * Knows the form of the name and the extensions. Refuses to know whether the name is true.
 */
#include "smtp/server_int.h"

/*
 *   ehlo = "EHLO" SP ( Domain / address-literal ) CRLF
 * Many clients give something else (with "_", without a dot); RFC 5321 s4.1.4 forbids to refuse
 * mail for it. But the name goes into header fields and logs: nothing that could end a comment
 * there.
 */
static bool is_name(struct slice s)
{
	static const char marks[] = ".-_:[]+/";

	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alnum(s.p[i]) &&
		    slice_find(slice_str(marks), s.p[i]) == sizeof(marks) - 1)
			return false;
	}
	return s.n > 0 && s.n <= HELO_MAX;
}

/* A greeting in the midst of a transaction is RSET too (RFC 5321 s4.1.4). */
static bool take_name(struct smtps *s, struct slice name, bool esmtp)
{
	if (!is_name(name)) {
		smtps_reply(s, 501, "5.5.4 Give your name: EHLO host.example");
		return false;
	}
	memcpy(s->helo, name.p, name.n);
	s->helo[name.n] = '\0';
	s->esmtp = esmtp;
	smtps_reset_transaction(s);
	return true;
}

static void write_size(struct smtps *s)
{
	char line[64];

	/* RFC 1870 s4: no number: no fixed maximum */
	if (s->config.size_max > 0)
		(void)snprintf(line, sizeof(line), "250-SIZE %llu\r\n",
			       (unsigned long long)s->config.size_max);
	else
		(void)snprintf(line, sizeof(line), "250-SIZE\r\n");
	smtps_write(s, line);
}

/* Only what is there at this moment (RFC 3207 s4.2, RFC 4954 s4). */
static void write_extensions(struct smtps *s)
{
	write_size(s);
	if (s->config.tls_available && !s->tls)
		smtps_write(s, "250-STARTTLS\r\n");
	if (s->config.submission && s->tls && !s->authenticated)
		smtps_write(s, "250-AUTH PLAIN LOGIN\r\n");
	smtps_write(s, "250-PIPELINING\r\n"
		       "250-8BITMIME\r\n"
		       "250-SMTPUTF8\r\n"
		       "250-DSN\r\n"
		       "250-ENHANCEDSTATUSCODES\r\n"
		       "250 CHUNKING\r\n");
}

void smtps_ehlo(struct smtps *s, struct slice args)
{
	if (!take_name(s, args, true))
		return;
	smtps_write(s, "250-");
	smtps_write(s, s->config.host);
	smtps_write(s, "\r\n");
	write_extensions(s);
}

void smtps_helo(struct smtps *s, struct slice args)
{
	if (take_name(s, args, false))
		smtps_reply(s, 250, s->config.host);
}
