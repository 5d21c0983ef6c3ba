/* SPDX-License-Identifier: MIT */
/*
 * Transactions: the group commit.
 *
 * Knows that a commit is the only thing that makes anything durable. Refuses to try a commit or
 * sync again.
 */
#include "store/room.h"

enum store_status store_begin(struct store *s)
{
	if (s->health != STORE_OK)
		return s->health;
	if (s->txn != TXN_NONE)
		return store_fail(s, STORE_MISUSE, "a transaction within a transaction");
	enum store_status status = sql_run(s, s->statement[SQL_BEGIN], NULL);
	if (status != STORE_OK)
		return status;
	s->txn = TXN_OPEN;
	s->group_bytes = 0;
	return STORE_OK;
}

static enum store_status end_doomed(struct store *s)
{
	s->txn = TXN_NONE;
	return s->doom;
}

enum store_status store_commit(struct store *s)
{
	if (s->txn == TXN_NONE)
		return s->health != STORE_OK
			   ? s->health
			   : store_fail(s, STORE_MISUSE, "a commit without a transaction");
	enum store_status status = s->txn == TXN_OPEN ? counters_save(s) : STORE_OK;
	if (s->txn == TXN_OPEN && status == STORE_OK)
		status = sql_run(s, s->statement[SQL_COMMIT], NULL);
	if (s->txn == TXN_DOOMED)
		return end_doomed(s);
	if (status != STORE_OK) { /* counters or foreign keys: a defect, but never half */
		store_rollback(s);
		return status;
	}
	s->committed = s->now;
	s->txn = TXN_NONE;
	/* What the log holds is safe; moving it into the file may fail without harm to this commit.
	 */
	if (s->wal_pages >= WAL_HARD_PAGES)
		store_checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE);
	return STORE_OK;
}

void store_rollback(struct store *s)
{
	if (s->txn == TXN_OPEN)
		store_undo(s);
	s->now = s->committed;
	s->txn = TXN_NONE;
}
