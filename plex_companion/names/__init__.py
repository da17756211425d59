"""Names and titles: when two spellings are equal, and which user a name identifies."""
