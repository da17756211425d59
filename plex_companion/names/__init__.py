"""Names and titles: when two spellings are equal, and who is meant."""
