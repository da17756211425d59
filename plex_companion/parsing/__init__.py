"""How values that Plex wrote are read, whatever they came in."""
