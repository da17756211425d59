"""Transactions of the leader as lists of named writes, which other machines run too."""
