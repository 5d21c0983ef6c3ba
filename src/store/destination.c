/* SPDX-License-Identifier: MIT */
/*
 * Destinations: what all deliveries to one next hop share, and operators' policies for them.
 *
 * Knows how a pattern matches a name. Refuses to know what a policy means and how long to back
 * off.
 */
#include "store/room.h"

#include "wire/destination.h"

void destination_row(sqlite3_stmt *st, struct arena *mem, struct store_destination *out)
{
	*out = (struct store_destination){
	    .id = sqlite3_column_int64(st, 0),
	    .name = sql_text_column(st, 1, mem),
	    .waiting = (uint64_t)sqlite3_column_int64(st, 2),
	    .held = (uint64_t)sqlite3_column_int64(st, 3),
	    .active = (uint64_t)sqlite3_column_int64(st, 4),
	    .ready = sqlite3_column_int64(st, 5),
	    .backoff_until = sqlite3_column_int64(st, 6),
	    .failures = (uint32_t)sqlite3_column_int64(st, 7),
	    .reason = sql_text_column(st, 8, mem),
	    .code = sql_text_column(st, 9, mem),
	    .text = sql_text_column(st, 10, mem),
	    .worked = sqlite3_column_int64(st, 11),
	};
}

enum store_status store_destination(struct store *s, const char *name, struct arena *mem,
				    struct store_destination *out)
{
	sqlite3_stmt *st = sql_bind(s, SQL_DESTINATION, "t", name);
	bool row;
	enum store_status status = sql_step(s, st, &row);
	if (status != STORE_OK)
		return status;
	if (!row)
		return store_fail(s, STORE_NOT_FOUND, "nothing is known of %s", name);
	destination_row(st, mem, out);
	sql_end(st);
	return arena_status(s, mem);
}

enum store_status store_back_off(struct store *s, int64_t destination, int64_t now, int64_t until,
				 const char *reason, const char *code, const char *text)
{
	char scratch[STORE_TEXT_MAX + 1];
	int changed;
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	status = sql_run(s,
			 sql_bind(s, SQL_BACK_OFF, "iiittt", destination, now, until, reason, code,
				  cut_text(text, scratch)),
			 &changed);
	if (status != STORE_OK || changed == 1)
		return status;
	return store_fail(s, STORE_NOT_FOUND, "no destination %lld", (long long)destination);
}

enum store_status store_hasten(struct store *s, int64_t destination, int64_t now, int64_t since,
			       size_t max, const char *but)
{
	int changed = 0;
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	status =
	    sql_run(s, sql_bind(s, SQL_HASTEN, "iiiti", destination, now, (int64_t)max, but, since),
		    &changed);
	if (status != STORE_OK || changed == 0)
		return status;
	return delivery_moved(s, destination, STORE_DONE, STORE_DONE); /* but for the times */
}

enum store_status store_works(struct store *s, int64_t destination, int64_t now)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	return sql_run(s, sql_bind(s, SQL_WORKS, "ii", destination, now), NULL);
}

/* --- overrides ------------------------------------------------------------------------------- */

enum store_status store_override_set(struct store *s, const struct store_override *o)
{
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	if (!destination_is_normal_pattern(slice_str(o->pattern)) ||
	    !text_fits(o->policy, STORE_NAME_MAX) || !text_fits(o->boot, STORE_BOOT_MAX) ||
	    o->expires <= o->made)
		return store_fail(s, STORE_LIMIT, "a bad override");
	return sql_run(s,
		       sql_bind(s, SQL_SET_OVERRIDE, "ttiiti", o->pattern, o->policy, o->made,
				o->expires, o->boot ? o->boot : "", o->ends),
		       NULL);
}

enum store_status store_override_clear(struct store *s, const char *pattern)
{
	int changed;
	enum store_status status = store_may_write(s);
	if (status != STORE_OK)
		return status;
	status = sql_run(s, sql_bind(s, SQL_CLEAR_OVERRIDE, "t", pattern), &changed);
	if (status != STORE_OK || changed == 1)
		return status;
	return store_fail(s, STORE_NOT_FOUND, "no override for %s", pattern);
}

static void override_row(sqlite3_stmt *st, struct arena *mem, struct store_override *out)
{
	*out = (struct store_override){
	    .pattern = sql_text_column(st, 0, mem),
	    .policy = sql_text_column(st, 1, mem),
	    .made = sqlite3_column_int64(st, 2),
	    .expires = sqlite3_column_int64(st, 3),
	    .boot = sql_text_column(st, 4, mem),
	    .ends = sqlite3_column_int64(st, 5),
	};
}

struct override_query {
	store_override_fn *holds;
	void *arg;
	struct arena *mem;
};

/* NOT_FOUND without words. */
static enum store_status find_pattern(struct store *s, const char *pattern,
				      const struct override_query *q, struct store_override *out)
{
	sqlite3_stmt *st = sql_bind(s, SQL_OVERRIDE, "t", pattern);
	bool row;
	enum store_status status = sql_step(s, st, &row);
	if (!row)
		return status == STORE_OK ? STORE_NOT_FOUND : status;
	override_row(st, q->mem, out);
	sql_end(st);
	status = arena_status(s, q->mem);
	return status == STORE_OK && !q->holds(q->arg, out) ? STORE_NOT_FOUND : status;
}

/* The name itself, then *.PARENT from the longest parent on. */
enum store_status store_override_find(struct store *s, const char *next_hop,
				      store_override_fn *holds, void *arg, struct arena *mem,
				      struct store_override *out)
{
	const struct override_query q = {holds, arg, mem};
	enum store_status status = find_pattern(s, next_hop, &q, out);
	const char *dot = next_hop[0] == '[' ? NULL : strchr(next_hop, '.');
	for (; dot && status == STORE_NOT_FOUND; dot = strchr(dot + 1, '.')) {
		char pattern[STORE_NAME_MAX + 2];
		snprintf(pattern, sizeof pattern, "*%s", dot);
		status = find_pattern(s, pattern, &q, out);
	}
	return status;
}

enum store_status store_overrides(struct store *s, const char *after, size_t max, struct arena *mem,
				  struct store_override *out, size_t *n)
{
	sqlite3_stmt *st = sql_bind(s, SQL_OVERRIDES, "ti", after ? after : "", (int64_t)max);
	*n = 0;
	for (;;) {
		bool row;
		enum store_status status = sql_step(s, st, &row);
		if (!row)
			return status == STORE_OK ? arena_status(s, mem) : status;
		override_row(st, mem, &out[(*n)++]);
	}
}
