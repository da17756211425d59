"""Plex's answers: read as XML, repaired, and turned into models."""
