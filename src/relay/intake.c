/* SPDX-License-Identifier: MIT */
/*
 * The intake process: listeners, clients and their limits, the way to the keeper. Knows who may
 * connect; what a client says is known by intake_client.c. Refuses to know the queue.
 */
#include "relay/intake_int.h"

#include "base/cursor.h"
#include "loop/loop.h"
#include "relay/certificates.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPTS_AT_ONCE = 32,
	PAUSE_MS = 200,
	LACKING_MS = 2000,
	GRACE_MS = 10000, /* for texts under way: a client that drips octets holds up no restart */
	CHAIN_PEM_MAX = 1024 * 1024,
};

struct door {
	struct intake *intake;
	const struct listener *listener;
	struct loop_io *io;
	struct loop_timer *pause; /* after a lack of descriptors */
};

/* --- Lines that were left out --- */

void intake_log_left_out(struct intake *t, const char *kind, uint32_t n)
{
	char number[LOG_INT_TEXT];
	if (n > 0)
		log_event(t->process.log, LOG_LEVEL_WARN, "left-out", "kind", kind, "lines",
			  log_int(number, n), NULL);
}

static void on_left_out(void *arg)
{
	struct intake *t = arg;
	uint32_t n = 0;
	for (const char *kind; (kind = log_quota_over(&t->quota, loop_now_ms(), &n)) != NULL;)
		intake_log_left_out(t, kind, n);
}

/* --- Clients come and go --- */

void intake_forget(struct client *c)
{
	struct intake *t = c->intake;
	struct client **at = &t->client;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	t->nclient--;
	if ((t->process.draining || t->retired) && t->nclient == 0)
		process_exit(&t->process);
}

static void set_address(const struct sockaddr_storage *from, struct ipaddr *out)
{
	*out = (struct ipaddr){0};
	if (from->ss_family == AF_INET) {
		out->family = 4;
		memcpy(out->b, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	} else if (from->ss_family == AF_INET6) {
		out->family = 6;
		memcpy(out->b, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
	}
}

static void welcome(struct door *d, int fd, const struct sockaddr_storage *from)
{
	struct intake *t = d->intake;
	struct ipaddr address;
	set_address(from, &address);
	struct client *c = client_new(t, d->listener, fd, &address);
	if (c == NULL)
		return;
	c->number = ++t->last_number;
	c->next = t->client;
	t->client = c;
	t->nclient++;
	client_start(c);
}

static void on_pause_over(void *arg)
{
	struct door *d = arg;
	loop_io_want(d->io, LOOP_READ);
}

static void on_accept(void *arg, unsigned ready)
{
	struct door *d = arg;
	(void)ready;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int fd = accept4(d->listener->fd, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			welcome(d, fd, &from);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			   errno == ENOBUFS) {
			intake_make_room(d->intake, STANDING_OWN, 0);
			loop_io_want(d->io, 0);
			loop_timer_set(d->pause, PAUSE_MS);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

/* --- The keeper --- */

static struct client *find_waiting(struct intake *t, uint64_t token)
{
	for (struct client *c = t->client; c != NULL; c = c->next) {
		if (c->token == token)
			return c;
	}
	return NULL;
}

static void on_message(void *arg, struct channel *ch, enum message type, struct slice payload)
{
	struct intake *t = arg;
	struct arena mem;
	struct submitted s;
	arena_init(&mem, 8192);
	if (type == MSG_ROSTER_OF) {
		struct cursor k = cursor_make(payload);
		intake_crowd_other(t, cursor_u32(&k), channel_take_fd(ch));
	} else if (type == MSG_SPOOLED) {
		intake_spooled(t, channel_take_fd(ch));
	} else if (type == MSG_SUBMITTED && submitted_get(payload, &mem, &s)) {
		struct client *c = find_waiting(t, s.token);
		if (c != NULL)
			client_submitted(c, s.code, s.text);
	}
	arena_free(&mem);
}

/* Whether the message of who waits for an answer was kept nobody here can know: its successor can.
 */
static void on_gone(void *arg, struct channel *ch, const char *why)
{
	struct intake *t = arg;
	(void)ch;
	(void)why;
	channel_free(&t->keeper);
	loop_timer_set(t->lacking, LACKING_MS);
	for (struct client *c = t->client, *next; c != NULL; c = next) {
		next = c->next;
		if (c->token != 0)
			client_keeper_gone(c);
	}
}

/* Also while there is none: nobody waits for ever. */
static void hand_in_again(struct intake *t)
{
	for (struct client *c = t->client, *next; c != NULL; c = next) {
		next = c->next;
		if (c->token != 0 && c->again > 0)
			client_keeper_there(c);
	}
}

/* A keeper that died has a successor by now; one that cut us off lives, and only the parent can
 * bring us together again. */
static void on_lacking(void *arg)
{
	struct intake *t = arg;
	if (t->keeper != NULL)
		return;
	hand_in_again(t);
	put_u8(channel_begin(t->process.parent, MSG_LACKING), ROLE_KEEPER);
	channel_send(t->process.parent, -1);
	loop_timer_set(t->lacking, LACKING_MS);
}

/* --- The warden --- */

static void on_warden(void *arg, struct channel *ch, enum message type, struct slice payload)
{
	struct intake *t = arg;
	(void)ch;
	if (type == MSG_STARTTLS)
		t->no_starttls = payload.p[0] == 0;
}

/* What it said last holds until its successor says otherwise. */
static void on_warden_gone(void *arg, struct channel *ch, const char *why)
{
	struct intake *t = arg;
	(void)ch;
	(void)why;
	channel_free(&t->warden);
}

/* V1: the truth is what this process serves, whatever the files say meanwhile. */
static void tell_warden(struct intake *t)
{
	struct buf *b = channel_begin(t->warden, MSG_SERVES);
	uint32_t n = 0;
	while (t->tls_relay != NULL && tls_server_chain(t->tls_relay, n) != NULL)
		n++;
	put_u32(b, n);
	for (uint32_t i = 0; i < n; i++) {
		struct buf pem;
		buf_init(&pem, CHAIN_PEM_MAX);
		tls_chain_to_pem(tls_server_chain(t->tls_relay, i), &pem);
		put_bytes(b, buf_slice(&pem));
		buf_free(&pem);
	}
	channel_send(t->warden, -1);
}

static void on_warden_peer(struct intake *t, int fd)
{
	channel_free(&t->warden);
	t->warden = channel_new(t->process.loop, fd, ROLE_INTAKE, ROLE_WARDEN, on_warden,
				on_warden_gone, t);
	if (t->warden != NULL)
		tell_warden(t);
}

static void on_peer(void *self, enum role role, int fd)
{
	struct intake *t = self;
	if (role == ROLE_WARDEN) {
		on_warden_peer(t, fd);
		return;
	}
	if (role != ROLE_KEEPER) {
		close(fd);
		return;
	}
	if (t->keeper != NULL)
		on_gone(t, t->keeper, "replaced");
	t->keeper = channel_new(t->process.loop, fd, ROLE_INTAKE, role, on_message, on_gone, t);
	if (t->keeper == NULL)
		loop_timer_set(t->lacking, LACKING_MS);
	else
		intake_crowd_meet(t);
	if (t->keeper != NULL) {
		intake_spool_met(t);
		hand_in_again(t);
	}
}

/* --- Life --- */

static void close_doors(struct intake *t)
{
	for (size_t i = 0; i < t->ndoor; i++) {
		loop_io_free(&t->door[i].io);
		loop_timer_free(&t->door[i].pause);
		close(t->door[i].listener->fd); /* ours; the others have theirs */
	}
	t->ndoor = 0;
	free(t->door);
	t->door = NULL;
}

static void on_drain(void *self)
{
	struct intake *t = self;
	close_doors(t);
	for (struct client *c = t->client, *next; c != NULL; c = next) {
		next = c->next;
		client_shutdown(c);
	}
	loop_timer_set(t->grace, GRACE_MS);
	if (t->nclient == 0)
		process_exit(&t->process);
}

/* The answer to a message that is handed in. No doors meanwhile: who comes now finds a new relay.
 */
static bool intake_owes(void *self)
{
	struct intake *t = self;
	close_doors(t);
	for (const struct client *c = t->client; c != NULL && t->keeper != NULL; c = c->next) {
		if (c->token != 0)
			return true;
	}
	return false;
}

static void on_grace_over(void *arg)
{
	struct intake *t = arg;
	for (struct client *c = t->client, *next; c != NULL; c = next) {
		next = c->next;
		client_shutdown_now(c);
	}
}

/* Who is connected stays, for as long as they like: only a drain sends them away. */
static void on_retire(void *self)
{
	struct intake *t = self;
	t->retired = true;
	close_doors(t);
	if (t->nclient == 0)
		process_exit(&t->process);
}

static bool load_networks(struct intake *t)
{
	const char *const *list = t->process.birth.conf->relay_networks;
	if (list[0] == NULL)
		list = NETWORKS_OWN;
	for (size_t n = 0; list[n] != NULL; n++) {
		if (t->nnetwork == NETWORKS_MAX ||
		    !network_from_text(list[n], &t->network[t->nnetwork])) {
			log_event(t->process.log, LOG_LEVEL_ERROR, "networks", "error",
				  "not a network", "value", list[n], NULL);
			return false;
		}
		t->nnetwork++;
	}
	return true;
}

static void warn_of_certificates(struct intake *t)
{
	const char *const *line = NULL;
	size_t n = tls_server_warnings(t->tls_relay, &line);
	for (size_t i = 0; i < n; i++)
		log_event(t->process.log, LOG_LEVEL_WARN, "certificate", "warning", line[i], NULL);
}

static bool load_certificates(struct intake *t)
{
	char error[512] = "";
	const struct conf *f = t->process.birth.conf;
	if (f->relay_certificate[0] == NULL)
		return true;
	t->tls_relay = certificates_load(f, TLS_SERVER_RELAY, error, sizeof(error));
	if (t->tls_relay != NULL)
		t->tls_submission =
		    certificates_load(f, TLS_SERVER_SUBMISSION, error, sizeof(error));
	if (t->tls_submission == NULL)
		log_event(t->process.log, LOG_LEVEL_ERROR, "certificate", "error", error, NULL);
	else
		warn_of_certificates(t);
	return t->tls_submission != NULL;
}

static bool load_users(struct intake *t)
{
	char error[512] = "";
	if (t->process.birth.conf->relay_users == NULL)
		return true;
	t->users = users_load(t->process.birth.conf->relay_users, error, sizeof(error));
	if (t->users == NULL)
		log_event(t->process.log, LOG_LEVEL_ERROR, "users", "error", error, NULL);
	return t->users != NULL;
}

/* Replies to pipelined commands may leave one by one: without this the second waits until the
 * client's kernel acknowledges the first, 40 ms. A failure costs only that. What is accepted has
 * it from the listener (tcp(7)). */
static void send_at_once(int listener)
{
	int one = 1;
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static bool open_doors(struct intake *t)
{
	const struct birth *b = &t->process.birth;
	t->door = calloc(b->nlistener, sizeof(*t->door));
	for (size_t i = 0; t->door != NULL && i < b->nlistener; i++) {
		struct door *d = &t->door[t->ndoor];
		d->intake = t;
		d->listener = &b->listener[i];
		d->io = loop_io_new(t->process.loop, d->listener->fd, on_accept, d);
		d->pause = loop_timer_new(t->process.loop, on_pause_over, d);
		if (d->io == NULL || d->pause == NULL)
			return false;
		t->ndoor++;
		send_at_once(d->listener->fd);
		loop_io_want(d->io, LOOP_READ);
	}
	return t->door != NULL;
}

static bool start(struct intake *t)
{
	t->login_timer = loop_timer_new(t->process.loop, intake_login_turn, t);
	t->lacking = loop_timer_new(t->process.loop, on_lacking, t);
	t->left_out = loop_timer_new(t->process.loop, on_left_out, t);
	t->grace = loop_timer_new(t->process.loop, on_grace_over, t);
	if (!intake_crowd_open(t) || t->login_timer == NULL || t->lacking == NULL ||
	    t->grace == NULL)
		return false;
	if (getrandom(&t->last_token, sizeof(t->last_token), 0) != (ssize_t)sizeof(t->last_token))
		return false;
	t->last_token &= 0x7fffffffffffffffu;
	process_host(t->process.birth.conf, t->host, sizeof(t->host));
	/* Keys are read before privileges go. */
	return load_networks(t) && load_certificates(t) && load_users(t) && intake_rcpt_open(t) &&
	       open_doors(t) && process_drop(&t->process) &&
	       process_confine(&t->process, SANDBOX_INTAKE, NULL);
}

int intake_main(const struct birth *b)
{
	int code = EXIT_FAILURE;
	struct intake *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return EXIT_FAILURE;
	if (process_init(&t->process, b, t)) {
		t->process.owes = intake_owes;
		t->process.grace_ms = INTAKE_GRACE_MS;
		t->process.on_peer = on_peer;
		t->process.on_drain = on_drain;
		t->process.on_retire = on_retire;
		if (start(t))
			code = process_run(&t->process);
	}
	while (t->client != NULL) {
		struct client *c = t->client;
		t->client = c->next;
		client_free(c);
	}
	close_doors(t);
	loop_timer_free(&t->login_timer);
	loop_timer_free(&t->lacking);
	loop_timer_free(&t->left_out);
	loop_timer_free(&t->grace);
	channel_free(&t->keeper);
	channel_free(&t->warden);
	tls_server_free(&t->tls_relay);
	tls_server_free(&t->tls_submission);
	users_free(&t->users);
	intake_rcpt_close(t);
	intake_spool_close(t);
	intake_crowd_close(t);
	process_free(&t->process);
	free(t);
	return code;
}
