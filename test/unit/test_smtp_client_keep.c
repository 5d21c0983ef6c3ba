/* SPDX-License-Identifier: MIT */
/* Sessions of the SMTP client machine that are kept for another message (T9). */
#include "test_smtp_client_run.h"

/* A session that carried one message to alice and is asked to wait for another. */
static void to_keep(struct run *r, const char *last_words)
{
	to_text(r);
	r->config.keep = true;
	start_text(r);
	serve(r);
	say(r, last_words);
}

static void next_message(struct run *r)
{
	r->rcpt[0] = (struct smtpc_rcpt){.address = "dora@example.org"};
	buf_reset(&r->log);
	smtpc_next_message(r->c, &r->message, false);
	serve(r);
}

static void kept(void **state)
{
	struct run r;
	(void)state;
	to_keep(&r, "250 2.6.0 as 1\r\n");
	assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
	assert_int_equal(smtpc_want(r.c), SMTPC_WANT_IDLE);
	assert_int_equal(r.rcpt[0].state, RCPT_SENT);
	assert_false(logged(&r, "QUIT"));
	assert_non_null(smtpc_output(r.c)->p);
	smtpc_rest(r.c);
	assert_null(smtpc_output(r.c)->p);
	next_message(&r);
	smtpc_rest(r.c); /* it runs: what is to be written stays */
	assert_int_equal(smtpc_result(r.c), SMTPC_RUNNING);
	assert_string_equal(smtpc_reply(r.c), "");
	assert_string_equal(buf_cstr(&r.log), "MAIL FROM:<sender@client.example>\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "354 go\r\n");
	say(&r, "250 2.6.0 as 2\r\n");
	assert_true(logged(&r, "RCPT TO:<dora@example.org>"));
	assert_true(logged(&r, "Subject: x"));
	assert_string_equal(r.rcpt[0].reply, "250 2.6.0 as 2");
	assert_int_equal(smtpc_want(r.c), SMTPC_WANT_IDLE);
	assert_false(smtpc_was_stale(r.c));
	smtpc_quit(r.c);
	serve(&r);
	assert_true(logged(&r, "QUIT\r\n"));
	assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
	run_free(&r);
}

struct keep_row {
	const char *what;
	const char *last_words; /* the reply to the final dot */
	bool keep;              /* is kept */
	bool quit;              /* says QUIT at once */
};

static const struct keep_row keeps[] = {
    {"taken", "250 ok\r\n", true, false},
    {"4yz", "451 later\r\n", false, true},
    {"5yz", "554 no\r\n", false, true},
    {"421", "421 bye\r\n", false, false},
    {"3yz", "354 go on\r\n", false, false},
    {"no reply at all", "ok\r\n", false, false},
    {"an odd success", "221 bye\r\n", false, true},
    {"surplus behind it", "250 ok\r\n250 ok\r\n", false, false},
    {"half a reply behind it", "250 ok\r\n42", false, false},
};

static void keep_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(keeps); i++) {
		struct run r;
		to_keep(&r, keeps[i].last_words);
		assert_int_equal(smtpc_want(r.c) == SMTPC_WANT_IDLE, keeps[i].keep);
		assert_int_equal(logged(&r, "QUIT\r\n"), keeps[i].quit);
		assert_int_not_equal(smtpc_result(r.c), SMTPC_RUNNING);
		run_free(&r);
	}
}

/* Nothing was taken although nothing failed; and a probe. */
static void never_kept(void **state)
{
	struct run r;
	(void)state;
	run_init(&r, SMTPC_TLS_NONE);
	r.config.keep = true;
	run_start(&r);
	say(&r, "220 mx\r\n");
	say(&r, "250-mx\r\n250 PIPELINING\r\n");
	say(&r, "250 ok\r\n550 no\r\n550 no\r\n550 no\r\n503 nobody\r\n");
	assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
	assert_true(logged(&r, "QUIT\r\n"));
	run_free(&r);

	run_init(&r, SMTPC_TLS_NONE);
	r.config.keep = true;
	r.config.message = NULL;
	run_start(&r);
	say(&r, "220 mx\r\n");
	say(&r, "250 mx\r\n");
	assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
	assert_true(logged(&r, "QUIT\r\n"));
	run_free(&r);
}

/* Two transactions; the reply to the RSET between them decides. */
static void kept_after_reset(void **state)
{
	static const char *const resets[] = {"250 reset\r\n", "500 what\r\n"};
	(void)state;
	for (size_t i = 0; i < ROWS(resets); i++) {
		struct run r;
		run_init(&r, SMTPC_TLS_MUST);
		r.config.keep = true;
		run_start(&r);
		for (size_t k = 0; k + 1 < ROWS(conversation); k++)
			say(&r, k == 7 ? resets[i] : conversation[k]);
		assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
		assert_int_equal(smtpc_want(r.c) == SMTPC_WANT_IDLE, i == 0);
		run_free(&r);
	}
}

static void idle_ends(void **state)
{
	static const char *const unasked[] = {"421 4.4.2 idle\r\n", "250 ok\r\n", "4", NULL};
	(void)state;
	for (size_t i = 0; i < ROWS(unasked); i++) {
		struct run r;
		to_keep(&r, "250 ok\r\n");
		buf_reset(&r.log);
		if (unasked[i] != NULL)
			say(&r, unasked[i]);
		else
			smtpc_closed(r.c);
		assert_int_equal(smtpc_want(r.c), SMTPC_WANT_CLOSE);
		assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
		next_message(&r); /* too late: nothing happens */
		assert_int_equal(smtpc_result(r.c), SMTPC_DONE);
		assert_int_equal(buf_len(&r.log), 0);
		run_free(&r);
	}
}

struct stale_row {
	const char *what;
	const char *said; /* to the further message; then the connection closes */
	bool stale;
};

static const struct stale_row stales[] = {
    {"closed", "", true},
    {"closed within a reply", "250 o", true},
    {"421", "421 4.4.2 idle\r\n", true},
    {"a refusal is an answer", "451 later\r\n", false},
    {"nonsense is not silence", "ok\r\n", false},
    {"421 to what follows MAIL", "250 ok\r\n421 bye\r\n", false},
    {"closed behind MAIL", "250 ok\r\n", false},
};

static void stale_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stales); i++) {
		struct run r;
		to_keep(&r, "250 ok\r\n");
		next_message(&r);
		say(&r, stales[i].said);
		smtpc_closed(r.c);
		assert_int_equal(smtpc_was_stale(r.c), stales[i].stale);
		if (stales[i].stale)
			assert_int_equal(r.rcpt[0].state, RCPT_PENDING);
		run_free(&r);
	}
	struct run r;
	to_text(&r);
	run_start(&r);
	smtpc_closed(r.c); /* the first message of a session is never stale */
	assert_false(smtpc_was_stale(r.c));
	run_free(&r);
}

struct data_row {
	const char *what;
	const char *said; /* to MAIL, RCPT and DATA in one go; the text if there is a 354 */
	enum rcpt_state state;
	enum smtpc_want want;
	bool text, quit;
};

/* RFC 2920 s3.1: DATA may be the last of a group, and what then was accepted decides. */
static const struct data_row datas[] = {
    {"taken", "250 ok\r\n250 ok\r\n354 go\r\n", RCPT_ACCEPTED, SMTPC_WANT_READ, true, false},
    {"nobody, refused", "250 ok\r\n550 who\r\n503 no\r\n", RCPT_REJECTED, SMTPC_WANT_READ, false,
     true},
    {"nobody, go on", "250 ok\r\n450 later\r\n354 go\r\n", RCPT_DEFERRED, SMTPC_WANT_READ, false,
     false},
    {"nobody, and taken", "250 ok\r\n450 later\r\n354 go\r\n250 ok\r\n", RCPT_DEFERRED,
     SMTPC_WANT_READ, false, true},
    {"nobody, nonsense", "250 ok\r\n550 who\r\n250 ok\r\n", RCPT_REJECTED, SMTPC_WANT_READ, false,
     true},
    {"DATA refused", "250 ok\r\n250 ok\r\n451 later\r\n", RCPT_DEFERRED, SMTPC_WANT_READ, false,
     true},
    {"MAIL refused", "550 no\r\n503 no\r\n503 no\r\n", RCPT_PENDING, SMTPC_WANT_CLOSE, false,
     false},
    {"MAIL refused, go on", "550 no\r\n503 no\r\n354 go\r\n", RCPT_PENDING, SMTPC_WANT_CLOSE, false,
     false},
    {"RCPT out of sequence", "250 ok\r\n503 no\r\n503 no\r\n", RCPT_PENDING, SMTPC_WANT_CLOSE,
     false, false},
    {"DATA out of sequence", "250 ok\r\n250 ok\r\n503 no\r\n", RCPT_PENDING, SMTPC_WANT_READ, false,
     true},
    {"421 to DATA", "250 ok\r\n250 ok\r\n421 bye\r\n", RCPT_ACCEPTED, SMTPC_WANT_CLOSE, false,
     false},
};

static void data_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(datas); i++) {
		const struct data_row *d = &datas[i];
		struct run r;
		run_init(&r, SMTPC_TLS_NONE);
		r.message.nrcpt = 1;
		r.config.keep = true;
		run_start(&r);
		say(&r, "220 mx\r\n");
		say(&r, "250-mx\r\n250 PIPELINING\r\n");
		say(&r, "250 ok\r\n250 ok\r\n");
		say(&r, "354 go\r\n");
		say(&r, "250 ok\r\n");
		assert_true(logged(&r, "RCPT TO:<alice@example.org>\r\nDATA\r\nSubject"));
		next_message(&r);
		assert_string_equal(buf_cstr(&r.log), "MAIL FROM:<sender@client.example>\r\n"
						      "RCPT TO:<dora@example.org>\r\nDATA\r\n");
		say(&r, d->said);
		if (smtpc_want(r.c) != d->want || r.rcpt[0].state != d->state)
			fail_msg("%s: want %d, state %d", d->what, (int)smtpc_want(r.c),
				 (int)r.rcpt[0].state);
		assert_int_equal(logged(&r, "Subject"), d->text);
		assert_int_equal(logged(&r, "QUIT"), d->quit);
		if (d->text)
			say(&r, "250 ok\r\n");
		assert_int_equal(r.rcpt[0].state == RCPT_SENT, d->text);
		assert_int_equal(smtpc_want(r.c) == SMTPC_WANT_IDLE, d->text);
		assert_false(smtpc_was_stale(r.c));
		run_free(&r);
	}
}

/* A host that answers what it hears with given words, and knows what it has taken. It takes text
 * after any 354 to DATA, whatever it said before: a client must not rely on its good sense. */
struct host {
	struct run *r;
	const unsigned *word; /* the first replies, by number; then sensible ones */
	size_t nword, said, heard;
	bool in_text, leaving;           /* said 421: takes nothing more */
	bool chunks;                     /* offers CHUNKING */
	size_t text;                     /* octets so far */
	bool mail, offered[2], taken[2]; /* dora, bob: RCPT had 2yz; the final dot had, too */
	bool text_for_nobody;            /* a whole text although nobody was accepted */
	struct buf replies;
};

static const unsigned words[] = {250, 354, 421, 450, 452, 503, 530, 550};

static bool answer(struct host *h, unsigned sensible)
{
	unsigned code = h->said < h->nword ? words[h->word[h->said]] : sensible;
	h->said++;
	h->leaving = h->leaving || code == 421;
	buf_addf(&h->replies, "%u x\r\n", code);
	h->in_text = code == 354 && sensible == 354;
	h->text = 0;
	return code == 250 && !h->leaving;
}

static void hear_command(struct host *h, struct slice line)
{
	if (slice_starts_nocase(line, "MAIL")) {
		h->mail = answer(h, 250);
		h->offered[0] = h->offered[1] = false;
	} else if (slice_starts_nocase(line, "RCPT TO:<dora")) {
		h->offered[0] = answer(h, 250);
	} else if (slice_starts_nocase(line, "RCPT TO:<bob")) {
		h->offered[1] = answer(h, 250);
	} else {
		answer(h, slice_starts_nocase(line, "DATA") ? 354 : 250);
	}
}

static void hear_dot(struct host *h)
{
	bool anybody = h->mail && (h->offered[0] || h->offered[1]);
	h->text_for_nobody = h->text_for_nobody || (!anybody && h->text > 0);
	if (!answer(h, 250))
		return;
	for (size_t i = 0; i < 2; i++)
		h->taken[i] = h->taken[i] || h->offered[i];
}

/* BDAT: its text came with it. */
static void take_chunk(struct host *h)
{
	bool ok = answer(h, 250);
	for (size_t i = 0; ok && i < 2; i++)
		h->taken[i] = h->taken[i] || (h->mail && h->offered[i]);
}

static bool hear(struct host *h)
{
	struct slice in = slice_from(buf_slice(&h->r->log), h->heard);
	size_t lf = slice_find(in, '\n');
	if (lf == in.n)
		return false;
	struct slice line = slice_first(in, lf + 1);
	h->heard += line.n;
	if (!h->in_text && slice_starts_nocase(line, "BDAT")) {
		h->heard += sizeof(usual_text) - 1;
		assert_true(h->heard <= buf_len(&h->r->log));
		take_chunk(h);
	} else if (!h->in_text)
		hear_command(h, line);
	else if (slice_eq_str(line, ".\r\n"))
		hear_dot(h);
	else
		h->text += line.n;
	return true;
}

/* Together, or octet by octet. */
static void tell(struct host *h, bool together)
{
	struct slice all = buf_slice(&h->replies);
	size_t piece = together ? all.n : 1;
	for (; all.n > 0; all = slice_from(all, piece)) {
		smtpc_recv(h->r->c, slice_first(all, piece));
		serve(h->r);
	}
	buf_reset(&h->replies);
}

static void play(struct host *h, bool together)
{
	for (bool more = true; more;) {
		more = false;
		while (hear(h))
			more = true;
		tell(h, together);
	}
}

/* A kept connection before its second message, which is for dora and bob. */
static void second_message(struct run *r, bool chunks)
{
	run_init(r, SMTPC_TLS_NONE);
	r->message.nrcpt = 1;
	r->config.keep = true;
	r->config.chunking = true;
	run_start(r);
	say(r, "220 mx\r\n");
	say(r, chunks ? "250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n"
		      : "250-mx\r\n250 PIPELINING\r\n");
	say(r, "250 ok\r\n250 ok\r\n");
	say(r, chunks ? "" : "354 go\r\n");
	say(r, "250 ok\r\n");
	assert_int_equal(smtpc_want(r->c), SMTPC_WANT_IDLE);
	r->message.nrcpt = 2;
	r->chunk = sizeof(usual_text);
	next_message(r);
}

static void play_sequence(const unsigned *word, size_t n, bool together, bool chunks)
{
	struct run r;
	second_message(&r, chunks);
	struct host h = {.r = &r, .word = word, .nword = n, .chunks = chunks};
	buf_init(&h.replies, 4096);
	play(&h, together);
	bool wrong = h.text_for_nobody || smtpc_result(r.c) == SMTPC_RUNNING;
	for (size_t i = 0; i < 2; i++) {
		bool sent = r.rcpt[i].state == RCPT_SENT;
		/* a chunk is out before anything was said: after nonsense nobody can know */
		bool doubt = chunks && smtpc_result(r.c) == SMTPC_LOST_AFTER_DATA &&
			     r.rcpt[i].state == RCPT_ACCEPTED;
		wrong = wrong || (sent != h.taken[i] && !(doubt && h.taken[i]));
	}
	if (wrong)
		fail_msg("%s: %u %u %u %u %u", chunks ? "BDAT" : "DATA", words[word[0]],
			 words[word[1]], words[word[2]], words[word[3]], words[word[4]]);
	buf_free(&h.replies);
	run_free(&r);
}

/* Whatever a host answers to MAIL, both RCPTs, DATA and the text: who is sent is who was taken, and
 * no text gets its final dot when nobody was accepted. */
static void all_sequences(void **state)
{
	unsigned word[5];
	(void)state;
	for (unsigned i = 0; i < 8 * 8 * 8 * 8 * 8; i++) {
		for (unsigned k = 0, rest = i; k < ROWS(word); k++, rest /= 8)
			word[k] = rest % 8;
		for (unsigned how = 0; how < 4; how++)
			play_sequence(word, ROWS(word), (how & 1) != 0, (how & 2) != 0);
	}
}

/* What the host declared still holds for the next message. */
static void next_too_big(void **state)
{
	struct run r;
	(void)state;
	to_text(&r);
	r.config.keep = true;
	run_start(&r);
	say(&r, "220 mx\r\n");
	say(&r, "250-mx\r\n250 SIZE 100\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "250 ok\r\n");
	say(&r, "354 go\r\n");
	say(&r, "250 ok\r\n");
	assert_int_equal(smtpc_want(r.c), SMTPC_WANT_IDLE);
	r.message.size = 101;
	next_message(&r);
	assert_int_equal(smtpc_result(r.c), SMTPC_TOO_BIG);
	assert_string_equal(buf_cstr(&r.log), "QUIT\r\n");
	run_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kept),          cmocka_unit_test(keep_rows),
	    cmocka_unit_test(never_kept),    cmocka_unit_test(kept_after_reset),
	    cmocka_unit_test(idle_ends),     cmocka_unit_test(stale_rows),
	    cmocka_unit_test(data_rows),     cmocka_unit_test(next_too_big),
	    cmocka_unit_test(all_sequences),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
