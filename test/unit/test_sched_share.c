/* SPDX-License-Identifier: MIT */
/*
 * The scheduler under attack: who takes what, and what is left for those who come next. Nobody who
 * is silent ever ends here: a slot that is lost is lost.
 */
#include "unit.h"

#include "sched/sched.h"
#include "wire/origin.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, RUNS = 8192 };

struct world {
	struct sched_config c;
	struct sched *s;
	int64_t now, last;
	int64_t run[RUNS], run_dest[RUNS];
	size_t nrun;
	uint64_t answered; /* wishes for the store, which has nothing more */
};

static const struct sched_known works = {.worked = 1}, own = {.own = true}, fresh = {0};

static void setup(struct world *w, uint64_t seed)
{
	*w = (struct world){.c = SCHED_CONFIG_DEFAULT, .now = 1000 * (int64_t)HOUR};
	w->s = sched_new(&w->c, seed);
	assert_non_null(w->s);
}

static struct sched_known worked_at(const struct world *w)
{
	return (struct sched_known){.worked = w->now - HOUR};
}

/* The number of the delivery. */
static int64_t due(struct world *w, int64_t dest, uint64_t sender, uint64_t size,
		   const struct sched_known *k)
{
	struct sched_known lately = worked_at(w);
	struct sched_delivery v = {.id = ++w->last,
				   .destination = dest,
				   .sender = sender,
				   .size = size,
				   .cost = 1,
				   .expires = w->now + 100 * (int64_t)HOUR};
	sched_delivery_due(w->s, w->now, &v, k == &works ? &lately : k);
	return v.id;
}

/* Until nothing more can start. */
static void fulfil(struct world *w)
{
	struct sched_wish x;

	for (size_t n = 0;; n++) {
		assert_true(n < 100000); /* no endless wishes */
		sched_next(w->s, w->now, &x);
		if (x.kind == SCHED_WISH_NONE)
			return;
		if (x.kind == SCHED_WISH_DELIVERIES) {
			w->answered++;
			sched_deliveries_told(w->s, x.destination, false);
		} else if (x.kind == SCHED_WISH_DESTINATIONS) {
			sched_destinations_told(w->s, false);
		} else {
			assert_true(w->nrun < RUNS);
			w->run_dest[w->nrun] = x.destination;
			w->run[w->nrun++] = x.delivery;
		}
	}
}

static bool runs(const struct world *w, int64_t id)
{
	for (size_t i = 0; i < w->nrun; i++) {
		if (w->run[i] == id)
			return true;
	}
	return false;
}

static size_t count_runs(const struct world *w, int64_t from, int64_t to)
{
	size_t n = 0;

	for (size_t i = 0; i < w->nrun; i++)
		n += w->run[i] >= from && w->run[i] <= to;
	return n;
}

static struct sched_verdict end(struct world *w, int64_t id, struct sched_end e)
{
	struct sched_verdict v;

	assert_true(sched_ended(w->s, w->now, id, &e, &v));
	for (size_t i = 0; i < w->nrun; i++) {
		if (w->run[i] == id) {
			w->run[i] = w->run[w->nrun - 1];
			w->run_dest[i] = w->run_dest[--w->nrun];
			break;
		}
	}
	return v;
}

static struct sched_verdict sent(struct world *w, int64_t id)
{
	return end(w, id, (struct sched_end){.class = SCHED_SENT});
}

static struct sched_verdict failed(struct world *w, int64_t id, enum sched_class class)
{
	return end(w, id, (struct sched_end){.class = class, .pending = true});
}

static struct sched_counts counts(const struct world *w)
{
	struct sched_counts n;

	sched_count(w->s, &n);
	return n;
}

static uint64_t network(uint32_t n)
{
	struct ipaddr a = {4, {192, (uint8_t)(n >> 8), (uint8_t)n, 1}};
	return origin_of_address(&a);
}

static uint64_t honest(void)
{
	return origin_sender(origin_of_user("alice"), "alice@example.org");
}

/* --- Attacks ---------------------------------------------------------------------------------- */

/* Bounces to silent hosts: all notices are one origin, each of the stranger's mail. */
static void silent_by_notices(struct world *w)
{
	for (int64_t i = 0; i < 4000; i++)
		due(w, 1000 + i, origin_sender(ORIGIN_NOTICES, "stranger"), 2000, &fresh);
}

/* One message, 4,000 recipients at silent hosts. */
static void silent_by_one_message(struct world *w)
{
	for (int64_t i = 0; i < 4000; i++)
		due(w, 1000 + i, origin_sender(ORIGIN_LOCAL, "spam@example.net"), 2000, &fresh);
}

/* One client with as many reverse-paths. */
static void silent_by_many_paths(struct world *w)
{
	for (int64_t i = 0; i < 4000; i++) {
		char path[32];
		snprintf(path, sizeof(path), "spam%d@example.net", (int)i);
		due(w, 1000 + i, origin_sender(network(1), path), 2000, &fresh);
	}
}

static void silent_by_many_networks(struct world *w)
{
	for (int64_t i = 0; i < 4000; i++)
		due(w, 1000 + i, origin_sender(network((uint32_t)i % 400), "spam@example.net"),
		    2000, &fresh);
}

/* These took a message once, and are silent since. */
static void silent_that_worked(struct world *w)
{
	for (int64_t i = 0; i < 4000; i++)
		due(w, 1000 + i, origin_sender(network((uint32_t)i % 40), "spam@example.net"), 2000,
		    &works);
}

/* Mail to the own backend whose delivery never ends. */
static void many_to_own_backend(struct world *w)
{
	for (int64_t i = 0; i < 4000; i++)
		due(w, 5 + i % 200, origin_sender(network((uint32_t)i % 40), "spam@example.net"),
		    2000, &own);
}

static const struct attack {
	const char *name;
	void (*begin)(struct world *w);
	size_t most;       /* slots that it takes */
	bool new_waits;    /* mail to a host of which nothing is known may have to wait */
	bool origin_waits; /* the same of the attacker's own origin, to any host */
} attacks[] = {
    {"notices", silent_by_notices, 250, false, false},
    {"one message", silent_by_one_message, 440, false, false},
    {"many paths", silent_by_many_paths, 600, false, true},
    {"many networks", silent_by_many_networks, 875, false, true},
    {"that worked once", silent_that_worked, 1750, false, true},
    {"own backend", many_to_own_backend, 2000, false, true},
};

/* Everybody else starts at once: to a host that works, to the own backend, to a host of which
 * nothing is known; a notice about somebody else's mail; and a program of this machine. */
static void others_start_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(attacks); i++) {
		for (uint64_t seed = 1; seed <= 20; seed++) {
			struct world w;
			setup(&w, seed);
			attacks[i].begin(&w);
			fulfil(&w);
			if (w.nrun > attacks[i].most)
				fail_msg("%s: %zu slots", attacks[i].name, w.nrun);
			assert_true(w.nrun > 0);
			uint64_t about = origin_sender(ORIGIN_NOTICES, "somebody else");
			int64_t mail[] = {
			    due(&w, 1, honest(), 2000, &works),
			    due(&w, 2, honest(), 2000, &own),
			    due(&w, 3, honest(), 2000, &fresh),
			    due(&w, 4, about, 2000, &works),
			    due(&w, 5000, origin_sender(ORIGIN_LOCAL, "cron@example.org"), 2000,
				&works),
			};
			fulfil(&w);
			for (size_t k = 0; k < ROWS(mail); k++) {
				if (!runs(&w, mail[k]))
					fail_msg("%s, seed %d: mail %zu waits behind %zu",
						 attacks[i].name, (int)seed, k, w.nrun);
			}
			sched_free(&w.s);
		}
	}
}

/* All of them at once, ten times as long: 40,000 destinations are more than there is memory for. */
static void in_a_full_memory_too(void **state)
{
	(void)state;
	struct world w;
	setup(&w, 7);
	for (int64_t i = 0; i < 40000; i++)
		due(&w, 1000 + i, origin_sender(network((uint32_t)i % 400), "spam@example.net"),
		    2000, &fresh);
	fulfil(&w);
	int64_t a = due(&w, 1, honest(), 2000, &works), b = due(&w, 2, honest(), 2000, &own);
	fulfil(&w);
	assert_true(runs(&w, a) && runs(&w, b));
	sched_free(&w.s);
}

/* n that want all get one part in n + 1 of what they may have together, each as much as another. */
static void origins_are_equal(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 30; n++) {
		struct world w;
		size_t of[30] = {0};
		setup(&w, n);
		for (int64_t i = 0; i < 3000; i++)
			due(&w, 1000 + i,
			    origin_sender(network((uint32_t)i % n), "spam@example.net"), 2000,
			    &fresh);
		fulfil(&w);
		for (size_t i = 0; i < w.nrun; i++)
			of[(w.run[i] - 1) % n]++;
		for (uint32_t i = 1; i < n; i++)
			assert_true(of[i] + 1 >= of[0] && of[i] <= of[0] + 1);
		assert_true(w.nrun <= 875 && 875 - w.nrun + 2 >= 875 / (n + 1) / 2);
		sched_free(&w.s);
	}
}

/* --- Networks --------------------------------------------------------------------------------- */

/* 1,000 domains at hosts of one network, known from the time before, count as one. */
static void one_network_is_one(void **state)
{
	(void)state;
	struct world w;
	setup(&w, 3);
	for (int64_t i = 0; i < 1000; i++) {
		int64_t id =
		    due(&w, 1000 + i, origin_sender(network(1), "a@example.net"), 1, &fresh);
		fulfil(&w);
		end(&w, id,
		    (struct sched_end){
			.class = SCHED_HOST_TROUBLE, .pending = true, .network = 77});
	}
	w.now += 2 * HOUR;
	for (int64_t i = 0; i < 1000; i++)
		due(&w, 1000 + i, origin_sender(network((uint32_t)i), "a@example.net"), 1, &fresh);
	fulfil(&w);
	assert_in_range(w.nrun, 1, 300);
	size_t before = w.nrun;
	for (int i = 0; i < 50; i++) /* and each end lets another one go */
		failed(&w, w.run[0], SCHED_HOST_TROUBLE);
	fulfil(&w);
	assert_in_range(w.nrun, before - 2, before + 2);
	sched_free(&w.s);
}

/* --- A host and what it takes ----------------------------------------------------------------- */

/* 100 messages for a host that serves two at a time and turns the others away. Each takes 150 ms, a
 * refusal 10 ms. Returns the time; *refused: sessions turned away. */
static int64_t limited_host(uint64_t seed, uint32_t most, unsigned *refused)
{
	struct world w;
	int64_t ends[128], id[128], begin;
	bool served[128], done[101] = {false};
	size_t n = 0, left = 100;
	uint32_t now_served = 0;

	setup(&w, seed);
	begin = w.now;
	*refused = 0;
	for (int64_t i = 0; i < 100; i++)
		due(&w, 9, honest(), 1000, &fresh);
	for (; left > 0; w.now++) {
		assert_true(w.now - begin < 10 * MINUTE);
		for (size_t i = 0; i < n; i++) {
			if (ends[i] > w.now)
				continue;
			if (served[i]) {
				sent(&w, id[i]);
				assert_false(done[id[i]]);
				done[id[i]] = true;
				now_served--;
				left--;
			} else {
				struct sched_verdict v = failed(&w, id[i], SCHED_HOST_BUSY);
				assert_true(v.uncounted && v.fate == SCHED_FATE_RETRY);
				assert_in_range(v.due - w.now, 0, 5 * SECOND);
				++*refused;
			}
			n--;
			ends[i] = ends[n], id[i] = id[n], served[i] = served[n];
			i--;
		}
		struct sched_wish x;
		for (sched_next(w.s, w.now, &x); x.kind != SCHED_WISH_NONE;
		     sched_next(w.s, w.now, &x)) {
			if (x.kind == SCHED_WISH_DESTINATIONS) {
				sched_destinations_told(w.s, false);
			} else if (x.kind == SCHED_WISH_DELIVERIES) {
				for (int64_t k = 1; k <= 100; k++) {
					struct sched_delivery v = {.id = k,
								   .destination = 9,
								   .sender = honest(),
								   .cost = 1,
								   .expires = w.now + HOUR};
					if (!done[k])
						sched_delivery_due(w.s, w.now, &v, NULL);
				}
				sched_deliveries_told(w.s, 9, true);
			} else {
				served[n] = now_served < most;
				now_served += served[n];
				ends[n] = w.now + (served[n] ? 150 : 10);
				id[n++] = x.delivery;
			}
		}
	}
	sched_free(&w.s);
	return w.now - begin;
}

static void a_limit_is_learnt(void **state)
{
	(void)state;
	static const uint32_t most[] = {1, 2, 3, 5, 10, 39};
	for (size_t i = 0; i < ROWS(most); i++) {
		unsigned refused;
		int64_t ideal = 100 * 150 / most[i], took = limited_host(i, most[i], &refused);
		print_message("a host of %u sessions: %lld ms for %lld, %u turned away\n", most[i],
			      (long long)took, (long long)ideal, refused);
		assert_true(took < 2 * ideal + 3 * SECOND);
		assert_true(refused < 60);
	}
}

/* Turned away, and nobody was ever served: that is trouble. */
static void who_serves_nobody_rests(void **state)
{
	(void)state;
	struct world w;
	setup(&w, 1);
	int64_t a = due(&w, 9, honest(), 1, &fresh);
	fulfil(&w);
	struct sched_verdict v = failed(&w, a, SCHED_HOST_BUSY);
	assert_false(v.uncounted);
	assert_int_equal(v.news, SCHED_NEWS_BACK_OFF);
	/* Of two the first may have met the limit, but not the second. */
	a = due(&w, 8, honest(), 1, &fresh);
	int64_t b = due(&w, 8, honest(), 1, NULL);
	fulfil(&w);
	assert_true(failed(&w, a, SCHED_HOST_BUSY).uncounted);
	v = failed(&w, b, SCHED_HOST_BUSY);
	assert_false(v.uncounted);
	assert_int_equal(v.news, SCHED_NEWS_BACK_OFF);
	sched_free(&w.s);
}

/* However it goes on: so many sessions turned away without a success are trouble after all. */
static void turned_away_without_end(void **state)
{
	(void)state;
	struct world w;
	unsigned n = 0;
	setup(&w, 1);
	int64_t id = due(&w, 9, honest(), 1, &fresh);
	fulfil(&w);
	sent(&w, id);
	for (struct sched_verdict v = {.uncounted = true}; v.uncounted; n++) {
		id = due(&w, 9, honest(), 1, NULL);
		w.now += 3 * SECOND;
		fulfil(&w);
		assert_true(runs(&w, id));
		v = failed(&w, id, SCHED_HOST_BUSY);
	}
	assert_in_range(n, 2, w.c.limit + 20);
	sched_free(&w.s);
}

/* Who replies at once needs few sessions: more cost handshakes and bring nothing. */
static void a_quick_host_needs_few(void **state)
{
	(void)state;
	struct world w;
	struct sched_destination d;
	setup(&w, 1);
	for (int round = 0; round < 20; round++) {
		while (sched_look(w.s, 9, &d) ? d.waiting < 30 : w.last == 0)
			due(&w, 9, honest(), 1, &fresh);
		fulfil(&w);
		w.now += 10;
		for (size_t n = w.nrun; n > 0; n--)
			end(&w, w.run[0], (struct sched_end){.class = SCHED_SENT, .reply_ms = 2});
	}
	assert_true(sched_look(w.s, 9, &d));
	assert_int_equal(d.window, 8);
	sched_free(&w.s);
}

/* With success: many at a time, and soon. */
static void concurrency_grows(void **state)
{
	(void)state;
	struct world w;
	struct sched_destination d;
	setup(&w, 1);
	for (int round = 0; round < 6; round++) {
		while (sched_look(w.s, 9, &d) ? d.waiting < 30 : w.last == 0)
			due(&w, 9, honest(), 1, &fresh);
		fulfil(&w);
		w.now += 100;
		for (size_t n = w.nrun; n > 0; n--)
			end(&w, w.run[0], (struct sched_end){.class = SCHED_SENT, .reply_ms = 50});
	}
	assert_true(sched_look(w.s, 9, &d));
	assert_int_equal(d.window, w.c.limit);
	/* Twenty times as long, for a while: fewer. */
	for (int round = 0; round < 60; round++) {
		while (sched_look(w.s, 9, &d) && d.waiting < 30)
			due(&w, 9, honest(), 1, NULL);
		fulfil(&w);
		w.now += 8000;
		for (size_t n = w.nrun; n > 0; n--)
			end(&w, w.run[0],
			    (struct sched_end){.class = SCHED_SENT, .reply_ms = 4000});
	}
	assert_true(sched_look(w.s, 9, &d));
	assert_true(d.window < w.c.limit / 2);
	sched_free(&w.s);
}

/* --- Messages that end sessions --------------------------------------------------------------- */

static void a_message_is_not_the_host(void **state)
{
	(void)state;
	struct world w;
	struct sched_destination d;
	setup(&w, 1);
	/* A dozen of one client, from as many reverse-paths: the host never rests. */
	for (int i = 0; i < 12; i++) {
		char path[32];
		snprintf(path, sizeof(path), "evil%d@example.net", i);
		int64_t id = due(&w, 9, origin_sender(network(1), path), 9000, &fresh);
		fulfil(&w);
		assert_true(runs(&w, id));
		assert_int_equal(failed(&w, id, SCHED_MESSAGE_TROUBLE).news, SCHED_NEWS_NONE);
	}
	int64_t good = due(&w, 9, honest(), 10, NULL);
	fulfil(&w);
	assert_true(runs(&w, good));
	sent(&w, good);
	/* Of two origins: it is the host after all, until something goes. */
	int64_t a = due(&w, 9, origin_sender(network(1), "x"), 9000, NULL);
	fulfil(&w);
	failed(&w, a, SCHED_MESSAGE_TROUBLE);
	int64_t b = due(&w, 9, origin_sender(network(2), "x"), 9000, NULL);
	fulfil(&w);
	struct sched_verdict v = failed(&w, b, SCHED_MESSAGE_TROUBLE);
	assert_int_equal(v.news, SCHED_NEWS_BACK_OFF);
	/* The probe is of somebody else, the smallest, although these wait longer. */
	w.now = v.back_off_until + 1;
	due(&w, 9, origin_sender(network(1), "y"), 1, NULL);
	due(&w, 9, origin_sender(network(2), "y"), 1, NULL);
	due(&w, 9, honest(), 5000, NULL);
	int64_t small = due(&w, 9, honest(), 400, NULL);
	fulfil(&w);
	assert_true(runs(&w, small));
	assert_int_equal(w.nrun, 1);
	/* It works: those who wait for later go now. */
	v = sent(&w, small);
	assert_int_equal(v.news, SCHED_NEWS_WORKS);
	assert_true(sched_look(w.s, 9, &d));
	assert_true(d.window >= 2);
	sched_free(&w.s);
}

static void after_an_outage_all_go(void **state)
{
	(void)state;
	struct world w;
	struct sched_wish x;
	struct sched_known down = {.failures = 3};
	setup(&w, 1);
	int64_t id = due(&w, 9, honest(), 1, &down);
	fulfil(&w);
	sent(&w, id);
	for (int round = 0; round < 3; round++) {
		sched_next(w.s, w.now, &x);
		assert_int_equal(x.kind, SCHED_WISH_DELIVERIES);
		assert_int_equal(x.hasten, w.now);
		id = due(&w, 9, honest(), 1, NULL);
		sched_deliveries_told(w.s, 9, false);
		sched_next(w.s, w.now, &x);
		assert_int_equal(x.kind, SCHED_WISH_START);
		sent(&w, id);
	}
	sched_next(w.s, w.now, &x);
	assert_int_equal(x.kind, SCHED_WISH_DELIVERIES);
	sched_deliveries_told(w.s, 9, false); /* nobody waits for later any more */
	sched_next(w.s, w.now, &x);
	assert_int_equal(x.kind, SCHED_WISH_NONE);
	sched_free(&w.s);
}

/* From ten networks the smallest messages, each of which ends its session: none of them is the
 * probe twice before somebody else is, and their number does not make the rests longer. */
static void many_origins_have_one_probe_each(void **state)
{
	(void)state;
	struct world w;
	int64_t until = 0;
	int probes = 0;
	setup(&w, 1);
	for (int round = 0; round < 2; round++) {
		for (int i = 1; i <= 10; i++)
			due(&w, 9, origin_sender(network(i), "evil"), 1, &fresh);
	}
	int64_t good = due(&w, 9, honest(), 5000, NULL);
	fulfil(&w);
	while (w.nrun > 0 && !runs(&w, good)) {
		struct sched_verdict v = failed(&w, w.run[0], SCHED_MESSAGE_TROUBLE);
		if (v.news == SCHED_NEWS_BACK_OFF) {
			assert_in_range(v.back_off_until - w.now, 1, 70 * SECOND);
			until = v.back_off_until;
			probes++;
		}
		if (w.nrun == 0 && w.now < until)
			w.now = until + 1;
		fulfil(&w);
	}
	assert_true(runs(&w, good));
	assert_in_range(probes, 1, 10);
	sched_free(&w.s);
}

/* A message that ends its session proves that the host is there, and nothing for the others. */
static void a_probe_that_ends_badly_hastens_nobody(void **state)
{
	(void)state;
	struct world w;
	struct sched_wish x;
	struct sched_known down = {.failures = 3};
	setup(&w, 1);
	int64_t id = due(&w, 9, origin_sender(network(1), "evil"), 1, &down);
	fulfil(&w);
	failed(&w, id, SCHED_MESSAGE_TROUBLE);
	sched_next(w.s, w.now, &x);
	assert_int_equal(x.kind, SCHED_WISH_NONE);
	sched_free(&w.s);
}

/* --- Octets ----------------------------------------------------------------------------------- */

static int64_t due_of(struct world *w, int64_t dest, int64_t message, uint64_t size)
{
	struct sched_known k = worked_at(w);
	struct sched_delivery v = {.id = ++w->last,
				   .destination = dest,
				   .message = message,
				   .sender = honest(),
				   .size = size,
				   .cost = 1,
				   .expires = w->now + HOUR};
	sched_delivery_due(w->s, w->now, &v, &k);
	return v.id;
}

static void octets_are_bounded(void **state)
{
	(void)state;
	const uint64_t mib = 1 << 20;
	struct world w;
	setup(&w, 1);
	/* One message of 30 MiB to 60 destinations is 30 MiB. */
	for (int64_t i = 0; i < 60; i++)
		due_of(&w, 100 + i, 5, 30 * mib);
	fulfil(&w);
	assert_int_equal(w.nrun, 60);
	assert_int_equal(counts(&w).octets, 30 * mib);
	/* 60 of them are as many as fit. */
	for (int64_t i = 0; i < 60; i++)
		due_of(&w, 200 + i, 10 + i, 30 * mib);
	fulfil(&w);
	assert_int_equal(w.nrun, 65);
	assert_true(counts(&w).octets <= w.c.octets);
	assert_int_equal(counts(&w).held_back, 55);
	/* What is small goes beside them; also to a destination where something big waits. */
	int64_t small = due_of(&w, 300, 100, 2000), behind = due_of(&w, 259, 101, 2000);
	fulfil(&w);
	assert_true(runs(&w, small) && runs(&w, behind));
	/* Each end of a text lets the next one go, until all went. */
	while (w.nrun > 0) {
		sent(&w, w.run[0]);
		fulfil(&w);
		assert_true(counts(&w).octets <= w.c.octets);
	}
	assert_int_equal(count_runs(&w, 0, w.last), 0);
	assert_int_equal(counts(&w).waiting, 0);
	assert_int_equal(counts(&w).octets, 0);
	/* Larger than all: alone. */
	int64_t a = due_of(&w, 400, 1000, 400 * mib), b = due_of(&w, 401, 1001, 400 * mib);
	fulfil(&w);
	assert_true(runs(&w, a) != runs(&w, b));
	sent(&w, w.run[0]);
	fulfil(&w);
	assert_int_equal(w.nrun, 1);
	sched_free(&w.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(others_start_at_once),
	    cmocka_unit_test(in_a_full_memory_too),
	    cmocka_unit_test(origins_are_equal),
	    cmocka_unit_test(one_network_is_one),
	    cmocka_unit_test(a_limit_is_learnt),
	    cmocka_unit_test(who_serves_nobody_rests),
	    cmocka_unit_test(turned_away_without_end),
	    cmocka_unit_test(concurrency_grows),
	    cmocka_unit_test(a_quick_host_needs_few),
	    cmocka_unit_test(a_message_is_not_the_host),
	    cmocka_unit_test(after_an_outage_all_go),
	    cmocka_unit_test(a_probe_that_ends_badly_hastens_nobody),
	    cmocka_unit_test(many_origins_have_one_probe_each),
	    cmocka_unit_test(octets_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
