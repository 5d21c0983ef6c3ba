/* SPDX-License-Identifier: MIT */
/* Plays sessions against the server machine. Knows what a driver does, and a few rules by which it
 * decides. */
#include "test_smtp_server_play.h"

#include "unit.h"

enum { ROOM = 1 << 20 };

struct way {
	size_t cut;    /* the session is cut before this octet; 0: not */
	bool bytewise; /* before every octet */
	bool late;     /* decisions at the end of a flight */
};

struct player {
	const struct play_row *row;
	struct way way;
	struct smtps *s;
	struct guard *guard;
	struct buf output, text, messages;
	size_t fed; /* octets of the session so far */
	bool greeted;
};

static const struct smtps_config configs[] = {
    [PLAY_MX] = {.host = "mx.example", .tls_available = true, .rcpts_max = 100},
    [PLAY_MX_PLAIN] = {.host = "mx.example", .rcpts_max = 100},
    [PLAY_SUBMISSION] = {.host = "mx.example",
			 .submission = true,
			 .tls_available = true,
			 .size_max = 1000,
			 .rcpts_max = 100},
    [PLAY_IMPLICIT] = {.host = "mx.example",
		       .submission = true,
		       .tls_available = true,
		       .tls_implicit = true,
		       .rcpts_max = 100},
    [PLAY_SMALL] =
	{.host = "mx.example", .size_max = 20, .rcpts_max = 2, .errors_max = 3, .junk_max = 12},
};

/* ---- the driver's decisions ---- */

static uint16_t code_of(const char *address, uint16_t good)
{
	if (strncmp(address, "no", 2) == 0)
		return 550;
	if (strncmp(address, "later", 5) == 0)
		return 450;
	return strncmp(address, "bye", 3) == 0 ? 421 : good;
}

static void note_message(struct player *p)
{
	const struct smtps_envelope *e = smtps_envelope(p->s);

	if (buf_len(&p->messages) > 0)
		buf_add_str(&p->messages, "|");
	buf_addf(&p->messages, "%s>", e->reverse_path);
	for (size_t i = 0; i < e->nrcpt; i++)
		buf_addf(&p->messages, "%s%s", i > 0 ? "," : "", e->rcpt[i].address);
	buf_addf(&p->messages, ":%s", buf_cstr(&p->text));
}

static uint16_t judge_message(struct player *p)
{
	bool spam = strstr(buf_cstr(&p->text), "spam") != NULL;

	if (!spam)
		note_message(p);
	buf_reset(&p->text);
	return spam ? 554 : 250;
}

static uint16_t judge(struct player *p)
{
	const struct smtps_envelope *e = smtps_envelope(p->s);

	switch (smtps_question(p->s)) {
	case SMTPS_Q_CONNECT:
		return 220;
	case SMTPS_Q_AUTH:
		assert_true(smtps_under_tls(p->s));
		assert_string_equal(smtps_user(p->s), "user");
		return strcmp(smtps_password(p->s), "secret") == 0 ? 235 : 535;
	case SMTPS_Q_MAIL:
		return code_of(e->reverse_path, 250);
	case SMTPS_Q_RCPT:
		return code_of(smtps_rcpt(p->s)->address, 250);
	case SMTPS_Q_TEXT:
		assert_true(e->nrcpt > 0);
		buf_reset(&p->text);
		return strncmp(e->helo, "full", 4) == 0 ? 452 : 354;
	case SMTPS_Q_MESSAGE:
		assert_true(e->nrcpt > 0);
		return judge_message(p);
	case SMTPS_Q_VRFY:
		return code_of(smtps_vrfy(p->s), 252);
	}
	return 0;
}

static void take_text(struct player *p)
{
	struct buf *text = smtps_text(p->s);

	buf_add_slice(&p->text, buf_slice(text));
	buf_consume(text, buf_len(text));
}

/* Decides and drains until the machine wants something else. */
static void settle(struct player *p)
{
	for (;;) {
		enum smtps_want want = smtps_want(p->s);
		if (want == SMTPS_WANT_DRAIN) {
			take_text(p);
			smtps_drained(p->s);
		} else if (want == SMTPS_WANT_DECISION) {
			smtps_decide(p->s, judge(p), NULL);
		} else {
			return;
		}
	}
}

/* ---- flights ---- */

static void flush(struct player *p)
{
	struct buf *out = smtps_output(p->s);

	buf_add_slice(&p->output, buf_slice(out));
	buf_consume(out, buf_len(out));
}

/* The octets up to the next cut. */
static size_t part_of(const struct player *p, struct slice rest)
{
	if (p->way.bytewise)
		return 1;
	if (p->way.cut > p->fed && p->way.cut - p->fed < rest.n)
		return p->way.cut - p->fed;
	return rest.n;
}

static void send_flight(struct player *p, struct slice flight)
{
	while (flight.n > 0) {
		size_t n = part_of(p, flight);
		smtps_recv(p->s, guard_put(p->guard, slice_first(flight, n)));
		flight = slice_from(flight, n);
		p->fed += n;
		if (!p->way.late)
			settle(p);
	}
	settle(p);
}

static void greet(struct player *p)
{
	p->greeted = true;
	settle(p);
	flush(p);
}

static void fly(struct player *p, struct slice flight)
{
	if (slice_eq_str(flight, "@wait")) {
		p->greeted = true;
		return;
	}
	if (!p->greeted)
		greet(p);
	if (slice_eq_str(flight, "@tls") || slice_eq_str(flight, "@notls"))
		smtps_tls_done(p->s, flight.n == 4);
	else if (slice_eq_str(flight, "@close"))
		smtps_closed(p->s);
	else if (slice_eq_str(flight, "@timeout"))
		smtps_timed_out(p->s);
	else if (slice_eq_str(flight, "@stop"))
		smtps_shutdown(p->s);
	else if (slice_eq_str(flight, "@stop-now"))
		smtps_shutdown_now(p->s);
	else
		send_flight(p, flight);
	flush(p);
}

static void start(struct player *p, const struct play_row *r, struct guard *g, struct way way)
{
	static struct smtps_config config[sizeof(configs) / sizeof(configs[0])];

	config[r->kind] = configs[r->kind];
	config[r->kind].timeouts = &SMTPS_TIMEOUTS_RFC;
	*p = (struct player){.row = r, .way = way, .guard = g, .s = smtps_new(&config[r->kind])};
	assert_non_null(p->s);
	buf_init(&p->output, ROOM);
	buf_init(&p->text, ROOM);
	buf_init(&p->messages, ROOM);
}

static void run(struct player *p)
{
	for (size_t i = 0; i < PLAY_FLIGHTS && p->row->flight[i].n > 0; i++)
		fly(p, p->row->flight[i]);
}

static void stop(struct player *p)
{
	smtps_free(&p->s);
	assert_null(p->s);
	buf_free(&p->output);
	buf_free(&p->text);
	buf_free(&p->messages);
}

/* ---- what came of it ---- */

/* The replies of the output in the short form of the row. */
static void shorten(struct slice output, struct buf *out)
{
	while (output.n > 0) {
		struct slice line = slice_cut(output, '\n', &output);
		struct enhanced_code code;
		assert_true(line.n >= 4 && line.p[line.n - 1] == '\r');
		if (line.p[3] == '-')
			continue;
		if (buf_len(out) > 0)
			buf_add_str(out, ", ");
		buf_add_slice(out, slice_first(line, 3));
		if (enhanced_code_parse(slice_from(line, 4), &code) > 0)
			buf_addf(out, " %u.%u.%u", code.class, code.subject, code.detail);
	}
}

static void check_way(const struct player *p)
{
	const struct play_row *r = p->row;
	struct buf replies;
	struct buf messages = p->messages;

	buf_init(&replies, ROOM);
	shorten(buf_slice(&p->output), &replies);
	if (strcmp(buf_cstr(&replies), r->replies) != 0 ||
	    !slice_eq_str(buf_slice(&messages), r->messages != NULL ? r->messages : "") ||
	    smtps_result(p->s) != r->end)
		fail_msg("%s (cut %zu%s%s):\n  replies  %s\n  wanted   %s\n  messages %.*s\n"
			 "  wanted   %s\n  end %d, wanted %d\n%.*s",
			 r->name, p->way.cut, p->way.bytewise ? ", bytewise" : "",
			 p->way.late ? ", late" : "", buf_cstr(&replies), r->replies,
			 (int)buf_len(&messages), (const char *)buf_slice(&messages).p,
			 r->messages != NULL ? r->messages : "", (int)smtps_result(p->s),
			 (int)r->end, (int)buf_len(&p->output),
			 (const char *)buf_slice(&p->output).p);
	buf_free(&replies);
}

static void play_way(const struct play_row *r, struct guard *g, struct way way)
{
	struct player p;

	start(&p, r, g, way);
	run(&p);
	check_way(&p);
	stop(&p);
}

static bool is_event(struct slice flight)
{
	return flight.p[0] == '@';
}

void play_row(const struct play_row *r)
{
	struct guard g;
	size_t n = 0, longest = 1;

	for (size_t i = 0; i < PLAY_FLIGHTS && r->flight[i].n > 0; i++) {
		n += is_event(r->flight[i]) ? 0 : r->flight[i].n;
		longest = r->flight[i].n > longest ? r->flight[i].n : longest;
	}
	guard_init(&g, longest);
	for (unsigned late = 0; late < 2; late++) {
		play_way(r, &g, (struct way){.late = late != 0});
		play_way(r, &g, (struct way){.bytewise = true, .late = late != 0});
		for (size_t cut = 1; cut < n; cut++)
			play_way(r, &g, (struct way){.cut = cut, .late = late != 0});
	}
	guard_free(&g);
}

void play_output(const struct play_row *r, struct buf *out)
{
	struct guard g;
	struct player p;

	guard_init(&g, ROOM);
	start(&p, r, &g, (struct way){0});
	run(&p);
	buf_init(out, ROOM);
	buf_add_slice(out, buf_slice(&p.output));
	stop(&p);
	guard_free(&g);
}
