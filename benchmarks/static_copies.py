"""`python -m benchmarks.static_copies FOLDER [OPTION]…`: `plex-companion serve` with the files of a folder among its static files.

A page that was saved as a file is then answered as the style sheet is: at once, whatever the page has to ask.
"""

from __future__ import annotations

import sys
from pathlib import Path

from plex_companion.cli import main as run_command_line
from plex_companion.dashboard.static_files import StaticFile, load_files


def add_files(folder: Path) -> None:
    """Serve the files of a folder under `/static/`."""
    load_files().update({file.name: StaticFile(file.read_bytes(), "text/html") for file in folder.glob("*.html")})


if __name__ == "__main__":
    add_files(Path(sys.argv.pop(1)))
    sys.argv.insert(1, "serve")
    run_command_line()
