/* SPDX-License-Identifier: MIT */
/*
 * The driver's side of the SMTP server machine: input, output, time, the end.
 *
 * Knows the phases, the names of the verbs, and when each may be said; what a verb's arguments mean
 * is known by the file of the verb. Refuses to know TLS, sockets, users, and who may send what
 * where.
 */
#include "smtp/server_int.h"

const struct smtps_timeouts SMTPS_TIMEOUTS_RFC = {
    .command = 300000,
    .text = 300000,
    .handshake = 60000,
};

struct smtps *smtps_new(const struct smtps_config *c)
{
	struct smtps *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->config = *c;
	s->tls = c->tls_implicit;
	s->progress = 1;
	buf_init(&s->in, SMTPS_INPUT_MAX);
	buf_init(&s->out, SMTPS_OUTPUT_MAX);
	buf_init(&s->text, SMTPS_TEXT_MAX + 2); /* and the CRLF of an unfinished last line */
	arena_init(&s->arena, ENVELOPE_BASE + (size_t)c->rcpts_max * ENVELOPE_RCPT_MAX);
	arena_init(&s->scratch, ENVELOPE_BASE);
	smtps_reset_transaction(s);
	s->phase = PHASE_GREETING;
	smtps_expect_silence(s);
	smtps_ask(s, SMTPS_Q_CONNECT);
	return s;
}

/* Lines of AUTH have gone through this memory. */
static void wipe_input(struct smtps *s)
{
	if (s->in.p != NULL)
		explicit_bzero(s->in.p, s->in.cap);
	buf_reset(&s->in);
}

void smtps_free(struct smtps **s)
{
	if (*s == NULL)
		return;
	wipe_input(*s);
	smtps_wipe_password(*s);
	buf_free(&(*s)->in);
	buf_free(&(*s)->out);
	buf_free(&(*s)->text);
	arena_free(&(*s)->arena);
	arena_free(&(*s)->scratch);
	free((*s)->rcpt);
	free(*s);
	*s = NULL;
}

/* ---- replies and the end ---- */

static void write_octets(struct smtps *s, const char *octets, size_t n)
{
	size_t before = buf_len(&s->out);

	buf_add(&s->out, octets, n);
	s->written += buf_len(&s->out) - before;
}

void smtps_write(struct smtps *s, const char *octets)
{
	write_octets(s, octets, strlen(octets));
}

/* Text of the driver may hold what a client sent: no line may begin inside it. */
static void write_clean(struct smtps *s, const char *text)
{
	while (*text != '\0') {
		size_t n = 0;
		while ((uint8_t)text[n] >= ' ' && text[n] != 0x7f)
			n++;
		write_octets(s, text, n);
		text += n;
		if (*text != '\0') {
			write_octets(s, "?", 1);
			text++;
		}
	}
}

void smtps_say(struct smtps *s, uint16_t code, const char *text)
{
	const char head[] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
			     (char)('0' + code % 10), ' '};

	write_octets(s, head, sizeof(head));
	write_clean(s, text);
	smtps_write(s, "\r\n");
}

void smtps_reply(struct smtps *s, uint16_t code, const char *text)
{
	smtps_say(s, code, text);
	if (code == 421) {
		smtps_finish(s, SMTPS_SHUTDOWN);
	} else if (code >= 500 && ++s->errors == s->config.errors_max) {
		smtps_say(s, 421, "4.7.0 Too many errors");
		smtps_finish(s, SMTPS_ERRORS);
	}
}

void smtps_finish(struct smtps *s, enum smtps_end why)
{
	if (s->end != SMTPS_RUNNING)
		return;
	s->end = why;
	s->phase = PHASE_ENDED;
	s->asked = false;
	s->full = false;
	s->progress++;
	wipe_input(s);
	smtps_wipe_password(s);
	smtps_reset_transaction(s);
}

void smtps_finish_smuggling(struct smtps *s)
{
	smtps_say(s, 554, "5.6.11 Bare CR, bare LF or NUL: nothing of this is accepted");
	smtps_finish(s, SMTPS_SMUGGLING);
}

void smtps_expect_silence(struct smtps *s)
{
	s->sync = true;
	s->sync_mark = s->written;
}

/*
 * The client spoke before it could know our reply: the reply, as long as nothing of it is out, is
 * taken back, and another one ends the session. Behind a "220 go ahead" that is out only TLS may be
 * spoken, so that nothing is said there.
 */
static void finish_early(struct smtps *s)
{
	uint64_t unsaid = s->written - s->sync_mark;
	bool whole = buf_len(&s->out) >= unsaid;

	if (whole) {
		s->out.end -= (size_t)unsaid;
		s->written = s->sync_mark;
	}
	if (whole || s->phase != PHASE_HANDSHAKE)
		smtps_say(s, 554, "5.5.0 You spoke before our reply");
	smtps_finish(s, SMTPS_EARLY);
}

/* Without memory there is nothing to say. */
static void finish_broken(struct smtps *s)
{
	smtps_finish(s, SMTPS_LOCAL);
	buf_reset(&s->out);
}

void smtps_ask(struct smtps *s, enum smtps_question q)
{
	s->asked = true;
	s->question = q;
}

void smtps_reset_transaction(struct smtps *s)
{
	arena_free(&s->arena);
	arena_free(&s->scratch);
	buf_reset(&s->text);
	s->envelope = (struct smtps_envelope){
	    .helo = s->helo, .esmtp = s->esmtp, .reverse_path = "", .rcpt = s->rcpt};
	s->pending = (struct smtps_rcpt){0};
	s->vrfy = NULL;
	s->mail = false;
	s->rcpt_tried = false;
	s->rcpt_commands = 0;
	s->chunking = false;
	s->chunk_failed = false;
}

/* ---- steps: one line or one piece of text each; false: wait ---- */

static void take(struct smtps *s, size_t n)
{
	if (s->phase != PHASE_ENDED)
		buf_consume(&s->in, n);
	s->progress++;
}

static bool refuse_line(struct smtps *s, int error)
{
	if (error == CMDLINE_TOO_LONG) {
		smtps_say(s, 500, "5.5.2 Line too long");
		smtps_finish(s, SMTPS_ERRORS);
	} else {
		smtps_finish_smuggling(s);
	}
	return false;
}

static bool stop_here(struct smtps *s)
{
	if (s->stopping)
		smtps_reply(s, 421, "4.3.2 Shutting down");
	return s->stopping;
}

/* Has somebody who was to wait for the reply gone on? */
static bool check_silence(struct smtps *s)
{
	if (s->sync && s->phase != PHASE_ENDED && buf_len(&s->in) > 0)
		finish_early(s);
	return s->phase != PHASE_ENDED;
}

static size_t line_max(const struct smtps *s)
{
	bool auth = s->phase == PHASE_AUTH || (s->config.submission && s->tls &&
					       slice_starts_nocase(buf_slice(&s->in), "AUTH "));

	return auth ? SMTPS_AUTH_LINE_MAX : SMTPS_LINE_MAX;
}

static bool step_line(struct smtps *s)
{
	struct cmdline c;

	if (stop_here(s))
		return false;
	int n = cmdline_parse(buf_slice(&s->in), line_max(s), &c);
	if (n == 0)
		return false;
	if (n < 0)
		return refuse_line(s, n);
	if (s->phase == PHASE_AUTH) {
		smtps_expect_silence(s);
		smtps_auth_line(s, c.line);
	} else {
		smtps_command(s, &c);
	}
	if (s->phase != PHASE_ENDED)
		explicit_bzero(s->in.p + s->in.start, (size_t)n);
	take(s, (size_t)n);
	return check_silence(s);
}

/* A text over the limit is read on, but not for ever. */
static bool is_flood(struct smtps *s, size_t used)
{
	if (!s->too_big || smtps_swallow(s, used))
		return false;
	smtps_reply(s, s->unwanted.code, s->unwanted.text);
	smtps_finish(s, SMTPS_ERRORS);
	return true;
}

static bool step_text(struct smtps *s)
{
	struct slice in = buf_slice(&s->in);
	size_t used;

	if (in.n == 0)
		return false;
	enum text_status status = smtps_text_feed(s, in, &used);
	s->text_octets += used;
	take(s, used);
	if (status == TEXT_MORE && is_flood(s, used))
		return false;
	switch (status) {
	case TEXT_MORE:
		return true;
	case TEXT_FULL:
		s->full = true;
		return false;
	case TEXT_END:
		smtps_text_done(s);
		return true;
	case TEXT_BAD:
		smtps_finish_smuggling(s);
		return false;
	}
	return false;
}

static bool step_chunk(struct smtps *s)
{
	if (s->chunk_left == 0)
		return smtps_chunk_done(s);
	struct slice in = buf_slice(&s->in);
	if (s->chunk_left < in.n)
		in.n = (size_t)s->chunk_left;
	if (in.n == 0)
		return false;
	take(s, smtps_chunk_feed(s, in));
	return true;
}

struct step {
	const char *name;
	bool (*advance)(struct smtps *s); /* NULL: nothing is read */
};

static const struct step steps[] = {
    [PHASE_GREETING] = {"greeting", NULL}, [PHASE_COMMAND] = {"command", step_line},
    [PHASE_AUTH] = {"AUTH", step_line},    [PHASE_HANDSHAKE] = {"TLS handshake", NULL},
    [PHASE_TEXT] = {"text", step_text},    [PHASE_CHUNK] = {"chunk", step_chunk},
    [PHASE_ENDED] = {"end", NULL},
};

void smtps_pump(struct smtps *s)
{
	bool more = true;

	while (more && !s->asked && !s->full && steps[s->phase].advance != NULL)
		more = steps[s->phase].advance(s);
	if (!buf_ok(&s->out) || !buf_ok(&s->text))
		finish_broken(s);
}

/* ---- what happened ---- */

void smtps_recv(struct smtps *s, struct slice bytes)
{
	if (s->phase == PHASE_ENDED || bytes.n == 0)
		return;
	if (s->sync && (s->asked || s->phase == PHASE_HANDSHAKE || buf_len(&s->out) > 0)) {
		finish_early(s);
		return;
	}
	s->sync = false;
	buf_add_slice(&s->in, bytes);
	if (buf_ok(&s->in))
		smtps_pump(s);
	else
		finish_broken(s);
}

void smtps_drained(struct smtps *s)
{
	s->full = false;
	s->progress++;
	smtps_pump(s);
}

/* RFC 3207 s4.2: what was said in clear is forgotten. */
void smtps_tls_done(struct smtps *s, bool up)
{
	if (s->phase != PHASE_HANDSHAKE)
		return;
	if (!up) {
		smtps_finish(s, SMTPS_TLS_FAILED);
		buf_reset(&s->out);
		return;
	}
	s->tls = true;
	s->sync = false;
	s->helo[0] = '\0';
	s->esmtp = false;
	s->phase = PHASE_COMMAND;
	s->progress++;
	wipe_input(s);
	smtps_reset_transaction(s);
	smtps_pump(s);
}

void smtps_closed(struct smtps *s)
{
	smtps_finish(s, SMTPS_CLOSED);
	buf_reset(&s->out);
}

void smtps_timed_out(struct smtps *s)
{
	bool in_clear = s->phase != PHASE_HANDSHAKE;

	if (s->phase == PHASE_ENDED)
		return;
	if (in_clear)
		smtps_say(s, 421, "4.4.2 Timeout");
	smtps_finish(s, SMTPS_TIMEOUT);
}

void smtps_shutdown(struct smtps *s)
{
	s->stopping = true;
	if (s->phase == PHASE_GREETING)
		stop_here(s);
	smtps_pump(s);
}

bool smtps_send_away(struct smtps *s, const char *text)
{
	if (s->phase == PHASE_ENDED || s->asked)
		return false;
	if (s->phase == PHASE_HANDSHAKE)
		smtps_finish(s, SMTPS_SHUTDOWN);
	else
		smtps_reply(s, 421, text);
	return true;
}

void smtps_shutdown_now(struct smtps *s)
{
	smtps_shutdown(s);
	smtps_send_away(s, "4.3.2 Shutting down");
}

/* ---- what the driver may know ---- */

enum smtps_want smtps_want(const struct smtps *s)
{
	if (s->phase == PHASE_ENDED)
		return SMTPS_WANT_CLOSE;
	if (s->full || smtps_text_waits(s))
		return SMTPS_WANT_DRAIN;
	if (s->asked)
		return SMTPS_WANT_DECISION;
	return s->phase == PHASE_HANDSHAKE ? SMTPS_WANT_STARTTLS : SMTPS_WANT_READ;
}

struct buf *smtps_output(struct smtps *s)
{
	return &s->out;
}

struct buf *smtps_text(struct smtps *s)
{
	return &s->text;
}

uint32_t smtps_timeout_ms(const struct smtps *s)
{
	const struct smtps_timeouts *t = s->config.timeouts;

	switch (s->phase) {
	case PHASE_TEXT:
	case PHASE_CHUNK:
		return t->text;
	case PHASE_HANDSHAKE:
		return t->handshake;
	case PHASE_GREETING:
	case PHASE_COMMAND:
	case PHASE_AUTH:
	case PHASE_ENDED:
		return smtps_in_text(s) ? t->text : t->command;
	}
	return t->command;
}

bool smtps_in_text(const struct smtps *s)
{
	return s->phase == PHASE_TEXT || s->phase == PHASE_CHUNK || s->chunking;
}

uint64_t smtps_text_octets(const struct smtps *s)
{
	return s->text_octets;
}

uint64_t smtps_progress(const struct smtps *s)
{
	return s->progress;
}

enum smtps_question smtps_question(const struct smtps *s)
{
	return s->question;
}

const struct smtps_envelope *smtps_envelope(const struct smtps *s)
{
	return &s->envelope;
}

const struct smtps_rcpt *smtps_rcpt(const struct smtps *s)
{
	return &s->pending;
}

const char *smtps_user(const struct smtps *s)
{
	return s->user;
}

const char *smtps_password(const struct smtps *s)
{
	return s->password;
}

const char *smtps_vrfy(const struct smtps *s)
{
	return s->vrfy != NULL ? s->vrfy : "";
}

bool smtps_authenticated(const struct smtps *s)
{
	return s->authenticated;
}

bool smtps_under_tls(const struct smtps *s)
{
	return s->tls;
}

const char *smtps_with(const struct smtps *s)
{
	static const char *const name[2][2][2] = {
	    {{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
	    {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}},
	};

	if (!s->esmtp)
		return "SMTP";
	return name[s->envelope.smtputf8][s->tls][s->authenticated];
}

const char *smtps_phase(const struct smtps *s)
{
	return steps[s->phase].name;
}

enum smtps_end smtps_result(const struct smtps *s)
{
	return s->end;
}
