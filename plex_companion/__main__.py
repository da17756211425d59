"""`python -m plex_companion` is `plex-companion`."""

from plex_companion.cli import main

if __name__ == "__main__":
    main()
