-- The queue of everything that is sent: alerts for webhooks, and messages of rules for targets of notifications. `target` is
-- a digest of a webhook's address, which may hold a secret, or `notify:` and the name of a target in the settings.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    alert_id INTEGER,
    rule_id INTEGER,
    body TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    done_at INTEGER,
    outcome TEXT
) STRICT;
INSERT INTO outbox (id, target, alert_id, body, created_at, due_at, tries, done_at, outcome)
SELECT id, webhook, alert_id, body, created_at, due_at, tries, done_at, outcome FROM deliveries;
-- Ids are never given again, even if the rows of the last ones are gone.
DELETE FROM sqlite_sequence WHERE name = 'outbox';
INSERT INTO sqlite_sequence (name, seq) SELECT 'outbox', seq FROM sqlite_sequence WHERE name = 'deliveries';
DROP TABLE deliveries;
ALTER TABLE outbox RENAME TO deliveries;
CREATE INDEX deliveries_due ON deliveries (target, due_at) WHERE done_at IS NULL;
CREATE INDEX deliveries_done ON deliveries (target, done_at) WHERE done_at IS NOT NULL;
