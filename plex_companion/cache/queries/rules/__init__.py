"""Queries on what rules are tried on, and what they begin with."""
