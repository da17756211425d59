"""Toolset `watchlist`."""
