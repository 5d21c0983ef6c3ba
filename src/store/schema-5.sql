-- SPDX-License-Identifier: MIT
-- From version 4 to 5: a sender is an origin and a reverse-path, no longer a reverse-path alone; when a
-- destination worked last; which handing over to a courier it was.

ALTER TABLE delivery ADD COLUMN take INTEGER NOT NULL DEFAULT 0;
ALTER TABLE destination ADD COLUMN worked INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER delivery_fixed;
UPDATE delivery SET sender =
	(SELECT old_sender(origin, reverse_path) FROM message WHERE message.id = delivery.message);
CREATE TRIGGER delivery_fixed BEFORE UPDATE OF id, message, destination, sender, arrived ON delivery BEGIN
	SELECT RAISE(ROLLBACK, 'a delivery does not change its message or destination');
END;
