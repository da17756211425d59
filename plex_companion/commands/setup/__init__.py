"""First-time setup: a token from plex.tv, and an entry in an AI host."""
