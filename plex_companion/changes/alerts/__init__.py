"""The rules that open and resolve alerts."""
