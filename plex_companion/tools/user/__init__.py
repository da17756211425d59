"""Toolset `user`."""
