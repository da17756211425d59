"""The room that talks to Plex: what it answers over HTTP, and what it says over the websocket."""
