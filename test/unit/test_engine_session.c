/* SPDX-License-Identifier: MIT */
/*
 * Sessions of the engine over real sockets against a server in the same loop: how they end, the
 * moment before the final dot, and connections that serve more than one message (T9).
 */
#include "test_clock.h"
#include "test_engine_fake.h"
#include "test_tls_serve.h"
#include "unit.h"

#include "engine/engine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AGE_MAX_MS = 300000 }; /* as in engine/session.c */
enum { KEEP_MS = 150, LIMIT_MS = 300, PATIENCE_MS = 10000, JOBS = POOL_PEER_MAX + 2 };

static const char text[] = "Subject: x\r\n\r\nhello\r\n";

struct fixture {
	struct conf *conf;
	struct loop *loop;
	struct loop_timer *timer; /* ends run_for(), or a test that hangs */
	struct engine *engine;
	struct fake fake;
	struct lab lab;
	struct pem pem;
	struct records ee, more; /* 3 1 1 of the server's key; and another */
	bool in_time;
};

/* One message and what became of it. */
struct job {
	struct fixture *f;
	struct session_request request;
	struct tls_terms terms;
	struct smtpc_rcpt rcpt;
	struct smtpc_message message;
	struct session *session;
	struct session_outcome outcome;
	bool authenticated;
	int told, dots;
	bool go, finish_later;
};

static void *no_ask(void *self, const char *name, uint16_t type, dns_cb *cb, void *arg)
{
	(void)self, (void)name, (void)type, (void)cb, (void)arg;
	return NULL;
}

static void no_cancel(void *self, void *query)
{
	(void)self, (void)query;
}

static void on_timer(void *arg)
{
	struct fixture *f = arg;
	f->in_time = false;
	loop_stop(f->loop);
}

static void run_for(struct fixture *f, uint32_t ms)
{
	loop_timer_set(f->timer, ms);
	loop_run(f->loop);
}

/* --- The fixture --- */

static int setup_all(void **state)
{
	static struct fixture f;
	lab_make(&f.lab);
	int64_t now = loop_wall_s();
	pem_make(&f.pem, &f.lab, f.lab.ec_key, LAB_BASE, "DNS:" LAB_BASE, now - LAB_DAY,
		 now + LAB_DAY);
	records_init(&f.ee);
	records_init(&f.more);
	records_add(&f.ee, 3, 1, 1, f.lab.ec);
	records_add(&f.more, 3, 1, 1, f.lab.ec);
	records_add(&f.more, 3, 1, 1, f.lab.other);
	*state = &f;
	return 0;
}

static int teardown_all(void **state)
{
	struct fixture *f = *state;
	records_free(&f->ee);
	records_free(&f->more);
	lab_free(&f->lab);
	return 0;
}

static void begin(struct fixture *f, uint32_t keep_ms)
{
	static const char *const set[] = {"smtp.helo=client.example"};
	static const struct engine_resolver resolver = {NULL, no_ask, no_cancel};
	char error[256] = "";
	f->conf = conf_load("/dev/null", set, 1, NULL, error, sizeof(error));
	f->loop = loop_new();
	assert_non_null(f->conf);
	struct engine_config c = {.conf = f->conf,
				  .phase_limit_ms = LIMIT_MS,
				  .resolver = &resolver,
				  .loop = f->loop,
				  .keep_ms = keep_ms};
	f->engine = engine_new(&c, error, sizeof(error));
	if (f->engine == NULL)
		fail_msg("%s", error);
	f->timer = loop_timer_new(f->loop, on_timer, f);
	fake_open(&f->fake, f->loop);
}

static void begin_tls(struct fixture *f)
{
	char error[256] = "";
	struct tls_server_cert cert = pem_cert(&f->pem);
	begin(f, KEEP_MS);
	f->fake.tls = tls_server_new(&(struct tls_server_config){.cert = &cert, .ncert = 1},
				     loop_wall_s(), error, sizeof(error));
	if (f->fake.tls == NULL)
		fail_msg("%s", error);
}

static void end(struct fixture *f)
{
	engine_free(&f->engine);
	tls_server_free(&f->fake.tls);
	fake_close(&f->fake);
	loop_timer_free(&f->timer);
	loop_free(&f->loop);
	conf_free(&f->conf);
}

/* --- Jobs --- */

static void on_end(void *arg, const struct session_outcome *o)
{
	struct job *j = arg;
	j->outcome = *o;
	j->authenticated = o->tls != NULL && o->tls->authenticated;
	j->told++;
	j->session = NULL;
	loop_stop(j->f->loop);
}

static void on_dot(void *arg)
{
	struct job *j = arg;
	j->dots++;
	if (j->finish_later)
		loop_stop(j->f->loop);
	else
		session_finish_text(j->session, j->go);
}

static void job_init(struct fixture *f, struct job *j)
{
	memset(j, 0, sizeof(*j));
	j->f = f;
	j->go = true;
	j->rcpt.address = "bob@example.org";
	j->message = (struct smtpc_message){.reverse_path = "alice@example.net",
					    .size = sizeof(text) - 1,
					    .rcpt = &j->rcpt,
					    .nrcpt = 1};
	j->terms = (struct tls_terms){.policy = HOST_MAY, .sni = LAB_BASE};
	j->request = (struct session_request){
	    .port = f->fake.port,
	    .terms = &j->terms,
	    .smtp = {.helo = f->engine->helo,
		     .tls = SMTPC_TLS_MAY,
		     .timeouts = &f->engine->timeouts,
		     .message = &j->message},
	    .body = {.bytes = slice_make(text, sizeof(text) - 1), .fd = -1},
	};
	ipaddr_from_text(SLICE_LIT("127.0.0.1"), &j->request.address);
}

static void job_dane(struct job *j, struct records *r)
{
	j->terms = (struct tls_terms){.policy = HOST_DANE,
				      .sni = LAB_BASE,
				      .reference_names = {LAB_BASE},
				      .nreference_names = 1,
				      .tlsa = records_set(r)};
	j->request.smtp.tls = SMTPC_TLS_MUST;
}

static void job_start(struct job *j)
{
	j->session = session_start(j->f->engine, &j->request, on_end, j);
	assert_non_null(j->session);
	assert_int_equal(j->told, 0); /* never inside the call */
}

static void job_wait(struct job *j)
{
	j->f->in_time = true;
	while (j->told == 0 && j->f->in_time)
		run_for(j->f, PATIENCE_MS);
	assert_int_equal(j->told, 1);
}

static void job_run(struct job *j)
{
	job_start(j);
	job_wait(j);
}

/* A message that goes well. */
static void send_one(struct fixture *f, struct job *j)
{
	job_init(f, j);
	job_run(j);
	assert_int_equal(j->outcome.reason, REASON_OK);
	assert_int_equal(j->rcpt.state, RCPT_SENT);
}

/* --- A text in one flight with its envelope (RFC 3030) --- */

struct chunk_row {
	const char *what;
	struct fake_rule rule;
	bool go;
	enum reason reason;
	enum rcpt_state state;
	bool again; /* the next message to this host is a chunk again */
};

static const struct chunk_row chunk_rows[] = {
    {"taken", {0}, true, REASON_OK, RCPT_SENT, true},
    {"refused", {0, 1, "BDAT", "554 no\r\n"}, true, REASON_OK, RCPT_REJECTED, true},
    {"not known", {0, 1, "BDAT", "502 what\r\n"}, true, REASON_OK, RCPT_DEFERRED, false},
    {"lost", {0, 1, "BDAT", NULL}, true, REASON_LOST_AFTER_DATA, RCPT_ACCEPTED, false},
    {"lost at MAIL", {0, 1, "MAIL", NULL}, true, REASON_LOST_AFTER_DATA, RCPT_ACCEPTED, false},
    {"silence", {0, 1, "BDAT", ""}, true, REASON_LOST_AFTER_DATA, RCPT_ACCEPTED, false},
    {"not recorded", {0}, false, REASON_LOCAL_ERROR, RCPT_PENDING, true},
};

static void chunks(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(chunk_rows); i++) {
		const struct chunk_row *w = &chunk_rows[i];
		struct job j;
		begin(f, 0);
		f->fake.chunks = true;
		f->fake.rule[0] = w->rule;
		job_init(f, &j);
		j.finish_later = true;
		j.request.before_dot = on_dot;
		j.request.before_dot_arg = &j;
		job_start(&j);
		run_for(f, PATIENCE_MS);
		run_for(f, 20);
		assert_false(fake_heard(&f->fake.connection[0], "MAIL"));
		session_finish_text(j.session, w->go);
		job_wait(&j);
		if (j.outcome.reason != w->reason || j.rcpt.state != w->state)
			fail_msg("%s: %s, %d", w->what, reason_name(j.outcome.reason),
				 (int)j.rcpt.state);
		assert_int_equal(j.dots, 1);
		assert_int_equal(fake_heard(&f->fake.connection[0], "MAIL"), w->go);
		assert_false(fake_heard(&f->fake.connection[0], "DATA"));
		f->fake.rule[0] = (struct fake_rule){0};
		send_one(f, &j);
		assert_int_equal(fake_heard(&f->fake.connection[1], "BDAT"), w->again);
		assert_int_equal(fake_heard(&f->fake.connection[1], "DATA"), !w->again);
		end(f);
	}
}

/* Over a kept connection: the question is never asked inside session_start(), and a connection that
 * dies while it waits for the answer is replaced. */
static void chunk_over_kept(void **state)
{
	struct fixture *f = *state;
	for (int dies = 0; dies < 2; dies++) {
		struct job j;
		begin(f, KEEP_MS);
		f->fake.chunks = true;
		send_one(f, &j);
		job_init(f, &j);
		j.request.before_dot = on_dot;
		j.request.before_dot_arg = &j;
		j.finish_later = true;
		job_start(&j);
		assert_int_equal(j.dots, 0);
		run_for(f, PATIENCE_MS);
		assert_int_equal(j.dots, 1);
		if (dies == 1)
			fake_hang_up(&f->fake.connection[0]);
		run_for(f, 50);
		assert_int_equal(f->fake.n, 1 + dies);
		session_finish_text(j.session, true);
		job_wait(&j);
		assert_int_equal(j.outcome.reason, REASON_OK);
		assert_int_equal(j.outcome.reused, dies == 0);
		assert_int_equal(j.dots, 1);
		assert_int_equal(fake_messages(&f->fake), 2);
		assert_true(fake_heard(&f->fake.connection[dies], "BDAT"));
		end(f);
	}
}

/* --- Patience --- */

/* The host is silent, or drips a greeting that never ends; or it was quick. */
static void opening_is_bounded(void **state)
{
	static const char *const greetings[] = {"", "220-wait\r\n", "220 hello\r\n"};
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(greetings); i++) {
		struct job j;
		begin(f, 0);
		f->fake.rule[0] = (struct fake_rule){0, 0, "greeting", greetings[i]};
		job_init(f, &j);
		bool good = i == 2;
		j.request.opening_ms = good ? 10 * PATIENCE_MS : 60;
		f->engine->timeouts.greeting = 10 * PATIENCE_MS;
		uint64_t began = loop_now_ms();
		job_start(&j);
		run_for(f, 40); /* an octet more is no progress */
		if (i == 1)
			fake_say(&f->fake.connection[0], "2");
		if (j.told == 0)
			job_wait(&j);
		assert_int_equal(j.outcome.reason, good ? REASON_OK : REASON_TIMEOUT);
		assert_true(good || j.outcome.opening_ms >= 50); /* timers are early by a bit */
		assert_true(loop_now_ms() - began < PATIENCE_MS);
		end(f);
	}
}

/* --- Ends --- */

static void good_and_closed(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin(f, 0);
	send_one(f, &j);
	run_for(f, 50);
	assert_true(fake_heard(&f->fake.connection[0], "QUIT\n"));
	assert_false(j.outcome.reused);
	send_one(f, &j); /* keep_ms is 0: a connection of its own */
	assert_int_equal(f->fake.n, 2);
	assert_false(j.outcome.reused);
	end(f);
}

static void refused(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin(f, KEEP_MS);
	job_init(f, &j);
	fake_close(&f->fake); /* nobody listens any more */
	job_run(&j);
	assert_int_equal(j.outcome.reason, REASON_CONNECT_FAILED);
	assert_string_equal(j.outcome.detail, "Connection refused");
	fake_open(&f->fake, f->loop);
	end(f);
}

/* A full backlog: the kernel drops what comes. */
static void connect_timeout(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), filler[4];
	struct job j;
	begin(f, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	for (size_t i = 0; i < ROWS(filler); i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(filler[i], (struct sockaddr *)&a, n);
	}
	job_init(f, &j);
	j.request.port = ntohs(a.sin_port);
	job_run(&j);
	assert_int_equal(j.outcome.reason, REASON_CONNECT_FAILED);
	assert_non_null(strstr(j.outcome.detail, "no connection within"));
	for (size_t i = 0; i < ROWS(filler); i++)
		close(filler[i]);
	close(fd);
	end(f);
}

struct end_row {
	struct fake_rule rule;
	enum reason reason;
};

static const struct end_row ends[] = {
    {{0, 0, "greeting", ""}, REASON_TIMEOUT},
    {{0, 0, "EHLO", ""}, REASON_TIMEOUT},
    {{0, 0, "MAIL", ""}, REASON_TIMEOUT},
    {{0, 0, "EHLO", "25"}, REASON_TIMEOUT},
    {{0, 0, "DATA", ""}, REASON_TIMEOUT},
    {{0, 0, ".", ""}, REASON_LOST_AFTER_DATA},
    {{0, 0, "greeting", NULL}, REASON_CONNECTION_LOST},
    {{0, 0, "MAIL", NULL}, REASON_CONNECTION_LOST},
    {{0, 0, "DATA", NULL}, REASON_CONNECTION_LOST},
    {{0, 0, ".", NULL}, REASON_LOST_AFTER_DATA},
    {{0, 0, "MAIL", "421 bye\r\n"}, REASON_SMTP_DEFERRED},
    {{0, 0, "MAIL", "hello\r\n"}, REASON_PROTOCOL_ERROR},
    {{0, 0, "greeting", "554 no\r\n"}, REASON_SMTP_DEFERRED},
};

/* The first message of a connection is tried once, whatever happens. */
static void end_rows(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(ends); i++) {
		struct job j;
		begin(f, KEEP_MS);
		f->fake.rule[0] = ends[i].rule;
		job_init(f, &j);
		job_run(&j);
		if (j.outcome.reason != ends[i].reason)
			fail_msg("row %zu: %s", i, reason_name(j.outcome.reason));
		run_for(f, 20);
		assert_int_equal(f->fake.n, 1);
		assert_int_equal(j.told, 1);
		end(f);
	}
}

static void freed_while_running(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin(f, KEEP_MS);
	f->fake.rule[0] = (struct fake_rule){0, 0, "MAIL", ""};
	job_init(f, &j);
	job_start(&j);
	run_for(f, 50);
	session_free(&j.session);
	run_for(f, LIMIT_MS + 50);
	assert_int_equal(j.told, 0);
	assert_int_equal(fake_count_open(&f->fake), 0);
	end(f);
}

/* --- The final dot --- */

static void dot_allowed(void **state)
{
	struct fixture *f = *state;
	begin(f, KEEP_MS);
	for (int later = 0; later < 2; later++) {
		struct job j;
		job_init(f, &j);
		j.finish_later = later == 1;
		j.request.before_dot = on_dot;
		j.request.before_dot_arg = &j;
		job_start(&j);
		if (later == 1) {
			run_for(f, PATIENCE_MS); /* up to the question */
			run_for(f, 50);
			assert_true(fake_heard(&f->fake.connection[0], "hello\n"));
			assert_int_equal(fake_messages(&f->fake), 1);
			session_finish_text(j.session, true);
			assert_int_equal(j.told, 0);
		}
		job_wait(&j);
		assert_int_equal(j.outcome.reason, REASON_OK);
		assert_int_equal(j.dots, 1);
	}
	assert_int_equal(fake_messages(&f->fake), 2);
	assert_int_equal(f->fake.n, 1);
	end(f);
}

/* A small text waits for the permission to end it, a large one does not. */
static void text_and_dot(void **state)
{
	static char large[65536];
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = "0123456\r\n"[i % 9];
	for (int small = 0; small < 2; small++) {
		struct job j;
		begin(f, KEEP_MS);
		job_init(f, &j);
		j.finish_later = true;
		j.request.before_dot = on_dot;
		j.request.before_dot_arg = &j;
		if (!small) {
			j.message.size = 9 * 7000;
			j.request.body.bytes = slice_make(large, 9 * 7000);
		}
		job_start(&j);
		run_for(f, PATIENCE_MS); /* up to the question */
		run_for(f, 50);
		assert_int_equal(j.dots, 1);
		assert_int_equal(fake_heard(&f->fake.connection[0], small ? "hello" : "0123456"),
				 !small);
		session_finish_text(j.session, true);
		job_wait(&j);
		assert_int_equal(j.outcome.reason, REASON_OK);
		assert_int_equal(fake_messages(&f->fake), 1);
		assert_true(
		    fake_heard(&f->fake.connection[0], small ? "hello\n.\n" : "0123456\n.\n"));
		end(f);
	}
}

/* Hung up on, or refused, while a small text waits: nothing is in doubt. */
static void lost_before_dot(void **state)
{
	struct fixture *f = *state;
	for (int words = 0; words < 2; words++) {
		struct job j;
		begin(f, KEEP_MS);
		job_init(f, &j);
		j.finish_later = true;
		j.request.before_dot = on_dot;
		j.request.before_dot_arg = &j;
		job_start(&j);
		run_for(f, PATIENCE_MS);
		assert_int_equal(j.dots, 1);
		if (words)
			fake_say(&f->fake.connection[0], "452 4.3.1 full\r\n");
		else
			fake_hang_up(&f->fake.connection[0]);
		run_for(f, 20);
		if (words)
			session_finish_text(j.session, true);
		job_wait(&j);
		assert_int_equal(j.outcome.reason, words ? REASON_OK : REASON_CONNECTION_LOST);
		assert_int_equal(j.rcpt.state, words ? RCPT_DEFERRED : RCPT_ACCEPTED);
		assert_int_equal(fake_messages(&f->fake), 0);
		assert_int_equal(f->engine->pool.n, 0);
		end(f);
	}
}

static void dot_forbidden(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin(f, KEEP_MS);
	job_init(f, &j);
	j.go = false;
	j.request.before_dot = on_dot;
	j.request.before_dot_arg = &j;
	job_run(&j);
	assert_int_equal(j.outcome.reason, REASON_LOCAL_ERROR);
	run_for(f, 20);
	assert_int_equal(fake_messages(&f->fake), 0);
	assert_int_equal(fake_count_open(&f->fake), 0);
	end(f);
}

/* --- Kept connections (T9) --- */

static void kept(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin(f, KEEP_MS);
	for (int i = 0; i < 3; i++) {
		send_one(f, &j);
		assert_int_equal(j.outcome.reused, i > 0);
		run_for(f, KEEP_MS / 3);
	}
	assert_int_equal(f->fake.n, 1);
	assert_int_equal(fake_messages(&f->fake), 3);
	assert_false(fake_heard(&f->fake.connection[0], "RSET"));
	assert_false(fake_heard(&f->fake.connection[0], "QUIT"));
	run_for(f, KEEP_MS + 50); /* its time is over */
	assert_true(fake_heard(&f->fake.connection[0], "QUIT\n"));
	assert_int_equal(fake_count_open(&f->fake), 0);
	send_one(f, &j);
	assert_int_equal(f->fake.n, 2);
	assert_false(j.outcome.reused);
	end(f);
}

static void at_most_so_many(void **state)
{
	struct fixture *f = *state;
	static struct job j[JOBS];
	begin(f, 2000);
	for (int i = 0; i < JOBS; i++) {
		job_init(f, &j[i]);
		job_start(&j[i]);
	}
	for (int i = 0; i < JOBS; i++)
		job_wait(&j[i]);
	run_for(f, 50);
	assert_int_equal(f->fake.n, JOBS);
	assert_int_equal(fake_count_open(&f->fake), POOL_PEER_MAX);
	assert_int_equal(f->engine->pool.n, POOL_PEER_MAX);
	end(f); /* says QUIT to the rest */
}

/* A connection that works is not kept for ever: the host behind a name may have changed. */
static void too_old(void **state)
{
	static const struct {
		uint64_t ahead_ms;
		bool reused;
	} rows[] = {{AGE_MAX_MS - 60000, true}, {AGE_MAX_MS, false}};
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct job j;
		begin(f, KEEP_MS);
		send_one(f, &j);
		test_clock_ahead(rows[i].ahead_ms);
		send_one(f, &j); /* old at its end: was it kept once more? */
		assert_true(j.outcome.reused);
		send_one(f, &j);
		assert_int_equal(j.outcome.reused, rows[i].reused);
		assert_int_equal(f->fake.n, rows[i].reused ? 1 : 2);
		end(f);
		test_clock_ahead(0);
	}
}

/* RFC 4954 s4: who logged in stays logged in, so that a connection belongs to one user. */
static void other_user(void **state)
{
	static const struct smtpc_auth users[] = {{"alice", "secret"}, {"bob", "secret"}};
	static const struct {
		int user; /* of the second message; -1: nobody */
		bool reused;
	} rows[] = {{0, true}, {1, false}, {-1, false}};
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct job j;
		begin_tls(f);
		f->fake.rule[0] =
		    (struct fake_rule){0, 2, "EHLO", "250-fake\r\n250 AUTH PLAIN\r\n"};
		f->fake.rule[1] = (struct fake_rule){0, 0, "AUTH", "235 2.7.0 in\r\n"};
		for (int nth = 0; nth < 2; nth++) {
			int user = nth == 0 ? 0 : rows[i].user;
			job_init(f, &j);
			job_dane(&j, &f->ee);
			j.request.smtp.auth = user < 0 ? NULL : &users[user];
			job_run(&j);
			assert_int_equal(j.outcome.reason, REASON_OK);
			assert_int_equal(j.outcome.reused, nth == 1 && rows[i].reused);
		}
		assert_int_equal(f->fake.n, rows[i].reused ? 1 : 2);
		end(f);
	}
}

/* The second message comes on other terms: never over the connection of the first. */
enum other { OTHER_SNI, OTHER_POLICY, OTHER_CLEAR, OTHER_KIND, OTHER_FRESH, OTHER_PROBE, OTHERS };

static void change_terms(struct job *j, enum other what)
{
	switch (what) {
	case OTHER_SNI:
		j->terms.sni = "other.example.org";
		break;
	case OTHER_POLICY:
		j->terms.policy = HOST_ENCRYPT;
		j->request.smtp.tls = SMTPC_TLS_MUST;
		break;
	case OTHER_CLEAR:
		j->request.smtp.tls = SMTPC_TLS_NONE;
		break;
	case OTHER_KIND:
		j->request.kind = TLS_CERT_RSA;
		break;
	case OTHER_FRESH:
		j->request.no_resumption = true;
		break;
	case OTHER_PROBE:
		j->request.smtp.message = NULL;
		break;
	case OTHERS:
		break;
	}
}

static void other_terms(void **state)
{
	struct fixture *f = *state;
	for (int what = 0; what < OTHERS; what++) {
		struct job j;
		begin(f, KEEP_MS);
		send_one(f, &j);
		job_init(f, &j);
		change_terms(&j, (enum other)what);
		job_run(&j);
		assert_false(j.outcome.reused);
		assert_int_equal(f->fake.n, 2);
		assert_int_equal(fake_messages(&f->fake),
				 what == OTHER_POLICY || what == OTHER_PROBE ? 1 : 2);
		/* and neither a probe nor a fresh session leaves one behind */
		if (what == OTHER_FRESH || what == OTHER_PROBE)
			assert_int_equal(f->engine->pool.n, 1);
		end(f);
	}
}

static const struct fake_rule not_kept[] = {
    {1, 1, "RCPT", "550 no\r\n"},        {1, 1, "MAIL", "451 later\r\n"},
    {1, 1, ".", "451 later\r\n"},        {1, 1, ".", "554 no\r\n"},
    {1, 1, ".", "250 ok\r\n250 ok\r\n"}, {1, 1, ".", "250 ok\r\n421 bye\r\n"},
};

static void never_after_trouble(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(not_kept); i++) {
		struct job j;
		begin(f, KEEP_MS);
		f->fake.rule[0] = not_kept[i];
		job_init(f, &j);
		job_run(&j);
		run_for(f, 20);
		assert_int_equal(f->engine->pool.n, 0);
		assert_int_equal(fake_count_open(&f->fake), 0);
		send_one(f, &j);
		assert_int_equal(f->fake.n, 2);
		end(f);
	}
}

static void closed_while_idle(void **state)
{
	struct fixture *f = *state;
	for (int words = 0; words < 2; words++) {
		struct job j;
		begin(f, KEEP_MS);
		send_one(f, &j);
		if (words == 1)
			fake_say(&f->fake.connection[0], "421 4.4.2 idle\r\n");
		else
			fake_hang_up(&f->fake.connection[0]);
		run_for(f, 20);
		assert_int_equal(f->engine->pool.n, 0);
		assert_int_equal(fake_count_open(&f->fake), 0);
		send_one(f, &j);
		assert_false(j.outcome.reused);
		end(f);
	}
}

struct dead_row {
	const char *what;
	struct fake_rule rule;
	int connections; /* in all */
	bool reused;
	enum reason reason;
};

/* What the old connection does with the second message. */
static const struct dead_row deads[] = {
    {"closed", {1, 2, "MAIL", NULL}, 2, false, REASON_OK},
    {"421", {1, 2, "MAIL", "421 4.4.2 idle\r\n"}, 2, false, REASON_OK},
    {"refused: an answer", {1, 2, "MAIL", "451 later\r\n"}, 1, true, REASON_SMTP_DEFERRED},
    {"nonsense", {1, 2, "MAIL", "hello\r\n"}, 1, true, REASON_PROTOCOL_ERROR},
    {"silence", {1, 2, "MAIL", ""}, 1, true, REASON_TIMEOUT},
    {"closed after a reply", {1, 2, "RCPT", NULL}, 1, true, REASON_CONNECTION_LOST},
    {"421 after a reply", {1, 2, "RCPT", "421 bye\r\n"}, 1, true, REASON_SMTP_DEFERRED},
    {"closed before the text", {1, 2, "DATA", NULL}, 1, true, REASON_CONNECTION_LOST},
    {"nobody there, DATA taken all the same",
     {1, 2, "RCPT", "550 5.1.1 who\r\n"},
     1,
     true,
     REASON_OK},
    {"one message per connection",
     {1, 2, "MAIL", "550 5.5.1 one message per connection\r\n"},
     2,
     false,
     REASON_OK},
    {"said with bad sequence", {1, 2, "RCPT", "503 5.5.1 bad sequence\r\n"}, 2, false, REASON_OK},
    {"never twice", {1, 2, ".", NULL}, 1, true, REASON_LOST_AFTER_DATA},
};

static void dead_rows(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(deads); i++) {
		const struct dead_row *d = &deads[i];
		struct job j;
		begin(f, KEEP_MS);
		f->fake.rule[0] = d->rule;
		send_one(f, &j);
		job_init(f, &j);
		j.request.before_dot = on_dot;
		j.request.before_dot_arg = &j;
		job_run(&j);
		if (j.outcome.reason != d->reason || j.outcome.reused != d->reused)
			fail_msg("%s: %s", d->what, reason_name(j.outcome.reason));
		run_for(f, 20);
		assert_int_equal(f->fake.n, d->connections);
		bool rejected = j.rcpt.state == RCPT_REJECTED;
		bool sent = d->reason == REASON_OK && !rejected;
		assert_int_equal(rejected, d->connections == 1 && d->rule.reply != NULL &&
					       d->rule.reply[0] == '5');
		assert_int_equal(j.rcpt.state == RCPT_SENT, sent);
		assert_int_equal(j.dots, sent || strcmp(d->rule.verb, ".") == 0);
		/* who takes DATA for nobody gets an empty text */
		assert_int_equal(f->fake.connection[0].messages,
				 1 + (rejected || strcmp(d->rule.verb, ".") == 0));
		if (sent)
			assert_int_equal(f->fake.connection[1].messages, 1);
		end(f);
	}
}

/* The host died before its last word was heard: known when the message starts, or soon after. */
static void dead_at_once(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin(f, KEEP_MS);
	send_one(f, &j);
	fake_hang_up(&f->fake.connection[0]);
	send_one(f, &j);
	assert_false(j.outcome.reused);
	assert_int_equal(f->fake.n, 2);
	assert_int_equal(f->fake.connection[1].messages, 1);
	end(f);
}

/* The old connection is dead and there is no new one: that is the outcome. */
static void dead_and_refused(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin(f, KEEP_MS);
	send_one(f, &j);
	job_init(f, &j);
	fake_close(&f->fake);
	job_run(&j);
	assert_int_equal(j.outcome.reason, REASON_CONNECT_FAILED);
	assert_false(j.outcome.reused);
	fake_open(&f->fake, f->loop);
	end(f);
}

static void kept_under_tls(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin_tls(f);
	for (int i = 0; i < 3; i++) {
		job_init(f, &j);
		job_dane(&j, &f->ee);
		job_run(&j);
		assert_int_equal(j.outcome.reason, REASON_OK);
		assert_true(j.authenticated && j.outcome.under_tls);
		assert_int_equal(j.outcome.reused, i > 0);
	}
	assert_int_equal(f->fake.n, 1);
	job_init(f, &j);
	job_dane(&j, &f->more); /* another set of records: proven anew */
	job_run(&j);
	assert_int_equal(j.outcome.reason, REASON_OK);
	assert_false(j.outcome.reused);
	assert_int_equal(f->fake.n, 2);
	send_one(f, &j); /* nor do lower terms share with higher ones */
	assert_false(j.outcome.reused);
	assert_int_equal(f->fake.n, 3);
	run_for(f, KEEP_MS + 50);
	for (int i = 0; i < 3; i++)
		assert_true(fake_heard(&f->fake.connection[i], "QUIT\n"));
	end(f);
}

static void dead_under_tls(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin_tls(f);
	f->fake.rule[0] = (struct fake_rule){1, 2, "MAIL", NULL};
	for (int i = 0; i < 2; i++) {
		job_init(f, &j);
		job_dane(&j, &f->ee);
		job_run(&j);
		assert_int_equal(j.outcome.reason, REASON_OK);
		assert_true(j.authenticated);
		assert_false(j.outcome.reused);
	}
	assert_int_equal(f->fake.n, 2);
	end(f);
}

struct ticket_row {
	const char *what;
	int breaks;
	const char *alert;
	struct fake_rule rule;
};

static const struct ticket_row tickets[] = {
    {"closed in the handshake", 2, NULL, {0}},
    {"an alert", 2, "\x15\x03\x03\x00\x02\x02\x28", {0}},
    {"closed before a word under TLS", 0, NULL, {2, 2, "EHLO", NULL}},
};

/* T9: what our own cached session breaks is tried once more without it, under DANE and without, and
 * the session is not offered again. */
static void choked_on_a_ticket(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2 * ROWS(tickets); i++) {
		const struct ticket_row *t = &tickets[i / 2];
		begin_tls(f);
		f->engine->keep_ms = 0;
		f->fake.breaks = t->breaks;
		f->fake.alert = t->alert;
		f->fake.rule[0] = t->rule;
		for (int k = 0; k < 2; k++) {
			struct job j;
			job_init(f, &j);
			if (i % 2 == 1)
				job_dane(&j, &f->ee);
			job_run(&j);
			if (j.outcome.reason != REASON_OK || !j.outcome.under_tls)
				fail_msg("%s: %s", t->what, reason_name(j.outcome.reason));
			assert_int_equal(j.rcpt.state, RCPT_SENT);
			run_for(f, 20);
		}
		if (f->fake.n != 3)
			fail_msg("%s: %d connections", t->what, f->fake.n);
		end(f);
	}
}

/* A first handshake that breaks has no session to blame: it is not repeated. */
static void broken_without_ticket(void **state)
{
	struct fixture *f = *state;
	struct job j;
	begin_tls(f);
	f->fake.breaks = 1;
	job_init(f, &j);
	job_dane(&j, &f->ee);
	job_run(&j);
	assert_int_equal(j.outcome.reason, REASON_TLS_FAILED);
	run_for(f, 20);
	assert_int_equal(f->fake.n, 1);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_and_closed),     cmocka_unit_test(refused),
	    cmocka_unit_test(connect_timeout),     cmocka_unit_test(end_rows),
	    cmocka_unit_test(freed_while_running), cmocka_unit_test(dot_allowed),
	    cmocka_unit_test(text_and_dot),        cmocka_unit_test(lost_before_dot),
	    cmocka_unit_test(dot_forbidden),       cmocka_unit_test(kept),
	    cmocka_unit_test(at_most_so_many),     cmocka_unit_test(other_terms),
	    cmocka_unit_test(never_after_trouble), cmocka_unit_test(closed_while_idle),
	    cmocka_unit_test(dead_rows),           cmocka_unit_test(dead_at_once),
	    cmocka_unit_test(dead_and_refused),    cmocka_unit_test(kept_under_tls),
	    cmocka_unit_test(choked_on_a_ticket),  cmocka_unit_test(broken_without_ticket),
	    cmocka_unit_test(dead_under_tls),      cmocka_unit_test(too_old),
	    cmocka_unit_test(other_user),          cmocka_unit_test(chunks),
	    cmocka_unit_test(chunk_over_kept),     cmocka_unit_test(opening_is_bounded),
	};
	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
