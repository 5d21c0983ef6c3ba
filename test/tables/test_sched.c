/* SPDX-License-Identifier: MIT */
/* The scheduler's decisions one by one: classes, times, windows, back-offs, turns. */
#include "table.h"

#include "sched/sched.h"
#include "wire/origin.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

/* ---- classes ---- */

static const struct {
	enum reason reason;
	enum sched_class class;
} classes[] = {
    {REASON_OK, SCHED_SENT},
    {REASON_NO_SUCH_DOMAIN, SCHED_RECIPIENT_TROUBLE},
    {REASON_NULL_MX, SCHED_RECIPIENT_TROUBLE},
    {REASON_NO_ADDRESS, SCHED_RECIPIENT_TROUBLE},
    {REASON_MAIL_LOOP, SCHED_RECIPIENT_TROUBLE},
    {REASON_BAD_HOST_NAME, SCHED_HOST_TROUBLE},
    {REASON_ALIAS_REFUSED, SCHED_HOST_TROUBLE},
    {REASON_DNS_FAILED, SCHED_HOST_TROUBLE},
    {REASON_DNSSEC_INVALID, SCHED_HOST_TROUBLE},
    {REASON_ADDRESS_UNPROVEN, SCHED_HOST_TROUBLE},
    {REASON_ROUTE_NOWHERE, SCHED_HOST_TROUBLE},
    {REASON_DANE_REQUIRED, SCHED_HOST_TROUBLE},
    {REASON_CONNECT_FAILED, SCHED_HOST_TROUBLE},
    {REASON_CONNECTION_LOST, SCHED_HOST_TROUBLE},
    {REASON_TIMEOUT, SCHED_HOST_TROUBLE},
    {REASON_LOST_AFTER_DATA, SCHED_POSSIBLY_DELIVERED},
    {REASON_PROTOCOL_ERROR, SCHED_HOST_TROUBLE},
    {REASON_SMTP_DEFERRED, SCHED_RECIPIENT_TROUBLE},
    {REASON_SMTP_REJECTED, SCHED_RECIPIENT_TROUBLE},
    {REASON_TOO_BIG, SCHED_RECIPIENT_TROUBLE},
    {REASON_NO_8BITMIME, SCHED_RECIPIENT_TROUBLE},
    {REASON_NO_SMTPUTF8, SCHED_RECIPIENT_TROUBLE},
    {REASON_NO_STARTTLS, SCHED_HOST_TROUBLE},
    {REASON_STARTTLS_REFUSED, SCHED_HOST_TROUBLE},
    {REASON_STARTTLS_INJECTION, SCHED_HOST_TROUBLE},
    {REASON_TLS_FAILED, SCHED_HOST_TROUBLE},
    {REASON_CERT_EXPIRED, SCHED_HOST_TROUBLE},
    {REASON_CERT_NOT_YET_VALID, SCHED_HOST_TROUBLE},
    {REASON_TLSA_INVALID, SCHED_HOST_TROUBLE},
    {REASON_CERT_HOST_MISMATCH, SCHED_HOST_TROUBLE},
    {REASON_CERT_NOT_TRUSTED, SCHED_HOST_TROUBLE},
    {REASON_AUTH_REFUSED, SCHED_LOCAL_TROUBLE},
    {REASON_CREDENTIALS_REFUSED, SCHED_HOST_TROUBLE},
    {REASON_LOCAL_ERROR, SCHED_LOCAL_TROUBLE},
};

static void every_reason_has_a_class(void **state)
{
	(void)state;
	assert_int_equal(ROWS(classes), REASON_COUNT);
	for (size_t i = 0; i < ROWS(classes); i++)
		row_check(sched_class_of(classes[i].reason) == classes[i].class,
			  reason_name(classes[i].reason));
}

static const struct {
	const char *rule;
	enum sched_class a, b, joined;
} joins[] = {
    {"one recipient was taken: the host works", SCHED_SENT, SCHED_RECIPIENT_TROUBLE, SCHED_SENT},
    {"the second host answered", SCHED_HOST_TROUBLE, SCHED_RECIPIENT_TROUBLE,
     SCHED_RECIPIENT_TROUBLE},
    {"the second host took it", SCHED_HOST_TROUBLE, SCHED_SENT, SCHED_SENT},
    {"a doubt outweighs all", SCHED_SENT, SCHED_POSSIBLY_DELIVERED, SCHED_POSSIBLY_DELIVERED},
    {"trouble here hides what the host would say", SCHED_HOST_TROUBLE, SCHED_LOCAL_TROUBLE,
     SCHED_LOCAL_TROUBLE},
};

static const struct {
	const char *rule;
	enum reason reason;
	enum sched_reach reach;
	bool unwilling;
	enum sched_class class;
} reaches[] = {
    {"refused: it may have its limit", REASON_CONNECT_FAILED, SCHED_REACHED_NOBODY, false,
     SCHED_HOST_BUSY},
    {"reset before MAIL", REASON_CONNECTION_LOST, SCHED_REACHED_HOST, false, SCHED_HOST_BUSY},
    {"silent: that is no limit", REASON_TIMEOUT, SCHED_REACHED_HOST, false, SCHED_HOST_TROUBLE},
    {"TLS fails for every message", REASON_TLS_FAILED, SCHED_REACHED_HOST, false,
     SCHED_HOST_TROUBLE},
    {"421 or no greeting", REASON_SMTP_DEFERRED, SCHED_REACHED_HOST, true, SCHED_HOST_BUSY},
    {"451 to MAIL is about the message", REASON_SMTP_DEFERRED, SCHED_REACHED_MAIL, false,
     SCHED_RECIPIENT_TROUBLE},
    {"421 after it answered MAIL too", REASON_SMTP_DEFERRED, SCHED_REACHED_MAIL, true,
     SCHED_RECIPIENT_TROUBLE},
    {"421 to MAIL, or to what came with it", REASON_SMTP_DEFERRED, SCHED_REACHED_DOT, true,
     SCHED_RECIPIENT_TROUBLE},
    {"it hangs up at RCPT", REASON_CONNECTION_LOST, SCHED_REACHED_MAIL, false,
     SCHED_MESSAGE_TROUBLE},
    {"in the text", REASON_CONNECTION_LOST, SCHED_REACHED_TEXT, false, SCHED_MESSAGE_TROUBLE},
    {"it stops reading", REASON_TIMEOUT, SCHED_REACHED_TEXT, false, SCHED_MESSAGE_TROUBLE},
    {"after the dot", REASON_LOST_AFTER_DATA, SCHED_REACHED_DOT, false, SCHED_MESSAGE_TROUBLE},
    {"a courier died past the dot", REASON_LOST_AFTER_DATA, SCHED_REACHED_NOBODY, false,
     SCHED_POSSIBLY_DELIVERED},
    {"taken", REASON_OK, SCHED_REACHED_DOT, false, SCHED_SENT},
    {"trouble here", REASON_LOCAL_ERROR, SCHED_REACHED_TEXT, false, SCHED_LOCAL_TROUBLE},
};

static void reach_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(reaches); i++)
		row_check(sched_class_at(sched_class_of(reaches[i].reason), reaches[i].reason,
					 reaches[i].reach,
					 reaches[i].unwilling) == reaches[i].class,
			  reaches[i].rule);
}

static void join_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(joins); i++) {
		row_check(sched_class_join(joins[i].a, joins[i].b) == joins[i].joined,
			  joins[i].rule);
		row_check(sched_class_join(joins[i].b, joins[i].a) == joins[i].joined,
			  joins[i].rule);
	}
}

/* ---- times of a delivery ---- */

static const struct {
	const char *rule;
	uint32_t attempts;
	int64_t now, expires, min, max; /* minutes */
} retries[] = {
    {"first: 5 minutes", 1, 0, 7200, 4, 6},
    {"doubles", 2, 0, 7200, 9, 11},
    {"doubles again", 3, 0, 7200, 18, 22},
    {"160 minutes", 6, 0, 7200, 144, 176},
    {"4 hours at most", 7, 0, 7200, 216, 264},
    {"4 hours for good", 1000000, 0, 7200, 216, 264},
    {"the last attempt is before the end", 7, 7100, 7200, 7195, 7195},
    {"no attempt between that and the end", 7, 7196, 7200, 7200, 7200},
    {"nor by a clock that stands on it", 7, 7195, 7200, 7200, 7200},
    {"an operator's attempt after the end has its own time", 1, 7300, 7200, 7304, 7306},
};

static void retry_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(retries); i++) {
		bool differs = false;
		int64_t first = 0;
		for (int64_t id = 0; id < 200; id++) {
			int64_t at =
			    sched_retry_at(&SCHED_CONFIG_DEFAULT, 42, id, retries[i].attempts,
					   retries[i].expires * MINUTE, retries[i].now * MINUTE);
			row_check(at >= retries[i].min * MINUTE, retries[i].rule);
			row_check(at <= retries[i].max * MINUTE, retries[i].rule);
			differs |= id > 0 && at != first;
			first = at;
		}
		row_check(differs == (retries[i].min != retries[i].max), retries[i].rule);
	}
	assert_int_equal(sched_expires_at(&SCHED_CONFIG_DEFAULT, 7), 7 + 120ll * HOUR);
	assert_int_equal(sched_warn_at(&SCHED_CONFIG_DEFAULT, 7), 7 + 4 * HOUR);
	struct sched_config quiet = SCHED_CONFIG_DEFAULT;
	quiet.warn_after = 0;
	assert_int_equal(sched_warn_at(&quiet, 7), 0);
}

static void configurations(void **state)
{
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	(void)state;
	assert_null(sched_config_error(&c));
#define BAD(field, value)                                                                          \
	do {                                                                                       \
		struct sched_config b = c;                                                         \
		b.field = value;                                                                   \
		assert_non_null(sched_config_error(&b));                                           \
		assert_null(sched_new(&b, 1));                                                     \
	} while (0)
	BAD(destinations, 0);
	BAD(destinations, SCHED_DESTINATIONS_MAX + 1);
	BAD(lookahead, 0);
	BAD(slots, 0);
	BAD(start, 0);
	BAD(start, c.limit + 1);
	BAD(limit, 0);
	BAD(quantum, 0);
	BAD(retry_first, 0);
	BAD(retry_first, c.retry_max + 1);
	BAD(back_off_max, 0);
	BAD(local_rest, 0);
	BAD(lifetime, 0);
	BAD(warn_after, -1);
	BAD(jitter, 100);
#undef BAD
}

/* ---- windows and back-offs as scripts ---- */

/*
 * One destination, a step a word:
 *   s   a delivery starts     .   none starts      p   a probe starts
 *   +   the oldest running one: sent          r  recipient trouble     -  host trouble
 *   l   local trouble         ?  possibly delivered    b  turned away    m  lost with its message
 *   wN  the window is N       B  it rests     O  it does not rest      tN  N seconds pass
 */
static const struct {
	const char *rule, *script;
} scripts[] = {
    {"it starts with two at a time", "w2 s s ."},
    {"one more for each success: twice as many a round", "s s + + w4 s s s s ."},
    {"and again", "s s + + s s s s + + + + w8"},
    {"but not more than are used", "s + s + s + s + w2"},
    {"after trouble no more for a while", "s s + + s s s s - w2 + + + s s + + s s + + w2"},
    {"then one for four windows",
     "s s + + s s s s - + + + t11 s s + + s s + + s s + + s + w2 s + w3"},
    {"a recipient's trouble does not grow it", "s s r r w2 s s ."},
    {"a new destination that fails rests at once", "s - B ."},
    {"what was under way adds nothing", "s s - - B t331 p"},
    {"after the back-off one probe", "s - B t269 . t62 p ."},
    {"a probe that fails: twice as long", "s - t331 p - B t539 . t122 p"},
    {"an hour at most", "s - t331 p - t661 p - t1321 p - t2641 p - B t3961 p - B t3961 p"},
    {"a probe that succeeds opens it", "s - t331 p + O w2 s s ."},
    {"a recipient's trouble is an answer", "s - t331 p r O s s ."},
    {"an answer of an older attempt too", "s s - B + O s s ."},
    {"after it the back-off is short again", "s - t331 p - t661 p + s - B t331 p"},
    {"half as many on host trouble", "s s + + s s s s - w2 O"},
    {"once for those that began together", "s s + + s s s s - + - w2 O"},
    {"a window of failures in a row", "s s + + s s s s - - B"},
    {"trouble here: a short rest, no failure", "s l B . t11 p + O w2"},
    {"trouble here while probing: no failure", "s - t331 p l B t11 p - B t661 p"},
    {"turned away: as many as it goes on to serve", "s s + + s s s s b w3 b w2 O . + s ."},
    {"the last one too: a moment", "s + s b B t3 p + O w1"},
    {"nobody was served: trouble", "s b B t269 . t62 p"},
    {"of two the first may have met the limit", "s s b O w1 + s ."},
    {"a message is not the host", "s s + + s m O w4 s m O"},
    {"nor is it for a probe", "s - t331 p m O w1 s ."},
    {"a doubt: rest, so that the next is not doubled", "s s + + s ? B t331 p"},
};

static struct sched *one(void)
{
	struct sched *s = sched_new(&SCHED_CONFIG_DEFAULT, 3);
	assert_non_null(s);
	for (int64_t id = 1; id <= 32; id++) {
		struct sched_delivery d = {
		    .id = id, .destination = 9, .sender = 1, .expires = 99ll * HOUR};
		assert_int_equal(sched_delivery_due(s, 0, &d, NULL), SCHED_TAKEN);
	}
	return s;
}

static enum sched_class class_of_word(char w)
{
	switch (w) {
	case '+':
		return SCHED_SENT;
	case 'r':
		return SCHED_RECIPIENT_TROUBLE;
	case '-':
		return SCHED_HOST_TROUBLE;
	case 'l':
		return SCHED_LOCAL_TROUBLE;
	case 'b':
		return SCHED_HOST_BUSY;
	case 'm':
		return SCHED_MESSAGE_TROUBLE;
	default:
		return SCHED_POSSIBLY_DELIVERED;
	}
}

struct play {
	struct sched *s;
	int64_t now, run[64];
	size_t head, n;
};

static void play_word(struct play *p, const char *w, const char *rule)
{
	struct sched_wish wish;
	struct sched_destination look;
	struct sched_verdict v;

	assert_true(sched_look(p->s, 9, &look));
	if (w[0] == 's' || w[0] == 'p' || w[0] == '.') {
		sched_next(p->s, p->now, &wish);
		row_check((wish.kind == SCHED_WISH_START) == (w[0] != '.'), rule);
		row_check(wish.kind != SCHED_WISH_START || wish.probe == (w[0] == 'p'), rule);
		p->run[p->n++] = wish.delivery;
	} else if (w[0] == 'w') {
		row_check(look.window == (uint32_t)(w[1] - '0'), rule);
	} else if (w[0] == 'B' || w[0] == 'O') {
		row_check((look.back_off_until > p->now) == (w[0] == 'B'), rule);
	} else if (w[0] == 't') {
		p->now += strtol(w + 1, NULL, 10) * SECOND;
	} else {
		struct sched_end e = {.class = class_of_word(w[0]), .pending = true};
		while (p->head < p->n && p->run[p->head] == 0)
			p->head++;
		row_check(p->head < p->n, rule);
		row_check(sched_ended(p->s, p->now, p->run[p->head++], &e, &v), rule);
		row_check(v.fate == SCHED_FATE_RETRY, rule);
	}
}

static void script_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(scripts); i++) {
		struct play p = {.s = one()};
		const char *w = scripts[i].script;
		while (*w != '\0') {
			play_word(&p, w, scripts[i].rule);
			w += strcspn(w, " ");
			w += strspn(w, " ");
		}
		sched_free(&p.s);
	}
}

/* ---- turns ---- */

static void due(struct sched *s, int64_t id, int64_t destination, uint64_t sender, uint32_t cost,
		enum sched_taken want)
{
	struct sched_delivery d = {.id = id,
				   .destination = destination,
				   .sender = sender << ORIGIN_PATH_BITS,
				   .policy = (uint64_t)(id % 2),
				   .cost = cost,
				   .expires = 99ll * HOUR};
	assert_int_equal(sched_delivery_due(s, 0, &d, NULL), want);
}

static int64_t next(struct sched *s, int64_t now)
{
	struct sched_wish w;
	sched_next(s, now, &w);
	return w.kind == SCHED_WISH_START ? w.delivery : 0;
}

static void sent(struct sched *s, int64_t id, int64_t keep_until)
{
	struct sched_end e = {.class = SCHED_SENT, .keep_until = keep_until};
	struct sched_verdict v;
	assert_true(sched_ended(s, 0, id, &e, &v));
	assert_int_equal(v.fate, SCHED_FATE_DONE);
}

static void senders_take_turns(void **state)
{
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	(void)state;
	c.lookahead = 4;
	struct sched *s = sched_new(&c, 1);
	for (int64_t id = 1; id <= 4; id++)
		due(s, id, 9, 1, 1, SCHED_TAKEN);
	due(s, 4, 9, 1, 1, SCHED_KNOWN);
	due(s, 5, 9, 1, 1, SCHED_LATER);
	due(s, 6, 9, 2, 1, SCHED_TAKEN); /* 4 goes back to the store */
	due(s, 7, 9, 2, 1, SCHED_TAKEN); /* and 3: two of each sender now */
	due(s, 3, 9, 1, 1, SCHED_LATER);
	due(s, 8, 9, 3, 1, SCHED_TAKEN); /* 7 goes back */
	assert_int_equal(next(s, 0), 1);
	assert_int_equal(next(s, 0), 6);
	sent(s, 1, 0);
	assert_int_equal(next(s, 0), 8);
	sent(s, 6, 0);
	sent(s, 8, 0);
	assert_int_equal(next(s, 0), 2);
	assert_false(sched_forget(s, 2)); /* under way */
	assert_false(sched_forget(s, 3)); /* not here */
	struct sched_wish w;
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_DELIVERIES);
	assert_int_equal(w.destination, 9);
	due(s, 3, 9, 1, 1, SCHED_TAKEN);
	assert_true(sched_forget(s, 3));
	sched_deliveries_told(s, 9, false);
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_NONE);
	sched_free(&s);
}

static void destinations_take_turns(void **state)
{
	/* quantum 2: cheap ones go two at a time, one of cost 4 waits for its second quantum */
	static const int64_t order[] = {11, 12, 31, 32, 21, 13, 14};
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	(void)state;
	c.quantum = 2;
	c.start = 4;
	struct sched *s = sched_new(&c, 1);
	for (int64_t id = 11; id <= 14; id++)
		due(s, id, 1, 1, 1, SCHED_TAKEN);
	due(s, 21, 2, 1, 4, SCHED_TAKEN);
	due(s, 31, 3, 1, 1, SCHED_TAKEN);
	due(s, 32, 3, 1, 1, SCHED_TAKEN);
	int64_t got[ROWS(order)];
	for (size_t i = 0; i < ROWS(order); i++)
		got[i] = next(s, 0);
	assert_int_equal(next(s, 0), 0);
	/* 1 has its turn, 2 saves up, 3 has its turn, then 1 or 2 */
	assert_int_equal(got[0], 11);
	assert_int_equal(got[1], 12);
	assert_int_equal(got[2], 31);
	assert_int_equal(got[3], 32);
	bool seen_2 = false;
	for (size_t i = 4; i < ROWS(order); i++)
		seen_2 |= got[i] == 21;
	assert_true(seen_2);
	sched_free(&s);
}

/* Of eight slots one is for own backends, and who takes all he may leaves one for the next. */
static void the_last_slots_are_for_others(void **state)
{
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	struct sched_known k = {.own = true};
	(void)state;
	c.slots = 8;
	c.start = 8;
	struct sched *s = sched_new(&c, 1);
	for (int64_t id = 11; id <= 19; id++)
		due(s, id, 1, 1, 1, SCHED_TAKEN);
	int64_t n = 0;
	while (next(s, 0) != 0)
		n++;
	assert_in_range(n, 1, 4); /* nothing is known of it */
	due(s, 21, 2, 2, 1, SCHED_TAKEN);
	assert_int_equal(next(s, 0), 21);
	for (int64_t id = 11; id < 11 + n; id++)
		sent(s, id, 0);
	for (int64_t id = 31; id <= 40; id++)
		due(s, id, 1, 1, 1, SCHED_TAKEN);
	for (n = 0; next(s, 0) != 0;)
		n++;
	assert_in_range(n, 5, 6); /* it works */
	struct sched_delivery own = {.id = 51, .destination = 3, .sender = 99, .expires = HOUR};
	assert_int_equal(sched_delivery_due(s, 0, &own, &k), SCHED_TAKEN);
	assert_int_equal(next(s, 0), 51);
	sched_free(&s);
}

static void connections_are_used_again(void **state)
{
	struct sched *s = sched_new(&SCHED_CONFIG_DEFAULT, 1);
	struct sched_wish w;
	(void)state;
	for (int64_t id = 1; id <= 6; id++)
		due(s, id, 9, 1, 1, SCHED_TAKEN); /* policy: odd and even */
	assert_int_equal(next(s, 0), 1);
	sched_started(s, 1, 77);
	sent(s, 1, 10);
	sched_next(s, 0, &w);
	assert_int_equal(w.delivery, 2);
	assert_int_equal(w.courier, 0); /* T9: another policy */
	sched_next(s, 0, &w);
	assert_int_equal(w.delivery, 3);
	assert_int_equal(w.courier, 77);
	sched_started(s, 3, 77);
	sent(s, 3, 10);
	sched_next(s, 0, &w);
	assert_int_equal(w.courier, 0);
	sent(s, w.delivery, 0);
	sched_next(s, 10, &w);
	assert_int_equal(w.delivery, 5);
	assert_int_equal(w.courier, 0); /* closed by then */
	sched_started(s, 5, 78);
	sent(s, 5, 20);
	sched_courier_gone(s, 78);
	due(s, 7, 9, 1, 1, SCHED_TAKEN);
	sched_next(s, 10, &w);
	sched_next(s, 10, &w);
	assert_int_equal(w.courier, 0);
	sched_free(&s);
}

/* As many as were put down, at the courier that did so last; then whoever talked to it last. */
static void connections_are_counted(void **state)
{
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	struct sched_wish w;
	static const uint32_t put_down[] = {7, 8, 7, 8, 8, 7, 7, 8, 7, 7, 7, 8};
	enum { N = sizeof(put_down) / sizeof(put_down[0]) };
	uint32_t sevens = 0, eights = 0;
	(void)state;
	c.start = N;
	struct sched *s = sched_new(&c, 1);
	for (int64_t id = 1; id <= N; id++)
		due(s, 2 * id, 9, 1, 1, SCHED_TAKEN);
	for (int64_t id = 1; id <= N; id++) {
		sched_next(s, 0, &w);
		assert_int_equal(w.delivery, 2 * id);
		assert_int_equal(w.courier, 0);
		assert_int_equal(w.last, 0);
		sched_started(s, 2 * id, put_down[id - 1]);
	}
	for (int64_t id = 1; id <= N; id++)
		sent(s, 2 * id, 100 + id);
	for (int64_t id = 1; id <= N + 1; id++) {
		due(s, 100 + 2 * id, 9, 1, 1, SCHED_TAKEN);
		sched_next(s, 50, &w);
		assert_int_equal(w.delivery, 100 + 2 * id);
		assert_int_equal(w.last, 8);
		sevens += w.courier == 7;
		eights += w.courier == 8;
		if (id <= 5)
			assert_int_equal(w.courier, 8);
	}
	assert_int_equal(sevens, 7);
	assert_int_equal(eights, 5);
	assert_int_equal(w.courier, 0);
	sched_courier_gone(s, 8);
	due(s, 200, 9, 1, 1, SCHED_TAKEN);
	sent(s, 102, 0);
	sched_next(s, 50, &w);
	assert_int_equal(w.last, 0);
	sched_free(&s);
}

static void a_full_house_makes_room(void **state)
{
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	struct sched_wish w;
	struct sched_end dead = {.class = SCHED_HOST_TROUBLE, .pending = true};
	struct sched_verdict v;
	int64_t busy[4];
	(void)state;
	c.destinations = 2;
	struct sched *s = sched_new(&c, 1);
	due(s, 11, 1, 1, 1, SCHED_TAKEN);
	due(s, 21, 2, 1, 1, SCHED_TAKEN);
	due(s, 31, 3, 1, 1, SCHED_LATER);
	assert_int_equal(next(s, 0), 11);
	assert_int_equal(next(s, 0), 21);
	due(s, 31, 3, 1, 1, SCHED_LATER); /* both at work */
	assert_true(sched_ended(s, 0, 11, &dead, &v));
	assert_int_equal(v.news, SCHED_NEWS_BACK_OFF);
	assert_int_equal(v.failures, 1);
	/* one that rests gives way */
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_DESTINATIONS);
	assert_int_equal(w.max, 1);
	due(s, 31, 3, 1, 1, SCHED_TAKEN);
	sched_destinations_told(s, false);
	assert_int_equal(sched_busy(s, busy, 4), 1);
	assert_int_equal(busy[0], 3);
	/* the store knows its back-off, so that nobody forgets it */
	struct sched_known k = {.failures = 1, .back_off_until = v.back_off_until};
	struct sched_delivery d = {.id = 11,
				   .destination = 1,
				   .sender = (uint64_t)1 << ORIGIN_PATH_BITS,
				   .expires = 99ll * HOUR};
	sent(s, 21, 0);
	assert_int_equal(sched_delivery_due(s, 0, &d, &k), SCHED_LATER);
	assert_int_equal(sched_delivery_due(s, v.back_off_until, &d, &k), SCHED_TAKEN);
	assert_int_equal(next(s, v.back_off_until), 31);
	sched_next(s, v.back_off_until, &w);
	assert_int_equal(w.delivery, 11);
	assert_true(w.probe);
	sched_free(&s);
}

/* With more ready destinations than places, one that had its turn gives way and comes back last. */
static void who_had_a_turn_gives_way(void **state)
{
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	struct sched_wish w;
	int64_t busy[4];
	(void)state;
	c.destinations = 2;
	c.slots = 1;
	c.quantum = 1;
	struct sched *s = sched_new(&c, 1);
	for (int64_t id = 11; id <= 21; id += 10) {
		due(s, id, id / 10, 1, 1, SCHED_TAKEN);
		due(s, id + 1, id / 10, 1, 1, SCHED_TAKEN);
	}
	assert_int_equal(next(s, 0), 11);
	due(s, 31, 3, 1, 1, SCHED_LATER); /* 1 is at work, 2 had no turn yet */
	sent(s, 11, 0);
	assert_int_equal(next(s, 0), 21);
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_DESTINATIONS);
	assert_int_equal(sched_busy(s, busy, 4), 2);
	assert_int_equal(busy[0] + busy[1], 1 + 2);
	due(s, 31, 3, 1, 1, SCHED_TAKEN);
	sched_destinations_told(s, false);
	sent(s, 21, 0);
	/* the newcomer waits one turn of each other at most; 2 works by now, and that is another
	 * share */
	int64_t a = next(s, 0);
	sent(s, a, 0);
	int64_t b = next(s, 0);
	assert_true((a == 22 && b == 31) || (a == 31 && b == 22));
	sched_free(&s);
}

static void nonsense_is_ignored(void **state)
{
	struct sched *s = sched_new(&SCHED_CONFIG_DEFAULT, 1);
	struct sched_end e = {.class = SCHED_SENT};
	struct sched_verdict v;
	(void)state;
	sched_started(s, 5, 1);
	assert_false(sched_ended(s, 0, 5, &e, &v));
	assert_false(sched_forget(s, 5));
	sched_deliveries_told(s, 5, true);
	sched_destinations_told(s, true);
	sched_retry_now(s, 5);
	sched_courier_gone(s, 5);
	due(s, 5, 9, 1, 1, SCHED_TAKEN);
	assert_false(sched_ended(s, 0, 5, &e, &v)); /* not started */
	assert_int_equal(next(s, 0), 5);
	e.class = SCHED_HOST_TROUBLE;
	e.pending = true;
	assert_true(sched_ended(s, 100ll * HOUR, 5, &e, &v));
	assert_int_equal(v.fate, SCHED_FATE_EXPIRED);
	assert_false(sched_ended(s, 0, 5, &e, &v));     /* twice */
	assert_in_range(sched_next_wakeup(s), 1, HOUR); /* the clock was set back */
	due(s, 6, 9, 1, 1, SCHED_TAKEN);
	assert_int_equal(next(s, 0), 0); /* a clock that jumps back ends no rest */
	sched_retry_now(s, 9);
	assert_int_equal(next(s, 0), 6);
	sched_free(&s);
	sched_free(&s);
}

/* A store that always says that there is more is asked once. */
static void no_wish_is_endless(void **state)
{
	struct sched_config c = SCHED_CONFIG_DEFAULT;
	struct sched_wish w;
	(void)state;
	c.lookahead = 1;
	struct sched *s = sched_new(&c, 1);
	due(s, 1, 9, 1, 1, SCHED_TAKEN);
	due(s, 2, 9, 1, 1, SCHED_LATER);
	assert_int_equal(next(s, 0), 1);
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_DELIVERIES);
	sched_deliveries_told(s, 9, true);
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_NONE);
	sched_destinations_due(s);
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_DESTINATIONS);
	sched_destinations_told(s, true);
	sched_next(s, 0, &w);
	assert_int_equal(w.kind, SCHED_WISH_NONE);
	sched_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_reason_has_a_class),
	    cmocka_unit_test(join_rows),
	    cmocka_unit_test(reach_rows),
	    cmocka_unit_test(retry_rows),
	    cmocka_unit_test(configurations),
	    cmocka_unit_test(script_rows),
	    cmocka_unit_test(senders_take_turns),
	    cmocka_unit_test(destinations_take_turns),
	    cmocka_unit_test(the_last_slots_are_for_others),
	    cmocka_unit_test(connections_are_used_again),
	    cmocka_unit_test(connections_are_counted),
	    cmocka_unit_test(a_full_house_makes_room),
	    cmocka_unit_test(who_had_a_turn_gives_way),
	    cmocka_unit_test(nonsense_is_ignored),
	    cmocka_unit_test(no_wish_is_endless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
