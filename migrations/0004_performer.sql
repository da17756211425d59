-- Who performs a track where that is not the artist of its album, as on a compilation; and which edition of a film it is.
ALTER TABLE plays ADD COLUMN performer TEXT;
ALTER TABLE plays ADD COLUMN edition TEXT;

-- Plays that have one of the two, found by it and their titles together. Most plays have neither.
CREATE VIRTUAL TABLE play_titles_credited USING fts5 (
    title, grandparent_title, parent_title, performer, edition,
    content = 'plays', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER play_credited AFTER INSERT ON plays
WHEN coalesce(new.performer, new.edition) IS NOT NULL
BEGIN
    INSERT INTO play_titles_credited (rowid, title, grandparent_title, parent_title, performer, edition)
    VALUES (new.id, new.title, new.grandparent_title, new.parent_title, new.performer, new.edition);
END;
CREATE TRIGGER play_recredited AFTER UPDATE OF title, grandparent_title, parent_title, performer, edition ON plays
WHEN (new.title, new.grandparent_title, new.parent_title, new.performer, new.edition)
    IS NOT (old.title, old.grandparent_title, old.parent_title, old.performer, old.edition)
BEGIN
    INSERT INTO play_titles_credited (
        play_titles_credited, rowid, title, grandparent_title, parent_title, performer, edition
    )
    SELECT 'delete', old.id, old.title, old.grandparent_title, old.parent_title, old.performer, old.edition
    WHERE coalesce(old.performer, old.edition) IS NOT NULL;
    INSERT INTO play_titles_credited (rowid, title, grandparent_title, parent_title, performer, edition)
    SELECT new.id, new.title, new.grandparent_title, new.parent_title, new.performer, new.edition
    WHERE coalesce(new.performer, new.edition) IS NOT NULL;
END;
CREATE TRIGGER play_uncredited AFTER DELETE ON plays
WHEN coalesce(old.performer, old.edition) IS NOT NULL
BEGIN
    INSERT INTO play_titles_credited (
        play_titles_credited, rowid, title, grandparent_title, parent_title, performer, edition
    )
    VALUES (
        'delete', old.id, old.title, old.grandparent_title, old.parent_title, old.performer, old.edition
    );
END;
