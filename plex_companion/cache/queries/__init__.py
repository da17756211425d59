"""Queries that read the database instead of the live state."""
