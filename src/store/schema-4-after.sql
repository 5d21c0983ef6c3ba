-- SPDX-License-Identifier: MIT
-- From version 3 to 4, last part: the rows. Children go first, so that no row is left without its
-- parent at any time.

INSERT INTO message (id, queue_id, arrived, expires, reverse_path, envid, ret, origin, size, eight_bit,
	smtputf8, pending)
	SELECT id, queue_id, arrived, expires, reverse_path, envid, ret, origin, size, eight_bit, smtputf8, pending
	FROM old_message;
INSERT INTO destination (id, name, waiting, held, active, next_due, backoff_until, failures, reason, code, text,
	touched)
	SELECT id, name, waiting, held, active, next_due, backoff_until, failures, reason, code, text, touched
	FROM old_destination;
INSERT INTO delivery (id, message, destination, sender, state, due, arrived, expires, warn, pending, attempts,
	tries, last_attempt, hold_wanted, dot_sent, in_doubt, reason, code, detail, host)
	SELECT id, message, destination, sender, state, due, arrived, expires, warn, pending, attempts, tries,
	last_attempt, hold_wanted, dot_sent, in_doubt, reason, code, detail, host
	FROM old_delivery;
INSERT INTO recipient (delivery, n, address, orcpt, notify, state, reason, code, reply, host)
	SELECT delivery, n, address, orcpt, notify, state, reason, code, reply, host FROM old_recipient;
INSERT INTO try (delivery, n, at, host, address, policy, reason, code, detail, tls, continuity)
	SELECT delivery, n, at, host, address, policy, reason, code, detail, tls, continuity FROM old_try;
UPDATE totals SET (messages, bytes, waiting, held, active, recipients) =
	(SELECT messages, bytes, waiting, held, active, recipients FROM old_totals),
	last_message = ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'old_message'), 0),
	last_delivery = ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'old_delivery'), 0);

DROP TABLE old_try;
DROP TABLE old_recipient;
DROP TABLE old_delivery;
DROP TABLE old_message;
DROP TABLE old_destination;
DROP TABLE old_totals;
