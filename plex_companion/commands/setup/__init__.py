"""Getting started: a token from Plex, and an entry in an AI host."""
