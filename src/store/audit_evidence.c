/* SPDX-License-Identifier: MIT */
/*
 * Evidence in the audit file.
 *
 * Knows rows. Refuses to know what an RRset is and how hashes are made.
 */
#include "store/audit_room.h"

#define BIND(a, id, ...) sql_bind_statement(&(a)->db, (a)->statement[AUDIT_SQL_##id], __VA_ARGS__)

enum store_status store_audit_evidence_add(struct store_audit *a, const struct evidence *e,
					   const uint8_t (*hash)[AUDIT_DIGEST], uint64_t last)
{
	struct slice id = slice_make(e->id, AUDIT_DIGEST);
	enum store_status status = store_may_write(&a->db);
	if (status == STORE_OK)
		status =
		    sql_run(&a->db,
			    BIND(a, EVIDENCE_ADD, "biiittti", id, e->time, (int64_t)e->mx,
				 (int64_t)e->port, e->destination, e->host, e->base, (int64_t)last),
			    NULL);
	for (size_t i = 0; i < e->nrrset && status == STORE_OK; i++) {
		struct slice h = slice_make(hash[i], AUDIT_DIGEST);
		status = sql_run(&a->db, BIND(a, RRSET_ADD, "bb", h, e->rrset[i]), NULL);
		if (status == STORE_OK)
			status = sql_run(&a->db, BIND(a, EVIDENCE_RRSET, "bib", id, (int64_t)i, h),
					 NULL);
	}
	return status;
}

enum store_status store_audit_evidence_used(struct store_audit *a, const uint8_t id[AUDIT_DIGEST],
					    uint64_t n)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(
	    &a->db, BIND(a, EVIDENCE_USED, "bi", slice_make(id, AUDIT_DIGEST), (int64_t)n), NULL);
}

static enum store_status read_rrsets(struct store_audit *a, const uint8_t id[AUDIT_DIGEST],
				     struct arena *mem, struct evidence *out)
{
	sqlite3_stmt *st = BIND(a, EVIDENCE_RRSETS, "b", slice_make(id, AUDIT_DIGEST));
	bool row;
	enum store_status status;
	while ((status = sql_step(&a->db, st, &row)) == STORE_OK && row) {
		if (out->nrrset == EVIDENCE_RRSETS_MAX ||
		    sqlite3_column_int64(st, 1) != (int64_t)out->nrrset) {
			sql_end(st);
			return store_fail(&a->db, STORE_CORRUPT,
					  "evidence with too many RRsets, or with a gap");
		}
		out->rrset[out->nrrset++] = sql_blob_column(st, 0, mem);
	}
	return status;
}

enum store_status store_audit_evidence(struct store_audit *a, const uint8_t id[AUDIT_DIGEST],
				       struct arena *mem, struct evidence *out)
{
	sqlite3_stmt *st = BIND(a, EVIDENCE, "b", slice_make(id, AUDIT_DIGEST));
	bool row;
	*out = (struct evidence){0};
	enum store_status status = sql_step(&a->db, st, &row);
	if (status != STORE_OK || !row)
		return status != STORE_OK ? status : STORE_NOT_FOUND;
	int64_t mx = sqlite3_column_int64(st, 1);
	*out = (struct evidence){.time = sqlite3_column_int64(st, 0),
				 .port = (uint16_t)sqlite3_column_int64(st, 2),
				 .destination = sql_text_column(st, 3, mem),
				 .host = sql_text_column(st, 4, mem),
				 .base = sql_text_column(st, 5, mem)};
	sql_end(st);
	if (mx < 0 || mx >= EVIDENCE_MX_COUNT)
		return store_fail(&a->db, STORE_CORRUPT, "evidence of an unknown kind");
	out->mx = (enum evidence_mx)mx;
	status = read_rrsets(a, id, mem, out);
	return status == STORE_OK ? arena_status(&a->db, mem) : status;
}

enum store_status store_audit_evidence_next(struct store_audit *a, uint8_t id[AUDIT_DIGEST])
{
	bool row;
	sqlite3_stmt *st = BIND(a, EVIDENCE_NEXT, "b", slice_make(id, AUDIT_DIGEST));
	enum store_status status = sql_step(&a->db, st, &row);
	if (status != STORE_OK || !row)
		return status != STORE_OK ? status : STORE_NOT_FOUND;
	sql_octets_column(st, 0, id, AUDIT_DIGEST);
	sql_end(st);
	return STORE_OK;
}

enum store_status store_audit_evidence_forget(struct store_audit *a, size_t max)
{
	enum store_status status = store_may_write(&a->db);
	if (status != STORE_OK)
		return status;
	return sql_run(&a->db, BIND(a, EVIDENCE_FORGET, "i", (int64_t)max), NULL);
}
