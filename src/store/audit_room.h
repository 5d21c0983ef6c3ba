/* SPDX-License-Identifier: MIT */
/* store, inside: what the files of the audit share. */
#ifndef STORE_AUDIT_ROOM_H
#define STORE_AUDIT_ROOM_H

#include "store/audit.h"
#include "store/room.h"

enum {
	AUDIT_SCHEMA_VERSION = 1,
	AUDIT_APPLICATION_ID = 0x444c5741, /* "DLWA", in the file's header */
	AUDIT_BUSY_MS = 100,               /* a reader holds the file for one page */
};

enum audit_sql {
#define STATEMENT(id, text) AUDIT_SQL_##id,
#include "store/audit_statements.tbl"
#undef STATEMENT
	AUDIT_SQL_COUNT
};
const char *audit_sql_text(enum audit_sql id);

struct store_audit {
	struct store db; /* connection, transaction, errors; of its statements it has none */
	sqlite3_stmt *statement[AUDIT_SQL_COUNT];
};

#endif
