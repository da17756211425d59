-- How often something changed that figures are computed from, so that figures are kept in memory until it changes again.

-- Plays, by block of 14 days of UTC since 1970, in which they began. A row stays when its plays are gone.
CREATE TABLE play_revisions (
    block INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO play_revisions SELECT DISTINCT started_at / 1209600000, 1 FROM plays;
CREATE TRIGGER play_block_inserted AFTER INSERT ON plays BEGIN
    INSERT INTO play_revisions VALUES (new.started_at / 1209600000, 1)
    ON CONFLICT (block) DO UPDATE SET revision = revision + 1;
END;
CREATE TRIGGER play_block_updated AFTER UPDATE OF
    server, started_at, ended_at, ended_by, user_id, user_name, library_id, library, platform, decision, video_resolution,
    watched_ms
    ON plays
WHEN (new.server, new.started_at, new.ended_at, new.ended_by, new.user_id, new.user_name, new.library_id, new.library, new.platform,
    new.decision, new.video_resolution, new.watched_ms)
    IS NOT (old.server, old.started_at, old.ended_at, old.ended_by, old.user_id, old.user_name, old.library_id, old.library, old.platform,
    old.decision, old.video_resolution, old.watched_ms)
BEGIN
    INSERT INTO play_revisions VALUES (old.started_at / 1209600000, 1)
    ON CONFLICT (block) DO UPDATE SET revision = revision + 1;
    INSERT INTO play_revisions SELECT new.started_at / 1209600000, 1
    WHERE new.started_at / 1209600000 <> old.started_at / 1209600000
    ON CONFLICT (block) DO UPDATE SET revision = revision + 1;
END;
CREATE TRIGGER play_block_deleted AFTER DELETE ON plays BEGIN
    INSERT INTO play_revisions VALUES (old.started_at / 1209600000, 1)
    ON CONFLICT (block) DO UPDATE SET revision = revision + 1;
END;

-- How many streams there were at once, and how they were delivered. Of imported plays neither is known.
CREATE INDEX plays_streams ON plays (started_at, ended_at, decision, video_resolution, watched_ms, ended_by, server)
WHERE ended_by IS NOT 'imported';

-- Other figures: `catalogue` when items or files were added, removed or changed in what is counted or shown; `finishes`
-- when a play began or ended, or Plex counted it.
CREATE TABLE figure_revisions (
    subject TEXT PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO figure_revisions VALUES ('catalogue', 1), ('finishes', 1);
CREATE TRIGGER item_inserted AFTER INSERT ON items BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'catalogue';
END;
CREATE TRIGGER item_deleted AFTER DELETE ON items BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'catalogue';
END;
CREATE TRIGGER item_updated AFTER UPDATE OF
    server, section_id, type, guid, title, edition, year, item_index, parent_index, parent_key, grandparent_key, grandparent_title,
    added_at, duration_ms, size_bytes, leaf_count, view_count, last_viewed_at, view_offset_ms ON items
WHEN (new.server, new.section_id, new.type, new.guid, new.title, new.edition, new.year, new.item_index, new.parent_index, new.parent_key,
    new.grandparent_key, new.grandparent_title, new.added_at, new.duration_ms, new.size_bytes, new.leaf_count, new.view_count,
    new.last_viewed_at, new.view_offset_ms)
    IS NOT (old.server, old.section_id, old.type, old.guid, old.title, old.edition, old.year, old.item_index, old.parent_index, old.parent_key,
    old.grandparent_key, old.grandparent_title, old.added_at, old.duration_ms, old.size_bytes, old.leaf_count, old.view_count,
    old.last_viewed_at, old.view_offset_ms)
BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'catalogue';
END;
CREATE TRIGGER file_inserted AFTER INSERT ON files BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'catalogue';
END;
CREATE TRIGGER file_deleted AFTER DELETE ON files BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'catalogue';
END;
CREATE TRIGGER file_updated AFTER UPDATE OF position, size_bytes, container, resolution, video_codec, audio_codec ON files
WHEN (new.position, new.size_bytes, new.container, new.resolution, new.video_codec, new.audio_codec)
    IS NOT (old.position, old.size_bytes, old.container, old.resolution, old.video_codec, old.audio_codec)
BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'catalogue';
END;
CREATE TRIGGER section_renamed AFTER UPDATE OF server, title ON catalogue_sections
WHEN (new.server, new.title) IS NOT (old.server, old.title) BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'catalogue';
END;
CREATE TRIGGER finish_inserted AFTER INSERT ON plays BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'finishes';
END;
CREATE TRIGGER finish_updated AFTER UPDATE OF server, item_id, user_id, viewed_at, ended_at ON plays
WHEN (new.server, new.item_id, new.user_id, new.viewed_at, new.ended_at)
    IS NOT (old.server, old.item_id, old.user_id, old.viewed_at, old.ended_at)
BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'finishes';
END;
CREATE TRIGGER finish_deleted AFTER DELETE ON plays BEGIN
    UPDATE figure_revisions SET revision = revision + 1 WHERE subject = 'finishes';
END;
