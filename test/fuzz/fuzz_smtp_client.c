/* SPDX-License-Identifier: MIT */
/*
 * The SMTP client machine against any server and any driver: no envelope without TLS where TLS is a
 * must, each recipient sent once, no success without the final dot, one result that stays.
 */
#include "fuzz_smtp.h"

enum { RCPTS = 5, EVENTS_MAX = 2000, LAST_WAITS = 0xfd, LAST_LMTP = 0xfe };

struct session {
	struct smtpc *c;
	struct smtpc_rcpt rcpt[RCPTS];
	struct smtpc_message message;
	struct smtpc_config config;
	bool sent[RCPTS];
	bool up;
	int further; /* messages that a kept session may still carry */
	enum smtpc_end end;
};

static const struct smtpc_auth auth = {"AUTH-user", "AUTH-password"};
static const char text[] = "Subject: x\r\n\r\n.\r\n..a\r\nb.\r\n";

static void session_init(struct session *s, struct slice *in)
{
	static const char *const addresses[RCPTS] = {"a0@example.org", "a1@example.org",
						     "a2@example.org", "a3@example.org",
						     "bad address@example.org"};
	uint8_t flags = fuzz_take(in), more = fuzz_take(in);
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < RCPTS; i++)
		s->rcpt[i].address = addresses[i];
	s->message = (struct smtpc_message){
	    .reverse_path = (more & 1) != 0 ? "" : "s@client.example",
	    .size = sizeof(text) - 1 + ((more & 2) != 0),
	    .eight_bit = (more & 4) != 0,
	    .smtputf8 = (more & 8) != 0,
	    .ret = (more & 16) != 0 ? "FULL" : NULL,
	    .rcpt = s->rcpt,
	    .nrcpt = (more & 32) != 0 ? RCPTS : RCPTS - 1,
	};
	s->config = (struct smtpc_config){
	    .helo = "client.example",
	    .tls = (enum smtpc_tls)(flags % 3),
	    .timeouts = &SMTPC_TIMEOUTS_RFC,
	    .rcpts_max = (flags >> 2) % 4,
	    .message = (flags & 128) != 0 ? NULL : &s->message,
	    .keep = (flags & 64) != 0,
	    .chunking = true,
	    .auth = (flags & 16) != 0 ? &auth : NULL,
	    /* the last octet says so */
	    .lmtp = in->n > 0 && in->p[in->n - 1] >= LAST_LMTP,
	    .auth_waits = in->n > 0 && in->p[in->n - 1] == LAST_WAITS,
	};
	s->config.implicit_tls = (flags & 32) != 0 && s->config.tls == SMTPC_TLS_MUST;
	s->further = (more >> 6) + 1;
	s->c = smtpc_new(&s->config);
}

/* Octets leave the machine: the only moment at which harm is done. */
static void flush(struct session *s, size_t max)
{
	struct buf *out = smtpc_output(s->c);
	FUZZ_CHECK(buf_len(out) <= FUZZ_OUTPUT_MAX);
	struct slice part = slice_first(buf_slice(out), max);
	/* a command that is cut in two still begins with its verb */
	if (s->config.tls == SMTPC_TLS_MUST && !s->up)
		FUZZ_CHECK(!fuzz_has_envelope(buf_slice(out)));
	if (s->config.auth != NULL && !s->up && part.n > 0)
		FUZZ_CHECK(!fuzz_has_envelope(part) && memmem(part.p, part.n, "AUTH", 4) == NULL);
	if (s->config.lmtp && part.n > 3) /* RFC 2033 s4.1 */
		FUZZ_CHECK(memcmp(part.p, "EHLO", 4) != 0 && memcmp(part.p, "HELO", 4) != 0);
	for (size_t i = 0; i < RCPTS; i++) {
		char rcpt[64];
		snprintf(rcpt, sizeof(rcpt), "RCPT TO:<%s>", s->rcpt[i].address);
		if (s->sent[i] && part.n > 0)
			FUZZ_CHECK(memmem(part.p, part.n, rcpt, strlen(rcpt)) == NULL);
	}
	buf_consume(out, part.n);
}

static void feed(struct session *s, size_t max)
{
	if (smtpc_want(s->c) != SMTPC_WANT_BODY)
		return;
	uint64_t offset = smtpc_body_offset(s->c);
	FUZZ_CHECK(offset <= sizeof(text) - 1);
	smtpc_body(s->c, slice_first(slice_from(slice_str(text), offset), max));
}

/* The next message of a kept session: only behind a good end, and everybody is new to it. */
static void next_message(struct session *s)
{
	FUZZ_CHECK(smtpc_result(s->c) == SMTPC_DONE && s->config.keep);
	FUZZ_CHECK(s->config.message != NULL && buf_len(smtpc_output(s->c)) == 0);
	for (size_t i = 0; i < RCPTS; i++) {
		s->rcpt[i] = (struct smtpc_rcpt){.address = s->rcpt[i].address};
		s->sent[i] = false;
	}
	s->further--;
	s->end = SMTPC_RUNNING;
	smtpc_next_message(s->c, &s->message, (s->further & 1) != 0);
	flush(s, SIZE_MAX);
}

/* An engine that does everything at once: flush, handshake, text. */
static void serve(struct session *s)
{
	flush(s, SIZE_MAX);
	for (int i = 0; i < 100 && smtpc_want(s->c) == SMTPC_WANT_BODY; i++) {
		feed(s, 7);
		flush(s, SIZE_MAX);
	}
	if (smtpc_want(s->c) == SMTPC_WANT_STARTTLS && buf_len(smtpc_output(s->c)) == 0) {
		s->up = true;
		smtpc_tls_done(s->c, true);
		flush(s, SIZE_MAX);
	}
	if (smtpc_want(s->c) == SMTPC_WANT_IDLE && s->further > 0)
		next_message(s);
	else
		smtpc_quit(s->c);
}

static void hear(struct session *s, struct slice bytes)
{
	bool past_dot = smtpc_past_final_dot(s->c);
	smtpc_recv(s->c, bytes);
	for (size_t i = 0; i < RCPTS; i++) {
		bool sent = s->rcpt[i].state == RCPT_SENT;
		FUZZ_CHECK(sent || !s->sent[i]); /* what is sent stays sent */
		FUZZ_CHECK(!sent || s->sent[i] || past_dot);
		s->sent[i] = sent;
	}
}

static void event(struct session *s, struct slice *in)
{
	uint8_t op = fuzz_take(in);
	if (op < 128) { /* what a session mostly is */
		hear(s, fuzz_reply(op));
		if ((op & 64) == 0)
			serve(s);
		return;
	}
	struct slice part;
	switch (op % 8) {
	case 0:
	case 1:
		part = slice_first(*in, fuzz_take(in));
		hear(s, part);
		*in = slice_from(*in, part.n);
		break;
	case 2:
		flush(s, fuzz_take(in));
		break;
	case 3:
		feed(s, fuzz_take(in));
		break;
	case 4:
		if (smtpc_want(s->c) == SMTPC_WANT_STARTTLS) {
			flush(s, SIZE_MAX);
			s->up = (fuzz_take(in) & 1) != 0;
			smtpc_tls_done(s->c, s->up);
		}
		break;
	case 5:
		smtpc_closed(s->c);
		break;
	case 6:
		smtpc_timed_out(s->c);
		break;
	default:
		serve(s);
		break;
	}
}

static void check(struct session *s)
{
	enum smtpc_end end = smtpc_result(s->c);
	FUZZ_CHECK(s->end == SMTPC_RUNNING || s->end == end);
	FUZZ_CHECK(end != SMTPC_RUNNING || smtpc_want(s->c) != SMTPC_WANT_CLOSE);
	FUZZ_CHECK(smtpc_timeout_ms(s->c) > 0);
	FUZZ_CHECK(smtpc_under_tls(s->c) <= s->up);
	if (end != SMTPC_RUNNING && s->end == SMTPC_RUNNING && end == SMTPC_DONE)
		FUZZ_CHECK((s->config.tls != SMTPC_TLS_MUST && s->config.auth == NULL) || s->up);
	s->end = end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct session s;

	session_init(&s, &in);
	if (s.c == NULL)
		return 0;
	for (int i = 0; i < EVENTS_MAX && in.n > 0; i++) {
		event(&s, &in);
		check(&s);
	}
	flush(&s, SIZE_MAX);
	bool doubt = smtpc_past_final_dot(s.c) && s.end == SMTPC_RUNNING;
	smtpc_closed(s.c);
	check(&s);
	FUZZ_CHECK(s.end != SMTPC_RUNNING);
	FUZZ_CHECK(!doubt || s.end == SMTPC_LOST_AFTER_DATA);
	for (size_t i = 0; i < RCPTS && smtpc_was_stale(s.c); i++)
		FUZZ_CHECK(s.rcpt[i].state == RCPT_PENDING);
	smtpc_free(&s.c);
	return 0;
}
