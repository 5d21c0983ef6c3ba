-- SPDX-License-Identifier: MIT
-- Version 1, where queues of the first releases begin to migrate: the states as rows and constraints. Times are milliseconds since 1970 UTC.
--
-- message      one mail as accepted: its envelope. Its text is in body. It goes away when no
--              recipient of it is pending (pending = 0), in the transaction that made it so.
-- delivery     one message at one next-hop domain: the unit of scheduling.
--              0 waiting  until due (or longer, while its destination backs off)
--              1 held     by an operator; nothing happens to it, it does not even expire
--              2 active   handed to a courier
--              3 done     no recipient is pending; goes away with the message
--              0 -> 1 2 3   1 -> 0 3   2 -> 0 3 (and 1: an operator's hold that waited)   3 -> nothing
-- recipient    0 pending -> 1 sent | 2 failed, final
-- destination  a next-hop domain: what all its deliveries share
--
-- dot_sent: the courier of an active delivery is about to send the final dot, and no reply is
-- recorded. in_doubt: a dot was sent once and its reply never came: possibly delivered.
--
-- Ids of messages and deliveries are never used twice (AUTOINCREMENT): a late result of a courier
-- must not hit another delivery.

CREATE TABLE totals (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	messages INTEGER NOT NULL DEFAULT 0 CHECK (messages >= 0),
	bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
	waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0),
	held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
	active INTEGER NOT NULL DEFAULT 0 CHECK (active >= 0),
	in_doubt INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt >= 0),
	recipients INTEGER NOT NULL DEFAULT 0 CHECK (recipients >= 0)
) STRICT;
INSERT INTO totals (one) VALUES (1);

CREATE TABLE message (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
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
	pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0)
) STRICT;
CREATE INDEX message_finished ON message (pending) WHERE pending = 0;

-- The text, in parts of 256 KiB, so that neither writing nor reading needs it in memory, and no read
-- walks a long chain of overflow pages. id = message * 4096 + part: one b-tree, no second index.
CREATE TABLE body (
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
	touched INTEGER NOT NULL DEFAULT 0, -- last news of it
	idle INTEGER AS (iif(waiting + held + active = 0, touched, NULL)) VIRTUAL
) STRICT;
CREATE INDEX destination_ready ON destination (ready) WHERE ready IS NOT NULL;
CREATE INDEX destination_idle ON destination (idle) WHERE idle IS NOT NULL;

CREATE TABLE delivery (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
	destination INTEGER NOT NULL REFERENCES destination (id),
	state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
	due INTEGER NOT NULL,
	arrived INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	warn INTEGER, -- when to warn the sender of the delay; NULL: never, or it was done
	alarm INTEGER AS (iif(state IN (1, 3), NULL, min(expires, ifnull(warn, expires)))) VIRTUAL,
	pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
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
	stuck TEXT AS (iif(state = 3, NULL, reason)) VIRTUAL,
	UNIQUE (message, destination),
	CHECK (dot_sent = 0 OR state = 2),
	CHECK (hold_wanted = 0 OR state = 2),
	CHECK (state <> 3 OR pending = 0)
) STRICT;
CREATE INDEX delivery_destination ON delivery (destination);
CREATE INDEX delivery_due ON delivery (destination, due) WHERE state = 0;
CREATE INDEX delivery_held ON delivery (state) WHERE state = 1;
CREATE INDEX delivery_active ON delivery (state) WHERE state = 2;
CREATE INDEX delivery_alarm ON delivery (alarm) WHERE alarm IS NOT NULL;
CREATE INDEX delivery_stuck ON delivery (stuck) WHERE stuck IS NOT NULL;

CREATE TABLE recipient (
	delivery INTEGER NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
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
	delivery INTEGER NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
	n INTEGER NOT NULL,
	at INTEGER NOT NULL,
	host TEXT,
	address TEXT,
	policy TEXT,
	reason TEXT NOT NULL,
	code TEXT,
	detail TEXT,
	tls TEXT,
	PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

-- An operator's policy for a while: NAME, or *.NAME for all names below it.
CREATE TABLE override (
	pattern TEXT PRIMARY KEY,
	policy TEXT NOT NULL,
	made INTEGER NOT NULL,
	expires INTEGER NOT NULL CHECK (expires > made)
) STRICT, WITHOUT ROWID;

CREATE TABLE reason_total (
	reason TEXT PRIMARY KEY,
	deliveries INTEGER NOT NULL CHECK (deliveries >= 0)
) STRICT, WITHOUT ROWID;

-- Counters ------------------------------------------------------------------------------------

CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
	UPDATE totals SET messages = messages + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER message_removed AFTER DELETE ON message BEGIN
	UPDATE totals SET messages = messages - 1, bytes = bytes - old.size;
	DELETE FROM body WHERE id BETWEEN old.id * 4096 AND old.id * 4096 + 4095;
END;
CREATE TRIGGER body_orphan BEFORE INSERT ON body BEGIN
	SELECT RAISE(ABORT, 'text without a message')
		WHERE NOT EXISTS (SELECT 1 FROM message WHERE id = new.id / 4096);
END;

CREATE TRIGGER recipient_added AFTER INSERT ON recipient BEGIN
	SELECT RAISE(ABORT, 'a recipient starts pending') WHERE new.state <> 0;
	UPDATE delivery SET pending = pending + 1 WHERE id = new.delivery;
	UPDATE message SET pending = pending + 1
		WHERE id = (SELECT message FROM delivery WHERE id = new.delivery);
	UPDATE totals SET recipients = recipients + 1;
END;
CREATE TRIGGER recipient_ended AFTER UPDATE OF state ON recipient WHEN old.state = 0 AND new.state <> 0 BEGIN
	UPDATE delivery SET pending = pending - 1 WHERE id = new.delivery;
	UPDATE message SET pending = pending - 1
		WHERE id = (SELECT message FROM delivery WHERE id = new.delivery);
	UPDATE totals SET recipients = recipients - 1;
END;
-- With its delivery or alone; the rows above it may be gone already.
CREATE TRIGGER recipient_removed AFTER DELETE ON recipient WHEN old.state = 0 BEGIN
	UPDATE delivery SET pending = pending - 1 WHERE id = old.delivery;
	UPDATE message SET pending = pending - 1
		WHERE id = (SELECT message FROM delivery WHERE id = old.delivery);
	UPDATE totals SET recipients = recipients - 1;
END;

CREATE TRIGGER delivery_added AFTER INSERT ON delivery BEGIN
	SELECT RAISE(ABORT, 'a delivery starts waiting') WHERE new.state <> 0;
	UPDATE totals SET waiting = waiting + 1;
	UPDATE destination SET waiting = waiting + 1, next_due = min(ifnull(next_due, new.due), new.due)
		WHERE id = new.destination;
END;
CREATE TRIGGER delivery_moved AFTER UPDATE OF state, due, in_doubt, dot_sent ON delivery BEGIN
	UPDATE totals SET
		waiting = waiting - (old.state = 0) + (new.state = 0),
		held = held - (old.state = 1) + (new.state = 1),
		active = active - (old.state = 2) + (new.state = 2),
		in_doubt = in_doubt - (old.state <> 3 AND (old.in_doubt OR old.dot_sent))
			+ (new.state <> 3 AND (new.in_doubt OR new.dot_sent));
END;
CREATE TRIGGER delivery_moved_there AFTER UPDATE OF state, due ON delivery BEGIN
	UPDATE destination SET
		waiting = waiting - (old.state = 0) + (new.state = 0),
		held = held - (old.state = 1) + (new.state = 1),
		active = active - (old.state = 2) + (new.state = 2),
		next_due = (SELECT due FROM delivery WHERE destination = new.destination AND state = 0
			ORDER BY due LIMIT 1)
		WHERE id = new.destination;
END;
CREATE TRIGGER delivery_removed AFTER DELETE ON delivery WHEN old.state <> 3 BEGIN
	UPDATE totals SET
		waiting = waiting - (old.state = 0),
		held = held - (old.state = 1),
		active = active - (old.state = 2),
		in_doubt = in_doubt - (old.in_doubt OR old.dot_sent);
	UPDATE destination SET
		waiting = waiting - (old.state = 0),
		held = held - (old.state = 1),
		active = active - (old.state = 2),
		next_due = (SELECT due FROM delivery WHERE destination = old.destination AND state = 0
			ORDER BY due LIMIT 1)
		WHERE id = old.destination;
	UPDATE reason_total SET deliveries = deliveries - 1 WHERE reason = old.stuck;
END;
CREATE TRIGGER delivery_reason AFTER UPDATE OF reason, state ON delivery WHEN old.stuck IS NOT new.stuck BEGIN
	UPDATE reason_total SET deliveries = deliveries - 1 WHERE reason = old.stuck;
	INSERT INTO reason_total (reason, deliveries) SELECT new.stuck, 1 WHERE new.stuck IS NOT NULL
		ON CONFLICT (reason) DO UPDATE SET deliveries = deliveries + 1;
END;

-- Steps that nobody may take --------------------------------------------------------------------

CREATE TRIGGER delivery_step BEFORE UPDATE OF state ON delivery WHEN old.state <> new.state BEGIN
	SELECT RAISE(ABORT, 'a delivery that is done stays done') WHERE old.state = 3;
	SELECT RAISE(ABORT, 'a held delivery is not active') WHERE old.state = 1 AND new.state = 2;
	SELECT RAISE(ABORT, 'nobody left to deliver to') WHERE new.state = 2 AND old.pending = 0;
END;
CREATE TRIGGER delivery_fixed BEFORE UPDATE OF id, message, destination, arrived ON delivery BEGIN
	SELECT RAISE(ABORT, 'a delivery does not change its message or destination');
END;
CREATE TRIGGER recipient_step BEFORE UPDATE OF state ON recipient BEGIN
	SELECT RAISE(ABORT, 'a recipient is sent or failed once') WHERE old.state <> 0 OR new.state = 0;
	SELECT RAISE(ABORT, 'a recipient of a delivery that nobody works at')
		WHERE (SELECT state FROM delivery WHERE id = old.delivery) = 3;
END;
CREATE TRIGGER recipient_fixed BEFORE UPDATE OF delivery, n, address ON recipient BEGIN
	SELECT RAISE(ABORT, 'a recipient does not change');
END;
CREATE TRIGGER message_fixed BEFORE UPDATE OF id, queue_id, arrived, reverse_path, size ON message BEGIN
	SELECT RAISE(ABORT, 'a message does not change');
END;
CREATE TRIGGER message_pending BEFORE DELETE ON message
	WHEN EXISTS (SELECT 1 FROM delivery WHERE message = old.id AND state = 2 AND pending > 0) BEGIN
	SELECT RAISE(ABORT, 'a courier works at this message');
END;
CREATE TRIGGER body_fixed BEFORE UPDATE ON body BEGIN
	SELECT RAISE(ABORT, 'a text does not change');
END;
