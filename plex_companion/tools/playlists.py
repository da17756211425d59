"""A user's playlists: how one is found among them, what it is shown as, and how one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid, NotConfirmed, NotFound, NotSupported
from plex_companion.tools.ask import get, get_if_there, send
from plex_companion.tools.facts import (
    as_number,
    brief,
    first,
    flag,
    kind,
    link,
    local,
    number,
    performer,
    text,
    utc,
    without_nulls,
)
from plex_companion.tools.find import RIGHT_TOOL, Found, pick
from plex_companion.tools.named import check_kinds
from plex_companion.tools.titles import fits_of, title_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

MEDIUMS = {
    "video": ("movie", "show", "season", "episode", "clip"),
    "audio": ("artist", "album", "track"),
    "photo": ("photoalbum", "photo"),
}
"""What the three types of playlists can be filled with; shows, seasons, artists and albums come in as their contents."""


def path_of(row: Element) -> str:
    """`/playlists/ID`: playlists are changed by this path only, so that nothing else can be hit."""
    return f"/playlists/{row.get('ratingKey')}"


def key_of(row: Element) -> int | str | None:
    """The id as results show it."""
    return as_number(row.get("ratingKey"))


def match_of_playlist(row: Element) -> dict[str, Any]:
    """A playlist as one of several that fit."""
    found = {
        "title": brief(row, "title"),
        "id": key_of(row),
        "rating_key": key_of(row),
        "type": text(row, "playlistType"),
        "item_count": number(row, "leafCount"),
    }
    return without_nulls(found)


def find_playlist(seen: PlexServer, title: str | None, playlist_id: str | None, *, writes: bool) -> Found:
    """The playlist that is meant, among those of the user whose view this is. One request, two for a wrong id.

    Raises:
        Invalid: neither id nor title, or the id of something that is no playlist.
        NotFound: the user has no such playlist.
        Several: more than one fits, or, for writes, none fits exactly.
    """
    if playlist_id is not None:
        return Found(_of_id(seen, playlist_id.strip()), "id")
    if title is None or not title.strip():
        message = "Name the playlist: playlist_id or playlist_title is needed."
        raise Invalid(message, argument="playlist_title")
    fits = fits_of(_listed(seen), title, title_of)
    return pick(fits, title, writes=writes, what="playlist", match=match_of_playlist, finder="playlist_list")


def _listed(seen: PlexServer) -> list[Element]:
    return [row for row in get(seen, "/playlists") if row.tag == "Playlist"]


def _of_id(seen: PlexServer, playlist_id: str) -> Element:
    if not playlist_id.isdecimal():
        message = f"playlist_id must be a number, as rating_key in other answers; got '{playlist_id}'."
        raise Invalid(message, argument="playlist_id")
    row = first(row for row in _listed(seen) if row.get("ratingKey") == playlist_id)
    if row is None:
        raise _no_playlist(seen, playlist_id)
    return row


def _no_playlist(seen: PlexServer, playlist_id: str) -> Invalid | NotFound:
    """What the id is instead."""
    answer = get_if_there(seen, f"/library/metadata/{playlist_id}")
    other = None if answer is None else first(answer)
    if other is None or kind(other) in {None, "playlist"}:
        message = f"This user has no playlist with id {playlist_id}. playlist_list shows ids."
        return NotFound(message, what="playlist")
    right = RIGHT_TOOL.get(kind(other) or "", "the media_ tools")
    message = f"playlist_id {playlist_id} is a {kind(other)} ('{text(other, 'title')}') and no playlist: use {right}."
    return Invalid(message, argument="playlist_id", allowed=["playlist"])


def find_filled(seen: PlexServer, title: str | None, playlist_id: str | None) -> Element:
    """The playlist, if items can come and go.

    Raises:
        NotSupported: it is a smart one.
    """
    row = find_playlist(seen, title, playlist_id, writes=True).row
    if flag(row, "smart"):
        message = f"'{text(row, 'title')}' is a smart playlist: it holds what its filters find. Edit those instead."
        raise NotSupported(message, reason="smart")
    return row


def again(seen: PlexServer, row: Element) -> Element:
    """The playlist as it is now, in full. One request.

    Raises:
        NotFound: it is gone.
    """
    answer = get_if_there(seen, path_of(row))
    found = None if answer is None else _playlist_in(answer)
    if found is None:
        message = f"The playlist '{text(row, 'title')}' is gone. playlist_list shows what is there."
        raise NotFound(message, what="playlist")
    return found


def _playlist_in(answer: Iterable[Element] | None) -> Element | None:
    rows = () if answer is None else answer
    return first(row for row in rows if row.tag == "Playlist" and row.get("ratingKey"))


def medium_of(rows: Sequence[Element]) -> str:
    """The one type of playlist that can hold all of these.

    Raises:
        Invalid: there is none.
    """
    medium = next((name for name, kinds in MEDIUMS.items() if kind(rows[0]) in kinds), "video")
    check_medium(rows, medium)
    return medium


def check_medium(rows: Sequence[Element], medium: str) -> None:
    """Refuse what a playlist of this type cannot hold.

    Raises:
        Invalid: naming it.
    """
    kinds = MEDIUMS.get(medium, ())
    check_kinds(rows, kinds, f"a playlist of type {medium} holds {', '.join(kinds)} only")


def make(seen: PlexServer, title: str, medium: str, uri: str, *, smart: bool = False) -> Element:
    """A new playlist of the user whose view this is, as Plex answers it. One request.

    Raises:
        NotConfirmed: Plex does not say what it made.
    """
    answer = send(seen, "POST", "/playlists", type=medium, title=title, smart=smart, uri=uri)
    made = _playlist_in(answer)
    if made is None:
        message = f"Plex took the playlist '{title}' and does not say where it is. playlist_list may show it."
        raise NotConfirmed(message, requested=title, found=None)
    return made


def put_items(seen: PlexServer, row: Element, uri: str) -> Element:
    """Add items, or give a smart playlist another query; gives the playlist as it is then. One request, or two."""
    answer = _playlist_in(send(seen, "PUT", f"{path_of(row)}/items", uri=uri))
    return again(seen, row) if answer is None else answer


def item_of(row: Element) -> dict[str, Any]:
    """An item of a playlist."""
    key = as_number(row.get("ratingKey"))
    found: dict[str, Any] = {
        "title": text(row, "title"),
        "type": kind(row),
        "ratingKey": key,
        "addedAt": local(row, "addedAt"),
        "duration": number(row, "duration"),
        "thumb": link(row, "thumb"),
        "rating_key": key,
        "playlist_item_id": number(row, "playlistItemID"),
        "added_at_utc": utc(row, "addedAt"),
    }
    return found | _of_its_kind(row)


def _of_its_kind(row: Element) -> dict[str, Any]:
    match kind(row):
        case "episode":
            return {
                "show": text(row, "grandparentTitle"),
                "season": text(row, "parentTitle"),
                "seasonNumber": number(row, "parentIndex"),
                "episodeNumber": number(row, "index"),
            }
        case "track":
            album_artist = text(row, "grandparentTitle")
            return {
                "artist": performer(row) or album_artist,
                **without_nulls({"performer": performer(row)}),
                "album": text(row, "parentTitle"),
                "albumArtist": album_artist,
            }
        case _:
            return {"year": number(row, "year")}
