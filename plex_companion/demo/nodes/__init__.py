"""The household as elements of an answer."""
