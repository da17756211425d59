"""Toolset `media`."""
