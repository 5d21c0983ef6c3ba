/* SPDX-License-Identifier: MIT */
/*
 * smtp_server: whatever a client sends, a message is accepted only as a whole, as CRLF text, for
 * recipients that were accepted; a password is asked for under TLS only; memory stays bounded; and
 * how the bytes are cut changes nothing.
 *
 * Input: two octets (configuration; size of the pieces), then what the client sends. An octet 0xff
 * ends a flight: the client waits for our replies. 0xfe ends one too, and the handshake is done if
 * one is due; with it the client closes otherwise.
 */
#include "fuzz.h"

#include "smtp/server.h"

enum {
	FLIGHT_END = 0xff,
	EVENT = 0xfe,
	TEXT_BUFFER_MAX = 128 * 1024 + 2,
	OUTPUT_BUFFER_MAX = 1024 * 1024,
};

struct client {
	struct smtps *s;
	size_t piece;
	bool late; /* decisions at the end of a flight */
	bool mail; /* MAIL was accepted and the transaction is not over */
	size_t nrcpt;
	bool text_begun;
	bool tls_done;
	struct buf output, text, accepted;
};

static const struct smtps_config configs[] = {
    {.host = "h", .tls_available = true, .rcpts_max = 3},
    {.host = "h", .submission = true, .tls_available = true, .rcpts_max = 3},
    {.host = "h", .submission = true, .tls_implicit = true, .rcpts_max = 3},
    {.host = "h", .size_max = 16, .rcpts_max = 2, .errors_max = 5, .junk_max = 20},
};

/* Is every CR before an LF, every LF behind a CR, no NUL, and the last line whole? */
static bool is_crlf_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')) ||
		    (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')))
			return false;
	}
	return s.n == 0 || s.p[s.n - 1] == '\n';
}

static uint16_t on_rcpt(struct client *c)
{
	const char *address = smtps_rcpt(c->s)->address;

	FUZZ_CHECK(c->mail && address != NULL && address[0] != '\0');
	if (address[0] == 'n')
		return 550;
	c->nrcpt++;
	return 250;
}

static uint16_t on_message(struct client *c)
{
	const struct smtps_envelope *e = smtps_envelope(c->s);

	FUZZ_CHECK(c->mail && c->text_begun && c->nrcpt > 0 && e->nrcpt == c->nrcpt);
	FUZZ_CHECK(buf_len(smtps_text(c->s)) == 0);
	FUZZ_CHECK(is_crlf_text(buf_slice(&c->text)));
	buf_addf(&c->accepted, "%s %zu %s:", e->reverse_path, e->nrcpt, smtps_with(c->s));
	buf_add_slice(&c->accepted, buf_slice(&c->text));
	buf_reset(&c->text);
	c->mail = c->text_begun = false;
	c->nrcpt = 0;
	return 250;
}

static uint16_t decide(struct client *c)
{
	switch (smtps_question(c->s)) {
	case SMTPS_Q_CONNECT:
		return 220;
	case SMTPS_Q_AUTH:
		FUZZ_CHECK(smtps_under_tls(c->s) && !smtps_authenticated(c->s));
		FUZZ_CHECK(smtps_user(c->s)[0] != '\0' && smtps_password(c->s)[0] != '\0');
		return smtps_user(c->s)[0] == 'u' ? 235 : 535;
	case SMTPS_Q_MAIL:
		c->nrcpt = 0;
		c->text_begun = false;
		c->mail = smtps_envelope(c->s)->reverse_path[0] != 'n';
		return c->mail ? 250 : 450;
	case SMTPS_Q_RCPT:
		return on_rcpt(c);
	case SMTPS_Q_TEXT:
		FUZZ_CHECK(c->mail && c->nrcpt > 0);
		buf_reset(&c->text);
		c->text_begun = true;
		return 354;
	case SMTPS_Q_MESSAGE:
		return on_message(c);
	case SMTPS_Q_VRFY:
		return 252;
	}
	return 0;
}

static void drain(struct client *c)
{
	struct buf *text = smtps_text(c->s);

	FUZZ_CHECK(buf_len(text) <= TEXT_BUFFER_MAX);
	buf_add_slice(&c->text, buf_slice(text));
	buf_consume(text, buf_len(text));
	smtps_drained(c->s);
}

static void settle(struct client *c)
{
	for (;;) {
		enum smtps_want want = smtps_want(c->s);
		FUZZ_CHECK(buf_len(smtps_output(c->s)) <= OUTPUT_BUFFER_MAX);
		if (want == SMTPS_WANT_DRAIN)
			drain(c);
		else if (want == SMTPS_WANT_DECISION)
			smtps_decide(c->s, decide(c), NULL);
		else
			break;
	}
}

static void flush(struct client *c)
{
	struct buf *out = smtps_output(c->s);

	buf_add_slice(&c->output, buf_slice(out));
	buf_consume(out, buf_len(out));
}

static void send_flight(struct client *c, struct slice flight)
{
	while (flight.n > 0) {
		struct slice part = slice_first(flight, c->piece);
		flight = slice_from(flight, part.n);
		smtps_recv(c->s, part);
		if (!c->late)
			settle(c);
	}
	settle(c);
	flush(c);
}

static void event(struct client *c)
{
	bool due = smtps_want(c->s) == SMTPS_WANT_STARTTLS;

	if (due) {
		smtps_tls_done(c->s, true);
		FUZZ_CHECK(smtps_under_tls(c->s) && smtps_envelope(c->s)->helo[0] == '\0');
	} else {
		smtps_closed(c->s);
		FUZZ_CHECK(smtps_want(c->s) == SMTPS_WANT_CLOSE);
	}
}

static size_t flight_length(struct slice in)
{
	size_t n = 0;

	while (n < in.n && in.p[n] != FLIGHT_END && in.p[n] != EVENT)
		n++;
	return n;
}

static void play(struct client *c, const struct smtps_config *config, struct slice in)
{
	c->s = smtps_new(config);
	FUZZ_CHECK(c->s != NULL);
	buf_init(&c->output, 4 * OUTPUT_BUFFER_MAX);
	buf_init(&c->text, OUTPUT_BUFFER_MAX);
	buf_init(&c->accepted, OUTPUT_BUFFER_MAX);
	settle(c);
	flush(c);
	while (in.n > 0) {
		size_t n = flight_length(in);
		send_flight(c, slice_first(in, n));
		if (n < in.n && in.p[n] == EVENT)
			event(c);
		in = slice_from(in, n + 1);
	}
	if (smtps_result(c->s) != SMTPS_RUNNING)
		FUZZ_CHECK(smtps_want(c->s) == SMTPS_WANT_CLOSE && smtps_password(c->s)[0] == '\0');
}

/* Every line of the output is a reply. */
static void check_output(struct slice out)
{
	while (out.n > 0) {
		struct slice line = slice_cut(out, '\n', &out);
		FUZZ_CHECK(line.n >= 5 && line.p[line.n - 1] == '\r');
		FUZZ_CHECK(line.p[0] >= '2' && line.p[0] <= '5');
		FUZZ_CHECK(line.p[3] == ' ' || line.p[3] == '-');
		FUZZ_CHECK(fuzz_is_printable(slice_first(line, line.n - 1)));
	}
}

static void stop(struct client *c)
{
	smtps_free(&c->s);
	buf_free(&c->output);
	buf_free(&c->text);
	buf_free(&c->accepted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct smtps_config config = configs[fuzz_take(&in) % 4];
	size_t piece = (size_t)fuzz_take(&in) + 1;
	struct client c[4] = {
	    {.piece = SIZE_MAX}, {.piece = 1}, {.piece = piece}, {.piece = piece, .late = true}};

	config.timeouts = &SMTPS_TIMEOUTS_RFC;
	for (size_t i = 0; i < 4; i++) {
		play(&c[i], &config, in);
		FUZZ_CHECK(slice_eq(buf_slice(&c[i].output), buf_slice(&c[0].output)));
		FUZZ_CHECK(slice_eq(buf_slice(&c[i].accepted), buf_slice(&c[0].accepted)));
		FUZZ_CHECK(smtps_result(c[i].s) == smtps_result(c[0].s));
	}
	check_output(buf_slice(&c[0].output));
	for (size_t i = 0; i < 4; i++)
		stop(&c[i]);
	return 0;
}
