-- Several Plex servers in one database: what one row said of the process that listens and of its connection, two tables say.

-- The process that listens, or that did last.
CREATE TABLE listener_now (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    term INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    counters TEXT NOT NULL -- JSON
) STRICT;
INSERT INTO listener_now SELECT id, term, pid, counters FROM listener;

-- A configured address, by a digest of it; the address itself may be private. A link from before has no digest: the first
-- configured address takes it over.
CREATE TABLE links (
    link TEXT PRIMARY KEY,
    server TEXT, -- as Plex said; unknown until then
    state TEXT NOT NULL,
    since_at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    detail TEXT,
    last_event_at INTEGER,
    refreshed_at INTEGER,
    sessions_read INTEGER NOT NULL,
    moved INTEGER NOT NULL -- differs after every commit that changed rows of its server
) STRICT, WITHOUT ROWID;
INSERT INTO links
SELECT '', server, state, since_at, epoch, detail, last_event_at, refreshed_at, sessions_read, 0 FROM listener;
DROP TABLE listener;
ALTER TABLE listener_now RENAME TO listener;

-- Which link a forwarded event is about.
ALTER TABLE letters ADD COLUMN link TEXT;
