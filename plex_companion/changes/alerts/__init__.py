"""What wants attention, and when it no longer does."""
