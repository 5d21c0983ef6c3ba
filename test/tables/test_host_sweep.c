/* SPDX-License-Identifier: MIT */
/*
 * host_decide() over every combination of what its five questions can have been answered, and every
 * policy: no rule may have a hole that a table of examples does not show.
 *
 * The checks are written from the side of the result ("who says may must have seen ...") and share
 * no code with the decision.
 */
#include "host_row.h"

#include <string.h>

enum { STATES = 8 };

static const char *const states[STATES] = {
    NULL,
    "secure %s",
    "secure via real.example.net %s",
    "insecure %s",
    "insecure via real.example.net %s",
    "absent secure",
    "absent insecure",
    "failed SERVFAIL",
};

static const char *const data[HOST_Q_COUNT] = {"192.0.2.1", "2001:db8::1", HOST_TARGET,
					       "3 1 1 aa*32", "3 1 1 bb*32"};

/* What a secure TLSA RRset looks like from here. */
enum set_kind { SET_USABLE, SET_UNUSABLE, SET_UNKNOWN, SET_MISSING, SET_KINDS };

struct sweep {
	struct answer *answer[HOST_Q_COUNT][STATES];
	struct tlsa_set set[SET_KINDS];
	struct tlsa_entry entry;
	size_t decided[HOST_SKIP + 1]; /* by enum host_policy: the sweep must reach the first three,
					  and SKIP */
	size_t asked;
};

/* One point of the sweep. */
struct point {
	struct dane_policy policy;
	struct host_facts facts;
	enum set_kind set;
	struct host_verdict v;
};

static void sweep_init(struct sweep *s)
{
	static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_CNAME, DNS_TLSA, DNS_TLSA};
	*s = (struct sweep){.entry = {.rr = {.usage = 3}}};
	for (int q = 0; q < HOST_Q_COUNT; q++) {
		for (int i = 1; i < STATES; i++) {
			char text[128];
			const char *format = states[i];
			const char *percent = strchr(format, '%');
			int n = percent != NULL ? (int)(percent - format) : (int)strlen(format);
			snprintf(text, sizeof(text), "%.*s%s", n, format,
				 percent != NULL ? data[q] : "");
			s->answer[q][i] = row_answer(HOST_NAME, types[q], text);
		}
	}
	s->set[SET_USABLE] = (struct tlsa_set){.entry = &s->entry, .n = 1, .usable = 1};
	s->set[SET_UNUSABLE] = (struct tlsa_set){.entry = &s->entry, .n = 1};
	s->set[SET_UNKNOWN] =
	    (struct tlsa_set){.entry = &s->entry, .n = 1, .usable = 1, .unknown = true};
}

static void sweep_free(struct sweep *s)
{
	for (int q = 0; q < HOST_Q_COUNT; q++) {
		for (int i = 0; i < STATES; i++)
			answer_unref(&s->answer[q][i]);
	}
}

/* --- What the answers are, seen independently of the decision --- */

static bool has(const struct answer *a)
{
	return a != NULL && (a->status == DNS_SECURE || a->status == DNS_INSECURE);
}

static bool is(const struct answer *a, enum dns_status status)
{
	return a != NULL && a->status == status;
}

/* An answered TLSA lookup that leaves DANE out of it. */
static bool no_dane_here(const struct answer *a)
{
	return is(a, DNS_ABSENT) || is(a, DNS_INSECURE);
}

/* RFC 7672 s2.2.2: which address answer speaks for the host */
static const struct answer *leader(const struct host_facts *f)
{
	const struct answer *a = f->answer[HOST_Q_A], *b = f->answer[HOST_Q_AAAA];
	if (is(a, DNS_SECURE))
		return a;
	if (is(b, DNS_SECURE))
		return b;
	return has(a) ? a : has(b) ? b : NULL;
}

/* --- What must be true of each verdict --- */

/* The test ends where there is none; the compiler has to be told. */
static const struct answer *must_have(const struct answer *a)
{
	assert_non_null(a);
	if (a == NULL)
		abort();
	return a;
}

static void check_questions(const struct point *x)
{
	const struct host_facts *f = &x->facts;
	unsigned tlsa = 1u << HOST_Q_TLSA_EXPANDED | 1u << HOST_Q_TLSA_ORIGINAL;
	assert_true(x->v.decided == (x->v.ask == 0));
	for (int q = 0; q < HOST_Q_COUNT; q++) /* so it terminates: each question adds an answer */
		assert_false((x->v.ask & 1u << q) != 0 && f->answer[q] != NULL);
	if ((x->v.ask & tlsa) == 0)
		return;
	const struct answer *lead = must_have(leader(f)); /* D6: addresses first */
	assert_false(f->no_dane);
	assert_true(lead->status == DNS_SECURE ||
		    (lead->naliases > 0 && is(f->answer[HOST_Q_CNAME], DNS_SECURE)));
	if (x->v.ask & 1u << HOST_Q_TLSA_EXPANDED)
		assert_true(lead->status == DNS_SECURE && lead->naliases > 0);
}

static void check_may(const struct point *x)
{
	const struct host_facts *f = &x->facts;
	const struct answer *lead = must_have(leader(f));
	const struct answer *original = f->answer[HOST_Q_TLSA_ORIGINAL];
	assert_true(x->policy.level != LEVEL_DANE_ONLY); /* M1 */
	if (f->no_dane)
		return;
	if (lead->status == DNS_SECURE) {
		assert_true(no_dane_here(original));
		assert_true(lead->naliases == 0 || no_dane_here(f->answer[HOST_Q_TLSA_EXPANDED]));
	} else if (lead->naliases > 0) {
		const struct answer *cname = must_have(f->answer[HOST_Q_CNAME]);
		assert_true(cname->status != DNS_FAILED);
		assert_true(cname->status != DNS_SECURE || no_dane_here(original));
	}
}

static void check_dane(const struct point *x)
{
	const struct host_facts *f = &x->facts;
	assert_true(x->v.tlsa == HOST_Q_TLSA_EXPANDED || x->v.tlsa == HOST_Q_TLSA_ORIGINAL);
	assert_true(is(f->answer[x->v.tlsa], DNS_SECURE));
	assert_false(f->no_dane);
	if (x->v.policy == HOST_DANE) {
		assert_int_equal(x->set, SET_USABLE);
	} else {
		assert_int_equal(x->set, SET_UNUSABLE);
		assert_true(x->policy.level != LEVEL_DANE_ONLY); /* M1 */
	}
	const struct answer *lead = must_have(leader(f));
	bool expanded = x->v.tlsa == HOST_Q_TLSA_EXPANDED;
	assert_string_equal(x->v.base, expanded ? HOST_TARGET : HOST_NAME);
	if (expanded)
		assert_true(lead->status == DNS_SECURE && lead->naliases > 0);
	else if (lead->naliases > 0 && lead->status == DNS_SECURE)
		assert_true(no_dane_here(f->answer[HOST_Q_TLSA_EXPANDED]));
}

static void check_skip(const struct point *x)
{
	assert_true(x->v.reason != REASON_OK);
	/* Permanent only when every lookup for an address was answered, and M1. */
	if (reason_fate(x->v.reason) != FATE_FAIL)
		return;
	assert_true(is(x->facts.answer[HOST_Q_A], DNS_ABSENT));
	assert_true(is(x->facts.answer[HOST_Q_AAAA], DNS_ABSENT));
	if (x->policy.level == LEVEL_DANE_ONLY) {
		assert_true(x->facts.answer[HOST_Q_A]->absence_secure);
		assert_true(x->facts.answer[HOST_Q_AAAA]->absence_secure);
	}
}

static void check_point(struct sweep *s, struct point *x)
{
	struct host_facts before = x->facts;
	struct host_verdict again;
	memset(&x->v, 0xa5, sizeof(x->v));
	memset(&again, 0x5a, sizeof(again));
	host_decide(&x->policy, &x->facts, &x->v);
	host_decide(&x->policy, &x->facts, &again);
	assert_memory_equal(&before, &x->facts, sizeof(before));
	assert_true(x->v.decided == again.decided && x->v.ask == again.ask &&
		    x->v.policy == again.policy && x->v.reason == again.reason &&
		    x->v.base == again.base && x->v.tlsa == again.tlsa &&
		    x->v.culprit == again.culprit);
	check_questions(x);
	if (!x->v.decided) {
		s->asked++;
		return;
	}
	s->decided[x->v.policy]++;
	if (x->v.policy != HOST_SKIP)
		assert_int_equal(x->v.reason, REASON_OK);
	switch (x->v.policy) {
	case HOST_MAY:
		check_may(x);
		break;
	case HOST_DANE:
	case HOST_ENCRYPT:
		check_dane(x);
		break;
	case HOST_SKIP:
		check_skip(x);
		break;
	case HOST_PKIX:  /* only for submission */
	case HOST_LOCAL: /* only for a route on this machine */
		fail();
		break;
	}
}

/* All 8^5 answers under one policy. */
static void sweep_answers(struct sweep *s, struct point *x)
{
	size_t all = 1;
	for (int q = 0; q < HOST_Q_COUNT; q++)
		all *= STATES;
	for (size_t i = 0; i < all; i++) {
		size_t rest = i;
		for (int q = 0; q < HOST_Q_COUNT; q++, rest /= STATES) {
			struct answer *a = s->answer[q][rest % STATES];
			bool set =
			    q >= HOST_Q_TLSA_EXPANDED && is(a, DNS_SECURE) && x->set != SET_MISSING;
			x->facts.answer[q] = a;
			x->facts.tlsa[q] = set ? &s->set[x->set] : NULL;
		}
		check_point(s, x);
	}
}

/* The MX verdict that goes with a policy comes from mx_decide() itself. */
static void sweep_policy(struct sweep *s, const struct dane_policy *p, const char *mx_text)
{
	struct answer *mx = row_answer("example.org", DNS_MX, mx_text);
	struct mx_verdict mv = {0};
	mx_decide(p, mx, &mv);
	struct point x = {.policy = *p, .facts = {.name = HOST_NAME}};
	x.facts.implicit = mv.kind == MX_IMPLICIT;
	x.facts.mx_secure = mv.secure;
	x.facts.no_dane = mv.no_dane;
	for (int kind = 0; kind < SET_KINDS; kind++) {
		x.set = (enum set_kind)kind;
		sweep_answers(s, &x);
	}
	answer_unref(&mx);
}

static void every_combination(void **state)
{
	static const char *const mx[] = {"secure 10 " HOST_NAME, "insecure 10 " HOST_NAME,
					 "absent secure"};
	struct sweep s;
	(void)state;
	sweep_init(&s);
	for (int level = LEVEL_MAY; level <= LEVEL_DANE_ONLY; level++) {
		for (int option = 0; option < 4; option++) {
			struct dane_policy p = {
			    .level = (enum dane_level)level,
			    .insecure_mx = option & 1 ? INSECURE_MX_MAY : INSECURE_MX_DANE,
			    .mx_alias = option & 2 ? MX_ALIAS_REFUSE : MX_ALIAS_FOLLOW,
			    .port = 25};
			for (size_t i = 0; i < ROWS(mx); i++)
				sweep_policy(&s, &p, mx[i]);
		}
	}
	for (int policy = HOST_DANE; policy <= HOST_MAY; policy++)
		assert_true(s.decided[policy] > 0);
	assert_true(s.decided[HOST_SKIP] > 0);
	assert_true(s.asked > 0);
	print_message("%zu undecided, %zu dane, %zu encrypt, %zu may, %zu skip\n", s.asked,
		      s.decided[HOST_DANE], s.decided[HOST_ENCRYPT], s.decided[HOST_MAY],
		      s.decided[HOST_SKIP]);
	sweep_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_combination)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
