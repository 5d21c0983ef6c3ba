/* SPDX-License-Identifier: MIT */
/* Routes from the configuration. Knows their syntax; refuses to know what lies at their end. */
#include "wire/route.h"

#include "wire/dname.h"

enum { SMTP_PORT = 25 };

/* What is left of the text, and where that begins. */
struct rest {
	struct slice text;
	size_t at;
};

static void skip(struct rest *r, size_t n)
{
	r->text = slice_from(r->text, n);
	r->at += n;
}

static bool take_word(struct rest *r, const char *word)
{
	bool there = slice_starts_nocase(r->text, word);
	if (there)
		skip(r, strlen(word));
	return there;
}

/* [ ":" port ] and nothing behind it */
static enum route_error parse_port(struct rest *r, struct route *out)
{
	uint64_t n;
	if (r->text.n == 0)
		return ROUTE_OK;
	if (r->text.p[0] != ':')
		return ROUTE_BEHIND_BRACKET;
	skip(r, 1);
	if (!slice_to_u64(r->text, UINT16_MAX, &n) || n == 0)
		return ROUTE_BAD_PORT;
	out->port = (uint16_t)n;
	skip(r, r->text.n);
	return ROUTE_OK;
}

static enum route_error parse_brackets(struct rest *r, struct route *out)
{
	size_t end = slice_find(r->text, ']');
	if (end == r->text.n)
		return ROUTE_NO_BRACKET;
	out->itself = true;
	out->host = slice_first(slice_from(r->text, 1), end - 1);
	if (!ipaddr_from_text(out->host, &out->ip)) {
		out->ip = (struct ipaddr){0};
		if (!hostname_is_valid(out->host)) {
			skip(r, 1);
			return ROUTE_BAD_BRACKETS;
		}
	}
	skip(r, end + 1);
	return parse_port(r, out);
}

static enum route_error parse_domain(struct rest *r, struct route *out)
{
	struct ipaddr ip;
	if (ipaddr_from_text(r->text, &ip))
		return ROUTE_BARE_ADDRESS;
	out->host = slice_first(r->text, slice_find(r->text, ':'));
	if (ipaddr_from_text(out->host, &ip))
		return ROUTE_BARE_ADDRESS;
	if (!hostname_is_valid(out->host))
		return ROUTE_NO_HOST;
	skip(r, out->host.n);
	return parse_port(r, out);
}

static enum route_error parse_path(struct rest *r, struct route *out)
{
	if (r->text.n == 0 || r->text.p[0] != '/')
		return ROUTE_BAD_PATH;
	for (size_t i = 0; i < r->text.n; i++) {
		if (r->text.p[i] >= ' ' && r->text.p[i] != 0x7f)
			continue;
		skip(r, i);
		return ROUTE_BAD_PATH;
	}
	if (r->text.n > ROUTE_PATH_MAX)
		return ROUTE_LONG_PATH;
	out->path = r->text;
	out->itself = true;
	skip(r, r->text.n);
	return ROUTE_OK;
}

bool route_is_submission(const struct route *r)
{
	return !r->lmtp && r->path.n == 0 &&
	       (r->port == ROUTE_SUBMISSION_PORT || r->port == ROUTE_SUBMISSIONS_PORT);
}

/* What is well-formed and still makes no sense. */
static enum route_error judge(const struct route *r)
{
	if (r->path.n > 0)
		return ROUTE_OK;
	if (r->lmtp && !r->itself)
		return ROUTE_LMTP_MX;
	if (r->lmtp && (r->port == 0 || r->port == SMTP_PORT))
		return ROUTE_LMTP_PORT;
	if (route_is_submission(r) && !r->itself)
		return ROUTE_SUBMISSION_MX;
	if (route_is_submission(r) && r->ip.family != 0)
		return ROUTE_SUBMISSION_ADDRESS;
	return ROUTE_OK;
}

enum route_error route_parse(struct slice text, struct route *out, size_t *at)
{
	struct rest r = {text, 0};
	enum route_error e;
	*out = (struct route){0};
	out->lmtp = take_word(&r, "lmtp:");
	bool protocol = out->lmtp || take_word(&r, "smtp:");
	size_t next_hop = r.at;
	if (take_word(&r, "unix:"))
		e = protocol ? parse_path(&r, out) : ROUTE_NO_PROTOCOL;
	else if (r.text.n > 0 && r.text.p[0] == '[')
		e = parse_brackets(&r, out);
	else
		e = parse_domain(&r, out);
	*at = r.at;
	if (e == ROUTE_OK || e == ROUTE_NO_PROTOCOL) {
		e = e == ROUTE_OK ? judge(out) : e;
		*at = e == ROUTE_OK ? r.at : next_hop;
	}
	return e;
}

const char *route_strerror(enum route_error e)
{
	switch (e) {
	case ROUTE_OK:
		return "";
	case ROUTE_NO_HOST:
		return "expected DOMAIN, [HOST] or [ADDRESS], if need be with :PORT, or "
		       "lmtp:unix:/PATH, lmtp:[HOST]:PORT, smtp:unix:/PATH";
	case ROUTE_BARE_ADDRESS:
		return "an address stands in brackets, as [192.0.2.1]: it has no MX hosts";
	case ROUTE_NO_BRACKET:
		return "expected [HOST] or [ADDRESS]: the ']' is missing";
	case ROUTE_BAD_BRACKETS:
		return "expected [HOST] or [ADDRESS]: a host name or an IP address stands in the "
		       "brackets";
	case ROUTE_BEHIND_BRACKET:
		return "expected :PORT or nothing behind [HOST]";
	case ROUTE_BAD_PORT:
		return "the port is a number from 1 to 65535";
	case ROUTE_NO_PROTOCOL:
		return "which protocol is spoken there: lmtp:unix:/PATH or smtp:unix:/PATH";
	case ROUTE_BAD_PATH:
		return "expected the absolute path of a socket, as lmtp:unix:/run/dovecot/lmtp";
	case ROUTE_LONG_PATH:
		return "the path of a socket has 107 octets at most";
	case ROUTE_LMTP_MX:
		return "LMTP has no MX hosts: expected lmtp:[HOST]:PORT or lmtp:unix:/PATH";
	case ROUTE_LMTP_PORT:
		return "LMTP has no port of its own and never speaks on 25: expected "
		       "lmtp:[HOST]:PORT";
	case ROUTE_SUBMISSION_MX:
		return "465 and 587 are submission, for one server by its name: expected "
		       "[HOST]:PORT";
	case ROUTE_SUBMISSION_ADDRESS:
		return "465 and 587 are submission, and an address has no certificate to be "
		       "verified: expected [HOST]:PORT with the server's name";
	}
	return "";
}
