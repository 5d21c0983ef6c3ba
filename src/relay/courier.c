/* SPDX-License-Identifier: MIT */
/*
 * The courier process: carries deliveries out over the network, many at once, and reports. Knows
 * the engine; refuses to know the queue: whether and when something is tried again is the keeper's
 * to say.
 */
#include "relay/audit_facts.h"
#include "relay/courier_evidence.h"
#include "relay/mail.h"
#include "relay/metrics.h"
#include "relay/process.h"
#include "relay/reach.h"
#include "relay/remote.h"

#include "wire/destination.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOB_MEM_MAX = 64 * 1024 * 1024, TLS_TEXT_MAX = 1024, TELL_MS = 2000, ORPHAN_MS = 10000 };

struct courier;

struct carry {
	struct courier *courier;
	struct arena mem; /* of the job */
	struct job job;
	struct smtpc_message message;
	struct dane_policy policy;
	struct delivery *delivery;
	int fd; /* of the text, -1: inline */
	struct carry *next;
};

struct courier {
	struct process process;
	struct engine *engine;
	struct credentials *credentials;
	struct remote *remote;
	struct reach *reach;
	struct channel *keeper;
	struct carry *carry;
	struct courier_evidence *evidence; /* NULL: audit.evidence is no */
	struct courier_stats stats, told;
	struct loop_timer *tell, *orphan;
};

/* --- Results --- */

static const char *tls_text(struct arena *mem, const struct tls_facts *t)
{
	struct buf b;
	if (t == NULL || t->version[0] == '\0')
		return NULL;
	buf_init(&b, TLS_TEXT_MAX);
	buf_addf(&b, "%s %s %s", t->version, t->cipher, t->group);
	if (t->match.present)
		buf_addf(&b, "; matched %u %u %u at %d%s%s", t->match.usage, t->match.selector,
			 t->match.mtype, t->match.depth, t->match.name != NULL ? " name " : "",
			 t->match.name != NULL ? t->match.name : "");
	for (size_t i = 0; i < t->nchain; i++)
		buf_addf(&b, "; cert %zu sha256 %s", i, t->chain[i].sha256);
	const char *text = arena_strdup(mem, buf_cstr(&b));
	buf_free(&b);
	return text;
}

static const char *or_null(const char *s)
{
	return s != NULL && s[0] != '\0' ? s : NULL;
}

/* The record of try i (A1). Empty: audit.enabled is no. */
static struct slice record_of(struct arena *mem, const struct carry *c, struct attempt *a,
			      const struct result *r, size_t i)
{
	struct courier *k = c->courier;
	const struct plan_host *host = attempt_try(a, i)->planned;
	const uint8_t *evidence =
	    courier_evidence_id(k->evidence, attempt_plan(a), host, k->keeper);
	const struct audit_context x = {.evidence = evidence,
					.queue_id = c->job.mail.queue_id,
					.next_hop = c->job.next_hop,
					.delivery = c->job.delivery,
					.count = r->ntries,
					.outcome = (enum reason)r->reason};
	struct buf b;
	if (!k->process.birth.conf->audit_enabled)
		return slice_make(NULL, 0);
	buf_init(&b, AUDIT_BODY_MAX);
	bool ok = audit_facts_put(&x, a, i, &b);
	struct slice record = arena_bytes(mem, buf_slice(&b));
	buf_free(&b);
	mem->failed = mem->failed || !ok;
	return record;
}

static void fill_tries(struct arena *mem, const struct carry *c, struct attempt *a,
		       struct result *r)
{
	struct courier_stats *stats = &c->courier->stats;
	r->ntries = attempt_ntries(a);
	r->tries = arena_array(mem, r->ntries, sizeof(*r->tries));
	for (size_t i = 0; r->tries != NULL && i < r->ntries; i++) {
		const struct attempt_try *t = attempt_try(a, i);
		bool spoke_tls = t->tls != NULL && t->tls->version[0] != '\0';
		stats->reused += t->reused;
		stats->handshakes += spoke_tls && !t->reused;
		stats->resumed += spoke_tls && !t->reused && t->tls->resumed;
		r->tries[i] = (struct result_try){.host = t->host,
						  .address = t->address,
						  .policy = host_policy_name(t->policy),
						  .reason = reason_name(t->reason),
						  .code = reason_code(t->reason),
						  .detail = or_null(t->detail),
						  .tls = tls_text(mem, t->tls),
						  .audit = record_of(mem, c, a, r, i)};
	}
}

static void fill_rcpts(struct arena *mem, const struct carry *c, struct attempt *a,
		       struct result *r)
{
	r->nrcpt = c->job.mail.nrcpt;
	r->rcpt = arena_array(mem, r->nrcpt, sizeof(*r->rcpt));
	r->reason = REASON_OK;
	for (size_t i = 0; r->rcpt != NULL && i < r->nrcpt; i++) {
		const struct attempt_rcpt *x = attempt_rcpt(a, i);
		const struct attempt_try *t =
		    x->decided_by >= 0 ? attempt_try(a, (size_t)x->decided_by) : NULL;
		r->rcpt[i] = (struct result_rcpt){.n = c->job.mail.rcpt[i].n,
						  .status = (uint8_t)x->status,
						  .reason = (uint16_t)x->reason,
						  .code = x->code,
						  .reply = or_null(x->reply),
						  .host = t != NULL ? t->host : NULL,
						  .dsn_passed = x->dsn_passed};
		if (x->reason != REASON_OK)
			r->reason = (uint16_t)reason_worse((enum reason)r->reason, x->reason);
	}
	r->unknown = r->reason == REASON_LOST_AFTER_DATA;
}

static void unlink_carry(struct carry *c)
{
	struct carry **at = &c->courier->carry;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
}

static void drop(struct carry *c)
{
	unlink_carry(c);
	delivery_free(&c->delivery);
	if (c->fd >= 0)
		close(c->fd);
	arena_free(&c->mem);
	free(c);
}

/* A report with more text than a message may have goes without: who got it matters most. */
static bool report(struct courier *k, struct result *r)
{
	result_put(channel_begin(k->keeper, MSG_RESULT), r);
	if (channel_send(k->keeper, -1))
		return true;
	r->ntries = 0;
	for (size_t i = 0; i < r->nrcpt; i++)
		r->rcpt[i].reply = NULL;
	result_put(channel_begin(k->keeper, MSG_RESULT), r);
	return channel_send(k->keeper, -1);
}

static void on_delivery(void *arg, struct attempt *a)
{
	struct carry *c = arg;
	struct arena mem;
	struct result r = {.delivery = c->job.delivery};
	arena_init(&mem, JOB_MEM_MAX);
	fill_rcpts(&mem, c, a, &r);
	fill_tries(&mem, c, a, &r);
	if (c->courier->keeper != NULL && (mem.failed || !report(c->courier, &r))) {
		/* What cannot be said is known to the keeper when we are gone. */
		log_event(c->courier->process.log, LOG_LEVEL_ERROR, "result-lost", "id",
			  c->job.mail.queue_id, NULL);
		process_exit(&c->courier->process);
	}
	arena_free(&mem);
	drop(c);
}

/* Evidence is collected while the session goes on. */
static void on_host(void *arg, const struct plan *plan, const struct plan_host *host)
{
	struct carry *c = arg;
	courier_evidence_begin(c->courier->evidence, plan, host);
}

static void on_dot(void *arg)
{
	struct carry *c = arg;
	struct channel *keeper = c->courier->keeper;
	if (keeper != NULL) {
		put_u64(channel_begin(keeper, MSG_DOT), c->job.delivery);
		if (channel_send(keeper, -1))
			return;
	}
	delivery_finish_text(c->delivery, false);
}

/* --- Jobs --- */

static bool make_message(struct carry *c)
{
	const struct mail *m = &c->job.mail;
	struct smtpc_rcpt *rcpt = arena_array(&c->mem, m->nrcpt, sizeof(*rcpt));
	if (rcpt == NULL)
		return false;
	for (size_t i = 0; i < m->nrcpt; i++)
		rcpt[i] = (struct smtpc_rcpt){
		    .address = m->rcpt[i].address,
		    .params = {.notify = m->rcpt[i].notify, .orcpt_given = m->rcpt[i].orcpt}};
	c->message = (struct smtpc_message){.reverse_path = m->reverse_path,
					    .envid = m->envid,
					    .ret = m->ret,
					    .size = m->size,
					    .eight_bit = m->eight_bit,
					    .smtputf8 = m->smtputf8,
					    .rcpt = rcpt,
					    .nrcpt = m->nrcpt};
	return true;
}

/* An operator's exception counts unless the configuration says something of a closer pattern:
 * *.example may be lowered for a while, and what stands there for gov.example still holds. */
static void apply_override(struct carry *c)
{
	const struct job *j = &c->job;
	struct courier *k = c->courier;
	const char *configured = conf_level_pattern(k->process.birth.conf, j->next_hop);
	if (j->level == MAIL_LEVEL_NONE ||
	    destination_specificity(j->pattern) < destination_specificity(configured))
		return;
	c->policy.level = (enum dane_level)j->level;
	log_event(k->process.log, LOG_LEVEL_WARN, "policy-override", "id", j->mail.queue_id,
		  "next-hop", j->next_hop, "pattern", j->pattern, "level",
		  dane_level_name(c->policy.level), NULL);
}

static bool start(struct carry *c)
{
	struct delivery_request q = {
	    .next_hop = c->job.next_hop,
	    .message = &c->message,
	    .body = {.bytes = c->fd >= 0 ? (struct slice){0} : c->job.mail.text, .fd = c->fd},
	    .id = c->job.mail.queue_id,
	    .on_host = on_host,
	    .before_dot = on_dot,
	};
	if (!make_message(c))
		return false;
	conf_policy_for(c->courier->process.birth.conf, q.next_hop, &c->policy);
	apply_override(c);
	q.policy = &c->policy;
	c->delivery = delivery_start(c->courier->engine, &q, on_delivery, c);
	return c->delivery != NULL;
}

/* Nothing was tried: everybody is deferred for a reason of ours. False: the keeper cannot be told.
 */
static bool give_back(struct courier *k, const struct job *j)
{
	struct arena mem;
	struct result r = {
	    .delivery = j->delivery, .reason = REASON_LOCAL_ERROR, .nrcpt = j->mail.nrcpt};
	arena_init(&mem, JOB_MEM_MAX);
	r.rcpt = arena_array(&mem, r.nrcpt, sizeof(*r.rcpt));
	for (size_t i = 0; r.rcpt != NULL && i < r.nrcpt; i++)
		r.rcpt[i] = (struct result_rcpt){.n = j->mail.rcpt[i].n,
						 .status = ATTEMPT_DEFERRED,
						 .reason = REASON_LOCAL_ERROR,
						 .code = reason_code(REASON_LOCAL_ERROR)};
	if (r.rcpt == NULL)
		r.nrcpt = 0;
	result_put(channel_begin(k->keeper, MSG_RESULT), &r);
	bool ok = channel_send(k->keeper, -1);
	arena_free(&mem);
	return ok;
}

static bool take_job(struct courier *k, struct channel *ch, struct slice payload)
{
	struct carry *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return false;
	*c = (struct carry){.courier = k, .fd = channel_take_fd(ch), .next = k->carry};
	k->carry = c;
	arena_init(&c->mem, JOB_MEM_MAX);
	struct slice copy = arena_bytes(&c->mem, payload); /* the text is a slice of it */
	bool ok = copy.n == payload.n && job_get(copy, &c->mem, &c->job);
	if (ok && !start(c)) {
		ok = give_back(k, &c->job);
		drop(c);
	} else if (!ok) {
		drop(c);
	}
	return ok;
}

static void dot_noted(struct courier *k, struct slice payload)
{
	struct cursor cur = cursor_make(payload);
	uint64_t id = get_u64(&cur);
	bool go = cursor_u8(&cur) == 1;
	for (struct carry *c = k->carry; c != NULL; c = c->next) {
		if (c->job.delivery == id) {
			delivery_finish_text(c->delivery, go);
			return;
		}
	}
}

static void keeper_lost(struct courier *k)
{
	channel_free(&k->keeper);
	k->told = (struct courier_stats){0}; /* the next one knows nothing */
	courier_evidence_forget(k->evidence);
	/* Its successor takes everything that was active for interrupted: going on here would
	 * deliver twice. */
	while (k->carry != NULL)
		drop(k->carry);
	if (k->process.draining)
		process_exit(&k->process);
}

static void on_message(void *arg, struct channel *c, enum message type, struct slice payload)
{
	struct courier *k = arg;
	if (type == MSG_JOB && !take_job(k, c, payload)) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "job", "error",
			  "not understood, or out of memory", NULL);
		keeper_lost(k);
		process_exit(&k->process); /* the keeper has no other channel to us */
	} else if (type == MSG_DOT_NOTED) {
		dot_noted(k, payload);
	}
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	struct courier *k = arg;
	(void)c;
	(void)why;
	keeper_lost(k);
	if (k->orphan != NULL)
		loop_timer_set(k->orphan, ORPHAN_MS);
}

/* No new keeper came: ours lives and wants nothing more of us. The parent starts another courier.
 */
static void on_orphan(void *arg)
{
	struct courier *k = arg;
	if (k->keeper == NULL)
		process_exit(&k->process);
}

static void on_peer(void *self, enum role role, int fd)
{
	struct courier *k = self;
	if (role == ROLE_RESOLVER) {
		remote_connect(k->remote, fd);
	} else if (role == ROLE_KEEPER) {
		keeper_lost(k);
		k->keeper =
		    channel_new(k->process.loop, fd, ROLE_COURIER, role, on_message, on_gone, k);
	} else {
		close(fd);
	}
}

static void on_word(void *self, enum message type, struct slice payload, int fd)
{
	struct courier *k = self;
	if (type == MSG_REACHED)
		reach_answered(k->reach, payload, fd);
	else if (fd >= 0)
		close(fd);
}

/* Running totals, when they changed. */
static void on_tell(void *arg)
{
	struct courier *k = arg;
	remote_count(k->remote, &k->stats.questions, &k->stats.question_ms);
	if (k->keeper != NULL && memcmp(&k->stats, &k->told, sizeof(k->stats)) != 0) {
		process_trim(); /* handshakes come in bursts and need most */
		courier_stats_put(channel_begin(k->keeper, MSG_STATS), &k->stats);
		if (channel_send(k->keeper, -1))
			k->told = k->stats;
	}
	loop_timer_set(k->tell, TELL_MS);
}

/* The keeper closes the channel when it has our last result: that is the end. Without a keeper
 * nothing is under way. */
static void on_drain(void *self)
{
	struct courier *k = self;
	if (k->keeper != NULL)
		channel_begin(k->keeper, MSG_LEAVING);
	if (k->keeper == NULL || !channel_send(k->keeper, -1))
		process_exit(&k->process);
}

/* As root if that was who started us: nobody else may read them. */
static bool read_credentials(struct courier *k, const struct birth *b)
{
	char error[512];
	if (b->conf->smtp_credentials == NULL)
		return true;
	k->credentials = credentials_load(b->conf->smtp_credentials, error, sizeof(error));
	if (k->credentials == NULL)
		log_event(k->process.log, LOG_LEVEL_ERROR, "credentials", "error", error, NULL);
	return k->credentials != NULL;
}

static bool start_engine(struct courier *k, const struct birth *b, char *error, size_t room)
{
	struct engine_resolver resolver = remote_resolver(k->remote);
	struct engine_reach reach = reach_engine(k->reach);
	struct engine_config e = {.conf = b->conf,
				  .log = k->process.log,
				  .resolver = &resolver,
				  .reach = &reach,
				  .loop = k->process.loop,
				  .keep_ms = MAIL_KEEP_MS,
				  .credentials = k->credentials,
				  .sealed = true};
	k->engine = engine_new(&e, error, room);
	return k->engine != NULL;
}

int courier_main(const struct birth *b)
{
	char error[512] = "";
	int code = EXIT_FAILURE;
	struct courier k = {0};
	if (!process_init(&k.process, b, &k))
		return EXIT_FAILURE;
	k.process.on_peer = on_peer;
	k.process.on_drain = on_drain;
	k.process.on_word = on_word;
	if (read_credentials(&k, b) && process_drop(&k.process))
		k.remote = remote_new(k.process.loop, ROLE_COURIER, k.process.parent);
	k.reach = reach_new(k.process.parent);
	if (k.remote != NULL && k.reach != NULL)
		start_engine(&k, b, error, sizeof(error));
	if (k.engine != NULL && b->conf->audit_enabled && b->conf->audit_evidence)
		k.evidence = courier_evidence_new(k.engine); /* without memory: no evidence */
	k.tell = loop_timer_new(k.process.loop, on_tell, &k);
	k.orphan = loop_timer_new(k.process.loop, on_orphan, &k);
	if (k.tell != NULL)
		loop_timer_set(k.tell, TELL_MS);
	if (k.engine != NULL && process_confine(&k.process, SANDBOX_COURIER, NULL))
		code = process_run(&k.process);
	else if (k.engine == NULL)
		log_event(k.process.log, LOG_LEVEL_ERROR, "courier", "error", error, NULL);
	while (k.carry != NULL)
		drop(k.carry);
	loop_timer_free(&k.tell);
	loop_timer_free(&k.orphan);
	channel_free(&k.keeper);
	courier_evidence_free(&k.evidence);
	engine_free(&k.engine);
	remote_free(&k.remote);
	reach_free(&k.reach);
	credentials_free(&k.credentials);
	process_free(&k.process);
	return code;
}
