"""What is read from the database beside the live state."""
