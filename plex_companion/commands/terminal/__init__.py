"""What a terminal shows: drawn from the state in pure code."""
