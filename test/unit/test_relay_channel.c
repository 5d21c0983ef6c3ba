/* SPDX-License-Identifier: MIT */
/*
 * relay: a channel, cut at every octet, with descriptors, and with a peer that breaks the rules. We
 * are the keeper; the peer is a courier or an intake whose octets are written by hand.
 */
#include "relay/channel.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAYLOAD = 64, HEADER = 6 };
enum {
#define MESSAGE(id, from, to, min, max, fd) MAX_##id = max,
#include "relay/messages.tbl"
#undef MESSAGE
};

struct got {
	enum message type;
	char text[PAYLOAD + 1];
	size_t n;
	int fd;
};

struct fixture {
	struct loop *loop;
	struct channel *channel;
	struct loop_timer *limit;
	int peer;
	struct got got[16];
	size_t ngot, until; /* the loop stops at so many */
	bool take, free_inside, drop_inside;
	const char *why; /* NULL: not closed */
};

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct fixture *f = arg;
	assert_true(f->ngot < ROWS(f->got));
	struct got *g = &f->got[f->ngot++];
	g->type = type;
	g->n = payload.n;
	memcpy(g->text, payload.p, payload.n < PAYLOAD ? payload.n : PAYLOAD);
	g->fd = f->take ? channel_take_fd(c) : -1;
	if (f->free_inside)
		channel_free(&f->channel);
	if (f->ngot >= f->until || f->free_inside)
		loop_stop(f->loop);
}

static void on_closed(void *arg, struct channel *c, const char *why)
{
	struct fixture *f = arg;
	assert_ptr_equal(c, f->channel);
	assert_null(f->why);
	f->why = why;
	if (f->drop_inside)
		channel_free(&f->channel);
	loop_stop(f->loop);
}

static void on_limit(void *arg)
{
	struct fixture *f = arg;
	loop_stop(f->loop);
}

static int open_as(void **state, enum role peer)
{
	int pair[2];
	struct fixture *f = calloc(1, sizeof(*f));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->loop = loop_new();
	f->peer = pair[1];
	f->take = true;
	f->until = 1;
	f->limit = loop_timer_new(f->loop, on_limit, f);
	f->channel = channel_new(f->loop, pair[0], ROLE_KEEPER, peer, on_message, on_closed, f);
	assert_non_null(f->channel);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return open_as(state, ROLE_INTAKE);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < f->ngot; i++) {
		if (f->got[i].fd >= 0)
			close(f->got[i].fd);
	}
	channel_free(&f->channel);
	loop_timer_free(&f->limit);
	loop_free(&f->loop);
	if (f->peer >= 0)
		close(f->peer);
	free(f);
	return 0;
}

static void turn(struct fixture *f, uint32_t ms)
{
	loop_timer_set(f->limit, ms);
	loop_run(f->loop);
}

/* A frame as octets: type, payload of n times `fill`; length as given or the right one. */
static size_t frame(uint8_t *out, unsigned type, size_t n, char fill)
{
	size_t length = n + 2;
	const uint8_t head[HEADER] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
				      (uint8_t)(length >> 8),  (uint8_t)length,
				      (uint8_t)(type >> 8),    (uint8_t)type};
	memcpy(out, head, HEADER);
	memset(out + HEADER, fill, n);
	return HEADER + n;
}

static void write_with_fd(int to, const uint8_t *p, size_t n, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(to, &m, MSG_NOSIGNAL), n);
}

static int file_with(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static bool holds(int fd, const char *text)
{
	char seen[32] = "";
	return fd >= 0 && pread(fd, seen, sizeof(seen) - 1, 0) == (ssize_t)strlen(text) &&
	       strcmp(seen, text) == 0;
}

/* --- Framing --- */

static void two_frames_cut_anywhere_are_two_messages(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[256];
	size_t n = frame(octets, MSG_SUBMIT, 32, 'a');
	n += frame(octets + n, MSG_SUBMIT, 40, 'b');
	for (size_t cut = 0; cut <= n; cut++) {
		f->ngot = 0;
		f->until = 2;
		write_with_fd(f->peer, octets, cut, -1);
		turn(f, cut == n ? 1000 : 1);
		assert_int_equal(f->ngot, cut < HEADER + 32 ? 0 : cut < n ? 1 : 2);
		if (cut < n) {
			write_with_fd(f->peer, octets + cut, n - cut, -1);
			turn(f, 1000);
		}
		assert_int_equal(f->ngot, 2);
		assert_int_equal(f->got[0].n, 32);
		assert_int_equal(f->got[1].n, 40);
		assert_true(f->got[0].text[31] == 'a' && f->got[1].text[39] == 'b');
		assert_null(f->why);
	}
}

static void descriptors_stay_with_their_frames(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[256];
	int one = file_with("one"), two = file_with("two");
	size_t a = frame(octets, MSG_SUBMIT | 0x8000u, 32, 'a');
	size_t b = frame(octets + a, MSG_SUBMIT, 32, 'b');
	size_t c = frame(octets + a + b, MSG_SUBMIT | 0x8000u, 32, 'c');
	f->until = 3;
	write_with_fd(f->peer, octets, a + b, one);
	write_with_fd(f->peer, octets + a + b, c, two);
	turn(f, 1000);
	assert_int_equal(f->ngot, 3);
	assert_true(holds(f->got[0].fd, "one"));
	assert_int_equal(f->got[1].fd, -1);
	assert_true(holds(f->got[2].fd, "two"));
	close(one);
	close(two);
}

static size_t count_fds(void)
{
	size_t n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void a_descriptor_that_nobody_takes_is_closed(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[256];
	int one = file_with("one");
	size_t before = count_fds(), n = frame(octets, MSG_SUBMIT | 0x8000u, 32, 'a');
	f->take = false;
	for (int i = 0; i < 300; i++) {
		f->ngot = 0;
		write_with_fd(f->peer, octets, n, one);
		turn(f, 1000);
		assert_int_equal(f->ngot, 1);
	}
	assert_int_equal(count_fds(), before);
	close(one);
}

/* --- Both ends --- */

static void what_is_sent_arrives_with_its_descriptor(void **state)
{
	struct fixture *f = *state;
	struct fixture other = {.loop = f->loop, .until = 20, .take = true, .peer = -1};
	int fd = file_with("text");
	other.channel =
	    channel_new(f->loop, f->peer, ROLE_INTAKE, ROLE_KEEPER, on_message, on_closed, &other);
	f->peer = -1;
	f->until = 12;
	for (int i = 0; i < 12; i++) {
		struct buf *b = channel_begin(other.channel, MSG_SUBMIT);
		for (int n = 0; n < 40 + i; n++)
			put_u8(b, 'x');
		assert_true(channel_send(other.channel, i % 3 == 0 ? fd : -1));
	}
	assert_true(channel_backlog(other.channel) > 0);
	turn(f, 1000);
	assert_int_equal(f->ngot, 12);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(f->got[i].n, 40 + i);
		assert_true(i % 3 == 0 ? holds(f->got[i].fd, "text") : f->got[i].fd < 0);
	}
	assert_int_equal(channel_backlog(other.channel), 0);
	channel_free(&other.channel);
	close(fd);
}

static void the_table_binds_the_sender(void **state)
{
	struct fixture *f = *state;
	int fd = file_with("x");
	channel_begin(f->channel, MSG_SUBMIT); /* not ours to send */
	assert_false(channel_send(f->channel, -1));
	put_u64(channel_begin(f->channel, MSG_SUBMITTED), 1); /* too short */
	assert_false(channel_send(f->channel, -1));
	struct buf *b = channel_begin(f->channel, MSG_SUBMITTED);
	for (int i = 0; i < 2049; i++)
		put_u8(b, 'x');
	assert_false(channel_send(f->channel, -1)); /* too long */
	put_bytes(channel_begin(f->channel, MSG_SUBMITTED), slice_str("0123456789"));
	assert_false(channel_send(f->channel, fd)); /* carries none */
	assert_int_equal(channel_backlog(f->channel), 0);
	assert_true(channel_send(f->channel, -1));
	close(fd);
}

static void a_peer_that_does_not_read_is_bounded(void **state)
{
	struct fixture *f = *state;
	size_t sent = 0;
	for (size_t i = 0; i < 100000; i++) {
		struct buf *b = channel_begin(f->channel, MSG_SUBMITTED);
		for (int n = 0; n < 2048; n += 8)
			put_u64(b, 0);
		if (!channel_send(f->channel, -1))
			break;
		sent++;
	}
	assert_true(sent > 1000 && sent < 100000);
	assert_true(channel_backlog(f->channel) <= 64 * 1024 * 1024);
}

/* --- A peer that breaks the rules --- */

static const struct {
	const char *about;
	unsigned type;
	uint32_t length; /* of type and payload, as claimed */
} broken[] = {
    {"no such type", MSG_COUNT, 34},
    {"no such type, with a descriptor", 0x7fff, 34},
    {"a type of another role", MSG_RESULT, 34},
    {"a type of ours", MSG_SUBMITTED, 34},
    {"a type of the parent", MSG_DRAIN, 2},
    {"no type", MSG_SUBMIT, 0},
    {"half a type", MSG_SUBMIT, 1},
    {"too short", MSG_SUBMIT, 33},
    {"too long", MSG_SUBMIT, MAX_SUBMIT + 3},
    {"much too long", MSG_SUBMIT, UINT32_MAX},
    {"a descriptor that does not come", MSG_SUBMIT | 0x8000u, 34},
};

static void a_broken_frame_ends_the_channel(void **state)
{
	for (size_t i = 0; i < ROWS(broken); i++) {
		uint8_t octets[256];
		setup(state);
		struct fixture *f = *state;
		size_t n = frame(octets, broken[i].type, 32, 'x');
		uint32_t length = broken[i].length;
		for (int k = 0; k < 4; k++)
			octets[k] = (uint8_t)(length >> (24 - 8 * k));
		write_with_fd(f->peer, octets, n, -1);
		turn(f, 1000);
		if (f->why == NULL || f->ngot != 0)
			fail_msg("%s: taken", broken[i].about);
		channel_begin(f->channel, MSG_SUBMITTED);
		assert_false(channel_send(f->channel, -1));
		teardown(state);
	}
}

static void a_flood_of_descriptors_ends_the_channel(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[256];
	int one = file_with("x");
	size_t before = count_fds();
	frame(octets, MSG_SUBMIT, 64, 'a');
	f->until = 2;
	for (int i = 0; i < 2000 && f->why == NULL; i++) {
		f->ngot = 0;
		write_with_fd(f->peer, octets + i % (HEADER + 64), 1, one);
		turn(f, 1);
		assert_true(count_fds() <= before + 256);
	}
	assert_non_null(f->why);
	channel_free(&f->channel);
	assert_true(count_fds() <= before);
	close(one);
}

static void the_end_is_told_once(void **state)
{
	struct fixture *f = *state;
	close(f->peer);
	f->peer = -1;
	turn(f, 1000);
	assert_string_equal(f->why, "closed");
	turn(f, 10);
}

static void whole_frames_before_the_end_still_count(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[256];
	size_t n = frame(octets, MSG_SUBMIT, 32, 'a');
	write_with_fd(f->peer, octets, n, -1);
	close(f->peer);
	f->peer = -1;
	f->until = 2;
	turn(f, 1000);
	assert_int_equal(f->ngot, 1);
	assert_string_equal(f->why, "closed");
}

/* A courier reports and dies while a job is on its way to it: the report counts. */
static void what_a_dead_peer_had_said_counts_when_writing_breaks(void **state)
{
	enum { LONG = 30000, FRAMES = 4 }; /* more than one read takes */
	static uint8_t octets[LONG + HEADER];
	struct fixture *f = *state;
	int fd = file_with("x");
	for (int i = 0; i < FRAMES; i++)
		write_with_fd(f->peer, octets,
			      frame(octets, MSG_SUBMIT | 0x8000u, LONG, (char)('a' + i)), fd);
	put_bytes(channel_begin(f->channel, MSG_SUBMITTED), slice_str("never read"));
	assert_true(channel_send(f->channel, -1));
	turn(f, 0);
	close(f->peer); /* with something unread: the kernel resets */
	f->peer = -1;
	put_bytes(channel_begin(f->channel, MSG_SUBMITTED), slice_str("into the void"));
	assert_true(channel_send(f->channel, -1));
	f->until = FRAMES + 1;
	turn(f, 1000);
	assert_int_equal(f->ngot, FRAMES);
	for (int i = 0; i < FRAMES; i++) {
		assert_int_equal(f->got[i].text[0], 'a' + i);
		assert_true(holds(f->got[i].fd, "x"));
	}
	assert_non_null(f->why);
	assert_int_equal(channel_backlog(f->channel), 0);
	close(fd);
}

static void it_may_be_freed_in_its_callbacks(void **state)
{
	uint8_t octets[256];
	struct fixture *f = *state;
	size_t n = frame(octets, MSG_SUBMIT | 0x8000u, 32, 'a');
	n += frame(octets + n, MSG_SUBMIT, 32, 'b');
	int one = file_with("x");
	f->free_inside = true;
	f->take = false;
	write_with_fd(f->peer, octets, n, one);
	close(one);
	turn(f, 1000);
	assert_int_equal(f->ngot, 1);
	assert_null(f->channel);
	teardown(state);
	setup(state);
	f = *state;
	f->drop_inside = true;
	frame(octets, MSG_COUNT, 32, 'a');
	write_with_fd(f->peer, octets, HEADER + 32, -1);
	turn(f, 1000);
	assert_non_null(f->why);
	assert_null(f->channel);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CLAIM(two_frames_cut_anywhere_are_two_messages),
	    CLAIM(descriptors_stay_with_their_frames),
	    CLAIM(a_descriptor_that_nobody_takes_is_closed),
	    CLAIM(what_is_sent_arrives_with_its_descriptor),
	    CLAIM(the_table_binds_the_sender),
	    CLAIM(a_peer_that_does_not_read_is_bounded),
	    cmocka_unit_test(a_broken_frame_ends_the_channel),
	    CLAIM(a_flood_of_descriptors_ends_the_channel),
	    CLAIM(the_end_is_told_once),
	    CLAIM(whole_frames_before_the_end_still_count),
	    CLAIM(what_a_dead_peer_had_said_counts_when_writing_breaks),
	    CLAIM(it_may_be_freed_in_its_callbacks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
