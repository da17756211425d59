-- Rules that households write: when something happens, and only if, then do. `definition` is the rule as JSON.
CREATE TABLE rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    revision TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    enabled_at INTEGER,
    enabled_after INTEGER NOT NULL,
    last_fired_at INTEGER,
    fired INTEGER NOT NULL,
    near_misses INTEGER NOT NULL,
    last_near_misses TEXT NOT NULL, -- JSON
    errors INTEGER NOT NULL,
    last_error TEXT,
    disabled_because TEXT
) STRICT;

-- Each time that a rule fired, on which occurrence, and what became of its actions.
CREATE TABLE rule_firings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    occurrence TEXT NOT NULL,
    occurrence_type TEXT NOT NULL,
    reason TEXT NOT NULL,
    actions TEXT NOT NULL, -- JSON
    server TEXT,
    play_id INTEGER,
    depth INTEGER NOT NULL,
    pending INTEGER NOT NULL
) STRICT;
CREATE INDEX rule_firings_by_rule ON rule_firings (rule_id, id);
CREATE INDEX rule_firings_pending ON rule_firings (id) WHERE pending;
CREATE INDEX rule_firings_of_plays ON rule_firings (id) WHERE play_id IS NOT NULL;

-- What lasts and will make a rule fire when it has lasted long enough. `occurrence` is JSON.
CREATE TABLE rule_timers (
    rule_id INTEGER NOT NULL,
    subject TEXT NOT NULL,
    revision TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    occurrence TEXT NOT NULL,
    depth INTEGER NOT NULL,
    PRIMARY KEY (rule_id, subject)
) STRICT, WITHOUT ROWID;

-- The last occurrence that was judged and may not be judged again.
CREATE TABLE rules_position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL
) STRICT;

-- What played at the moment of an occurrence, as JSON: streams, their bandwidth, and the streams of each user.
ALTER TABLE occurrences ADD COLUMN streams TEXT;
