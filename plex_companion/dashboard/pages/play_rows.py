"""Rows of plays in words, before any HTML. A page has fifty: what the template would compute is computed here. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.dashboard.cards import label_servers_by_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.changes.state import State


@dataclass(frozen=True, slots=True)
class PlayRow:
    """A play in a list, with the parts in which it was watched."""

    id: str
    """Of the newest part."""
    rating_key: str | None
    server: str | None
    server_name: str | None
    """How its server is called, where there are several."""
    title: str
    line: str
    """What stands under the title: season and episode, artist and album, or year and edition."""
    library: str | None
    user_id: str | None
    user: str
    player: str
    began_at: str
    ended_at: str | None
    parts: int
    estimated: bool
    """Whether it is known from Plex's history alone."""
    watched_ms: int | None
    """Of all parts; `None` if it is known of none."""
    percent: int | None
    decision: str | None


def build_play_rows(
    plays: Sequence[dict[str, Any]], groups: Iterable[Sequence[int]], states: Sequence[State] = ()
) -> list[PlayRow]:
    """Build a row for each group of plays that belong together. Rows of several servers name theirs."""
    labels = label_servers_by_id(states)
    return [_build_play_row(plays, group, labels) for group in groups]


def _build_play_row(plays: Sequence[dict[str, Any]], group: Sequence[int], labels: Mapping[str, str]) -> PlayRow:
    """Build the row of plays that belong together, given by their places, the newest first."""
    parts = [plays[place] for place in group]
    newest, user, player = parts[0], parts[0]["user"], parts[0]["player"]
    watched = [part["watched_ms"] for part in parts if part["watched_ms"] is not None]
    title, line = _name_item(newest)
    return PlayRow(
        id=newest["id"],
        rating_key=newest["rating_key"],
        server=newest.get("server"),
        server_name=labels.get(newest["server"], newest["server_name"]) if labels else None,
        title=title,
        line=line,
        library=newest["library"],
        user_id=user["id"],
        user=user["name"] or "someone",
        player=player["title"] or player["platform"] or "unknown player",
        began_at=parts[-1]["started_at"],
        ended_at=newest["ended_at"],
        parts=len(parts),
        estimated=newest["estimated"],
        watched_ms=sum(watched) if watched else None,
        percent=None if newest["percent"] is None else round(newest["percent"]),
        decision=newest["decision"],
    )


def _name_item(play: dict[str, Any]) -> tuple[str, str]:
    """Return what was played, and what says more about it."""
    title = play["title"] or f"item {play['rating_key'] or 'unknown'}"
    match play["type"]:
        case "episode" if play["grandparent_title"]:
            return play["grandparent_title"], _join(play["parent_title"], play["title"])
        case "track":
            return title, _join(play["performer"] or play["grandparent_title"], play["parent_title"])
        case _:
            return title, _join(play["year"], play["edition"])


def _join(*texts: str | int | None) -> str:
    return " · ".join(_list_known(texts))


def _list_known(texts: Iterable[str | int | None]) -> Iterable[str]:
    return (str(text) for text in texts if text)
