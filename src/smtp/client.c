/* SPDX-License-Identifier: MIT */
/*
 * The driver's side of the SMTP client machine: input, output, time, the end. Knows the phases and
 * their timeouts; what a reply means is known by the file of its verb. Refuses to know TLS, sockets
 * and what an outcome does to the mail.
 */
#include "smtp/client_int.h"

#include <stdlib.h>
#include <string.h>

const struct smtpc_timeouts SMTPC_TIMEOUTS_RFC = {
    .greeting = 300000,
    .ehlo = 300000,
    .starttls = 120000,
    .handshake = 60000,
    .mail = 300000,
    .rcpt = 300000,
    .data_init = 120000,
    .data_block = 180000,
    .data_done = 600000,
    .quit = 5000,
};

typedef void reply_handler(struct smtpc *c, const struct reply *r);

struct step {
	const char *name;
	reply_handler *on_reply; /* NULL: no reply is expected in this phase */
};

static const struct step steps[] = {
    [PHASE_GREETING] = {"greeting", smtpc_on_greeting},
    [PHASE_EHLO] = {"EHLO", smtpc_on_ehlo},
    [PHASE_HELO] = {"HELO", smtpc_on_helo},
    [PHASE_STARTTLS] = {"STARTTLS", smtpc_on_starttls},
    [PHASE_HANDSHAKE] = {"TLS handshake", NULL},
    [PHASE_AUTH] = {"AUTH", smtpc_on_auth},
    [PHASE_MAIL] = {"MAIL", smtpc_on_mail},
    [PHASE_RCPT] = {"RCPT", smtpc_on_rcpt},
    [PHASE_DATA] = {"DATA", smtpc_on_data},
    [PHASE_BODY] = {"message text", NULL},
    [PHASE_DATA_DONE] = {"end of data", smtpc_on_data_done},
    [PHASE_LONE_DOT] = {"end of data", smtpc_on_lone_dot},
    [PHASE_RSET] = {"RSET", smtpc_on_rset},
    [PHASE_IDLE] = {"idle", NULL},
    [PHASE_QUIT] = {"QUIT", smtpc_on_quit},
    [PHASE_ENDED] = {"end", NULL},
};

struct smtpc *smtpc_new(const struct smtpc_config *config)
{
	struct smtpc *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->config = *config;
	if (c->config.rcpts_max == 0)
		c->config.rcpts_max = RCPTS_MAX_DEFAULT;
	c->batch = calloc(c->config.rcpts_max, sizeof(*c->batch));
	if (c->batch == NULL) {
		free(c);
		return NULL;
	}
	buf_init(&c->in, SMTPC_INPUT_MAX);
	buf_init(&c->out, SMTPC_OUTPUT_MAX);
	c->progress = 1;
	if (c->config.implicit_tls)
		c->phase = PHASE_HANDSHAKE;
	else
		c->expected = 1; /* the greeting comes unasked */
	return c;
}

void smtpc_free(struct smtpc **c)
{
	if (*c == NULL)
		return;
	buf_free(&(*c)->in);
	if ((*c)->config.auth != NULL && (*c)->out.p != NULL)
		explicit_bzero((*c)->out.p, (*c)->out.cap);
	buf_free(&(*c)->out);
	free((*c)->batch);
	free(*c);
	*c = NULL;
}

static void write_command(struct smtpc *c, enum phase p)
{
	if (p == PHASE_EHLO && c->config.lmtp)
		command_lhlo(&c->out, c->config.helo);
	else if (p == PHASE_EHLO)
		command_ehlo(&c->out, c->config.helo);
	else if (p == PHASE_HELO)
		command_helo(&c->out, c->config.helo);
	else if (p == PHASE_STARTTLS)
		command_starttls(&c->out);
	else if (p == PHASE_DATA)
		command_data(&c->out);
	else if (p == PHASE_RSET)
		command_rset(&c->out);
	else if (p == PHASE_QUIT)
		command_quit(&c->out);
	else
		return;
	c->expected++;
}

void smtpc_enter(struct smtpc *c, enum phase p)
{
	c->phase = p;
	c->progress++;
	write_command(c, p);
	if (p == PHASE_DATA_DONE)
		c->expected++;
	if (!buf_ok(&c->out))
		smtpc_abort(c, SMTPC_LOCAL);
}

/* After these the peer is gone, lost or not to be trusted with another word. */
static bool ends_silently(enum smtpc_end why)
{
	return why == SMTPC_CLOSED || why == SMTPC_TIMEOUT || why == SMTPC_PROTOCOL ||
	       why == SMTPC_INJECTION || why == SMTPC_LOCAL || why == SMTPC_LOST_AFTER_DATA ||
	       why == SMTPC_TLS_FAILED;
}

/* What is written next the host may take for text: it was asked for a text and has not answered, or
 * a chunk is not complete. */
static bool reads_text(const struct smtpc *c)
{
	bool asked = c->phase == PHASE_MAIL || c->phase == PHASE_RCPT;
	return c->chunk_open || (c->way == TEXT_DATA_SOON && asked);
}

/* All of the message has left us and no verdict has come. */
static bool in_doubt(const struct smtpc *c)
{
	return c->final_dot && buf_len(&c->out) == 0;
}

void smtpc_end(struct smtpc *c, enum smtpc_end why)
{
	bool leaving = c->end != SMTPC_RUNNING; /* trouble after QUIT: the result stands, just go */
	if (why == SMTPC_PROTOCOL && in_doubt(c)) { /* it said something, who knows what */
		why = SMTPC_LOST_AFTER_DATA;
		smtpc_doubt_unanswered(c);
	}
	if (!leaving)
		c->end = why;
	if (leaving || ends_silently(why) || !c->spoke_smtp || reads_text(c)) {
		buf_reset(&c->out);
		c->phase = PHASE_ENDED;
	} else {
		smtpc_enter(c, PHASE_QUIT);
	}
}

void smtpc_abort(struct smtpc *c, enum smtpc_end why)
{
	if (c->end == SMTPC_RUNNING)
		c->end = why;
	buf_reset(&c->out);
	c->phase = PHASE_ENDED;
}

void smtpc_reach(struct smtpc *c, enum smtpc_reached r)
{
	if (r > c->reached)
		c->reached = r;
}

void smtpc_keep_reply(struct smtpc *c, const struct reply *r)
{
	reply_to_text(r, c->reply, sizeof(c->reply));
	c->enhanced = r->enhanced;
}

enum smtpc_want smtpc_want(const struct smtpc *c)
{
	if (c->phase == PHASE_ENDED)
		return SMTPC_WANT_CLOSE;
	if (c->phase == PHASE_IDLE)
		return SMTPC_WANT_IDLE;
	if (c->phase == PHASE_HANDSHAKE)
		return SMTPC_WANT_STARTTLS;
	if ((c->phase == PHASE_BODY || c->chunk_open) && buf_len(&c->out) < SMTPC_BODY_CHUNK)
		return SMTPC_WANT_BODY;
	return SMTPC_WANT_READ;
}

struct buf *smtpc_output(struct smtpc *c)
{
	return &c->out;
}

uint32_t smtpc_timeout_ms(const struct smtpc *c)
{
	const struct smtpc_timeouts *t = c->config.timeouts;
	switch (c->phase) {
	case PHASE_GREETING:
		return t->greeting;
	case PHASE_EHLO:
	case PHASE_HELO:
		return t->ehlo;
	case PHASE_STARTTLS:
		return t->starttls;
	case PHASE_HANDSHAKE:
		return t->handshake;
	case PHASE_AUTH:
	case PHASE_MAIL:
	case PHASE_RSET:
		return t->mail;
	case PHASE_RCPT:
		return t->rcpt;
	case PHASE_DATA:
		return t->data_init;
	case PHASE_BODY:
		return t->data_block;
	case PHASE_DATA_DONE:
		return buf_len(&c->out) > 0 ? t->data_block : t->data_done;
	case PHASE_LONE_DOT:
		return t->data_done;
	case PHASE_IDLE: /* how long is the driver's to say */
	case PHASE_QUIT:
	case PHASE_ENDED:
		return t->quit;
	}
	return t->quit;
}

/*
 * Bytes beyond the replies that are due were not asked for: before a handshake they are an
 * injection (T8, RFC 3207 s6, CVE-2011-0411 and its client-side kin), elsewhere a server that has
 * lost count. Not while the text goes out: a server may say early what it thinks of it. While idle
 * they are a 421 or nonsense: the session is over, and its result stands.
 */
static void check_surplus(struct smtpc *c)
{
	if (c->phase == PHASE_IDLE && buf_len(&c->in) > 0)
		c->phase = PHASE_ENDED;
	if (buf_len(&c->in) == 0 || c->expected > 0 || c->phase == PHASE_BODY ||
	    c->phase == PHASE_ENDED || c->end != SMTPC_RUNNING)
		return;
	smtpc_end(c, c->phase == PHASE_HANDSHAKE ? SMTPC_INJECTION : SMTPC_PROTOCOL);
}

static void dispatch(struct smtpc *c, const struct reply *r)
{
	enum phase before = c->phase;
	c->expected--;
	c->progress++;
	c->replies++;
	/* 421 may answer anything: the host is closing (RFC 5321 s3.8). */
	bool is_fate = c->config.lmtp && before == PHASE_DATA_DONE;
	if (r->code == 421 && before != PHASE_QUIT && !is_fate) {
		smtpc_keep_reply(c, r);
		c->spoke_smtp = false;
		smtpc_end(c, SMTPC_UNWILLING);
		return;
	}
	c->heard = true;
	bool is_mail = before == PHASE_MAIL || before == PHASE_RCPT || before == PHASE_DATA;
	if (is_mail && smtpc_is_our_lack(c, r)) {
		smtpc_keep_reply(c, r);
		smtpc_end(c, SMTPC_AUTH_WAITS);
		return;
	}
	c->weakened = c->weakened || (is_mail && smtpc_demands_tls(c, r));
	steps[before].on_reply(c, r);
}

/* One whole reply from the input, if it is there and due. */
static bool take_reply(struct smtpc *c)
{
	if (c->expected == 0 || steps[c->phase].on_reply == NULL || buf_len(&c->in) == 0)
		return false;
	struct reply r;
	int n = reply_parse(buf_slice(&c->in), &r);
	if (n == 0) {
		if (buf_room(&c->in) == 0)
			smtpc_end(c, SMTPC_PROTOCOL);
		return false;
	}
	if (n < 0) {
		smtpc_end(c, SMTPC_PROTOCOL);
		return false;
	}
	/* The reply points into the input: the handlers read it before it is consumed, and never
	 * touch `in`. */
	dispatch(c, &r);
	buf_consume(&c->in, (size_t)n);
	check_surplus(c);
	return true;
}

void smtpc_recv(struct smtpc *c, struct slice bytes)
{
	while (bytes.n > 0 && c->phase != PHASE_ENDED) {
		struct slice part = slice_first(bytes, buf_room(&c->in));
		buf_add_slice(&c->in, part);
		bytes = slice_from(bytes, part.n);
		if (!buf_ok(&c->in)) {
			smtpc_abort(c, SMTPC_LOCAL);
			return;
		}
		while (take_reply(c))
			;
		/* A peer that talks on while we do not listen may not fill our memory. */
		if (buf_room(&c->in) == 0)
			smtpc_end(c, SMTPC_PROTOCOL);
	}
	check_surplus(c);
}

void smtpc_tls_done(struct smtpc *c, bool up)
{
	if (c->phase != PHASE_HANDSHAKE)
		return;
	if (!up) {
		smtpc_end(c, SMTPC_TLS_FAILED);
		return;
	}
	c->tls = true;
	if (!c->spoke_smtp) { /* TLS from the start: now the host greets */
		c->expected = 1;
		smtpc_enter(c, PHASE_GREETING);
		return;
	}
	c->cap =
	    (struct capabilities){0}; /* RFC 3207 s4.2: what was learnt in clear is forgotten */
	smtpc_enter(c, PHASE_EHLO);
}

/* A reply that came early, while the text was going out, says more than the broken connection. */
static void keep_early_reply(struct smtpc *c)
{
	struct reply r;
	if ((c->phase == PHASE_BODY || c->phase == PHASE_DATA_DONE) &&
	    reply_parse(buf_slice(&c->in), &r) > 0)
		smtpc_keep_reply(c, &r);
}

static void broken(struct smtpc *c, enum smtpc_end why)
{
	if (c->end == SMTPC_RUNNING) {
		keep_early_reply(c);
		if (in_doubt(c)) {
			smtpc_doubt_unanswered(c);
			why = SMTPC_LOST_AFTER_DATA;
		}
		c->end = why;
	}
	buf_reset(&c->out);
	c->phase = PHASE_ENDED;
}

void smtpc_closed(struct smtpc *c)
{
	broken(c, SMTPC_CLOSED);
}

void smtpc_timed_out(struct smtpc *c)
{
	broken(c, SMTPC_TIMEOUT);
}

enum smtpc_end smtpc_result(const struct smtpc *c)
{
	return c->end;
}

const char *smtpc_reply(const struct smtpc *c)
{
	return c->reply;
}

struct enhanced_code smtpc_enhanced(const struct smtpc *c)
{
	return c->enhanced;
}

uint64_t smtpc_progress(const struct smtpc *c)
{
	return c->progress;
}

enum smtpc_reached smtpc_reached(const struct smtpc *c)
{
	return c->reached;
}

uint64_t smtpc_replies(const struct smtpc *c)
{
	return c->replies;
}

const char *smtpc_phase(const struct smtpc *c)
{
	return steps[c->phase].name;
}

bool smtpc_under_tls(const struct smtpc *c)
{
	return c->tls;
}

bool smtpc_offered_starttls(const struct smtpc *c)
{
	return c->starttls_seen;
}

bool smtpc_is_tentative(const struct smtpc *c)
{
	return c->weakened;
}

bool smtpc_past_final_dot(const struct smtpc *c)
{
	return in_doubt(c);
}
