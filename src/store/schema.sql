-- SPDX-License-Identifier: MIT
-- The queue, version 5: its states as rows and constraints. Times are milliseconds since 1970 UTC.
--
-- message      one mail as accepted: its envelope. Its text is in body. It goes away, with all its
--              rows, in the transaction that ends its last pending recipient.
-- delivery     one message at one next-hop domain: the unit of scheduling.
--              0 waiting  until due (or longer, while its destination backs off)
--              1 held     by an operator; nothing happens to it, it does not even expire
--              2 active   handed to a courier
--              3 done     no recipient is pending; goes away with the message
--              0 -> 1 2 3   1 -> 0 3   2 -> 0 3 (and 1: an operator's hold that waited)   3 -> nothing
-- recipient    0 pending -> 1 sent | 2 failed, final
-- destination  a next-hop domain: what all its deliveries share
-- outbox       records of the audit on their way to its own file (audit.h): from the transaction
--              of what they are about until they are moved
-- audit_head   which queue this is, how far its outbox was moved, the audit file's last record
--
-- dot_sent: the courier of an active delivery is about to send the final dot, and no reply is
-- recorded. in_doubt: a dot was sent once and its reply never came: possibly delivered.
--
-- delivery.sender: an origin and a reverse-path in it (wire/origin.h). destination.worked: when it took
-- something, to the hour. Both as the migration from version 4 leaves them, comments included.
-- delivery.take: number of the last handing over to a courier, drawn, as good as never that of another one:
-- what a courier that outlives a keeper claims.
--
-- Ids of messages and deliveries are never used twice (totals has the last ones): a late result of
-- a courier must not hit another delivery.
--
-- Every index is written twice in the life of a row, and a statement that may have to be undone alone
-- (RAISE(ABORT), or a function or constraint beside a trigger) makes SQLite copy each page that it
-- touches. So the counters are kept by counters.c, not by triggers, and what is forbidden here (RAISE(ROLLBACK),
-- OR ROLLBACK in the statements, foreign keys when it commits) undoes the transaction as a whole:
-- the program never asks for it.
--
-- "IF NOT EXISTS": what a migration leaves where it is.

CREATE TABLE totals (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	messages INTEGER NOT NULL DEFAULT 0 CHECK (messages >= 0),
	bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
	waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0),
	held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
	active INTEGER NOT NULL DEFAULT 0 CHECK (active >= 0),
	recipients INTEGER NOT NULL DEFAULT 0 CHECK (recipients >= 0), -- pending
	last_message INTEGER NOT NULL DEFAULT 0,
	last_delivery INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO totals (one) VALUES (1);

CREATE TABLE message (
	id INTEGER PRIMARY KEY,
	queue_id TEXT NOT NULL UNIQUE CHECK (length(queue_id) BETWEEN 1 AND 64),
	arrived INTEGER NOT NULL,
	expires INTEGER NOT NULL CHECK (expires >= arrived),
	reverse_path TEXT NOT NULL,
	envid TEXT,
	ret TEXT CHECK (ret IN ('FULL', 'HDRS')),
	origin TEXT NOT NULL,
	size INTEGER NOT NULL CHECK (size BETWEEN 0 AND 1073741824),
	eight_bit INTEGER NOT NULL CHECK (eight_bit IN (0, 1)),
	smtputf8 INTEGER NOT NULL CHECK (smtputf8 IN (0, 1)),
	pending INTEGER NOT NULL CHECK (pending > 0)
) STRICT;

-- The text, in parts of 256 KiB, so that neither writing nor reading needs it in memory, and no read
-- walks a long chain of overflow pages. id = message * 4096 + part: one b-tree, no second index.
CREATE TABLE IF NOT EXISTS body (
	id INTEGER PRIMARY KEY,
	part BLOB NOT NULL CHECK (length(part) BETWEEN 1 AND 262144)
) STRICT;

CREATE TABLE destination (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255),
	waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0),
	held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
	active INTEGER NOT NULL DEFAULT 0 CHECK (active >= 0),
	next_due INTEGER, -- of its waiting deliveries; NULL: there are none
	backoff_until INTEGER NOT NULL DEFAULT 0,
	ready INTEGER AS (max(next_due, backoff_until)) VIRTUAL,
	failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0), -- consecutive
	reason TEXT,
	code TEXT,
	text TEXT,
	touched INTEGER NOT NULL DEFAULT 0 -- last news of it
, worked INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX destination_ready ON destination (ready) WHERE ready IS NOT NULL;

CREATE TABLE delivery (
	id INTEGER PRIMARY KEY,
	message INTEGER NOT NULL REFERENCES message (id) DEFERRABLE INITIALLY DEFERRED,
	destination INTEGER NOT NULL REFERENCES destination (id) DEFERRABLE INITIALLY DEFERRED,
	sender INTEGER NOT NULL, -- sender_key() of the reverse-path: whose turn it is
	state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
	due INTEGER NOT NULL,
	arrived INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	warn INTEGER, -- when to warn the sender of the delay; NULL: never, or it was done
	alarm INTEGER AS (iif(state = 0, iif(warn < expires, warn, expires), NULL)) VIRTUAL,
	pending INTEGER NOT NULL CHECK (pending >= 0),
	attempts INTEGER NOT NULL DEFAULT 0,
	tries INTEGER NOT NULL DEFAULT 0, -- number of the last row in try
	last_attempt INTEGER,
	hold_wanted INTEGER NOT NULL DEFAULT 0 CHECK (hold_wanted IN (0, 1)),
	dot_sent INTEGER NOT NULL DEFAULT 0 CHECK (dot_sent IN (0, 1)),
	in_doubt INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)),
	reason TEXT, -- of the last attempt that did not end it
	code TEXT,
	detail TEXT,
	host TEXT,
	stuck TEXT AS (iif(state = 3, NULL, reason)) VIRTUAL, take INTEGER NOT NULL DEFAULT 0,
	UNIQUE (message, destination),
	CHECK (dot_sent = 0 OR state = 2),
	CHECK (hold_wanted = 0 OR state = 2),
	CHECK ((state = 3) = (pending = 0))
) STRICT;
CREATE INDEX delivery_destination ON delivery (destination);
CREATE INDEX delivery_due ON delivery (destination, due) WHERE state = 0;
CREATE INDEX delivery_sender ON delivery (destination, sender, due) WHERE state = 0;
CREATE INDEX delivery_held ON delivery (state) WHERE state = 1;
CREATE INDEX delivery_active ON delivery (state) WHERE state = 2;
CREATE INDEX delivery_doubt ON delivery (in_doubt) WHERE in_doubt = 1;
CREATE INDEX delivery_alarm ON delivery (alarm) WHERE alarm IS NOT NULL;
CREATE INDEX delivery_stuck ON delivery (stuck) WHERE stuck IS NOT NULL;

CREATE TABLE recipient (
	delivery INTEGER NOT NULL REFERENCES delivery (id) DEFERRABLE INITIALLY DEFERRED,
	n INTEGER NOT NULL, -- from 0, in the order given
	address TEXT NOT NULL,
	orcpt TEXT,
	notify TEXT,
	state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
	reason TEXT,
	code TEXT,
	reply TEXT,
	host TEXT,
	PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

-- The newest connections and skipped hosts of a delivery ("why").
CREATE TABLE try (
	delivery INTEGER NOT NULL REFERENCES delivery (id) DEFERRABLE INITIALLY DEFERRED,
	n INTEGER NOT NULL,
	at INTEGER NOT NULL,
	host TEXT,
	address TEXT,
	policy TEXT,
	reason TEXT NOT NULL,
	code TEXT,
	detail TEXT,
	tls TEXT,
	continuity TEXT, -- of what the host presented
	PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

-- An operator's policy for a while: NAME, or *.NAME for all names below it. It ends by two clocks: the wall
-- clock, and the time since the start `boot` of the machine (dane/exception.h).
CREATE TABLE IF NOT EXISTS override (
	pattern TEXT PRIMARY KEY,
	policy TEXT NOT NULL,
	made INTEGER NOT NULL,
	expires INTEGER NOT NULL CHECK (expires > made),
	boot TEXT NOT NULL DEFAULT '',
	ends INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Both clocks as they were when the times in here were last set right: whoever finds them further apart knows
-- how far the wall clock has moved since, also across restarts of the program.
CREATE TABLE IF NOT EXISTS clock (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	boot TEXT NOT NULL,
	wall INTEGER NOT NULL,
	elapsed INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS reason_total (
	reason TEXT PRIMARY KEY,
	deliveries INTEGER NOT NULL CHECK (deliveries >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
	id INTEGER PRIMARY KEY CHECK (id > 0),
	at INTEGER NOT NULL,
	body BLOB NOT NULL CHECK (length(body) BETWEEN 2 AND 131072) -- a record, or evidence
) STRICT;

CREATE TABLE IF NOT EXISTS audit_head (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	queue BLOB NOT NULL CHECK (length(queue) = 16),
	moved INTEGER NOT NULL DEFAULT 0 CHECK (moved >= 0),
	n INTEGER NOT NULL DEFAULT 0 CHECK (n >= 0),
	hash BLOB NOT NULL DEFAULT (zeroblob(32)) CHECK (length(hash) = 32)
) STRICT;
INSERT OR IGNORE INTO audit_head (one, queue) VALUES (1, randomblob(16));

-- Steps that nobody may take --------------------------------------------------------------------

CREATE TRIGGER delivery_step BEFORE UPDATE OF state ON delivery WHEN old.state <> new.state BEGIN
	SELECT RAISE(ROLLBACK, 'a delivery that is done stays done') WHERE old.state = 3;
	SELECT RAISE(ROLLBACK, 'a held delivery is not active') WHERE old.state = 1 AND new.state = 2;
END;
CREATE TRIGGER delivery_fixed BEFORE UPDATE OF id, message, destination, sender, arrived ON delivery BEGIN
	SELECT RAISE(ROLLBACK, 'a delivery does not change its message or destination');
END;
CREATE TRIGGER recipient_step BEFORE UPDATE OF state ON recipient BEGIN
	SELECT RAISE(ROLLBACK, 'a recipient is sent or failed once') WHERE old.state <> 0 OR new.state = 0;
	SELECT RAISE(ROLLBACK, 'a recipient of a delivery that nobody works at')
		WHERE (SELECT state FROM delivery WHERE id = old.delivery) = 3;
END;
CREATE TRIGGER recipient_fixed BEFORE UPDATE OF delivery, n, address ON recipient BEGIN
	SELECT RAISE(ROLLBACK, 'a recipient does not change');
END;
CREATE TRIGGER message_fixed BEFORE UPDATE OF id, queue_id, arrived, reverse_path, size ON message BEGIN
	SELECT RAISE(ROLLBACK, 'a message does not change');
END;
CREATE TRIGGER body_fixed BEFORE UPDATE ON body BEGIN
	SELECT RAISE(ROLLBACK, 'a text does not change');
END;
CREATE TRIGGER outbox_fixed BEFORE UPDATE ON outbox BEGIN
	SELECT RAISE(ROLLBACK, 'a record does not change');
END;
