-- The catalogue: the libraries as Plex has them, in rows, so that questions about them need no request to Plex.
-- Times are milliseconds since 1970 by Plex's clock, except `as_of`, which is by ours.

-- A movie, show, season, episode, artist, album, track or photo album. Photos are counted per album.
CREATE TABLE items (
    id INTEGER PRIMARY KEY, -- ours; Plex knows an item by its rating key
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    rating_key TEXT NOT NULL,
    section_id TEXT,
    type TEXT NOT NULL,
    guid TEXT,
    imdb_id TEXT, -- tt0000001
    tmdb_id TEXT,
    tvdb_id TEXT,
    title TEXT NOT NULL, -- '' if Plex has none
    sort_title TEXT, -- only where it differs from the title
    original_title TEXT, -- of a track: its performer
    edition TEXT,
    year INTEGER,
    originally_available_at TEXT, -- YYYY-MM-DD
    item_index INTEGER,
    parent_index INTEGER,
    parent_key TEXT, -- rating keys
    grandparent_key TEXT,
    parent_title TEXT,
    grandparent_title TEXT,
    added_at INTEGER,
    updated_at INTEGER,
    duration_ms INTEGER,
    content_rating TEXT,
    critic_rating REAL,
    audience_rating REAL,
    user_rating REAL,
    studio TEXT,
    summary TEXT,
    view_count INTEGER, -- the owner's, as are the next two
    last_viewed_at INTEGER,
    view_offset_ms INTEGER,
    leaf_count INTEGER, -- episodes, tracks or photos in it
    size_bytes INTEGER, -- all its files; of a show, a season, an artist or an album: those of its episodes or tracks
    detailed INTEGER NOT NULL, -- whether it was read by itself: a listing has at most two genres and three actors
    search_title TEXT, -- what is searched where it is not the text itself, see names/search_text.py
    search_summary TEXT
) STRICT;
CREATE UNIQUE INDEX items_by_key ON items (rating_key, server);
CREATE INDEX items_by_section ON items (section_id, type);
CREATE INDEX items_by_guid ON items (guid) WHERE guid IS NOT NULL;
CREATE INDEX items_by_parent ON items (parent_key) WHERE parent_key IS NOT NULL;
CREATE INDEX items_by_grandparent ON items (grandparent_key) WHERE grandparent_key IS NOT NULL;
CREATE INDEX items_without_details ON items (id) WHERE detailed = 0;

-- One row per version (`Media`) of an item, of one or several parts.
CREATE TABLE files (
    item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    media_id TEXT NOT NULL,
    position INTEGER NOT NULL, -- 0 is the first version
    size_bytes INTEGER, -- all its parts
    parts INTEGER NOT NULL,
    container TEXT,
    resolution TEXT, -- as Plex writes it: 4k, 1080, 720, sd
    hdr INTEGER, -- NULL until its streams were read
    video_codec TEXT,
    audio_codec TEXT,
    channels INTEGER,
    bitrate_kbps INTEGER,
    duration_ms INTEGER,
    present INTEGER, -- whether the file exists, where Plex says so
    path TEXT, -- JSON: one path per part; only with PLEX_COMPANION_PRIVACY=off
    PRIMARY KEY (item_id, media_id)
) STRICT, WITHOUT ROWID;

-- People and words that items share. `kind`: genre, director, actor, label, collection or country.
CREATE TABLE tags (
    id INTEGER PRIMARY KEY,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL, -- the name as `names.folding.fold` writes it
    search TEXT, -- as search_title of items
    UNIQUE (server, kind, name)
) STRICT;
CREATE INDEX tags_folded ON tags (kind, folded);
CREATE TABLE item_tags (
    item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    tag_id INTEGER NOT NULL REFERENCES tags (id),
    position INTEGER NOT NULL, -- Plex's order: the first actor has the main part
    PRIMARY KEY (item_id, tag_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_tags_by_tag ON item_tags (tag_id, item_id);

-- How much of each library is in `items`.
CREATE TABLE catalogue_sections (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    section_id TEXT NOT NULL,
    uuid TEXT, -- a library that was added again has another
    title TEXT NOT NULL,
    type TEXT NOT NULL,
    as_of INTEGER, -- when it last was as Plex has it, by our clock; NULL until the first fill has ended
    total INTEGER, -- items that Plex has, all types together
    complete INTEGER NOT NULL, -- whether the first fill has ended
    filled TEXT NOT NULL, -- JSON: how many rows of each type the first fill has read
    photos INTEGER, -- photos are counted only
    detail TEXT, -- why it could not be read
    PRIMARY KEY (server, section_id)
) STRICT, WITHOUT ROWID;

-- What is searched. Not filled by triggers, since tags are written after their item: see cache/catalogue_write.py.
CREATE VIEW item_texts AS
SELECT items.id AS id,
    coalesce(search_title, title || ' ' || coalesce(original_title, '')) AS title,
    (SELECT group_concat(text, ' . ') FROM (
        SELECT coalesce(tags.search, tags.name) AS text FROM item_tags JOIN tags ON tags.id = item_tags.tag_id
        WHERE item_tags.item_id = items.id AND tags.kind IN ('actor', 'director') ORDER BY tags.id
    )) AS people,
    (SELECT group_concat(text, ' . ') FROM (
        SELECT coalesce(tags.search, tags.name) AS text FROM item_tags JOIN tags ON tags.id = item_tags.tag_id
        WHERE item_tags.item_id = items.id AND tags.kind = 'genre' ORDER BY tags.id
    )) AS genres,
    coalesce(search_summary, summary) AS summary
FROM items;
CREATE VIRTUAL TABLE item_words USING fts5 (
    title, people, genres, summary, content = 'item_texts', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 0'
);

-- Titles of plays are read in the same way as those of items. `search_title` is all titles of a play, prepared, where one of
-- them is not plain; it is written with the play. Existing plays get it here, by a function that only migrations have.
DROP TRIGGER play_counted;
DROP TRIGGER play_retitled;
DROP TRIGGER play_discounted;
DROP TRIGGER play_credited;
DROP TRIGGER play_recredited;
DROP TRIGGER play_uncredited;
DROP TABLE play_titles;
DROP TABLE play_titles_credited;
DROP TABLE play_titles_unspaced;
ALTER TABLE plays ADD COLUMN search_title TEXT;
UPDATE plays SET search_title = prepare_titles(title, grandparent_title, parent_title, performer, edition);
CREATE VIEW play_texts AS
SELECT id, coalesce(search_title, title) AS title,
    iif(search_title IS NULL, grandparent_title, NULL) AS grandparent_title,
    iif(search_title IS NULL, parent_title, NULL) AS parent_title,
    iif(search_title IS NULL, performer, NULL) AS performer,
    iif(search_title IS NULL, edition, NULL) AS edition
FROM plays;
CREATE VIRTUAL TABLE play_titles USING fts5 (
    title, grandparent_title, parent_title, performer, edition,
    content = 'play_texts', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 0'
);
INSERT INTO play_titles (play_titles) VALUES ('rebuild');
CREATE TRIGGER play_counted AFTER INSERT ON plays BEGIN
    INSERT INTO play_quarters VALUES (
        new.started_at / 900000, new.server, 1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0)
    ) ON CONFLICT (quarter, server) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms;
    INSERT INTO play_days VALUES (
        new.started_at / 86400000, new.server, coalesce(new.user_id, '=' || new.user_name, ''),
        coalesce(new.library_id, '=' || new.library, ''), coalesce(new.platform, ''),
        1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0)
    ) ON CONFLICT (day, server, user_id, library, platform) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms;
    INSERT INTO play_titles (rowid, title, grandparent_title, parent_title, performer, edition)
    SELECT id, title, grandparent_title, parent_title, performer, edition FROM play_texts WHERE id = new.id;
END;
CREATE TRIGGER play_retitled
AFTER UPDATE OF title, grandparent_title, parent_title, performer, edition, search_title ON plays
WHEN (new.title, new.grandparent_title, new.parent_title, new.performer, new.edition, new.search_title)
    IS NOT (old.title, old.grandparent_title, old.parent_title, old.performer, old.edition, old.search_title)
BEGIN
    INSERT INTO play_titles (play_titles, rowid, title, grandparent_title, parent_title, performer, edition)
    VALUES ('delete', old.id, coalesce(old.search_title, old.title),
        iif(old.search_title IS NULL, old.grandparent_title, NULL), iif(old.search_title IS NULL, old.parent_title, NULL),
        iif(old.search_title IS NULL, old.performer, NULL), iif(old.search_title IS NULL, old.edition, NULL));
    INSERT INTO play_titles (rowid, title, grandparent_title, parent_title, performer, edition)
    SELECT id, title, grandparent_title, parent_title, performer, edition FROM play_texts WHERE id = new.id;
END;
CREATE TRIGGER play_discounted AFTER DELETE ON plays BEGIN
    UPDATE play_quarters SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0)
    WHERE quarter = old.started_at / 900000 AND server = old.server;
    UPDATE play_days SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0)
    WHERE day = old.started_at / 86400000 AND server = old.server
        AND user_id = coalesce(old.user_id, '=' || old.user_name, '')
        AND library = coalesce(old.library_id, '=' || old.library, '') AND platform = coalesce(old.platform, '');
    INSERT INTO play_titles (play_titles, rowid, title, grandparent_title, parent_title, performer, edition)
    VALUES ('delete', old.id, coalesce(old.search_title, old.title),
        iif(old.search_title IS NULL, old.grandparent_title, NULL), iif(old.search_title IS NULL, old.parent_title, NULL),
        iif(old.search_title IS NULL, old.performer, NULL), iif(old.search_title IS NULL, old.edition, NULL));
END;

-- The item that was played: the one of the rating key, else of the guid. A library that was rebuilt gives its items other
-- keys, and may give an old key to another item. `play_items` says which item that is now; triggers keep it in `plays`.
ALTER TABLE plays ADD COLUMN item_id INTEGER;
CREATE INDEX plays_by_item ON plays (item_id) WHERE item_id IS NOT NULL;
CREATE INDEX plays_by_rating_key ON plays (rating_key) WHERE rating_key IS NOT NULL;
CREATE INDEX plays_by_guid ON plays (guid) WHERE guid IS NOT NULL;
CREATE VIEW play_items AS
SELECT played.id AS play_id, coalesce(
    (SELECT id FROM items WHERE rating_key = played.rating_key AND server = played.server
        AND coalesce(type = played.type, 1) AND coalesce(guid = played.guid, 1)),
    (SELECT min(id) FROM items WHERE guid = played.guid AND server = played.server AND coalesce(type = played.type, 1)),
    (SELECT id FROM items WHERE rating_key = played.rating_key AND server = played.server
        AND coalesce(type = played.type, 1))
) AS item_id
FROM plays AS played;
CREATE TRIGGER play_linked AFTER INSERT ON plays WHEN coalesce(new.rating_key, new.guid) IS NOT NULL BEGIN
    UPDATE plays SET item_id = (SELECT item_id FROM play_items WHERE play_id = new.id) WHERE id = new.id;
END;
CREATE TRIGGER play_relinked AFTER UPDATE OF server, rating_key, guid, type ON plays
WHEN (new.server, new.rating_key, new.guid, new.type) IS NOT (old.server, old.rating_key, old.guid, old.type)
BEGIN
    UPDATE plays SET item_id = (SELECT item_id FROM play_items WHERE play_id = new.id) WHERE id = new.id;
END;
CREATE TRIGGER item_played AFTER INSERT ON items BEGIN
    UPDATE plays SET item_id = (SELECT item_id FROM play_items WHERE play_id = plays.id)
    WHERE rating_key = new.rating_key AND server = new.server;
    UPDATE plays SET item_id = (SELECT item_id FROM play_items WHERE play_id = plays.id)
    WHERE guid = new.guid AND server = new.server;
END;
CREATE TRIGGER item_rematched AFTER UPDATE OF guid, type ON items
WHEN (new.guid, new.type) IS NOT (old.guid, old.type)
BEGIN
    UPDATE plays SET item_id = (SELECT item_id FROM play_items WHERE play_id = plays.id)
    WHERE rating_key = new.rating_key AND server = new.server;
    UPDATE plays SET item_id = (SELECT item_id FROM play_items WHERE play_id = plays.id)
    WHERE guid IN (old.guid, new.guid) AND server = new.server;
END;
CREATE TRIGGER item_unplayed AFTER DELETE ON items BEGIN
    UPDATE plays SET item_id = (SELECT item_id FROM play_items WHERE play_id = plays.id) WHERE item_id = old.id;
END;

-- Who finished what, and when: what Plex's history counts, what was heard to its last tenth, and the owner's view count.
-- Of movies, episodes and tracks; what contains them follows from them. The owner's account has the id 1 (PLEX.md 2.2).
CREATE INDEX plays_finished ON plays (item_id, user_id, coalesce(viewed_at, ended_at, updated_at))
WHERE item_id IS NOT NULL AND (viewed_at IS NOT NULL OR view_offset_ms * 10 >= duration_ms * 9);
CREATE VIEW finishes AS
SELECT item_id, user_id, coalesce(viewed_at, ended_at, updated_at) AS at FROM plays
WHERE item_id IS NOT NULL AND (viewed_at IS NOT NULL OR view_offset_ms * 10 >= duration_ms * 9)
UNION ALL
SELECT id AS item_id, '1' AS user_id, coalesce(last_viewed_at, 0) AS at FROM items
WHERE view_count > 0 AND type IN ('movie', 'episode', 'track');
