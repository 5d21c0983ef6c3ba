/* SPDX-License-Identifier: MIT */
/*
 * bench-plans CONF PARALLEL ROUNDS WARM < DOMAINS: plans per second from a cold and from a warm
 * cache, and what libunbound alone takes for the same questions (bare_dns.c).
 *
 * A round is a fresh engine, one pass over the domains with its cold cache and WARM passes with the
 * warm one; then the same with a fresh peer. Standard input: one domain a line.
 */
#include "bare_dns.h"
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
	struct conf *conf;
	char **domain;
	struct asked_list *asked;
	size_t n, parallel, warm;
	/* the pass that runs */
	struct engine *engine;
	size_t next, running, dane;
	bool failed;
};

struct job {
	struct bench *bench;
	struct plan *plan;
	struct planner *planner;
};

static void start_more(struct bench *b);

/* --- The engine --- */

static void on_plan(void *arg)
{
	struct job *j = arg;
	struct bench *b = j->bench;
	if (!plan_done(j->plan))
		return;
	if (plan_nhosts(j->plan) > 0 && plan_host(j->plan, 0)->verdict.policy == HOST_DANE)
		b->dane++;
	planner_free(&j->planner);
	plan_free(&j->plan);
	free(j);
	b->running--;
	start_more(b);
	if (b->running == 0)
		loop_stop(b->engine->loop);
}

static bool start(struct bench *b, const char *domain)
{
	struct job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return false;
	char address[IPADDR_TEXT_MAX];
	struct plan_config c;
	engine_plan_config(b->engine, domain, address, &c);
	j->bench = b;
	j->plan = plan_new(&c);
	j->planner = j->plan != NULL ? planner_start(b->engine, j->plan, on_plan, j) : NULL;
	if (j->planner != NULL)
		return true;
	plan_free(&j->plan);
	free(j);
	return false;
}

static void start_more(struct bench *b)
{
	while (b->next < b->n && b->running < b->parallel && !b->failed) {
		b->failed = !start(b, b->domain[b->next++]);
		b->running += b->failed ? 0 : 1;
	}
}

static bool engine_pass(struct bench *b)
{
	b->next = b->dane = 0;
	start_more(b);
	loop_run(b->engine->loop);
	if (b->dane == b->n && !b->failed)
		return true;
	fprintf(stderr, "bench-plans: %zu of %zu plans gave a DANE policy\n", b->dane, b->n);
	return false;
}

static struct engine *fresh_engine(const struct bench *b)
{
	char error[512] = "";
	struct engine *e =
	    engine_new(&(struct engine_config){.conf = b->conf}, error, sizeof(error));
	if (e == NULL)
		fprintf(stderr, "bench-plans: %s\n", error);
	return e;
}

static bool engine_round(struct bench *b)
{
	struct moment from;
	b->engine = fresh_engine(b);
	bool ok = b->engine != NULL;
	for (size_t i = 0; ok && i <= b->warm; i++) {
		moment_now(&from);
		ok = engine_pass(b);
		sample_print(i == 0 ? "engine-cold" : "engine-warm", b->n, &from);
	}
	engine_free(&b->engine);
	return ok;
}

/* --- The peer --- */

static bool bare_round(struct bench *b)
{
	struct moment from;
	struct bare_dns *d = bare_dns_new(b->conf);
	size_t failed = 0;
	for (size_t i = 0; d != NULL && failed == 0 && i <= b->warm; i++) {
		moment_now(&from);
		failed = bare_dns_run(d, b->asked, b->n, b->parallel);
		sample_print(i == 0 ? "bare-cold" : "bare-warm", b->n, &from);
	}
	if (failed > 0)
		fprintf(stderr, "bench-plans: %zu answers of the peer are not secure\n", failed);
	bool ok = d != NULL && failed == 0;
	bare_dns_free(&d);
	return ok;
}

/* --- Setting up --- */

static bool read_domains(struct bench *b)
{
	char line[300];
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		char **more = realloc(b->domain, (b->n + 1) * sizeof(*more));
		if (more == NULL)
			return false;
		b->domain = more;
		b->domain[b->n++] = strdup(line);
	}
	b->asked = calloc(b->n, sizeof(*b->asked));
	return b->n > 0 && b->asked != NULL;
}

static bool note_questions(struct bench *b)
{
	struct engine *e = fresh_engine(b);
	size_t total = 0;
	bool ok = e != NULL;
	for (size_t i = 0; ok && i < b->n; i++) {
		ok = questions_note(e, b->domain[i], &b->asked[i]);
		total += b->asked[i].n;
	}
	engine_free(&e);
	printf("questions %zu %zu\n", b->n, total);
	return ok;
}

static void clean_up(struct bench *b)
{
	for (size_t i = 0; i < b->n; i++) {
		if (b->asked != NULL)
			questions_free(&b->asked[i]);
		free(b->domain[i]);
	}
	free(b->asked);
	free(b->domain);
	conf_free(&b->conf);
}

int main(int argc, char **argv)
{
	char error[512] = "usage: bench-plans CONF PARALLEL ROUNDS WARM < DOMAINS";
	struct bench b = {0};
	if (argc == 5)
		b.conf = conf_load(argv[1], NULL, 0, NULL, error, sizeof(error));
	if (b.conf == NULL) {
		fprintf(stderr, "%s\n", error);
		return 64;
	}
	b.parallel = strtoul(argv[2], NULL, 10);
	b.warm = strtoul(argv[4], NULL, 10);
	bool ok = read_domains(&b) && note_questions(&b);
	for (size_t r = strtoul(argv[3], NULL, 10); ok && r > 0; r--)
		ok = engine_round(&b) && bare_round(&b);
	clean_up(&b);
	return ok ? 0 : 70;
}
