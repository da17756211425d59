"""Commands about the past that read the database alone."""
