/* SPDX-License-Identifier: MIT */
/*
 * What an attempt came to.
 *
 * Knows how recipients and tries become rows, and that a message whose last recipient has ended
 * leaves no rows at all. Refuses to know what a reason means for the mail: the caller has decided.
 */
#include "store/room.h"

struct progress {
	enum store_delivery_state state;
	int64_t tries, destination;
	bool hold_wanted;
	char stuck[STORE_NAME_MAX + 1]; /* reason of the attempt before; "": none */
	struct store_recorded recorded; /* pending: before the result */
};

static enum store_status load_progress(struct store *s, int64_t delivery, struct progress *p)
{
	sqlite3_stmt *st;
	enum store_status status = delivery_statement(s, SQL_PROGRESS, delivery, &st);
	if (status != STORE_OK)
		return status;
	const char *stuck = (const char *)sqlite3_column_text(st, 7);
	if (sql_column_lost(st, 7, stuck)) {
		sql_end(st);
		return store_fail(s, STORE_NO_MEMORY, "out of memory");
	}
	p->state = (enum store_delivery_state)sqlite3_column_int(st, 0);
	p->tries = sqlite3_column_int64(st, 1);
	p->destination = sqlite3_column_int64(st, 5);
	p->hold_wanted = sqlite3_column_int(st, 6) != 0;
	snprintf(p->stuck, sizeof p->stuck, "%s", stuck ? stuck : "");
	p->recorded = (struct store_recorded){
	    .message = sqlite3_column_int64(st, 2),
	    .state = p->state,
	    .delivery_pending = (uint32_t)sqlite3_column_int64(st, 3),
	    .message_pending = (uint32_t)sqlite3_column_int64(st, 4),
	};
	sql_end(st);
	return STORE_OK;
}

/* `gone`: with all others of its message, so that only its being there counts. */
static enum store_status record_rcpt(struct store *s, int64_t delivery,
				     const struct store_rcpt_result *r, bool gone)
{
	char scratch[STORE_TEXT_MAX + 1];
	const char *reply = cut_text(r->reply, scratch);
	sqlite3_stmt *st;
	if (gone)
		st = sql_bind(s, SQL_REMOVE_RCPT, "ii", delivery, (int64_t)r->n);
	else if (r->state == STORE_PENDING)
		st = sql_bind(s, SQL_DEFER_RCPT, "iitttt", delivery, (int64_t)r->n, r->reason,
			      r->code, reply, r->host);
	else
		st = sql_bind(s, SQL_END_RCPT, "iiitttt", delivery, (int64_t)r->n,
			      (int64_t)r->state, r->reason, r->code, reply, r->host);
	int changed;
	enum store_status status = sql_run(s, st, &changed);
	if (status != STORE_OK || changed == 1)
		return status;
	return store_fail(s, STORE_NOT_FOUND, "delivery %lld has no pending recipient %u",
			  (long long)delivery, r->n);
}

static enum store_status record_try(struct store *s, int64_t delivery, int64_t n,
				    const struct store_try *t)
{
	char detail[STORE_TEXT_MAX + 1], tls[STORE_TEXT_MAX + 1];
	return sql_run(s,
		       sql_bind(s, SQL_ADD_TRY, "iiitttttttt", delivery, n, t->at, t->host,
				t->address, t->policy, t->reason, t->code,
				cut_text(t->detail, detail), cut_text(t->tls, tls), t->continuity),
		       NULL);
}

/* Appends; what is over the bound falls off at the old end. */
static enum store_status record_tries(struct store *s, const struct store_result *r, int64_t *last)
{
	size_t skip = r->ntries > STORE_TRIES_MAX ? r->ntries - STORE_TRIES_MAX : 0;
	enum store_status status = STORE_OK;
	for (size_t i = skip; i < r->ntries && status == STORE_OK; i++)
		status = record_try(s, r->delivery, ++*last, &r->tries[i]);
	if (status != STORE_OK || r->ntries == 0 || *last <= STORE_TRIES_MAX)
		return status;
	return sql_run(s, sql_bind(s, SQL_FORGET_TRIES, "ii", r->delivery, *last - STORE_TRIES_MAX),
		       NULL);
}

/* What the result leaves of the delivery. */
static enum store_status end_attempt(struct store *s, const struct store_result *r,
				     struct progress *p, uint32_t ended)
{
	char detail[STORE_TEXT_MAX + 1];
	struct store_recorded *left = &p->recorded;
	left->delivery_pending -= ended;
	left->message_pending -= ended;
	left->state = left->delivery_pending == 0 ? STORE_DONE
		      : p->hold_wanted            ? STORE_HELD
						  : STORE_WAITING;
	enum store_status status = sql_run(
	    s,
	    sql_bind(s, SQL_END_ATTEMPT, "iiiittttiii", r->delivery, (int64_t)r->unknown, r->due,
		     p->tries, r->reason, r->code, cut_text(r->detail, detail), r->host,
		     (int64_t)left->state, (int64_t)left->delivery_pending, (int64_t)r->uncounted),
	    NULL);
	if (status == STORE_OK && ended > 0)
		status = sql_run(
		    s, sql_bind(s, SQL_MESSAGE_PENDING, "ii", left->message, (int64_t)ended), NULL);
	if (status == STORE_OK)
		status = delivery_moved(s, p->destination, STORE_ACTIVE, left->state);
	if (status == STORE_OK)
		status = delivery_stuck(s, p->stuck[0] ? p->stuck : NULL,
					left->state == STORE_DONE ? NULL : r->reason);
	return status;
}

static enum store_status record_all(struct store *s, const struct store_result *r,
				    struct progress *p)
{
	uint32_t ended = 0;
	for (size_t i = 0; i < r->nrcpt; i++)
		ended += r->rcpt[i].state != STORE_PENDING;
	bool gone = ended == p->recorded.message_pending;
	enum store_status status = STORE_OK;
	for (size_t i = 0; i < r->nrcpt && status == STORE_OK; i++)
		status = record_rcpt(s, r->delivery, &r->rcpt[i], gone);
	if (status != STORE_OK)
		return status;
	s->now.recipients -= ended;
	if (gone) {
		p->recorded = (struct store_recorded){p->recorded.message, STORE_DONE, 0, 0};
		return remove_message(s, p->recorded.message);
	}
	status = record_tries(s, r, &p->tries);
	return status == STORE_OK ? end_attempt(s, r, p, ended) : status;
}

static bool result_fits(const struct store_result *r)
{
	bool fits = text_fits(r->reason, STORE_NAME_MAX) && text_fits(r->code, STORE_NAME_MAX) &&
		    text_fits(r->host, STORE_NAME_MAX);
	for (size_t i = 0; i < r->nrcpt; i++)
		fits = fits && text_fits(r->rcpt[i].reason, STORE_NAME_MAX) &&
		       text_fits(r->rcpt[i].code, STORE_NAME_MAX) &&
		       text_fits(r->rcpt[i].host, STORE_NAME_MAX);
	for (size_t i = 0; i < r->ntries; i++)
		fits = fits && r->tries[i].reason &&
		       text_fits(r->tries[i].reason, STORE_NAME_MAX) &&
		       text_fits(r->tries[i].code, STORE_NAME_MAX) &&
		       text_fits(r->tries[i].host, STORE_NAME_MAX) &&
		       text_fits(r->tries[i].address, STORE_NAME_MAX) &&
		       text_fits(r->tries[i].policy, STORE_NAME_MAX) &&
		       text_fits(r->tries[i].continuity, STORE_NAME_MAX);
	return fits;
}

enum store_status store_record(struct store *s, const struct store_result *r,
			       struct store_recorded *out)
{
	struct progress p = {0};
	enum store_status status = store_may_write(s);
	if (status == STORE_OK)
		status = load_progress(s, r->delivery, &p);
	if (status != STORE_OK)
		return status;
	if (p.state != STORE_ACTIVE)
		return store_fail(s, STORE_STATE, "delivery %lld is %s: it has no result",
				  (long long)r->delivery, store_delivery_state_name(p.state));
	if (!result_fits(r))
		return store_fail(s, STORE_LIMIT, "a name or code of the result is over a limit");
	if (r->nrcpt <= 1) /* the first change is the only one that may be refused */
		status = record_all(s, r, &p);
	else if ((status = store_step_begin(s)) == STORE_OK)
		status = store_step_end(s, record_all(s, r, &p));
	if (status == STORE_OK)
		*out = p.recorded;
	return status;
}
