"""The server's own play history: its rows, and the names behind its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.plex.query import get, get_page
from plex_companion.plex.xml.attributes import (
    describe_match,
    drop_nulls,
    parse_identifier,
    read_local_time,
    read_number,
    read_performer,
    read_text,
    read_utc,
    read_year,
)
from plex_companion.tools.users import KEPT_SECONDS, mask_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer

HISTORY = "/status/sessions/history/all"
NEWEST_FIRST = "viewedAt:desc"
MINUTES = "%Y-%m-%d %H:%M"
PAGE, PAGES = 200, 4


@dataclass(slots=True)
class HistoryWalk:
    """An iteration over one account's history, newest first, with at most `PAGES` requests."""

    plex: PlexServer
    account_id: int | None
    looked_at: int = 0
    total: int = 0

    @property
    def stopped_early(self) -> bool:
        """Whether there are older plays that were not read."""
        return self.looked_at < self.total

    def __iter__(self) -> Iterator[Element]:
        """Yield each play once, although plays that begin meanwhile shift the pages."""
        seen: set[str | None] = set()
        for start in range(0, PAGE * PAGES, PAGE):
            found = get_page(
                self.plex, HISTORY, offset=start, limit=PAGE, sort=NEWEST_FIRST, accountID=self.account_id
            )  # fmt: skip
            self.total = found.total
            for row in found.rows:
                self.looked_at += 1
                if row.get("historyKey") not in seen:
                    seen.add(row.get("historyKey"))
                    yield row
            if start + len(found.rows) >= found.total or not found.rows:
                return


def drop_repeats(rows: Iterator[Element]) -> Iterator[Element]:
    """Return the newest play of each item. Rows of deleted items have no id and all stay."""
    seen: set[str] = set()
    for row in rows:
        key = row.get("ratingKey")
        if key not in seen:
            yield row
        if key:
            seen.add(key)


def get_accounts(plex: PlexServer, companion: Companion) -> dict[int | None, str | None]:
    """Return the server's names of its users by account id, cached for ten minutes."""

    def fetch() -> dict[int | None, str | None]:
        return {read_number(row, "id"): read_text(row, "name") for row in get(plex, "/accounts").iter("Account")}

    return companion.ttl_cache.get_or_fetch("names of accounts", KEPT_SECONDS, fetch)


def get_devices(plex: PlexServer, companion: Companion) -> dict[int | None, str | None]:
    """Return the server's names of its players by device id, cached for ten minutes."""

    def fetch() -> dict[int | None, str | None]:
        rows = get(plex, "/devices").iter("Device")
        return {read_number(row, "id"): mask_name(read_text(row, "name"), companion) for row in rows}

    return companion.ttl_cache.get_or_fetch("names of devices", KEPT_SECONDS, fetch)


def describe_time(row: Element) -> dict[str, Any]:
    """Return when the item was played, and the id of the history row."""
    return {
        "rating_key": parse_identifier(row.get("ratingKey")),
        "viewed_at_utc": read_utc(row, "viewedAt"),
        "history_key": read_text(row, "historyKey"),
    }


def describe_play(row: Element, names: dict[int | None, str | None]) -> dict[str, Any]:
    """Describe a play in a user's history."""
    above: dict[str, Any] = {"year": read_year(row)}
    if row.get("type") == "episode":
        above = {
            "show": read_text(row, "grandparentTitle"),
            "season": read_season(row),
            "episodeNumber": read_number(row, "index"),
            "seasonNumber": read_number(row, "parentIndex"),
        }
    if row.get("type") == "track":
        above |= {"artist": read_text(row, "grandparentTitle"), "album": read_text(row, "parentTitle")}
    above |= drop_nulls({"performer": read_performer(row), "edition": read_text(row, "editionTitle")})
    return {
        "type": read_text(row, "type"),
        "title": read_text(row, "title"),
        "ratingKey": parse_identifier(row.get("ratingKey")),
        **above,
        "viewedAt": read_local_time(row, "viewedAt", MINUTES),
        **describe_time(row),
        "device": names.get(read_number(row, "deviceID")),
    }


def describe_view(
    row: Element, companion: Companion, users: dict[int | None, str | None], players: dict[int | None, str | None]
) -> dict[str, Any]:
    """Describe a play in an item's history: user, time, device."""
    user_id = read_number(row, "accountID")
    return {
        "user": mask_name(users.get(user_id), companion),
        "viewed_at": read_local_time(row, "viewedAt", MINUTES),
        "device": players.get(read_number(row, "deviceID")),
        "user_id": user_id,
        **describe_time(row),
        "title": read_text(row, "title"),
    }


def read_season(row: Element) -> str | None:
    """Return the season's title. Not every server puts it into the history."""
    index = read_number(row, "parentIndex")
    return read_text(row, "parentTitle") or (None if index is None else f"Season {index}")


def describe_media_match(row: Element) -> dict[str, Any]:
    """Describe an item as one of several matches, with the keys that callers of the predecessor expect."""
    known = describe_media(row)
    more = {name: known.get(name) for name in ("media_id", "formatted_title", "show_title")}
    numbers = {"episode_number": read_number(row, "index")} if row.get("type") == "episode" else {}
    return {**describe_match(row), **drop_nulls(more), **numbers}


def describe_media(row: Element) -> dict[str, Any]:
    """Describe the item whose history is shown."""
    rating_key, title = parse_identifier(row.get("ratingKey")), read_text(row, "title")
    known: dict[str, Any] = {
        "media_id": rating_key,
        "rating_key": rating_key,
        "key": read_text(row, "key"),
        "type": read_text(row, "type"),
        "formatted_title": _format_title(row),
        "title": title,
    }
    match row.get("type"):
        case "episode":
            show = read_text(row, "grandparentTitle")
            return {**known, "show_title": show, "season_title": read_season(row), "episode_title": title}
        case "season":
            return {**known, "show_title": read_text(row, "parentTitle"), "season_title": title}
        case _:
            return {**known, "year": read_year(row)}


def _format_title(row: Element) -> str:
    """Return one line for a person: `Show - S1E2 - Title`, `Show - Season 1`, `Artist - Album`, `Title (Year)`."""
    title = read_text(row, "title") or "Unknown title"
    match row.get("type"):
        case "episode":
            numbers = f"S{_read_number(row, 'parentIndex')}E{_read_number(row, 'index')}"
            return f"{read_text(row, 'grandparentTitle') or 'Unknown show'} - {numbers} - {title}"
        case "season" | "album":
            return f"{read_text(row, 'parentTitle') or 'Unknown'} - {title}"
        case "track":
            return f"{read_performer(row) or read_text(row, 'grandparentTitle') or 'Unknown artist'} - {title}"
        case _:
            return f"{title} ({read_year(row)})" if read_year(row) is not None else title


def _read_number(row: Element, name: str) -> str:
    found = read_number(row, name)
    return "?" if found is None else str(found)
