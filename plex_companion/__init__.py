"""Listens to a Plex Media Server, remembers what happened, and tells MCP clients as it happens."""

__version__ = "0.1.0"
