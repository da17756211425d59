"""What people finished of the libraries, what is next for them, and what they may like."""
