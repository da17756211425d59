"""Finding and describing playlists, and what they may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid, NotFound, NotSupported
from plex_companion.plex.lookup import RIGHT_TOOL, FoundItem, pick_row
from plex_companion.plex.query import get, get_or_none
from plex_companion.plex.titles import get_titles, match_title
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_brief_title,
    read_flag,
    read_kind,
    read_link,
    read_local_time,
    read_number,
    read_performer,
    read_text,
    read_utc,
    take_first,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
MEDIUMS = {
    "video": ("movie", "show", "season", "episode", "clip"),
    "audio": ("artist", "album", "track"),
    "photo": ("photoalbum", "photo"),
}
"""The kinds of items for each type of playlist. Shows, seasons, artists and albums are added as their contents."""


def build_path(row: Element) -> str:
    """Return `/playlists/ID`. Playlists are changed by this path only, so that no other item can be hit."""
    return f"/playlists/{row.get('ratingKey')}"


def read_key(row: Element) -> int | str | None:
    """Return the id as results show it."""
    return parse_identifier(row.get("ratingKey"))


def describe_match(row: Element) -> dict[str, Any]:
    """Describe a playlist as one of several matches."""
    found = {
        "title": read_brief_title(row, "title"),
        "id": read_key(row),
        "rating_key": read_key(row),
        "type": read_text(row, "playlistType"),
        "item_count": read_number(row, "leafCount"),
    }
    return drop_nulls(found)


def find_playlist(view: PlexServer, title: str | None, playlist_id: str | None, *, writes: bool) -> FoundItem:
    """Find a playlist of the user whose view `view` is. One request, two for a wrong id.

    Raises:
        Invalid: neither id nor title is given, or the id belongs to something else.
        NotFound: the user has no such playlist.
        MultipleMatches: more than one matches or, for writes, none matches exactly.
    """
    if playlist_id is not None:
        return FoundItem(_find_by_id(view, playlist_id.strip()), "id")
    if title is None or not title.strip():
        message = "playlist_id or playlist_title is required."
        raise Invalid(message, argument="playlist_title")
    matches = match_title(_list_playlists(view), title, get_titles)
    return pick_row(matches, title, writes=writes, what="playlist", match=describe_match, finder="playlist_list")


def _list_playlists(view: PlexServer) -> list[Element]:
    return [row for row in get(view, "/playlists") if row.tag == "Playlist"]


def _find_by_id(view: PlexServer, playlist_id: str) -> Element:
    if not playlist_id.isdecimal():
        message = f"playlist_id must be a number, such as rating_key in other answers; got '{playlist_id}'."
        raise Invalid(message, argument="playlist_id")
    row = take_first(row for row in _list_playlists(view) if row.get("ratingKey") == playlist_id)
    if row is None:
        raise _explain_not_playlist(view, playlist_id)
    return row


def _explain_not_playlist(view: PlexServer, playlist_id: str) -> Invalid | NotFound:
    """Return the error that says what the id belongs to."""
    answer = get_or_none(view, f"/library/metadata/{playlist_id}")
    other = None if answer is None else take_first(answer)
    if other is None or read_kind(other) in {None, "playlist"}:
        message = f"This user has no playlist with id {playlist_id}. playlist_list shows ids."
        return NotFound(message, what="playlist")
    right = RIGHT_TOOL.get(read_kind(other) or "", "the media_ tools")
    message = f"playlist_id {playlist_id} is a {read_kind(other)} ('{read_text(other, 'title')}') and not a playlist: use {right}."
    return Invalid(message, argument="playlist_id", allowed=["playlist"])


def find_ordinary(view: PlexServer, title: str | None, playlist_id: str | None) -> Element:
    """Find a playlist and check that items can be added and removed.

    Raises:
        NotSupported: it is a smart playlist.
    """
    row = find_playlist(view, title, playlist_id, writes=True).row
    if read_flag(row, "smart"):
        message = (
            f"'{read_text(row, 'title')}' is a smart playlist: its filters decide what it holds. Edit those instead."
        )
        raise NotSupported(message, reason="smart")
    return row


def reload(view: PlexServer, row: Element) -> Element:
    """Return the playlist's current full row. One request.

    Raises:
        NotFound: it is gone.
    """
    answer = get_or_none(view, build_path(row))
    found = None if answer is None else read_playlist(answer)
    if found is None:
        message = f"The playlist '{read_text(row, 'title')}' no longer exists. playlist_list shows the playlists."
        raise NotFound(message, what="playlist")
    return found


def read_playlist(answer: Iterable[Element] | None) -> Element | None:
    """Return the row of the playlist in an answer to a write; `None` if the answer holds none."""
    rows = () if answer is None else answer
    return take_first(row for row in rows if row.tag == "Playlist" and row.get("ratingKey"))


def describe_item(row: Element) -> dict[str, Any]:
    """Describe an item of a playlist."""
    key = parse_identifier(row.get("ratingKey"))
    found: dict[str, Any] = {
        "title": read_text(row, "title"),
        "type": read_kind(row),
        "ratingKey": key,
        "addedAt": read_local_time(row, "addedAt"),
        "duration": read_number(row, "duration"),
        "thumb": read_link(row, "thumb"),
        "rating_key": key,
        "playlist_item_id": read_number(row, "playlistItemID"),
        "added_at_utc": read_utc(row, "addedAt"),
    }
    return found | _describe_kind(row)


def _describe_kind(row: Element) -> dict[str, Any]:
    match read_kind(row):
        case "episode":
            return {
                "show": read_text(row, "grandparentTitle"),
                "season": read_text(row, "parentTitle"),
                "seasonNumber": read_number(row, "parentIndex"),
                "episodeNumber": read_number(row, "index"),
            }
        case "track":
            album_artist = read_text(row, "grandparentTitle")
            return {
                "artist": read_performer(row) or album_artist,
                **drop_nulls({"performer": read_performer(row)}),
                "album": read_text(row, "parentTitle"),
                "albumArtist": album_artist,
            }
        case _:
            return {"year": read_number(row, "year")}
