-- The file that a play came from, so that it can be said why it was transcoded: JSON, as the catalogue or the streams of the
-- session described it when it began.
ALTER TABLE plays ADD COLUMN source TEXT;

-- Plex's history has no watch time. A play that is known from there alone counts with the length of its item, which is an
-- estimate. `estimated_ms` is the part of `watched_ms` that is.
DROP TRIGGER play_counted;
DROP TRIGGER play_recounted;
DROP TRIGGER play_discounted;
ALTER TABLE play_quarters ADD COLUMN estimated_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE play_days ADD COLUMN estimated_ms INTEGER NOT NULL DEFAULT 0;
UPDATE plays SET watched_ms = coalesce(duration_ms, (SELECT duration_ms FROM items WHERE items.id = plays.item_id))
WHERE ended_by = 'imported' AND watched_ms IS NULL;

-- Plays that were there before: counted once, here.
DELETE FROM play_quarters;
DELETE FROM play_days;
INSERT INTO play_quarters
SELECT started_at / 900000, server, count(*), count(watched_ms), coalesce(sum(watched_ms), 0),
    coalesce(sum(watched_ms) FILTER (WHERE ended_by = 'imported'), 0)
FROM plays GROUP BY 1, 2;
INSERT INTO play_days
SELECT started_at / 86400000, server, coalesce(plays.user_id, '=' || plays.user_name, ''),
    coalesce(plays.library_id, '=' || plays.library, ''), coalesce(platform, ''),
    count(*), count(watched_ms), coalesce(sum(watched_ms), 0),
    coalesce(sum(watched_ms) FILTER (WHERE ended_by = 'imported'), 0)
FROM plays GROUP BY 1, 2, 3, 4, 5;

-- As they were, with the estimates.
CREATE TRIGGER play_counted AFTER INSERT ON plays BEGIN
    INSERT INTO play_quarters VALUES (
        new.started_at / 900000, new.server, 1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0),
        CASE WHEN new.ended_by IS 'imported' THEN coalesce(new.watched_ms, 0) ELSE 0 END
    ) ON CONFLICT (quarter, server) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms,
        estimated_ms = estimated_ms + excluded.estimated_ms;
    INSERT INTO play_days VALUES (
        new.started_at / 86400000, new.server, coalesce(new.user_id, '=' || new.user_name, ''),
        coalesce(new.library_id, '=' || new.library, ''), coalesce(new.platform, ''),
        1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0),
        CASE WHEN new.ended_by IS 'imported' THEN coalesce(new.watched_ms, 0) ELSE 0 END
    ) ON CONFLICT (day, server, user_id, library, platform) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms,
        estimated_ms = estimated_ms + excluded.estimated_ms;
    INSERT INTO play_titles (rowid, title, grandparent_title, parent_title, performer, edition)
    SELECT id, title, grandparent_title, parent_title, performer, edition FROM play_texts WHERE id = new.id;
END;
CREATE TRIGGER play_recounted AFTER UPDATE OF
    server, started_at, user_id, user_name, library_id, library, platform, watched_ms, ended_by ON plays
WHEN (new.server, new.started_at, new.user_id, new.user_name, new.library_id,
    new.library, new.platform, new.watched_ms, new.ended_by)
    IS NOT (old.server, old.started_at, old.user_id, old.user_name, old.library_id,
    old.library, old.platform, old.watched_ms, old.ended_by)
BEGIN
    UPDATE play_quarters SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0),
        estimated_ms = estimated_ms - CASE WHEN old.ended_by IS 'imported' THEN coalesce(old.watched_ms, 0) ELSE 0 END
    WHERE quarter = old.started_at / 900000 AND server = old.server;
    UPDATE play_days SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0),
        estimated_ms = estimated_ms - CASE WHEN old.ended_by IS 'imported' THEN coalesce(old.watched_ms, 0) ELSE 0 END
    WHERE day = old.started_at / 86400000 AND server = old.server
        AND user_id = coalesce(old.user_id, '=' || old.user_name, '')
        AND library = coalesce(old.library_id, '=' || old.library, '') AND platform = coalesce(old.platform, '');
    INSERT INTO play_quarters VALUES (
        new.started_at / 900000, new.server, 1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0),
        CASE WHEN new.ended_by IS 'imported' THEN coalesce(new.watched_ms, 0) ELSE 0 END
    ) ON CONFLICT (quarter, server) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms,
        estimated_ms = estimated_ms + excluded.estimated_ms;
    INSERT INTO play_days VALUES (
        new.started_at / 86400000, new.server, coalesce(new.user_id, '=' || new.user_name, ''),
        coalesce(new.library_id, '=' || new.library, ''), coalesce(new.platform, ''),
        1, new.watched_ms IS NOT NULL, coalesce(new.watched_ms, 0),
        CASE WHEN new.ended_by IS 'imported' THEN coalesce(new.watched_ms, 0) ELSE 0 END
    ) ON CONFLICT (day, server, user_id, library, platform) DO UPDATE SET
        plays = plays + 1, timed = timed + excluded.timed, watched_ms = watched_ms + excluded.watched_ms,
        estimated_ms = estimated_ms + excluded.estimated_ms;
END;
CREATE TRIGGER play_discounted AFTER DELETE ON plays BEGIN
    UPDATE play_quarters SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0),
        estimated_ms = estimated_ms - CASE WHEN old.ended_by IS 'imported' THEN coalesce(old.watched_ms, 0) ELSE 0 END
    WHERE quarter = old.started_at / 900000 AND server = old.server;
    UPDATE play_days SET
        plays = plays - 1, timed = timed - (old.watched_ms IS NOT NULL),
        watched_ms = watched_ms - coalesce(old.watched_ms, 0),
        estimated_ms = estimated_ms - CASE WHEN old.ended_by IS 'imported' THEN coalesce(old.watched_ms, 0) ELSE 0 END
    WHERE day = old.started_at / 86400000 AND server = old.server
        AND user_id = coalesce(old.user_id, '=' || old.user_name, '')
        AND library = coalesce(old.library_id, '=' || old.library, '') AND platform = coalesce(old.platform, '');
    INSERT INTO play_titles (play_titles, rowid, title, grandparent_title, parent_title, performer, edition)
    VALUES ('delete', old.id, coalesce(old.search_title, old.title),
        iif(old.search_title IS NULL, old.grandparent_title, NULL), iif(old.search_title IS NULL, old.parent_title, NULL),
        iif(old.search_title IS NULL, old.performer, NULL), iif(old.search_title IS NULL, old.edition, NULL));
END;

-- The length of an item may be known only later, from the catalogue.
CREATE TRIGGER play_estimated AFTER UPDATE OF item_id ON plays
WHEN new.ended_by IS 'imported' AND new.watched_ms IS NULL AND new.item_id IS NOT NULL
BEGIN
    UPDATE plays SET watched_ms = (SELECT duration_ms FROM items WHERE items.id = new.item_id) WHERE id = new.id;
END;
CREATE TRIGGER item_measured AFTER UPDATE OF duration_ms ON items
WHEN new.duration_ms IS NOT old.duration_ms AND new.duration_ms IS NOT NULL
BEGIN
    UPDATE plays SET watched_ms = new.duration_ms
    WHERE item_id = new.id AND ended_by = 'imported' AND watched_ms IS NULL;
END;
