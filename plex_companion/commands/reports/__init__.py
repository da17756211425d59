"""Commands about the past, answered from the database alone."""
