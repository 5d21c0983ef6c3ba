/* SPDX-License-Identifier: MIT */
/*
 * The keeper process: peers come and go, messages are handed to the file that knows them, groups
 * are committed. Refuses to know SMTP, DNS and TLS.
 */
#include "relay/keeper_int.h"

#include "dns/dns.h"
#include "relay/budget.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	MAINTAIN_MS = 60000,
	LINGER_MS = 2,     /* a group waits so long for more */
	GROUP_BUSY = 4,    /* when the one before had so many steps: else nobody is to come */
	GROUP_ENOUGH = 64, /* with so many it waits no longer */
};

int64_t keeper_now(void)
{
	return loop_wall_ms();
}

/* The store is lost to this process: nothing more may be promised. The parent starts another
 * keeper, which recovers. */
void keeper_fatal(struct keeper *k, const char *what, enum store_status s)
{
	if (k->looking)
		return; /* that nothing can be written is known */
	log_event(k->process.log, LOG_LEVEL_ERROR, "store", "what", what, "status",
		  store_status_name(s), "error", store_error(k->store), NULL);
	process_exit(&k->process);
}

/* --- Groups --- */

static void answer_submit(struct ack *a, enum store_status s)
{
	char text[128];
	struct submitted x = {.token = a->token, .code = 250, .text = text};
	if (s == STORE_OK) {
		snprintf(text, sizeof(text), "2.0.0 Ok: queued as %s", a->queue_id);
	} else {
		x.code = s == STORE_FULL ? 452 : 451;
		snprintf(text, sizeof(text), "%s",
			 s == STORE_FULL ? "4.3.1 Insufficient storage"
					 : "4.3.0 Queue trouble, try again later");
	}
	submitted_put(channel_begin(a->peer->channel, MSG_SUBMITTED), &x);
	channel_send(a->peer->channel, -1);
}

static void answer_dot(struct keeper *k, struct ack *a, enum store_status s)
{
	struct flight *f = keeper_flight(k, (int64_t)a->token);
	if (f == NULL || s != STORE_OK)
		return; /* no commit: the courier asks our successor */
	f->dot = true;
	keeper_answer_dot(a->peer, a->token, (uint64_t)f->take, true);
}

static void answer_all(struct keeper *k, enum store_status s)
{
	while (k->ack != NULL) {
		struct ack *a = k->ack;
		k->ack = a->next;
		if (a->peer != NULL && a->type == MSG_SUBMITTED)
			answer_submit(a, s);
		else if (a->peer != NULL)
			answer_dot(k, a, s);
		if (s == STORE_OK && a->type == MSG_SUBMITTED)
			k->metrics.accepted++;
		else if (a->type == MSG_SUBMITTED)
			k->metrics.refused++;
		free(a);
	}
	k->last_ack = &k->ack;
}

/* A courier keeps what it reports until it knows that we do. */
static void acknowledge_results(struct keeper *k)
{
	for (struct peer *p = k->peer; p != NULL; p = p->next) {
		if (p->role != ROLE_COURIER || p->kept == p->results)
			continue;
		p->kept = p->results;
		put_u64(channel_begin(p->channel, MSG_RESULTS_KEPT), p->kept);
		channel_send(p->channel, -1);
	}
}

/* False: nothing is open, or the store failed. */
static bool commit_group(struct keeper *k)
{
	if (k->commit != NULL)
		loop_defer_cancel(&k->commit);
	loop_timer_stop(k->linger);
	if (!k->group_open)
		return false;
	k->group_open = false;
	k->in_last_group = k->in_group;
	enum store_status s = keeper_audit_before_commit(k);
	if (s == STORE_OK)
		s = store_commit(k->store);
	else
		store_rollback(k->store);
	answer_all(k, s);
	control_committed(k->control, s);
	if (s == STORE_FULL)
		keeper_disk_full(k);
	/* Results and hand-overs were in the group too, and the scheduler has moved on: only the
	 * disk knows the truth now. */
	if (s != STORE_OK) {
		keeper_fatal(k, "commit", s);
		return false;
	}
	keeper_audit_committed(k);
	acknowledge_results(k);
	return true;
}

static void on_commit(void *arg)
{
	struct keeper *k = arg;
	if (commit_group(k))
		keeper_schedule(k);
}

static void on_commit_turn(void *arg)
{
	struct keeper *k = arg;
	k->commit = NULL; /* it has run */
	on_commit(k);
}

/* Every commit costs a sync and a page of each table: under load fewer and larger ones. */
static bool commit_soon(struct keeper *k)
{
	if (k->in_last_group >= GROUP_BUSY && k->in_group < GROUP_ENOUGH) {
		if (k->in_group == 0)
			loop_timer_set(k->linger, LINGER_MS);
		return true;
	}
	if (k->commit == NULL)
		k->commit = loop_defer(k->process.loop, on_commit_turn, k);
	return k->commit != NULL;
}

bool keeper_group(struct keeper *k)
{
	if (k->group_open) {
		k->in_group++;
		commit_soon(k); /* if not, it is committed after all: the first call saw to it */
		return true;
	}
	if (!k->looking)
		keeper_disk_look(k);
	enum store_status s = store_begin(k->store);
	if (s != STORE_OK) {
		if (store_health(k->store) != STORE_OK)
			keeper_fatal(k, "begin", s);
		return false;
	}
	k->in_group = 0;
	if (!commit_soon(k)) {
		store_rollback(k->store);
		return false;
	}
	k->in_group = 1;
	k->group_open = true;
	keeper_follow_clock(k);
	return true;
}

bool keeper_ack(struct keeper *k, struct peer *p, enum message type, uint64_t token,
		const char *queue_id)
{
	struct ack *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return false;
	a->peer = p;
	a->type = type;
	a->token = token;
	snprintf(a->queue_id, sizeof(a->queue_id), "%s", queue_id != NULL ? queue_id : "");
	*k->last_ack = a;
	k->last_ack = &a->next;
	return true;
}

/* --- Peers --- */

static void drop_peer(struct peer *p)
{
	struct keeper *k = p->keeper;
	struct peer **at = &k->peer;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	for (struct ack *a = k->ack; a != NULL; a = a->next) {
		if (a->peer == p)
			a->peer = NULL;
	}
	if (p->role == ROLE_COURIER) {
		courier_stats_add(&k->metrics.gone, &p->stats);
		keeper_courier_lost(k, p);
	}
	keeper_roster_gone(k, p);
	enum role role = p->role;
	channel_free(&p->channel);
	free(p);
	if (role == ROLE_COURIER)
		keeper_claims_look(k);
}

/* It says so again when it has nothing left to report. */
static bool has_left(const struct peer *p)
{
	return p->leaving && p->jobs == 0 && p->kept == p->results;
}

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct peer *p = arg;
	bool sane = true;
	if (type == MSG_SUBMIT)
		keeper_submit(p->keeper, p, payload, channel_take_fd(c));
	else if (type == MSG_SPOOL)
		keeper_spool(p->keeper, p);
	else if (type == MSG_ROSTER)
		sane = keeper_roster_met(p->keeper, p, channel_take_fd(c));
	else if (type == MSG_DOT)
		sane = keeper_dot(p->keeper, p, payload);
	else if (type == MSG_RESULT)
		sane = keeper_result(p->keeper, p, payload);
	else if (type == MSG_EVIDENCE)
		sane = keeper_audit_evidence(p->keeper, payload);
	else if (type == MSG_STATS)
		courier_stats_get(payload, &p->stats);
	else if (type == MSG_CLAIM)
		sane = keeper_claim(p->keeper, p, payload);
	else if (type == MSG_LEAVING)
		p->leaving = true;
	else if (type == MSG_FINDINGS)
		sane = keeper_findings(p->keeper, payload);
	bool left = sane && type == MSG_LEAVING && has_left(p);
	if (left) /* it waits for what became of its claims */
		channel_flush(p->channel);
	if (!sane || left) {
		drop_peer(p);
	} else if (type == MSG_REPORTED) {
		p->reported = true;
		keeper_claims_look(p->keeper);
	}
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	struct peer *p = arg;
	(void)c;
	log_event(p->keeper->process.log, LOG_LEVEL_INFO, "peer-gone", "peer", role_name(p->role),
		  "why", why, NULL);
	drop_peer(p);
}

static void on_peer(void *self, enum role role, int fd)
{
	struct keeper *k = self;
	struct peer *p = calloc(1, sizeof(*p));
	if (p == NULL || (role != ROLE_INTAKE && role != ROLE_COURIER && role != ROLE_WARDEN)) {
		free(p);
		close(fd);
		return;
	}
	p->keeper = k;
	p->role = role;
	if (role == ROLE_COURIER)
		p->number = ++k->last_courier;
	else if (role == ROLE_INTAKE)
		p->number = ++k->last_intake;
	p->roster = -1;
	p->channel = channel_new(k->process.loop, fd, ROLE_KEEPER, role, on_message, on_gone, p);
	if (p->channel == NULL) {
		free(p);
		return;
	}
	p->next = k->peer;
	k->peer = p;
	if (role == ROLE_COURIER)
		keeper_schedule(k);
}

/* --- Metrics --- */

static void on_metrics(void *arg, struct buf *body)
{
	struct keeper *k = arg;
	struct courier_stats now = {0};
	struct store_totals t = {0};
	for (const struct peer *p = k->peer; p != NULL; p = p->next)
		courier_stats_add(&now, &p->stats);
	store_totals(k->store, &t);
	metrics_write(&k->metrics, &now, &t, keeper_now(), body);
	metrics_dns(dns_unsafe_option(k->process.birth.conf->dns_unbound) != NULL, body);
	struct sched_counts slots;
	sched_count(k->sched, &slots);
	metrics_slots(&slots, body);
	struct audit_state a;
	keeper_audit_state(k, &a);
	if (a.enabled)
		metrics_audit(&a, body);
	findings_metrics(&k->findings, body);
	metrics_disk(&k->disk, !k->looking, body);
}

static void on_restarts(void *self, enum role role, uint32_t n)
{
	struct keeper *k = self;
	k->metrics.restarts[role] = n;
}

static void on_word(void *self, enum message type, struct slice payload, int fd)
{
	struct keeper *k = self;
	struct cursor c = cursor_make(payload);
	if (type == MSG_CHILD) {
		pid_t pid = (pid_t)cursor_u32(&c);
		control_child(k->control, pid, cursor_u8(&c) == 1);
	}
	if (fd >= 0)
		close(fd);
}

static bool open_metrics(struct keeper *k)
{
	int fd = k->process.birth.metrics_fd;
	if (fd < 0)
		return true;
	k->http = loop_http_new(k->process.loop, fd, "/metrics", "text/plain; version=0.0.4",
				on_metrics, k);
	if (k->http == NULL)
		log_event(k->process.log, LOG_LEVEL_ERROR, "metrics", "error", "out of memory",
			  NULL);
	return k->http != NULL;
}

/* --- Time --- */

static void on_wake(void *arg)
{
	keeper_schedule(arg);
}

static void on_maintain(void *arg)
{
	struct keeper *k = arg;
	bool more = false;
	if (k->group_open && !commit_group(k))
		return;
	enum store_status s = store_maintain(k->store, keeper_now(), &more);
	if (s != STORE_OK && store_health(k->store) != STORE_OK) {
		keeper_fatal(k, "maintain", s);
		return;
	}
	loop_timer_set(k->wake, 0); /* what the commit allows */
	loop_timer_set(k->maintain, more ? 10 : MAINTAIN_MS);
}

/* --- Life --- */

static void on_drain(void *self)
{
	struct keeper *k = self;
	commit_group(k);
	process_exit(&k->process);
}

/* What couriers still report and intakes have handed in, and its commit. */
static bool keeper_owes(void *self)
{
	const struct keeper *k = self;
	bool any = k->group_open && store_health(k->store) == STORE_OK;
	for (const struct peer *p = k->peer; p != NULL && !any; p = p->next)
		any = p->role == ROLE_COURIER || p->role == ROLE_INTAKE;
	return any && !k->looking;
}

/* The folders of the store: SQLite makes files beside its own. */
static bool confine(struct keeper *k)
{
	const struct conf *c = k->process.birth.conf;
	char store[PATH_MAX], audit[PATH_MAX];
	snprintf(store, sizeof(store), "%s", c->relay_store);
	audit_path(c, audit, sizeof(audit));
	const char *const write[] = {dirname(store), dirname(audit), NULL};
	struct sandbox_paths paths = {.write = write};
	return process_confine(&k->process, SANDBOX_KEEPER, &paths);
}

static void set_times(struct keeper *k)
{
	const struct conf *c = k->process.birth.conf;
	k->sched_config = SCHED_CONFIG_DEFAULT;
	k->sched_config.retry_first = c->queue_retry_first * 1000;
	k->sched_config.retry_max = c->queue_retry_max * 1000;
	k->sched_config.back_off_first = c->queue_retry_first * 1000;
	k->sched_config.back_off_max = c->queue_retry_max * 1000;
	k->sched_config.lifetime = c->queue_lifetime * 1000;
	k->sched_config.warn_after = c->queue_warn_after * 1000;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t couriers = (uint32_t)(c->relay_couriers > 0 ? c->relay_couriers
				       : cpus > 0            ? cpus
							     : 1);
	k->sched_config.slots = budget_slots(c, budget_descriptors(), couriers);
	k->sched_config.octets = (uint64_t)c->relay_octets_in_flight << 20;
	k->sched_config.limit = (uint32_t)c->queue_parallel_destination;
	if (k->sched_config.start > k->sched_config.limit)
		k->sched_config.start = k->sched_config.limit;
}

static bool start(struct keeper *k)
{
	k->last_ack = &k->ack;
	keeper_start_clock(k);
	arena_init(&k->findings_mem, FINDINGS_MEM_MAX);
	process_host(k->process.birth.conf, k->host, sizeof(k->host));
	set_times(k);
	const char *wrong = sched_config_error(&k->sched_config);
	if (wrong != NULL) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "queue-options", "error", wrong, NULL);
		return false;
	}
	uint64_t seed; /* who could tell it could choose whose turn he shares */
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return false;
	k->sched = sched_new(&k->sched_config, seed);
	k->linger = loop_timer_new(k->process.loop, on_commit, k);
	k->wake = loop_timer_new(k->process.loop, on_wake, k);
	k->maintain = loop_timer_new(k->process.loop, on_maintain, k);
	k->policies = loop_timer_new(k->process.loop, keeper_end_policies, k);
	return keeper_notices_open(k) && k->sched != NULL && k->linger != NULL && k->wake != NULL &&
	       k->maintain != NULL && k->policies != NULL && process_drop(&k->process) &&
	       keeper_open(k) && keeper_disk_watch(k) && (k->looking || keeper_claims_open(k)) &&
	       open_metrics(k) && confine(k);
}

static void stop(struct keeper *k)
{
	while (k->peer != NULL) {
		struct peer *p = k->peer;
		k->peer = p->next;
		channel_free(&p->channel);
		free(p);
	}
	for (size_t i = 0; i < FLIGHT_BUCKETS; i++) {
		while (k->flight[i] != NULL) {
			struct flight *f = k->flight[i];
			k->flight[i] = f->next;
			keeper_flight_free(f);
		}
	}
	while (k->ack != NULL) {
		struct ack *a = k->ack;
		k->ack = a->next;
		free(a);
	}
	if (k->commit != NULL)
		loop_defer_cancel(&k->commit);
	arena_free(&k->findings_mem);
	loop_timer_free(&k->linger);
	loop_timer_free(&k->claims);
	loop_timer_free(&k->disk.timer);
	loop_timer_free(&k->wake);
	loop_timer_free(&k->maintain);
	loop_timer_free(&k->policies);
	loop_http_free(&k->http);
	control_close(&k->control);
	keeper_audit_close(k);
	keeper_notices_close(k);
	store_close(&k->store);
	sched_free(&k->sched);
	process_free(&k->process);
}

int keeper_main(const struct birth *b)
{
	int code = EXIT_FAILURE;
	struct keeper *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return EXIT_FAILURE;
	if (process_init(&k->process, b, k)) {
		k->process.owes = keeper_owes;
		k->process.grace_ms = KEEPER_GRACE_MS;
		k->process.on_peer = on_peer;
		k->process.on_drain = on_drain;
		k->process.on_restarts = on_restarts;
		k->process.on_word = on_word;
		k->process.on_couriers = keeper_couriers_told;
		if (start(k)) {
			loop_timer_set(k->maintain, MAINTAIN_MS);
			loop_timer_set(k->wake, 0);
			loop_timer_set(k->policies, 0);
			code = process_run(&k->process);
			if (store_health(k->store) != STORE_OK)
				code = EXIT_FAILURE;
		}
	}
	stop(k);
	free(k);
	return code;
}
