"""Toolset `catalogue`."""
