"""The past on the command line: asked of the database alone, without Plex, drawn as tables and bars or told as JSON."""
