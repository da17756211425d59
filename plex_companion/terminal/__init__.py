"""What a person sees in a terminal: drawn from the state in pure code, shown by `plex_companion.watch`."""
