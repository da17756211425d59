-- What events mean: a play started, a film was watched, a season arrived. Rows are written in the transaction of the changes
-- that cause them, and never change.
CREATE TABLE occurrences (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    inferred INTEGER NOT NULL,
    data TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX occurrences_by_type ON occurrences (type, id);

-- Which occurrences of a play were recorded: 1 started, 2 paused, 4 watched. Plays that were there before count as recorded.
ALTER TABLE plays ADD COLUMN occurred INTEGER NOT NULL DEFAULT 0;
UPDATE plays SET occurred = 1
    + CASE WHEN state = 'paused' THEN 2 ELSE 0 END
    + CASE WHEN viewed_at IS NOT NULL OR coalesce(view_offset_ms * 10 >= duration_ms * 9, 0) THEN 4 ELSE 0 END
WHERE ended_at IS NULL
    OR id IN (SELECT id FROM plays WHERE ended_at IS NOT NULL AND ended_by <> 'imported' ORDER BY id DESC LIMIT 256);

-- Changes of the library that wait for the rest of their season or album.
ALTER TABLE library_changes ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
CREATE INDEX library_changes_pending ON library_changes (server) WHERE pending;
CREATE INDEX library_changes_moved ON library_changes (id) WHERE change <> 'updated';
