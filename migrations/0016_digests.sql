-- The weekly digest in the outbox: the time it was due at, so that none is sent twice.
ALTER TABLE deliveries ADD COLUMN digest_at INTEGER;
