"""Selecting and searching as Plex does."""
