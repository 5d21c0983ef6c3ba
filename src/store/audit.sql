-- SPDX-License-Identifier: MIT
-- The audit file. Times are milliseconds since 1970 UTC. Hashes: src/audit/chain.h.
--
-- record  what happened, numbered without gaps; appended, never changed, removed by age only
-- start   what the records begin behind: number and hash of the last one that was removed
-- mover   how far the outbox of a queue was moved
-- evidence, evidence_rrset, rrset  signed DNS records that records refer to, each RRset once; they go with
--         the last record that refers to them
-- peer    certificates that hosts presented and that were taken: a projection of the records

CREATE TABLE record (
	n INTEGER PRIMARY KEY CHECK (n > 0),
	time INTEGER NOT NULL,
	hash BLOB NOT NULL CHECK (length(hash) = 32),
	body BLOB NOT NULL CHECK (length(body) BETWEEN 2 AND 16384)
) STRICT;

CREATE TABLE start (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	n INTEGER NOT NULL CHECK (n >= 0),
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO start (one, n, hash) VALUES (1, 0, zeroblob(32));

CREATE TABLE mover (
	queue BLOB PRIMARY KEY CHECK (length(queue) = 16),
	moved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE peer (
	host TEXT NOT NULL,
	port INTEGER NOT NULL,
	key_type TEXT NOT NULL,
	cert BLOB NOT NULL CHECK (length(cert) = 32),
	key BLOB NOT NULL CHECK (length(key) = 32),
	authority INTEGER NOT NULL,
	continuity INTEGER NOT NULL, -- at its first time
	record INTEGER NOT NULL,     -- of its first time
	first INTEGER NOT NULL,
	last INTEGER NOT NULL CHECK (last >= first),
	PRIMARY KEY (host, port, key_type, cert)
) STRICT, WITHOUT ROWID;

-- 32 certificates of one host, port and type of key (AUDIT_KNOWN_MAX): one with a fresh certificate
-- for every connection does not fill the file.
CREATE TRIGGER peer_many AFTER INSERT ON peer BEGIN
	DELETE FROM peer WHERE host = new.host AND port = new.port AND key_type = new.key_type
		AND cert IN (SELECT cert FROM peer
			WHERE host = new.host AND port = new.port AND key_type = new.key_type
			ORDER BY last DESC, record DESC LIMIT -1 OFFSET 32);
END;

CREATE TABLE evidence (
	id BLOB PRIMARY KEY CHECK (length(id) = 32),
	time INTEGER NOT NULL, -- seconds
	mx INTEGER NOT NULL,
	port INTEGER NOT NULL,
	destination TEXT NOT NULL,
	host TEXT NOT NULL,
	base TEXT NOT NULL,
	last INTEGER NOT NULL -- number of the last record that refers to it
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_age ON evidence (last);

CREATE TABLE rrset (
	hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
	octets BLOB NOT NULL
) STRICT;

CREATE TABLE evidence_rrset (
	evidence BLOB NOT NULL,
	place INTEGER NOT NULL,
	hash BLOB NOT NULL,
	PRIMARY KEY (evidence, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX rrset_used ON evidence_rrset (hash);

CREATE TRIGGER evidence_gone AFTER DELETE ON evidence BEGIN
	DELETE FROM evidence_rrset WHERE evidence = old.id;
END;
CREATE TRIGGER rrset_gone AFTER DELETE ON evidence_rrset BEGIN
	DELETE FROM rrset WHERE hash = old.hash
		AND NOT EXISTS (SELECT 1 FROM evidence_rrset WHERE hash = old.hash);
END;

CREATE TRIGGER record_behind BEFORE INSERT ON record BEGIN
	SELECT RAISE(ABORT, 'records are appended')
		WHERE new.n <= (SELECT ifnull(max(n), 0) FROM record);
END;
CREATE TRIGGER record_fixed BEFORE UPDATE ON record BEGIN
	SELECT RAISE(ABORT, 'a record does not change');
END;
CREATE TRIGGER record_kept BEFORE DELETE ON record BEGIN
	SELECT RAISE(ABORT, 'a record goes when a checkpoint has signed it off')
		WHERE old.n > (SELECT n FROM start);
END;
CREATE TRIGGER start_grows BEFORE UPDATE ON start BEGIN
	SELECT RAISE(ABORT, 'what was removed does not come back') WHERE new.n < old.n;
END;
CREATE TRIGGER start_kept BEFORE DELETE ON start BEGIN
	SELECT RAISE(ABORT, 'the start is kept');
END;
