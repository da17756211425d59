"""Toolset `collection`."""
