"""Everything that talks to Plex, over HTTP and over the websocket."""
