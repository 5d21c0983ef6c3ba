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
#include "relay/ourselves.h"
#include "relay/process.h"
#include "relay/reach.h"
#include "relay/remote.h"

#include "wire/destination.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	JOB_MEM_MAX = 64 * 1024 * 1024,
	TLS_TEXT_MAX = 1024,
	TELL_MS = 2000,
	LACKING_MS = 2000,
	/* While no keeper takes reports: with more octets they go without what is only told. Hosts
	 * with long replies do not fill our memory. */
	KEPT_MAX = 32 * 1024 * 1024,
};

struct courier;

struct carry {
	struct courier *courier;
	struct arena mem; /* of the job */
	struct job job;
	struct smtpc_message message;
	struct dane_policy policy;
	struct delivery *delivery;
	int fd; /* of the text, -1: inline */
	/* The keeper that is there knows that we have it: it gave it to us, or granted our claim.
	 */
	bool known;
	bool dot_wanted, dot_out; /* asked for and not answered; allowed once */
	struct buf result; /* encoded; empty while it is under way. Kept until it is committed */
	uint64_t sent;     /* its number among the reports of this channel; 0: not sent */
	struct carry *next, *next_sent;
};

struct courier {
	struct process process;
	struct engine *engine;
	struct credentials *credentials;
	struct remote *remote;
	struct reach *reach;
	struct channel *keeper;
	struct carry *carry;
	struct carry *sent, **last_sent;   /* reports that are not committed, in order */
	uint64_t reports;                  /* sent over this channel */
	size_t kept;                       /* octets of reports that wait */
	struct courier_evidence *evidence; /* NULL: audit.evidence is no */
	struct courier_stats stats, told;
	struct loop_timer *tell, *lacking;
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
	    courier_evidence_id(k->evidence, attempt_plan(a), host, k->keeper, k->reports + 1);
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
	r->reach = (uint8_t)attempt_phase(a);
	r->unwilling = attempt_unwilling(a);
	r->reply_ms = attempt_reply_ms(a);
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

/* The session and what it worked with go; what is to be reported stays. */
static void end_session(struct carry *c)
{
	delivery_free(&c->delivery);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	arena_free(&c->mem);
}

static void drop(struct carry *c)
{
	unlink_carry(c);
	end_session(c);
	c->courier->kept -= buf_len(&c->result);
	buf_free(&c->result);
	free(c);
}

/* --- Reports: kept until the keeper, or its successor, has committed them --- */

static bool send_report(struct carry *c)
{
	struct courier *k = c->courier;
	buf_add_slice(channel_begin(k->keeper, MSG_RESULT), buf_slice(&c->result));
	if (!channel_send(k->keeper, -1))
		return false;
	c->sent = ++k->reports;
	c->next_sent = NULL;
	*k->last_sent = c;
	k->last_sent = &c->next_sent;
	return true;
}

static bool leave(struct courier *k)
{
	channel_begin(k->keeper, MSG_LEAVING);
	return channel_send(k->keeper, -1);
}

static void results_kept(struct courier *k, struct slice payload)
{
	struct cursor cur = cursor_make(payload);
	uint64_t upto = get_u64(&cur);
	while (k->sent != NULL && k->sent->sent <= upto) {
		struct carry *c = k->sent;
		k->sent = c->next_sent;
		if (k->sent == NULL)
			k->last_sent = &k->sent;
		courier_evidence_kept(k->evidence, c->sent);
		drop(c);
	}
	if (k->process.draining && k->carry == NULL && !leave(k))
		process_exit(&k->process);
}

/* A report with more text than a message may have goes without: who got it matters most. */
static bool encode(struct carry *c, struct result *r)
{
	struct courier *k = c->courier;
	buf_reset(&c->result);
	result_put(&c->result, r);
	if (!buf_ok(&c->result) || k->kept + buf_len(&c->result) > KEPT_MAX) {
		r->ntries = 0;
		for (size_t i = 0; i < r->nrcpt; i++)
			r->rcpt[i].reply = NULL;
		buf_reset(&c->result);
		result_put(&c->result, r);
	}
	k->kept += buf_len(&c->result);
	return buf_ok(&c->result);
}

/* What cannot be said is known to the keeper when we are gone. */
static void end_with(struct carry *c, struct result *r, bool ok)
{
	struct courier *k = c->courier;
	ok = ok && encode(c, r) && (!c->known || send_report(c));
	if (!ok) {
		log_event(k->process.log, LOG_LEVEL_ERROR, "result-lost", "id",
			  c->job.mail.queue_id, NULL);
		process_exit(&k->process);
	}
	end_session(c);
}

static void on_delivery(void *arg, struct attempt *a)
{
	struct carry *c = arg;
	struct arena mem;
	struct result r = {.delivery = c->job.delivery, .take = c->job.take};
	arena_init(&mem, JOB_MEM_MAX);
	fill_rcpts(&mem, c, a, &r);
	fill_tries(&mem, c, a, &r);
	end_with(c, &r, !mem.failed);
	arena_free(&mem);
}

/* Evidence is collected while the session goes on. */
static void on_host(void *arg, const struct plan *plan, const struct plan_host *host)
{
	struct carry *c = arg;
	courier_evidence_begin(c->courier->evidence, plan, host);
}

static void ask_for_dot(struct carry *c)
{
	struct channel *keeper = c->courier->keeper;
	struct buf *b = channel_begin(keeper, MSG_DOT);
	put_u64(b, c->job.delivery);
	put_u64(b, c->job.take);
	if (channel_send(keeper, -1))
		return;
	c->dot_wanted = false;
	delivery_finish_text(c->delivery, false);
}

static void on_dot(void *arg)
{
	struct carry *c = arg;
	c->dot_wanted = !c->courier->process.orphaned;
	if (!c->dot_wanted) /* whoever could hear of the reply may be gone by then */
		delivery_finish_text(c->delivery, false);
	else if (c->known) /* else the next keeper is asked when it has granted our claim */
		ask_for_dot(c);
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
	    .again = c->job.again,
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

/* Nothing was tried: everybody is deferred for a reason of ours. */
static void give_back(struct carry *c)
{
	const struct job *j = &c->job;
	struct arena mem;
	struct result r = {.delivery = j->delivery,
			   .take = j->take,
			   .reason = REASON_LOCAL_ERROR,
			   .nrcpt = j->mail.nrcpt};
	arena_init(&mem, JOB_MEM_MAX);
	r.rcpt = arena_array(&mem, r.nrcpt, sizeof(*r.rcpt));
	for (size_t i = 0; r.rcpt != NULL && i < r.nrcpt; i++)
		r.rcpt[i] = (struct result_rcpt){.n = j->mail.rcpt[i].n,
						 .status = ATTEMPT_DEFERRED,
						 .reason = REASON_LOCAL_ERROR,
						 .code = reason_code(REASON_LOCAL_ERROR)};
	if (r.rcpt == NULL)
		r.nrcpt = 0;
	end_with(c, &r, true);
	arena_free(&mem);
}

static bool take_job(struct courier *k, struct channel *ch, struct slice payload)
{
	struct carry *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return false;
	*c = (struct carry){
	    .courier = k, .fd = channel_take_fd(ch), .known = true, .next = k->carry};
	k->carry = c;
	arena_init(&c->mem, JOB_MEM_MAX);
	buf_init(&c->result, MAIL_RESULT_MAX);
	struct slice copy = arena_bytes(&c->mem, payload); /* the text is a slice of it */
	bool ok = copy.n == payload.n && job_get(copy, &c->mem, &c->job);
	if (ok && !start(c))
		give_back(c);
	else if (!ok)
		drop(c);
	return ok;
}

/* Of this very handing over: an older one of the same delivery may be here still. */
static struct carry *find_carry(struct courier *k, struct cursor *cur)
{
	uint64_t delivery = get_u64(cur), take = get_u64(cur);
	struct carry *c = k->carry;
	while (c != NULL && (c->job.delivery != delivery || c->job.take != take))
		c = c->next;
	return c;
}

static void dot_noted(struct courier *k, struct slice payload)
{
	struct cursor cur = cursor_make(payload);
	struct carry *c = find_carry(k, &cur);
	bool go = cursor_u8(&cur) == 1;
	if (c == NULL || c->delivery == NULL)
		return;
	c->dot_wanted = false;
	c->dot_out = c->dot_out || go;
	delivery_finish_text(c->delivery, go);
}

/* --- Keepers come and go --- */

/* What we carry goes on: the next keeper is told of it, and whether it stays ours. */
static void keeper_lost(struct courier *k)
{
	channel_free(&k->keeper);
	k->told = (struct courier_stats){0}; /* the next one knows nothing */
	courier_evidence_unsure(k->evidence);
	for (struct carry *c = k->carry; c != NULL; c = c->next) {
		c->known = false;
		c->sent = 0;
	}
	k->sent = NULL;
	k->last_sent = &k->sent;
	k->reports = 0;
	if (k->process.draining && k->carry == NULL)
		process_exit(&k->process);
}

static bool claim(const struct carry *c)
{
	struct buf *b = channel_begin(c->courier->keeper, MSG_CLAIM);
	put_u64(b, c->job.delivery);
	put_u64(b, c->job.take);
	put_u8(b, c->dot_out);
	return channel_send(c->courier->keeper, -1);
}

static void greet_keeper(struct courier *k)
{
	bool ok = courier_evidence_again(k->evidence, k->keeper);
	for (const struct carry *c = k->carry; c != NULL && ok; c = c->next)
		ok = claim(c);
	channel_begin(k->keeper, MSG_REPORTED);
	ok = ok && channel_send(k->keeper, -1);
	if (ok && k->process.draining)
		ok = leave(k);
	if (!ok)
		process_exit(&k->process);
}

static void claimed(struct courier *k, struct slice payload)
{
	struct cursor cur = cursor_make(payload);
	struct carry *c = find_carry(k, &cur);
	bool yes = cursor_u8(&cur) == 1, ok = true;
	if (c == NULL)
		return;
	if (!yes) {
		drop(c);
		if (k->process.draining && k->carry == NULL && !leave(k))
			process_exit(&k->process);
		return;
	}
	c->known = true;
	if (buf_len(&c->result) > 0)
		ok = send_report(c);
	else if (c->dot_wanted)
		ask_for_dot(c);
	if (!ok)
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
	} else if (type == MSG_RESULTS_KEPT) {
		results_kept(k, payload);
	} else if (type == MSG_CLAIMED) {
		claimed(k, payload);
	}
}

static void on_gone(void *arg, struct channel *c, const char *why)
{
	struct courier *k = arg;
	(void)c;
	(void)why;
	keeper_lost(k);
	if (k->lacking != NULL)
		loop_timer_set(k->lacking, LACKING_MS);
}

/* A keeper that died has a successor by now, or none can start yet; one that cut us off lives, and
 * only the parent can bring us together again. */
static void on_lacking(void *arg)
{
	struct courier *k = arg;
	if (k->keeper != NULL)
		return;
	put_u8(channel_begin(k->process.parent, MSG_LACKING), ROLE_KEEPER);
	channel_send(k->process.parent, -1);
	loop_timer_set(k->lacking, LACKING_MS);
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
		if (k->keeper != NULL)
			greet_keeper(k);
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

/* A reply that is to come, or a report that is not committed. */
static bool courier_owes(void *self)
{
	const struct courier *k = self;
	for (const struct carry *c = k->carry; c != NULL && k->keeper != NULL; c = c->next) {
		if (c->dot_out || c->dot_wanted || buf_len(&c->result) > 0)
			return true;
	}
	return false;
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

/* The keeper closes the channel when it has our last result: that is the end. Without a keeper the
 * next one is told, unless there is nothing to tell. */
static void on_drain(void *self)
{
	struct courier *k = self;
	if (k->keeper == NULL && k->carry != NULL)
		return;
	if (k->keeper == NULL || !leave(k))
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
	size_t nown = 0;
	struct ipaddr *own = ourselves_find(b->conf, &nown);
	if (own == NULL) {
		snprintf(error, room, "out of memory");
		return false;
	}
	struct engine_resolver resolver = remote_resolver(k->remote);
	struct engine_reach reach = reach_engine(k->reach);
	struct engine_config e = {.conf = b->conf,
				  .log = k->process.log,
				  .resolver = &resolver,
				  .reach = &reach,
				  .loop = k->process.loop,
				  .keep_ms = MAIL_KEEP_MS,
				  .credentials = k->credentials,
				  .relaying = true,
				  .own_address = own,
				  .nown_address = nown,
				  .sealed = true};
	k->engine = engine_new(&e, error, room);
	free(own);
	return k->engine != NULL;
}

int courier_main(const struct birth *b)
{
	char error[512] = "";
	int code = EXIT_FAILURE;
	struct courier k = {0};
	if (!process_init(&k.process, b, &k))
		return EXIT_FAILURE;
	k.last_sent = &k.sent;
	k.process.owes = courier_owes;
	k.process.grace_ms = COURIER_GRACE_MS;
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
	k.lacking = loop_timer_new(k.process.loop, on_lacking, &k);
	if (k.tell != NULL)
		loop_timer_set(k.tell, TELL_MS);
	if (k.engine != NULL && process_confine(&k.process, SANDBOX_COURIER, NULL))
		code = process_run(&k.process);
	else if (k.engine == NULL)
		log_event(k.process.log, LOG_LEVEL_ERROR, "courier", "error", error, NULL);
	while (k.carry != NULL)
		drop(k.carry);
	loop_timer_free(&k.tell);
	loop_timer_free(&k.lacking);
	channel_free(&k.keeper);
	courier_evidence_free(&k.evidence);
	engine_free(&k.engine);
	remote_free(&k.remote);
	reach_free(&k.reach);
	credentials_free(&k.credentials);
	process_free(&k.process);
	return code;
}
