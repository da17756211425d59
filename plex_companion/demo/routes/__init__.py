"""The handlers of the demo server, one module for each part of Plex's API. They get the state, not the server."""
