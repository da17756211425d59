"""Standard output and standard error of the commands, without secrets."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from plex_companion.text import SecretFilter


class FilteredStream:
    """A text stream that hides secrets in what is written to it, and is the stream below in everything else."""

    def __init__(self, stream: TextIO, secrets: SecretFilter) -> None:
        self._stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        """Write a text without the secrets in it."""
        return self._stream.write(self._secrets.hide(text))

    def __getattr__(self, name: str) -> Any:
        """Return what the stream below has."""
        return getattr(self._stream, name)


def filter_streams(secrets: SecretFilter) -> None:
    """Hide secrets in everything this process prints from now on, the traceback of a crash included.

    A terminal that cannot show a character of a title shows a question mark in its place.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout = cast("TextIO", FilteredStream(sys.stdout, secrets))
    sys.stderr = cast("TextIO", FilteredStream(sys.stderr, secrets))
