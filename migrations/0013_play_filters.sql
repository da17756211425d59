-- Plays of one player, type or way of delivery, the newest first, without reading the others.
CREATE INDEX plays_by_player ON plays (client_identifier, started_at DESC, id DESC);
CREATE INDEX plays_by_type ON plays (type, started_at DESC, id DESC);
CREATE INDEX plays_by_decision ON plays (decision, started_at DESC, id DESC);
