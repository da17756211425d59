"""Toolset `server`."""
