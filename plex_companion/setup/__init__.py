"""Getting started: a token from Plex, and an entry in an AI host. Nothing is written that a person did not agree to."""
