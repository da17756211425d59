"""Tools for rules that households write."""
