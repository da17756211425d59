-- Webhooks that clients of MCP Events subscribed to occurrences. The secret is the client's: it signs what is sent, so it must
-- outlive a restart.
CREATE TABLE event_subscriptions (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    url TEXT NOT NULL,
    name TEXT NOT NULL,
    arguments TEXT NOT NULL,
    secret TEXT NOT NULL,
    revision TEXT NOT NULL,
    refreshed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    progress TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    previous_secret TEXT,
    previous_until INTEGER
) STRICT;
CREATE INDEX event_subscriptions_by_principal ON event_subscriptions (principal);
