/* SPDX-License-Identifier: MIT */
/*
 * How a session begins: over a connection that waits on equal terms (T9), or over a new one. Knows
 * the pool; refuses to know what is said.
 */
#include "engine/dial.h"
#include "engine/session_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_reached(void *arg, int fd, int errnum)
{
	struct session *s = arg;
	s->reaching = NULL;
	s->fd = fd;
	if (fd < 0) { /* as if connect(2) had said so */
		snprintf(s->error, sizeof(s->error), "%s", strerror(errnum));
		session_finish(s);
		return;
	}
	s->io = loop_io_new(s->engine->loop, fd, session_on_io, s);
	if (s->io != NULL)
		loop_io_want(s->io, LOOP_WRITE);
	else
		session_fail_local(s, "out of memory");
}

static void reach(struct session *s)
{
	const struct engine_reach *r = &s->engine->reach;
	s->reaching = r->ask(r->self, s->request.socket, on_reached, s);
	if (s->reaching == NULL)
		session_fail_local(s, "nobody connects to the socket of the route");
	else
		loop_timer_set(s->timer,
			       session_time_cap(&s->time, s->engine->connect_ms, s->since_ms));
}

void session_connect(struct session *s)
{
	s->since_ms = loop_now_ms();
	s->part = PART_OPENING;
	session_time_begin(&s->time, s->request.opening_ms, s->since_ms);
	s->fd = -1;
	if (s->request.socket != NULL && s->engine->reach.ask != NULL) {
		reach(s);
		return;
	}
	enum dial d = dial_start(&s->request, &s->fd, s->error, sizeof(s->error));
	s->io = d == DIAL_UNDER_WAY ? loop_io_new(s->engine->loop, s->fd, session_on_io, s) : NULL;
	if (s->io != NULL) {
		loop_io_want(s->io, LOOP_WRITE);
		loop_timer_set(s->timer,
			       session_time_cap(&s->time, s->engine->connect_ms, s->since_ms));
		return;
	}
	s->local_error = d != DIAL_REFUSED;
	if (d == DIAL_UNDER_WAY)
		snprintf(s->error, sizeof(s->error), "out of memory");
	session_finish(s);
}

enum {
	/* Hosts give connections up after seconds of silence. When one that was silent for longer
	   than this breaks at the next message, it should be certain that the message was not on
	   its way. */
	RESTED_MS = 1000,
};

/* Where the request would wait, and with whom it shares. false: it neither waits nor shares. */
static bool make_place(const struct engine *e, const struct session_request *r,
		       struct pool_place *out)
{
	char address[IPADDR_TEXT_MAX];
	const char *protocol = r->smtp.lmtp ? "lmtp " : "";
	ipaddr_to_text(&r->address, address);
	*out = (struct pool_place){.tls = r->smtp.tls, .leave = session_leave};
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
	reply_clock_restart(&s->clock);
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
	buf_init(&s->wire, SESSION_WIRE_MAX);
	buf_init(&s->plain, SESSION_READ_CHUNK * 2);
	s->timer = loop_timer_new(e->loop, session_on_timer, s);
	if (s->timer == NULL) {
		session_release(s);
		return NULL;
	}
	return s;
}

/* Who has to be asked before the text goes is not asked inside the call that gave it to us: the
 * socket is writable, so the loop comes back at once. */
static void go_on(struct session *s)
{
	if (!smtpc_body_is_chunk(s->smtp) || s->request.before_dot == NULL) {
		session_pump(s);
		return;
	}
	loop_io_want(s->io, LOOP_READ | LOOP_WRITE);
	loop_timer_set(s->timer, smtpc_timeout_ms(s->smtp));
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
	s->request.smtp.chunking = e->conf->smtp_chunking && !r->again &&
				   !no_chunks_has(&e->no_chunks, place.peer, loop_now_ms());
	s->cb = cb;
	s->arg = arg;
	if (s->reused) {
		bool rested = loop_now_ms() - s->idle_ms > RESTED_MS;
		smtpc_next_message(s->smtp, r->smtp.message, rested || r->again);
		s->opening_ms = 0;
		session_begin_mail(s);
		go_on(s);
	} else {
		session_connect(s);
	}
	return s;
}
