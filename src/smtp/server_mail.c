/* SPDX-License-Identifier: MIT */
/*
 * MAIL (RFC 5321 s3.3, s4.1.1.2) with the parameters of SIZE, 8BITMIME, SMTPUTF8, DSN and AUTH.
 *
 * Knows the syntax and when a transaction may begin. Refuses to know who may send as whom.
 */
#include "smtp/server_int.h"

#include "wire/xtext.h"

struct mail {
	struct smtps *s;
	struct smtps_envelope *envelope;
};

typedef struct refusal param_reader(struct mail *m, struct slice value);

static const struct refusal fine = {0};
static const struct refusal bad_value = {501, "5.5.4 Bad value of a parameter"};

/* size-value = 1*20DIGIT      ; RFC 1870 s3 */
static struct refusal read_size(struct mail *m, struct slice value)
{
	enum { SIZE_DIGITS_MAX = 20 };
	uint64_t max = m->s->config.size_max;

	if (value.n > SIZE_DIGITS_MAX)
		return bad_value;
	/* 20 digits may be more than 64 bits: then it is too much as well */
	if (!slice_to_u64(value, UINT64_MAX, &m->envelope->declared_size)) {
		for (size_t i = 0; i < value.n; i++) {
			if (!ascii_is_digit(value.p[i]))
				return bad_value;
		}
		m->envelope->declared_size = UINT64_MAX;
	}
	if (max > 0 && m->envelope->declared_size > max)
		return (struct refusal){552, "5.3.4 Message is larger than we take"};
	return fine;
}

/* body-value = "7BIT" / "8BITMIME"      ; RFC 6152 s2 */
static struct refusal read_body(struct mail *m, struct slice value)
{
	m->envelope->body_8bit = slice_eq_nocase_str(value, "8BITMIME");
	return m->envelope->body_8bit || slice_eq_nocase_str(value, "7BIT") ? fine : bad_value;
}

static struct refusal read_smtputf8(struct mail *m, struct slice value)
{
	m->envelope->smtputf8 = true;
	return value.n == 0 ? fine : bad_value; /* RFC 6531 s3.4 */
}

/* ret-value = "FULL" / "HDRS"      ; RFC 3461 s4.3 */
static struct refusal read_ret(struct mail *m, struct slice value)
{
	if (slice_eq_nocase_str(value, "FULL"))
		m->envelope->ret = "FULL";
	else if (slice_eq_nocase_str(value, "HDRS"))
		m->envelope->ret = "HDRS";
	return m->envelope->ret != NULL ? fine : bad_value;
}

/* xtext of printable US-ASCII, which goes into a report's header field (RFC 3461 s4.4) */
static struct refusal read_envid(struct mail *m, struct slice value)
{
	uint8_t octets[ENVID_MAX];
	size_t n;

	if (value.n > ENVID_MAX || !xtext_decode(value, octets, sizeof(octets), &n))
		return bad_value;
	for (size_t i = 0; i < n; i++) {
		if (octets[i] < ' ' || octets[i] > '~')
			return bad_value;
	}
	m->envelope->envid = arena_str(&m->s->arena, slice_make(octets, n));
	return fine;
}

/* "<>" or a mailbox, who submitted it elsewhere: nobody here believes it (RFC 4954 s5), and some
 * write a bare name. */
static struct refusal read_auth(struct mail *m, struct slice value)
{
	uint8_t octets[SMTPS_LINE_MAX];
	size_t n;

	(void)m;
	bool ok = xtext_decode(value, octets, sizeof(octets), &n) &&
		  address_check_text(slice_make(octets, n)) == ADDRESS_OK;
	return ok ? fine : bad_value;
}

static const struct {
	const char *keyword;
	param_reader *read;
	bool bare; /* stands without a value */
} params[] = {
    {"SIZE", read_size, false}, {"BODY", read_body, false},   {"SMTPUTF8", read_smtputf8, true},
    {"RET", read_ret, false},   {"ENVID", read_envid, false}, {"AUTH", read_auth, false},
};

static const size_t nparams = sizeof(params) / sizeof(params[0]);

/* One parameter; `seen` has a bit for each that was there. */
static struct refusal read_param(struct mail *m, const struct param *p, unsigned *seen)
{
	for (size_t i = 0; i < nparams; i++) {
		if (!slice_eq_nocase_str(p->keyword, params[i].keyword))
			continue;
		if ((*seen >> i & 1) != 0)
			return (struct refusal){555, "5.5.4 A parameter is given twice"};
		*seen |= 1U << i;
		return p->has_value != params[i].bare ? params[i].read(m, p->value) : bad_value;
	}
	return (struct refusal){555, "5.5.4 Unknown parameter of MAIL"};
}

/* Mail-parameters = esmtp-param *( SP esmtp-param ) */
static struct refusal read_params(struct mail *m, struct slice in)
{
	struct refusal r = fine;
	struct param p;
	unsigned seen = 0;
	int n = 0;

	while (r.code == 0 && (n = param_next(&in, &p)) > 0)
		r = m->s->esmtp ? read_param(m, &p, &seen)
				: (struct refusal){555, "5.5.4 Parameters need EHLO"};
	if (n < 0)
		return (struct refusal){501, "5.5.4 Bad syntax of a parameter"};
	return r;
}

/* "MAIL FROM:" Reverse-path [ SP Mail-parameters ]      ; a blank behind the colon is tolerated */
static struct refusal read_mail(struct mail *m, struct slice args)
{
	struct path path;

	if (!slice_starts_nocase(args, "FROM:"))
		return (struct refusal){501, "5.5.4 Say MAIL FROM:<address>"};
	args = slice_trim(slice_from(args, sizeof("FROM:") - 1));
	int n = path_parse(args, &path);
	if (n < 0 || path.postmaster)
		return (struct refusal){501, "5.1.7 Bad syntax of the sender's address"};
	struct refusal r = read_params(m, slice_from(args, (size_t)n));
	if (r.code != 0)
		return r;
	if (path.address.utf8 && !m->envelope->smtputf8)
		return (struct refusal){553, "5.6.7 The address needs SMTPUTF8"};
	m->envelope->reverse_path = arena_str(&m->s->arena, path.mailbox);
	if (m->s->arena.failed)
		return (struct refusal){452, "4.3.1 Out of memory"};
	return fine;
}

void smtps_mail(struct smtps *s, struct slice args)
{
	if (s->mail) {
		smtps_reply(s, 503, "5.5.1 There is a sender already");
		return;
	}
	smtps_reset_transaction(s);
	struct mail m = {.s = s, .envelope = &s->envelope};
	struct refusal r = read_mail(&m, args);
	if (r.code == 0) {
		smtps_ask(s, SMTPS_Q_MAIL);
		return;
	}
	smtps_reset_transaction(s);
	smtps_reply(s, r.code, r.text);
}

void smtps_on_mail(struct smtps *s, uint16_t code, const char *text)
{
	s->mail = smtps_is_yes(code);
	smtps_reply(s, code, text);
	if (!s->mail)
		smtps_reset_transaction(s);
}
