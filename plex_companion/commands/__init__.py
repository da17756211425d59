"""The commands of `plex-companion`."""
