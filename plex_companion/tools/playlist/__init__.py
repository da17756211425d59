"""Toolset `playlist`."""
