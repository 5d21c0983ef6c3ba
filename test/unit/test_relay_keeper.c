/* SPDX-License-Identifier: MIT */
/*
 * relay: a keeper, a real one in its sandbox, to which this test is everybody else: the parent, an
 * intake, and two couriers, one of which somebody has taken over. Knows the messages; refuses to
 * know what the keeper keeps where.
 */
#include "relay/mail.h"

#include "unit.h"

#include "base/foreign.h"
#include "conf/conf.h"
#include "deliver/attempt.h"
#include "log/log.h"
#include "relay/process.h"
#include "wire/origin.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, SOON_MS = 20, LOG_ROOM = 65536, MEM = 1 << 20, SEEN_MAX = 64 };

/* One of those that the keeper talks to. */
struct end {
	struct fixture *f;
	struct channel *channel;
	bool gone;
	unsigned seen[MSG_COUNT];
	struct job job; /* the last one, and its text */
	struct slice text;
	bool dot; /* the answer to the last MSG_DOT */
};

struct fixture {
	char folder[64];
	struct loop *loop;
	struct loop_timer *limit;
	struct arena mem;
	pid_t keeper;
	int log;
	struct end parent, intake, courier[2];
};

/* --- The keeper --- */

static void log_line(void *arg, enum log_level level, const char *line)
{
	const int *fd = arg;
	(void)level;
	dprintf(*fd, "%s\n", line);
}

static int listening(const char *folder)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static struct conf *conf_of(const char *folder)
{
	static const struct conf_hooks no_hooks;
	char file[96], store[96], error[512] = "";
	snprintf(file, sizeof(file), "%s/conf", folder);
	snprintf(store, sizeof(store), "relay.store=%s/queue.db", folder);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	const char *const options[] = {store,
				       "relay.user=", "relay.control-group=", "queue.ballast=0",
				       "smtp.helo=relay.example"};
	struct conf *c = conf_load(file, options, ROWS(options), &no_hooks, error, sizeof(error));
	if (c == NULL)
		fail_msg("%s", error);
	return c;
}

/* Never returns. */
static void be_keeper(struct fixture *f, const struct conf *conf, int control, int parent)
{
	const struct birth b = {.role = ROLE_KEEPER,
				.number = 1,
				.parent_fd = parent,
				.conf = conf,
				.log = log_new_sink(log_line, &f->log, LOG_LEVEL_DEBUG),
				.log_level = LOG_LEVEL_DEBUG,
				.metrics_fd = -1,
				.control_fd = control};
	_exit(keeper_main(&b));
}

/* --- The others --- */

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct end *e = arg;
	int fd = channel_take_fd(c);
	if (fd >= 0)
		close(fd);
	e->seen[type]++;
	if (type == MSG_JOB) {
		struct slice copy = arena_bytes(&e->f->mem, payload);
		assert_true(job_get(copy, &e->f->mem, &e->job));
		e->text = e->job.mail.text;
	} else if (type == MSG_DOT_NOTED) {
		e->dot = payload.p[payload.n - 1] == 1;
	}
	loop_stop(e->f->loop);
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	struct end *e = arg;
	(void)c;
	(void)why;
	e->gone = true;
	loop_stop(e->f->loop);
}

static void on_limit(void *arg)
{
	struct fixture *f = arg;
	loop_stop(f->loop);
}

static void open_end(struct fixture *f, struct end *e, int fd, enum role role)
{
	e->f = f;
	e->channel = channel_new(f->loop, fd, role, ROLE_KEEPER, on_message, on_gone, e);
	assert_non_null(e->channel);
}

static void turn(struct fixture *f, uint32_t ms)
{
	loop_timer_set(f->limit, ms);
	loop_run(f->loop);
}

/* Until it has got so many of these, or is gone. */
static void await(struct end *e, enum message type, unsigned n)
{
	for (int i = 0; e->seen[type] < n && !e->gone; i++) {
		if (i == PATIENCE_MS / SOON_MS)
			fail_msg("no %s", message_name(type));
		turn(e->f, SOON_MS);
	}
	assert_false(e->gone);
}

static void await_end(struct end *e)
{
	for (int i = 0; !e->gone; i++) {
		if (i == PATIENCE_MS / SOON_MS)
			fail_msg("it was not cut off");
		turn(e->f, SOON_MS);
	}
}

static void introduce(struct fixture *f, struct end *e, enum role role)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put_u8(channel_begin(f->parent.channel, MSG_PEER), (uint8_t)role);
	assert_true(channel_send(f->parent.channel, pair[1]));
	close(pair[1]);
	open_end(f, e, pair[0], role);
	if (role != ROLE_COURIER)
		return;
	channel_begin(e->channel, MSG_REPORTED);
	assert_true(channel_send(e->channel, -1));
}

static void submit(struct fixture *f, const char *to)
{
	static unsigned number;
	char id[17];
	struct mail_rcpt rcpt = {.address = to};
	snprintf(id, sizeof(id), "%016x", ++number);
	struct submit s = {.token = number,
			   .mail = {.queue_id = id,
				    .reverse_path = "a@b.example",
				    .origin = "client 127.0.0.1",
				    .origin_key = ORIGIN_LOCAL,
				    .size = 4,
				    .rcpt = &rcpt,
				    .nrcpt = 1,
				    .text = slice_str("x\r\n\n")}};
	submit_put(channel_begin(f->intake.channel, MSG_SUBMIT), &s);
	assert_true(channel_send(f->intake.channel, -1));
}

static void send_result(struct end *from, const struct job *j)
{
	struct result_rcpt to = {.n = j->mail.rcpt[0].n,
				 .status = ATTEMPT_SENT,
				 .reason = REASON_OK,
				 .code = "2.0.0",
				 .reply = "250 2.0.0 Ok",
				 .host = "mx.example"};
	struct result r = {
	    .delivery = j->delivery, .take = j->take, .reason = REASON_OK, .rcpt = &to, .nrcpt = 1};
	result_put(channel_begin(from->channel, MSG_RESULT), &r);
	assert_true(channel_send(from->channel, -1));
}

static void send_dot(struct end *from, const struct job *j)
{
	struct buf *b = channel_begin(from->channel, MSG_DOT);
	put_u64(b, j->delivery);
	put_u64(b, j->take);
	assert_true(channel_send(from->channel, -1));
}

static void send_claim(struct end *from, const struct job *j, bool dot)
{
	struct buf *b = channel_begin(from->channel, MSG_CLAIM);
	put_u64(b, j->delivery);
	put_u64(b, j->take);
	put_u8(b, dot);
	assert_true(channel_send(from->channel, -1));
}

/* How many lines of its log are of this event. */
static unsigned lines_of(const struct fixture *f, const char *event)
{
	char text[LOG_ROOM + 1], word[64];
	ssize_t n = pread(f->log, text, LOG_ROOM, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	snprintf(word, sizeof(word), "event=%s ", event);
	unsigned found = 0;
	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		found++;
	return found;
}

/* --- Fixture --- */

static int setup(void **state)
{
	int pair[2];
	char path[96];
	struct fixture *f = calloc(1, sizeof(*f));
	snprintf(f->folder, sizeof(f->folder), "/tmp/danelaw-keeper-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(path, sizeof(path), "%s/log", f->folder);
	f->log = open(path, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct conf *conf = conf_of(f->folder);
	int control = listening(f->folder);
	f->keeper = fork();
	assert_true(f->keeper >= 0);
	if (f->keeper == 0) {
		close(pair[0]);
		be_keeper(f, conf, control, pair[1]);
	}
	close(pair[1]);
	close(control);
	conf_free(&conf);
	arena_init(&f->mem, MEM);
	f->loop = loop_new();
	f->limit = loop_timer_new(f->loop, on_limit, f);
	open_end(f, &f->parent, pair[0], ROLE_PARENT);
	await(&f->parent, MSG_READY, 1);
	introduce(f, &f->intake, ROLE_INTAKE);
	introduce(f, &f->courier[0], ROLE_COURIER);
	introduce(f, &f->courier[1], ROLE_COURIER);
	put_u32(channel_begin(f->parent.channel, MSG_COURIERS), 2);
	assert_true(channel_send(f->parent.channel, -1));
	*state = f;
	return 0;
}

static void remove_folder(const char *folder)
{
	static const char *const files[] = {"log",
					    "conf",
					    "control",
					    "queue.db",
					    "queue.db-wal",
					    "queue.db-shm",
					    "audit.db",
					    "audit.db-wal",
					    "audit.db-shm",
					    "audit.db-journal",
					    "queue.db-journal"};
	char path[96];
	for (size_t i = 0; i < ROWS(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	channel_free(&f->courier[0].channel);
	channel_free(&f->courier[1].channel);
	channel_free(&f->intake.channel);
	channel_free(&f->parent.channel); /* it ends with its parent */
	waitpid(f->keeper, NULL, 0);
	loop_timer_free(&f->limit);
	loop_free(&f->loop);
	arena_free(&f->mem);
	close(f->log);
	remove_folder(f->folder);
	free(f);
	return 0;
}

/* One message is in: who got its delivery, and who did not. */
static void hand_in(struct fixture *f, struct end **owner, struct end **thief)
{
	submit(f, "c@d.example");
	await(&f->intake, MSG_SUBMITTED, 1);
	while (f->courier[0].seen[MSG_JOB] + f->courier[1].seen[MSG_JOB] == 0)
		turn(f, SOON_MS);
	bool first = f->courier[0].seen[MSG_JOB] > 0;
	*owner = &f->courier[first ? 0 : 1];
	*thief = &f->courier[first ? 1 : 0];
}

/* The rightful one ends it as if nothing had been. */
static void finish(struct end *owner)
{
	send_dot(owner, &owner->job);
	await(owner, MSG_DOT_NOTED, 1);
	assert_true(owner->dot);
	send_result(owner, &owner->job);
	await(owner, MSG_RESULTS_KEPT, 1);
}

/* --- What a courier may not --- */

enum crime { REPORTS_ON, ASKS_FOR_THE_DOT_OF, CLAIMS };
enum victim { ANOTHERS, NOBODYS, AN_OLDER_TAKE };

static void commit_crime(struct end *thief, enum crime c, const struct job *j)
{
	if (c == REPORTS_ON)
		send_result(thief, j);
	else if (c == ASKS_FOR_THE_DOT_OF)
		send_dot(thief, j);
	else
		send_claim(thief, j, false);
}

static void try_crime(struct fixture *f, enum crime c, enum victim v)
{
	struct end *owner, *thief;
	hand_in(f, &owner, &thief);
	struct job j = owner->job;
	j.delivery += v == NOBODYS;
	j.take += v == AN_OLDER_TAKE;
	commit_crime(thief, c, &j);
	await_end(thief);
	assert_int_equal(thief->seen[MSG_RESULTS_KEPT], 0);
	assert_int_equal(thief->seen[MSG_DOT_NOTED], 0);
	assert_int_equal(thief->seen[MSG_CLAIMED], 0);
	assert_int_equal(lines_of(f, c == CLAIMS ? "claim" : "not-its-delivery"), 1);
	finish(owner);
	assert_int_equal(lines_of(f, "sent"), 1);
}

#define CRIME(name, c, v)                                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		try_crime(*state, c, v);                                                           \
	}
CRIME(a_report_on_anothers, REPORTS_ON, ANOTHERS)
CRIME(a_report_on_nobodys, REPORTS_ON, NOBODYS)
CRIME(a_report_on_another_take, REPORTS_ON, AN_OLDER_TAKE)
CRIME(the_dot_of_anothers, ASKS_FOR_THE_DOT_OF, ANOTHERS)
CRIME(the_dot_of_nobodys, ASKS_FOR_THE_DOT_OF, NOBODYS)
CRIME(the_dot_of_another_take, ASKS_FOR_THE_DOT_OF, AN_OLDER_TAKE)
CRIME(a_claim_on_anothers, CLAIMS, ANOTHERS)
CRIME(a_claim_on_nobodys, CLAIMS, NOBODYS)

/* Its own delivery, handed over once and spoken of as if it were another time. */
static void its_own_by_another_take(void **state)
{
	struct fixture *f = *state;
	struct end *owner, *other;
	hand_in(f, &owner, &other);
	struct job j = owner->job;
	j.take++;
	send_result(owner, &j);
	await_end(owner);
	assert_int_equal(owner->seen[MSG_RESULTS_KEPT], 0);
	assert_int_equal(lines_of(f, "not-its-delivery"), 1);
	assert_int_equal(lines_of(f, "sent"), 0);
	assert_int_equal(lines_of(f, "deferred"), 1); /* as with every courier that is gone */
}

/* A report is believed once. */
static void the_same_report_again(void **state)
{
	struct fixture *f = *state;
	struct end *owner, *other;
	hand_in(f, &owner, &other);
	finish(owner);
	send_result(owner, &owner->job);
	await_end(owner);
	assert_int_equal(lines_of(f, "sent"), 1);
	assert_int_equal(lines_of(f, "not-its-delivery"), 1);
}

/* Before it has said that these are all, it may be an honest one that was overtaken. */
static void a_claim_that_is_refused(void **state)
{
	struct fixture *f = *state;
	struct end *owner, *other, late = {0};
	int pair[2];
	hand_in(f, &owner, &other);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put_u8(channel_begin(f->parent.channel, MSG_PEER), ROLE_COURIER);
	assert_true(channel_send(f->parent.channel, pair[1]));
	close(pair[1]);
	open_end(f, &late, pair[0], ROLE_COURIER);
	send_claim(&late, &owner->job, false);
	await(&late, MSG_CLAIMED, 1);
	send_dot(&late, &owner->job);
	await_end(&late);
	channel_free(&late.channel);
	finish(owner);
}

/* --- What he says of his own delivery --- */

/* What a terminal, a log, or the lines of a mail would obey: LF, CR, ESC, C1, what turns the text,
 * and what is no UTF-8. */
#define HOSTILE "x\r\nStatus: 2.0.0\n\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xff\xc3\r.y"
static const char hostile[] = HOSTILE HOSTILE HOSTILE HOSTILE HOSTILE HOSTILE HOSTILE HOSTILE;

static void send_hostile_result(struct end *from, uint8_t status)
{
	const struct job *j = &from->job;
	struct result_rcpt to = {.n = j->mail.rcpt[0].n,
				 .status = status,
				 .reason = REASON_TIMEOUT,
				 .code = hostile,
				 .reply = hostile,
				 .host = hostile};
	struct result_try try = {hostile, hostile, hostile, hostile,
				 hostile, hostile, hostile, {0}};
	struct result r = {.delivery = j->delivery,
			   .take = j->take,
			   .reason = REASON_TIMEOUT,
			   .tries = &try,
			   .ntries = 1,
			   .rcpt = &to,
			   .nrcpt = 1};
	result_put(channel_begin(from->channel, MSG_RESULT), &r);
	assert_true(channel_send(from->channel, -1));
	await(from, MSG_RESULTS_KEPT, 1);
}

/* Lines that a person reads: nothing in them acts, and line ends are ours alone. */
static void assert_plain(const char *where, struct slice text, const char *end)
{
	struct slice all = text;
	while (text.n > 0) {
		struct slice line = slice_cut(text, '\n', &text);
		if (strcmp(end, "\r\n") == 0 && line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		for (size_t at = 0; at < line.n;) {
			bool shown;
			struct slice left = slice_from(line, at);
			size_t n = foreign_take(left, &shown);
			if (!shown && left.p[0] != '\t')
				fail_msg("octet %02x in %s: %.*s", left.p[0], where, (int)all.n,
					 (const char *)all.p);
			at += n;
		}
		if (slice_starts_nocase(line, "Status: 2"))
			fail_msg("a line of his in %s", where);
	}
}

static size_t ask_control(const struct fixture *f, const char *request, char *out, size_t room)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;
	ssize_t got;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", f->folder);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	while (n < room && (got = read(fd, out + n, room - n)) > 0)
		n += (size_t)got;
	close(fd);
	return n;
}

static void assert_log_is_plain(const struct fixture *f)
{
	static char text[LOG_ROOM];
	ssize_t n = pread(f->log, text, sizeof(text), 0);
	assert_true(n > 0);
	assert_plain("the log", slice_make(text, (size_t)n), "\n");
}

static void a_hostile_delay(void **state)
{
	struct fixture *f = *state;
	struct end *owner, *other;
	static char out[LOG_ROOM];
	char show[64];
	const char *const requests[] = {"list\n", show};
	hand_in(f, &owner, &other);
	snprintf(show, sizeof(show), "show\t%s\n", owner->job.mail.queue_id);
	send_hostile_result(owner, ATTEMPT_DEFERRED);
	assert_log_is_plain(f);
	for (size_t i = 0; i < ROWS(requests); i++) {
		size_t n = ask_control(f, requests[i], out, sizeof(out));
		assert_plain(requests[i], slice_make(out, n), "\n");
		out[n < sizeof(out) ? n : n - 1] = '\0';
	}
	assert_non_null(strstr(out, "Status: 2.0.0")); /* it is there, on our terms */
}

static void a_hostile_failure(void **state)
{
	struct fixture *f = *state;
	struct end *owner, *other;
	hand_in(f, &owner, &other);
	send_hostile_result(owner, ATTEMPT_FAILED);
	while (f->courier[0].seen[MSG_JOB] + f->courier[1].seen[MSG_JOB] < 2)
		turn(f, SOON_MS);
	for (size_t i = 0; i < 2; i++) {
		struct end *e = &f->courier[i];
		if (e->seen[MSG_JOB] == 0 || e->job.mail.reverse_path[0] != '\0')
			continue;
		assert_true(e->text.n > 0);
		assert_plain("the notice", e->text, "\r\n");
		assert_log_is_plain(f);
		return;
	}
	fail_msg("no notice");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_report_on_anothers),     CASE(a_report_on_nobodys),
	    CASE(a_report_on_another_take), CASE(the_dot_of_anothers),
	    CASE(the_dot_of_nobodys),       CASE(the_dot_of_another_take),
	    CASE(a_claim_on_anothers),      CASE(a_claim_on_nobodys),
	    CASE(its_own_by_another_take),  CASE(the_same_report_again),
	    CASE(a_claim_that_is_refused),  CASE(a_hostile_delay),
	    CASE(a_hostile_failure),
	};
	return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
