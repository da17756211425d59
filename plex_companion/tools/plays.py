"""The server's history of plays: its rows, and the names behind their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.tools.ask import get, page
from plex_companion.tools.facts import as_number, local, match_of, number, performer, text, utc, without_nulls
from plex_companion.tools.people import KEPT_SECONDS, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.companion import Companion

HISTORY = "/status/sessions/history/all"
NEWEST_FIRST = "viewedAt:desc"
MINUTES = "%Y-%m-%d %H:%M"
PAGE, PAGES = 200, 4


@dataclass(slots=True)
class Looking:
    """A walk through the history of one account, newest first, as far as it is wanted and at most `PAGES` requests."""

    plex: PlexServer
    account_id: int | None
    looked_at: int = 0
    total: int = 0

    @property
    def stopped_early(self) -> bool:
        """Whether there are older plays that were not looked at."""
        return self.looked_at < self.total

    def __iter__(self) -> Iterator[Element]:
        """Each play once: what is played meanwhile shifts the pages."""
        seen: set[str | None] = set()
        for start in range(0, PAGE * PAGES, PAGE):
            found = page(
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


def once_each(rows: Iterator[Element]) -> Iterator[Element]:
    """The newest play of each item. Rows of deleted items have no id and all stay."""
    seen: set[str] = set()
    for row in rows:
        key = row.get("ratingKey")
        if key not in seen:
            yield row
        if key:
            seen.add(key)


def accounts(plex: PlexServer, companion: Companion) -> dict[int | None, str | None]:
    """What the server calls its users, by account id; kept for ten minutes."""

    def ask() -> dict[int | None, str | None]:
        return {number(row, "id"): text(row, "name") for row in get(plex, "/accounts").iter("Account")}

    return companion.known.kept("names of accounts", KEPT_SECONDS, ask)


def devices(plex: PlexServer, companion: Companion) -> dict[int | None, str | None]:
    """What the server calls its players, by device id; kept for ten minutes."""

    def ask() -> dict[int | None, str | None]:
        rows = get(plex, "/devices").iter("Device")
        return {number(row, "id"): shown(text(row, "name"), companion) for row in rows}

    return companion.known.kept("names of devices", KEPT_SECONDS, ask)


def when(row: Element) -> dict[str, Any]:
    """When it was played, and which row of the history says so."""
    return {
        "rating_key": as_number(row.get("ratingKey")),
        "viewed_at_utc": utc(row, "viewedAt"),
        "history_key": text(row, "historyKey"),
    }


def as_played(row: Element, names: dict[int | None, str | None]) -> dict[str, Any]:
    """A play, as one of somebody's."""
    above: dict[str, Any] = {"year": year(row)}
    if row.get("type") == "episode":
        above = {
            "show": text(row, "grandparentTitle"),
            "season": season(row),
            "episodeNumber": number(row, "index"),
            "seasonNumber": number(row, "parentIndex"),
        }
    if row.get("type") == "track":
        above |= {"artist": text(row, "grandparentTitle"), "album": text(row, "parentTitle")}
    above |= without_nulls({"performer": performer(row), "edition": text(row, "editionTitle")})
    return {
        "type": text(row, "type"),
        "title": text(row, "title"),
        "ratingKey": as_number(row.get("ratingKey")),
        **above,
        "viewedAt": local(row, "viewedAt", MINUTES),
        **when(row),
        "device": names.get(number(row, "deviceID")),
    }


def as_view(
    row: Element, companion: Companion, users: dict[int | None, str | None], players: dict[int | None, str | None]
) -> dict[str, Any]:
    """A play, as one of something's: who, when, on what."""
    user_id = number(row, "accountID")
    return {
        "user": shown(users.get(user_id), companion),
        "viewed_at": local(row, "viewedAt", MINUTES),
        "device": players.get(number(row, "deviceID")),
        "user_id": user_id,
        **when(row),
        "title": text(row, "title"),
    }


def year(row: Element) -> int | None:
    """Rows of the history name no year, but the day of release."""
    released = row.get("originallyAvailableAt", "")[:4]
    return number(row, "year") or (int(released) if released.isdecimal() else None)


def season(row: Element) -> str | None:
    """The season's title; not every server puts it into the history."""
    index = number(row, "parentIndex")
    return text(row, "parentTitle") or (None if index is None else f"Season {index}")


def media_match(row: Element) -> dict[str, Any]:
    """An item as one of several, with what the predecessor's callers look for."""
    known = media(row)
    more = {name: known.get(name) for name in ("media_id", "formatted_title", "show_title")}
    numbers = {"episode_number": number(row, "index")} if row.get("type") == "episode" else {}
    return {**match_of(row), **without_nulls(more), **numbers}


def media(row: Element) -> dict[str, Any]:
    """What was played, for the history of one item."""
    rating_key, title = as_number(row.get("ratingKey")), text(row, "title")
    known: dict[str, Any] = {
        "media_id": rating_key,
        "rating_key": rating_key,
        "key": text(row, "key"),
        "type": text(row, "type"),
        "formatted_title": _formatted(row),
        "title": title,
    }
    match row.get("type"):
        case "episode":
            show = text(row, "grandparentTitle")
            return {**known, "show_title": show, "season_title": season(row), "episode_title": title}
        case "season":
            return {**known, "show_title": text(row, "parentTitle"), "season_title": title}
        case _:
            return {**known, "year": year(row)}


def _formatted(row: Element) -> str:
    """One line for a person: `Show - S1E2 - Title`, `Show - Season 1`, `Artist - Album`, `Title (Year)`."""
    title = text(row, "title") or "Unknown title"
    match row.get("type"):
        case "episode":
            numbers = f"S{_number(row, 'parentIndex')}E{_number(row, 'index')}"
            return f"{text(row, 'grandparentTitle') or 'Unknown show'} - {numbers} - {title}"
        case "season" | "album":
            return f"{text(row, 'parentTitle') or 'Unknown'} - {title}"
        case "track":
            return f"{performer(row) or text(row, 'grandparentTitle') or 'Unknown artist'} - {title}"
        case _:
            return f"{title} ({year(row)})" if year(row) is not None else title


def _number(row: Element, name: str) -> str:
    found = number(row, name)
    return "?" if found is None else str(found)
