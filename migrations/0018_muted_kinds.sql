-- Kinds of alerts that a person has muted: their alerts are recorded, and nobody is told.
CREATE TABLE muted_kinds (
    kind TEXT PRIMARY KEY,
    muted_at INTEGER NOT NULL
) STRICT;
