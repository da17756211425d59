"""Toolset `library`."""
