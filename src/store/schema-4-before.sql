-- SPDX-License-Identifier: MIT
-- From version 3 to 4, first part: out of the way of schema.sql. Texts, records and policies stay
-- where they are; the other rows are copied by the second part.

DROP TRIGGER message_added;
DROP TRIGGER message_removed;
DROP TRIGGER message_fixed;
DROP TRIGGER message_pending;
DROP TRIGGER body_orphan;
DROP TRIGGER body_fixed;
DROP TRIGGER recipient_added;
DROP TRIGGER recipient_ended;
DROP TRIGGER recipient_removed;
DROP TRIGGER recipient_step;
DROP TRIGGER recipient_fixed;
DROP TRIGGER delivery_added;
DROP TRIGGER delivery_moved;
DROP TRIGGER delivery_moved_there;
DROP TRIGGER delivery_removed;
DROP TRIGGER delivery_reason;
DROP TRIGGER delivery_step;
DROP TRIGGER delivery_fixed;
DROP TRIGGER outbox_fixed;

DROP INDEX message_finished;
DROP INDEX destination_ready;
DROP INDEX destination_idle;
DROP INDEX delivery_destination;
DROP INDEX delivery_due;
DROP INDEX delivery_sender;
DROP INDEX delivery_held;
DROP INDEX delivery_active;
DROP INDEX delivery_alarm;
DROP INDEX delivery_stuck;

ALTER TABLE totals RENAME TO old_totals;
ALTER TABLE message RENAME TO old_message;
ALTER TABLE destination RENAME TO old_destination;
ALTER TABLE delivery RENAME TO old_delivery;
ALTER TABLE recipient RENAME TO old_recipient;
ALTER TABLE try RENAME TO old_try;
