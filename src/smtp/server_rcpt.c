/* SPDX-License-Identifier: MIT */
/*
 * RCPT (RFC 5321 s3.3, s4.1.1.3) with the parameters of DSN.
 *
 * Knows the syntax and how many fit. Refuses to know which recipients exist and what may be
 * relayed: that is asked for each of them (P3).
 */
#include "smtp/server_int.h"

#include "wire/orcpt.h"

static const struct refusal fine = {0};
static const struct refusal bad_value = {501, "5.5.4 Bad value of a parameter"};

/* notify-esmtp-value = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )      ; RFC 3461 s4.1 */
static bool is_notify(struct slice value)
{
	static const char *const words[] = {"SUCCESS", "FAILURE", "DELAY"};
	unsigned seen = 0;

	if (slice_eq_nocase_str(value, "NEVER"))
		return true;
	if (value.n == 0 || value.p[value.n - 1] == ',')
		return false;
	while (value.n > 0) {
		struct slice word = slice_cut(value, ',', &value);
		unsigned bit = 0;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (slice_eq_nocase_str(word, words[i]))
				bit = 1U << i;
		}
		if (bit == 0 || (seen & bit) != 0)
			return false;
		seen |= bit;
	}
	return true;
}

static struct refusal read_param(struct smtps *s, const struct param *p)
{
	static const struct refusal twice = {555, "5.5.4 A parameter is given twice"};
	struct smtps_rcpt *r = &s->pending;

	if (slice_eq_nocase_str(p->keyword, "NOTIFY")) {
		if (r->notify != NULL)
			return twice;
		r->notify = arena_str(&s->scratch, p->value);
		return is_notify(p->value) ? fine : bad_value;
	}
	if (slice_eq_nocase_str(p->keyword, "ORCPT")) {
		if (r->orcpt != NULL)
			return twice;
		r->orcpt = arena_str(&s->scratch, p->value);
		struct orcpt o;
		return orcpt_parse(p->value, s->envelope.smtputf8, &o) ? fine : bad_value;
	}
	return (struct refusal){555, "5.5.4 Unknown parameter of RCPT"};
}

/* Rcpt-parameters = esmtp-param *( SP esmtp-param ) */
static struct refusal read_params(struct smtps *s, struct slice in)
{
	struct refusal r = fine;
	struct param p;
	int n = 0;

	while (r.code == 0 && (n = param_next(&in, &p)) > 0)
		r = s->esmtp ? read_param(s, &p)
			     : (struct refusal){555, "5.5.4 Parameters need EHLO"};
	if (n < 0)
		return (struct refusal){501, "5.5.4 Bad syntax of a parameter"};
	return r;
}

/* "RCPT TO:" Forward-path [ SP Rcpt-parameters ]      ; a blank behind the colon is tolerated */
static struct refusal read_rcpt(struct smtps *s, struct slice args)
{
	struct path path;

	if (!slice_starts_nocase(args, "TO:"))
		return (struct refusal){501, "5.5.4 Say RCPT TO:<address>"};
	args = slice_trim(slice_from(args, sizeof("TO:") - 1));
	int n = path_parse(args, &path);
	if (n < 0 || path.null)
		return (struct refusal){501, "5.1.3 Bad syntax of the recipient's address"};
	struct refusal r = read_params(s, slice_from(args, (size_t)n));
	if (r.code != 0)
		return r;
	if (path.address.utf8 && !s->envelope.smtputf8)
		return (struct refusal){553, "5.6.7 The address needs SMTPUTF8"};
	s->pending.address = arena_str(&s->scratch, path.mailbox);
	if (s->scratch.failed)
		return (struct refusal){452, "4.3.1 Out of memory"};
	return fine;
}

static struct refusal state_refusal(const struct smtps *s)
{
	if (!s->mail)
		return (struct refusal){503, "5.5.1 Send MAIL first"};
	if (s->chunking || s->chunk_failed)
		return (struct refusal){503, "5.5.1 The text has begun"};
	/* RFC 5321 s4.5.3.1.10 */
	if (s->envelope.nrcpt >= s->config.rcpts_max)
		return (struct refusal){452, "4.5.3 Too many recipients"};
	return fine;
}

void smtps_rcpt_to(struct smtps *s, struct slice args)
{
	struct refusal r = state_refusal(s);

	/* Of a refused recipient nothing is kept: thousands may be tried. */
	arena_free(&s->scratch);
	if (s->mail && s->rcpt_commands++ < s->config.rcpts_max + RCPT_OVERSHOOT)
		smtps_not_junk(s);
	s->pending = (struct smtps_rcpt){0};
	s->rcpt_tried = s->mail;
	if (r.code == 0)
		r = read_rcpt(s, args);
	if (r.code == 0)
		smtps_ask(s, SMTPS_Q_RCPT);
	else
		smtps_reply(s, r.code, r.text);
}

static bool make_room(struct smtps *s)
{
	if (s->envelope.nrcpt < s->rcpt_room)
		return true;
	size_t room = s->rcpt_room > 0 ? 2 * s->rcpt_room : 8;
	struct smtps_rcpt *grown = realloc(s->rcpt, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	s->rcpt = grown;
	s->rcpt_room = room;
	s->envelope.rcpt = grown;
	return true;
}

static const char *move(struct smtps *s, const char *text)
{
	return text != NULL ? arena_strdup(&s->arena, text) : NULL;
}

/* The accepted recipient joins the envelope. */
static bool keep_rcpt(struct smtps *s)
{
	if (!make_room(s))
		return false;
	struct smtps_rcpt kept = {
	    .address = move(s, s->pending.address),
	    .notify = move(s, s->pending.notify),
	    .orcpt = move(s, s->pending.orcpt),
	};
	if (s->arena.failed)
		return false;
	s->rcpt[s->envelope.nrcpt++] = kept;
	return true;
}

void smtps_on_rcpt(struct smtps *s, uint16_t code, const char *text)
{
	if (smtps_is_yes(code) && !keep_rcpt(s))
		smtps_reply(s, 452, "4.3.1 Out of memory");
	else
		smtps_reply(s, code, text);
}
