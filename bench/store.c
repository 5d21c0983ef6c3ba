/* SPDX-License-Identifier: MIT */
/*
 * The store alone: what SQLite costs a message, without processes, channels and TLS.
 *
 *     bench-store [MESSAGES [DESTINATIONS [GROUP]]]
 *
 * Takes in MESSAGES of 4 KiB in groups of GROUP, then delivers them as the keeper does: due, take,
 * dot, result, each step in a group with those of other deliveries. Prints microseconds of CPU a
 * message, user and system, for each half.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TEXT = 4096, DUE = 64 };

static const int64_t start = 1700000000000;

static void must(bool ok, const struct store *s, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench-store: %s: %s\n", what, s != NULL ? store_error(s) : "no");
	exit(1);
}

static double cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

struct load {
	struct store *store;
	long messages, destinations, group;
	long steps; /* in the open group */
};

static void step(struct load *l)
{
	if (++l->steps < l->group)
		return;
	must(store_commit(l->store) == STORE_OK, l->store, "commit");
	must(store_begin(l->store) == STORE_OK, l->store, "begin");
	l->steps = 0;
}

static void add(struct load *l, long i)
{
	static uint8_t text[TEXT];
	char id[24], hop[32], to[48], from[48];
	snprintf(id, sizeof id, "K%015ld", i);
	snprintf(hop, sizeof hop, "d%ld.example", i % l->destinations);
	snprintf(to, sizeof to, "someone@%s", hop);
	snprintf(from, sizeof from, "sender%ld@example.net", i % 50);
	memset(text, 'a' + (int)(i % 26), sizeof text);
	struct store_new_rcpt r = {.address = to};
	struct store_new_delivery d = {.next_hop = hop, .rcpt = &r, .nrcpt = 1, .due = start};
	struct store_new_message m = {
	    .envelope = {.queue_id = id,
			 .arrived = start,
			 .expires = start + 432000000,
			 .reverse_path = from,
			 .origin = "127.0.0.1:50000 client.example.net ESMTP",
			 .size = sizeof text},
	    .warn = start + 14400000,
	    .text = {.bytes = slice_make(text, sizeof text), .fd = -1},
	    .delivery = &d,
	    .ndelivery = 1,
	};
	must(store_add(l->store, &m) == STORE_OK, l->store, "add");
	step(l);
}

static void deliver(struct load *l, int64_t delivery)
{
	struct arena mem;
	struct store_delivery d;
	struct store_recorded out;
	struct store_brief b;
	uint8_t *text = malloc(TEXT + 1);
	size_t got;
	arena_init(&mem, 1 << 20);
	must(store_brief(l->store, delivery, &b) == STORE_OK, l->store, "brief");
	must(store_take(l->store, delivery, start, &mem, &d) == STORE_OK, l->store, "take");
	must(store_text_read(l->store, d.message, 0, text, TEXT + 1, &got) == STORE_OK, l->store,
	     "read");
	step(l);
	must(store_mark_dot(l->store, delivery) == STORE_OK, l->store, "dot");
	step(l);
	struct store_rcpt_result r = {.state = STORE_SENT,
				      .reason = "delivered",
				      .code = "2.0.0",
				      .reply = "250 2.0.0 Ok: queued as 4Xyz",
				      .host = "mx.example"};
	struct store_try t = {.at = start,
			      .host = "mx.example",
			      .address = "192.0.2.1:25",
			      .policy = "dane",
			      .reason = "delivered",
			      .code = "2.0.0",
			      .detail = "250 2.0.0 Ok: queued as 4Xyz",
			      .tls = "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519 3 1 1",
			      .continuity = "same"};
	struct store_result x = {.delivery = delivery,
				 .at = start,
				 .due = start,
				 .reason = "delivered",
				 .code = "2.0.0",
				 .host = "mx.example",
				 .rcpt = &r,
				 .nrcpt = 1,
				 .tries = &t,
				 .ntries = 1};
	must(store_record(l->store, &x, &out) == STORE_OK, l->store, "record");
	must(store_works(l->store, d.destination, start) == STORE_OK, l->store, "works");
	step(l);
	free(text);
	arena_free(&mem);
}

static long deliver_some(struct load *l)
{
	struct arena mem;
	struct store_destination ready[DUE];
	struct store_next next;
	size_t n = 0;
	long done = 0;
	arena_init(&mem, 1 << 20);
	must(store_next(l->store, &next) == STORE_OK, l->store, "next");
	must(store_ready(l->store, start, NULL, 0, DUE, &mem, ready, &n) == STORE_OK, l->store,
	     "ready");
	for (size_t i = 0; i < n; i++) {
		int64_t due[DUE];
		size_t m = 0;
		bool more;
		must(store_due(l->store, ready[i].id, start, 8, 8, due, &m, &more) == STORE_OK,
		     l->store, "due");
		for (size_t k = 0; k < m; k++, done++)
			deliver(l, due[k]);
	}
	arena_free(&mem);
	return done;
}

static long argument(int argc, char **argv, int i, long otherwise)
{
	return argc > i ? strtol(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct load l = {.messages = argument(argc, argv, 1, 5000),
			 .destinations = argument(argc, argv, 2, 1000),
			 .group = argument(argc, argv, 3, 10)};
	char dir[] = "/tmp/bench-store.XXXXXX", path[64], error[256];
	must(l.messages > 0 && l.destinations > 0 && l.group > 0 && mkdtemp(dir) != NULL, NULL,
	     "usage: bench-store [MESSAGES [DESTINATIONS [GROUP]]]");
	snprintf(path, sizeof path, "%s/queue.db", dir);
	struct store_config c = {.path = path};
	struct store_recovery recovery;
	if (store_open(&c, start, &l.store, &recovery, error, sizeof error) != STORE_OK) {
		fprintf(stderr, "bench-store: %s\n", error);
		return 1;
	}
	double t0 = cpu_us();
	must(store_begin(l.store) == STORE_OK, l.store, "begin");
	for (long i = 0; i < l.messages; i++)
		add(&l, i);
	double t1 = cpu_us();
	for (long done = 0, n = 1; done < l.messages && n > 0; done += n)
		n = deliver_some(&l);
	must(store_commit(l.store) == STORE_OK, l.store, "commit");
	double t2 = cpu_us();
	printf("accept %.1f us, deliver %.1f us of CPU a message (%ld messages, %ld destinations, "
	       "groups of %ld)\n",
	       (t1 - t0) / (double)l.messages, (t2 - t1) / (double)l.messages, l.messages,
	       l.destinations, l.group);
	store_close(&l.store);
	static const char *const tails[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		char name[80];
		snprintf(name, sizeof name, "%s%s", path, tails[i]);
		unlink(name);
	}
	return rmdir(dir) == 0 ? 0 : 1;
}
