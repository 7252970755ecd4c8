-- Sessions as they were last shown. A row is never taken out.
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

-- The journals, line by line.
CREATE TABLE journal (
    session TEXT NOT NULL REFERENCES session (id),
    -- Counted from zero, without a gap.
    place INTEGER NOT NULL,
    -- session::Entry as JSON.
    entry TEXT NOT NULL,
    -- A check sum over session, place and entry.
    sum INTEGER NOT NULL,
    PRIMARY KEY (session, place)
) STRICT, WITHOUT ROWID;

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
