/* SPDX-License-Identifier: MIT */
/*
 * The attempt machine: a walk over hosts and addresses that ends with one result per recipient.
 * What a failure means was decided in trouble.c; what it does to the walk is decided here, by the
 * fate in the outcome table.
 */
#include "deliver/attempt.h"

#include <stdlib.h>
#include <string.h>

enum { SKIP_TEXT_MAX = 8192 }; /* the words of a resolver can be long */

enum {
	ATTEMPT_MEM_MAX = 16 * 1024 * 1024,
	ATTEMPT_ADDRESSES_MAX = 256,
	TRIES_MAX = PLAN_HOSTS_MAX + 2 * ATTEMPT_ADDRESSES_MAX, /* two: with the clear fallback */
	OPENING_LEAST_MS = 1000,                                /* less is not worth a connection */
	TRIES_FIRST = 4, /* room at the start: hardly anybody needs more, and attempts are many */
};

struct attempt {
	struct attempt_config config;
	struct arena mem;
	struct plan *plan;
	struct attempt_rcpt *rcpt;
	struct attempt_try *try;
	size_t ntry, try_room;
	size_t host;      /* index in the plan */
	size_t address;   /* index in the host */
	size_t addresses; /* tried so far, over all hosts */
	bool in_clear;    /* the next session is the clear fallback */
	bool session_out; /* a session was described and has not ended */
	bool done;
	enum reason worst; /* of the tries so far */
	int worst_try;
	enum smtpc_reached reached;
	bool unwilling;
	int32_t reply_ms;
	uint32_t opening_left; /* of config.opening_ms */
};

struct attempt *attempt_new(const struct attempt_config *c)
{
	struct attempt *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->config = *c;
	if (a->config.addresses_max == 0)
		a->config.addresses_max = ATTEMPT_ADDRESSES_DEFAULT;
	if (a->config.addresses_max > ATTEMPT_ADDRESSES_MAX)
		a->config.addresses_max = ATTEMPT_ADDRESSES_MAX;
	a->worst = REASON_OK;
	a->worst_try = -1;
	a->reply_ms = -1;
	a->opening_left = c->opening_ms;
	arena_init(&a->mem, ATTEMPT_MEM_MAX);
	a->plan = plan_new(&c->plan);
	a->rcpt = arena_array(&a->mem, c->message->nrcpt, sizeof(*a->rcpt));
	if (a->plan == NULL || a->rcpt == NULL) {
		attempt_free(&a);
		return NULL;
	}
	for (size_t i = 0; i < c->message->nrcpt; i++)
		a->rcpt[i] = (struct attempt_rcpt){.decided_by = -1, .reply = ""};
	return a;
}

void attempt_free(struct attempt **a)
{
	if (*a == NULL)
		return;
	plan_free(&(*a)->plan);
	arena_free(&(*a)->mem);
	free(*a);
	*a = NULL;
}

struct plan *attempt_plan(struct attempt *a)
{
	return a->plan;
}

/* --- Recipients --- */

static void settle(struct attempt *a, size_t i, enum attempt_status status, enum reason r,
		   struct enhanced_code e, int by)
{
	struct attempt_rcpt *rcpt = &a->rcpt[i];
	rcpt->status = status;
	rcpt->reason = r;
	rcpt->decided_by = by;
	trouble_code(r, e, status == ATTEMPT_FAILED, rcpt->code);
}

static void settle_pending(struct attempt *a, enum attempt_status status, enum reason r, int by)
{
	struct enhanced_code none = {0};
	struct enhanced_code e = by >= 0 ? a->try[by].enhanced : none;
	for (size_t i = 0; i < a->config.message->nrcpt; i++) {
		if (a->rcpt[i].status == ATTEMPT_PENDING)
			settle(a, i, status, r, e, by);
	}
}

/* The end: whoever is pending shares the reason; who heard a 4yz of their own was deferred by that.
 */
static void finish(struct attempt *a, enum attempt_status status, enum reason r, int by)
{
	const struct smtpc_message *m = a->config.message;
	for (size_t i = 0; i < m->nrcpt && status == ATTEMPT_DEFERRED; i++) {
		const struct attempt_rcpt *rcpt = &a->rcpt[i];
		bool own_words = rcpt->status == ATTEMPT_PENDING && rcpt->reply[0] != '\0';
		if (own_words && reason_worse(r, REASON_SMTP_DEFERRED) == REASON_SMTP_DEFERRED)
			settle(a, i, ATTEMPT_DEFERRED, REASON_SMTP_DEFERRED, m->rcpt[i].enhanced,
			       rcpt->decided_by);
	}
	settle_pending(a, status, r, by);
	a->done = true;
}

static bool all_settled(const struct attempt *a)
{
	for (size_t i = 0; i < a->config.message->nrcpt; i++) {
		if (a->rcpt[i].status == ATTEMPT_PENDING)
			return false;
	}
	return true;
}

/* Takes over what the session settled; the rest is pending again for the next host. In doubt are
 * only those for whom the message was on its way. */
static void collect(struct attempt *a, const struct session_outcome *o, int by)
{
	struct smtpc_message *m = a->config.message;
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (a->rcpt[i].status != ATTEMPT_PENDING)
			continue;
		struct smtpc_rcpt *s = &m->rcpt[i];
		switch (s->state) {
		case RCPT_SENT:
			settle(a, i, ATTEMPT_SENT, REASON_OK, s->enhanced, by);
			a->rcpt[i].dsn_passed = s->dsn_passed;
			break;
		case RCPT_REJECTED:
			if (o->tentative) {
				a->rcpt[i].decided_by = by;
				s->state = RCPT_DEFERRED;
				break;
			}
			settle(a, i, ATTEMPT_FAILED, REASON_SMTP_REJECTED, s->enhanced, by);
			break;
		case RCPT_DEFERRED:
			a->rcpt[i].decided_by = by;
			break;
		case RCPT_ACCEPTED:
			if (o->reason == REASON_LOST_AFTER_DATA)
				settle(a, i, ATTEMPT_DEFERRED, o->reason, (struct enhanced_code){0},
				       by);
			s->state = RCPT_PENDING;
			continue;
		case RCPT_PENDING:
			continue;
		}
		const char *words = arena_strdup(&a->mem, s->reply);
		a->rcpt[i].reply = words != NULL ? words : "";
		if (s->state == RCPT_DEFERRED)
			s->state = RCPT_PENDING;
	}
}

/* --- Tries --- */

/* For one more, before it begins: what has happened must not be lost for want of memory. */
static bool make_room(struct attempt *a)
{
	if (a->ntry < a->try_room || a->try_room == TRIES_MAX)
		return true;
	size_t room = a->try_room > 0 ? 2 * a->try_room : TRIES_FIRST;
	if (room > TRIES_MAX)
		room = TRIES_MAX;
	struct attempt_try *more = arena_array(&a->mem, room, sizeof(*more));
	if (more == NULL)
		return false;
	if (a->ntry > 0)
		memcpy(more, a->try, a->ntry * sizeof(*more));
	a->try = more;
	a->try_room = room;
	return true;
}

static struct attempt_try *add_try(struct attempt *a, const struct plan_host *h, enum reason r)
{
	if (a->ntry == a->try_room)
		return NULL;
	struct attempt_try *t = &a->try[a->ntry++];
	*t = (struct attempt_try){.host = h->name,
				  .port = a->config.plan.policy.port,
				  .planned = h,
				  .policy = h->verdict.policy,
				  .reason = r,
				  .detail = "",
				  .reply = ""};
	if (r != REASON_OK && (a->worst_try < 0 || reason_worse(a->worst, r) == r)) {
		a->worst = r;
		a->worst_try = (int)a->ntry - 1;
	}
	return t;
}

static const char *or_empty(const char *s)
{
	return s != NULL ? s : "";
}

static void record_skip(struct attempt *a, const struct plan_host *h)
{
	struct attempt_try *t = add_try(a, h, h->verdict.reason);
	if (t == NULL)
		return;
	struct buf text;
	buf_init(&text, SKIP_TEXT_MAX);
	if (h->verdict.reason == REASON_ROUTE_NOWHERE)
		buf_addf(&text, "route = \"%s\": ", a->config.plan.route);
	plan_explain_skip(h, &text);
	t->detail = or_empty(arena_strdup(&a->mem, buf_cstr(&text)));
	buf_free(&text);
}

static void record_session(struct attempt *a, const struct session_outcome *o)
{
	const struct plan_host *h = plan_host(a->plan, a->host);
	struct attempt_try *t = add_try(a, h, o->reason);
	if (t == NULL)
		return;
	char address[IPADDR_TEXT_MAX];
	const char *socket = a->config.plan.socket;
	ipaddr_to_text(&h->address[a->address], address);
	t->address = or_empty(arena_strdup(&a->mem, socket != NULL ? socket : address));
	t->clear_fallback = a->in_clear;
	t->reused = o->reused;
	t->enhanced = o->enhanced;
	t->detail = or_empty(arena_strdup(&a->mem, o->detail));
	t->reply = or_empty(arena_strdup(&a->mem, o->reply));
	t->tls = o->tls != NULL ? tls_facts_copy(&a->mem, o->tls) : NULL;
}

/* --- The walk --- */

static void next_address(struct attempt *a)
{
	a->in_clear = false;
	a->address++;
	if (a->address >= plan_host(a->plan, a->host)->naddress) {
		a->address = 0;
		a->host++;
	}
}

/* No host left, or enough tried: M1, T7: the reason that says most, and a delay unless nothing can
 * ever come. */
static void exhausted(struct attempt *a)
{
	/* Sessions that went well leave only recipients with a 4yz of their own. */
	if (a->worst == REASON_OK)
		a->worst = a->ntry > 0 ? REASON_SMTP_DEFERRED : REASON_LOCAL_ERROR;
	bool final = a->worst == REASON_NO_ADDRESS;
	finish(a, final ? ATTEMPT_FAILED : ATTEMPT_DEFERRED, a->worst, a->worst_try);
}

/* Which host is ourselves is told as of a host that was skipped. */
static int record_dead_end(struct attempt *a, const struct mx_verdict *v)
{
	const struct plan_host *here = plan_dead_end(a->plan);
	struct attempt_try *t = here != NULL && make_room(a) ? add_try(a, here, v->reason) : NULL;
	if (t == NULL)
		return -1;
	t->detail = or_empty(v->detail);
	return (int)a->ntry - 1;
}

static void end_by_mx(struct attempt *a, const struct mx_verdict *v)
{
	bool final = reason_fate(v->reason) == FATE_FAIL;
	finish(a, final ? ATTEMPT_FAILED : ATTEMPT_DEFERRED, v->reason, record_dead_end(a, v));
}

/* Skips hosts until one can be connected to. Returns false when the walk has to wait or is over. */
static bool find_host(struct attempt *a)
{
	bool room = make_room(a);
	if (a->in_clear && room) /* the same address once more */
		return true;
	while (room && a->host < plan_nhosts(a->plan) && a->addresses < a->config.addresses_max) {
		if (!plan_host_ready(a->plan, a->host))
			return false;
		const struct plan_host *h = plan_host(a->plan, a->host);
		if (h->verdict.policy != HOST_SKIP && h->naddress > 0)
			return true;
		record_skip(a, h);
		a->host++;
		room = make_room(a);
	}
	if (room)
		exhausted(a);
	else
		finish(a, ATTEMPT_DEFERRED, REASON_LOCAL_ERROR, -1);
	return false;
}

enum attempt_want attempt_want(struct attempt *a)
{
	if (a->done)
		return ATTEMPT_DONE;
	if (a->session_out)
		return ATTEMPT_WANT_SESSION;
	if (plan_failed(a->plan)) {
		finish(a, ATTEMPT_DEFERRED, REASON_LOCAL_ERROR, -1);
		return ATTEMPT_DONE;
	}
	const struct mx_verdict *mx = plan_mx(a->plan);
	if (mx == NULL)
		return ATTEMPT_WANT_ANSWERS;
	if (mx->kind == MX_END) {
		end_by_mx(a, mx);
		return ATTEMPT_DONE;
	}
	if (!find_host(a))
		return a->done ? ATTEMPT_DONE : ATTEMPT_WANT_ANSWERS;
	a->session_out = true;
	a->addresses += !a->in_clear;
	return ATTEMPT_WANT_SESSION;
}

/* No default on purpose, and SMTPC_TLS_MUST for whatever is not understood: a downgrade is never a
 * missing else. */
static enum smtpc_tls tls_for(const struct attempt *a, enum host_policy p)
{
	switch (p) {
	case HOST_MAY:
		return a->in_clear ? SMTPC_TLS_NONE : SMTPC_TLS_MAY;
	case HOST_LOCAL:
		return SMTPC_TLS_NONE;
	case HOST_DANE:
	case HOST_ENCRYPT:
	case HOST_SKIP:
	case HOST_PKIX:
		return SMTPC_TLS_MUST;
	}
	return SMTPC_TLS_MUST;
}

/* Who may see the password: the same care as above. */
static bool authenticates(enum host_policy p)
{
	switch (p) {
	case HOST_DANE:
	case HOST_PKIX:
		return true;
	case HOST_ENCRYPT:
	case HOST_MAY:
	case HOST_LOCAL:
	case HOST_SKIP:
		return false;
	}
	return false;
}

void attempt_session(const struct attempt *a, struct attempt_session *out)
{
	const struct plan_host *h = plan_host(a->plan, a->host);
	*out = (struct attempt_session){
	    .host = h,
	    .socket = a->config.plan.socket,
	    .address = h->address[a->address],
	    .port = a->config.plan.policy.port,
	    .terms = &h->terms,
	    .opening_ms = a->opening_left,
	    .smtp = {.helo = a->config.helo,
		     .lmtp = a->config.plan.lmtp,
		     .tls = tls_for(a, h->terms.policy),
		     .implicit_tls = a->config.implicit_tls,
		     .auth = authenticates(h->terms.policy) ? a->config.auth : NULL,
		     .auth_waits = a->config.relayed,
		     .timeouts = a->config.timeouts,
		     .rcpts_max = a->config.rcpts_max,
		     .message = a->config.message},
	};
}

static bool may_fall_back(const struct attempt *a, const struct session_outcome *o)
{
	return o->tls_failed && o->reason != REASON_LOCAL_ERROR && !a->in_clear &&
	       plan_host(a->plan, a->host)->terms.policy == HOST_MAY &&
	       a->config.plan.policy.clear_fallback;
}

static bool has_time(const struct attempt *a)
{
	return a->config.opening_ms == 0 || a->opening_left >= OPENING_LEAST_MS;
}

/* T11: after a fault of TLS nothing is final: it may be refused for want of TLS only. */
static struct session_outcome as_tentative(const struct attempt *a, const struct session_outcome *o)
{
	struct session_outcome out = *o;
	out.tentative = o->tentative || a->in_clear;
	if (out.tentative && reason_fate(out.reason) == FATE_FAIL)
		out.reason = REASON_SMTP_DEFERRED;
	return out;
}

void attempt_session_ended(struct attempt *a, const struct session_outcome *ended)
{
	if (!a->session_out || a->done)
		return;
	struct session_outcome judged = as_tentative(a, ended);
	const struct session_outcome *o = &judged;
	a->session_out = false;
	if (o->reached > a->reached)
		a->reached = o->reached;
	a->opening_left -= o->opening_ms < a->opening_left ? o->opening_ms : a->opening_left;
	a->unwilling = o->unwilling;
	if (o->reply_ms >= 0)
		a->reply_ms = o->reply_ms;
	record_session(a, o);
	int by = (int)a->ntry - 1;
	collect(a, o, by);
	if (may_fall_back(a, o)) { /* T11 */
		a->in_clear = true;
		return;
	}
	if (all_settled(a)) {
		a->done = true;
		return;
	}
	switch (reason_fate(o->reason)) {
	case FATE_DONE: /* recipients that heard 4yz: another host may take them */
	case FATE_NEXT:
		if (has_time(a))
			next_address(a);
		else
			finish(a, ATTEMPT_DEFERRED, a->worst, a->worst_try);
		break;
	case FATE_DELAY: /* who is not in doubt has lost a connection */
		finish(a, ATTEMPT_DEFERRED,
		       o->reason == REASON_LOST_AFTER_DATA ? REASON_CONNECTION_LOST : o->reason,
		       by);
		break;
	case FATE_FAIL:
		finish(a, ATTEMPT_FAILED, o->reason, by);
		break;
	}
}

void attempt_abort(struct attempt *a, const char *why)
{
	(void)why;
	a->session_out = false;
	finish(a, ATTEMPT_DEFERRED, REASON_LOCAL_ERROR, -1);
}

enum smtpc_reached attempt_phase(const struct attempt *a)
{
	return a->reached;
}

bool attempt_unwilling(const struct attempt *a)
{
	return a->unwilling;
}

int32_t attempt_reply_ms(const struct attempt *a)
{
	return a->reply_ms;
}

size_t attempt_ntries(const struct attempt *a)
{
	return a->ntry;
}

const struct attempt_try *attempt_try(const struct attempt *a, size_t i)
{
	return &a->try[i];
}

const struct attempt_rcpt *attempt_rcpt(const struct attempt *a, size_t i)
{
	return &a->rcpt[i];
}

const char *attempt_status_name(enum attempt_status s)
{
	static const char *const names[] = {[ATTEMPT_PENDING] = "pending",
					    [ATTEMPT_SENT] = "sent",
					    [ATTEMPT_DEFERRED] = "deferred",
					    [ATTEMPT_FAILED] = "failed"};
	return names[s];
}
