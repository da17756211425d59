"""Toolset `server`: the Plex Media Server itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from plex_companion.companion import Companion
from plex_companion.errors import PlexError
from plex_companion.text import clean, mask
from plex_companion.tools.declare import Access, Toolset
from plex_companion.wire import iso

if TYPE_CHECKING:
    from plexapi.server import PlexServer

SERVER = Toolset("server", "The Plex Media Server: information, logs, maintenance")

_TEXTS = {
    "version": "version",
    "platform": "platform",
    "platform_version": "platformVersion",
    "server_name": "friendlyName",
    "machine_identifier": "machineIdentifier",
    "my_plex_username": "myPlexUsername",
    "my_plex_mapping_state": "myPlexMappingState",
    "streaming_brain_version": "streamingBrainVersion",
}
_FLAGS = {
    "certificate": "certificate",
    "sync": "sync",
    "transcoder_audio": "transcoderAudio",
    "allow_media_deletion": "allowMediaDeletion",
}
_LISTS = {
    "transcoder_video_bitrates": "transcoderVideoBitrates",
    "transcoder_video_qualities": "transcoderVideoQualities",
    "transcoder_video_resolutions": "transcoderVideoResolutions",
    "owner_features": "ownerFeatures",
}


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the server says of itself."""

    status: str
    data: dict[str, Any]


@SERVER.tool(Access.READ)
def server_get_info(plex: PlexServer, companion: Companion) -> ServerInfo:
    """Name, version, platform and transcoder of the Plex Media Server, asked afresh."""
    root = plex.query("/")
    if root is None:
        raise PlexError("Plex answered the question for its name and version with nothing. Try again in a moment.")
    facts: dict[str, str] = {name: clean(value) for name, value in root.attrib.items()}
    data: dict[str, Any] = {ours: facts.get(theirs) for ours, theirs in _TEXTS.items()}
    if companion.settings.privacy and data["my_plex_username"]:
        data["my_plex_username"] = mask(data["my_plex_username"])
    data |= {ours: facts.get(theirs) == "1" for ours, theirs in _FLAGS.items()}
    data |= {ours: [part for part in facts.get(theirs, "").split(",") if part] for ours, theirs in _LISTS.items()}
    data["transcoder_active_video_sessions"] = _number(facts.get("transcoderActiveVideoSessions"))
    updated = _number(facts.get("updatedAt"))
    data["updated_at"] = (
        None if updated is None else f"{datetime.fromtimestamp(updated).astimezone():%Y-%m-%d %H:%M:%S}"
    )
    data["updated_at_utc"] = None if updated is None else iso(updated * 1000)
    return ServerInfo("success", data)


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() else None
