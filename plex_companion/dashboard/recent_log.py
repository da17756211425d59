"""The last lines of the log, in memory, for the settings page."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.text import SecretFilter, clean, cut, redact_personal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINES = 300
LONGEST_LINE = 500


@dataclass(frozen=True, slots=True)
class RecentLine:
    """One line of the log, without secrets and addresses."""

    at: int
    level: str
    name: str
    text: str


class RecentLog(logging.Handler):
    """Keeps the last lines of the log."""

    def __init__(self, secrets: Iterable[str], lines: int = LINES) -> None:
        super().__init__(logging.INFO)
        self._secrets = SecretFilter(secrets)
        self._lines: deque[RecentLine] = deque(maxlen=lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line. The traceback of an error is left out: it is in the log itself."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # its arguments do not fit; the log itself says so
            return
        text = cut(clean(redact_personal(self._secrets.hide(message))), LONGEST_LINE)
        self._lines.append(RecentLine(round(record.created * 1000), record.levelname, record.name, text))

    def list_lines(self) -> list[RecentLine]:
        """Return the lines, newest first."""
        return list(reversed(self._lines))


@contextmanager
def keep_recent_log(secrets: Iterable[str]) -> Iterator[RecentLog]:
    """Keep the last lines of the log while the block runs."""
    kept = RecentLog(secrets)
    root = logging.getLogger()
    root.addHandler(kept)
    try:
        yield kept
    finally:
        root.removeHandler(kept)
