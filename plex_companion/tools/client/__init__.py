"""Toolset `client`."""
