-- Plays grouped by title are kept in memory too: a block of plays has changed when what was played has got another identity.
CREATE TRIGGER play_block_identified AFTER UPDATE OF
    type, guid, rating_key, title, year, grandparent_guid, grandparent_rating_key, grandparent_title
    ON plays
WHEN (new.type, new.guid, new.rating_key, new.title, new.year, new.grandparent_guid, new.grandparent_rating_key, new.grandparent_title)
    IS NOT (old.type, old.guid, old.rating_key, old.title, old.year, old.grandparent_guid, old.grandparent_rating_key, old.grandparent_title)
BEGIN
    INSERT INTO play_revisions VALUES (new.started_at / 1209600000, 1)
    ON CONFLICT (block) DO UPDATE SET revision = revision + 1;
END;

-- The newest plays of a show are found without reading the rows of all its plays.
DROP INDEX plays_watched;
CREATE INDEX plays_watched ON plays (item_id, user_id, watched_ms, started_at) WHERE item_id IS NOT NULL;
