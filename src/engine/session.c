/* SPDX-License-Identifier: MIT */
/*
 * One SMTP session over one socket: moves bytes between the kernel, TLS and the client machine.
 * Knows no SMTP and no policy; the one rule it enforces is that nothing of the machine's output
 * leaves in clear once TLS was asked for (T8).
 *
 * A session that went well may wait in the engine's pool (T9). Then it has no owner and its request
 * is void; session_start() hands it to the next owner.
 */
#include "engine/session_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	WIRE_ENOUGH = 64 * 1024,  /* more is made only below this */
	TOGETHER_MAX = 16 * 1024, /* a text up to this goes out in one piece with its final dot */
	/* Many hosts count; and a certificate that expires, or a host that is taken out of
	   service, must not live on in an old connection. */
	CARRIED_MAX = 100,   /* messages over one connection */
	AGE_MAX_MS = 300000, /* of a connection that takes another message */
	/* Who waits longer than this for a reply gives its empty buffers back: with thousands of
	   sessions at hosts that are far away they would be most of the memory. */
	REST_WAIT_MS = 100,
	/* A connection that served again is likely to do so soon: so long it keeps its buffers. */
	REST_AFTER_MS = 500,
};

static void read_socket(struct session *s);
static void part(struct session *s);

/* --- The end --- */

static void stop_reaching(struct session *s)
{
	if (s->reaching != NULL)
		s->engine->reach.cancel(s->engine->reach.self, s->reaching);
	s->reaching = NULL;
}

void session_release(struct session *s)
{
	stop_reaching(s);
	loop_io_free(&s->io);
	loop_timer_free(&s->timer);
	tls_conn_free(&s->tls);
	smtpc_free(&s->smtp);
	buf_free(&s->wire);
	buf_free(&s->plain);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void session_free(struct session **s)
{
	if (*s != NULL)
		session_release(*s);
	*s = NULL;
}

static bool may_wait(const struct session *s)
{
	bool safe =
	    s->stage == STAGE_TLS || (s->stage == STAGE_CLEAR && s->place.tls != SMTPC_TLS_MUST);
	return s->duty == DUTY_REPORT && smtpc_want(s->smtp) == SMTPC_WANT_IDLE && safe &&
	       !s->eof && s->carried + 1 < CARRIED_MAX && loop_now_ms() - s->since_ms < AGE_MAX_MS;
}

/* There may be hundreds, and each had a message pass through it. */
static void rest(struct session *s)
{
	smtpc_rest(s->smtp);
	if (s->tls != NULL)
		tls_rest(s->tls);
	if (buf_len(&s->wire) == 0)
		buf_free(&s->wire);
	buf_free(&s->plain);
}

static void wait_idle(struct session *s)
{
	s->duty = DUTY_IDLE;
	s->idle_ms = loop_now_ms();
	s->awake = s->reused && s->engine->keep_ms > REST_AFTER_MS;
	s->request = (struct session_request){.body = {.fd = -1}};
	s->cb = NULL;
	s->carried++;
	pool_put(&s->engine->pool, &s->place);
	loop_io_want(s->io, LOOP_READ);
	if (!s->awake)
		rest(s);
	loop_timer_set(s->timer, s->awake ? REST_AFTER_MS : s->engine->keep_ms);
}

/* Out of the pool for good. */
void session_leave(struct pool_place *p)
{
	struct session *s = p->owner;
	smtpc_quit(s->smtp);
	part(s);
	session_release(s);
}

static uint32_t opening_ms(const struct session *s)
{
	uint64_t spent = s->part == PART_OPENING ? loop_now_ms() - s->since_ms : s->opening_ms;
	return spent < UINT32_MAX ? (uint32_t)spent : UINT32_MAX;
}

static void report(struct session *s)
{
	struct session_facts f = {
	    .connected = s->connected,
	    .reused = s->reused,
	    .connect_error = s->error,
	    .smtp = s->smtp,
	    .tls = s->tls != NULL ? tls_facts(s->tls) : NULL,
	    .local_error = s->local_error ? s->error : NULL,
	    .reply_ms = reply_clock_ms(&s->clock),
	    .opening_ms = opening_ms(s),
	};
	struct session_outcome o;
	trouble_judge(&f, &o);
	if (s->smtp != NULL && smtpc_chunk_failed(s->smtp))
		no_chunks_note(&s->engine->no_chunks, s->place.peer, loop_now_ms());
	struct tls_chain *chain =
	    s->request.on_chain != NULL && s->tls != NULL ? tls_conn_chain(s->tls) : NULL;
	if (chain != NULL)
		s->request.on_chain(s->request.on_chain_arg, chain);
	session_cb *cb = s->cb;
	void *cb_arg = s->arg;
	cb(cb_arg, &o);
	if (may_wait(s))
		wait_idle(s);
	else if (s->duty == DUTY_REPORT)
		session_leave(&s->place);
	else
		session_release(s);
}

/* The callback must not run inside the caller's call: the end is told from the loop. */
void session_finish(struct session *s)
{
	if (s->stage == STAGE_OVER)
		return;
	s->stage = STAGE_OVER;
	stop_reaching(s);
	if (s->io != NULL) /* NULL: there was no socket to be had */
		loop_io_want(s->io, 0);
	loop_timer_set(s->timer, 0); /* see on_timer: the timer needs no memory */
}

void session_fail_local(struct session *s, const char *what)
{
	s->local_error = true;
	if (s->error[0] == '\0' || what != NULL)
		snprintf(s->error, sizeof(s->error), "%s", what != NULL ? what : "out of memory");
	if (s->smtp != NULL)
		smtpc_abort(s->smtp, SMTPC_LOCAL);
	session_finish(s);
}

/* --- Output --- */

static void lost(struct session *s)
{
	s->eof = true;
	if (s->stage == STAGE_HANDSHAKE) {
		tls_feed_eof(s->tls);
		smtpc_tls_done(s->smtp, false);
	} else {
		smtpc_closed(s->smtp);
	}
}

static void flush(struct session *s)
{
	while (buf_len(&s->wire) > 0 && !s->eof) {
		struct slice w = buf_slice(&s->wire);
		ssize_t n = send(s->fd, w.p, w.n, MSG_NOSIGNAL);
		if (n > 0) {
			buf_consume(&s->wire, (size_t)n);
			reply_clock_sent(&s->clock, loop_now_ms());
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			return;
		} else {
			buf_reset(&s->wire);
			read_socket(s); /* it may have said why */
			if (!s->eof)
				lost(s);
		}
	}
}

/* What the machine has written goes towards the socket, through TLS when it is up; nothing passes
 * during a handshake. */
static void move_output(struct session *s)
{
	struct buf *out = smtpc_output(s->smtp);
	struct slice text = slice_first(buf_slice(out), WIRE_ENOUGH);
	if (s->stage == STAGE_TLS) {
		if (text.n > 0 && buf_len(&s->wire) < WIRE_ENOUGH) {
			enum tls_state state = tls_write(s->tls, text);
			buf_consume(out, text.n);
			if (state != TLS_UP)
				lost(s);
		}
		tls_pending(s->tls, &s->wire);
	} else if (s->stage == STAGE_CLEAR && text.n > 0 && buf_len(&s->wire) < WIRE_ENOUGH) {
		buf_add_slice(&s->wire, text);
		buf_consume(out, text.n);
	} else if (s->stage == STAGE_HANDSHAKE) {
		tls_pending(s->tls, &s->wire);
	}
	if (!buf_ok(&s->wire))
		session_fail_local(s, "out of memory");
}

/* Text from the machine's offset on: a slice of memory, or of `chunk`. False: it cannot be read. */
static bool body_at(struct session *s, uint8_t *chunk, size_t room, struct slice *out)
{
	const struct body *b = &s->request.body;
	uint64_t offset = smtpc_body_offset(s->smtp);
	if (b->bytes.p != NULL) {
		*out = slice_first(slice_from(b->bytes, (size_t)offset), room);
		return true;
	}
	ssize_t n = pread(b->fd, chunk, room, (off_t)offset);
	if (n < 0) {
		snprintf(s->error, sizeof(s->error), "cannot read the message: %s",
			 strerror(errno));
		return false;
	}
	*out = slice_make(chunk, (size_t)n);
	return true;
}

static void ask_for_dot(struct session *s)
{
	s->dot = DOT_ASKED;
	s->request.before_dot(s->request.before_dot_arg);
}

/* All of a small text is with the machine and nothing of it has left: the end of it is all that a
 * peer could wait for. */
static bool is_small_and_whole(const struct session *s)
{
	uint64_t size = s->request.smtp.message->size;
	return s->request.before_dot != NULL && s->dot == DOT_UNASKED && size <= TOGETHER_MAX &&
	       smtpc_want(s->smtp) == SMTPC_WANT_BODY && smtpc_body_offset(s->smtp) == size &&
	       buf_len(&s->wire) == 0;
}

/* The text goes as a chunk: nothing of the transaction has left, envelope and text go in one piece.
 */
static bool asks_before_all(const struct session *s)
{
	return smtpc_body_is_chunk(s->smtp) && s->request.before_dot != NULL &&
	       s->dot == DOT_UNASKED && smtpc_want(s->smtp) == SMTPC_WANT_BODY;
}

static void feed_body(struct session *s)
{
	uint8_t chunk[SMTPC_BODY_CHUNK / 2];
	struct slice text;
	bool is_chunk = smtpc_body_is_chunk(s->smtp);
	if (!body_at(s, chunk, sizeof(chunk), &text)) {
		session_fail_local(s, NULL);
		return;
	}
	if (text.n == 0 && s->request.before_dot != NULL && s->dot == DOT_UNASKED) {
		ask_for_dot(s);
		return;
	}
	smtpc_body(s->smtp, text);
	if (text.n == 0 || (is_chunk && !smtpc_body_is_chunk(s->smtp)))
		s->dot = DOT_UNASKED; /* a further transaction of this session asks again */
	s->together = text.n > 0 && is_small_and_whole(s);
	if (s->together)
		ask_for_dot(s);
}

/* --- TLS --- */

static void start_tls(struct session *s)
{
	struct tls_options o = {.kind = s->request.kind,
				.no_resumption = s->request.no_resumption || s->full_handshake,
				.keep_der = s->request.keep_der,
				.peer = s->place.peer};
	s->tls = tls_connect(s->engine->tls, s->request.terms, &o, s->error, sizeof(s->error));
	if (s->tls == NULL) { /* T10 */
		session_fail_local(s, NULL);
		return;
	}
	s->stage = STAGE_HANDSHAKE;
}

static void handshake_state(struct session *s, enum tls_state state)
{
	if (s->stage != STAGE_HANDSHAKE)
		return;
	if (state == TLS_UP) {
		s->stage = STAGE_TLS;
		smtpc_tls_done(s->smtp, true);
	} else if (state == TLS_FAILED || state == TLS_CLOSED) {
		tls_pending(s->tls, &s->wire); /* the alert, so that their log says why */
		smtpc_tls_done(s->smtp, false);
	}
}

static void hear(struct session *s, struct slice text)
{
	smtpc_recv(s->smtp, text);
	reply_clock_heard(&s->clock, smtpc_replies(s->smtp), loop_now_ms());
}

static void take_cipher(struct session *s, struct slice bytes)
{
	do {
		enum tls_state state = tls_feed(s->tls, bytes, &s->plain);
		bytes = (struct slice){0};
		handshake_state(s, state);
		struct slice text = buf_slice(&s->plain);
		if (text.n == 0) {
			if (s->stage == STAGE_TLS && (state == TLS_CLOSED || state == TLS_FAILED))
				lost(s);
			return;
		}
		hear(s, text);
		buf_reset(&s->plain);
	} while (s->stage == STAGE_TLS);
}

/* --- Events --- */

static void read_socket(struct session *s)
{
	uint8_t bytes[SESSION_READ_CHUNK];
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		lost(s);
	else if (s->stage == STAGE_CLEAR)
		hear(s, slice_make(bytes, (size_t)n));
	else
		take_cipher(s, slice_make(bytes, (size_t)n));
}

/* The last words, once: what does not fit now is not worth waiting for. */
static void part(struct session *s)
{
	if (s->stage != STAGE_CLEAR && s->stage != STAGE_HANDSHAKE && s->stage != STAGE_TLS)
		return;
	move_output(s);
	if (s->stage == STAGE_TLS) {
		tls_shutdown(s->tls);
		tls_pending(s->tls, &s->wire);
	}
	flush(s);
}

/* The connection had died while it waited: the message goes over a new one, from the start. */
static void start_afresh(struct session *s)
{
	loop_io_free(&s->io);
	tls_conn_free(&s->tls);
	smtpc_free(&s->smtp);
	buf_reset(&s->wire);
	buf_reset(&s->plain);
	close(s->fd);
	s->fd = -1;
	s->stage = STAGE_CONNECTING;
	s->connected = s->eof = s->reused = s->together = false;
	s->progress = 0;
	s->carried = 0;
	s->clock = (struct reply_clock){0};
	session_connect(s);
}

/* A host may choke on its own ticket: it alerts, or closes before it has said a word under TLS.
 * That is our doing, and says nothing of the host: once more without (T9). */
static bool choked_on_ticket(struct session *s)
{
	enum smtpc_end end = smtpc_result(s->smtp);
	if (s->full_handshake || s->tls == NULL || !tls_conn_offered_session(s->tls) ||
	    smtpc_reached(s->smtp) >= SMTPC_REACHED_HELLO ||
	    (end != SMTPC_TLS_FAILED && end != SMTPC_CLOSED))
		return false;
	tls_conn_forget_session(s->tls);
	s->full_handshake = true;
	return true;
}

/* The machine is done with the message. */
static void message_ended(struct session *s)
{
	bool sated = !s->again && s->dot == DOT_UNASKED && smtpc_was_sated(s->smtp);
	if (choked_on_ticket(s)) {
		start_afresh(s);
	} else if (sated || (s->reused && smtpc_was_stale(s->smtp))) {
		s->again = s->again || sated;
		start_afresh(s);
	} else if (smtpc_want(s->smtp) == SMTPC_WANT_IDLE) {
		s->duty = DUTY_REPORT;
		loop_io_want(s->io, LOOP_READ); /* see on_io: for one turn of the loop */
		loop_timer_set(s->timer, 0);
	} else {
		part(s);
		session_finish(s);
	}
}

void session_begin_mail(struct session *s)
{
	const struct smtpc_message *m = s->request.smtp.message;
	s->part = PART_MAIL;
	session_time_begin(&s->time, m != NULL ? session_time_for_mail(m) : 0, loop_now_ms());
}

/* All of the message is out: now the host's word is worth waiting for, over LMTP one for each
 * recipient. A further transaction goes on with what time is left, and its text. */
static void turn_time(struct session *s, uint64_t now)
{
	const struct smtpc_message *m = s->request.smtp.message;
	bool out = smtpc_past_final_dot(s->smtp);
	if (s->part == PART_MAIL && out) {
		uint64_t most = (uint64_t)s->engine->timeouts.data_done + s->engine->timeouts.mail +
				(uint64_t)SESSION_TIME_RCPT_MS * m->nrcpt;
		s->part = PART_VERDICT;
		s->mail = s->time;
		session_time_begin(&s->time, most, now);
	} else if (s->part == PART_VERDICT && !out) {
		s->mail.most_ms += now - s->time.since_ms + session_time_for_text(m->size);
		s->part = PART_MAIL;
		s->time = s->mail;
	}
}

/* Time for the host's next step: as the RFC says, within what the session may take in all. */
static uint32_t next_wait_ms(struct session *s)
{
	uint64_t now = loop_now_ms();
	if (s->part == PART_OPENING && smtpc_reached(s->smtp) >= SMTPC_REACHED_HELLO) {
		s->opening_ms = now - s->since_ms;
		session_begin_mail(s);
	}
	turn_time(s, now);
	return session_time_cap(&s->time, smtpc_timeout_ms(s->smtp), now);
}

/* The timer first fires when the host takes long, and then once more when it takes too long. */
static void wait_for_host(struct session *s, uint32_t ms)
{
	s->more_ms = ms > REST_WAIT_MS ? ms - REST_WAIT_MS : 0;
	loop_timer_set(s->timer, ms > REST_WAIT_MS ? REST_WAIT_MS : ms);
}

/* False: it was all that there was to wait. */
static bool wait_on(struct session *s)
{
	uint32_t ms = s->more_ms;
	s->more_ms = 0;
	if (ms == 0)
		return false;
	if (s->stage != STAGE_HANDSHAKE)
		rest(s);
	loop_timer_set(s->timer, ms);
	return true;
}

void session_pump(struct session *s)
{
	while (s->stage != STAGE_OVER) {
		if (smtpc_result(s->smtp) != SMTPC_RUNNING) {
			message_ended(s);
			return;
		}
		if (asks_before_all(s)) {
			s->together = true;
			ask_for_dot(s);
		}
		if (s->together)
			break;
		move_output(s);
		flush(s);
		if (s->stage == STAGE_OVER || smtpc_result(s->smtp) != SMTPC_RUNNING)
			continue;
		bool drained = buf_len(&s->wire) == 0 && buf_len(smtpc_output(s->smtp)) == 0;
		enum smtpc_want want = smtpc_want(s->smtp);
		if (want == SMTPC_WANT_STARTTLS && s->stage == STAGE_CLEAR && drained)
			start_tls(s);
		else if (want == SMTPC_WANT_BODY && s->dot != DOT_ASKED &&
			 buf_len(&s->wire) < WIRE_ENOUGH)
			feed_body(s);
		else if (buf_len(smtpc_output(s->smtp)) == 0 || buf_len(&s->wire) >= WIRE_ENOUGH)
			break;
	}
	if (s->stage == STAGE_OVER)
		return;
	loop_io_want(s->io, LOOP_READ | (buf_len(&s->wire) > 0 ? LOOP_WRITE : 0));
	/* Only progress buys time: a peer that drips octets does not. */
	if (smtpc_progress(s->smtp) != s->progress) {
		s->progress = smtpc_progress(s->smtp);
		wait_for_host(s, next_wait_ms(s));
	}
}

static void on_connected(struct session *s)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		snprintf(s->error, sizeof(s->error), "%s", strerror(error));
		session_finish(s);
		return;
	}
	s->smtp = smtpc_new(&s->request.smtp);
	if (s->smtp == NULL) {
		session_fail_local(s, "out of memory");
		return;
	}
	s->connected = true;
	s->stage = STAGE_CLEAR;
	session_pump(s);
}

/* Tickets and the like may come; any word ends it. */
static void on_idle_io(struct session *s)
{
	read_socket(s);
	move_output(s);
	flush(s);
	if (smtpc_want(s->smtp) == SMTPC_WANT_IDLE && !s->eof)
		return;
	pool_remove(&s->engine->pool, &s->place);
	session_leave(&s->place);
}

void session_on_io(void *arg, unsigned ready)
{
	struct session *s = arg;
	if (s->duty == DUTY_REPORT) /* heard when it waits, in a moment */
		return;
	if (s->duty == DUTY_IDLE) {
		on_idle_io(s);
		return;
	}
	if (s->stage == STAGE_CONNECTING) {
		on_connected(s);
		return;
	}
	if (ready & LOOP_READ)
		read_socket(s);
	session_pump(s);
}

static void on_idle_timer(struct session *s)
{
	if (s->awake) {
		s->awake = false;
		rest(s);
		loop_timer_set(s->timer, s->engine->keep_ms - REST_AFTER_MS);
		return;
	}
	pool_remove(&s->engine->pool, &s->place);
	session_leave(&s->place);
}

void session_on_timer(void *arg)
{
	struct session *s = arg;
	if (s->duty == DUTY_IDLE) {
		on_idle_timer(s);
		return;
	}
	if (s->duty == DUTY_REPORT) {
		report(s);
		return;
	}
	switch (s->stage) {
	case STAGE_OVER:
		report(s);
		return;
	case STAGE_CONNECTING:
		snprintf(s->error, sizeof(s->error), "no connection within %u s",
			 s->engine->connect_ms / 1000);
		session_finish(s);
		return;
	case STAGE_CLEAR:
	case STAGE_HANDSHAKE:
	case STAGE_TLS:
		if (wait_on(s))
			return;
		smtpc_timed_out(s->smtp);
		session_pump(s);
		return;
	}
}

void session_finish_text(struct session *s, bool go)
{
	if (s->dot != DOT_ASKED || s->stage == STAGE_OVER)
		return;
	s->dot = DOT_ALLOWED;
	if (!go) {
		session_fail_local(
		    s, "the attempt could not be recorded before the end of the message");
		return;
	}
	if (s->together)
		feed_body(s);
	s->together = false;
	if (s->stage != STAGE_CONNECTING)
		session_pump(s);
}
