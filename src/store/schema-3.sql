-- SPDX-License-Identifier: MIT
-- From version 2 to 3: records of the audit on their way to its own file (audit.h), and the
-- continuity of what a host presented in each try.
--
-- outbox      rows wait here from the transaction of what they are about until they are moved
-- audit_head  which queue this is, how far its outbox was moved, the last record of the audit file

CREATE TABLE outbox (
	id INTEGER PRIMARY KEY CHECK (id > 0),
	at INTEGER NOT NULL,
	body BLOB NOT NULL CHECK (length(body) BETWEEN 2 AND 131072) -- a record, or evidence
) STRICT;

CREATE TABLE audit_head (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	queue BLOB NOT NULL CHECK (length(queue) = 16),
	moved INTEGER NOT NULL DEFAULT 0 CHECK (moved >= 0),
	n INTEGER NOT NULL DEFAULT 0 CHECK (n >= 0),
	hash BLOB NOT NULL DEFAULT (zeroblob(32)) CHECK (length(hash) = 32)
) STRICT;
INSERT INTO audit_head (one, queue) VALUES (1, randomblob(16));

CREATE TRIGGER outbox_fixed BEFORE UPDATE ON outbox BEGIN
	SELECT RAISE(ABORT, 'a record does not change');
END;

ALTER TABLE try ADD COLUMN continuity TEXT;
