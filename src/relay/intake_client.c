/* SPDX-License-Identifier: MIT */
/*
 * One client of an intake: moves bytes between the socket, TLS and the server machine, answers its
 * questions (P3), and takes the text to the keeper. The 250 at the end is the keeper's word, never
 * ours.
 */
#include "relay/intake_int.h"

#include "idn/idn.h"
#include "relay/postmaster.h"
#include "wire/destination.h"
#include "wire/origin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	READ_CHUNK = 32768,
	WIRE_MAX = 512 * 1024,
	WIRE_ENOUGH = 64 * 1024,
	RECEIVED_MAX = 100, /* RFC 5321 s6.3: more hops than that is a loop */
	SUBMIT_MEM_MAX = 16 * 1024 * 1024,
	REPLY_ROOM = 512,
	LINGER_MS = 1000,
	TRACE_ROOM = 512, /* of nearly all trace fields */
	ERRORS_MAX = 20,  /* stops scanners */
	JUNK_MAX = 100,   /* as many as Postfix takes: stops sessions that do nothing */
};

static const char NO_ROOM[] = "4.3.1 No room for more text, try again later";

static void pump(struct client *c);

void client_pump(struct client *c)
{
	pump(c);
}

/* --- Life --- */

void client_free(struct client *c)
{
	loop_io_free(&c->io);
	loop_timer_free(&c->timer);
	smtps_free(&c->smtp);
	tlss_free(&c->tls);
	buf_free(&c->wire);
	buf_free(&c->plain);
	mailtext_free(&c->text);
	intake_leave(c);
	close(c->fd);
	free(c);
}

void client_log(struct client *c, enum log_level level, const char *event, const char *key,
		const char *value)
{
	struct intake *t = c->intake;
	char address[IPADDR_TEXT_MAX];
	uint32_t left_out = 0;
	bool may = strcmp(event, "login") == 0 || /* a user's, and no stranger's */
		   log_quota_take(&t->quota, event, loop_now_ms(), &left_out);
	intake_log_left_out(t, event, left_out);
	if (!may) {
		loop_timer_set(t->left_out, LOG_QUOTA_MS);
		return;
	}
	ipaddr_to_text(&c->address, address);
	log_event(c->intake->process.log, level, event, "client", address, "listener",
		  c->listener->name, key, value, NULL);
}

void client_log_some(struct client *c, enum log_level level, const char *event, const char *key,
		     const char *value)
{
	struct intake *t = c->intake;
	if (++t->lines <= CLIENT_LINES_A_SECOND)
		client_log(c, level, event, key, value);
}

static void end(struct client *c)
{
	intake_forget(c);
	client_free(c);
}

/* --- Decisions --- */

static void decide_connect(struct client *c)
{
	char text[REPLY_ROOM];
	const char *no = intake_refusal(c);
	if (no != NULL) {
		smtps_decide(c->smtp, 421, no);
		return;
	}
	c->welcome = true;
	snprintf(text, sizeof(text), "%s ESMTP Danelaw", c->intake->host);
	smtps_decide(c->smtp, 220, text);
}

bool client_login(struct client *c, bool check)
{
	enum users_verdict v = USERS_NO;
	if (check && c->intake->users != NULL)
		v = users_check(c->intake->users, slice_str(smtps_user(c->smtp)),
				slice_str(smtps_password(c->smtp)));
	client_log(c, v == USERS_YES ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
		   v == USERS_YES ? "login"
		   : check        ? "login-refused"
				  : "login-unchecked",
		   "user", smtps_user(c->smtp));
	c->login = 0;
	if (!check)
		smtps_decide(c->smtp, 421, "4.7.0 Too many failed logins from your network");
	else if (v == USERS_YES)
		smtps_decide(c->smtp, 235, "2.7.0 Authentication successful");
	else if (v == USERS_NO)
		smtps_decide(c->smtp, 535, "5.7.8 Authentication credentials invalid");
	else
		smtps_decide(c->smtp, 454, "4.7.0 Temporary authentication failure");
	if (v == USERS_YES)
		intake_logged_in(c);
	pump(c);
	return v != USERS_NO;
}

/* --- The message --- */

static bool make_queue_id(struct client *c)
{
	struct intake *t = c->intake;
	if (t->nrandom == 0) {
		if (getrandom(t->random, RANDOM_STOCK, 0) != RANDOM_STOCK)
			return false;
		t->nrandom = RANDOM_STOCK;
	}
	t->nrandom -= QUEUE_ID_LEN / 2;
	hex_encode(slice_make(t->random + t->nrandom, QUEUE_ID_LEN / 2), c->queue_id);
	return true;
}

static const char *date_text(struct date *d)
{
	struct tm tm;
	time_t now = (time_t)loop_wall_s();
	if (d->second == now)
		return d->text;
	d->second = now;
	if (localtime_r(&now, &tm) == NULL ||
	    strftime(d->text, sizeof(d->text), "%a, %d %b %Y %H:%M:%S %z", &tm) == 0)
		d->text[0] = '\0';
	return d->text;
}

/* RFC 5321 s4.4, with-types of RFC 3848, the tls clause of RFC 8314 s4.3 (A4). */
static enum mailtext_status add_trace_field(struct client *c)
{
	struct buf b;
	char address[IPADDR_TEXT_MAX];
	const struct smtps_envelope *e = smtps_envelope(c->smtp);
	buf_init(&b, 4096);
	buf_reserve(&b, TRACE_ROOM);
	ipaddr_to_text(&c->address, address);
	buf_addf(&b, "Received: from %s ([%s%s])\r\n", e->helo,
		 c->address.family == 6 ? "IPv6:" : "", address);
	buf_addf(&b, "\tby %s (Danelaw) with %s id %s", c->intake->host, smtps_with(c->smtp),
		 c->queue_id);
	if (c->tls_up)
		buf_addf(&b, "\r\n\ttls %s", tlss_facts(c->tls)->cipher);
	if (e->nrcpt == 1 && strchr(e->rcpt[0].address, '@') != NULL)
		buf_addf(&b, "\r\n\tfor <%s>", e->rcpt[0].address);
	buf_addf(&b, ";\r\n\t%s\r\n", date_text(&c->intake->date));
	enum mailtext_status s =
	    buf_ok(&b) ? mailtext_add(&c->text, buf_slice(&b)) : MAILTEXT_BROKEN;
	buf_free(&b);
	return s;
}

static void forget_text(struct client *c)
{
	mailtext_free(&c->text);
	mailtext_init(&c->text, &c->room);
}

static void begin_text(struct client *c)
{
	forget_text(c);
	enum mailtext_status s = MAILTEXT_BROKEN;
	if (c->intake->keeper != NULL && make_queue_id(c))
		s = add_trace_field(c);
	if (s == MAILTEXT_NO_ROOM)
		smtps_decide(c->smtp, 452, NO_ROOM);
	else if (s != MAILTEXT_OK)
		smtps_decide(c->smtp, 451, "4.3.0 Queue trouble, try again later");
	else
		smtps_decide(c->smtp, 354, "End data with <CR><LF>.<CR><LF>");
}

static bool fill_submit(struct client *c, struct arena *mem, struct submit *s)
{
	char address[IPADDR_TEXT_MAX];
	const struct smtps_envelope *e = smtps_envelope(c->smtp);
	ipaddr_to_text(&c->address, address);
	const char *user = smtps_authenticated(c->smtp) ? smtps_user(c->smtp) : NULL;
	s->token = c->token;
	s->again = c->again > 0;
	s->mail = (struct mail){
	    .queue_id = c->queue_id,
	    .reverse_path = intake_wire_address(mem, e->reverse_path),
	    .envid = e->envid,
	    .ret = e->ret,
	    .origin = user != NULL ? arena_printf(mem, "user %s at %s", user, address)
				   : arena_printf(mem, "client %s", address),
	    .origin_key = user != NULL ? origin_of_user(user) : origin_of_address(&c->address),
	    .size = c->text.size,
	    .eight_bit = c->text.eight_bit,
	    .smtputf8 = e->smtputf8,
	    .nrcpt = e->nrcpt,
	    .text = c->text.fd < 0 ? buf_slice(&c->text.small) : (struct slice){0},
	};
	s->mail.rcpt = arena_array(mem, e->nrcpt, sizeof(*s->mail.rcpt));
	for (size_t i = 0; s->mail.rcpt != NULL && i < e->nrcpt; i++)
		s->mail.rcpt[i] =
		    (struct mail_rcpt){0, intake_destination(c, mem, e->rcpt[i].address),
				       e->rcpt[i].orcpt, e->rcpt[i].notify};
	return !mem->failed;
}

static bool submit(struct client *c)
{
	struct arena mem;
	struct submit s;
	arena_init(&mem, SUBMIT_MEM_MAX);
	c->token = ++c->intake->last_token;
	bool ok =
	    c->intake->keeper != NULL && !c->intake->process.orphaned && fill_submit(c, &mem, &s);
	if (ok) {
		submit_put(channel_begin(c->intake->keeper, MSG_SUBMIT), &s);
		ok = channel_send(c->intake->keeper, c->text.fd);
	}
	if (!ok)
		c->token = 0;
	arena_free(&mem);
	return ok;
}

static void end_text(struct client *c)
{
	if (c->text.received > RECEIVED_MAX)
		smtps_decide(c->smtp, 554, "5.4.6 Too many hops");
	else if (!submit(c))
		smtps_decide(c->smtp, 451, "4.3.0 Queue trouble, try again later");
	/* else: client_submitted() will be called */
}

void client_submitted(struct client *c, uint16_t code, const char *text)
{
	char number[LOG_INT_TEXT];
	c->token = 0;
	c->again = 0;
	if (code == 250)
		intake_brought_mail(c);
	if (code == 250)
		log_event(c->intake->process.log, LOG_LEVEL_INFO, "accepted", "id", c->queue_id,
			  "from", smtps_envelope(c->smtp)->reverse_path, NULL);
	else
		client_log(c, LOG_LEVEL_ERROR, "not-accepted", "code", log_int(number, code));
	forget_text(c);
	smtps_decide(c->smtp, code, text);
	pump(c);
}

void client_keeper_gone(struct client *c)
{
	uint64_t now = loop_now_ms();
	if (c->again == 0)
		c->lost_at = now;
	c->text.lent = true; /* who cut us off may be reading it still */
	if (++c->again > AGAIN_MAX)
		client_submitted(c, 451, "4.3.0 Queue trouble, try again later");
}

void client_keeper_there(struct client *c)
{
	if (loop_now_ms() - c->lost_at >= AGAIN_MS || (c->intake->keeper != NULL && !submit(c)))
		client_submitted(c, 451, "4.3.0 Queue trouble, try again later");
}

static void decide(struct client *c)
{
	switch (smtps_question(c->smtp)) {
	case SMTPS_Q_CONNECT:
		decide_connect(c);
		return;
	case SMTPS_Q_AUTH:
		intake_login(c);
		return;
	case SMTPS_Q_MAIL:
		intake_decide_mail(c);
		return;
	case SMTPS_Q_RCPT:
		intake_decide_rcpt(c);
		return;
	case SMTPS_Q_TEXT:
		begin_text(c);
		return;
	case SMTPS_Q_MESSAGE:
		end_text(c);
		return;
	case SMTPS_Q_VRFY:
		smtps_decide(c->smtp, 252, "2.5.2 Cannot verify, but will take mail");
		return;
	}
}

/* --- Bytes --- */

static void flush(struct client *c, int flags)
{
	while (buf_len(&c->wire) > 0) {
		struct slice w = buf_slice(&c->wire);
		ssize_t n = send(c->fd, w.p, w.n, MSG_NOSIGNAL | flags);
		if (n > 0) {
			buf_consume(&c->wire, (size_t)n);
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else {
			if (errno != EAGAIN) {
				buf_reset(&c->wire);
				smtps_closed(c->smtp);
			}
			return;
		}
	}
}

static void move_output(struct client *c)
{
	struct buf *out = smtps_output(c->smtp);
	struct slice text = buf_slice(out);
	if (c->handshaking) {
		tlss_pending(c->tls, &c->wire);
	} else if (c->tls != NULL) {
		if (text.n > 0)
			tlss_write(c->tls, text);
		buf_consume(out, text.n);
		tlss_pending(c->tls, &c->wire);
	} else if (text.n > 0) {
		buf_add_slice(&c->wire, text);
		buf_consume(out, text.n);
	}
}

static void take_text(struct client *c)
{
	struct buf *text = smtps_text(c->smtp);
	enum mailtext_status s = mailtext_add(&c->text, buf_slice(text));
	buf_consume(text, buf_len(text));
	if (s == MAILTEXT_OK)
		return;
	client_log_some(c, LOG_LEVEL_WARN, "no-room-for-text", "id", c->queue_id);
	forget_text(c);
	if (s == MAILTEXT_NO_ROOM)
		smtps_refuse_text(c->smtp, 452, NO_ROOM);
	else /* no memory: the client will come again */
		smtps_closed(c->smtp);
}

static bool start_tls(struct client *c)
{
	char error[256];
	struct tls_server *s =
	    c->listener->submission ? c->intake->tls_submission : c->intake->tls_relay;
	c->tls = tlss_accept(s, loop_wall_s(), error, sizeof(error));
	c->handshaking = c->tls != NULL;
	return c->handshaking;
}

static void handshake_state(struct client *c, enum tls_state state)
{
	if (!c->handshaking || state == TLS_HANDSHAKING)
		return;
	c->handshaking = false;
	c->tls_up = state == TLS_UP;
	if (state != TLS_UP) {
		tlss_pending(c->tls, &c->wire);
		client_log_some(c, LOG_LEVEL_INFO, "tls-failed", "detail",
				tlss_facts(c->tls)->detail);
	}
	smtps_tls_done(c->smtp, c->tls_up);
	if (!c->tls_up && c->listener->implicit_tls) /* there was nothing before it */
		smtps_closed(c->smtp);
}

static void take_cipher(struct client *c, struct slice bytes)
{
	for (;;) {
		enum tls_state state = tlss_feed(c->tls, bytes, &c->plain);
		bytes = (struct slice){0};
		handshake_state(c, state);
		struct slice text = buf_slice(&c->plain);
		if (text.n == 0) {
			if (c->tls_up && (state == TLS_CLOSED || state == TLS_FAILED))
				smtps_closed(c->smtp);
			return;
		}
		smtps_recv(c->smtp, text);
		buf_reset(&c->plain);
		while (smtps_want(c->smtp) == SMTPS_WANT_DRAIN) {
			take_text(c);
			smtps_drained(c->smtp);
		}
		if (smtps_want(c->smtp) == SMTPS_WANT_CLOSE)
			return;
	}
}

static void read_socket(struct client *c)
{
	uint8_t bytes[READ_CHUNK];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		smtps_closed(c->smtp);
	else if (c->tls != NULL)
		take_cipher(c, slice_make(bytes, (size_t)n));
	else
		smtps_recv(c->smtp, slice_make(bytes, (size_t)n));
}

/* Does the client wait for the keeper, or for its turn to log in? */
static bool is_asked(const struct client *c)
{
	return c->token != 0 || c->login != 0;
}

static void say_goodbye(struct client *c)
{
	move_output(c);
	if (c->tls_up) {
		tlss_shutdown(c->tls);
		tlss_pending(c->tls, &c->wire);
	}
	/* The end goes with the last word, in one packet. */
	flush(c, MSG_MORE);
	shutdown(c->fd, SHUT_WR);
	c->over = true;
	forget_text(c);
	intake_leave(c);
	/* Freed from the loop: callers up the stack still hold it. Who was cut off in the middle of
	 * a word is still read for a moment: closing with unread octets would make the kernel drop
	 * the reply that says why. */
	enum smtps_end how = smtps_result(c->smtp);
	bool quiet = (how == SMTPS_SHUTDOWN || how == SMTPS_TIMEOUT) && !c->patience.in_text;
	bool linger = c->welcome && !quiet && how != SMTPS_QUIT && how != SMTPS_CLOSED;
	loop_io_want(c->io, linger ? LOOP_READ : 0);
	loop_timer_set(c->timer, linger ? LINGER_MS : 0);
}

static void discard(struct client *c)
{
	uint8_t bytes[READ_CHUNK];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		loop_io_want(c->io, 0);
		loop_timer_set(c->timer, 0);
	}
}

/* A client that makes progress has its timer set again only when it fires: that is rare. */
static void arm(struct client *c)
{
	uint64_t now = loop_now_ms();
	uint64_t deadline = c->patience.deadline;
	if (c->armed != 0 && c->armed <= deadline)
		return;
	c->armed = deadline;
	loop_timer_set(c->timer, (uint32_t)(deadline > now ? deadline - now : 0));
}

/* A handshake has its time as a whole, at 465 too, where the machine knows of none. Its end is
 * progress. */
static struct patience_facts facts_of(const struct client *c)
{
	return (struct patience_facts){
	    .now = loop_now_ms(),
	    .timeout = c->handshaking ? c->config.timeouts->handshake : smtps_timeout_ms(c->smtp),
	    .progress = smtps_progress(c->smtp) + c->tls_up,
	    .in_text = smtps_in_text(c->smtp),
	    .octets = smtps_text_octets(c->smtp),
	};
}

static void wait_on(struct client *c)
{
	/* While the keeper thinks, or the client does not read, nothing more is read: slow clients
	 * cost memory only. Most are silent then: who is not is not listened to from there on. */
	c->unread = c->unread && is_asked(c);
	unsigned read = !c->unread && buf_len(&c->wire) < WIRE_ENOUGH ? LOOP_READ : 0;
	loop_io_want(c->io, read | (buf_len(&c->wire) > 0 ? LOOP_WRITE : 0));
	if (c->text.size > 0 && !smtps_in_text(c->smtp) && !is_asked(c))
		forget_text(c); /* RSET between chunks */
	struct patience_facts now = facts_of(c);
	if (patience_look(&c->patience, &now))
		arm(c);
}

/* Fulfils the machine's wishes until it has to wait. */
static void pump(struct client *c)
{
	while (!c->over) {
		if (buf_len(smtps_text(c->smtp)) > 0)
			take_text(c);
		move_output(c);
		enum smtps_want want = smtps_want(c->smtp);
		/* The replies to pipelined commands leave together. */
		if (want != SMTPS_WANT_DECISION || c->token != 0) {
			flush(c, 0);
			want = smtps_want(c->smtp); /* it may have found the client gone */
		}
		if (want == SMTPS_WANT_CLOSE) {
			say_goodbye(c);
			return;
		}
		if (want == SMTPS_WANT_DRAIN) {
			smtps_drained(c->smtp);
		} else if (want == SMTPS_WANT_DECISION) {
			if (is_asked(c))
				break;
			decide(c);
		} else if (want == SMTPS_WANT_STARTTLS && c->tls == NULL &&
			   buf_len(&c->wire) == 0) {
			if (!start_tls(c))
				smtps_tls_done(c->smtp, false);
		} else if (buf_len(smtps_output(c->smtp)) == 0 || c->handshaking) {
			break;
		}
	}
	if (!c->over)
		wait_on(c);
}

static void on_io(void *arg, unsigned ready)
{
	struct client *c = arg;
	if (c->over) {
		discard(c);
		return;
	}
	if ((ready & LOOP_READ) && is_asked(c))
		c->unread = true;
	else if (ready & LOOP_READ)
		read_socket(c);
	pump(c);
}

static void on_timer(void *arg)
{
	struct client *c = arg;
	if (c->over) {
		end(c);
		return;
	}
	c->armed = 0;
	struct patience_facts now = facts_of(c);
	if (is_asked(c)) /* we are slow: that is not the client's fault */
		patience_renew(&c->patience, &now);
	if (loop_now_ms() < c->patience.deadline) {
		arm(c);
		return;
	}
	smtps_timed_out(c->smtp);
	pump(c);
}

void client_shutdown(struct client *c)
{
	smtps_shutdown(c->smtp);
	pump(c);
}

void client_shutdown_now(struct client *c)
{
	smtps_shutdown_now(c->smtp);
	pump(c);
}

struct client *client_new(struct intake *t, const struct listener *l, int fd,
			  const struct ipaddr *address)
{
	struct client *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return NULL;
	}
	const struct conf *f = t->process.birth.conf;
	*c = (struct client){.intake = t, .listener = l, .address = *address, .fd = fd, .seat = -1};
	c->config = (struct smtps_config){.host = t->host,
					  .submission = l->submission,
					  .tls_available = l->submission ? t->tls_submission != NULL
									 : t->tls_relay != NULL &&
									       !t->no_starttls,
					  .tls_implicit = l->implicit_tls,
					  .size_max = (uint64_t)f->relay_size_max,
					  .rcpts_max = (uint32_t)f->relay_rcpts_max,
					  .errors_max = ERRORS_MAX,
					  .junk_max = JUNK_MAX,
					  .timeouts = &SMTPS_TIMEOUTS_RFC};
	buf_init(&c->wire, WIRE_MAX);
	buf_init(&c->plain, 2 * READ_CHUNK);
	intake_spool_room(c);
	mailtext_init(&c->text, &c->room);
	c->smtp = smtps_new(&c->config);
	c->io = loop_io_new(t->process.loop, fd, on_io, c);
	c->timer = loop_timer_new(t->process.loop, on_timer, c);
	if (c->smtp == NULL || c->io == NULL || c->timer == NULL) {
		client_free(c);
		return NULL;
	}
	return c;
}

void client_start(struct client *c)
{
	if (c->listener->implicit_tls && !start_tls(c))
		smtps_closed(c->smtp);
	pump(c);
}
