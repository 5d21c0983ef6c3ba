-- SPDX-License-Identifier: MIT
-- From version 4 to 5: a sender is an origin and a reverse-path, no longer a reverse-path alone; when a
-- destination worked last; which handing over to a courier it was;
-- patterns of exceptions in normal form, and their second clock.

ALTER TABLE delivery ADD COLUMN take INTEGER NOT NULL DEFAULT 0;
ALTER TABLE destination ADD COLUMN worked INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER delivery_fixed;
UPDATE delivery SET sender =
	(SELECT old_sender(origin, reverse_path) FROM message WHERE message.id = delivery.message);
CREATE TRIGGER delivery_fixed BEFORE UPDATE OF id, message, destination, sender, arrived ON delivery BEGIN
	SELECT RAISE(ROLLBACK, 'a delivery does not change its message or destination');
END;

-- A pattern in another form than the normal one has never matched. One that demands more comes into force now,
-- over whatever it meets; one that allows less stays what it was, and is shown as such.
ALTER TABLE override RENAME TO old_override;
CREATE TABLE override (
	pattern TEXT PRIMARY KEY,
	policy TEXT NOT NULL,
	made INTEGER NOT NULL,
	expires INTEGER NOT NULL CHECK (expires > made),
	boot TEXT NOT NULL DEFAULT '',
	ends INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT OR REPLACE INTO override (pattern, policy, made, expires)
	SELECT iif(policy = 'dane-only', ifnull(normal_pattern(pattern), pattern), pattern), policy, made, expires
	FROM old_override ORDER BY policy = 'dane-only';
DROP TABLE old_override;

CREATE TABLE clock (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	boot TEXT NOT NULL,
	wall INTEGER NOT NULL,
	elapsed INTEGER NOT NULL
) STRICT;
