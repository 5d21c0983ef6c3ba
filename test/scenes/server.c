/* SPDX-License-Identifier: MIT */
/*
 * One connection of a scene: the fake MX host says its lines, hears the client's and keeps account
 * of what it took responsibility for. Refuses to help the client: bytes go to the machine as they
 * stand.
 */
#include "scene.h"

#include "fake.h"

#include <string.h>

enum { WIRE_MAX = 4 * 1024 * 1024, DUE_MAX = 4096, CHUNK = 4096, SMALL_CHUNK = 7 };

enum verb { VERB_OTHER, VERB_MAIL, VERB_RCPT, VERB_DOT, VERB_FATE };

struct due { /* a reply that the client waits for */
	enum verb verb;
	size_t rcpt;
};

struct server {
	struct show *w;
	const struct scene_host *host;
	const struct attempt_session *as;
	struct seen_session *seen;
	struct smtpc *c;
	struct buf heard; /* from the client, not yet understood */
	struct buf said;  /* to the client, not yet sent */
	struct due due[DUE_MAX];
	size_t first_due, ndue;
	bool *in_transaction; /* per recipient */
	bool greeted, tls, tls_tried, parts;
	const char *local_error;
	uint32_t opening_ms;
	struct tls_facts *facts;
};

static bool wrong(struct server *v, const struct scene_step *st, const char *what)
{
	struct slice heard = slice_first(buf_slice(&v->heard), 60);
	size_t end = slice_find(heard, '\r');
	snprintf(v->w->error, sizeof(v->w->error),
		 "%s:%d: %s (client in %s, result %d, next line \"%.*s\")", v->w->scene->path,
		 st != NULL ? st->line : v->host->line, what, smtpc_phase(v->c),
		 (int)smtpc_result(v->c), (int)end, (const char *)heard.p);
	return false;
}

/* --- Bytes --- */

static bool contains(struct slice s, const char *what)
{
	return s.n > 0 && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* Takes what the client wrote. The first envelope without TLS is remembered for good. */
static void hear(struct server *v)
{
	struct buf *out = smtpc_output(v->c);
	buf_add_slice(&v->heard, buf_slice(out));
	buf_consume(out, buf_len(out));
	struct slice all = buf_slice(&v->heard);
	if (!v->tls &&
	    (contains(all, "MAIL FROM:") || contains(all, "RCPT TO:") || contains(all, "DATA\r\n")))
		v->seen->clear_envelope = true;
}

static void send_said(struct server *v)
{
	struct slice all = buf_slice(&v->said);
	if (v->w->mode->bytewise) {
		for (size_t i = 0; i < all.n; i++)
			smtpc_recv(v->c, slice_make(all.p + i, 1));
	} else if (all.n > 0) {
		smtpc_recv(v->c, all);
	}
	buf_consume(&v->said, all.n);
}

/* What a reply means for the server's own books. */
static void settle_due(struct server *v, bool good)
{
	if (v->first_due == v->ndue)
		return;
	struct due d = v->due[v->first_due++];
	size_t n = v->w->scene->message.nrcpt;
	if (d.verb == VERB_RCPT && good)
		v->in_transaction[d.rcpt] = true;
	if (d.verb == VERB_FATE) { /* RFC 2033 s4.2 */
		v->w->taken[d.rcpt] += good;
		v->in_transaction[d.rcpt] = false;
	}
	for (size_t i = 0; i < n && (d.verb == VERB_MAIL || d.verb == VERB_DOT); i++) {
		v->w->taken[i] += d.verb == VERB_DOT && good && v->in_transaction[i];
		v->in_transaction[i] = false;
	}
}

static void say(struct server *v, const char *line)
{
	buf_add_str(&v->said, line);
	buf_add_str(&v->said, "\r\n");
	v->greeted = true;
	if (strlen(line) < 4 || line[3] != '-')
		settle_due(v, line[0] == '2');
}

/* \r \n \0 \xHH */
static void say_raw(struct server *v, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		uint8_t octet = (uint8_t)*c;
		size_t n = 0;
		if (*c == '\\') {
			c++;
			octet = *c == 'r' ? '\r' : *c == 'n' ? '\n' : 0;
			if (*c == 'x' && hex_decode(slice_make(c + 1, 2), &octet, 1, &n))
				c += 2;
		}
		buf_add_u8(&v->said, octet);
	}
	v->greeted = true;
}

static bool next_line(struct server *v, struct slice *line)
{
	send_said(v);
	hear(v);
	struct slice all = buf_slice(&v->heard);
	const uint8_t *end = all.n > 0 ? memmem(all.p, all.n, "\r\n", 2) : NULL;
	if (end == NULL)
		return false;
	*line = slice_make(all.p, (size_t)(end - all.p));
	return true;
}

static size_t find_rcpt(const struct server *v, struct slice line)
{
	const struct smtpc_message *m = &v->w->scene->message;
	struct slice rest;
	slice_cut(line, '<', &rest);
	struct slice path = slice_cut(rest, '>', &rest);
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (slice_eq_str(path, m->rcpt[i].address))
			return i;
	}
	return SCENE_RCPTS_MAX;
}

/* The line was understood: a reply is due for it. */
static bool take_line(struct server *v, struct slice line)
{
	struct due d = {VERB_OTHER, 0};
	if (slice_starts_nocase(line, "MAIL") || slice_starts_nocase(line, "RSET"))
		d.verb = VERB_MAIL;
	if (slice_starts_nocase(line, "RCPT")) {
		d = (struct due){VERB_RCPT, find_rcpt(v, line)};
		if (d.rcpt == SCENE_RCPTS_MAX)
			return false;
	}
	if (v->ndue == DUE_MAX)
		return false;
	v->due[v->ndue++] = d;
	buf_consume(&v->heard, line.n + 2);
	return true;
}

/* --- Text --- */

static void feed_text(struct server *v, size_t max)
{
	struct slice rest = slice_from(v->w->scene->text, smtpc_body_offset(v->c));
	smtpc_body(v->c, slice_first(rest, max));
	hear(v);
}

/* One reply is due, over LMTP one for each recipient of the transaction. */
static void dot_is_due(struct server *v)
{
	if (!v->as->smtp.lmtp) {
		v->due[v->ndue++] = (struct due){VERB_DOT, 0};
		return;
	}
	for (size_t i = 0; i < v->w->scene->message.nrcpt && v->ndue < DUE_MAX; i++) {
		if (v->in_transaction[i])
			v->due[v->ndue++] = (struct due){VERB_FATE, i};
	}
}

/* RFC 5321 s4.5.2, written once more and differently, so that both must be wrong alike. */
static void stuffed(struct slice text, struct buf *out)
{
	while (text.n > 0) {
		size_t n = slice_find(text, '\n');
		struct slice line = slice_first(text, n + 1);
		buf_add_str(out, line.p[0] == '.' ? "." : "");
		buf_add_slice(out, line);
		text = slice_from(text, line.n);
		if (text.n == 0 && line.p[line.n - 1] != '\n')
			buf_add_str(out, "\r\n");
	}
	buf_add_str(out, ".\r\n");
}

static bool text_step(struct server *v, const struct scene_step *st)
{
	struct buf expected;
	send_said(v);
	hear(v);
	if (smtpc_want(v->c) != SMTPC_WANT_BODY)
		return wrong(v, st, "the client does not send the text");
	while (smtpc_want(v->c) == SMTPC_WANT_BODY)
		feed_text(v, v->w->mode->bytewise ? SMALL_CHUNK : CHUNK);
	buf_init(&expected, WIRE_MAX);
	stuffed(v->w->scene->text, &expected);
	bool same = slice_eq(buf_slice(&expected), buf_slice(&v->heard));
	buf_free(&expected);
	if (!same)
		return wrong(v, st, "the text on the wire is not the message");
	buf_consume(&v->heard, buf_len(&v->heard));
	dot_is_due(v);
	return true;
}

static bool part_step(struct server *v, const struct scene_step *st)
{
	send_said(v);
	hear(v);
	v->parts = true;
	if (smtpc_want(v->c) != SMTPC_WANT_BODY)
		return wrong(v, st, "the client does not send the text");
	feed_text(v, st->count);
	return true;
}

/* --- TLS --- */

static bool tls_step(struct server *v, const struct scene_step *st, enum tls_end end)
{
	send_said(v);
	hear(v);
	if (smtpc_want(v->c) != SMTPC_WANT_STARTTLS)
		return wrong(v, st, "the client does not start a handshake");
	if (end == TLS_END_ENCRYPTED && v->as->terms->policy == HOST_DANE)
		return wrong(v, st, "under dane TLS is authenticated or fails");
	v->tls_tried = true;
	*v->facts = (struct tls_facts){.authenticated = end == TLS_END_AUTHENTICATED,
				       .reason = end == TLS_END_FAILED ? st->reason : REASON_OK,
				       .detail = end == TLS_END_FAILED ? "words of TLS" : "",
				       .x509_text = "",
				       .version = "TLSv1.3",
				       .cipher = "",
				       .group = ""};
	v->tls = end != TLS_END_FAILED;
	smtpc_tls_done(v->c, v->tls);
	return true;
}

static enum tls_end usual_end(const struct server *v, const struct scene_step *st)
{
	if (st->tls_set)
		return st->tls;
	bool proven = v->as->terms->policy == HOST_DANE || v->as->terms->policy == HOST_PKIX;
	return proven ? TLS_END_AUTHENTICATED : TLS_END_ENCRYPTED;
}

/* --- An ordinary server --- */

static void say_capabilities(struct server *v, const char *caps)
{
	struct slice list = slice_str(
	    caps != NULL ? caps : "STARTTLS, PIPELINING, 8BITMIME, SMTPUTF8, DSN, SIZE 10000000");
	say(v, "250-mx.test");
	while (list.n > 0) {
		char line[128];
		struct slice cap = slice_trim(slice_cut(list, ',', &list));
		bool none = slice_eq_str(cap, "none") || (v->tls && slice_eq_str(cap, "STARTTLS"));
		snprintf(line, sizeof(line), "250-%.*s", (int)cap.n, (const char *)cap.p);
		if (!none)
			say(v, line);
	}
	say(v, "250 HELP");
}

static void answer_line(struct server *v, const struct scene_step *st, struct slice line)
{
	if (slice_starts_nocase(line, v->as->smtp.lmtp ? "LHLO" : "EHLO"))
		say_capabilities(v, st->caps);
	else if (slice_starts_nocase(line, "EHLO") || slice_starts_nocase(line, "LHLO"))
		say(v, "500 5.5.1 what?");
	else if (slice_starts_nocase(line, "STARTTLS"))
		say(v, "220 2.0.0 go ahead");
	else if (slice_starts_nocase(line, "AUTH"))
		say(v, "235 2.7.0 welcome");
	else if (slice_starts_nocase(line, "MAIL"))
		say(v, "250 2.1.0 ok");
	else if (slice_starts_nocase(line, "RCPT"))
		say(v, "250 2.1.5 ok");
	else if (slice_starts_nocase(line, "DATA"))
		say(v, "354 go on");
	else if (slice_starts_nocase(line, "QUIT"))
		say(v, "221 2.0.0 bye");
	else
		say(v, "250 2.0.0 ok");
}

/* One turn; false: stop, see error. */
static bool auto_turn(struct server *v, const struct scene_step *st, bool *over)
{
	struct slice line;
	if (next_line(v, &line) && smtpc_want(v->c) != SMTPC_WANT_BODY) {
		*over = st->until != NULL && slice_starts_nocase(line, st->until);
		if (*over)
			return true;
		char copy[1200];
		snprintf(copy, sizeof(copy), "%.*s", (int)line.n, (const char *)line.p);
		if (!take_line(v, line))
			return wrong(v, st, "RCPT for somebody that the scene does not know");
		answer_line(v, st, slice_str(copy));
		return true;
	}
	if (smtpc_want(v->c) == SMTPC_WANT_BODY) {
		*over = st->until != NULL && strcmp(st->until, "text") == 0;
		if (*over)
			return true;
		if (!text_step(v, st))
			return false;
		*over = st->until != NULL && strcmp(st->until, "dot") == 0;
		while (!*over && v->first_due < v->ndue)
			say(v, "250 2.0.0 queued");
		return true;
	}
	if (smtpc_want(v->c) == SMTPC_WANT_STARTTLS)
		return tls_step(v, st, usual_end(v, st));
	*over = true;
	return st->until == NULL || wrong(v, st, "the client never said that verb");
}

static bool auto_step(struct server *v, const struct scene_step *st)
{
	bool over = false;
	if (!v->greeted && !(v->as->smtp.implicit_tls && !v->tls))
		say(v, "220 mx.test ESMTP");
	for (int turn = 0; turn < DUE_MAX && !over; turn++) {
		if (!auto_turn(v, st, &over))
			return false;
	}
	return over || wrong(v, st, "the session does not end");
}

/* --- Steps --- */

static bool hear_step(struct server *v, const struct scene_step *st)
{
	struct slice line;
	char copy[1200];
	if (!next_line(v, &line))
		return wrong(v, st, "the client says nothing");
	snprintf(copy, sizeof(copy), "%.*s", (int)line.n, (const char *)line.p);
	if (!glob_matches(st->text, copy))
		return wrong(v, st, "the client says something else");
	return take_line(v, line) || wrong(v, st, "RCPT for somebody the scene does not know");
}

static bool step(struct server *v, const struct scene_step *st)
{
	switch (st->kind) {
	case STEP_SAY:
		say(v, st->text);
		return true;
	case STEP_RAW:
		say_raw(v, st->text);
		return true;
	case STEP_REPEAT:
		for (size_t i = 0; i < st->count; i++)
			say(v, st->text);
		return true;
	case STEP_HEAR:
		return hear_step(v, st);
	case STEP_TEXT:
		return text_step(v, st);
	case STEP_PART:
		return part_step(v, st);
	case STEP_TLS:
		return tls_step(v, st, st->tls);
	case STEP_AUTO:
		return auto_step(v, st);
	case STEP_CLOSE:
		send_said(v);
		hear(v);
		smtpc_closed(v->c);
		return true;
	case STEP_TIMEOUT:
		send_said(v);
		hear(v);
		if (smtpc_reached(v->c) < SMTPC_REACHED_HELLO)
			v->opening_ms = smtpc_timeout_ms(v->c);
		smtpc_timed_out(v->c);
		return true;
	case STEP_LOCAL:
		v->local_error = st->text;
		smtpc_abort(v->c, SMTPC_LOCAL);
		return true;
	case STEP_REFUSE: /* handled before there is a machine */
		return wrong(v, st, "refuse must be the only step");
	}
	return false;
}

/* Nothing more from the server: the machine must have ended, with QUIT at most. */
static bool leave(struct server *v)
{
	send_said(v);
	hear(v);
	while (smtpc_want(v->c) == SMTPC_WANT_BODY)
		feed_text(v, CHUNK);
	struct slice rest = buf_slice(&v->heard);
	if (smtpc_result(v->c) == SMTPC_RUNNING)
		return wrong(v, NULL, "the host block ends and the session does not");
	if (rest.n > 0 && !v->parts && !slice_eq_str(rest, "QUIT\r\n"))
		return wrong(v, NULL, "the client said more than was heard");
	enum smtpc_end end = smtpc_result(v->c);
	smtpc_closed(v->c);
	if (smtpc_result(v->c) != end)
		return wrong(v, NULL, "the result changed at the end");
	return true;
}

static bool run_steps(struct server *v)
{
	for (size_t i = 0; i < v->host->nstep; i++) {
		if (!step(v, &v->host->step[i]))
			return false;
	}
	if (!leave(v))
		return false;
	enum host_policy p = v->as->terms->policy;
	bool strict = p == HOST_DANE || p == HOST_ENCRYPT || p == HOST_PKIX;
	if (strict && v->seen->clear_envelope)
		return wrong(v, NULL, "T7: an envelope in clear under dane, encrypt or pkix");
	return true;
}

static struct session_facts facts_of(const struct server *v)
{
	return (struct session_facts){.connected = true,
				      .smtp = v->c,
				      .tls = v->tls_tried ? v->facts : NULL,
				      .local_error = v->local_error,
				      .opening_ms = v->opening_ms};
}

bool server_play(struct show *w, struct scene_host *h, const struct attempt_session *as,
		 struct session_outcome *out, struct tls_facts *facts)
{
	if (h->nstep > 0 && h->step[0].kind == STEP_REFUSE) {
		trouble_judge(&(struct session_facts){.connect_error = h->step[0].text}, out);
		return true;
	}
	struct server *v = calloc(1, sizeof(*v));
	bool *in_transaction = calloc(SCENE_RCPTS_MAX, sizeof(bool));
	bool ok = v != NULL && in_transaction != NULL;
	if (ok) {
		*v = (struct server){.w = w,
				     .host = h,
				     .as = as,
				     .seen = &w->seen[w->nseen - 1],
				     .c = smtpc_new(&as->smtp),
				     .in_transaction = in_transaction,
				     .facts = facts};
		w->seen[w->nseen - 1].connected = true;
		buf_init(&v->heard, WIRE_MAX);
		buf_init(&v->said, WIRE_MAX);
		ok = v->c != NULL && run_steps(v);
		if (ok) {
			struct session_facts f = facts_of(v);
			trouble_judge(&f, out);
		}
		buf_free(&v->heard);
		buf_free(&v->said);
		smtpc_free(&v->c);
	}
	free(in_transaction);
	free(v);
	return ok;
}
