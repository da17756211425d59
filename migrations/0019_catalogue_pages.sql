-- Indexes that the pages of libraries are answered from without reading the rows of items, which hold long texts, or all files.
DROP INDEX items_by_section;
CREATE INDEX items_by_section ON items (section_id, type, server, added_at);
CREATE INDEX files_further ON files (item_id) WHERE position > 0;
