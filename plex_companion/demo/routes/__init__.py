"""What the demo server answers, one module for each part of Plex's API."""
