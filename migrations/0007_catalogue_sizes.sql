-- Indexes that answer questions about sizes and watch time without reading the rows themselves, which hold long texts.
CREATE INDEX items_sizes ON items (
    server, added_at, section_id, parent_key, grandparent_key, type, size_bytes, duration_ms
) WHERE type IN ('movie', 'episode', 'track');
CREATE INDEX items_whole ON items (server, type, added_at, section_id, rating_key, size_bytes)
WHERE type IN ('movie', 'show');
CREATE INDEX items_viewed ON items (id, last_viewed_at) WHERE view_count > 0 AND type IN ('movie', 'episode', 'track');
DROP INDEX plays_by_item;
CREATE INDEX plays_watched ON plays (item_id, user_id, watched_ms) WHERE item_id IS NOT NULL;

-- As it was, but by its indexes: SQLite knows too little of the data to choose them by itself.
DROP VIEW finishes;
CREATE VIEW finishes AS
SELECT item_id, user_id, coalesce(viewed_at, ended_at, updated_at) AS at FROM plays INDEXED BY plays_finished
WHERE item_id IS NOT NULL AND (viewed_at IS NOT NULL OR view_offset_ms * 10 >= duration_ms * 9)
UNION ALL
SELECT id AS item_id, '1' AS user_id, coalesce(last_viewed_at, 0) AS at FROM items INDEXED BY items_viewed
WHERE view_count > 0 AND type IN ('movie', 'episode', 'track');

-- What was begun and not finished.
CREATE INDEX plays_begun ON plays (item_id) WHERE item_id IS NOT NULL AND viewed_at IS NULL AND view_offset_ms > 0;
CREATE INDEX items_begun ON items (id) WHERE view_offset_ms > 0;
