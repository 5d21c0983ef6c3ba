/* SPDX-License-Identifier: MIT */
/*
 * One SMTP session over one socket: moves bytes between the kernel, TLS and the client machine.
 * Knows no SMTP and no policy; the one rule it enforces is that nothing of the machine's output
 * leaves in clear once TLS was asked for (T8).
 *
 * A session that went well may wait in the engine's pool (T9). Then it has no owner and its request
 * is void; session_start() hands it to the next owner.
 */
#include "engine/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_CHUNK = 32768,
	WIRE_MAX = 512 * 1024,    /* ciphertext or clear text waiting for the socket */
	WIRE_ENOUGH = 64 * 1024,  /* more is made only below this */
	TOGETHER_MAX = 16 * 1024, /* a text up to this goes out in one piece with its final dot */
	ERROR_MAX = 256,
	/* Many hosts count; and a certificate that expires, or a host that is taken out of
	   service, must not live on in an old connection. */
	CARRIED_MAX = 100,   /* messages over one connection */
	AGE_MAX_MS = 300000, /* of a connection that takes another message */
	/* A connection that served again is likely to do so soon: so long it keeps its buffers. */
	REST_AFTER_MS = 500,
};

/* The permission to end the message. */
enum dot { DOT_UNASKED, DOT_ASKED, DOT_ALLOWED };

enum stage {
	STAGE_CONNECTING,
	STAGE_CLEAR,
	STAGE_HANDSHAKE,
	STAGE_TLS,
	STAGE_OVER,
};

/* Whom the timer and the socket serve. */
enum duty {
	DUTY_MESSAGE, /* the owner's message, up to its report */
	DUTY_REPORT,  /* the message ended well and the connection stays: the owner will be told */
	DUTY_IDLE,    /* nobody: in the pool */
};

struct session {
	struct engine *engine;
	enum duty duty;
	struct pool_place place;
	bool reused;       /* not the first message of this connection */
	bool awake;        /* idle, with its buffers */
	unsigned carried;  /* messages so far, without the present one */
	uint64_t since_ms; /* of the connection */
	struct session_request request;
	session_cb *cb;
	void *arg;
	enum stage stage;
	bool connected;
	bool eof;
	enum dot dot;
	bool together;     /* the text waits for the permission to end it */
	uint64_t progress; /* of the machine when the timer was set */
	int fd;
	void *reaching; /* of engine_reach: not NULL while it is asked */
	struct loop_io *io;
	struct loop_timer *timer;
	struct smtpc *smtp;
	struct tls_conn *tls;
	struct buf wire;       /* to the socket */
	struct buf plain;      /* decrypted, for the machine */
	char error[ERROR_MAX]; /* of the connection, or local */
	bool local_error;
};

static void pump(struct session *s);
static void read_socket(struct session *s);
static void part(struct session *s);
static void open_connection(struct session *s);

/* --- The end --- */

static void stop_reaching(struct session *s)
{
	if (s->reaching != NULL)
		s->engine->reach.cancel(s->engine->reach.self, s->reaching);
	s->reaching = NULL;
}

static void release(struct session *s)
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
		release(*s);
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
static void leave(struct pool_place *p)
{
	struct session *s = p->owner;
	smtpc_quit(s->smtp);
	part(s);
	release(s);
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
	};
	struct session_outcome o;
	trouble_judge(&f, &o);
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
		leave(&s->place);
	else
		release(s);
}

/* The callback must not run inside the caller's call: the end is told from the loop. */
static void finish(struct session *s)
{
	if (s->stage == STAGE_OVER)
		return;
	s->stage = STAGE_OVER;
	stop_reaching(s);
	if (s->io != NULL) /* NULL: there was no socket to be had */
		loop_io_want(s->io, 0);
	loop_timer_set(s->timer, 0); /* see on_timer: the timer needs no memory */
}

static void fail_local(struct session *s, const char *what)
{
	s->local_error = true;
	if (s->error[0] == '\0' || what != NULL)
		snprintf(s->error, sizeof(s->error), "%s", what != NULL ? what : "out of memory");
	if (s->smtp != NULL)
		smtpc_abort(s->smtp, SMTPC_LOCAL);
	finish(s);
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
		fail_local(s, "out of memory");
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

static void feed_body(struct session *s)
{
	uint8_t chunk[SMTPC_BODY_CHUNK / 2];
	struct slice text;
	if (!body_at(s, chunk, sizeof(chunk), &text)) {
		fail_local(s, NULL);
		return;
	}
	if (text.n == 0 && s->request.before_dot != NULL && s->dot == DOT_UNASKED) {
		ask_for_dot(s);
		return;
	}
	smtpc_body(s->smtp, text);
	if (text.n == 0)
		s->dot = DOT_UNASKED; /* a further transaction of this session asks again */
	s->together = text.n > 0 && is_small_and_whole(s);
	if (s->together)
		ask_for_dot(s);
}

/* --- TLS --- */

static void start_tls(struct session *s)
{
	struct tls_options o = {.kind = s->request.kind,
				.no_resumption = s->request.no_resumption,
				.keep_der = s->request.keep_der,
				.peer = s->place.peer};
	s->tls = tls_connect(s->engine->tls, s->request.terms, &o, s->error, sizeof(s->error));
	if (s->tls == NULL) { /* T10 */
		fail_local(s, NULL);
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
		smtpc_recv(s->smtp, text);
		buf_reset(&s->plain);
	} while (s->stage == STAGE_TLS);
}

/* --- Events --- */

static void read_socket(struct session *s)
{
	uint8_t bytes[READ_CHUNK];
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		lost(s);
	else if (s->stage == STAGE_CLEAR)
		smtpc_recv(s->smtp, slice_make(bytes, (size_t)n));
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
	s->connected = s->eof = s->reused = false;
	s->progress = 0;
	s->carried = 0;
	open_connection(s);
}

/* The machine is done with the message. */
static void message_ended(struct session *s)
{
	if (s->reused && smtpc_was_stale(s->smtp)) {
		start_afresh(s);
	} else if (smtpc_want(s->smtp) == SMTPC_WANT_IDLE) {
		s->duty = DUTY_REPORT;
		loop_io_want(s->io, LOOP_READ); /* see on_io: for one turn of the loop */
		loop_timer_set(s->timer, 0);
	} else {
		part(s);
		finish(s);
	}
}

/* Does what the machine wishes until it has to wait. */
static void pump(struct session *s)
{
	while (s->stage != STAGE_OVER) {
		if (smtpc_result(s->smtp) != SMTPC_RUNNING) {
			message_ended(s);
			return;
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
		loop_timer_set(s->timer, smtpc_timeout_ms(s->smtp));
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
		finish(s);
		return;
	}
	s->smtp = smtpc_new(&s->request.smtp);
	if (s->smtp == NULL) {
		fail_local(s, "out of memory");
		return;
	}
	s->connected = true;
	s->stage = STAGE_CLEAR;
	pump(s);
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
	leave(&s->place);
}

static void on_io(void *arg, unsigned ready)
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
	pump(s);
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
	leave(&s->place);
}

static void on_timer(void *arg)
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
		finish(s);
		return;
	case STAGE_CLEAR:
	case STAGE_HANDSHAKE:
	case STAGE_TLS:
		smtpc_timed_out(s->smtp);
		pump(s);
		return;
	}
}

void session_finish_text(struct session *s, bool go)
{
	if (s->dot != DOT_ASKED || s->stage == STAGE_OVER)
		return;
	s->dot = DOT_ALLOWED;
	if (!go) {
		fail_local(s, "the attempt could not be recorded before the end of the message");
		return;
	}
	if (s->together)
		feed_body(s);
	s->together = false;
	pump(s);
}

/* --- The start --- */

static void on_reached(void *arg, int fd, int errnum)
{
	struct session *s = arg;
	s->reaching = NULL;
	s->fd = fd;
	if (fd < 0) { /* as if connect(2) had said so */
		snprintf(s->error, sizeof(s->error), "%s", strerror(errnum));
		finish(s);
		return;
	}
	s->io = loop_io_new(s->engine->loop, fd, on_io, s);
	if (s->io != NULL)
		loop_io_want(s->io, LOOP_WRITE);
	else
		fail_local(s, "out of memory");
}

static void reach(struct session *s)
{
	const struct engine_reach *r = &s->engine->reach;
	s->reaching = r->ask(r->self, s->request.socket, on_reached, s);
	if (s->reaching == NULL)
		fail_local(s, "nobody connects to the socket of the route");
	else
		loop_timer_set(s->timer, s->engine->connect_ms);
}

static void open_connection(struct session *s)
{
	s->since_ms = loop_now_ms();
	s->fd = -1;
	if (s->request.socket != NULL && s->engine->reach.ask != NULL) {
		reach(s);
		return;
	}
	enum dial d = dial_start(&s->request, &s->fd, s->error, sizeof(s->error));
	s->io = d == DIAL_UNDER_WAY ? loop_io_new(s->engine->loop, s->fd, on_io, s) : NULL;
	if (s->io != NULL) {
		loop_io_want(s->io, LOOP_WRITE);
		loop_timer_set(s->timer, s->engine->connect_ms);
		return;
	}
	s->local_error = d != DIAL_REFUSED;
	if (d == DIAL_UNDER_WAY)
		snprintf(s->error, sizeof(s->error), "out of memory");
	finish(s);
}

/* Where the request would wait, and with whom it shares. false: it neither waits nor shares. */
static bool make_place(const struct engine *e, const struct session_request *r,
		       struct pool_place *out)
{
	char address[IPADDR_TEXT_MAX];
	const char *protocol = r->smtp.lmtp ? "lmtp " : "";
	ipaddr_to_text(&r->address, address);
	*out = (struct pool_place){.tls = r->smtp.tls, .leave = leave};
	if (r->socket != NULL)
		snprintf(out->peer, sizeof(out->peer), "%sunix:%s", protocol, r->socket);
	else
		snprintf(out->peer, sizeof(out->peer), "%s%s:%u", protocol, address, r->port);
	if (r->smtp.auth != NULL)
		snprintf(out->user, sizeof(out->user), "%s", r->smtp.auth->user);
	struct tls_options o = {.kind = r->kind, .peer = out->peer};
	return e->keep_ms > 0 && r->smtp.message != NULL && !r->no_resumption &&
	       tls_terms_key_make(r->terms, &o, &out->key);
}

static struct session *take_kept(struct engine *e, const struct pool_place *like)
{
	struct pool_place *p = pool_take(&e->pool, like);
	if (p == NULL)
		return NULL;
	struct session *s = p->owner;
	s->reused = true;
	s->duty = DUTY_MESSAGE;
	s->dot = DOT_UNASKED;
	s->together = false;
	return s;
}

static struct session *session_new(struct engine *e)
{
	struct session *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	*s = (struct session){.engine = e, .fd = -1};
	buf_init(&s->wire, WIRE_MAX);
	buf_init(&s->plain, READ_CHUNK * 2);
	s->timer = loop_timer_new(e->loop, on_timer, s);
	if (s->timer == NULL) {
		release(s);
		return NULL;
	}
	return s;
}

struct session *session_start(struct engine *e, const struct session_request *r, session_cb *cb,
			      void *arg)
{
	struct pool_place place;
	bool keep = make_place(e, r, &place);
	struct session *s = keep ? take_kept(e, &place) : NULL;
	if (s == NULL)
		s = session_new(e);
	if (s == NULL)
		return NULL;
	place.owner = s;
	s->place = place;
	s->request = *r;
	s->request.smtp.keep = keep;
	s->cb = cb;
	s->arg = arg;
	if (s->reused) {
		smtpc_next_message(s->smtp, r->smtp.message);
		pump(s);
	} else {
		open_connection(s);
	}
	return s;
}
