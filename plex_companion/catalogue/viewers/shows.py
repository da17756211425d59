"""Finds a show by its rating key or its title."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.errors import Ambiguous, NotFound
from plex_companion.names.folding import fold
from plex_companion.names.search_text import matches_words
from plex_companion.names.title_years import split_year
from plex_companion.text import mask

if TYPE_CHECKING:
    import sqlite3

SHOWN = 25
"""The most shows that an error lists."""

_SHOW = """
    SELECT items.id AS id, rating_key, items.title AS title, original_title, year, catalogue_sections.title AS library
    FROM items LEFT JOIN catalogue_sections ON catalogue_sections.server = items.server
        AND catalogue_sections.section_id = items.section_id
    WHERE items.server = :server AND items.type = 'show'
"""
_OF_KEY = f"{_SHOW} AND items.rating_key = :key"
_SHOWS = f"{_SHOW} AND items.type IN ('movie', 'show') ORDER BY items.title COLLATE NOCASE, items.id"
"""The second condition is that of the index `items_whole`."""
_COLUMNS = ("id", "rating_key", "title", "original_title", "year", "library")
Show = dict[str, Any]


def find_show(connection: sqlite3.Connection, server: str | None, wanted: str) -> Show:
    """Return the show with this rating key or title, else the only one whose title contains these words.

    Raises:
        NotFound: there is none.
        Ambiguous: there are several; `matches` tells them apart.
    """
    given = {"server": server, "key": wanted.strip()}
    found = _read_shows(connection, _OF_KEY, given)
    shows = [] if found else _read_shows(connection, _SHOWS, given)
    found = found or match_shows(shows, wanted)
    if len(found) == 1:
        return found[0]
    if not found:
        message = f"The catalogue has no show '{mask(wanted)}'. catalogue_search with type show finds shows by words."
        raise NotFound(message, what="show", available=[show["title"] for show in shows[:SHOWN]])
    names = ("rating_key", "title", "year", "library")
    matches = [{name: show[name] for name in names} for show in found[:SHOWN]]
    message = f"'{mask(wanted)}' fits {len(found)} shows: pass the rating_key of the one that is meant."
    raise Ambiguous(message, argument="show", matches=matches)


def _read_shows(connection: sqlite3.Connection, sql: str, given: dict[str, str | None]) -> list[Show]:
    return [dict(zip(_COLUMNS, row, strict=True)) for row in map(tuple, connection.execute(sql, given))]


def match_shows(shows: list[Show], wanted: str) -> list[Show]:
    """Return the shows of exactly this title, with its year if it has one, else with these words."""
    given = wanted.strip()
    title, year, _ = split_year(given) or (given, None, False)
    rules = (
        lambda show: fold(given) in {fold(show["title"]), fold(show["original_title"] or "")} - {""},
        lambda show: year is not None and fold(show["title"]) == fold(title) and show["year"] == year,
        lambda show: bool(fold(given)) and matches_words(show["title"], given),
    )
    return next((found for rule in rules if (found := [show for show in shows if rule(show)])), [])
