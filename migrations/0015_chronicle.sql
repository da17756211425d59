-- How far this file has applied the log that several machines share: the number of the last entry, and a digest of it, by which
-- another log is recognised. 0: nothing was ever logged; 1 with no digest: the file as it was when the log began.
CREATE TABLE chronicle_position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL,
    digest TEXT
) STRICT;
INSERT INTO chronicle_position VALUES (1, 0, NULL);
