"""Play sessions and their transcodes, as the server keeps them while somebody plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plex_companion.demo import frames
    from plex_companion.demo.household.model import DemoItem, DemoMedia, DemoPlayer, DemoUser

PLATFORMS_WITH_GUID = frozenset({"Android"})
"""Recorded: clients of these platforms fill `guid`, others leave it empty."""


@dataclass(slots=True)
class DemoTranscode:
    """A running transcode; `id` is the last part of its key."""

    id: str
    video_decision: str = "transcode"
    audio_decision: str = "transcode"
    progress: float = 0.0
    speed: float = 0.0
    throttled: bool = False
    started_at: float = 0.0
    video_codec: str = "h264"
    audio_codec: str = "aac"
    audio_channels: int = 2
    width: int = 1280
    height: int = 720
    bitrate: int = 4000
    subtitle_decision: str = ""
    hardware: bool = False
    protocol: str = "dash"
    container: str = "mp4"


AUDIO_ONLY = {
    "video_decision": "",
    "audio_codec": "mp3",
    "bitrate": 192,
    "protocol": "http",
    "container": "mp3",
}
"""Fields of the transcode of a music track, which has no picture."""


@dataclass(slots=True)
class DemoSession:
    """One row of `/status/sessions`. `key` is a counter that restarts with the server; `id` is what `terminate` takes."""

    key: str
    id: str
    item: DemoItem
    user: DemoUser
    player: DemoPlayer
    state: str = "playing"
    offset: int = 0
    started_at: float = 0.0
    queue_id: int | None = None
    queue_item_id: int | None = None
    transcode: DemoTranscode | None = None
    live: str = ""
    shown: bool = True
    audio_stream: str = ""
    subtitle_stream: str = ""
    version: int = 0
    """The position of the version that plays."""

    @property
    def media(self) -> DemoMedia | None:
        """The version that plays; pre-rolls and live TV have none."""
        return self.item.media[self.version] if self.item.media else None

    @property
    def item_path(self) -> str:
        """The key in frames. Live TV has a path of its own."""
        return f"/livetv/sessions/{self.live}" if self.live else f"/library/metadata/{self.item.key}"

    @property
    def frame_rating_key(self) -> str:
        """The rating key in frames. Live TV reports a guid there."""
        return self.item.guid if self.live else self.item.key

    def build_entry(self, state: str | None = None, *, transcode: bool = True) -> frames.Entry:
        """Build the current PlaySessionStateNotification. Optional fields are absent, as in recordings."""
        entry: frames.Entry = {
            "sessionKey": self.key, "clientIdentifier": self.player.client_identifier,
            "guid": self.item.guid if self.live or self.player.platform in PLATFORMS_WITH_GUID else "", "ratingKey": self.frame_rating_key, "url": "", "key": self.item_path,
            "viewOffset": self.offset,
        }  # fmt: skip
        if self.queue_id is not None:
            entry |= {"playQueueItemID": self.queue_item_id, "playQueueID": self.queue_id}
        entry["state"] = state or self.state
        if transcode and self.transcode:
            entry["transcodeSession"] = self.transcode.id
        return entry
