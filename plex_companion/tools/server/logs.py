"""Plex's log files: the archive that Plex builds, opened in memory, and the requested lines."""

from __future__ import annotations

import io
import posixpath
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Ambiguous, Invalid, NotFound, PlexError, TooLarge
from plex_companion.plex.query import download
from plex_companion.plex.xml.attributes import shorten
from plex_companion.text import clean, format_count, mask, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.ttl_cache import TtlCache

ARCHIVE = "/diagnostics/logs"
MOST_BYTES = 100_000_000
"""The maximum size of the archive, and of one unpacked file."""
MOST_LINES = 1000
MOST_TEXT = 256 * 1024
"""The maximum size in bytes of the lines in one answer."""
LONGEST_LINE = 4_000
KEPT_SECONDS = 60.0
TYPES = {
    "server": "Plex Media Server.log",
    "scanner": "Plex Media Scanner.log",
    "transcoder": "Plex Transcoder Statistics.log",
    "updater": "Plex Update Service.log",
    "tuner": "Plex Tuner Service.log",
    "scanner-deep-analysis": "Plex Media Scanner Deep Analysis.log",
    "credits": "Plex Media Scanner Credits.log",
    "chapter-thumbnails": "Plex Media Scanner Chapter Thumbnails.log",
    "crash-uploader": "Plex Crash Uploader.log",
}


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines to read. `start` counts lines of the file, or matches in a search; `None` reads the end."""

    lines: int
    start: int | None
    search: str | None

    @property
    def mode(self) -> str:
        """The name of the mode in the answer."""
        if self.search is not None:
            return "search"
        return "tail" if self.start is None else "range"


def build_query(num_lines: int, start_line: int | None, search_term: str | None) -> LogQuery:
    """Return the validated query.

    Raises:
        Invalid: fewer than one line, a negative start, or an empty search term.
    """
    if num_lines < 1:
        raise Invalid(f"num_lines must be at least 1; got {num_lines}.", argument="num_lines")
    if start_line is not None and start_line < 0:
        raise Invalid(f"start_line counts from 0; got {start_line}.", argument="start_line")
    if search_term is not None and not search_term:
        raise Invalid("search_term must not be empty; omit it to see the end of the log.", argument="search_term")
    return LogQuery(min(num_lines, MOST_LINES), start_line, search_term)


def list_names(plex: PlexServer, known: TtlCache) -> list[str]:
    """Return the names of the log files in the archive. At most one request a minute."""
    return sorted(_list_logs(_get_archive(plex, known)))


def read_lines(plex: PlexServer, known: TtlCache, log_type: str) -> tuple[str, list[str]]:
    """Return the name and all lines of the requested file. At most one request a minute.

    Raises:
        NotFound: there is no such file; the error lists the names.
        Ambiguous: several match; the error lists them.
        TooLarge: the file is too large.
    """
    archive = _get_archive(plex, known)
    name = pick_file(_list_logs(archive), log_type)
    text = read_text(archive, name, MOST_BYTES).replace("\r\n", "\n").removesuffix("\n")
    return name, text.split("\n") if text else []  # not `splitlines`: titles in a log may contain other separators


def _get_archive(plex: PlexServer, known: TtlCache) -> zipfile.ZipFile:
    body = known.get_or_fetch(ARCHIVE, KEPT_SECONDS, lambda: download(plex, ARCHIVE, MOST_BYTES))
    try:
        return zipfile.ZipFile(io.BytesIO(body))
    except zipfile.BadZipFile:
        known.forget(ARCHIVE)
    raise PlexError(f"GET {ARCHIVE}: the answer is not a zip archive. Try again in a moment.")


def _list_logs(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if not name.endswith("/")]


def read_text(archive: zipfile.ZipFile, name: str, most: int) -> str:
    """Return the text of a file of the archive. The size in its header is not trusted.

    Raises:
        TooLarge: it has more than `most` bytes.
        PlexError: it cannot be unpacked.
    """
    try:
        with archive.open(name) as file:
            body = file.read(most + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        unreadable = type(error).__name__
    else:
        if len(body) > most:
            raise TooLarge(f"'{clean(name)}' has more than {most} bytes and is too large to show.", limit_bytes=most)
        return body.decode("utf-8", "replace")
    raise PlexError(f"'{clean(name)}' in Plex's log archive cannot be unpacked ({unreadable}). Try again in a moment.")


def pick_file(names: Sequence[str], log_type: str) -> str:
    """Return the file for a known log type, a file name, or a part that only one name contains."""
    query = log_type.strip().casefold()
    full = TYPES.get(query, log_type.strip()).casefold()
    rules: tuple[Callable[[str], bool], ...] = (
        lambda name: name.casefold() == full,
        lambda name: posixpath.basename(name.casefold()) == full,
        lambda name: bool(query) and query in name.casefold(),
    )
    fitting = next(filter(None, ([name for name in names if rule(name)] for rule in rules)), [])
    if not fitting:
        available = sorted(names)[:50]
        message = f"No log '{log_type}'. Types: {', '.join(TYPES)}. Files: {', '.join(available) or 'none'}."
        raise NotFound(message, what="log", available=available)
    if len(fitting) > 1:
        message = (
            f"{len(fitting)} logs match '{log_type}': {', '.join(sorted(fitting)[:50])}. Use the full name of one file."
        )
        raise Ambiguous(message, argument="log_type", matches=sorted(fitting)[:50])
    return fitting[0]


def build_result(name: str, lines: Sequence[str], query: LogQuery, *, private: bool) -> dict[str, Any]:
    """Return the lines as a result: numbered from 0, without secrets, within the limits."""
    numbered = _filter_lines(lines, query.search, private=private) if query.search else list(enumerate(lines))
    first = max(0, len(numbered) - query.lines) if query.start is None else query.start
    window = numbered[first : first + query.lines]
    kept = _limit_lines([{"n": n, "text": _mask(line, private=private)} for n, line in window], query)
    first += len(window) - len(kept) if query.start is None else 0
    return {
        "file": name,
        "mode": query.mode,
        "total_lines" if query.search is None else "total_matches": len(numbered),
        "first_line": first if kept else None,
        "last_line": first + len(kept) - 1 if kept else None,
        "limit": query.lines,
        "truncated": len(kept) < len(window),
        "lines": kept,
    }


def _filter_lines(lines: Sequence[str], term: str, *, private: bool) -> list[tuple[int, str]]:
    """Return the lines that contain the term even with secrets masked: a search must not find out a secret."""
    query = term.casefold()
    found = ((n, _mask(line, private=private)) for n, line in enumerate(lines) if query in line.casefold())
    return [(n, line) for n, line in found if query in line.casefold()]


def _mask(line: str, *, private: bool) -> str:
    # Shortened last: a truncated token or address would not be recognised and masked.
    text = redact(clean(line))
    return shorten(mask(text) if private else text, LONGEST_LINE) or ""


def _limit_lines(lines: list[dict[str, Any]], query: LogQuery) -> list[dict[str, Any]]:
    """Return as many lines as fit into one answer: the last ones when reading the end, else the first."""
    tail = query.start is None
    left, kept = MOST_TEXT, []
    for line in reversed(lines) if tail else lines:
        left -= len(line["text"].encode())
        if left < 0:
            break
        kept.append(line)
    return kept[::-1] if tail else kept


def describe_lines(found: dict[str, Any], query: LogQuery) -> str:
    """Describe the lines in a sentence."""
    name, count = clean(found["file"]), len(found["lines"])
    if query.search is not None:
        return f"Found {format_count(found['total_matches'], 'line')} with '{query.search}' in {name}; showing {count}."
    if query.start is None:
        return f"Last {count} of {format_count(found['total_lines'], 'line')} of {name}."
    if not count:
        return (
            f"{name} has {format_count(found['total_lines'], 'line')}, none from {query.start} on (they count from 0)."
        )
    return f"Lines {found['first_line']} to {found['last_line']} of the {found['total_lines']} of {name}, from 0."
