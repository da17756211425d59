"""Occurrences: what events mean, typed. Declared once, derived from changes, read by cursor."""
