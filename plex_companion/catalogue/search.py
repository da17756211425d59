"""Answers a search of the catalogue: names become ids, and the page carries a cursor that fits this search only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.item_rows import check_fields, describe_items
from plex_companion.catalogue.queries import describe_freshness, read_with_freshness
from plex_companion.catalogue.search_query import (
    ANYONE,
    NATURALLY_ASCENDING,
    SORT_VALUES,
    ItemFilter,
    SortOrder,
    SortPosition,
    find_items,
)
from plex_companion.errors import Invalid
from plex_companion.history.filters import find_library, find_user
from plex_companion.history.source import MOST, find_server
from plex_companion.names.search_text import build_match
from plex_companion.text import encode_json
from plex_companion.times import MINUTE_MS, parse_time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.catalogue.model import Totals
    from plex_companion.history.source import HistorySource

GB = 10**9
FARTHEST = 2.0**62
_START_OVER = "leave the cursor out to start over"


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """A search as the caller wrote it."""

    text: str | None = None
    type: str | None = None
    library: str | None = None
    genre: str | None = None
    person: str | None = None
    year: int | None = None
    year_from: int | None = None
    year_to: int | None = None
    duration_max_minutes: float | None = None
    rating_min: float | None = None
    content_rating: str | None = None
    resolution: str | None = None
    codec: str | None = None
    added_since: str | None = None
    watched_by: str | None = None
    unwatched_by: str | None = None
    unwatched_since: str | None = None
    size_min_gb: float | None = None
    sort: str | None = None


async def search_catalogue(
    source: HistorySource,
    question: SearchQuestion,
    fields: Sequence[str] | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return a page of the items that fit everything asked for, and the totals of all pages.

    Raises:
        Invalid: a text without a word, a time, a sort, a field or the cursor is malformed.
        NotFound: the library or a user is unknown.
        Ambiguous: several libraries or users have the name.
    """
    order, shown, most = parse_sort(question.sort), check_fields(fields), min(limit, MOST)
    filters, server = await _resolve_filters(source, question), find_server(source)

    def read(connection: sqlite3.Connection) -> tuple[list[dict[str, Any]], Totals, str | None]:
        digest = digest_question(connection, question)
        after = decode_position(cursor, digest) if cursor is not None else None
        found, totals = find_items(connection, server, filters, order, most + 1, after)
        following = encode_position(digest, found[most - 1][1]) if len(found) > most else None
        return describe_items(connection, server, [id_ for id_, _ in found[:most]], shown), totals, following

    (items, totals, following), fresh = await read_with_freshness(source.cache, server, read)
    return {
        "items": items,
        "total": totals.items,
        "total_size_bytes": totals.size_bytes,
        "next_cursor": following,
        "catalogue": describe_freshness(fresh, source.state),
    }


def parse_sort(given: str | None) -> SortOrder:
    """Return the order that a sort names; `-` before it reverses its natural direction.

    Raises:
        Invalid: there is no such sort.
    """
    wanted = (given or "title").strip().lower()
    name = wanted.removeprefix("-")
    if name not in SORT_VALUES:
        message = f"There is no sort {given!r}. Sorts: {', '.join(SORT_VALUES)}, each with - before it to reverse it."
        raise Invalid(message, argument="sort", allowed=list(SORT_VALUES))
    return SortOrder(name, (name not in NATURALLY_ASCENDING) != wanted.startswith("-"))


async def _resolve_filters(source: HistorySource, asked: SearchQuestion) -> ItemFilter:
    return ItemFilter(
        match=None if asked.text is None else _build_match(asked.text),
        type=asked.type,
        library_id=None if asked.library is None else await find_library(source, asked.library),
        genre=asked.genre,
        person=asked.person,
        year_from=_greatest(asked.year, asked.year_from),
        year_to=_least(asked.year, asked.year_to),
        duration_max_ms=scale_bound(asked.duration_max_minutes, MINUTE_MS),
        rating_min=asked.rating_min,
        content_rating=asked.content_rating,
        resolution=None if asked.resolution is None else asked.resolution.strip().lower().removesuffix("p"),
        codec=None if asked.codec is None else asked.codec.strip(),
        added_since=_parse_since(source, asked.added_since, "added_since"),
        watched_by=await _find_viewer(source, asked.watched_by),
        unwatched_by=await _find_viewer(source, asked.unwatched_by),
        unwatched_since=_parse_since(source, asked.unwatched_since, "unwatched_since"),
        size_min_bytes=scale_bound(asked.size_min_gb, GB),
    )


def _build_match(text: str) -> str:
    if (match := build_match(text)) is None:
        message = f"text {text[:40]!r} contains no word: give a word of a title, a name or a summary, or its beginning."
        raise Invalid(message, argument="text")
    return match


def _greatest(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def scale_bound(value: float | None, unit: int) -> int | None:
    """Return a bound in the unit of the database, at most what SQLite's integers hold: nothing is larger than that."""
    return None if value is None else round(min(max(value * unit, -FARTHEST), FARTHEST))


def _parse_since(source: HistorySource, given: str | None, argument: str) -> int | None:
    return None if given is None else parse_time(given, source.now_ms, argument, zone=source.zone)


async def _find_viewer(source: HistorySource, wanted: str | None) -> str | None:
    """Return the id of a user, or that anybody counts."""
    if wanted is None or wanted.strip().casefold() == ANYONE:
        return None if wanted is None else ANYONE
    return await find_user(source, wanted)


def digest_question(connection: sqlite3.Connection, question: object) -> str:
    """Return what a cursor carries: which database it is of, and which question, by its `repr`."""
    (tag,) = connection.execute("SELECT value FROM about WHERE name = 'database'").fetchone()
    return hashlib.sha256(f"{tag}{question!r}".encode()).hexdigest()[:16]


def encode_position(digest: str, place: SortPosition) -> str:
    """Encode where the next page begins."""
    return base64.urlsafe_b64encode(encode_json([digest, *place]).encode()).decode().rstrip("=")


def decode_position(text: str, digest: str) -> SortPosition:
    """Return the position in a cursor.

    Raises:
        Invalid: it is not a cursor, or one of another search.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        content = None
    match content:
        case [str() as of, bool() as unknown, str() | int() | float() as value, int() as id_] if abs(id_) < 2**63:
            if of == digest:
                return SortPosition(unknown, value, id_)
            message = f"This cursor belongs to another question: repeat all arguments unchanged, or {_START_OVER}."
        case _:
            message = f"{text[:40]!r} is not a cursor: pass next_cursor of the last answer unchanged, or {_START_OVER}."
    raise Invalid(message, argument="cursor")
