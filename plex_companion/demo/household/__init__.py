"""The demo household: its data, the built-in one, and reading one from a JSON file."""
