"""Creating playlists, and adding items to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.errors import NotConfirmed
from plex_companion.plex.query import send, split_values
from plex_companion.plex.steps import add_in_portions
from plex_companion.plex.xml.attributes import read_kind
from plex_companion.tools.item_list import build_items_uri, check_kinds
from plex_companion.tools.playlist.find import MEDIUMS, build_path, read_key, read_playlist, reload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer


def choose_medium(rows: Sequence[Element]) -> str:
    """Return the one type of playlist that can hold all of these items.

    Raises:
        Invalid: there is none.
    """
    medium = next((name for name, kinds in MEDIUMS.items() if read_kind(rows[0]) in kinds), "video")
    check_medium(rows, medium)
    return medium


def check_medium(rows: Sequence[Element], medium: str) -> None:
    """Refuse items that a playlist of this type cannot hold.

    Raises:
        Invalid: an item is of another medium; the error names it.
    """
    kinds = MEDIUMS.get(medium, ())
    check_kinds(rows, kinds, f"a playlist of type {medium} holds {', '.join(kinds)} only")


def create_playlist(view: PlexServer, title: str, medium: str, uri: str, *, smart: bool = False) -> Element:
    """Create a playlist for the user whose view `view` is, and return its row. One request.

    Raises:
        NotConfirmed: Plex does not say what it created.
    """
    answer = send(view, "POST", "/playlists", type=medium, title=title, smart=smart, uri=uri)
    made = read_playlist(answer)
    if made is None:
        message = f"Plex accepted the playlist '{title}' but did not return its id. playlist_list may show it."
        raise NotConfirmed(message, requested=title, found=None)
    return made


def add_items(view: PlexServer, row: Element, uri: str) -> Element:
    """Add items, or give a smart playlist another query. Return the playlist's new row. One or two requests."""
    answer = read_playlist(send(view, "PUT", f"{build_path(row)}/items", uri=uri))
    return reload(view, row) if answer is None else answer


def create_filled_playlist(view: PlexServer, title: str, medium: str, keys: Sequence[str]) -> Element:
    """Create a playlist of these items, in order. One request per few hundred items.

    Raises:
        Partial: the playlist exists but does not hold all items.
    """
    first = split_values(keys, title)[0]
    made = create_playlist(view, title, medium, build_items_uri(view, first))
    add_in_portions(
        view,
        keys[len(first) :],
        lambda part: add_items(view, made, build_items_uri(view, part)),
        begun=len(first),
        playlist_id=read_key(made),
        created=True,
    )
    return made
