-- Accounts, break-glass lists, sign-ins and throttles: small documents that are read whole as the
-- engine starts. Unlike journals and audit they change, and go.
CREATE TABLE record (
    -- What it is a record of: `account`, `list`, `sign-in`, `throttle`.
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    -- JSON.
    body TEXT NOT NULL,
    -- A check sum over kind, key and body.
    sum INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER incoming_record INSTEAD OF INSERT ON incoming WHEN NEW.kind = 'record'
BEGIN
    INSERT INTO record (kind, key, body, sum) VALUES (NEW.tail, NEW.id, NEW.text, NEW.sum)
    ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, sum = excluded.sum;
END;

CREATE TRIGGER incoming_forgotten INSTEAD OF INSERT ON incoming WHEN NEW.kind = 'forgotten'
BEGIN
    DELETE FROM record WHERE kind = NEW.tail AND key = NEW.id;
END;
