-- What is remembered beyond the present: Plex's own history, the course of each play, roll-ups and a title index,
-- libraries' upgrades, acknowledged and delivered alerts, and what several processes on one cache tell each other.

-- A play out of Plex's history has no session, so what only a session knows may be absent.
CREATE TABLE plays_now (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    epoch INTEGER,
    session_key TEXT,
    session_id TEXT,
    rating_key TEXT,
    key TEXT,
    guid TEXT,
    type TEXT,
    title TEXT,
    grandparent_title TEXT,
    parent_title TEXT,
    item_index INTEGER,
    parent_index INTEGER,
    year INTEGER,
    library TEXT,
    library_id TEXT,
    duration_ms INTEGER,
    live INTEGER NOT NULL,
    user_id TEXT,
    user_name TEXT,
    client_identifier TEXT,
    player_title TEXT,
    product TEXT,
    platform TEXT,
    device TEXT,
    player_version TEXT,
    address TEXT,
    local INTEGER,
    state TEXT,
    view_offset_ms INTEGER,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    ended_by TEXT,
    watched_ms INTEGER,
    paused_ms INTEGER,
    buffer_count INTEGER,
    transcode TEXT, -- JSON
    decision TEXT,
    bandwidth_kbps INTEGER,
    location TEXT,
    video_resolution TEXT,
    bitrate_kbps INTEGER,
    listed INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    history_key TEXT,
    viewed_at INTEGER -- when Plex counted it as seen, by Plex's clock
) STRICT;
INSERT INTO plays_now (
    id, server, epoch, session_key, session_id, rating_key, key, guid, type, title, grandparent_title,
    parent_title, item_index, parent_index, year, library, library_id, duration_ms, live, user_id, user_name,
    client_identifier, player_title, product, platform, device, player_version, address, local, state,
    view_offset_ms, started_at, updated_at, ended_at, ended_by, watched_ms, paused_ms, buffer_count,
    transcode, decision, bandwidth_kbps, location, video_resolution, bitrate_kbps, listed, stale, history_key
) SELECT
    id, server, epoch, session_key, session_id, rating_key, key, guid, type, title, grandparent_title,
    parent_title, item_index, parent_index, year, library, library_id, duration_ms, live, user_id, user_name,
    client_identifier, player_title, product, platform, device, player_version, address, local, state,
    view_offset_ms, started_at, updated_at, ended_at, ended_by, watched_ms, paused_ms, buffer_count,
    transcode, decision, bandwidth_kbps, location, video_resolution, bitrate_kbps, listed, stale, history_key
FROM plays;
DROP TABLE plays;
ALTER TABLE plays_now RENAME TO plays;
CREATE INDEX plays_open ON plays (server) WHERE ended_at IS NULL;
CREATE INDEX plays_by_time ON plays (started_at DESC, id DESC);
CREATE INDEX plays_by_user ON plays (user_id, started_at DESC, id DESC);
CREATE INDEX plays_by_library ON plays (library_id, started_at DESC, id DESC);
CREATE INDEX plays_by_epoch ON plays (epoch); -- the newest epoch is asked for at every start
CREATE INDEX plays_unlinked ON plays (server, rating_key) WHERE history_key IS NULL;
CREATE UNIQUE INDEX plays_of_history ON plays (server, history_key) WHERE history_key IS NOT NULL;

-- The course of a play: what its client did, and when.
CREATE TABLE play_marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    play_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    view_offset_ms INTEGER,
    detail TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX play_marks_by_play ON play_marks (play_id, id);

-- Roll-ups: kept by triggers, so in the transaction of the rows they count. `timed` plays are those whose watch time is
-- known. Hours and days are those of UTC, counted from 1970. What is unknown is '' here, as a key must be something.
CREATE TABLE play_hours (
    hour INTEGER NOT NULL,
    server TEXT NOT NULL,
    plays INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    watched_ms INTEGER NOT NULL,
    PRIMARY KEY (hour, server)
) STRICT, WITHOUT ROWID;
CREATE TABLE play_days (
    day INTEGER NOT NULL,
    server TEXT NOT NULL,
    user_id TEXT NOT NULL,
    library TEXT NOT NULL,
    platform TEXT NOT NULL,
    plays INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    watched_ms INTEGER NOT NULL,
    PRIMARY KEY (day, server, user_id, library, platform)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE play_titles USING fts5 (
    title, grandparent_title, parent_title, content = 'plays', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);

-- Plays are written with upserts, never with OR IGNORE or OR REPLACE, whose policy would reach into the triggers.
CREATE TRIGGER play_counted AFTER INSERT ON plays BEGIN
    INSERT INTO play_hours VALUES (
        new.started_at / 3600000, new.server, 1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0)
    ) ON CONFLICT (hour, server) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms;
    INSERT INTO play_days VALUES (
        new.started_at / 86400000, new.server, coalesce(new.user_id, ''), coalesce(new.library, ''),
        coalesce(new.platform, ''), 1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0)
    ) ON CONFLICT (day, server, user_id, library, platform) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms;
    INSERT INTO play_titles (rowid, title, grandparent_title, parent_title)
    VALUES (new.id, new.title, new.grandparent_title, new.parent_title);
END;
CREATE TRIGGER play_recounted AFTER UPDATE OF server, started_at, user_id, library, platform, watched_ms ON plays
WHEN (new.server, new.started_at, new.user_id, new.library, new.platform, new.watched_ms)
    IS NOT (old.server, old.started_at, old.user_id, old.library, old.platform, old.watched_ms)
BEGIN
    UPDATE play_hours SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0)
    WHERE hour = old.started_at / 3600000 AND server = old.server;
    UPDATE play_days SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0)
    WHERE day = old.started_at / 86400000 AND server = old.server AND user_id = coalesce(old.user_id, '')
        AND library = coalesce(old.library, '') AND platform = coalesce(old.platform, '');
    INSERT INTO play_hours VALUES (
        new.started_at / 3600000, new.server, 1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0)
    ) ON CONFLICT (hour, server) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms;
    INSERT INTO play_days VALUES (
        new.started_at / 86400000, new.server, coalesce(new.user_id, ''), coalesce(new.library, ''),
        coalesce(new.platform, ''), 1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0)
    ) ON CONFLICT (day, server, user_id, library, platform) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms;
END;
CREATE TRIGGER play_retitled AFTER UPDATE OF title, grandparent_title, parent_title ON plays
WHEN (new.title, new.grandparent_title, new.parent_title)
    IS NOT (old.title, old.grandparent_title, old.parent_title)
BEGIN
    INSERT INTO play_titles (play_titles, rowid, title, grandparent_title, parent_title)
    VALUES ('delete', old.id, old.title, old.grandparent_title, old.parent_title);
    INSERT INTO play_titles (rowid, title, grandparent_title, parent_title)
    VALUES (new.id, new.title, new.grandparent_title, new.parent_title);
END;
CREATE TRIGGER play_discounted AFTER DELETE ON plays BEGIN
    UPDATE play_hours SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0)
    WHERE hour = old.started_at / 3600000 AND server = old.server;
    UPDATE play_days SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0)
    WHERE day = old.started_at / 86400000 AND server = old.server AND user_id = coalesce(old.user_id, '')
        AND library = coalesce(old.library, '') AND platform = coalesce(old.platform, '');
    INSERT INTO play_titles (play_titles, rowid, title, grandparent_title, parent_title)
    VALUES ('delete', old.id, old.title, old.grandparent_title, old.parent_title);
END;

-- What was played before this version: counted once, here.
INSERT INTO play_hours
SELECT started_at / 3600000, server, count(*), count(watched_ms), coalesce(sum(watched_ms), 0)
FROM plays GROUP BY 1, 2;
INSERT INTO play_days
SELECT started_at / 86400000, server, coalesce(user_id, ''), coalesce(library, ''), coalesce(platform, ''),
    count(*), count(watched_ms), coalesce(sum(watched_ms), 0)
FROM plays GROUP BY 1, 2, 3, 4, 5;
INSERT INTO play_titles (play_titles) VALUES ('rebuild');

-- How far Plex's history was read: everything it counted as seen up to `mark_s` (seconds, Plex's clock) is in `plays`.
CREATE TABLE history (
    server TEXT PRIMARY KEY REFERENCES servers (machine_identifier),
    mark_s INTEGER NOT NULL,
    imported INTEGER NOT NULL,
    total INTEGER,
    complete INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Players as Plex's history names them (`/devices`): history rows know them by number only.
CREATE TABLE devices (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    id TEXT NOT NULL,
    name TEXT,
    platform TEXT,
    client_identifier TEXT,
    PRIMARY KEY (server, id)
) STRICT, WITHOUT ROWID;

ALTER TABLE alerts ADD COLUMN acknowledged_at INTEGER;
CREATE INDEX alerts_by_kind ON alerts (kind, id);
CREATE INDEX alerts_by_time ON alerts (at, id);

-- Whether Plex analysed the file meanwhile: on an item that is not new, its file was replaced.
ALTER TABLE library_changes ADD COLUMN analyzed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX library_changes_by_time ON library_changes (at, id);

-- Alerts on their way to webhooks. `webhook` is a digest of the address, which may hold a secret.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL,
    alert_id INTEGER NOT NULL,
    body TEXT NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    done_at INTEGER,
    outcome TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE done_at IS NULL;

-- What the process that listens knows beyond the tables above, for the others. `term` counts those that have listened:
-- a transaction of an earlier term is refused.
CREATE TABLE listener (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    term INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    server TEXT,
    state TEXT NOT NULL,
    since_at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    detail TEXT,
    last_event_at INTEGER,
    refreshed_at INTEGER,
    sessions_read INTEGER NOT NULL,
    counters TEXT NOT NULL -- JSON
) STRICT;
-- What each commit touched, so that the other processes tell their own clients. Kept for a minute.
CREATE TABLE announcements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    urgent TEXT NOT NULL, -- JSON: URIs
    lazy TEXT NOT NULL, -- JSON: URIs
    listing INTEGER NOT NULL
) STRICT;
-- What the others have to tell the one that writes: audits, acknowledgements. It takes them in and deletes them.
CREATE TABLE letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL -- JSON
) STRICT;

-- What is written before Plex has said which server it is belongs to this one.
INSERT OR IGNORE INTO servers VALUES ('unknown', NULL, NULL, NULL, NULL, 0, 0);

-- A name for this database, so that a cursor of another one is recognised.
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO about VALUES ('database', lower(hex(randomblob(4))));
