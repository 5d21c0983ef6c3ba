/* SPDX-License-Identifier: MIT */
/*
 * relay: octets of a process that was taken over, as its peers read them: frames through a real
 * channel, and what is in them through the decoder of each row of messages.tbl. Nothing comes out
 * that the table does not allow, and the end comes once.
 *
 * Input: the two roles, then what the peer writes.
 */
#include "fuzz.h"

#include "dane/evidence.h"
#include "loop/loop.h"
#include "relay/findings.h"
#include "relay/mail.h"
#include "relay/metrics.h"

#include <sys/socket.h>
#include <unistd.h>

enum { MEM = 8 * 1024 * 1024, LIMIT_MS = 60000 };

static const struct {
	size_t least, most;
	enum message_fd fd;
} rows[] = {
#define MESSAGE(id, from, to, least, most, fd) {least, most, fd},
#include "relay/messages.tbl"
#undef MESSAGE
};

struct listener {
	struct loop *loop;
	struct channel *channel;
	bool over;
};

/* Each decoder of a payload: its answer is its own, but it reads nothing behind the end. */
static void decode(enum message type, struct slice payload)
{
	struct arena mem;
	union {
		struct submit submit;
		struct submitted submitted;
		struct job job;
		struct result result;
		struct question question;
		struct answered answered;
		struct findings findings;
		struct evidence evidence;
		struct courier_stats stats;
	} *x = malloc(sizeof(*x));

	FUZZ_CHECK(x != NULL);
	arena_init(&mem, MEM);
	if (type == MSG_SUBMIT)
		submit_get(payload, &mem, &x->submit);
	else if (type == MSG_SUBMITTED)
		submitted_get(payload, &mem, &x->submitted);
	else if (type == MSG_JOB)
		job_get(payload, &mem, &x->job);
	else if (type == MSG_RESULT)
		result_get(payload, &mem, &x->result);
	else if (type == MSG_ASK)
		question_get(payload, &mem, &x->question);
	else if (type == MSG_ANSWER)
		answered_get(payload, &mem, &x->answered);
	else if (type == MSG_FINDINGS)
		findings_get(payload, &mem, &x->findings);
	else if (type == MSG_EVIDENCE)
		evidence_decode(payload, &mem, &x->evidence);
	else if (type == MSG_STATS)
		courier_stats_get(payload, &x->stats);
	/* else: fixed fields, or none */
	arena_free(&mem);
	free(x);
}

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct listener *l = arg;
	FUZZ_CHECK(c == l->channel && !l->over);
	FUZZ_CHECK((size_t)type < sizeof(rows) / sizeof(rows[0]));
	FUZZ_CHECK(payload.n >= rows[type].least && payload.n <= rows[type].most);
	FUZZ_CHECK(channel_take_fd(c) == -1); /* none was sent */
	decode(type, payload);
}

static void on_end(void *arg, struct channel *c, const char *why)
{
	struct listener *l = arg;
	(void)c;
	FUZZ_CHECK(!l->over && why != NULL && why[0] != '\0');
	l->over = true;
	loop_stop(l->loop);
}

static void on_limit(void *arg)
{
	(void)arg;
	FUZZ_CHECK(false); /* the end was not told */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop *loop;
	struct slice in = slice_make(data, size);
	enum role self = (enum role)(fuzz_take(&in) % ROLE_COUNT);
	enum role peer = (enum role)(fuzz_take(&in) % ROLE_COUNT);
	struct listener l = {0};
	int pair[2], room = 1 << 20;

	if (loop == NULL)
		loop = loop_new();
	struct loop_timer *limit = loop_timer_new(loop, on_limit, NULL);
	FUZZ_CHECK(limit != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	l.loop = loop;
	l.channel = channel_new(loop, pair[0], self, peer, on_message, on_end, &l);
	FUZZ_CHECK(l.channel != NULL);
	if (in.n > 0)
		(void)!send(pair[1], in.p, in.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(pair[1]);
	loop_timer_set(limit, LIMIT_MS);
	loop_run(loop);
	FUZZ_CHECK(l.over);
	channel_free(&l.channel);
	loop_timer_free(&limit);
	return 0;
}
