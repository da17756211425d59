-- What the live core remembers. Times are milliseconds since 1970 in UTC. Rows belong to a server.

CREATE TABLE servers (
    machine_identifier TEXT PRIMARY KEY,
    name TEXT,
    version TEXT,
    platform TEXT,
    platform_version TEXT,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT;

-- Plays, live and ended. A play without ended_at is a session that plays now, or did when we last heard.
CREATE TABLE plays (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    epoch INTEGER NOT NULL,
    session_key TEXT NOT NULL,
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
    state TEXT NOT NULL,
    view_offset_ms INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    ended_by TEXT,
    watched_ms INTEGER NOT NULL,
    paused_ms INTEGER NOT NULL,
    buffer_count INTEGER NOT NULL,
    transcode TEXT, -- JSON
    decision TEXT,
    bandwidth_kbps INTEGER,
    location TEXT,
    video_resolution TEXT,
    bitrate_kbps INTEGER,
    listed INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    history_key TEXT
) STRICT;
CREATE INDEX plays_open ON plays (server) WHERE ended_at IS NULL;
CREATE INDEX plays_by_time ON plays (started_at DESC, id DESC);
CREATE INDEX plays_by_user ON plays (user_name COLLATE NOCASE, started_at DESC, id DESC);

-- The journal: what Plex said, as it said it.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    subject TEXT,
    summary TEXT NOT NULL,
    payload TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX events_by_type ON events (type, id);

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    detail TEXT NOT NULL, -- JSON
    subject TEXT NOT NULL,
    resolved_at INTEGER
) STRICT;
CREATE INDEX alerts_open ON alerts (server) WHERE resolved_at IS NULL;

CREATE TABLE activities (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    uuid TEXT NOT NULL,
    type TEXT,
    title TEXT,
    subtitle TEXT,
    progress INTEGER,
    cancellable INTEGER,
    user_id TEXT,
    context TEXT NOT NULL, -- JSON
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (server, uuid)
) STRICT, WITHOUT ROWID;
CREATE INDEX activities_running ON activities (server) WHERE ended_at IS NULL;

CREATE TABLE library_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    at INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    parent_item_id TEXT,
    root_item_id TEXT,
    section_id TEXT,
    type TEXT,
    title TEXT,
    change TEXT NOT NULL,
    settled INTEGER NOT NULL
) STRICT;

CREATE TABLE clients (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    client_identifier TEXT NOT NULL,
    title TEXT,
    product TEXT,
    platform TEXT,
    device TEXT,
    version TEXT,
    address TEXT,
    local INTEGER,
    provides TEXT,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (server, client_identifier)
) STRICT, WITHOUT ROWID;

-- Where a client without a session last was.
CREATE TABLE timelines (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    client_identifier TEXT NOT NULL,
    state TEXT NOT NULL,
    type TEXT,
    rating_key TEXT,
    title TEXT,
    view_offset_ms INTEGER NOT NULL,
    duration_ms INTEGER,
    session_key TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (server, client_identifier)
) STRICT, WITHOUT ROWID;

CREATE TABLE sections (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    section_id TEXT NOT NULL,
    title TEXT NOT NULL,
    type TEXT NOT NULL,
    uuid TEXT,
    agent TEXT,
    scanner TEXT,
    language TEXT,
    count INTEGER,
    refreshing INTEGER NOT NULL,
    updated_at INTEGER,
    scanned_at INTEGER,
    content_changed_at INTEGER,
    locations TEXT NOT NULL, -- JSON
    PRIMARY KEY (server, section_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    id TEXT NOT NULL,
    name TEXT,
    PRIMARY KEY (server, id)
) STRICT, WITHOUT ROWID;
