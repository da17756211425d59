-- What plays are counted by: the identity of a show or an artist, the id of a library, quarter hours for every time zone.
-- And titles in scripts without spaces, of which any part can be searched for; and the names of users at plex.tv.

-- What an episode or a track belongs to. Two shows of one title differ in these.
ALTER TABLE plays ADD COLUMN grandparent_rating_key TEXT;
ALTER TABLE plays ADD COLUMN grandparent_guid TEXT;

DROP TRIGGER play_counted;
DROP TRIGGER play_recounted;
DROP TRIGGER play_retitled;
DROP TRIGGER play_discounted;
DROP TABLE play_hours;
DROP TABLE play_days;

-- Quarter hours of UTC since 1970: the offset of every time zone in use is a multiple of a quarter hour.
CREATE TABLE play_quarters (
    quarter INTEGER NOT NULL,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    plays INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    watched_ms INTEGER NOT NULL,
    PRIMARY KEY (quarter, server)
) STRICT, WITHOUT ROWID;
-- Users and libraries by id; one whose id is unknown is '=' and its name, and '' where nothing is known.
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

-- Titles with characters of Chinese, Japanese, Korean, Thai, Lao, Burmese or Khmer, each once. In the index of words a run
-- of such characters is one word, which is found by its beginning only; here any part of it is found.
CREATE TABLE play_titles_unspaced (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    text TEXT NOT NULL,
    PRIMARY KEY (server, text)
) STRICT, WITHOUT ROWID;

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
    INSERT INTO play_titles (rowid, title, grandparent_title, parent_title)
    VALUES (new.id, new.title, new.grandparent_title, new.parent_title);
    INSERT INTO play_titles_unspaced (server, text)
    SELECT new.server, text FROM (
        SELECT new.title AS text UNION SELECT new.grandparent_title UNION SELECT new.parent_title
    ) WHERE text GLOB '*[฀-໿က-႟ᄀ-ᇿក-៿⺀-꓏ꥠ-꥿가-퟿豈-﫿ｦ-ￜ𠀀-𿿽]*' ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER play_recounted AFTER UPDATE OF
    server, started_at, user_id, user_name, library_id, library, platform, watched_ms ON plays
WHEN (new.server, new.started_at, new.user_id, new.user_name, new.library_id,
    new.library, new.platform, new.watched_ms)
    IS NOT (old.server, old.started_at, old.user_id, old.user_name, old.library_id,
    old.library, old.platform, old.watched_ms)
BEGIN
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
END;
CREATE TRIGGER play_retitled AFTER UPDATE OF title, grandparent_title, parent_title ON plays
WHEN (new.title, new.grandparent_title, new.parent_title)
    IS NOT (old.title, old.grandparent_title, old.parent_title)
BEGIN
    INSERT INTO play_titles (play_titles, rowid, title, grandparent_title, parent_title)
    VALUES ('delete', old.id, old.title, old.grandparent_title, old.parent_title);
    INSERT INTO play_titles (rowid, title, grandparent_title, parent_title)
    VALUES (new.id, new.title, new.grandparent_title, new.parent_title);
    INSERT INTO play_titles_unspaced (server, text)
    SELECT new.server, text FROM (
        SELECT new.title AS text UNION SELECT new.grandparent_title UNION SELECT new.parent_title
    ) WHERE text GLOB '*[฀-໿က-႟ᄀ-ᇿក-៿⺀-꓏ꥠ-꥿가-퟿豈-﫿ｦ-ￜ𠀀-𿿽]*' ON CONFLICT DO NOTHING;
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
    INSERT INTO play_titles (play_titles, rowid, title, grandparent_title, parent_title)
    VALUES ('delete', old.id, old.title, old.grandparent_title, old.parent_title);
END;

-- What was played before this version: counted once, here.
INSERT INTO play_quarters
SELECT started_at / 900000, server, count(*), count(watched_ms), coalesce(sum(watched_ms), 0)
FROM plays GROUP BY 1, 2;
INSERT INTO play_days
SELECT started_at / 86400000, server, coalesce(plays.user_id, '=' || plays.user_name, ''),
    coalesce(plays.library_id, '=' || plays.library, ''), coalesce(platform, ''),
    count(*), count(watched_ms), coalesce(sum(watched_ms), 0)
FROM plays GROUP BY 1, 2, 3, 4, 5;
INSERT INTO play_titles_unspaced
SELECT server, text FROM (
    SELECT server, title AS text FROM plays
    UNION SELECT server, grandparent_title FROM plays
    UNION SELECT server, parent_title FROM plays
) WHERE text GLOB '*[฀-໿က-႟ᄀ-ᇿក-៿⺀-꓏ꥠ-꥿가-퟿豈-﫿ｦ-ￜ𠀀-𿿽]*';

-- Users as plex.tv names them, as far as a tool asked it: the command line, which reads only this database, knows them too.
CREATE TABLE plex_tv_users (
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    id TEXT NOT NULL, -- the server's: 1 for the owner
    plex_tv_id TEXT NOT NULL,
    username TEXT,
    title TEXT,
    PRIMARY KEY (server, id)
) STRICT, WITHOUT ROWID;
