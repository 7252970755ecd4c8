-- Sessions as they were shown when their state last changed. A row is never taken out.
CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    -- A UUIDv7, hyphenated: sorts by the time of the request.
    id TEXT NOT NULL UNIQUE,
    -- Its last twelve digits, which begin with the eight that people type.
    tail TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('CleanupOwed', 'Pending', 'Activating', 'Active', 'Ending', 'Ended')),
    reason TEXT NOT NULL,
    -- protocol::SessionView as JSON.
    view TEXT NOT NULL,
    -- A check sum over id, state and view: a flipped bit is found when the row is read.
    sum INTEGER NOT NULL
) STRICT;

CREATE INDEX session_tail ON session (tail);
CREATE INDEX session_state ON session (state, id);
CREATE INDEX session_live ON session (id) WHERE state <> 'Ended';

CREATE TRIGGER session_kept BEFORE DELETE ON session
BEGIN SELECT raise(ABORT, 'a session is never taken out'); END;

-- The journals, line by line, in the order in which they were written: what is appended together
-- lies together, whichever sessions it belongs to.
CREATE TABLE journal (
    number INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session (number),
    -- Counted from zero, without a gap.
    place INTEGER NOT NULL,
    -- session::Entry as JSON.
    entry TEXT NOT NULL,
    -- A check sum over the session's id, place and entry.
    sum INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX journal_place ON journal (session, place);

CREATE TRIGGER journal_kept BEFORE DELETE ON journal
BEGIN SELECT raise(ABORT, 'a journal is only ever appended to'); END;
CREATE TRIGGER journal_unchanged BEFORE UPDATE ON journal
BEGIN SELECT raise(ABORT, 'a journal is only ever appended to'); END;

-- The audit chain. Everything of an event but its hash stands in the body, which is hashed.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_kept BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit is only ever appended to'); END;
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit is only ever appended to'); END;

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    -- A check sum over key and value.
    sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where everything comes in. An append is one INSERT, and so one transaction by itself: all of it,
-- or nothing. A row goes where its kind says.
CREATE VIEW incoming (kind, number, place, id, tail, state, reason, text, sum) AS
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE 0;

CREATE TRIGGER incoming_session INSTEAD OF INSERT ON incoming WHEN NEW.kind = 'session'
BEGIN
    INSERT INTO session (number, id, tail, state, reason, view, sum)
    VALUES (NEW.number, NEW.id, NEW.tail, NEW.state, NEW.reason, NEW.text, NEW.sum);
END;

CREATE TRIGGER incoming_state INSTEAD OF INSERT ON incoming WHEN NEW.kind = 'state'
BEGIN
    UPDATE session SET state = NEW.state, view = NEW.text, sum = NEW.sum
    WHERE number = NEW.number AND id = NEW.id;
END;

CREATE TRIGGER incoming_entry INSTEAD OF INSERT ON incoming WHEN NEW.kind = 'entry'
BEGIN
    INSERT INTO journal (session, place, entry, sum)
    VALUES (NEW.number, NEW.place, NEW.text, NEW.sum);
END;

CREATE TRIGGER incoming_audit INSTEAD OF INSERT ON incoming WHEN NEW.kind = 'audit'
BEGIN
    INSERT INTO audit (seq, body, hash) VALUES (NEW.number, NEW.text, NEW.id);
END;

CREATE TRIGGER incoming_setting INSTEAD OF INSERT ON incoming WHEN NEW.kind = 'setting'
BEGIN
    INSERT INTO setting (key, value, sum) VALUES (NEW.id, NEW.text, NEW.sum)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum;
END;
