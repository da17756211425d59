-- Calls of tools whose work goes on in Plex after the answer.
CREATE TABLE tool_tasks (
    id TEXT PRIMARY KEY,
    server TEXT NOT NULL REFERENCES servers (machine_identifier),
    principal TEXT NOT NULL,
    tool TEXT NOT NULL,
    activity TEXT NOT NULL,
    result TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('working', 'completed', 'cancelled')),
    message TEXT,
    sections TEXT NOT NULL,
    running TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX tool_tasks_working ON tool_tasks (created_at) WHERE status = 'working';
