"""The types of occurrences, each declared once: what it means, the JSON Schema of its data, and its filters.

Schemas only grow: a field that is there stays, with its meaning. The table in `docs/events.md` derives from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plex_companion.models import OccurrenceName

Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "null"]}
_WHOLE: Schema = {"type": ["integer", "null"]}
_NUMBER: Schema = {"type": ["number", "null"]}
_FLAG: Schema = {"type": ["boolean", "null"]}
_ID: Schema = {"type": "string"}
_TIME: Schema = {"type": ["string", "null"], "description": "ISO 8601, UTC."}


def _object(**fields: Schema) -> Schema:
    """Build the schema of an object. Fields that may be null are not required: some answers leave nulls out."""
    required = [name for name, schema in fields.items() if schema["type"] in ("string", "integer")]
    return {"type": "object", "properties": fields, "required": required}


def _array(of: Schema) -> Schema:
    return {"type": "array", "items": of}


_USER = _object(id=_TEXT, name=_TEXT)
_PLAYER = _object(client_identifier=_TEXT, title=_TEXT, product=_TEXT, platform=_TEXT, local=_FLAG)
_PLAYED_ITEM = _object(
    rating_key=_TEXT, guid=_TEXT, type=_TEXT, title=_TEXT, grandparent_title=_TEXT, parent_title=_TEXT,
    full_title=_TEXT, year=_WHOLE, library=_TEXT, library_id=_TEXT, duration_ms=_WHOLE, live=_FLAG,
)  # fmt: skip
_PLAY: dict[str, Schema] = {
    "play_id": _ID,
    "item": _PLAYED_ITEM,
    "user": _USER,
    "player": _PLAYER,
    "decision": {**_TEXT, "description": "direct play, direct stream or transcode."},
    "view_offset_ms": _WHOLE,
    "bandwidth_kbps": {**_WHOLE, "description": "What Plex reserves for the stream, where it says so."},
}
_MEDIA_ITEM = _object(
    rating_key=_ID, guid=_TEXT, type=_TEXT, title=_TEXT, grandparent_title=_TEXT, parent_title=_TEXT, show=_TEXT, season=_WHOLE, index=_WHOLE, year=_WHOLE,
    duration_ms=_WHOLE, resolution=_TEXT, size_bytes=_WHOLE,
)  # fmt: skip
_MEDIA: dict[str, Schema] = {
    "type": {**_TEXT, "description": "season or album for a group, else the type of the item."},
    "title": {**_TEXT, "description": "Of the group: show and season, artist and album."},
    "library": _TEXT,
    "library_id": _TEXT,
    "count": {"type": "integer", "minimum": 1},
    "items": {**_array(_MEDIA_ITEM), "minItems": 1, "description": "The first hundred; count says how many there are."},
    "resolution": {**_TEXT, "description": "The best of the items."},
    "size_bytes": {**_WHOLE, "description": "Of all items together, where known."},
}
_ALERT: dict[str, Schema] = {
    "alert": _object(
        id=_ID, at=_TIME, kind=_ID, severity={"type": "string", "enum": ["info", "warning", "error"]}, title=_ID,
        detail={"type": "object"}, subject=_ID, resolved_at=_TIME, acknowledged_at=_TIME,
    )
}  # fmt: skip

_FILTERS: dict[str, str] = {
    "user": "Name, user name, first name if only one user has it, or id.",
    "library": "Name or id of a library.",
    "type": "Type of the item, such as movie or episode; of media also season or album.",
    "title": "Title of the item, of its show, season, artist or album, or its full title.",
    "client": "Name or identifier of the player.",
    "kind": "Kind of the alert, such as buffering.",
    "severity": "info, warning or error.",
    "rule": "Name or id of the rule.",
}


@dataclass(frozen=True, slots=True)
class OccurrenceType:
    """A type of occurrence."""

    name: OccurrenceName
    description: str
    data_schema: Schema
    """JSON Schema of `data`."""
    filters: Schema
    """JSON Schema of the arguments that choose among the occurrences of this type."""


def _declare(
    name: OccurrenceName, description: str, data: dict[str, Schema], filters: tuple[str, ...]
) -> OccurrenceType:
    common = {"server": _TEXT, "server_name": _TEXT, "at": _ID}
    known = {filter_: {"type": "string", "description": _FILTERS[filter_]} for filter_ in filters}
    schema = _object(**common, **data)
    schema["properties"]["inferred"] = {"type": "boolean", "description": "Found out afterwards; absent otherwise."}
    return OccurrenceType(
        name, description, schema, {"type": "object", "properties": known, "additionalProperties": False}
    )


_OF_PLAY = ("user", "library", "type", "title", "client")
_OF_MEDIA = ("library", "type", "title")
_OF_ALERT = ("kind", "severity")
_USERS = _array(_USER)

_DECLARED = (
    _declare(
        "play.started",
        "Somebody starts to watch or listen. A pause that ends is no start.",
        {
            **_PLAY,
            "first_on_player": {
                **_FLAG,
                "description": "Whether no earlier play of this user on this player is known.",
            },
        },
        _OF_PLAY,
    ),
    _declare("play.paused", "A play is paused.", _PLAY, _OF_PLAY),
    _declare("play.resumed", "A paused play goes on.", _PLAY, _OF_PLAY),
    _declare(
        "play.stopped",
        "A play ends: it was stopped, another item replaced it, or it was found to be gone.",
        {**_PLAY, "ended_by": _ID, "watched_ms": _WHOLE, "percent": _NUMBER},
        _OF_PLAY,
    ),
    _declare(
        "play.watched",
        "A movie, episode or track was watched: Plex counted it, or it passed 90 %. Once per play.",
        _PLAY,
        _OF_PLAY,
    ),
    _declare(
        "play.quality_changed",
        "A play goes on in another way: another decision, or another output of the transcoder.",
        {**_PLAY, "from": _TEXT, "to": _TEXT, "reasons": _array({"type": "object"})},
        _OF_PLAY,
    ),
    _declare(
        "play.buffering",
        "A play keeps buffering: as often within five minutes as the alert's setting says. Again only after five calm minutes.",
        {**_PLAY, "count": _WHOLE},
        _OF_PLAY,
    ),
    _declare(
        "media.added",
        "New media is ready to play. Episodes of a season, or tracks of an album, that arrive together are one occurrence.",
        {**_MEDIA, "caught_up": {**_USERS, "description": "Users who had watched every earlier episode of the show."}},
        _OF_MEDIA,
    ),
    _declare("media.upgraded", "The file of an item was replaced; grouped as additions are.", _MEDIA, _OF_MEDIA),
    _declare("media.removed", "Media was deleted from a library; grouped as additions are.", _MEDIA, _OF_MEDIA),
    _declare(
        "alert.opened", "An alert opens, or opens again. One that is over at once has resolved_at.", _ALERT, _OF_ALERT
    ),
    _declare("alert.resolved", "The cause of an alert is gone.", _ALERT, _OF_ALERT),
    _declare("connection.lost", "The connection to Plex is lost, or Plex rejects the token.", {"detail": _TEXT}, ()),
    _declare(
        "connection.restored", "Plex is connected again after it was lost.", {"down_ms": _WHOLE, "detail": _TEXT}, ()
    ),
    _declare(
        "client.new",
        "A player appears that neither the companion nor Plex has seen before.",
        {"player": _object(**_PLAYER["properties"], device=_TEXT)},
        ("client",),
    ),
    _declare(
        "scan.finished",
        "A scan of a library has ended and added something.",
        {"library": _TEXT, "library_id": _TEXT, "added": {"type": "integer"}, "titles": _array(_ID)},
        ("library",),
    ),
    _declare(
        "library.checked",
        "A library was compared with Plex, as happens once a day: how large it is, and for how long nothing happened to it.",
        {
            "library": _TEXT,
            "library_id": _TEXT,
            "library_type": {**_TEXT, "description": "movie, show, artist or photo."},
            "count": {**_WHOLE, "description": "Movies, episodes or tracks."},
            "size_bytes": {**_WHOLE, "description": "Of all their files."},
            "days_since_scan": {**_WHOLE, "description": "Whole days since Plex last scanned it."},
            "days_since_added": {**_WHOLE, "description": "Whole days since its newest item was added."},
        },
        ("library",),
    ),
    _declare("server.updated", "Plex runs another version than before.", {"from": _ID, "to": _ID}, ()),
    _declare(
        "rule.fired",
        "A rule fires: what it waited for has happened.",
        {
            "rule": _object(id=_ID, name=_ID),
            "reason": {**_ID, "description": "What it fired on, in words."},
            "cause": _object(id=_ID, type=_ID),
            "actions": {**_array(_ID), "description": "What it does: notify, alert, stop_stream, webhook."},
            "depth": {"type": "integer", "description": "2 if it fired on what another rule caused."},
        },
        ("rule",),
    ),
)

OCCURRENCE_TYPES: dict[str, OccurrenceType] = {declared.name: declared for declared in _DECLARED}
"""The types by name, in the order in which they are documented."""
