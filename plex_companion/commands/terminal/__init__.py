"""The live view of the terminal, rendered from the state in pure code."""
