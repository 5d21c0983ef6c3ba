/* SPDX-License-Identifier: MIT */
/*
 * A whole delivery attempt against any DNS and any servers. The rules that no input may break: no
 * session under may for a host with secure TLSA records, none without TLSA under dane-only, none
 * after a message may have been delivered, everybody settled at the end, and an end.
 */
#include "fuzz_smtp.h"

#include "deliver/attempt.h"

enum { RCPTS = 4, TURNS_MAX = 4000, REPLIES_MAX = 60, PACKET_MAX = 600 };

struct world {
	struct slice in;
	struct attempt *attempt;
	struct attempt_config config;
	struct smtpc_message message;
	struct smtpc_rcpt rcpt[RCPTS];
	bool taken[RCPTS];
	bool over; /* nothing may be tried any more */
};

static const char *const names[] = {
    "mx1.example.org", "mx2.example.org", "example.org", "real.example.net",
    "us.example.org",  "192.0.2.9",       ".",           "bad_name-.example"};

/* --- DNS --- */

static void put16(struct buf *b, unsigned v)
{
	buf_add_u16(b, (uint16_t)v);
}

static void put_name(struct buf *b, const char *text)
{
	struct slice rest = slice_str(text);
	while (rest.n > 0) {
		struct slice label = slice_cut(rest, '.', &rest);
		if (label.n > 0 && label.n < 64) {
			buf_add_u8(b, (uint8_t)label.n);
			buf_add_slice(b, label);
		}
	}
	buf_add_u8(b, 0);
}

static const char *take_name(struct world *w)
{
	return names[fuzz_take(&w->in) % (sizeof(names) / sizeof(names[0]))];
}

static void put_rdata(struct world *w, struct buf *b, uint16_t type)
{
	struct buf d;
	buf_init(&d, 512);
	if (type == DNS_MX) {
		put16(&d, fuzz_take(&w->in) % 3);
		put_name(&d, take_name(w));
	} else if (type == DNS_CNAME) {
		put_name(&d, take_name(w));
	} else if (type == DNS_TLSA) {
		uint8_t shape = fuzz_take(&w->in);
		uint8_t zero[64] = {shape};
		buf_add_u8(&d, shape % 4);
		buf_add_u8(&d, (shape >> 2) % 2);
		buf_add_u8(&d, (shape >> 3) % 3);
		buf_add(&d, zero, (shape & 64) != 0 ? 64 : 32);
	} else {
		static const uint8_t v4[] = {192, 0, 2}, v6[15] = {0x20, 1, 13, 0xb8};
		buf_add(&d, type == DNS_A ? v4 : v6, type == DNS_A ? 3 : 15);
		buf_add_u8(&d, fuzz_take(&w->in) % 12);
	}
	put16(b, (unsigned)buf_len(&d));
	buf_add_slice(b, buf_slice(&d));
	buf_free(&d);
}

static void put_record(struct world *w, struct buf *b, const char *owner, uint16_t type)
{
	put_name(b, owner);
	put16(b, type);
	put16(b, 1);
	put16(b, 0);
	put16(b, 300);
	put_rdata(w, b, type);
}

/* A response that is sound up to its records; these may be raw octets. */
static void make_packet(struct world *w, const struct plan_question *q, struct buf *b)
{
	uint8_t shape = fuzz_take(&w->in);
	unsigned count = shape % 4, alias = (shape >> 2) % 3 == 2;
	bool raw = (shape & 128) != 0;
	const char *owner = q->name;
	struct slice bytes = slice_first(w->in, raw ? fuzz_take(&w->in) : 0);
	put16(b, 0);
	put16(b, (shape & 64) != 0 ? 0x8183 : 0x8180);
	put16(b, 1);
	put16(b, count + alias);
	put16(b, 0);
	put16(b, 0);
	put_name(b, owner);
	put16(b, q->type);
	put16(b, 1);
	if (raw) {
		buf_add_slice(b, bytes);
		w->in = slice_from(w->in, bytes.n);
		return;
	}
	if (alias) {
		const char *target = "real.example.net";
		put_name(b, owner);
		put16(b, DNS_CNAME);
		put16(b, 1);
		put16(b, 0);
		put16(b, 300);
		put16(b, 18);
		put_name(b, target);
		owner = target;
	}
	for (unsigned i = 0; i < count; i++)
		put_record(w, b, owner, q->type);
}

static struct answer *resolve(struct world *w, const struct plan_question *q)
{
	uint8_t how = fuzz_take(&w->in);
	struct answer *a;
	struct buf b;
	if (how % 16 == 15)
		return answer_failed(q->name, q->type, DNS_SERVFAIL, "timeout");
	buf_init(&b, 4096);
	make_packet(w, q, &b);
	enum answer_security sec = how % 8 == 7   ? ANSWER_BOGUS
				   : how % 4 == 3 ? ANSWER_INSECURE
						  : ANSWER_SECURE;
	a = answer_parse(q->name, q->type, buf_slice(&b), sec, NULL);
	buf_free(&b);
	/* the edge says whether Full(0) data parses; sometimes it forgets (T10) */
	for (size_t i = 0; a != NULL && q->type == DNS_TLSA && i < a->nrr; i++)
		a->rr[i].u.tlsa.full = (enum tlsa_full)((how >> 4) % 3);
	return a;
}

static bool answer_all(struct world *w)
{
	struct plan_question q;
	bool any = false;
	while (plan_next_question(attempt_plan(w->attempt), &q)) {
		struct answer *a = resolve(w, &q);
		plan_answer(attempt_plan(w->attempt), q.id, a);
		answer_unref(&a);
		any = true;
	}
	return any;
}

/* --- What must hold before a connection --- */

static void check_session(const struct world *w, const struct attempt_session *as)
{
	const struct plan_host *h = as->host;
	const struct dane_policy *p = &w->config.plan.policy;
	FUZZ_CHECK(!w->over);
	FUZZ_CHECK(h->verdict.decided && as->terms->policy == h->verdict.policy);
	FUZZ_CHECK(as->terms->policy != HOST_SKIP);
	for (int q = HOST_Q_TLSA_EXPANDED; q <= HOST_Q_TLSA_ORIGINAL; q++) {
		const struct answer *a = h->facts.answer[q];
		FUZZ_CHECK(a == NULL || a->status != DNS_FAILED);
		if (a != NULL && a->status == DNS_SECURE)
			FUZZ_CHECK(as->terms->policy != HOST_MAY);
	}
	if (as->terms->policy != HOST_MAY)
		FUZZ_CHECK(as->smtp.tls == SMTPC_TLS_MUST);
	if (as->terms->policy == HOST_DANE)
		FUZZ_CHECK(as->terms->tlsa != NULL && as->terms->tlsa->usable > 0 &&
			   !as->terms->tlsa->unknown);
	if (p->level == LEVEL_DANE_ONLY)
		FUZZ_CHECK(as->terms->policy == HOST_DANE && h->facts.mx_secure);
	/* under dane-only an unsigned address of ours is no loop, but what is there must
	 * authenticate */
	bool cut = !w->config.plan.no_mx && p->level != LEVEL_DANE_ONLY;
	for (size_t i = 0; i < w->config.plan.nown_address && cut; i++)
		FUZZ_CHECK(!ipaddr_eq(&as->address, &w->config.plan.own_address[i]));
	for (size_t i = 0; i < RCPTS; i++) {
		bool pending = attempt_rcpt(w->attempt, i)->status == ATTEMPT_PENDING;
		FUZZ_CHECK((w->rcpt[i].state == RCPT_PENDING) == pending);
	}
}

/* --- Sessions --- */

static void check_output(const struct attempt_session *as, struct smtpc *c, bool up)
{
	struct buf *out = smtpc_output(c);
	if (as->terms->policy != HOST_MAY && !up)
		FUZZ_CHECK(!fuzz_has_envelope(buf_slice(out)));
	buf_consume(out, buf_len(out));
}

static void run_session(struct world *w, const struct attempt_session *as, struct smtpc *c,
			struct tls_facts *tls, bool *tried)
{
	static const char text[] = "Subject: x\r\n\r\nhello\r\n";
	bool up = false;
	for (int i = 0; i < REPLIES_MAX && smtpc_want(c) != SMTPC_WANT_CLOSE; i++) {
		check_output(as, c, up);
		enum smtpc_want want = smtpc_want(c);
		if (want == SMTPC_WANT_STARTTLS) {
			uint8_t how = fuzz_take(&w->in);
			up = how % 4 != 3;
			*tried = true;
			tls->authenticated = up && as->terms->policy == HOST_DANE;
			tls->reason = up ? REASON_OK : (enum reason)(how / 4 % REASON_COUNT);
			smtpc_tls_done(c, up);
		} else if (want == SMTPC_WANT_BODY) {
			smtpc_body(c, slice_from(slice_str(text), smtpc_body_offset(c)));
		} else {
			uint8_t op = fuzz_take(&w->in);
			if (op == 255)
				smtpc_timed_out(c);
			else
				smtpc_recv(c, fuzz_reply(op));
		}
	}
	smtpc_closed(c);
}

static void connect_one(struct world *w)
{
	struct attempt_session as;
	struct session_outcome out;
	struct tls_facts tls = {
	    .detail = "", .x509_text = "", .version = "", .cipher = "", .group = ""};
	bool tried = false;
	attempt_session(w->attempt, &as);
	check_session(w, &as);
	uint8_t op = fuzz_take(&w->in);
	struct session_facts f = {.connected = op % 4 != 3};
	struct smtpc *c = f.connected ? smtpc_new(&as.smtp) : NULL;
	if (c != NULL)
		run_session(w, &as, c, &tls, &tried);
	f.smtp = c;
	f.tls = tried ? &tls : NULL;
	f.local_error = op == 250 ? "local" : NULL;
	trouble_judge(&f, &out);
	for (size_t i = 0; i < RCPTS; i++) {
		bool sent = w->rcpt[i].state == RCPT_SENT;
		FUZZ_CHECK(sent || !w->taken[i]);
		w->taken[i] = sent;
	}
	w->over = out.reason == REASON_LOST_AFTER_DATA || out.reason == REASON_LOCAL_ERROR;
	attempt_session_ended(w->attempt, &out);
	FUZZ_CHECK(!w->over || attempt_want(w->attempt) == ATTEMPT_DONE);
	smtpc_free(&c);
}

/* --- The attempt --- */

static void world_init(struct world *w, struct slice in)
{
	static const char *const addresses[RCPTS] = {"a@example.org", "b@example.org",
						     "c@example.org", "d@example.org"};
	static const struct ipaddr own[] = {{4, {192, 0, 2, 9}}};
	memset(w, 0, sizeof(*w));
	w->in = in;
	uint8_t policy = fuzz_take(&w->in), we = fuzz_take(&w->in);
	for (size_t i = 0; i < RCPTS; i++)
		w->rcpt[i].address = addresses[i];
	w->message =
	    (struct smtpc_message){.reverse_path = "", .size = 23, .rcpt = w->rcpt, .nrcpt = RCPTS};
	w->message.size = strlen("Subject: x\r\n\r\nhello\r\n");
	w->config = (struct attempt_config){
	    .plan = {.policy = {.level = (enum dane_level)(policy % 3),
				.insecure_mx =
				    (policy & 4) != 0 ? INSECURE_MX_MAY : INSECURE_MX_DANE,
				.mx_alias = (policy & 8) != 0 ? MX_ALIAS_REFUSE : MX_ALIAS_FOLLOW,
				.reference_names =
				    (policy & 16) != 0 ? REFERENCE_BASE : REFERENCE_ALL,
				.port = 25,
				.clear_fallback = (policy & 32) != 0},
		     .next_hop = "example.org",
		     .no_mx = (policy & 128) != 0 && (policy & 64) != 0,
		     .own_name = (we & 1) != 0 ? "us.example.org" : NULL,
		     .own_address = own,
		     .nown_address = (we & 2) != 0,
		     .no_ipv4 = (we & 12) == 4,
		     .no_ipv6 = (we & 12) == 8,
		     .seed = we},
	    .helo = "client.example",
	    .timeouts = &SMTPC_TIMEOUTS_RFC,
	    .rcpts_max = (we >> 4) % 3,
	    .addresses_max = (we >> 6) % 4,
	    .message = &w->message,
	};
}

static void check_done(struct world *w)
{
	FUZZ_CHECK(attempt_want(w->attempt) == ATTEMPT_DONE);
	for (size_t i = 0; i < RCPTS; i++) {
		const struct attempt_rcpt *r = attempt_rcpt(w->attempt, i);
		FUZZ_CHECK(r->status != ATTEMPT_PENDING);
		FUZZ_CHECK((r->status == ATTEMPT_SENT) == w->taken[i]);
		FUZZ_CHECK((r->status == ATTEMPT_SENT) == (r->reason == REASON_OK));
		FUZZ_CHECK(r->decided_by < (int)attempt_ntries(w->attempt));
		char class = r->status == ATTEMPT_SENT     ? '2'
			     : r->status == ATTEMPT_FAILED ? '5'
							   : '4';
		FUZZ_CHECK(r->code[0] == class && r->code[1] == '.');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w;

	world_init(&w, slice_make(data, size));
	w.attempt = attempt_new(&w.config);
	if (w.attempt == NULL)
		return 0;
	int turn = 0;
	for (; turn < TURNS_MAX; turn++) {
		enum attempt_want want = attempt_want(w.attempt);
		if (want == ATTEMPT_DONE)
			break;
		if (want == ATTEMPT_WANT_SESSION)
			connect_one(&w);
		else
			FUZZ_CHECK(answer_all(&w));
	}
	FUZZ_CHECK(turn < TURNS_MAX);
	check_done(&w);
	attempt_free(&w.attempt);
	return 0;
}
