"""What occurrences say of a play: the item, the user, the player. Addresses are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.models import Player
from plex_companion.serialize import serialize_user

if TYPE_CHECKING:
    from plex_companion.models import ImportedPlay, Item, Session, User


def build_play_data(session: Session) -> dict[str, Any]:
    """Return what is known of a play that goes on, or that has just ended."""
    data = _build_data(session.play_id, session.item, session.user, session.player)
    return {
        **data,
        "decision": session.decision,
        "view_offset_ms": session.view_offset_ms,
        "bandwidth_kbps": session.bandwidth_kbps,
    }


def build_imported_data(play: ImportedPlay) -> dict[str, Any]:
    """Return what Plex's history knows of a play."""
    unknown = {"decision": None, "view_offset_ms": None, "bandwidth_kbps": None}
    return {**_build_data(play.play_id, play.item, play.user, play.player), **unknown}


def _build_data(play_id: int, item: Item, user: User | None, player: Player | None) -> dict[str, Any]:
    return {
        "play_id": str(play_id),
        "item": _describe_item(item),
        "user": serialize_user(user),
        "player": _describe_player(player or Player()),
    }


def _describe_item(item: Item) -> dict[str, Any]:
    return {
        "rating_key": item.rating_key,
        "guid": item.guid,
        "type": item.type,
        "title": item.title,
        "grandparent_title": item.grandparent_title,
        "parent_title": item.parent_title,
        "full_title": item.full_title,
        "year": item.year,
        "library": item.library,
        "library_id": item.library_id,
        "duration_ms": item.duration_ms,
        "live": item.live,
    }


def _describe_player(player: Player) -> dict[str, Any]:
    return {
        "client_identifier": player.client_identifier,
        "title": player.title,
        "product": player.product,
        "platform": player.platform,
        "local": player.local,
    }
